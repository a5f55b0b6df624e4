//! What a lake needs so that it stays quick and small: compaction, roll-up, expiry, checkpoints, and the removal of what no reader needs. A
//! process that writes or serves a lake does a round every so often; of several at most one works at a time, and all of it is safe beside
//! writers and readers.

mod lease;
mod log;

use keytrail_schemas::Micros;

use crate::retention::Retention;
use crate::touches::RollUpOptions;
use crate::{CompactOptions, CompactReport, Lake, Result, RollUpReport, TableName, VacuumReport};

/// What a round does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpkeepOptions {
    /// An open day (one that still grows) has its small files joined once there are so many; 0 for never.
    pub open_day_files_min: usize,
    /// Data files that left the tables are kept so long, in hours, for whoever still reads them. At least an hour.
    pub removed_kept_hours: u32,
    /// Time between two removals, in hours.
    pub removal_interval_hours: u32,
    /// Versions of a table that stay in its log behind the newest, at least.
    pub log_versions_kept: u64,
    /// Versions younger than this stay in the log too, in minutes.
    pub log_kept_minutes: u32,
    /// How long a round may take, in minutes, before another process takes it for dead and begins one of its own.
    pub round_minutes_max: u32,
    /// What expires, and what is held.
    pub retention: Retention,
}

impl Default for UpkeepOptions {
    fn default() -> Self {
        Self {
            open_day_files_min: 64,
            removed_kept_hours: 24,
            removal_interval_hours: 6,
            log_versions_kept: 500,
            log_kept_minutes: 60,
            round_minutes_max: 60,
            retention: Retention::default(),
        }
    }
}

/// What a round did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpkeepReport {
    /// Whether another process is at it: then nothing was done.
    pub elsewhere: bool,
    /// What was compacted.
    pub compaction: CompactReport,
    /// What was rolled up.
    pub roll_up: RollUpReport,
    /// What expired.
    pub expired: crate::ExpiryReport,
    /// Entries of the tables' logs that were removed.
    pub log_entries_removed: usize,
    /// What was removed, where removal was due.
    pub removal: Option<VacuumReport>,
}

impl Lake {
    /// Does one round, unless `stop` comes first. `now` is the clock's time: it decides whether another process's round is over, and bounds what
    /// expires.
    ///
    /// # Errors
    /// When the store fails; what was done until then stays done.
    pub async fn upkeep(&self, options: &UpkeepOptions, now: Micros, stop: impl Future<Output = ()>) -> Result<UpkeepReport> {
        let minutes = i64::from(options.round_minutes_max.max(1));
        let Some(lease) = self.take_lease(now, Micros(now.0.saturating_add(minutes * Micros::MINUTE))).await? else {
            return Ok(UpkeepReport { elsewhere: true, ..UpkeepReport::default() });
        };
        let done = tokio::select! {
            done = self.round(options, now) => done,
            () = stop => Ok(UpkeepReport::default()),
        };
        self.release_lease(lease).await?;
        done
    }

    async fn round(&self, options: &UpkeepOptions, now: Micros) -> Result<UpkeepReport> {
        let expired = self.expire(&options.retention, now, false).await?;
        let compaction = self.compact(CompactOptions { open_files_min: options.open_day_files_min, ..CompactOptions::default() }).await?;
        let mut report = UpkeepReport { expired, compaction, roll_up: self.roll_up(&RollUpOptions::default()).await?, ..UpkeepReport::default() };
        for table in TableName::ALL {
            report.log_entries_removed += self.trim_log(self.table(table), options, now).await?;
        }
        if self.removal_is_due(now, options.removal_interval_hours).await? {
            report.removal = Some(self.vacuum(options.removed_kept_hours.max(1)).await?);
        }
        Ok(report)
    }
}
