//! What a person would read, whoever wrote it: read from rows of the lake, with whatever columns they have, or from lines of a file.

use std::collections::BTreeMap;

use keytrail_schemas::Micros;
use serde_json::Value;

/// One thing that an alert says: a detection, or the whole finding where there are no detections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// When it was told.
    pub time: Micros,
    /// Time of its first event.
    pub first: Micros,
    /// Time of its last event.
    pub last: Micros,
    /// Its events.
    pub event_ids: Vec<String>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its id.
    pub id: String,
    /// Its rule.
    pub rule: String,
    /// One line for a person.
    pub title: String,
    /// 0 to 4.
    pub severity: u8,
    /// `policy`, `statistical`, …
    pub kind: String,
    /// Whom it names.
    pub identities: Vec<String>,
    /// When it was opened.
    pub time: Micros,
    /// By what the queue is ordered.
    pub score: Option<f64>,
    /// The calibrated probability on normal traffic.
    pub p_value: Option<f64>,
    /// What it says; nothing, where it is a posture alone.
    pub parts: Vec<Part>,
}

const SEVERITIES: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

fn text(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(row: &Value, key: &str) -> Vec<String> {
    row.get(key).and_then(Value::as_array).map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
}

fn time(row: &Value, key: &str) -> Option<Micros> {
    let text = row.get(key)?.as_str()?;
    Micros::parse_rfc3339(text).or_else(|_| Micros::parse_rfc3339(&format!("{text}Z"))).ok()
}

/// Alerts from rows of `findings` (any revisions; the highest of each counts) and of `detections` (none, where the lake has no such table).
/// Unknown columns are passed over, missing ones are empty; a row without an id or a time is no alert.
pub fn from_rows(findings: &[Value], detections: &[Value]) -> Vec<Alert> {
    let mut latest: BTreeMap<String, (i64, Alert)> = BTreeMap::new();
    for row in findings {
        let Some(alert) = from_row(row) else { continue };
        let revision = row.get("revision").and_then(Value::as_i64).unwrap_or(0);
        if latest.get(&alert.id).is_none_or(|(before, _)| revision >= *before) {
            // When a finding was opened does not change with what joins it.
            latest.insert(alert.id.clone(), (revision, alert));
        }
    }
    let mut parts: BTreeMap<String, BTreeMap<String, (i64, Part)>> = BTreeMap::new();
    for row in detections {
        // A posture is no news, whenever it is noted.
        if text(row, "kind") == "posture" {
            parts.entry(text(row, "finding_id")).or_default();
            continue;
        }
        let Some(mut part) = part(row) else { continue };
        if text(row, "kind") == "absence" {
            // Its first event is the last sign of life, its last the time by which one was due.
            part.first = part.last;
            part.time = part.time.max(part.last);
        }
        let revision = row.get("revision").and_then(Value::as_i64).unwrap_or(0);
        let of = parts.entry(text(row, "finding_id")).or_default();
        let slot = of.entry(text(row, "detection_id")).or_insert_with(|| (revision, part.clone()));
        if revision >= slot.0 {
            *slot = (revision, part);
        }
    }
    let mut alerts: Vec<_> = latest.into_values().map(|(_, alert)| alert).collect();
    for alert in &mut alerts {
        if let Some(of) = parts.remove(&alert.id) {
            alert.parts = of.into_values().map(|(_, part)| part).collect();
            // What was noted before the finding was opened is told with it.
            alert.parts.iter_mut().for_each(|part| part.time = part.time.max(alert.time));
            alert.parts.sort_by_key(|part| part.time);
        }
    }
    alerts.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    alerts
}

fn part(row: &Value) -> Option<Part> {
    let first = time(row, "first_event_time").or_else(|| time(row, "time"))?;
    let told = time(row, "time").unwrap_or(first);
    Some(Part { time: told, first, last: time(row, "last_event_time").unwrap_or(told), event_ids: texts(row, "event_ids") })
}

fn from_row(row: &Value) -> Option<Alert> {
    let part = part(row)?;
    let mut identities = vec![text(row, "identity")];
    identities.extend(texts(row, "members"));
    Some(Alert {
        id: row.get("finding_id")?.as_str()?.to_owned(),
        rule: text(row, "rule"),
        title: text(row, "title"),
        severity: SEVERITIES.iter().position(|name| *name == text(row, "severity")).map_or(0, |place| place as u8),
        kind: text(row, "kind"),
        identities,
        time: part.time,
        score: row.get("score").and_then(Value::as_f64),
        p_value: row.get("p_value").and_then(Value::as_f64),
        parts: vec![part],
    })
}

/// An alert of another detector: one identity's hour, with a score.
pub fn of_hour(rule: &str, identity: &str, hour: Micros, score: f64) -> Alert {
    let last = Micros(hour.0 + Micros::HOUR - 1);
    Alert {
        id: String::new(),
        rule: rule.to_owned(),
        title: String::new(),
        severity: 0,
        kind: String::new(),
        identities: vec![identity.to_owned()],
        time: hour,
        score: Some(score),
        p_value: None,
        parts: vec![Part { time: hour, first: hour, last, event_ids: Vec::new() }],
    }
}

/// Alerts of another detector from lines like `{"identity": "…", "time": "2026-10-01T03:00:00Z", "score": 0.9}`.
///
/// # Errors
/// With the number of the line, and what is wrong with it.
pub fn from_lines(name: &str, lines: &str) -> Result<Vec<Alert>, String> {
    let mut alerts = Vec::new();
    for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: &str| format!("line {}: {what}", number + 1);
        let row: Value = serde_json::from_str(line).map_err(|error| wrong(&error.to_string()))?;
        let identity = row.get("identity").and_then(Value::as_str).ok_or_else(|| wrong("`identity` is missing"))?;
        let time = time(&row, "time").ok_or_else(|| wrong("`time` is missing, or no RFC 3339 time"))?;
        let score = row.get("score").and_then(Value::as_f64).ok_or_else(|| wrong("`score` is missing, or no number"))?;
        alerts.push(of_hour(name, identity, Micros(time.0 - time.0.rem_euclid(Micros::HOUR)), score));
    }
    Ok(alerts)
}
