//! What open files hold in buffers: bytes that were read ahead, and what their parsers work in. All files share one bound; past it a file that waits for its turn
//! gives its buffers back, and little is read ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The buffers of all files.
#[derive(Debug)]
pub struct Buffers {
    bytes_max: u64,
    held: AtomicU64,
}

impl Buffers {
    /// Buffers of about so many bytes.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, held: AtomicU64::new(0) })
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
}
