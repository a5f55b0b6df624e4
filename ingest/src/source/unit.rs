//! A unit: what a stretch of one file came to, in the file's order.

use std::collections::VecDeque;

use keytrail_schemas::{DeadLetter, Event, Micros};

use super::follow::Reached;
use super::spill::Waiting;

/// What a stretch of a file came to.
#[derive(Debug, Default)]
pub struct Unit {
    /// One for each record or damage, in the file's order.
    pub items: Vec<Item>,
    /// The items' events, one item's behind the other's.
    pub events: Vec<Box<Event>>,
    /// The items' dead letters.
    pub letters: Vec<DeadLetter>,
    /// The file ends with this unit.
    pub last: bool,
    /// Bytes of great originals that are held in memory.
    pub held_bytes: u64,
    /// Originals that wait on disk, in the order of their events.
    pub waiting: VecDeque<Waiting>,
    /// How far a followed file has been read with it.
    pub reached: Option<Box<Reached>>,
}

/// What one record came to.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// When its first event happened; for an item without one, when the event before it did.
    pub time: Micros,
    /// The format that read it.
    pub format: &'static str,
    pub events: u32,
    pub letters: u32,
    /// About how many bytes its events and dead letters take.
    pub bytes: u32,
    pub kind: Kind,
}

/// What an item is, for the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Yielded,
    Held,
    Control,
    /// A record that was rejected.
    Rejected,
    /// No record of its own: events held back until the file's end, or a file that cannot be read.
    Other,
}

impl Unit {
    /// The time of the first event, if there is one.
    pub fn first_time(&self) -> Option<Micros> {
        self.items.iter().find(|item| item.events > 0).map(|item| item.time)
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        self.items.iter().map(|item| size_of::<Item>() + item.bytes as usize).sum()
    }
}
