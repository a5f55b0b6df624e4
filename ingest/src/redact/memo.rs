//! What was judged before: audit logs repeat their keys, names and user agents, and a comparison is cheaper than a search.
//!
//! Bounded tables of pairs of slots; a newcomer takes the place of one of its pair. Whole texts are compared, so that nothing passes for something else.

use super::cells::Cells;
use super::place::{Policy, Spot};
use super::track::Track;

const KEYS: usize = 1024;
/// Short texts: few at first, for most files are small; where half of them are taken, the table is made twice as large.
const SHORTS_MIN: usize = 1024;
const SHORTS_MAX: usize = 8192;
const TEXTS: usize = 2048;
const VERDICTS: usize = 2048;
/// A verdict stands in one of so many slots beside each other: texts of which each costs a microsecond must not get into one another's way.
const WAYS: usize = 4;
/// Longer ones are judged each time.
const KEY_BYTES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 512;

/// The tables of one parser; they are made when the first thing is kept.
#[derive(Default)]
pub(super) struct Memo {
    /// One text is judged and no other: nothing is worth keeping.
    forgets: bool,
    keys: Vec<Key>,
    /// A few bits of the hash of each short text, close together: most of what is new is told by them.
    tags: Vec<u16>,
    turn: u8,
    shorts: Vec<Short>,
    shorts_kept: usize,
    texts: Vec<Text>,
    verdicts: Vec<Judged>,
    pub(super) track: Track,
    pub(super) cells: Cells,
    /// The places of the format that was asked for last.
    policy: Option<(Box<str>, &'static Policy)>,
    /// A buffer of a record that was written anew, for the next one.
    pub(super) spare: String,
}

#[derive(Clone, Default)]
struct Key {
    at: Option<Spot>,
    key: Vec<u8>,
    child: Option<Spot>,
    clean: bool,
}

/// A text that was judged, and how.
#[derive(Clone, Default)]
struct Text {
    judged: Option<As>,
    text: Vec<u8>,
}

/// How long a text may be that stands in its slot itself: a slot is a line of a processor's memory.
const SHORT_BYTES_MAX: usize = 62;

/// A short text that was judged.
#[derive(Clone)]
#[repr(align(64))]
struct Short {
    judged: Option<As>,
    len: u8,
    text: [u8; SHORT_BYTES_MAX],
}

impl Default for Short {
    fn default() -> Self {
        Self { judged: None, len: 0, text: [0; SHORT_BYTES_MAX] }
    }
}

impl Short {
    #[inline]
    fn is(&self, text: &[u8]) -> bool {
        usize::from(self.len) == text.len() && self.text.get(..text.len()) == Some(text)
    }
}

/// As what a text was found to hold nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    Name,
    Text,
}

/// What a text is whose parts are judged one by one, which takes long: what came of it is remembered, and not only that nothing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    Uri,
    Words,
}

/// A text whose parts were judged, and what is written in its place.
#[derive(Clone, Default)]
struct Judged {
    parts: Option<Parts>,
    text: String,
    written: Option<String>,
}

impl Judged {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.capacity() + self.written.as_ref().map_or(0, String::capacity)
    }
}

impl Memo {
    /// One that keeps nothing.
    pub(super) fn none() -> Self {
        Self { forgets: true, ..Self::default() }
    }

    /// The file has ended.
    pub(super) fn leave(&mut self) {
        self.cells.leave();
        self.spare = String::new();
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let keys = self.keys.len() * (size_of::<Key>() + KEY_BYTES_MAX / 4);
        let shorts = self.shorts.len() * (size_of::<Short>() + size_of::<u16>());
        let texts: usize = self.texts.iter().map(|known| size_of::<Text>() + known.text.capacity()).sum();
        let verdicts: usize = self.verdicts.iter().map(Judged::bytes).sum();
        keys + shorts + texts + verdicts + self.track.bytes()
    }

