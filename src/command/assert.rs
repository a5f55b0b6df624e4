//! `keytrail assert`: a pipeline's gate. The rows that break what was asserted are the answer, and the process ends with 1.

use std::collections::BTreeSet;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use keytrail_query::Call;

use super::question::{Asking, given, quoted, told};
use crate::cli::{Assert, AssertAction, AssertBlastRadius, AssertPosture};
use crate::config::Config;
use crate::exit::{Code, Usage};
use crate::output::Writer;

/// Problems of `posture()`.
const PROBLEMS: [&str; 9] = ["over_age", "never_rotated", "dormant", "never_used", "shared", "not_revoked", "used_after_rotation", "long_lived", "ownerless"];

/// Asks, and compares.
pub fn run(config: &Config, output: &Writer, arguments: &Assert) -> anyhow::Result<Code> {
    match &arguments.action {
        AssertAction::BlastRadius(wanted) => blast_radius(config, output, wanted),
        AssertAction::Posture(wanted) => posture(config, output, wanted),
    }
}

fn blast_radius(config: &Config, output: &Writer, wanted: &AssertBlastRadius) -> anyhow::Result<Code> {
    let bounds = [("environment", wanted.max_environments), ("destination", wanted.max_destinations), ("identity", wanted.max_identities)];
    if bounds.iter().all(|(_, most)| most.is_none()) {
        return Err(Usage("assert blast-radius: say what must hold: --max-environments, --max-destinations or --max-identities".to_owned()).into());
    }
    let hops = wanted.hops.to_string();
    let arguments = [("identity_or_credential", &*wanted.of), ("from", given(&wanted.window.since)), ("to", given(&wanted.window.until)), ("hops", &hops)];
    let answer = Asking::open(config)?.call(Call::new("blast_radius", arguments)?)?;
    let mut broken = Vec::new();
    for (column, most) in bounds {
        let Some(most) = most else { continue };
        let names = distinct(&answer.batches, column)?;
        if names.len() > most {
            broken.push(format!("{} reaches {} {}s and may reach {most}: {}", wanted.of, names.len(), column, some(&names)));
        }
    }
    if broken.is_empty() {
        output.note("it holds");
        return Ok(Code::Done);
    }
    told(output, &answer)?;
    broken.iter().for_each(|line| output.note(line));
    Ok(Code::DoesNotHold)
}

fn posture(config: &Config, output: &Writer, wanted: &AssertPosture) -> anyhow::Result<Code> {
    if let Some(unknown) = wanted.problem.iter().find(|problem| !PROBLEMS.contains(&problem.as_str())) {
        return Err(Usage(format!("{unknown:?} is no problem: {} are", PROBLEMS.join(", "))).into());
    }
    let asking = Asking::open(config)?;
    let mut broken = false;
    // With nothing but an age asked for, the age alone is looked at.
    if wanted.max_age.is_none() || !wanted.problem.is_empty() {
        let problems: Vec<String> = wanted.problem.iter().map(|problem| quoted(problem)).collect();
        let filter = if problems.is_empty() { String::new() } else { format!(" WHERE problem IN ({})", problems.join(", ")) };
        broken |= is_broken(output, &asking, &format!("SELECT problem, identity, credential, age_days, detail FROM posture(){filter}"), "problems")?;
    }
    if let Some(text) = &wanted.max_age {
        let days = days(text)?;
        let old = format!(
            "SELECT identity, credential, kind, age_days, last_used FROM credentials('machines') WHERE state IN ('active', 'superseded') AND age_days > {days} ORDER BY age_days DESC"
        );
        broken |= is_broken(output, &asking, &old, &format!("credentials in force are older than {text}"))?;
    }
    Ok(if broken { Code::DoesNotHold } else { Code::Done })
}

fn is_broken(output: &Writer, asking: &Asking, sql: &str, what: &str) -> anyhow::Result<bool> {
    let answer = asking.rows(sql)?;
    let rows: usize = answer.batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        output.note("it holds");
        return Ok(false);
    }
    told(output, &answer)?;
    output.note(&format!("{rows} {what}"));
    Ok(true)
}

fn distinct(batches: &[RecordBatch], column: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for cells in batches.iter().filter_map(|batch| batch.column_by_name(column)) {
        let cells = arrow::compute::cast(cells, &arrow::datatypes::DataType::Utf8)?;
        names.extend(cells.as_string::<i32>().iter().flatten().map(str::to_owned));
        // A destination whose environment is not known may be in any.
        if column == "environment" && cells.null_count() > 0 {
            names.insert("(not known)".to_owned());
        }
    }
    Ok(names)
}

fn some(names: &BTreeSet<String>) -> String {
    let mut first: Vec<&str> = names.iter().take(10).map(String::as_str).collect();
    if names.len() > first.len() {
        first.push("…");
    }
    first.join(", ")
}

/// `90d`, `12h`, `2w` in days.
fn days(text: &str) -> anyhow::Result<f64> {
    let units = [('h', 1.0 / 24.0), ('d', 1.0), ('w', 7.0)];
    let days = units.iter().find_map(|(unit, days)| text.strip_suffix(*unit)?.parse::<f64>().ok().map(|count| count * days));
    days.filter(|days| days.is_finite() && *days >= 0.0).ok_or_else(|| Usage(format!("--max-age {text:?}: write 90d, 12h or 2w")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        assert!((days("90d").unwrap() - 90.0).abs() < f64::EPSILON && (days("12h").unwrap() - 0.5).abs() < f64::EPSILON);
        for text in ["", "d", "-1d", "90", "90 days", "NaNd", "infd", "1d OR 1=1"] {
            assert!(days(text).is_err(), "{text}");
        }
    }
}
