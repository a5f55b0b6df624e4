//! What carriers wrap around a record: EventBridge, CloudWatch Logs, SNS, SQS, Azure diagnostics, a `CloudTrail` look-up.
//!
//! Framing opens the envelopes that a file consists of; this opens those that stand around a single record.

use super::{Disposition, Draft, Reject, Rejected};
use crate::json::Value;

/// How many envelopes may stand around one another.
pub(super) const NESTING_MAX: u8 = 5;

/// Keys whose string is a record, or an envelope with one, in JSON.
const TEXT_KEYS: &[&[&str]] = &[&["message"], &["Message"], &["@message"], &["body"], &["CloudTrailEvent"], &["properties", "log"], &["log"], &["_raw"]];

/// Keys whose array holds records or envelopes.
const LIST_KEYS: &[&str] = &["Records", "records", "logEvents", "Events", "events", "items"];

/// Keys whose object is the record.
const OBJECT_KEYS: &[&str] = &["detail", "log", "json"];

/// What a value is, seen as an envelope.
pub(super) enum Envelope<'d> {
    /// The record itself, or nothing that is known.
    None,
    /// It says of itself that it carries nothing: a CloudWatch Logs control message.
    Empty,
    /// The record stands within it.
    Within(Value<'d>),
    /// The records stand in these texts.
    Texts(Vec<String>),
}

/// What is read of one record and of those within it: one that cannot be understood costs itself alone.
pub(super) struct Opening<'o> {
    /// Where drafts go.
    pub(super) out: &'o mut Vec<Draft>,
    /// The line of the outermost envelope.
    pub(super) line: u64,
    first: usize,
    rejected: Vec<Rejected>,
    number: u32,
}

impl<'o> Opening<'o> {
    pub(super) fn new(out: &'o mut Vec<Draft>, line: u64) -> Self {
        Self { first: out.len(), out, line, rejected: Vec::new(), number: 0 }
    }

    /// Reads the records of an envelope, one after the other. Of an envelope around a single record, that record's fault is its own.
    pub(super) fn each(&mut self, texts: &[String], mut read: impl FnMut(&str, &mut Self) -> Result<(), Reject>) -> Result<(), Reject> {
        if let [only] = texts {
            return read(only, self);
        }
        for (text, place) in texts.iter().zip(1..) {
            self.number += 1;
            let (before, number) = (self.out.len(), self.number);
            if let Err(mut reject) = read(text, self) {
                self.out.truncate(before);
                reject.message = format!("record {place} of {} in an envelope: {}", texts.len(), reject.message);
                self.rejected.push(Rejected { number, record: text.clone().into_bytes(), reject });
            }
        }
        Ok(())
    }

    /// What became of the record as a whole.
    pub(super) fn end(self) -> Disposition {
        if !self.rejected.is_empty() {
            Disposition::Partly(self.rejected)
        } else if self.out.len() > self.first {
            Disposition::Yielded
        } else {
            Disposition::Control
        }
    }
}

/// Looks for an envelope around a record that `is_record` does not know.
pub(super) fn open<'d>(value: Value<'d>, is_record: impl Fn(Value<'d>) -> bool) -> Envelope<'d> {
    if is_record(value) {
        return Envelope::None;
    }
    if value.is_array() {
        return Envelope::Texts(value.items().map(Value::to_json).collect());
    }
    if value.get("messageType").and_then(Value::as_str) == Some("CONTROL_MESSAGE") {
        return Envelope::Empty;
    }
    if let Some(inner) = OBJECT_KEYS.iter().filter_map(|key| value.get(key)).find(|inner| is_record(*inner)) {
        return Envelope::Within(inner);
    }
    if let Some(text) = TEXT_KEYS.iter().filter_map(|path| value.str_at(path)).find(|text| text.trim_start().starts_with(['{', '['])) {
        return Envelope::Texts(vec![text.to_owned()]);
    }
    if let Some(list) = LIST_KEYS.iter().filter_map(|key| value.get(key)).find(|list| list.is_array()) {
        return Envelope::Texts(list.items().map(Value::to_json).collect());
    }
    Envelope::None
}