    /// The places of a format.
    pub(super) fn policy(&mut self, format: &str) -> &'static Policy {
        if let Some((_, policy)) = self.policy.as_ref().filter(|(known, _)| **known == *format) {
            return policy;
        }
        let policy = Policy::of(format);
        self.policy = Some((format.into(), policy));
        policy
    }

    /// Whether it keeps nothing.
    pub(super) fn forgets(&self) -> bool {
        self.forgets
    }

    /// The place of `key` in the object at `spot`, and whether the key is no secret itself, if it was seen before.
    #[inline]
    pub(super) fn key(&self, spot: Spot, key: &str) -> Option<(Spot, bool)> {
        let first = slot(key.as_bytes(), spot.mark()) % KEYS;
        let known = [first, first ^ 1].into_iter().filter_map(|at| self.keys.get(at)).find(|known| known.at == Some(spot) && known.key == key.as_bytes())?;
        Some((known.child?, known.clean))
    }

    pub(super) fn keep_key(&mut self, spot: Spot, key: &str, child: Spot, clean: bool) {
        if key.len() > KEY_BYTES_MAX || self.forgets {
            return;
        }
        if self.keys.is_empty() {
            self.keys.resize_with(KEYS, Key::default);
        }
        let first = slot(key.as_bytes(), spot.mark()) % KEYS;
        self.keys.swap(first, first ^ 1);
        if let Some(slot) = self.keys.get_mut(first) {
            slot.at = Some(spot);
            slot.key.clear();
            slot.key.extend_from_slice(key.as_bytes());
            slot.child = Some(child);
            slot.clean = clean;
        }
    }

    /// Whether the text is known to hold no secret.
    #[inline]
    pub(super) fn is_clean(&self, text: &str, judged: As) -> bool {
        // A text is searched for more than a name.
        let enough = |known: As| known == judged || (known == As::Text && judged == As::Name);
        let text = text.as_bytes();
        let hash = slot(text, 0);
        if text.len() <= SHORT_BYTES_MAX {
            let Some(last) = self.shorts.len().checked_sub(1) else { return false };
            let (first, tag) = (hash & last, tag(hash));
            let is_known = |at: usize| self.shorts.get(at).is_some_and(|known| known.is(text) && known.judged.is_some_and(enough));
            return [first, first ^ 1].into_iter().any(|at| self.tags.get(at) == Some(&tag) && is_known(at));
        }
        let first = hash % TEXTS;
        [first, first ^ 1]
            .into_iter()
            .filter_map(|at| self.texts.get(at))
            .any(|known| known.text.len() == text.len() && known.judged.is_some_and(enough) && known.text == text)
    }

    pub(super) fn keep_clean(&mut self, text: &str, judged: As) {
        if text.len() > TEXT_BYTES_MAX || self.forgets {
            return;
        }
        let hash = slot(text.as_bytes(), 0);
        if text.len() <= SHORT_BYTES_MAX {
            if self.shorts.is_empty() || (self.shorts_kept > self.shorts.len() / 2 && self.shorts.len() < SHORTS_MAX) {
                self.grow();
            }
            self.shorts_kept += 1;
            // One of the pair that is free, else one in turn.
            self.turn = self.turn.wrapping_add(1);
            let first = hash & (self.shorts.len() - 1);
            let is_free = |at: &usize| self.shorts.get(*at).is_some_and(|known| known.judged.is_none());
            let at = [first, first ^ 1].into_iter().find(is_free).unwrap_or(first ^ usize::from(self.turn & 1));
            if let (Some(known), Some(known_tag)) = (self.shorts.get_mut(at), self.tags.get_mut(at))
                && let Some(place) = known.text.get_mut(..text.len())
            {
                place.copy_from_slice(text.as_bytes());
                (known.judged, known.len) = (Some(judged), u8::try_from(text.len()).unwrap_or_default());
                *known_tag = tag(hash);
            }
            return;
        }
        if self.texts.is_empty() {
            self.texts.resize_with(TEXTS, Text::default);
        }
        let first = hash % TEXTS;
        self.texts.swap(first, first ^ 1);
        if let Some(known) = self.texts.get_mut(first) {
            known.judged = Some(judged);
            known.text.clear();
            known.text.extend_from_slice(text.as_bytes());
        }
    }
}

