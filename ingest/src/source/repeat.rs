//! Counts repetitions of a record within one file: a record without an id of its own gets one from its bytes and from how many
//! equal ones stood before it, so that two equal lines are two events and the same file again is none.

use std::collections::VecDeque;

use keytrail_schemas::Hash32;
use rustc_hash::FxHashMap;

/// Repetitions among the last so many distinct records of a file, first seen first forgotten.
#[derive(Debug)]
pub struct Repeats {
    counts: FxHashMap<u64, u32>,
    order: VecDeque<u64>,
    records_max: usize,
}

impl Repeats {
    /// Remembers up to `records_max` distinct records.
    pub fn new(records_max: usize) -> Self {
        Self { counts: FxHashMap::default(), order: VecDeque::new(), records_max: records_max.max(1) }
    }

    /// How many equal records stood before this one.
    pub fn occurrence(&mut self, raw_hash: &Hash32) -> u32 {
        let key = u64::from_le_bytes(raw_hash.0.first_chunk::<8>().copied().unwrap_or_default());
        if let Some(count) = self.counts.get_mut(&key) {
            *count = count.saturating_add(1);
            return *count;
        }
        self.counts.insert(key, 0);
        self.order.push_back(key);
        if self.order.len() > self.records_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
        0
    }
}
