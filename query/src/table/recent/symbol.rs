//! Names and keys as numbers, so that what many files have in common is held, hashed and compared once.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::run::KEY_COLUMNS;

/// In the place of a name where there is none.
pub(super) const NONE: u32 = u32::MAX;

/// The texts of [`super::super::LOOKED_UP`]'s key, by number.
pub(super) type Key = [u32; KEY_COLUMNS];

/// What a text takes of memory beside its bytes, and what a key takes.
const TEXT_BYTES: usize = 96;
const KEY_BYTES: usize = 96;

/// Every text and key that some file has.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    of_text: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    text_bytes: usize,
    of_key: FxHashMap<Key, u32>,
    keys: Vec<Key>,
}

impl Symbols {
    /// The number of a text, if it has one.
    pub(super) fn known(&self, text: &str) -> Option<u32> {
        self.of_text.get(text).copied()
    }

    pub(super) fn text(&self, number: u32) -> Option<&str> {
        self.texts.get(number as usize).map(AsRef::as_ref)
    }

    pub(super) fn key(&self, number: u32) -> Option<&Key> {
        self.keys.get(number as usize)
    }

    /// The number of a text, which may be new. There are fewer than 2^32: memory is bounded below that.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(known) = self.known(text) {
            return known;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(NONE);
        let text: Arc<str> = text.into();
        self.text_bytes += text.len();
        self.texts.push(text.clone());
        self.of_text.insert(text, number);
        number
    }

    /// The number of a key, which may be new.
    pub(super) fn key_number(&mut self, key: Key) -> u32 {
        let next = u32::try_from(self.keys.len()).unwrap_or(NONE);
        let number = *self.of_key.entry(key).or_insert(next);
        if number == next {
            self.keys.push(key);
        }
        number
    }

    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.text_bytes + self.texts.len() * TEXT_BYTES + self.keys.len() * KEY_BYTES
    }

    /// Keeps the keys that are in use, and their texts. Gives the new numbers of keys and of texts by the old ones; their order stays.
    pub(super) fn keep(&mut self, in_use: &[bool]) -> (Vec<u32>, Vec<u32>) {
        let is_used = |number: usize| in_use.get(number).copied().unwrap_or_default();
        let mut texts_used = vec![false; self.texts.len()];
        for (_, key) in self.keys.iter().enumerate().filter(|(number, _)| is_used(*number)) {
            for text in key {
                if let Some(used) = texts_used.get_mut(*text as usize) {
                    *used = true;
                }
            }
        }
        let (keys, texts) = (renumbered(self.keys.len(), is_used), renumbered(texts_used.len(), |number| texts_used.get(number).copied().unwrap_or_default()));
        let mut kept = Self::default();
        for (text, _) in self.texts.iter().zip(&texts_used).filter(|(_, used)| **used) {
            kept.number(text);
        }
        for (_, key) in self.keys.iter().enumerate().filter(|(number, _)| is_used(*number)) {
            kept.key_number(key.map(|text| texts.get(text as usize).copied().unwrap_or(NONE)));
        }
        *self = kept;
        (keys, texts)
    }
}

/// New numbers without gaps for those that stay; [`NONE`] for the others.
fn renumbered(count: usize, stays: impl Fn(usize) -> bool) -> Vec<u32> {
    let mut next = 0;
    (0..count)
        .map(|number| {
            if !stays(number) {
                return NONE;
            }
            next += 1;
            next - 1
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_goes_and_the_rest_keeps_its_order() {
        let mut symbols = Symbols::default();
        let key = |symbols: &mut Symbols, texts: [&str; 2]| {
            let [a, b] = texts.map(|text| symbols.number(text));
            symbols.key_number([a, b, NONE, NONE, NONE, NONE, NONE])
        };
        let numbers = [["a", "x"], ["b", "y"], ["a", "z"], ["a", "x"]].map(|texts| key(&mut symbols, texts));
        assert_eq!(numbers, [0, 1, 2, 0]);
        let before = symbols.bytes();
        let (keys, texts) = symbols.keep(&[true, false, true]);
        assert_eq!((keys, texts), (vec![0, NONE, 1], vec![0, 1, NONE, NONE, 2]));
        assert!(symbols.bytes() < before && symbols.known("b").is_none());
        let read = |number: u32| symbols.key(number).unwrap().map(|text| symbols.text(text));
        assert_eq!(read(1)[..3], [Some("a"), Some("z"), None]);
        assert_eq!(symbols.known("z"), Some(2));
        assert_eq!(key(&mut symbols, ["a", "z"]), 1, "it is known still");
    }
}