impl Memo {
    /// Makes room for more short texts; those that are there stay, but for some that get into one another's way.
    fn grow(&mut self) {
        let len = (2 * self.shorts.len()).max(SHORTS_MIN);
        let known = std::mem::replace(&mut self.shorts, vec![Short::default(); len]);
        self.tags = vec![0; len];
        self.shorts_kept = 0;
        for short in known {
            let (Some(judged), Some(text)) = (short.judged, short.text.get(..usize::from(short.len))) else { continue };
            let hash = slot(text, 0);
            let first = hash & (len - 1);
            let at = if self.shorts.get(first).is_some_and(|known| known.judged.is_some()) { first ^ 1 } else { first };
            if let (Some(place), Some(tags)) = (self.shorts.get_mut(at), self.tags.get_mut(at)) {
                *place = Short { judged: Some(judged), ..short };
                *tags = tag(hash);
                self.shorts_kept += 1;
            }
        }
    }

    /// What is written in the place of a text whose parts are judged, `None` where it stays: as it was before, or as `judge` says.
    pub(super) fn verdict(&mut self, parts: Parts, text: &str, judge: impl FnOnce() -> Option<String>) -> Option<String> {
        if self.forgets || text.len() > TEXT_BYTES_MAX {
            return judge();
        }
        if self.verdicts.is_empty() {
            self.verdicts.resize_with(VERDICTS, Judged::default);
        }
        let first = (slot(text.as_bytes(), parts as u64) % VERDICTS) & !(WAYS - 1);
        self.turn = self.turn.wrapping_add(1);
        let turn = usize::from(self.turn) % WAYS;
        let Some(ways) = self.verdicts.get_mut(first..first + WAYS) else { return judge() };
        let place = ways.iter().position(|known| known.parts == Some(parts) && known.text == text);
        if let Some(known) = place.and_then(|place| ways.get(place)) {
            return known.written.clone();
        }
        let written = judge();
        let place = ways.iter().position(|known| known.parts.is_none()).unwrap_or(turn);
        if let Some(known) = ways.get_mut(place) {
            *known = Judged { parts: Some(parts), text: text.to_owned(), written: written.clone() };
        }
        written
    }
}

/// A slot by all bytes of a text: texts of one place often differ in a single digit, wherever it stands. What they have alike is told apart by comparing.
#[inline]
fn slot(bytes: &[u8], mark: u64) -> usize {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(K).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(mark ^ (bytes.len() as u64).wrapping_mul(K), |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let last = match (bytes.last_chunk::<8>(), rest.is_empty()) {
        (_, true) => 0,
        (Some(last), false) => u64::from_le_bytes(*last),
        (None, false) => rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    usize::try_from(mix(hash, last).wrapping_mul(K) >> 24).unwrap_or(0)
}

/// What of a hash its slot does not say.
#[inline]
fn tag(hash: usize) -> u16 {
    u16::try_from(hash >> 13 & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What differs in one byte only, wherever it stands, must not get into one another's way: each record would be judged anew.
    #[test]
    fn texts_that_differ_in_a_digit_are_remembered_side_by_side() {
        let text = |at: usize, n: usize| format!("{}{n:02}{}", "x".repeat(at), "y".repeat(58 - at));
        for at in 0..=58 {
            let mut memo = Memo::default();
            let mut judged = 0;
            for _ in 0..5 {
                for n in 0..40 {
                    if !memo.is_clean(&text(at, n), As::Text) {
                        memo.keep_clean(&text(at, n), As::Text);
                        judged += 1;
                    }
                    memo.verdict(Parts::Words, &text(at, n), || {
                        judged += 1;
                        None
                    });
                }
            }
            assert!(judged < 120, "{at}: {judged} of 400 were judged");
        }
    }

    #[test]
    fn a_table_grows_and_keeps_what_it_holds() {
        let mut memo = Memo::default();
        let text = |n: usize| format!("text-{n}");
        (0..4 * SHORTS_MIN).for_each(|n| memo.keep_clean(&text(n), As::Name));
        let known = (0..4 * SHORTS_MIN).filter(|n| memo.is_clean(&text(*n), As::Name)).count();
        assert!(memo.shorts.len() > 4 * SHORTS_MIN && known > 3 * SHORTS_MIN, "{known} in {}", memo.shorts.len());
        assert!(!memo.is_clean(&text(0), As::Text), "a name was searched for less than a text");
    }
}
