//! Where a live source puts what it hears: records as bytes, each with its place, and in between the position from which it goes on. What takes
//! them out gets records and the last position behind them at once, so that both can be written in one step.
//!
//! Bounded: a source asks [`Intake::is_full`] before it takes more from its server. Nothing is ever left out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a record stands in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The server, as an address.
    pub origin: Arc<str>,
    /// The record's number, which goes on over restarts.
    pub sequence: u64,
}

/// What a live source feeds.
pub trait Intake: Send + Sync {
    /// Hands a record on.
    fn feed(&self, record: Vec<u8>, place: Place);
    /// Says that whoever has all records fed so far can go on from `position`.
    fn reached(&self, position: Vec<u8>);
    /// Nothing more will come.
    fn finish(&self);
    /// Whether the source should wait before it takes more from its server.
    fn is_full(&self) -> bool;
}

/// An intake that another thread empties.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    finished: bool,
}

#[derive(Debug)]
enum Item {
    Record(Vec<u8>, Place),
    Position(Vec<u8>),
}

/// What was taken out of a [`Queue`] at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records, one a line.
    pub records: Vec<u8>,
    /// The place of the first one.
    pub first: Option<Place>,
    /// Where the source goes on behind them, if it has said so.
    pub position: Option<Vec<u8>>,
    /// Nothing more will come.
    pub finished: bool,
}

impl Queue {
    /// An empty queue that is full at so many bytes; the record that fills it is still taken.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), bytes_max }
    }

    /// Takes what is there, up to so many bytes of records (one record at least). Records behind the last position are left for the next time, unless
    /// they alone exceed the bound.
    pub fn take(&self, bytes_max: usize) -> Taken {
        let mut state = self.state();
        let mut taken = Taken::default();
        while let Some(item) = state.items.front() {
            if let Item::Record(record, _) = item
                && !taken.records.is_empty()
                && taken.records.len() + record.len() > bytes_max
            {
                break;
            }
            match state.items.pop_front() {
                Some(Item::Record(record, place)) => {
                    state.bytes -= record.len();
                    taken.first.get_or_insert(place);
                    taken.records.extend_from_slice(&record);
                    taken.records.push(b'\n');
                }
                Some(Item::Position(position)) => taken.position = Some(position),
                None => break,
            }
        }
        taken.finished = state.finished && state.items.is_empty();
        taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intake for Queue {
    fn feed(&self, record: Vec<u8>, place: Place) {
        let mut state = self.state();
        state.bytes += record.len();
        state.items.push_back(Item::Record(record, place));
    }

    fn reached(&self, position: Vec<u8>) {
        let mut state = self.state();
        // Of positions with nothing between them the last counts.
        if let Some(Item::Position(last)) = state.items.back_mut() {
            *last = position;
        } else {
            state.items.push_back(Item::Position(position));
        }
    }

    fn finish(&self) {
        self.state().finished = true;
    }

    fn is_full(&self) -> bool {
        self.state().bytes >= self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(sequence: u64) -> Place {
        Place { origin: "opc.tcp://plc:4840".into(), sequence }
    }

    #[test]
    fn a_position_is_taken_with_the_records_before_it_and_never_with_later_ones() {
        let queue = Queue::new(1 << 20);
        queue.feed(b"a".to_vec(), place(1));
        queue.reached(b"1".to_vec());
        queue.feed(b"bb".to_vec(), place(2));
        queue.reached(b"2".to_vec());
        queue.reached(b"2+".to_vec());
        queue.feed(b"cc".to_vec(), place(3));
        let taken = queue.take(3);
        assert_eq!((taken.records.as_slice(), taken.first, taken.position), (b"a\n".as_slice(), Some(place(1)), Some(b"1".to_vec())));
        let taken = queue.take(100);
        assert_eq!(taken.records, b"bb\ncc\n");
        assert_eq!(taken.position, Some(b"2+".to_vec()), "a position that is behind the records costs nothing: they have their ids");
        assert_eq!(queue.take(100), Taken::default());
        queue.finish();
        assert!(queue.take(100).finished);
    }

    #[test]
    fn it_is_full_by_bytes_and_takes_even_a_record_beyond_the_bound() {
        let queue = Queue::new(10);
        assert!(!queue.is_full());
        queue.feed(vec![b'x'; 30], place(1));
        assert!(queue.is_full());
        assert_eq!(queue.take(5).records.len(), 31);
        assert!(!queue.is_full());
    }
}
