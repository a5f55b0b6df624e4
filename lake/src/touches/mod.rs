//! The roll-up `touches`: what questions read instead of events. Each closed day's events are counted per identity, credential, destination,
//! protocol, action and outcome, once sorted by identity and once by destination.
//!
//! It is an index and derived: each of its files says, per day, from which files of `events` it was computed. As files never change, a day
//! holds exactly as long as these are the day's files; a late event, a compaction, an expiry, whatever changes the day, makes its touches
//! void in the same commit, without touching them, and readers take the events of that day until it is rolled up anew. So the two tables
//! need no commit in common, and a roll-up that was interrupted, lost or is behind gives no wrong answer.

mod check;
mod fold;
mod held;
mod join;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deltalake::protocol::{DeltaOperation, SaveMode};
use keytrail_schemas::RolledDays;

pub use check::{CheckReport, Disagreement};

use crate::append::DataFile;
use crate::merge::{Output, open, write};
use crate::parquet_file::Layout;
use crate::table_log::{Outcome, Proposal, Relies, TableLog};
use crate::{Error, Lake, Result, TableName};
use fold::Fold;
use held::{Days, Held, holding};

/// The two tables.
pub(crate) const TABLES: [TableName; 2] = [TableName::Touches, TableName::TouchesByDestination];

/// How to roll up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollUpOptions {
    /// Days (since 1970-01-01, UTC) before this one are closed. By default all but the newest day that `events` has.
    pub before_day: Option<i64>,
    /// Roll up every day, closed or not.
    pub all: bool,
    /// A day of more files than this is left until it is compacted: all of them are read side by side.
    pub day_files_max: usize,
    /// Files of touches are joined once there are so many.
    pub files_min: usize,
    /// Rows of a file of touches; one that has as many is not joined any more.
    pub file_rows_max: u64,
    /// Rows of a row group.
    pub row_group_rows: usize,
    /// Memory for sorting by destination, in bytes; beyond it sorting spills to the temporary folder.
    pub memory_bytes_max: usize,
}

impl Default for RollUpOptions {
    fn default() -> Self {
        Self { before_day: None, all: false, day_files_max: 512, files_min: 8, file_rows_max: 1 << 24, row_group_rows: 1 << 17, memory_bytes_max: 256 << 20 }
    }
}

/// What a roll-up did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RollUpReport {
    /// Days that were rolled up.
    pub days: usize,
    /// Their events.
    pub events: u64,
    /// The touches that these came to.
    pub touches: u64,
    /// Bytes of both tables' new files.
    pub bytes: u64,
    /// Days left to their events, each with the reason.
    pub days_left: Vec<(i64, String)>,
    /// Files of touches that were joined into larger ones.
    pub files_joined: usize,
    /// Files of touches that were removed because no day of theirs holds any more.
    pub files_removed: usize,
}

impl Lake {
    /// Rolls up closed days whose touches are missing or do not hold any more, the newest first, and joins small files of touches. Each day is
    /// committed by itself, so that an interrupted run loses one day's work at most. Safe beside writers, readers and other roll-ups.
    ///
    /// # Errors
    /// When the store fails. A day that cannot be rolled up is told in the report, and its events are read.
    pub async fn roll_up(&self, options: &RollUpOptions) -> Result<RollUpReport> {
        let mut report = RollUpReport::default();
        let days = Days::load(self.table(TableName::Events)).await?;
        for day in self.unrolled(&days, options).await? {
            let Some(of) = days.days.get(&day) else { continue };
            if of.files.len() > options.day_files_max {
                report.days_left.push((day, format!("it has {} files, more than {}: it waits for compaction", of.files.len(), options.day_files_max)));
                continue;
            }
            match self.roll_up_day(day, of, options).await {
                Ok(Some(rolled)) => {
                    report.days += 1;
                    report.events += rolled.events;
                    report.touches += rolled.touches;
                    report.bytes += self.commit_touches(rolled).await?;
                }
                Ok(None) => report.days_left.push((day, "it has files that do not state their order: keytrail did not write them".to_owned())),
                Err(error @ Error::Encoding { .. }) => {
                    tracing::warn!(day, %error, "a day cannot be rolled up: its events are read instead");
                    report.days_left.push((day, error.to_string()));
                }
                // Compaction took its files meanwhile: the next run finds it again.
                Err(error @ Error::Storage { .. }) if is_gone(&error) => report.days_left.push((day, "its files were replaced meanwhile".to_owned())),
                Err(error) => return Err(error),
            }
        }
        for table in TABLES {
            self.join_touches(self.table(table), options, &mut report).await?;
        }
        Ok(report)
    }

