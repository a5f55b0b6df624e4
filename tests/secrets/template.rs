//! Places told as data: a record of a format, the paths in it at which anything may stand, and those at which text is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::place::{Place, closed, kept, percent};

/// A format's record, and the places in it.
pub struct Template {
    pub format: &'static str,
    /// The file that its records go to.
    pub file: &'static str,
    /// What the record is about, for the places' names.
    pub name: &'static str,
    /// A record that is read. `{n}` stands for a number of its own, `{id}` for an id, `{time}` for a time, `{millis}` and `{nanos}` for one since 1970.
    pub record: &'static str,
    /// Paths where any value may stand, keys with slashes between; a number is an item of an array.
    pub closed: &'static [&'static str],
    /// Paths of kept text.
    pub texts: &'static [&'static str],
}

/// How a value stands in a field that takes anything.
type Wrap = (&'static str, fn(&str) -> Value);

const WRAPS: &[Wrap] =
    &[
        ("a form's body", |s| json!(format!("grant_type=client_credentials&client_id=app&client_secret={}", percent(s)))),
        ("JSON in a string", |s| json!(json!({"user": "app", "any": s}).to_string())),
        ("JSON in base64", |s| json!(STANDARD.encode(json!({"user": "app", "any": s}).to_string()))),
        ("a list", |s| json!(["first", s])),
        ("an assertion of SAML in base64", |s| {
            json!(STANDARD.encode(format!(
                "<saml:Assertion><saml:AttributeValue>{}</saml:AttributeValue></saml:Assertion>",
                s.replace('&', "&amp;").replace('<', "&lt;")
            )))
        }),
        ("an error that echoes", |s| json!(format!("value {s} is not accepted"))),
        ("JSON in JSON in a string", |s| json!(json!({"body": json!({"any": s}).to_string()}).to_string())),
        ("an object", |s| json!({"name": "DB", "value": s})),
    ];

impl Template {
    /// Its places: each closed path plain and in two ways in turn, each kept text in all wrappings.
    pub fn places(&self) -> Vec<Place> {
        let (format, file, record) = (self.format, self.file, self.record);
        let mut all = Vec::new();
        for (index, path) in self.closed.iter().copied().enumerate() {
            let name = format!("{} {path}", self.name);
            all.push(closed(format, file, &name, move |s, n| filled(record, path, json!(s), n)));
            for (wrapping, wrap) in WRAPS.iter().cycle().skip(index * 2).take(2) {
                all.push(closed(format, file, &format!("{name}: {wrapping}"), move |s, n| filled(record, path, wrap(s), n)));
            }
        }
        for path in self.texts.iter().copied() {
            all.extend(kept(format, file, &format!("{} {path}", self.name), move |s: &str, n| filled(record, path, json!(s), n)));
        }
        all
    }
}

/// A template's record with its own number, id and time.
pub fn numbered(record: &str, n: u64) -> String {
    let secs = 1_772_409_600 + n * 7;
    let time = format!("2026-03-{:02}T{:02}:{:02}:{:02}Z", 2 + secs % 2_592_000 / 86_400 % 27, secs / 3_600 % 24, secs / 60 % 60, secs % 60);
    record
        .replace("{n}", &n.to_string())
        .replace("{id}", &format!("{n:08x}-7777-4888-8999-aaaabbbbcccc"))
        .replace("{time}", &time)
        .replace("{millis}", &(secs * 1_000).to_string())
        .replace("{nanos}", &(secs * 1_000_000_000).to_string())
}

/// The record with `value` at `path`.
fn filled(record: &str, path: &str, value: Value, n: u64) -> String {
    let mut record: Value = serde_json::from_str(&numbered(record, n)).unwrap_or_else(|error| panic!("{record}: {error}"));
    let mut at = &mut record;
    for key in path.split('/') {
        at = match key.parse::<usize>() {
            Ok(index) if at.is_array() => &mut at[index],
            _ => &mut at[key],
        };
    }
    *at = value;
    record.to_string()
}
