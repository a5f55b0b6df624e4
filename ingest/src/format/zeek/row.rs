//! One row of a Zeek log, whatever its encoding: the fields that a kind asked for, in numbered slots.
//!
//! TSV cells stay as text until asked for; JSON cells have their type already. Nothing is allocated per field.

use std::borrow::Cow;

use keytrail_schemas::{Micros, Reason, Text};

use crate::format::Reject;
use crate::json::Value;

/// How many slots a row has.
pub(super) const SLOTS_MAX: usize = 32;

/// Slots that every kind has; its own fields follow from [`OWN`] on.
pub(super) const TS: usize = 0;
/// `uid`.
pub(super) const UID: usize = 1;
/// `id.orig_h`, the client's address.
pub(super) const ORIG_H: usize = 2;
/// `id.resp_h`, the server's address.
pub(super) const RESP_H: usize = 3;
/// `id.resp_p`, the server's port.
pub(super) const RESP_P: usize = 4;
/// The sensor's name, where the log carries one.
pub(super) const SENSOR: usize = 5;
/// `is_orig` of ICSNPP's logs: whether the client sent what the row is about.
pub(super) const IS_ORIG: usize = 6;
/// `source_h` of ICSNPP's logs: the sender's address.
pub(super) const SOURCE_H: usize = 7;
/// `destination_h` of ICSNPP's logs: the receiver's address.
pub(super) const DESTINATION_H: usize = 8;
/// The first slot of a kind's own fields.
pub(super) const OWN: usize = 9;

/// Names of the common slots; several names may mean the same slot.
pub(super) const COMMON: [(&str, usize); 11] = [
    ("ts", TS),
    ("uid", UID),
    ("id.orig_h", ORIG_H),
    ("id.resp_h", RESP_H),
    ("id.resp_p", RESP_P),
    ("is_orig", IS_ORIG),
    ("source_h", SOURCE_H),
    ("destination_h", DESTINATION_H),
    ("_system_name", SENSOR),
    ("@system", SENSOR),
    ("_node", SENSOR),
];

