//! Times in which nothing was heard: a record when one begins, and another when it has ended, so that nobody takes silence for peace.

use keytrail_schemas::Micros;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A gap that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Since when nothing is known.
    pub from: Micros,
    /// Why.
    pub reason: String,
}

/// What a record of the source about itself says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<'a> {
    /// The subscription stands for the first time.
    Subscribed(Micros),
    /// Nothing is heard any more.
    Silent(&'a Gap),
    /// It is heard again.
    Resumed(&'a Gap, Micros),
    /// Some events between two moments are lost, and others are there.
    Lost { from: Micros, to: Micros, reason: &'a str },
}

impl Told<'_> {
    /// The fields of the record.
    pub fn fields(&self) -> Map<String, Value> {
        let (state, from, to, reason) = match self {
            Self::Subscribed(at) => ("subscribed", Some(*at), Some(*at), ""),
            Self::Silent(gap) => ("silent", Some(gap.from), None, gap.reason.as_str()),
            Self::Resumed(gap, to) => ("resumed", Some(gap.from), Some(*to), gap.reason.as_str()),
            Self::Lost { from, to, reason } => ("lost", Some(*from), Some(*to), *reason),
        };
        let time = |time: Option<Micros>| time.map_or(Value::Null, |time| json!(time.to_rfc3339()));
        let mut fields = Map::new();
        fields.insert("SourceState".to_owned(), json!(state));
        fields.insert("From".to_owned(), time(from));
        fields.insert("To".to_owned(), time(to));
        fields.insert("Reason".to_owned(), if reason.is_empty() { Value::Null } else { json!(reason) });
        fields
    }
}
