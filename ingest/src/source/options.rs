//! What a reader is told, and its bounds: each has a name, a default, and a word on what happens at it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use keytrail_schemas::{Micros, Text};

use super::follow::Follow;
use super::letter::Copies;
use super::session::Sessions;
use crate::enrich::Enrich;
use crate::format::Format;
use crate::redact::{Level, Redactor};

/// Which format the files have.
#[derive(Clone, Copy)]
pub enum Choice {
    /// This one.
    Named(&'static dyn Format),
    /// For each file the one that its first records are of, as [`format::auto`](crate::format::auto) tells them apart.
    ///
    /// A file stays with the format that was chosen for it. A record that this format rejects and that another one knows for
    /// certain is read by the other; every other rejected record is a dead letter.
    Auto,
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(format) => f.debug_tuple("Named").field(&format.name()).finish(),
            Self::Auto => f.write_str("Auto"),
        }
    }
}

/// Options of a reader.
#[derive(Debug, Clone)]
pub struct Options {
    /// The collector's name, which events and dead letters carry; the format's name when empty.
    pub source: Text,
    /// Which format the files have.
    pub format: Choice,
    /// The name of the cluster, broker or sensor, for formats whose records do not carry one; the collector's name when empty, and `default` when that is empty too.
    pub cluster: Text,
    /// Replaces secrets by keyed fingerprints.
    pub redactor: Redactor,
    /// Wall-clock time, asked once for each batch.
    pub clock: fn() -> Micros,
    /// How much of the originals is kept.
    pub raw: Level,
    /// Takes the bytes of dead letters, where the operator asks for copies.
    pub copies: Option<Arc<dyn Copies>>,
    /// Databases of the operator's that say where addresses are.
    pub enrich: Option<Arc<Enrich>>,
    /// Bounds.
    pub limits: Limits,
    /// Files that grow are read on from where they were left, as this knows; `None` reads each as it is, to its end.
    pub follow: Option<Arc<Follow>>,
    /// Whose the sessions are that records of other files belong to. Shared by the readers that follow one another over the same files.
    pub sessions: Arc<Mutex<Sessions>>,
    /// A folder on a disk for the originals of great records that wait for their turn; without one they wait in memory.
    pub waiting_dir: Option<PathBuf>,
    /// Threads that read and parse; 0 for as many as the machine has cores, at most 8.
    pub threads: usize,
}

impl Options {
    /// Options with default bounds.
    #[must_use]
    pub fn new(source: impl Into<Text>, format: Choice, redactor: Redactor, clock: fn() -> Micros) -> Self {
        Self {
            source: source.into(),
            format,
            cluster: Text::default(),
            redactor,
            clock,
            raw: Level::Safe,
            copies: None,
            enrich: None,
            limits: Limits::default(),
            follow: None,
            sessions: Arc::default(),
            waiting_dir: None,
            threads: 0,
        }
    }

    /// The collector's name on a record of `format`.
    pub(super) fn source_name(&self, format: &str) -> Text {
        if self.source.is_empty() { Text::from(format) } else { self.source.clone() }
    }

    /// The cluster's name where a record has none.
    pub(super) fn cluster_name(&self) -> Text {
        [&self.cluster, &self.source].into_iter().find(|name| !name.is_empty()).cloned().unwrap_or(Text::const_new("default"))
    }
}

/// Bounds of a reader. None of them changes what is yielded for input within them, nor its order.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest record, in bytes. A longer one is one dead letter `too_long` and takes no more memory than this; reading goes on behind it.
    pub record_bytes_max: usize,
    /// The deepest nesting of a record that a format accepts; a deeper one is a dead letter `too_deep`.
    pub depth_max: usize,
    /// The most bytes that one compressed file, or one archive with all its members, may expand to. Behind it the file is a dead letter `expansion`.
    pub expanded_bytes_max: u64,
    /// The most bytes that one compressed byte may expand to, judged past the first [`expansion_free_bytes`](Self::expansion_free_bytes). Behind it the file is a dead letter `expansion`.
    pub expansion_ratio_max: u64,
    /// Up to this many expanded bytes the ratio is not judged.
    pub expansion_free_bytes: u64,
    /// The most members of an archive. An archive with more is a dead letter `expansion`.
    pub archive_members_max: usize,
    /// The most bytes of archives within archives that are held in memory at once. An archive that does not fit is a dead letter `expansion`.
    pub archive_memory_bytes_max: u64,
    /// Bytes of a dead letter's record that are kept, after redaction.
    pub dead_letter_raw_bytes_max: usize,
    /// The most files that are open at once. Where more overlap in time, they are merged as far as this goes: the output is still the same each time.
    pub open_files_max: usize,
    /// Bytes of small files' events that are kept from the first look at every file; files past it are read a second time.
    pub peek_bytes_max: usize,
    /// Distinct records, within one file, that are remembered to count repetitions of records without an id of their own, oldest forgotten first.
    /// Equal records further apart are taken for one.
    pub repeat_records_max: usize,
    /// The most events of a batch; a record's events stay together, so that it may be a few more.
    pub batch_events_max: usize,
    /// The most bytes of a batch, by the size of the originals and of the events.
    pub batch_bytes_max: usize,
    /// Bytes of a file that are parsed ahead as one unit.
    pub unit_bytes_max: usize,
    /// Records of a file that are parsed ahead as one unit.
    pub unit_records_max: usize,
    /// The most bytes of events that are parsed ahead and of buffers, over all files; past it a file is parsed on only when it is the next one's turn. From a quarter of it
    /// on in buffers, a file that waits gives its own back.
    pub under_way_bytes_max: u64,
    /// The most bytes of originals of great records that wait in memory for their turn, over all open files; the others wait on disk.
    pub held_bytes_max: u64,
    /// Units that are parsed ahead in all, shared by the open files; each has at least one.
    pub units_ahead_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes_max: 32 << 20,
            depth_max: 256,
            expanded_bytes_max: 64 << 30,
            expansion_ratio_max: 1_000,
            expansion_free_bytes: 64 << 20,
            archive_members_max: 1_000_000,
            archive_memory_bytes_max: 256 << 20,
            dead_letter_raw_bytes_max: 16 << 10,
            open_files_max: 64,
            peek_bytes_max: 64 << 20,
            repeat_records_max: 262_144,
            batch_events_max: 8_192,
            batch_bytes_max: 32 << 20,
            unit_bytes_max: 1 << 20,
            unit_records_max: 2_048,
            under_way_bytes_max: 128 << 20,
            held_bytes_max: 128 << 20,
            units_ahead_max: 32,
        }
    }
}
