//! The shape of an event: its texts of few values and its words, together, as one number. What is said of these alone is worked out once for each shape
//! and not once for each event: the class of the action, which rules can still match, the numbers of values.
//!
//! No outcome depends on what is remembered: at the bound all shapes are forgotten, and a new era begins.

use keytrail_schemas::{Event, Text};
use rustc_hash::FxHashMap;

use crate::ledger::distinct::hash_of;

/// Shapes remembered.
const SHAPES_MAX: u32 = 16_384;
/// An event with a longer text has no shape that is remembered.
const TEXT_BYTES_MAX: usize = 1_024;

/// Texts that make a shape.
const TEXTS: usize = 12;

/// A shape, by its number within an era.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    era: u32,
    number: u32,
}

impl Shape {
    /// Of which nothing is remembered.
    pub const UNKNOWN: Self = Self { era: 0, number: u32::MAX };
}

impl Default for Shape {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

/// Gives shapes their numbers.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    /// By the hash of what makes a shape; where another one has the hash, the later one is not remembered.
    index: FxHashMap<u64, u32>,
    keys: Vec<Box<[u8]>>,
    era: u32,
    key: Vec<u8>,
    /// What makes the shapes of the events that are looked at ahead, one after the other.
    ahead: Vec<u8>,
}

/// The shape that an event probably has, when it is looked at ahead: [`Shapes::find`] makes sure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Likely {
    number: Option<u32>,
    /// Where what makes it begins and ends.
    part: (usize, usize),
}

impl Shapes {
    /// The shape of `event`.
    pub fn of(&mut self, event: &Event) -> Shape {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        let shape = if append_key(event, &mut key) { self.numbered(&key) } else { Shape::UNKNOWN };
        self.key = key;
        shape
    }

    /// Whether what is remembered of a shape still is: no new era began since.
    #[inline]
    #[must_use]
    pub const fn stands(&self, shape: Shape) -> bool {
        shape.era == self.era
    }

    /// Other events are looked at ahead from here on.
    pub fn begin(&mut self) {
        self.ahead.clear();
    }

    /// Looks for the shape of `event`.
    #[inline]
    pub fn probe(&mut self, event: &Event) -> Likely {
        let start = self.ahead.len();
        let whole = append_key(event, &mut self.ahead);
        let part = (start, self.ahead.len());
        let number = self.ahead.get(start..).filter(|_| whole).and_then(|key| self.index.get(&hash_of(key))).copied();
        Likely { number, part }
    }

    /// Looks at what [`Shapes::find`] will compare with.
    #[inline]
    #[must_use]
    pub fn touch(&self, likely: Likely) -> u8 {
        let key = likely.number.and_then(|number| self.keys.get(number as usize)).map_or(&[] as &[u8], |key| key);
        key.iter().step_by(64).fold(0, |all, byte| all ^ byte)
    }

    /// The shape that was looked for; `None` where it is a new one, or none that is remembered.
    #[inline]
    #[must_use]
    pub fn find(&self, likely: Likely) -> Option<Shape> {
        let number = likely.number?;
        let same = **self.keys.get(number as usize)? == *self.ahead.get(likely.part.0..likely.part.1)?;
        same.then_some(Shape { era: self.era, number })
    }

    fn numbered(&mut self, key: &[u8]) -> Shape {
        match self.index.get(&hash_of(key)) {
            Some(number) if self.keys.get(*number as usize).is_some_and(|known| **known == *key) => Shape { era: self.era, number: *number },
            Some(_) => Shape::UNKNOWN,
            None => self.anew(key),
        }
    }

    #[cold]
    fn anew(&mut self, key: &[u8]) -> Shape {
        if self.keys.len() >= SHAPES_MAX as usize {
            self.index.clear();
            self.keys.clear();
            self.era = self.era.wrapping_add(1);
        }
        let number = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.push(key.into());
        self.index.insert(hash_of(key), number);
        Shape { era: self.era, number }
    }
}

/// Appends what makes the shape of an event. False when a text is too long for a shape.
#[inline]
fn append_key(event: &Event, key: &mut Vec<u8>) -> bool {
    let texts: [Option<&Text>; TEXTS] = [
        Some(&event.identity_provider),
        Some(&event.source),
        Some(&event.format),
        event.action.as_ref(),
        event.reason.as_ref(),
        event.source_country.as_ref(),
        event.user_agent.as_ref(),
        event.destination_kind.as_ref(),
        event.destination_service.as_ref(),
        event.environment.as_ref(),
        event.protocol.as_ref(),
        event.auth_method.as_ref(),
    ];
    // Where each text ends is part of the key, and so is whether there is one.
    let mut head = [u16::MAX; TEXTS + 2];
    head[TEXTS] = u16::from_le_bytes([event.activity as u8, event.outcome as u8]);
    head[TEXTS + 1] = u16::from_le_bytes([event.identity_kind as u8, event.credential_kind as u8]);
    for (text, length) in texts.into_iter().zip(&mut head) {
        let Some(text) = text else { continue };
        let bytes = text.as_bytes();
        if bytes.len() > TEXT_BYTES_MAX {
            return false;
        }
        *length = u16::try_from(bytes.len()).unwrap_or_default();
        key.extend_from_slice(bytes);
    }
    key.extend_from_slice(head.map(u16::to_le_bytes).as_flattened());
    true
}

