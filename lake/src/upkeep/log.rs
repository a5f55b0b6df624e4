//! A table's log is kept short: behind a checkpoint, old entries serve nobody but a reader that has not looked for long, and that one begins
//! anew from the checkpoint.

use keytrail_schemas::Micros;

use super::UpkeepOptions;
use crate::table_log::TableLog;
use crate::{Lake, Result};

impl Lake {
    /// Writes a checkpoint where nobody did for long, and removes the log's entries before the newest one that lies behind what is kept; how
    /// many they were.
    pub(super) async fn trim_log(&self, log: &TableLog, options: &UpkeepOptions, now: Micros) -> Result<usize> {
        let version = log.refresh().await?.version;
        let Some(keep_from) = version.checked_sub(options.log_versions_kept) else { return Ok(0) };
        if version.saturating_sub(log.last_checkpoint().await?.unwrap_or(0)) >= options.log_versions_kept {
            log.checkpoint().await?;
        }
        let kept_micros = i64::from(options.log_kept_minutes) * Micros::MINUTE;
        log.trim(keep_from, Micros(now.0.saturating_sub(kept_micros))).await
    }
}
