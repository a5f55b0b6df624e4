//! `keytrail redact --check`: what redaction would keep of a file, what it would replace, and why, path by path. Nothing is stored.

use std::collections::BTreeMap;

use keytrail_ingest::format::{Context, Parser, auto, guarded};
use keytrail_ingest::redact::{Level, Redactor, Replacement, is_withheld};
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
    let redactor = Home::open(config)?.redactor()?;
    let (mut rows, mut records, mut damaged) = (Vec::new(), 0_u64, 0_u64);
    let path = arguments.check.to_string_lossy().into_owned();
    let mut parsers = Parsers { redactor: &redactor, level, depth_max: config.ingest.depth_max, of: BTreeMap::new() };
    let limits = Limits { record_bytes_max: config.ingest.record_bytes_max, depth_max: config.ingest.depth_max, ..Limits::default() };
    let looked = each(&[path], ingest::choice(&arguments.format)?, &limits, &mut |record| {
        records += 1;
        match (record.damage, std::str::from_utf8(record.bytes)) {
            (None, Ok(text)) => parsers.of_record(record, text, &mut rows),
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

/// The parsers of the files that are looked at, by path and format: a line's parts and a row's columns are told by them.
struct Parsers<'r> {
    redactor: &'r Redactor,
    level: Level,
    depth_max: usize,
    of: BTreeMap<(String, &'static str), Box<dyn Parser>>,
}

impl Parsers<'_> {
    /// A row for each value of a record, as it would be stored.
    fn of_record(&mut self, record: &Record<'_>, text: &str, rows: &mut Vec<Row>) {
        let (redactor, level) = (self.redactor, self.level);
        let Ok(format) = auto::by_name(record.format) else { return of_json(redactor, level, record, text, rows) };
        let parser = self.of.entry((record.path.to_owned(), record.format)).or_insert_with(|| {
            let file_name = record.path.rsplit('/').next().unwrap_or(record.path).to_owned();
            guarded(format, &Context { redactor: redactor.clone(), level, cluster: "check".into(), depth_max: self.depth_max, file_name })
        });
        let mut drafts = Vec::new();
        // What is refused becomes a dead letter: its values are shown by the same rules.
        let _ = parser.record(record.bytes, record.line, &mut drafts);
        let mut stored: Vec<String> = drafts.into_iter().filter_map(|draft| draft.event.raw).collect();
        stored.dedup();
        let is_json = text.trim_start().starts_with(['{', '[']);
        if let Some(parts) = parser.parts(text).filter(|_| !is_json) {
            let mut at = 0;
            let ends = parts.iter().map(|part| (part.range.clone(), part.place)).chain([(text.len()..text.len(), "")]);
            for (range, place) in ends {
                let (before, part) = (text.get(at..range.start).unwrap_or_default(), text.get(range.clone()).unwrap_or_default());
                rows.extend(cell(record, "message", before, &redactor.line(record.format, &[], before, level)));
                let whole = keytrail_ingest::format::Part { range: 0..part.len(), place };
                rows.extend(cell(record, place, part, &redactor.line(record.format, &[whole], part, level)));
                at = range.end;
            }
        } else if let Some(columns) = parser.columns().filter(|_| !is_json) {
            for (name, value) in columns.names.iter().zip(text.split(char::from(columns.separator))) {
                rows.extend(cell(record, name, value, &redactor.row(record.format, &[name], columns.separator, value, level)));
            }
        } else {
            // Some readings write a record of their own, or several of an envelope, of which the source's places say nothing.
            let kept = redactor.record(record.format, text, level);
            if stored.iter().all(|stored| *stored == kept) {
                of_json(redactor, level, record, text, rows);
            } else {
                stored.iter().for_each(|stored| of_stored(record, stored, rows));
            }
        }
    }
}

/// A row for a part of a line, or a cell.
fn cell(record: &Record<'_>, path: &str, text: &str, stored: &str) -> Option<Row> {
    let is_kept = text == stored;
    (!text.trim().is_empty()).then(|| Row {
        line: record.line,
        path: path.to_owned(),
        outcome: if is_kept { "kept" } else { "replaced" },
        kind: if is_kept { String::new() } else { keytrail_ingest::redact::kind::of(text.as_bytes()).to_owned() },
        why: if is_kept { String::new() } else { format!("place: {path}") },
        stored: stored.to_owned(),
    })
}

/// A row for each value of the record that a reading writes itself.
fn of_stored(record: &Record<'_>, stored: &str, rows: &mut Vec<Row>) {
    let mut leaves = Vec::new();
    match serde_json::from_str::<Value>(stored) {
        Ok(value) => walk(&value, String::new(), &mut leaves),
        Err(_) => leaves.push((String::new(), stored.to_owned())),
    }
    rows.extend(leaves.into_iter().map(|(path, stored)| {
        let is_kept = !is_withheld(&stored) || stored.is_empty();
        let (outcome, why) = if is_kept { ("kept", "") } else { ("replaced", "place: in the record that the format's reading writes") };
        Row { line: record.line, path, outcome, kind: String::new(), why: why.to_owned(), stored }
    }));
}

/// A row for each value, in the record's order: those that are replaced as the redactor says, the others as they are kept.
fn of_json(redactor: &Redactor, level: Level, record: &Record<'_>, text: &str, rows: &mut Vec<Row>) {
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
