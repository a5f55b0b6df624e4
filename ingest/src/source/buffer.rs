//! What open files hold in buffers: bytes that were read ahead, and what their parsers work in. All files share one bound; past it a file that waits for its turn
//! gives its buffers back, and little is read ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many buffers of closed files wait for the next ones, and how large they may be. Fresh memory is cleared page by page, for every small file anew.
const SPARE_MAX: usize = 16;
const SPARE_BYTES_MAX: usize = 512 << 10;

/// The buffers of all files.
#[derive(Debug)]
pub struct Buffers {
    bytes_max: u64,
    held: AtomicU64,
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Buffers of about so many bytes.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, held: AtomicU64::new(0), spare: Mutex::default() })
    }

    /// Bytes that are held.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// Whether so much is held that who waits gives back what it has.
    pub fn are_scarce(&self) -> bool {
        self.held() > self.bytes_max
    }

    /// The share of one file.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { buffers: Arc::clone(self), bytes: 0 }
    }
}

/// What one file holds of them, until it is closed.
#[derive(Debug)]
pub struct Share {
    buffers: Arc<Buffers>,
    bytes: u64,
}

impl Share {
    /// The file holds so many bytes now.
    pub fn set(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes > self.bytes {
            self.buffers.held.fetch_add(bytes - self.bytes, Ordering::AcqRel);
        } else {
            self.buffers.held.fetch_sub(self.bytes - bytes, Ordering::AcqRel);
        }
        self.bytes = bytes;
    }

    /// A buffer that a closed file left, with whatever stands in it; else an empty one.
    pub fn buffer(&self) -> Vec<u8> {
        self.buffers.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Leaves a buffer to the files that come.
    pub fn leave(&self, buffer: Vec<u8>) {
        let mut spare = self.buffers.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            spare.push(buffer);
        }
    }

    /// Whether all files together hold too much.
    pub fn is_scarce(&self) -> bool {
        self.buffers.are_scarce()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_hold_adds_up_until_they_are_closed() {
        let buffers = Buffers::new(100);
        let (mut one, mut other) = (buffers.share(), buffers.share());
        one.set(60);
        other.set(40);
        assert!(!one.is_scarce());
        one.set(61);
        assert!(other.is_scarce() && buffers.held() == 101);
        one.set(10);
        drop(other);
        assert_eq!((buffers.held(), buffers.are_scarce()), (10, false));
    }

    #[test]
    fn few_buffers_of_closed_files_wait_for_the_next_ones_and_none_that_are_great() {
        let buffers = Buffers::new(100);
        let share = buffers.share();
        share.leave(Vec::new());
        share.leave(vec![0; SPARE_BYTES_MAX + 1]);
        assert_eq!(share.buffer().capacity(), 0);
        (0..2 * SPARE_MAX).for_each(|_| share.leave(vec![1; 10]));
        assert_eq!((0..2 * SPARE_MAX).filter(|_| share.buffer().capacity() > 0).count(), SPARE_MAX);
    }
}