    /// The closed days that one of the tables does not hold, the newest first.
    async fn unrolled(&self, days: &Days, options: &RollUpOptions) -> Result<Vec<i64>> {
        let newest = days.days.keys().next_back().copied();
        let closed = |day: i64| options.all || options.before_day.or(newest).is_some_and(|before| day < before);
        let mut missing = BTreeSet::new();
        for table in TABLES {
            let (_, held) = Held::load(self.table(table)).await?;
            let holding = holding(days, &held);
            missing.extend(days.days.keys().copied().filter(|day| closed(*day) && !holding.contains_key(day)));
        }
        Ok(missing.into_iter().rev().collect())
    }

    /// Writes a day's touches in both orders; no commit names them yet. `None` where the day's files are not in order.
    async fn roll_up_day(&self, day: i64, of: &held::Day, options: &RollUpOptions) -> Result<Option<Rolled>> {
        let (events, touches, turned) =
            (self.table(TableName::Events).clone(), self.table(TableName::Touches).clone(), self.table(TableName::TouchesByDestination).clone());
        let output = Output {
            day: None,
            layout: Layout::Sorted { row_group_rows: options.row_group_rows },
            name: format!("day-{}", self.next_id()),
            file_rows_max: usize::MAX,
            note: Some((RolledDays::KEY, RolledDays(BTreeMap::from([(day, of.of)])).to_json())),
        };
        let (inputs, memory_bytes_max, runtime) = (of.files.clone(), options.memory_bytes_max, tokio::runtime::Handle::current());
        let shown = events.shown.clone();
        let work = move || {
            let Some(fold) = Fold::open(&runtime, &events, day, &inputs)? else { return Ok(None) };
            let counted = Arc::new(AtomicU64::new(0));
            let (files, rows) = write(&runtime, &touches, fold::batches(fold, Arc::clone(&counted)), &output)?;
            let mut turned_files = Vec::new();
            for file in &files {
                let Some((stream, _)) = open(&runtime, &touches, &file.path, &touches.name.file_schema())? else { continue };
                let _inside = runtime.enter();
                let stream = turn::by_destination(stream, memory_bytes_max).map_err(|e| Error::encoding(&turned.shown, "sort touches", e))?;
                let (files, turned_rows) = write(&runtime, &turned, stream, &output)?;
                if turned_rows != rows {
                    let what = format!("{rows} touches were to be sorted, and {turned_rows} came out: nothing was changed");
                    return Err(Error::encoding(&turned.shown, "sort touches", what));
                }
                turned_files.extend(files);
            }
            Ok(Some(Rolled { events: counted.load(Ordering::Relaxed), touches: rows, files: [files, turned_files] }))
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| Error::storage(shown, "roll up a day", e))?
    }

    /// Makes a day's files part of the tables, and says how many bytes they are.
    async fn commit_touches(&self, rolled: Rolled) -> Result<u64> {
        let mut bytes = 0;
        for (table, files) in TABLES.into_iter().zip(rolled.files) {
            if files.is_empty() {
                continue;
            }
            bytes += files.iter().map(|file| file.bytes).sum::<u64>();
            let log: &TableLog = self.table(table);
            let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
            let actions = files.into_iter().map(|file| file.add(true)).collect();
            match log.commit(Proposal { actions, operation, relies: Relies::OnTransactions(BTreeMap::new()), id: self.next_id() }).await? {
                Outcome::Committed(version) => self.checkpoint_when_due(log, version).await,
                Outcome::Overtaken => return Err(Error::Busy { table, attempts: 1 }),
            }
        }
        Ok(bytes)
    }
}

/// A day's files of touches, for [`TABLES`] in their order.
struct Rolled {
    events: u64,
    touches: u64,
    files: [Vec<DataFile>; 2],
}

/// Whether a file is not there (any more).
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Storage { source, .. } if matches!(source.downcast_ref(), Some(object_store::Error::NotFound { .. })))
}
