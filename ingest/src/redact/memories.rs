//! What was remembered of files that have ended, for the next files of the same formats: an estate writes thousands of small files, and most of what stands in
//! one stood in the one before.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Level;
use super::columns::Columns;
use super::memo::Memo;

/// Bounds of what no file is read with; the oldest goes first.
const MEMORIES_MAX: usize = 64;
const BYTES_MAX: usize = 32 << 20;

/// What is remembered of the records of one file, and of their columns.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) memo: Memo,
    pub(super) columns: Columns,
}

/// The memories that no file is read with.
#[derive(Default)]
pub(super) struct Memories {
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    kept: VecDeque<Kept>,
    bytes: usize,
}

struct Kept {
    format: &'static str,
    level: Level,
    bytes: usize,
    memory: Box<Memory>,
}

impl Memories {
    /// The memory of a file of this format that has ended, the last one that did; else an empty one.
    pub(super) fn take(&self, format: &'static str, level: Level) -> Box<Memory> {
        let mut shelf = self.shelf();
        let at = shelf.kept.iter().rposition(|kept| kept.format == format && kept.level == level);
        let Some(kept) = at.and_then(|at| shelf.kept.remove(at)) else { return Box::default() };
        shelf.bytes -= kept.bytes;
        kept.memory
    }

    /// Keeps what was remembered of a file.
    pub(super) fn keep(&self, format: &'static str, level: Level, mut memory: Box<Memory>) {
        memory.memo.leave();
        memory.columns.leave();
        let bytes = size_of::<Memory>() + memory.memo.bytes();
        let mut shelf = self.shelf();
        shelf.bytes += bytes;
        shelf.kept.push_back(Kept { format, level, bytes, memory });
        while shelf.kept.len() > MEMORIES_MAX || shelf.bytes > BYTES_MAX {
            let Some(oldest) = shelf.kept.pop_front() else { break };
            shelf.bytes -= oldest.bytes;
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::memo::As;

    fn remembering(text: &str) -> Box<Memory> {
        let mut memory = Box::<Memory>::default();
        memory.memo.keep_clean(text, As::Name);
        memory
    }

    #[test]
    fn a_memory_is_lent_to_files_of_its_format_and_level() {
        let memories = Memories::default();
        memories.keep("zeek", Level::Safe, remembering("seen before"));
        assert!(!memories.take("cloudtrail", Level::Safe).memo.is_clean("seen before", As::Name));
        assert!(!memories.take("zeek", Level::Open).memo.is_clean("seen before", As::Name));
        assert!(memories.take("zeek", Level::Safe).memo.is_clean("seen before", As::Name));
        assert!(!memories.take("zeek", Level::Safe).memo.is_clean("seen before", As::Name), "it is lent to one at a time");
    }

    #[test]
    fn they_are_bounded_and_the_oldest_goes_first() {
        let memories = Memories::default();
        memories.keep("okta_system", Level::Safe, remembering("the oldest"));
        for _ in 0..2 * MEMORIES_MAX {
            memories.keep("zeek", Level::Safe, remembering(&"x".repeat(400)));
        }
        assert!(!memories.take("okta_system", Level::Safe).memo.is_clean("the oldest", As::Name));
        let shelf = memories.shelf();
        assert!(shelf.kept.len() <= MEMORIES_MAX && shelf.bytes <= BYTES_MAX && shelf.bytes > 0, "{} of {} bytes", shelf.kept.len(), shelf.bytes);
        assert_eq!(shelf.bytes, shelf.kept.iter().map(|kept| kept.bytes).sum::<usize>());
    }
}
