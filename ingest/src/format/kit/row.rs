//! A record's fields in numbered slots, and the types that one may ask for. Nothing is allocated per field.

use std::borrow::Cow;

use keytrail_schemas::{Micros, Text};

use super::fields::Fields;
use super::{address, outcome};
use crate::format::{Reject, from_secs, utc_time};
use crate::json::{Value, write_number};

/// How many fields a format may want.
pub(super) const SLOTS_MAX: usize = 72;

/// One record, seen through a format's fields.
pub(crate) struct Row<'d> {
    fields: &'static Fields,
    cells: [Option<(Value<'d>, u8)>; SLOTS_MAX],
}

impl<'d> Row<'d> {
    #[inline]
    pub(super) fn new(fields: &'static Fields) -> Self {
        Self { fields, cells: [None; SLOTS_MAX] }
    }

    /// Puts a value into a slot, if it is something and none of a lower rank is there.
    #[inline]
    pub(super) fn put(&mut self, slot: usize, rank: u8, value: Value<'d>) {
        let Some(cell) = self.cells.get_mut(slot) else { return };
        if cell.is_none_or(|(_, before)| rank < before) && !value.is_null() && value.as_str() != Some("") {
            *cell = Some((value, rank));
        }
    }

    /// The value.
    #[inline]
    pub(crate) fn value(&self, slot: usize) -> Option<Value<'d>> {
        self.cells.get(slot).copied().flatten().map(|(value, _)| value)
    }

    /// Whether the record has it.
    pub(crate) fn has(&self, slot: usize) -> bool {
        self.value(slot).is_some()
    }

    /// The text; `None` for anything else.
    #[inline]
    pub(crate) fn str(&self, slot: usize) -> Option<&'d str> {
        self.value(slot)?.as_str()
    }

    /// The text, or a number or boolean as text.
    pub(crate) fn text(&self, slot: usize) -> Option<Cow<'d, str>> {
        text_of(self.value(slot)?)
    }

    /// As [`Self::text`], owned.
    pub(crate) fn owned(&self, slot: usize) -> Option<Text> {
        self.text(slot).map(|text| Text::from(text.as_ref()))
    }

    /// A whole number, or a text that is one.
    pub(crate) fn integer(&self, slot: usize) -> Option<i64> {
        let value = self.value(slot)?;
        value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// A boolean, or a text that is one.
    pub(crate) fn flag(&self, slot: usize) -> Option<bool> {
        let value = self.value(slot)?;
        value.as_bool().or_else(|| match value.as_str()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        })
    }

    /// The items of an array; a single value that is none stands for itself.
    pub(crate) fn items(&self, slot: usize) -> impl Iterator<Item = Value<'d>> + use<'d> {
        let value = self.value(slot);
        let single = value.filter(|value| !value.is_array());
        value.into_iter().flat_map(Value::items).chain(single)
    }

    /// A moment; `None` when it is absent or none.
    pub(crate) fn time(&self, slot: usize) -> Option<Micros> {
        time_of(self.value(slot)?)
    }

    /// When it happened.
    pub(crate) fn moment(&self, slot: usize) -> Result<Micros, Reject> {
        self.time(slot).ok_or_else(|| Reject::no_time(self.fields.name(slot), self.text(slot).as_deref()))
    }

    /// The IP address; a port behind it is left out.
    pub(crate) fn address(&self, slot: usize) -> Option<Text> {
        address(self.str(slot)?)
    }

    /// How it ended, where the field says it with a word that is known.
    pub(crate) fn outcome(&self, slot: usize) -> Option<keytrail_schemas::Outcome> {
        outcome(self.text(slot)?.as_ref())
    }
}

/// A scalar as text, if it is not empty.
fn text_of(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value.as_str() {
        Some(text) => Some(Cow::Borrowed(text)),
        None if value.is_null() || value.is_object() || value.is_array() => None,
        // Numbers that are ids, most of them.
        None if let Some(number) = value.as_i64().and_then(|number| u64::try_from(number).ok()) => {
            let mut text = String::with_capacity(size_of::<Text>());
            write_number(number, &mut text);
            Some(Cow::Owned(text))
        }
        None => Some(Cow::Owned(value.to_json())),
    }
    .filter(|text| !text.is_empty())
}

/// A moment: RFC 3339, the same without a zone (UTC), or seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size.
pub(crate) fn time_of(value: Value<'_>) -> Option<Micros> {
    match value.as_str() {
        Some(text) => {
            utc_time(text).or_else(|| zone_apart(text)).or_else(|| if text.bytes().all(|b| b.is_ascii_digit()) { since_1970(text.parse().ok()?) } else { None })
        }
        None => value.as_i64().map_or_else(|| value.as_f64().and_then(|secs| from_secs(if secs >= 1e11 { secs / 1e3 } else { secs })), since_1970),
    }
}

/// `2026-03-01 20:00:00.000 -0800`, as databases print it.
fn zone_apart(text: &str) -> Option<Micros> {
    let (moment, zone) = text.rsplit_once(' ').filter(|(moment, _)| moment.len() >= 19)?;
    let zone = match zone.len() {
        5 => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
        _ => zone.to_owned(),
    };
    utc_time(&format!("{moment}{zone}"))
}

/// Seconds reach 10^11 in the year 5138, milliseconds of 1973 are more, and so on.
fn since_1970(count: i64) -> Option<Micros> {
    const STEP: i64 = 100_000_000_000;
    let micros = match count {
        ..0 => return None,
        0..STEP => count.checked_mul(1_000_000)?,
        STEP..100_000_000_000_000 => count.checked_mul(1_000)?,
        100_000_000_000_000..100_000_000_000_000_000 => count,
        _ => count / 1_000,
    };
    Micros(micros).in_range("").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Reader;

    #[test]
    fn moments_are_read_in_every_unit() {
        let mut reader = Reader::default();
        for text in [
            "1700000000",
            "1700000000000",
            "1700000000000000",
            "1700000000000000000",
            "\"1700000000000\"",
            "\"2023-11-14T22:13:20Z\"",
            "\"2023-11-14 22:13:20\"",
            "\"2023-11-14 14:13:20.000 -0800\"",
            "\"2023-11-14 22:13:20.000 Z\"",
            "1700000000.0",
        ] {
            let document = reader.parse(text.as_bytes()).unwrap();
            assert_eq!(time_of(document.root()), Some(Micros(1_700_000_000_000_000)), "{text}");
        }
        for text in ["-1", "\"soon\"", "true", "{}", "9223372036854775807", "1e300"] {
            let document = reader.parse(text.as_bytes()).unwrap();
            assert_eq!(time_of(document.root()), None, "{text}");
        }
    }
}
