//! `keytrail rules`: rules as code.

use std::collections::BTreeSet;
use std::path::PathBuf;

use keytrail_detect::rule::Listed;
use keytrail_detect::rule::load::{DECLARED_WINDOW, Loaded, load};
use keytrail_detect::rule::set::Set;

use crate::cli::{RuleAction, Rules as Arguments};
use crate::config::Config;
use crate::exit::Code;
use crate::output::Writer;
use crate::pipeline::rule_book;

/// Checks, tests or lists rules.
pub fn run(config: &Config, output: &Writer, arguments: &Arguments) -> anyhow::Result<Code> {
    match &arguments.action {
        RuleAction::Check { paths } => check(output, &loaded(config, paths)?),
        RuleAction::Test { paths } => {
            let outcomes = loaded(config, paths)?.rules.test();
            let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
            for outcome in &outcomes {
                match &outcome.failure {
                    None => println!("ok     {} · {}", outcome.file, outcome.test),
                    Some(failure) => println!("FAILED {} · {}: {failure}", outcome.file, outcome.test),
                }
            }
            println!("{} passed, {failed} failed", outcomes.len() - failed);
            Ok(if failed == 0 { Code::Done } else { Code::DoesNotHold })
        }
        RuleAction::List { paths } => {
            let rows = loaded(config, paths)?.rules.list();
            output.records(&rows)?;
            output.note(&coverage(&rows));
            Ok(Code::Done)
        }
    }
}

/// A row per rule; for a person, those that do not judge.
fn check(output: &Writer, loaded: &Loaded) -> anyhow::Result<Code> {
    let rows = &loaded.checked;
    let windows = rows.iter().filter(|row| row.loads && row.logsource == DECLARED_WINDOW).count();
    let refused = rows.iter().filter(|row| !row.loads).count();
    let idle = rows.iter().filter(|row| row.idle).count();
    if output.is_table() {
        let told: Vec<_> = rows.iter().filter(|row| !row.loads || row.idle).cloned().collect();
        if !told.is_empty() {
            output.records(&told)?;
        }
    } else if !rows.is_empty() {
        output.records(rows)?;
    }
    if rows.is_empty() {
        output.note(&format!("{} rules, no errors", loaded.rules.list().len()));
    } else {
        let rules = rows.len() - windows;
        let declared = if windows == 0 { String::new() } else { format!("; {windows} declared windows") };
        output.note(&format!("{rules} rules: {} judge, {idle} are idle, {refused} are refused{declared}", rules - refused - idle));
    }
    Ok(if refused == 0 { Code::Done } else { Code::DoesNotHold })
}

/// What the rules cover, by their tags.
fn coverage(rows: &[Listed]) -> String {
    let techniques: BTreeSet<&str> = rows.iter().flat_map(|row| row.attack.split(", ")).filter(|technique| !technique.is_empty()).collect();
    let mut by_number: Vec<String> = Vec::new();
    for number in 1..=10 {
        let name = format!("NHI{number}");
        let count = rows.iter().filter(|row| row.nhi.split(", ").any(|one| one == name)).count();
        by_number.push(format!("{name} {count}"));
    }
    format!("{} rules; {} ATT&CK techniques; OWASP NHI: {}", rows.len(), techniques.len(), by_number.join(", "))
}

/// The rules at `paths`, or those of the configuration.
fn loaded(config: &Config, paths: &[PathBuf]) -> anyhow::Result<Loaded> {
    let set: Set = if paths.is_empty() { rule_book::set(config)? } else { rule_book::set_of(paths)? };
    Ok(load(&set, &rule_book::formats())?)
}

/// How many rules this configuration judges by, for `keytrail doctor`.
///
/// # Errors
/// When they cannot be read.
pub fn configured(config: &Config) -> anyhow::Result<usize> {
    Ok(loaded(config, &[])?.rules.list().len())
}
