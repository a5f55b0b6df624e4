//! Requests that wait for their response, bounded in number and bytes; the oldest has to leave first.

use std::collections::VecDeque;

use keytrail_schemas::Text;
use rustc_hash::FxHashMap;

/// How many requests wait at most.
pub(super) const REQUESTS_MAX: usize = 10_000;
/// How many bytes of records wait at most.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// A request as it stood.
pub(super) struct Request {
    pub(super) line: u64,
    pub(super) record: Vec<u8>,
    turn: u64,
}

/// The requests that wait, by id.
#[derive(Default)]
pub(super) struct Pending {
    waiting: FxHashMap<Text, Request>,
    /// Ids in order of arrival, with the turn that tells a stale one (answered, or come again) from one that waits.
    order: VecDeque<(Text, u64)>,
    turn: u64,
    bytes: usize,
}

impl Pending {
    /// Lets a request wait; the same id again takes the place of the earlier one.
    pub(super) fn put(&mut self, id: &str, line: u64, record: &[u8]) {
        self.answer(id);
        self.turn += 1;
        self.bytes += record.len();
        self.waiting.insert(Text::from(id), Request { line, record: record.to_vec(), turn: self.turn });
        self.order.push_back((Text::from(id), self.turn));
        // Answered requests leave their id behind; it goes when it is the oldest.
        while self.order.front().is_some_and(|(id, turn)| self.waiting.get(id).is_none_or(|request| request.turn != *turn)) {
            self.order.pop_front();
        }
        if self.order.len() > 2 * REQUESTS_MAX {
            let waiting = &self.waiting;
            self.order.retain(|(id, turn)| waiting.get(id).is_some_and(|request| request.turn == *turn));
        }
    }

    /// The response is there: whether its request waited.
    pub(super) fn answer(&mut self, id: &str) -> bool {
        let Some(request) = self.waiting.remove(id) else { return false };
        self.bytes -= request.record.len();
        true
    }

    /// The line of the oldest request that waits.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.order.iter().find_map(|(id, turn)| self.waiting.get(id).filter(|request| request.turn == *turn).map(|request| request.line))
    }

    /// The oldest request, if too much waits, or `all` have to leave.
    pub(super) fn evict(&mut self, all: bool) -> Option<Request> {
        if !(all || self.waiting.len() > REQUESTS_MAX || self.bytes > BYTES_MAX) {
            return None;
        }
        while let Some((id, turn)) = self.order.pop_front() {
            if self.waiting.get(&id).is_some_and(|request| request.turn == turn)
                && let Some(request) = self.waiting.remove(&id)
            {
                self.bytes -= request.record.len();
                return Some(request);
            }
        }
        None
    }
}
