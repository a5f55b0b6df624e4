//! Dead letters: made here alone, so that each is redacted, cut, and has the same id whenever the same file is read again.

use keytrail_schemas::{DeadLetter, Hash32, Micros};

use super::frame::Place;
use super::mask;
use super::options::Options;
use crate::format::Reject;

/// Takes the bytes of dead letters as they came, to be read again one day. They hold secrets: whoever implements it encrypts.
pub trait Copies: Send + Sync + std::fmt::Debug {
    /// Keeps the bytes of a letter, under its id; the same letter may come more than once.
    fn keep(&self, letter: &DeadLetter, record: &[u8]);
}

/// Bytes of a record that are kept to be redacted: what is cut off afterwards lets a secret at the cut be seen whole.
pub const fn head_bytes(options: &Options) -> usize {
    options.limits.dead_letter_raw_bytes_max.saturating_add(8 << 10)
}

/// What a dead letter is made of.
pub struct Remains<'a> {
    /// The first bytes, at least [`head_bytes`] where there are so many.
    pub head: &'a [u8],
    /// How many bytes there are.
    pub bytes: u64,
    /// Where they stand; `line` 0 for the file as a whole.
    pub place: Place,
    /// Its number within the envelope that stands there, from 1; 0 for what stands there itself.
    pub within: u32,
}

impl<'a> Remains<'a> {
    /// All the bytes of a record.
    pub fn whole(record: &'a [u8], place: Place) -> Self {
        Self { head: record, bytes: record.len() as u64, place, within: 0 }
    }

    /// A file as a whole, of which these are the first bytes.
    pub fn file(head: &'a [u8], bytes: u64) -> Self {
        Self { head, bytes, place: Place { line: 0, byte_offset: 0 }, within: 0 }
    }
}

/// Makes a dead letter. Its id stands for the file's own name, the place, the length, what is kept of the bytes, and the reason: the same file in
/// another folder has the same dead letters, under any fingerprint key. Nothing is hashed before it is redacted: without a key, a hash of a record
/// that is known but for a PIN gives the PIN away.
pub fn letter(options: &Options, path: &str, file_name: &str, format: &str, remains: &Remains<'_>, why: Reject) -> DeadLetter {
    let Reject { reason, field, message } = why;
    let raw = options.redactor.bytes(format, remains.head, options.limits.dead_letter_raw_bytes_max);
    let raw_hash = Hash32::of(raw.as_bytes());
    // Where a record has no offset its line tells it from others that are alike but for their secrets.
    let place = if remains.place.byte_offset == 0 { remains.place.line } else { remains.place.byte_offset };
    let mut hasher = blake3::Hasher::new_derive_key("keytrail dead letter id v2");
    for part in [file_name.as_bytes(), reason.as_str().as_bytes(), &mask::hash(&raw, &raw_hash).0, &place.to_le_bytes(), &remains.bytes.to_le_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    if remains.within > 0 {
        hasher.update(&remains.within.to_le_bytes());
    }
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    let letter = DeadLetter {
        dead_letter_id: hex::encode(id).into(),
        ingested_at: Micros(0),
        source: options.source_name(format),
        format: format.into(),
        path: path.into(),
        line: i64::try_from(remains.place.line).unwrap_or(i64::MAX),
        byte_offset: i64::try_from(remains.place.byte_offset).unwrap_or(i64::MAX),
        reason,
        field,
        message,
        raw,
        raw_bytes: i64::try_from(remains.bytes).unwrap_or(i64::MAX),
        raw_hash,
        ..DeadLetter::default()
    };
    if let Some(copies) = &options.copies
        && remains.place.line > 0
        && remains.head.len() as u64 == remains.bytes
    {
        copies.keep(&letter, remains.head);
    }
    letter
}
