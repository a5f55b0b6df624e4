//! How an embedded log is opened: every bound has a name, a default, and a word on what happens at it.

use super::dedupe::Horizon;
use super::pack::Bounds;

/// When the journal is forced onto the disk. Whatever the policy, an append that has returned is in the operating system's
/// hands and survives the process, killed or not; the policy decides what survives the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before each append returns: what was acknowledged survives a power loss. Costs one `fdatasync` for each append.
    EveryAppend,
    /// In the background, this many milliseconds after the first append that is not on the disk yet: a power loss may take the last so many
    /// milliseconds of appends, whole ones; a source that can be read again puts them back.
    IntervalMs(u64),
    /// When the operating system sees fit, and when the log is closed.
    Never,
}

/// Options of an embedded log.
#[derive(Debug, Clone)]
pub struct Options {
    /// Partitions of each topic. Fixed when the log is created: `None` takes what is there, or 1; another number than what is there is an error.
    pub partitions: Option<i32>,
    /// When the journal is forced onto the disk.
    pub fsync: Fsync,
    /// The most event and dead-letter ids that are remembered, to store nothing twice. Each takes 16 bytes on disk and 10 to 22 bytes of memory. An
    /// id past it, or past [`dedupe_horizon_days`](Self::dedupe_horizon_days), is forgotten, oldest first: what it names would be stored again.
    pub dedupe_ids_max: u64,
    /// How many days of ingest time ids are remembered.
    pub dedupe_horizon_days: u32,
    /// Bytes of decoded records that are kept for readers close behind the writer; older ones are read and decoded again.
    pub tail_bytes_max: usize,
    /// Bytes of decoded records that are kept for readers further behind, so that two of them at one place decode once.
    pub cache_bytes_max: usize,
    /// The most records in one block, the unit that readers get.
    pub block_records_max: usize,
    /// The most bytes of encoded records in one block; one larger record is a block of its own.
    pub block_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: None,
            fsync: Fsync::IntervalMs(1_000),
            dedupe_ids_max: 50_000_000,
            dedupe_horizon_days: 400,
            tail_bytes_max: 128 << 20,
            cache_bytes_max: 32 << 20,
            block_records_max: 2_048,
            block_bytes_max: 4 << 20,
        }
    }
}

impl Options {
    pub(super) const fn bounds(&self) -> Bounds {
        Bounds { block_records_max: self.block_records_max, block_bytes_max: self.block_bytes_max }
    }

    pub(super) fn horizon(&self) -> Horizon {
        Horizon { ids_max: self.dedupe_ids_max.max(1), days: self.dedupe_horizon_days.max(1) }
    }
}
