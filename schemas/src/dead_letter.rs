//! The dead letter: a record that could not be understood, where it stood, and why.

use crate::{Hash32, Micros, Text};

words! {
    /// Why a record went to dead letters.
    Reason default Malformed {
        /// It is not what its format demands.
        Malformed = "malformed",
        /// It has no time, or one that is none.
        NoTime = "no_time",
        /// It names no identity and none can be derived.
        NoIdentity = "no_identity",
        /// It is not UTF-8.
        NotUtf8 = "not_utf8",
        /// It is longer than the limit.
        TooLong = "too_long",
        /// It is nested deeper than the limit.
        TooDeep = "too_deep",
        /// The file ends, or breaks, within it.
        Truncated = "truncated",
        /// The compressed file expands beyond the limit.
        Expansion = "expansion",
        /// No format recognises it.
        UnknownFormat = "unknown_format",
        /// It belongs to another kind of log.
        WrongKind = "wrong_kind",
        /// The file could not be read.
        Unreadable = "unreadable",
    }
}

table! {
    /// One dead letter. `raw` holds the record's bytes, redacted as far as it can be without understanding it.
    pub struct DeadLetter = "dead_letters" {
        /// Deterministic id, 32 hex digits: from the source position and the record's bytes.
        dead_letter_id: Text,
        /// When keytrail read it.
        ingested_at: Micros,
        /// The collector's configured name.
        source: Text,
        /// The format that was tried.
        format: Text,
        /// The file, with the member's name behind `!` for an archive.
        path: Text,
        /// Number of the line, or of the record where a file has no lines, from 1; 0 for the file as a whole.
        line: i64,
        /// Offset of the record's first byte in the expanded file.
        byte_offset: i64,
        /// Why, as one word.
        reason: Reason,
        /// The field that is at fault, as a path, where one is.
        field: Option<Text>,
        /// Why, for a person, and what to do.
        message: String,
        /// The record, lossily as text and cut at the limit.
        raw: String,
        /// The record's whole length in bytes.
        raw_bytes: i64,
        /// BLAKE3 of `raw`: of what is kept, since a hash of a record that holds a secret tells it to who can guess.
        raw_hash: Hash32,
        /// The log partition that holds the dead letter.
        log_partition: i32,
        /// Its offset there.
        log_offset: i64,
    }
}
