//! `keytrail rules`: rules as code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use keytrail_detect::Rules;

use crate::cli::{RuleAction, Rules as Arguments};
use crate::config::Config;
use crate::exit::{Code, Usage};
use crate::output::Writer;

/// Checks, tests or lists rules.
pub fn run(config: &Config, output: &Writer, arguments: &Arguments) -> anyhow::Result<Code> {
    match &arguments.action {
        RuleAction::Check { paths } => match load(config, paths) {
            Ok(rules) => {
                output.note(&format!("{} rules, no errors", rules.list().len()));
                Ok(Code::Done)
            }
            Err(error) if error.is::<Usage>() => Err(error),
            Err(error) => {
                eprintln!("{error:#}");
                Ok(Code::DoesNotHold)
            }
        },
        RuleAction::Test { paths } => {
            let outcomes = load(config, paths)?.test();
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
            let rules = load(config, paths)?;
            let rows = rules.list();
            output.records(&rows)?;
            Ok(Code::Done)
        }
    }
}

/// The rules that this configuration judges by.
pub fn configured(config: &Config) -> anyhow::Result<Arc<Rules>> {
    load(config, &[]).map(Arc::new)
}

fn load(config: &Config, paths: &[PathBuf]) -> anyhow::Result<Rules> {
    let configured = [PathBuf::from(&config.detector.rules)];
    let paths = if paths.is_empty() && !config.detector.rules.is_empty() { &configured } else { paths };
    if paths.is_empty() {
        return Rules::embedded().context("built-in rules");
    }
    let mut sources = Vec::new();
    for path in paths {
        collect(path, &mut sources)?;
    }
    if sources.is_empty() {
        return Err(Usage(format!("no rule files (*.yml) under {}", paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))).into());
    }
    sources.sort();
    Ok(Rules::from_sources(sources.into_iter())?)
}

fn collect(path: &Path, sources: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    let failed = |error: std::io::Error| Usage(format!("rules {}: {error}", path.display()));
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            if entry.is_dir() || entry.extension().is_some_and(|ext| ext == "yml" || ext == "yaml") {
                collect(&entry, sources)?;
            }
        }
        return Ok(());
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    sources.push((path.to_string_lossy().into_owned(), text));
    Ok(())
}
