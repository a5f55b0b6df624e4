//! Zeek's JSON log writer: one object a row, its keys flat (`id.orig_h`), with underscores (`id_orig_h`) or nested (`id: {orig_h}`).

use super::catalog;
use super::kind::{self, Kind};
use super::row::{Cell, Row};
use crate::json::Value;

/// Where each key of the last row went: rows of a log repeat their keys in the same order, so that a comparison mostly finds the slot.
#[derive(Default)]
pub(super) struct Keys {
    kind: Option<&'static str>,
    seen: Vec<(String, Option<usize>)>,
}

impl Keys {
    /// Puts an object's fields into the slots of `kind`.
    pub(super) fn fill<'a>(&mut self, object: Value<'a>, kind: &'static Kind, row: &mut Row<'a>) {
        if self.kind != Some(kind.path) {
            self.seen.clear();
            self.kind = Some(kind.path);
        }
        for (index, (key, value)) in object.entries().enumerate() {
            if value.is_object() {
                for (inner, value) in value.entries() {
                    if let Some(slot) = kind.slot(&[key, ".", inner].concat()) {
                        put(row, slot, value);
                    }
                }
            } else if let Some(slot) = self.slot(index, key, kind) {
                put(row, slot, value);
            }
        }
    }

    fn slot(&mut self, index: usize, key: &str, kind: &Kind) -> Option<usize> {
        if let Some((seen, slot)) = self.seen.get(index)
            && seen == key
        {
            return *slot;
        }
        let slot = kind.slot(key);
        // An object of a hundred thousand keys is no row: what is remembered is bounded.
        if index < 256 {
            if self.seen.len() <= index {
                self.seen.resize_with(index + 1, Default::default);
            }
            if let Some(place) = self.seen.get_mut(index) {
                *place = (key.to_owned(), slot);
            }
        }
        slot
    }
}

fn put<'a>(row: &mut Row<'a>, slot: usize, value: Value<'a>) {
    if !value.is_null() {
        row.put(slot, Cell::Json(value));
    }
}

/// The name that the row itself gives its log: `_path` (Zeek's JSON streaming logs), `@stream` (Corelight), `_stream`.
pub(super) fn path<'a>(object: Value<'a>) -> Option<&'a str> {
    object
        .entries()
        .filter(|(key, _)| key.starts_with(['_', '@']))
        .find(|(key, _)| matches!(*key, "_path" | "@stream" | "_stream"))
        .and_then(|(_, value)| value.as_text())
}

/// The kind whose own fields the object has.
pub(super) fn marked(object: Value<'_>) -> Option<&'static Kind> {
    catalog::marked(|field| {
        object.entries().any(|(key, value)| {
            kind::same_field(key, field)
                || (value.is_object() && field.split_once('.').is_some_and(|(outer, inner)| outer == key && value.get(inner).is_some()))
        })
    })
}
