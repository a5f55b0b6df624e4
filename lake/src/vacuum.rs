//! Vacuum: removes files that no reader can need any more, and old entries of the log.
//!
//! What compaction and replacement took out, and what a crash left without a commit, goes after the retention time; until then a
//! query that began before still finds its files.

use chrono::TimeDelta;
use deltalake::operations::vacuum::VacuumMode;

use crate::{Error, Lake, Result, TableName};

/// What vacuum removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VacuumReport {
    /// Data files removed.
    pub files_removed: usize,
    /// Log entries removed.
    pub log_entries_removed: usize,
}

impl Lake {
    /// Removes data files that left the tables, or never entered them, more than `retention_hours` ago; writes a checkpoint, and
    /// removes log entries older than the table's `delta.logRetentionDuration` (7 days). Ages are those of the store and of this machine's clock.
    ///
    /// A retention shorter than the longest query, or than the longest commit takes, breaks those: 24 is a good value, 0 is for tests.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn vacuum(&self, retention_hours: u32) -> Result<VacuumReport> {
        let mut report = VacuumReport::default();
        for name in TableName::ALL {
            let log = self.table(name);
            let failed = |e| Error::storage(&log.shown, "remove old files", e);
            let (table, metrics) = log
                .load()
                .await?
                .vacuum()
                .with_mode(VacuumMode::Full)
                .with_retention_period(TimeDelta::hours(retention_hours.into()))
                .with_enforce_retention_duration(false)
                .await
                .map_err(failed)?;
            report.files_removed += metrics.files_deleted.len();
            deltalake::checkpoints::create_checkpoint(&table, None).await.map_err(failed)?;
            report.log_entries_removed += deltalake::checkpoints::cleanup_metadata(&table, None).await.map_err(failed)?;
        }
        Ok(report)
    }
}