/// What is remembered for each shape.
#[derive(Debug, Clone)]
pub struct PerShape<T> {
    era: u32,
    known: Vec<Option<T>>,
}

impl<T> Default for PerShape<T> {
    fn default() -> Self {
        Self { era: 0, known: Vec::new() }
    }
}

impl<T> PerShape<T> {
    /// What is remembered for `shape`.
    #[inline]
    pub fn get(&self, shape: Shape) -> Option<&T> {
        if self.era != shape.era {
            return None;
        }
        self.known.get(shape.number as usize)?.as_ref()
    }

    /// Remembers something for `shape`.
    pub fn set(&mut self, shape: Shape, value: T) {
        if shape == Shape::UNKNOWN {
            return;
        }
        if self.era != shape.era {
            self.known.clear();
            self.era = shape.era;
        }
        let at = shape.number as usize;
        if self.known.len() <= at {
            self.known.resize_with(at + 1, || None);
        }
        if let Some(place) = self.known.get_mut(at) {
            *place = Some(value);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_shape_and_moved_ones_another() {
        let mut shapes = Shapes::default();
        let event = |action: Option<&'static str>, reason: Option<&'static str>, ip: &'static str| Event {
            action: action.map(Text::const_new),
            reason: reason.map(Text::const_new),
            source_ip: Some(Text::const_new(ip)),
            ..Event::default()
        };
        let first = shapes.of(&event(Some("a"), Some("b"), "10.0.0.1"));
        assert_eq!(shapes.of(&event(Some("a"), Some("b"), "10.0.0.2")), first, "addresses are many");
        for other in [event(Some("ab"), Some(""), ""), event(Some("ab"), None, ""), event(None, Some("ab"), ""), event(Some(""), Some("ab"), "")] {
            assert_ne!(shapes.of(&other), first);
        }
    }

    #[test]
    fn a_shape_that_is_looked_for_ahead_is_the_one_that_comes() {
        let mut shapes = Shapes::default();
        let event = |n: usize| Event { action: Some(format!("act{}", n % 7).into()), user_agent: Some("x".repeat(n % 3 * 1_000).into()), ..Event::default() };
        for round in 0..3 {
            shapes.begin();
            let likely: Vec<Likely> = (0..21).map(|n| shapes.probe(&event(n))).collect();
            for (n, likely) in likely.into_iter().enumerate() {
                let ahead = shapes.find(likely);
                let comes = shapes.of(&event(n));
                assert_eq!(ahead, (round > 0 && n % 3 < 2).then_some(comes), "{n}");
                assert!(ahead.is_none_or(|shape| shapes.stands(shape)));
            }
        }
        let known = shapes.of(&event(0));
        for n in 0..SHAPES_MAX {
            shapes.of(&Event { reason: Some(n.to_string().into()), ..Event::default() });
        }
        assert!(!shapes.stands(known), "another era");
    }

    #[test]
    fn two_that_share_a_hash_are_told_apart() {
        let mut shapes = Shapes::default();
        let (a, b) = (Event { action: Some("a".into()), ..Event::default() }, Event { action: Some("b".into()), ..Event::default() });
        let first = shapes.of(&a);
        let mut key = Vec::new();
        assert!(append_key(&b, &mut key));
        // As if `a` had the hash of `b`.
        shapes.index.insert(hash_of(key.as_slice()), 0);
        assert_eq!((shapes.of(&b), shapes.of(&a)), (Shape::UNKNOWN, first));
        shapes.begin();
        let likely = shapes.probe(&b);
        assert_eq!(shapes.find(likely), None);
    }

    #[test]
    fn at_the_bound_a_new_era_begins_and_nothing_is_mistaken() {
        let (mut shapes, mut remembered) = (Shapes::default(), PerShape::default());
        for n in 0..3 * SHAPES_MAX {
            let action = format!("act{}", n % (SHAPES_MAX + 7));
            let shape = shapes.of(&Event { action: Some(action.as_str().into()), ..Event::default() });
            match remembered.get(shape) {
                Some(known) => assert_eq!(known, &action),
                None => remembered.set(shape, action),
            }
        }
        let long = Event { action: Some("x".repeat(70_000).into()), ..Event::default() };
        let shape = shapes.of(&long);
        remembered.set(shape, String::new());
        assert_eq!((shape, remembered.get(shape)), (Shape::UNKNOWN, None), "what is long is not remembered");
    }
}
