//! The track that records leave: what stood between one value and the next before, and which values were kept there.
//!
//! Audit logs repeat themselves: from record to record most bytes are keys, brackets and words that stood there before. Where the walk has
//! come to a value, it looks whether the bytes go on as they did the last times, and goes to the next value in one comparison. All bytes are compared,
//! so that nothing passes for something else; what a comparison skips was walked once, from the same objects and arrays around it, and nothing
//! of it was replaced.

use std::hash::{Hash as _, Hasher as _};

use rustc_hash::{FxHashMap, FxHasher};

use super::Level;
use super::place::Spot;

/// Bounds of one track: beyond them it is forgotten as a whole, and begun anew.
const STOPS_MAX: usize = 4096;
const BYTES_MAX: usize = 1 << 20;
/// Ways on from one value, and values of one spot.
const STEPS_MAX: usize = 8;
const LEAPS_MAX: usize = 4;
const VALUES_MAX: usize = 4;
/// Longer ones are walked each time.
const STEP_BYTES_MAX: usize = 1024;
const VALUE_BYTES_MAX: usize = 256;
/// Where values are met again so much more seldom than not, none are compared.
const SCORE_MIN: i16 = -48;
const SCORE_MAX: i16 = 192;
/// Where long steps are learnt so much more often than taken, no more are.
const LEAP_SCORE_MIN: i16 = -64;

/// An object or array that the walk is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Open {
    pub(super) object: bool,
    /// A key comes next.
    pub(super) expects_key: bool,
    /// Its own place.
    pub(super) spot: Spot,
    /// The place of the value that comes next.
    pub(super) child: Spot,
}

/// Where values stand: what is around them, and the last key.
pub(super) struct Stand<'w> {
    pub(super) root: Spot,
    pub(super) depth: u8,
    pub(super) level: Level,
    pub(super) open: &'w [Open],
    pub(super) key: &'w str,
}

/// The number of a stand that is on the track, which was begun anew so many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop {
    number: u32,
    round: u32,
}

/// Where a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Value(Stop),
    /// The text ends there.
    End,
}

/// What was met before.
#[derive(Default)]
pub(super) struct Track {
    stops: Vec<Known>,
    by_hash: FxHashMap<u64, u32>,
    bytes: usize,
    round: u32,
}

struct Known {
    root: Spot,
    depth: u8,
    level: Level,
    open: Box<[Open]>,
    key: Box<str>,
    steps: Vec<Step>,
    values: Vec<Box<[u8]>>,
    /// Which of the values gives way to the next newcomer.
    oldest: u8,
    score: i16,
    leap_score: i16,
}

struct Step {
    text: Box<[u8]>,
    to: To,
    /// It goes over values that stood there before.
    leaps: bool,
}

