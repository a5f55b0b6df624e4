//! Labels: what really happened. Read tolerantly, so that labels of other origin than the test bed serve too: by identity and time, or by
//! the ids of events.

use std::collections::BTreeSet;

use keytrail_schemas::Micros;
use serde_json::Value;

/// One attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its kind.
    pub attack: String,
    /// How it was done.
    pub variant: String,
    /// ATT&CK technique.
    pub technique: String,
    /// Whose identities were abused; empty where only events are labelled.
    pub identities: Vec<String>,
    /// Time of its first record.
    pub start: Micros,
    /// Time of its last record.
    pub end: Micros,
    /// The provider's own ids of its records.
    pub provider_event_ids: Vec<String>,
    /// keytrail's ids of its events: from the labels, or looked up in the lake.
    pub event_ids: BTreeSet<String>,
}

/// Something benign that looks suspicious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoy {
    /// Its kind.
    pub what: String,
    /// Whom it concerns; empty for everyone.
    pub identities: Vec<String>,
    /// From.
    pub start: Micros,
    /// To.
    pub end: Micros,
}

fn texts(row: &Value, keys: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for key in keys {
        match row.get(key) {
            Some(Value::String(text)) => found.push(text.clone()),
            Some(Value::Array(list)) => found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
            _ => {}
        }
    }
    found
}

fn text(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn time(row: &Value, keys: &[&str]) -> Option<Micros> {
    keys.iter().find_map(|key| row.get(key)).and_then(Value::as_str).and_then(|text| Micros::parse_rfc3339(text).ok())
}

/// Rows of a JSON array, or of one JSON object a line.
fn rows(content: &str) -> Result<Vec<Value>, String> {
    if content.trim_start().starts_with('[') {
        return serde_json::from_str(content).map_err(|error| format!("line {}, column {}: {error}", error.line(), error.column()));
    }
    let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))).collect()
}

/// Reads labels: a JSON array or one object a line, each with `attack` and either `identity` (and `also`) with `start` and `end`, or
/// `event_id`, `event_ids` or `provider_event_ids`; with event ids alone, `start` and `end` are looked up.
///
/// # Errors
/// With the number of the label and the field that is wrong.
pub fn read(content: &str) -> Result<Vec<Label>, String> {
    let mut labels = Vec::new();
    for (number, row) in rows(content)?.iter().enumerate() {
        let wrong = |what: &str| format!("label {}: {what}", number + 1);
        let attack = text(row, "attack");
        if attack.is_empty() {
            return Err(wrong("`attack` is missing"));
        }
        let identities = texts(row, &["identity", "also", "identities"]);
        let (event_ids, provider_event_ids) = (texts(row, &["event_id", "event_ids"]), texts(row, &["provider_event_ids"]));
        let start = time(row, &["start", "time", "first"]);
        if start.is_none() && event_ids.is_empty() {
            return Err(wrong("needs `start` (an RFC 3339 time) with `identity`, or `event_ids`"));
        }
        if identities.is_empty() && event_ids.is_empty() {
            return Err(wrong("names neither an identity nor an event"));
        }
        let start = start.unwrap_or_default();
        let end = time(row, &["end", "last"]).unwrap_or(start);
        if end < start {
            return Err(wrong("`end` is before `start`"));
        }
        let (variant, technique) = (text(row, "variant"), text(row, "technique"));
        labels.push(Label { attack, variant, technique, identities, start, end, provider_event_ids, event_ids: event_ids.into_iter().collect() });
    }
    Ok(labels)
}

/// Reads decoys, as the test bed writes them.
///
/// # Errors
/// When they are no JSON.
pub fn read_decoys(content: &str) -> Result<Vec<Decoy>, String> {
    let decoy = |row: &Value| {
        Some(Decoy { what: text(row, "what"), identities: texts(row, &["identities"]), start: time(row, &["start"])?, end: time(row, &["end"])? })
    };
    Ok(rows(content)?.iter().filter_map(decoy).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_any_origin_are_read_and_wrong_ones_are_named() {
        let array = r#"[{"attack":"a","identity":"aws:1:user/x","also":["10.0.0.1"],"start":"2026-10-01T00:00:00Z","end":"2026-10-01T01:00:00Z","provider_event_ids":["e"]}]"#;
        let labels = read(array).unwrap();
        assert_eq!(labels[0].identities, ["aws:1:user/x", "10.0.0.1"]);
        let lines = "{\"attack\":\"a\",\"event_id\":\"1f\"}\n\n{\"attack\":\"b\",\"identity\":\"i\",\"time\":\"2026-10-01T00:00:00Z\"}\n";
        let labels = read(lines).unwrap();
        assert!(labels[0].event_ids.contains("1f") && labels[1].start == labels[1].end);
        for (content, says) in [
            ("[{\"attack\":\"a\"}]", "label 1: needs `start`"),
            ("[{\"identity\":\"a\"}]", "label 1: `attack` is missing"),
            ("{\"attack\":\"a\",\"event_id\":\"1f\"}\n{", "line 2"),
            ("[{\"attack\":\"a\",\"start\":\"2026-10-01T00:00:00Z\"}]", "neither an identity nor an event"),
            ("[{\"attack\":\"a\",\"identity\":\"i\",\"start\":\"2026-10-02T00:00:00Z\",\"end\":\"2026-10-01T00:00:00Z\"}]", "`end` is before"),
            ("[", "line 1"),
        ] {
            let error = read(content).unwrap_err();
            assert!(error.contains(says), "{content}: {error}");
        }
    }
}
