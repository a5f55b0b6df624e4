//! The bounds of a session. Each has a default, and what happens at the bound is written beside it.

/// Limits and sizes of a [`crate::Session`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Memory that all running queries share, in bytes; sorts and joins spill to disk near it, and a query that cannot
    /// ends with [`crate::Error::MemoryLimit`].
    pub memory_bytes_max: usize,
    /// Temporary files that queries may spill, in bytes; beyond it the query fails.
    pub spill_bytes_max: u64,
    /// Parquet footers and page indexes kept in memory, in bytes; the least recently used leave first.
    pub metadata_cache_bytes_max: usize,
    /// Partitions that a query runs in; 0 takes as many as there are cores.
    pub threads: usize,
    /// Seconds that a statement may run; then it ends with [`crate::Error::TimeLimit`].
    pub time_limit_seconds: u64,
    /// Rows that an answer may have; beyond it the statement ends with [`crate::Error::RowLimit`].
    pub rows_max: usize,
    /// Whether the roll-up of closed days is read where it holds them; without, every question reads events.
    pub roll_up: bool,
    /// Whether `touched`, `who_touched` and `timeline` look names up in the files' page indexes themselves; without, they are
    /// planned like any other question. The answers are the same.
    pub look_up: bool,
    /// Rows that were looked up lately and are kept in memory, in bytes; the names that were not asked for longest leave first.
    pub rows_cache_bytes_max: usize,
    /// Small files (those of a writer's commits, and the roll-up of a few days) that many names were looked up in and are kept in memory, counted by key,
    /// in bytes; what does not fit is looked up in its file.
    pub recent_cache_bytes_max: usize,
    /// Indexes of files by names that nothing is sorted by (who a finding names, what was obtained with a credential), in bytes; a question whose indexes
    /// do not fit is planned.
    pub index_cache_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            spill_bytes_max: 16 << 30,
            metadata_cache_bytes_max: 512 << 20,
            threads: 0,
            time_limit_seconds: 60,
            rows_max: 10_000_000,
            roll_up: true,
            look_up: true,
            rows_cache_bytes_max: 256 << 20,
            recent_cache_bytes_max: 128 << 20,
            index_cache_bytes_max: 128 << 20,
        }
    }
}

impl Options {
    /// The number of partitions that `threads` stands for.
    #[must_use]
    pub fn partitions(&self) -> usize {
        if self.threads > 0 { self.threads } else { std::thread::available_parallelism().map_or(1, usize::from) }
    }
}
