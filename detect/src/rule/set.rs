//! A set of rules as text: what the binary reads from folders and archives, what is kept beside the log, and what detectors judge by.

use keytrail_schemas::{Hash32, Severity};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Longest rule file; a longer one is refused.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most files of a set; those beyond are refused.
pub const FILES_MAX: usize = 50_000;

/// Most bytes that a kept set may unpack to.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// Rules to judge by, beside the built-in ones or instead of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// The built-in rules are left out.
    pub without_builtin: bool,
    /// Further rules.
    pub folders: Vec<Folder>,
}

/// The rules of one folder, archive or checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Where it was read from, for messages.
    pub path: String,
    /// No finding of its rules is more severe.
    pub severity_max: Severity,
    /// Its rule files, sorted by path.
    pub files: Vec<File>,
}

/// A rule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path below the folder.
    pub path: String,
    /// What it says; or why it could not be read.
    pub text: Result<String, String>,
}

impl Set {
    /// The set as bytes, compressed; equal sets have equal bytes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "postcard fails on sequences of unknown length only, and a set has none")]
    pub fn to_bytes(&self) -> Vec<u8> {
        lz4_flex::block::compress_prepend_size(&postcard::to_stdvec(self).expect("a set has an encoding"))
    }

    /// The set of [`Set::to_bytes`].
    ///
    /// # Errors
    /// [`Error::RuleSet`] when the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (length, packed) = lz4_flex::block::uncompressed_size(bytes).map_err(|error| Error::RuleSet(error.to_string()))?;
        if length > UNPACKED_BYTES_MAX {
            return Err(Error::RuleSet(format!("it says that it unpacks to {length} bytes")));
        }
        let plain = lz4_flex::block::decompress(packed, length).map_err(|error| Error::RuleSet(error.to_string()))?;
        postcard::from_bytes(&plain).map_err(|error| Error::RuleSet(error.to_string()))
    }

    /// What the set is known by: equal for equal sets. All zeros for the built-in rules alone.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        if *self == Self::default() { Hash32::default() } else { Hash32::of(&self.to_bytes()) }
    }
}
