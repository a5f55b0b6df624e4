//! What was judged before: audit logs repeat their keys, names and user agents, and a comparison is cheaper than a search.
//!
//! Bounded tables of pairs of slots; a newcomer takes the place of the older of its pair. Whole texts are compared, so that nothing passes for something else.

use super::place::Spot;

const KEYS: usize = 1024;
const TEXTS: usize = 4096;
const PARTS: usize = 1024;
/// Longer ones are judged each time.
const KEY_BYTES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 512;
const PART_BYTES_MAX: usize = 1024;
/// Shorter ones are walked sooner than they are looked up.
const PART_BYTES_MIN: usize = 96;

/// The tables of one parser; they are made when the first thing is kept.
#[derive(Default)]
pub(super) struct Memo {
    /// One text is judged and no other: nothing is worth keeping.
    forgets: bool,
    keys: Vec<Key>,
    texts: Vec<Text>,
    parts: Vec<Part>,
}

/// An object or array in which nothing was replaced, and where it stood.
#[derive(Clone, Default)]
struct Part {
    at: Option<Spot>,
    text: Vec<u8>,
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

/// As what a text was found to hold nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    Name,
    Text,
    Uri,
    Words,
}

impl Memo {
    /// One that keeps nothing.
    pub(super) fn none() -> Self {
        Self { forgets: true, ..Self::default() }
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

    /// The length of the object or array that `bytes` begin with, if it stood at `spot` before and all of it was kept.
    #[inline]
    pub(super) fn part(&self, spot: Spot, bytes: &[u8]) -> Option<usize> {
        let first = head(bytes, spot.mark()) % PARTS;
        let known =
            [first, first ^ 1].into_iter().filter_map(|at| self.parts.get(at)).find(|known| known.at == Some(spot) && bytes.starts_with(&known.text))?;
        Some(known.text.len())
    }

    /// Keeps an object or array, from its first bracket to its last.
    pub(super) fn keep_part(&mut self, spot: Spot, text: &[u8]) {
        if self.forgets || !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&text.len()) {
            return;
        }
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, Part::default);
        }
        let first = head(text, spot.mark()) % PARTS;
        self.parts.swap(first, first ^ 1);
        if let Some(part) = self.parts.get_mut(first) {
            part.at = Some(spot);
            part.text.clear();
            part.text.extend_from_slice(text);
        }
    }

    /// Whether the text is known to hold no secret.
    #[inline]
    pub(super) fn is_clean(&self, text: &str, judged: As) -> bool {
        // A text is searched for more than a name.
        let enough = |known: As| known == judged || (known == As::Text && judged == As::Name);
        let first = slot(text.as_bytes(), 0) % TEXTS;
        [first, first ^ 1]
            .into_iter()
            .filter_map(|at| self.texts.get(at))
            .any(|known| known.text.len() == text.len() && known.judged.is_some_and(enough) && known.text == text.as_bytes())
    }

    pub(super) fn keep_clean(&mut self, text: &str, judged: As) {
        if text.len() > TEXT_BYTES_MAX || self.forgets {
            return;
        }
        if self.texts.is_empty() {
            self.texts.resize_with(TEXTS, Text::default);
        }
        let first = slot(text.as_bytes(), 0) % TEXTS;
        self.texts.swap(first, first ^ 1);
        if let Some(known) = self.texts.get_mut(first) {
            known.judged = Some(judged);
            known.text.clear();
            known.text.extend_from_slice(text.as_bytes());
        }
    }
}

/// A slot by the first bytes of a part, whose end is not known yet. What is shorter has the same slot whatever follows it.
#[inline]
fn head(bytes: &[u8], mark: u64) -> usize {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = mark.wrapping_mul(K);
    // Up to the first bytes of every part that is kept.
    for word in bytes.get(..PART_BYTES_MIN).unwrap_or(bytes).chunks_exact(8) {
        hash = (hash ^ word.first_chunk::<8>().map_or(0, |w| u64::from_le_bytes(*w))).wrapping_mul(K).rotate_left(29);
    }
    usize::try_from(hash.wrapping_mul(K) >> 40).unwrap_or(0)
}

/// A slot by a few words of a text: what they have alike is told apart by comparing.
#[inline]
fn slot(bytes: &[u8], mark: u64) -> usize {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |at: usize| bytes.get(at..at + 8).and_then(|w| w.first_chunk::<8>()).map_or(0, |w| u64::from_le_bytes(*w));
    let len = bytes.len();
    let mut hash = mark ^ (len as u64).wrapping_mul(K);
    if len >= 8 {
        hash = (hash ^ word(0)).wrapping_mul(K).rotate_left(29);
        hash = (hash ^ word(len - 8)).wrapping_mul(K).rotate_left(29);
        if len > 16 {
            hash = (hash ^ word(len / 2 - 4)).wrapping_mul(K).rotate_left(29);
            hash = (hash ^ word(len - 16)).wrapping_mul(K).rotate_left(29);
        }
    } else {
        let mut short = [0; 8];
        for (to, from) in short.iter_mut().zip(bytes) {
            *to = *from;
        }
        hash = (hash ^ u64::from_le_bytes(short)).wrapping_mul(K).rotate_left(29);
    }
    usize::try_from(hash.wrapping_mul(K) >> 40).unwrap_or(0)
}
