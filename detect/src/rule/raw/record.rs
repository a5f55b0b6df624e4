//! One raw record as rules see it: fields by the places that were found, decoded when they are asked for.

use std::borrow::Cow;

use rsigma_eval::EventValue;
use rustc_hash::FxHashMap;

use super::walk::{Found, Slot, Span, any_string};

/// A record, and where its fields stand.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Its JSON.
    pub raw: &'a str,
    /// Numbers of the fields that were looked for.
    pub slots: &'a FxHashMap<String, Slot>,
    /// Where they stand.
    pub found: &'a Found,
}

impl<'a> Record<'a> {
    /// The value of a field; a list where the record has several.
    #[must_use]
    pub fn value(&self, slot: Slot) -> Option<EventValue<'a>> {
        match self.found.spans(slot) {
            [] => None,
            [span] => Some(self.decode(*span)),
            spans => Some(EventValue::Array(spans.iter().map(|span| self.decode(*span)).collect())),
        }
    }

    /// The JSON of the objects and lists that a field holds.
    pub fn containers(&self, slot: Slot) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        self.found.spans(slot).iter().filter_map(|span| self.raw.get(span.start..span.end)).filter(|text| text.starts_with(['{', '[']))
    }

    /// The text of a field, for grouping.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.value(*self.slots.get(name)?)?;
        match value {
            EventValue::Array(_) | EventValue::Map(_) => Some(value.to_json().to_string()),
            EventValue::Null => None,
            scalar => scalar.as_str().map(Cow::into_owned),
        }
    }

    fn decode(&self, span: Span) -> EventValue<'a> {
        decode(self.raw.get(span.start..span.end).unwrap_or_default())
    }
}

/// A JSON value as rsigma has it.
fn decode(json: &str) -> EventValue<'_> {
    match json.as_bytes().first() {
        Some(b'"') => match json.get(1..json.len().saturating_sub(1)) {
            Some(text) if !text.contains('\\') => EventValue::Str(Cow::Borrowed(text)),
            _ => EventValue::Str(Cow::Owned(serde_json::from_str(json).unwrap_or_default())),
        },
        Some(b't') => EventValue::Bool(true),
        Some(b'f') => EventValue::Bool(false),
        Some(b'n') => EventValue::Null,
        _ => serde_json::from_str(json).map_or(EventValue::Null, owned),
    }
}

fn owned(value: serde_json::Value) -> EventValue<'static> {
    use serde_json::Value;
    match value {
        Value::Null => EventValue::Null,
        Value::Bool(fact) => EventValue::Bool(fact),
        Value::Number(number) => number.as_i64().map_or_else(|| EventValue::Float(number.as_f64().unwrap_or(f64::NAN)), EventValue::Int),
        Value::String(text) => EventValue::Str(Cow::Owned(text)),
        Value::Array(members) => EventValue::Array(members.into_iter().map(owned).collect()),
        Value::Object(members) => EventValue::Map(members.into_iter().map(|(key, value)| (Cow::Owned(key), owned(value))).collect()),
    }
}

impl rsigma_eval::Event for Record<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        self.value(*self.slots.get(path)?)
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        any_string(self.raw, pred)
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let texts = std::cell::RefCell::new(Vec::new());
        any_string(self.raw, &|text| {
            texts.borrow_mut().push(Cow::Owned(text.to_owned()));
            false
        });
        texts.into_inner()
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::from_str(self.raw).unwrap_or_default()
    }
}
