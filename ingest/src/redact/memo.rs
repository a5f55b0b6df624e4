//! What was judged before: audit logs repeat their keys, names and user agents, and a comparison is cheaper than a search.
//!
//! Bounded tables of pairs of slots; a newcomer takes the place of one of its pair. Whole texts are compared, so that nothing passes for something else.

use super::place::Spot;
use super::track::Track;

const KEYS: usize = 1024;
const SHORTS: usize = 8192;
const TEXTS: usize = 2048;
/// Longer ones are judged each time.
const KEY_BYTES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 512;

/// The tables of one parser; they are made when the first thing is kept.
#[derive(Default)]
pub(super) struct Memo {
    /// One text is judged and no other: nothing is worth keeping.
    forgets: bool,
    /// What is judged now stands where hardly anything is met again: it is neither looked up nor kept.
    pub(super) skips: bool,
    /// Something was looked up and found, since this was last set.
    pub(super) met: bool,
    keys: Vec<Key>,
    /// A few bits of the hash of each short text, close together: most of what is new is told by them.
    tags: Vec<u16>,
    turn: u8,
    shorts: Vec<Short>,
    texts: Vec<Text>,
    pub(super) track: Track,
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
    Uri,
    Words,
}

impl Memo {
    /// One that keeps nothing.
    pub(super) fn none() -> Self {
        Self { forgets: true, ..Self::default() }
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
    pub(super) fn is_clean(&mut self, text: &str, judged: As) -> bool {
        if self.skips {
            return false;
        }
        let is_clean = self.knows(text, judged);
        self.met |= is_clean;
        is_clean
    }

    fn knows(&self, text: &str, judged: As) -> bool {
        // A text is searched for more than a name.
        let enough = |known: As| known == judged || (known == As::Text && judged == As::Name);
        let text = text.as_bytes();
        let hash = slot(text, 0);
        if text.len() <= SHORT_BYTES_MAX {
            let (first, tag) = (hash % SHORTS, tag(hash));
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
        if text.len() > TEXT_BYTES_MAX || self.forgets || self.skips {
            return;
        }
        let hash = slot(text.as_bytes(), 0);
        if text.len() <= SHORT_BYTES_MAX {
            if self.shorts.is_empty() {
                self.shorts.resize_with(SHORTS, Short::default);
                self.tags.resize(SHORTS, 0);
            }
            // One of the pair, in turn.
            self.turn = self.turn.wrapping_add(1);
            let at = (hash % SHORTS) ^ usize::from(self.turn & 1);
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
    usize::try_from(hash.wrapping_mul(K) >> 24).unwrap_or(0)
}

/// What of a hash its slot does not say.
#[inline]
fn tag(hash: usize) -> u16 {
    u16::try_from(hash >> 13 & 0xffff).unwrap_or_default()
}