impl Track {
    /// The stop of a stand. `None` for one that is not remembered: its key would come next, or what is known of it is of another one.
    pub(super) fn stop(&mut self, stand: &Stand<'_>) -> Option<Stop> {
        if stand.open.last().is_some_and(|top| top.expects_key) {
            return None;
        }
        let hash = stand.hash();
        if let Some(&number) = self.by_hash.get(&hash) {
            return self.stops.get(number as usize).is_some_and(|known| known.is(stand)).then_some(Stop { number, round: self.round });
        }
        if self.stops.len() >= STOPS_MAX || self.bytes >= BYTES_MAX {
            *self = Self { round: self.round.wrapping_add(1), ..Self::default() };
        }
        let number = u32::try_from(self.stops.len()).ok()?;
        self.bytes += size_of::<Known>() + size_of_val(stand.open) + stand.key.len();
        self.stops.push(Known::new(stand));
        self.by_hash.insert(hash, number);
        Some(Stop { number, round: self.round })
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A walk may hold a stop of a round that is over: nothing is known of it.
    #[inline]
    fn known(&mut self, stop: Stop) -> Option<&mut Known> {
        if stop.round == self.round { self.stops.get_mut(stop.number as usize) } else { None }
    }

    /// Where the text goes on from a value, if it did so before; and over how many bytes.
    #[inline]
    pub(super) fn step(&mut self, from: Stop, rest: &[u8]) -> Option<(usize, To)> {
        let known = self.known(from)?;
        let fits = |step: &Step| {
            rest.starts_with(&step.text)
                && match step.to {
                    To::End => rest.len() == step.text.len(),
                    To::Value(_) => rest.get(step.text.len()).is_some_and(|byte| begins_value(*byte)),
                }
        };
        let at = known.steps.iter().position(fits)?;
        let step = known.steps.get(at)?;
        let found = (step.text.len(), step.to);
        if step.leaps {
            known.leap_score = (known.leap_score + 1).min(SCORE_MAX);
        }
        // The longer ones first: a short one is how they begin.
        if at > 0 && (step.leaps || known.steps.get(at - 1).is_some_and(|before| !before.leaps)) {
            known.steps.swap(at, at - 1);
        }
        Some(found)
    }

    /// Keeps a long step: from a value over others, each of which was kept, to the next.
    pub(super) fn keep_leap(&mut self, from: Stop, text: &[u8], to: To) {
        if text.len() > STEP_BYTES_MAX || ends_open(text) {
            return;
        }
        let Some(known) = self.known(from) else { return };
        if known.leap_score < LEAP_SCORE_MIN {
            return;
        }
        known.leap_score -= 1;
        let leaps = known.steps.iter().filter(|step| step.leaps).count();
        if leaps >= LEAPS_MAX {
            known.steps.remove(leaps - 1);
        }
        known.steps.insert(0, Step { text: text.into(), to, leaps: true });
        self.bytes += text.len() + size_of::<Step>();
    }

    /// Keeps a step of which nothing was replaced.
    pub(super) fn keep_step(&mut self, from: Stop, text: &[u8], to: To) {
        if text.len() > STEP_BYTES_MAX || ends_open(text) {
            return;
        }
        let Some(known) = self.known(from) else { return };
        let step = Step { text: text.into(), to, leaps: false };
        if known.steps.len() < STEPS_MAX {
            known.steps.push(step)
        } else if let Some(last) = known.steps.last_mut() {
            *last = step
        }
        self.bytes += text.len() + size_of::<Step>();
    }

    /// The length of the value that `rest` begins with, if it stood there before and was kept.
    #[inline]
    pub(super) fn value(&mut self, at: Stop, rest: &[u8]) -> Option<usize> {
        let known = self.known(at)?;
        if known.score < SCORE_MIN {
            return None;
        }
        let is_string = rest.first() == Some(&b'"');
        let ends = |len: usize| is_string || rest.get(len).is_none_or(|byte| !begins_value(*byte) || *byte == b'"');
        let len = known.values.iter().find(|value| rest.starts_with(value) && ends(value.len())).map(|value| value.len());
        known.score = if len.is_some() { (known.score + 1).min(SCORE_MAX) } else { known.score - 1 };
        len
    }

    /// Keeps a value, from its first byte to its last, that was kept there.
    pub(super) fn keep_value(&mut self, at: Stop, value: &[u8]) {
        let Some(known) = self.known(at) else { return };
        if known.score < SCORE_MIN || value.len() > VALUE_BYTES_MAX {
            return;
        }
        if known.values.len() < VALUES_MAX {
            known.values.push(value.into());
        } else if let Some(slot) = known.values.get_mut(usize::from(known.oldest)) {
            *slot = value.into();
            known.oldest = (known.oldest + 1) % VALUES_MAX as u8;
        }
        self.bytes += value.len();
    }

    /// The place of the values at a stop.
    #[inline]
    pub(super) fn spot(&mut self, at: Stop) -> Option<Spot> {
        self.known(at).map(|known| known.open.last().map_or(known.root, |top| top.child))
    }

    /// What is around the values at a stop, and their key.
    pub(super) fn around(&mut self, at: Stop) -> Option<(&[Open], &str)> {
        self.known(at).map(|known| (&*known.open, &*known.key))
    }
}

impl Stand<'_> {
    fn hash(&self) -> u64 {
        let mut hasher = FxHasher::default();
        (self.root, self.depth, self.level, self.open, self.key).hash(&mut hasher);
        hasher.finish()
    }
}

impl Known {
    fn new(stand: &Stand<'_>) -> Self {
        let Stand { root, depth, level, open, key } = *stand;
        Self { root, depth, level, open: open.into(), key: key.into(), steps: Vec::new(), values: Vec::new(), oldest: 0, score: 0, leap_score: 0 }
    }

    fn is(&self, stand: &Stand<'_>) -> bool {
        // At a record's root there is no key, and comparing nothing takes a tenth of a small record's time: where the C library reads under a mask, a text that was never
        // allocated has an address at which a processor stumbles (docs/decisions/0162).
        let is_key = self.key.len() == stand.key.len() && (stand.key.is_empty() || *self.key == *stand.key);
        self.root == stand.root && self.depth == stand.depth && self.level == stand.level && *self.open == *stand.open && is_key
    }
}

/// Whether what ends a text need not end there: a word outside of strings goes on as far as its letters do, and where the next value begins right behind it, another one
/// may be as its beginning.
fn ends_open(text: &[u8]) -> bool {
    text.last().is_some_and(|byte| begins_value(*byte) && *byte != b'"')
}

/// Whether a byte is neither structure nor white space: a string begins with it, or a word outside of strings.
#[inline]
pub(super) const fn begins_value(byte: u8) -> bool {
    !matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t')
}
