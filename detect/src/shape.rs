//! The shape of an event: its texts of few values and its words, together, as one number. What is said of these alone is worked out once for each shape
//! and not once for each event: the class of the action, which rules can still match, the numbers of values.
//!
//! No outcome depends on what is remembered: at the bound all shapes are forgotten, and a new era begins.

use keytrail_schemas::{Event, Text};
use rustc_hash::FxHashMap;

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
    known: FxHashMap<Box<[u8]>, u32>,
    era: u32,
    key: Vec<u8>,
}

impl Shapes {
    /// The shape of `event`.
    pub fn of(&mut self, event: &Event) -> Shape {
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
        let mut long = false;
        self.key.clear();
        for (text, length) in texts.into_iter().zip(&mut head) {
            let Some(text) = text else { continue };
            let bytes = text.as_bytes();
            long |= bytes.len() > TEXT_BYTES_MAX;
            *length = u16::try_from(bytes.len()).unwrap_or_default();
            self.key.extend_from_slice(bytes);
        }
        self.key.extend_from_slice(head.map(u16::to_le_bytes).as_flattened());
        if let Some(number) = self.known.get(self.key.as_slice()).filter(|_| !long) {
            return Shape { era: self.era, number: *number };
        }
        self.anew(long)
    }

    #[cold]
    fn anew(&mut self, long: bool) -> Shape {
        if long {
            return Shape::UNKNOWN;
        }
        if self.known.len() >= SHAPES_MAX as usize {
            self.known.clear();
            self.era = self.era.wrapping_add(1);
        }
        let number = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.known.insert(self.key.as_slice().into(), number);
        Shape { era: self.era, number }
    }
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
