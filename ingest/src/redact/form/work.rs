//! What the search of one text may look at: it counts the bytes, and what is unpacked has an end, so that no text costs more than so much a byte of its own.

/// Bytes that may be unpacked from a text, for each of its own, and beside that.
const UNPACKED_A_BYTE: usize = 8;
const UNPACKED_FREE: usize = 4 << 10;

/// How much was looked at, and how much may yet be unpacked.
#[derive(Debug)]
pub(in crate::redact) struct Work {
    looked: usize,
    room: usize,
}

/// More is packed in a text than is looked at. Nobody knows what is in it, so that it counts as a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;

impl Work {
    /// The work on this text.
    pub(super) const fn of(text: &str) -> Self {
        Self { looked: 0, room: text.len().saturating_mul(UNPACKED_A_BYTE).saturating_add(UNPACKED_FREE) }
    }

    /// So many bytes are looked at.
    pub(super) const fn look(&mut self, bytes: usize) {
        self.looked = self.looked.saturating_add(bytes);
    }

    /// So many bytes were unpacked.
    pub(super) const fn unpack(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.look(bytes);
        match self.room.checked_sub(bytes) {
            Some(room) => {
                self.room = room;
                Ok(())
            }
            None => {
                self.room = 0;
                Err(TooMuch)
            }
        }
    }

    /// How many bytes may yet be unpacked.
    pub(super) const fn room(&self) -> usize {
        self.room
    }

    /// Bytes that were looked at.
    #[cfg(test)]
    pub(super) const fn looked(&self) -> usize {
        self.looked
    }
}
