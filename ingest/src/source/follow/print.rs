//! Fingerprints of stretches of a file: by them a file is known again, whatever it is called by then.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};

/// A stretch of a file, and the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// Where it begins.
    pub at: u64,
    /// How many bytes it has.
    pub bytes: u32,
    /// The first 16 bytes of their BLAKE3, in hex.
    pub hash: String,
}

impl Print {
    /// The fingerprint of these bytes, which begin at `at`.
    pub fn of(at: u64, bytes: &[u8]) -> Self {
        let hash = blake3::hash(bytes);
        Self { at, bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX), hash: hex::encode(hash.as_bytes().first_chunk::<16>().unwrap_or(&[0; 16])) }
    }

    /// Whether the file has this stretch.
    pub fn is_of(&self, file: &File) -> bool {
        let mut bytes = vec![0; self.bytes as usize];
        file.read_exact_at(&mut bytes, self.at).is_ok() && Self::of(self.at, &bytes) == *self
    }
}

/// Where reading stands in a file, and by what the file is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The next record begins here.
    pub offset: u64,
    /// The number of its line.
    pub line: u64,
    /// The format that the file was found to be of.
    pub format: String,
    /// The file's first bytes.
    pub head: Print,
    /// Bytes at the position: those before it or, where a record is held back, those of this record.
    pub mark: Print,
}

impl Position {
    /// Whether this is the file, grown or as it was.
    pub fn is_of(&self, file: &File) -> bool {
        file.metadata().is_ok_and(|about| about.len() >= self.offset) && self.head.is_of(file) && self.mark.is_of(file)
    }
}

/// At most so many bytes of the file, from `at` on.
pub fn stretch(file: &File, at: u64, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = file;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at))?;
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
