//! How far a reader is, for a progress bar to look at from another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How far a reader is. Every number only serves display.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of all files, as they lie on disk; 0 parts for standard input, whose length is not known.
    pub bytes_total: AtomicU64,
    /// Bytes read of them.
    pub bytes_read: AtomicU64,
    /// Files, members of archives included as far as they are known.
    pub files_total: AtomicU64,
    /// Files looked at for the time of their first record.
    pub files_peeked: AtomicU64,
    /// Files read to their end.
    pub files_done: AtomicU64,
    /// Events yielded.
    pub events: AtomicU64,
    /// Dead letters yielded.
    pub dead_letters: AtomicU64,
    interrupted: AtomicBool,
    current: Mutex<String>,
}

impl Progress {
    /// The file that the last batch came from.
    #[must_use]
    pub fn current(&self) -> String {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_current(&self, file: &str) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != file {
            file.clone_into(&mut current);
        }
    }

    /// Asks the reader to stop: it yields no further batch. What was yielded is whole, and a later run yields the rest.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
    }

    /// Whether the reader was asked to stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }
}
