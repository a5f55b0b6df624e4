//! `keytrail redact --check`: what redaction would keep of a file, what it would replace, and why, path by path. Nothing is stored.

use std::collections::BTreeMap;

use keytrail_ingest::redact::{Level, Redactor, Replacement};
use keytrail_ingest::source::{Limits, Record, each};
use serde::Serialize;
use serde_json::Value;

use super::ingest;
use crate::cli::Redact;
use crate::config::Config;
use crate::exit::{Code, Usage};
use crate::home::Home;
use crate::output::Writer;

/// What becomes of one value of a record.
#[derive(Debug, Serialize)]
struct Row {
    line: u64,
    path: String,
    /// `kept` or `replaced`.
    outcome: &'static str,
    /// What kind of value was replaced.
    kind: String,
    /// Why it was replaced.
    why: String,
    /// What is stored.
    stored: String,
}

/// Prints a row for each value of each record.
pub fn run(config: &Config, output: &Writer, arguments: &Redact) -> anyhow::Result<Code> {
    let level = arguments.raw.as_deref().unwrap_or(&config.ingest.raw);
    let level: Level = level.parse().map_err(|_| Usage(format!("{level:?}: expected safe, open or hash")))?;
    let redactor = Redactor::new(&Home::open(config)?.fingerprint_key()?);
    let (mut rows, mut records, mut damaged) = (Vec::new(), 0_u64, 0_u64);
    let path = arguments.check.to_string_lossy().into_owned();
    let limits = Limits { record_bytes_max: config.ingest.record_bytes_max, depth_max: config.ingest.depth_max, ..Limits::default() };
    let looked = each(&[path], ingest::choice(&arguments.format)?, &limits, &mut |record| {
        records += 1;
        match (record.damage, std::str::from_utf8(record.bytes)) {
            (None, Ok(text)) => of_record(&redactor, level, record, text, &mut rows),
            (damage, _) => {
                damaged += 1;
                rows.push(of_damaged(&redactor, record, damage.unwrap_or("not UTF-8"), limits.dead_letter_raw_bytes_max));
            }
        }
        true
    });
    looked.map_err(|error| Usage(error.to_string()))?;
    if rows.is_empty() {
        output.note("the file holds no values");
        return Ok(Code::Done);
    }
    output.records(&rows)?;
    let replaced = rows.iter().filter(|row| row.outcome == "replaced").count();
    output.note(&format!(
        "{records} records at level {level}: {} values kept, {replaced} replaced; {damaged} are no records, and would be dead letters",
        rows.len() - replaced
    ));
    Ok(Code::Done)
}

/// A row for each value, in the record's order: those that are replaced as the redactor says, the others as they are kept.
fn of_record(redactor: &Redactor, level: Level, record: &Record<'_>, text: &str, rows: &mut Vec<Row>) {
    let mut replaced: BTreeMap<String, Vec<Replacement>> = BTreeMap::new();
    for replacement in redactor.explain(record.format, text, level) {
        replaced.entry(replacement.path.clone()).or_default().push(replacement);
    }
    let kept = redactor.record(record.format, text, level);
    let mut leaves = Vec::new();
    match serde_json::from_str::<Value>(&kept) {
        Ok(value) => walk(&value, String::new(), &mut leaves),
        Err(_) => leaves.push((String::new(), kept.into_owned())),
    }
    for (path, stored) in leaves {
        let row = |outcome, kind: &str, why: &str, stored: String| Row {
            line: record.line,
            path: path.clone(),
            outcome,
            kind: kind.to_owned(),
            why: why.to_owned(),
            stored,
        };
        match replaced.remove(&path) {
            Some(all) => rows.extend(all.iter().map(|one| row("replaced", one.kind, &one.why, stored.clone()))),
            None => rows.push(row("kept", "", "", stored)),
        }
    }
    // What stands at no value of the result: keys, and parts of lines that are no JSON.
    let rest = replaced.into_values().flatten();
    rows.extend(rest.map(|one| Row { line: record.line, path: one.path, outcome: "replaced", kind: one.kind.to_owned(), why: one.why, stored: one.written }));
}

fn of_damaged(redactor: &Redactor, record: &Record<'_>, damage: &str, bytes_max: usize) -> Row {
    let stored = redactor.bytes(record.format, record.bytes, bytes_max);
    Row { line: record.line, path: String::new(), outcome: "replaced", kind: "bytes".to_owned(), why: format!("no record: {damage}"), stored }
}

/// Every value that is no container, with its path: `a.b[0].c`.
fn walk(value: &Value, path: String, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| walk(value, if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, leaves));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| walk(value, format!("{path}[{index}]"), leaves)),
        Value::String(text) => leaves.push((path, text.clone())),
        other => leaves.push((path, other.to_string())),
    }
}
