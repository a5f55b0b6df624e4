//! Marks by which a record's format is known.

use crate::json::Value;

/// Something that a record of a format has, or has not. Paths are keys with dots between them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// The path leads to something that is not null.
    Has(&'static str),
    /// It leads to nothing.
    Lacks(&'static str),
    /// It leads to this text.
    Is(&'static str, &'static str),
    /// It leads to another text, or to none.
    Isnt(&'static str, &'static str),
    /// It leads to a text that begins so.
    Begins(&'static str, &'static str),
    /// It leads to a text with this in it.
    Holds(&'static str, &'static str),
}

impl Mark {
    pub(super) fn is_on<'d>(self, record: Value<'d>) -> bool {
        let below = |value: Value<'d>, key: &str| value.entries().find_map(|(own, value)| own.eq_ignore_ascii_case(key).then_some(value));
        let at = |path: &str| path.split('.').try_fold(record, |value, key| if key == "0" { value.items().next() } else { below(value, key) });
        let text = |path: &str| at(path).and_then(Value::as_str);
        match self {
            Self::Has(path) => at(path).is_some_and(|value| !value.is_null()),
            Self::Lacks(path) => at(path).is_none_or(Value::is_null),
            Self::Is(path, word) => text(path) == Some(word),
            Self::Isnt(path, word) => text(path) != Some(word),
            Self::Begins(path, word) => text(path).is_some_and(|text| text.starts_with(word)),
            Self::Holds(path, word) => text(path).is_some_and(|text| text.contains(word)),
        }
    }
}

/// Whether all of some marks are on the record.
pub(super) fn are_on(marks: &[Mark], record: Value<'_>) -> bool {
    marks.iter().all(|mark| mark.is_on(record))
}

/// The greatest certainty of which all marks are on the record; 0 when there is none.
pub(super) fn sure(marks: &[(u8, &[Mark])], record: Value<'_>) -> u8 {
    marks.iter().filter(|(_, all)| are_on(all, record)).map(|(sure, _)| *sure).max().unwrap_or(0)
}