/// A field's value.
#[derive(Clone, Copy, Default)]
pub(super) enum Cell<'a> {
    /// The row does not have it, or it is unset.
    #[default]
    Absent,
    /// A TSV cell, still escaped.
    Raw(&'a str),
    /// A JSON value.
    Json(Value<'a>),
}

/// One row.
pub(super) struct Row<'a> {
    cells: [Cell<'a>; SLOTS_MAX],
    /// What stands between the items of a TSV set or vector.
    set_separator: char,
    /// When, once it was asked for.
    ts: std::cell::Cell<Option<Micros>>,
}

impl<'a> Row<'a> {
    /// A row without fields.
    pub(super) fn new(set_separator: char) -> Self {
        Self { cells: [Cell::Absent; SLOTS_MAX], set_separator, ts: std::cell::Cell::new(None) }
    }

    /// Puts a value into a slot; the first one counts.
    #[inline]
    pub(super) fn put(&mut self, slot: usize, cell: Cell<'a>) {
        if let Some(place @ Cell::Absent) = self.cells.get_mut(slot) {
            *place = cell;
        }
    }

    #[inline]
    fn cell(&self, slot: usize) -> Cell<'a> {
        self.cells.get(slot).copied().unwrap_or_default()
    }

    /// Whether the slot holds something.
    pub(super) fn has(&self, slot: usize) -> bool {
        !matches!(self.cell(slot), Cell::Absent)
    }

    /// The text, if it is not empty.
    #[inline]
    pub(super) fn text(&self, slot: usize) -> Option<Cow<'a, str>> {
        match self.cell(slot) {
            Cell::Absent => None,
            Cell::Raw(raw) => Some(unescape(raw)),
            Cell::Json(value) => match value.as_str() {
                Some(text) => Some(Cow::Borrowed(text)),
                None if value.is_null() || value.is_object() || value.is_array() => None,
                None => Some(Cow::Owned(value.to_json())),
            },
        }
        .filter(|text| !text.is_empty())
    }

    /// As [`Self::text`], as an owned text.
    pub(super) fn owned(&self, slot: usize) -> Option<Text> {
        self.text(slot).map(|text| Text::from(text.as_ref()))
    }

    /// A whole number.
    #[inline]
    pub(super) fn integer(&self, slot: usize) -> Option<i64> {
        match self.cell(slot) {
            Cell::Absent => None,
            Cell::Raw(raw) => raw.parse().ok(),
            Cell::Json(value) => value.as_i64().or_else(|| value.as_str()?.parse().ok()),
        }
    }

    /// A boolean: `T` and `F` in TSV.
    #[inline]
    pub(super) fn flag(&self, slot: usize) -> Option<bool> {
        let word = match self.cell(slot) {
            Cell::Absent => return None,
            Cell::Raw(raw) => raw,
            Cell::Json(value) => match value.as_bool() {
                Some(flag) => return Some(flag),
                None => value.as_str()?,
            },
        };
        match word {
            "T" | "true" | "1" => Some(true),
            "F" | "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// A moment; `None` when it is absent or none.
    pub(super) fn time(&self, slot: usize) -> Option<Micros> {
        match self.cell(slot) {
            Cell::Absent => None,
            Cell::Raw(raw) => parse_time(raw),
            Cell::Json(value) => match value.as_str() {
                Some(text) => parse_time(text),
                None => value.as_f64().and_then(from_number),
            },
        }
    }

    /// When the row was written about.
    pub(super) fn ts(&self) -> Result<Micros, Reject> {
        if let Some(known) = self.ts.get() {
            return Ok(known);
        }
        let no_time = |message: String| Reject { reason: Reason::NoTime, field: Some(Text::const_new("ts")), message };
        if !self.has(TS) {
            return Err(no_time("the field ts is missing or unset: a Zeek row without a time cannot be placed".to_owned()));
        }
        let ts = self.time(TS).ok_or_else(|| {
            let found = crate::format::described(&self.text(TS).unwrap_or_default());
            no_time(format!("the field ts holds {found}: expected seconds since 1970 or an ISO 8601 time between 1970 and 2200"))
        })?;
        self.ts.set(Some(ts));
        Ok(ts)
    }

    /// Calls `each` with the items of a set or vector.
    pub(super) fn items(&self, slot: usize, mut each: impl FnMut(&str)) {
        match self.cell(slot) {
            Cell::Absent => {}
            Cell::Raw(raw) => raw.split(self.set_separator).for_each(|item| each(&unescape(item))),
            Cell::Json(value) => match value.as_str() {
                Some(text) => each(text),
                None => value.items().filter_map(Value::as_text).for_each(each),
            },
        }
    }

    /// The first item of a set or vector.
    pub(super) fn first(&self, slot: usize) -> Option<Text> {
        let mut first = None;
        self.items(slot, |item| {
            if first.is_none() && !item.is_empty() {
                first = Some(Text::from(item));
            }
        });
        first
    }
}

/// Seconds since 1970 with a fraction; more than 10^11 is taken for milliseconds (`JSON::TS_MILLIS`).
fn from_number(number: f64) -> Option<Micros> {
    crate::format::from_secs(if number >= 1e11 { number / 1e3 } else { number })
}

/// A time as Zeek writes it: `1381967744.641998`, or ISO 8601.
fn parse_time(text: &str) -> Option<Micros> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() <= 10 && !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()) && fraction.bytes().all(|b| b.is_ascii_digit()) {
        let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let secs: i64 = whole.parse().ok()?;
        return Micros(secs * Micros::SECOND + micros).in_range(text).ok();
    }
    Micros::parse_rfc3339(text).ok().or_else(|| from_number(text.parse().ok()?))
}

/// Undoes Zeek's escapes `\xHH` and `\\`; an escape that is none stays, and so do escapes that do not give UTF-8.
fn unescape(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|d| char::from(*d).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (byte, tail.first()) {
            (b'\\', Some(b'\\')) => {
                out.push(b'\\');
                rest = tail.get(1..).unwrap_or_default();
            }
            (b'\\', Some(b'x')) if digit(1).is_some() && digit(2).is_some() => {
                out.push(digit(1).unwrap_or_default() << 4 | digit(2).unwrap_or_default());
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(raw), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_every_shape() {
        for text in ["1381967744.641998", "2013-10-16T23:55:44.641998Z", "1381967744641.998"] {
            assert_eq!(parse_time(text), Some(Micros(1_381_967_744_641_998)), "{text}");
        }
        assert_eq!(parse_time("1381967744"), Some(Micros(1_381_967_744_000_000)));
        for text in ["", "-", "-5.0", "abc", "1e300", "NaN", "99999999999999999999", "9999999999.0"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"O=Example\\, Inc.\x09x\xc3\xa4"), "O=Example\\, Inc.\tx\u{e4}");
        assert_eq!(unescape(r"\xff"), r"\xff", "not UTF-8: left as it stands");
        assert_eq!(unescape(r"C:\x"), r"C:\x");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,40}", escaped in r"[\\x0-9a-f]{0,20}") {
            let _ = (parse_time(&text), unescape(&text), unescape(&escaped));
        }
    }
}
