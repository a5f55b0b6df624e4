//! Readers that wait where they stopped. Who reads a partition takes the one that stands at the offset, and puts it back; so two roles of a
//! process that read one partition do not send each other back and forth.

use std::sync::Mutex;

use rustc_hash::FxHashMap;

use super::hold;

/// More readers than this of one partition are not kept; the one that waited longest goes.
const READERS_MAX: usize = 4;

/// Idle readers by partition.
pub struct Pool<R> {
    idle: Mutex<FxHashMap<i32, Vec<R>>>,
}

impl<R> Default for Pool<R> {
    fn default() -> Self {
        Self { idle: Mutex::default() }
    }
}

impl<R> Pool<R> {
    /// Takes a reader of `partition` that `stands` there.
    pub fn take(&self, partition: i32, stands: impl Fn(&R) -> bool) -> Option<R> {
        let mut idle = hold(&self.idle);
        let readers = idle.get_mut(&partition)?;
        let index = readers.iter().position(stands)?;
        Some(readers.remove(index))
    }

    /// Puts a reader back.
    pub fn put(&self, partition: i32, reader: R) {
        let gone = {
            let mut idle = hold(&self.idle);
            let readers = idle.entry(partition).or_default();
            readers.push(reader);
            (readers.len() > READERS_MAX).then(|| readers.remove(0))
        };
        drop(gone); // Closing a consumer takes time, and nobody waits for it under the lock.
    }
}
