//! The roll-up `touches`: what questions read instead of events. Each closed day's events are counted per identity, credential, destination,
//! protocol, action and outcome, once sorted by identity and once by destination.
//!
//! It is an index and derived: each of its files says, per day, from which files of `events` it was computed. As files never change, a day
//! holds exactly as long as these are the day's files; a late event, a compaction, an expiry, whatever changes the day, makes its touches
//! void in the same commit, without touching them, and readers take the events of that day until it is rolled up anew. So the two tables
//! need no commit in common, and a roll-up that was interrupted, lost or is behind gives no wrong answer.

mod check;
mod few;
mod fold;
mod held;
mod join;
mod span;
mod turn;

use std::collections::BTreeSet;

use futures::StreamExt as _;

pub use check::{CheckReport, Disagreement};

use crate::{Lake, Result, TableName};
use held::{Days, Held, holding};
use span::{Span, Wanted, spans};

/// The two tables.
pub(crate) const TABLES: [TableName; 2] = [TableName::Touches, TableName::TouchesByDestination];

/// Spans that are rolled up beside one another, at most.
const THREADS_MAX: usize = 4;

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
    /// Memory for counting days of few events, and for sorting by destination, in bytes; beyond it days are streamed, and sorting spills to the temporary folder.
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
    /// Rolls up closed days whose touches are missing or do not hold any more, the newest first, and joins small files of touches. Small days that
    /// are due together come into one file; each file is committed by itself, so that an interrupted run loses a few days' work at most. Safe beside
    /// writers, readers and other roll-ups.
    ///
    /// # Errors
    /// When the store fails. A day that cannot be rolled up is told in the report, and its events are read.
    pub async fn roll_up(&self, options: &RollUpOptions) -> Result<RollUpReport> {
        let mut report = RollUpReport::default();
        let days = Days::load(self.table(TableName::Events)).await?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let mut wanted = Vec::new();
        for day in self.unrolled(&days, options).await? {
            let Some(of) = days.days.get(&day) else { continue };
            if of.files.len() > options.day_files_max {
                report.days_left.push((day, format!("it has {} files, more than {}: it waits for compaction", of.files.len(), options.day_files_max)));
            } else {
                wanted.push(Wanted { day, files: of.files.clone(), bytes: of.bytes, of: of.of });
            }
        }
        let spans = spans(wanted, options.day_files_max);
        // All spans that are made at once have no more files open than one may.
        let most = spans.iter().map(|span| span.iter().map(|wanted| wanted.files.len()).sum()).max().unwrap_or(1);
        let threads = threads.min(options.day_files_max / most.max(1)).max(1);
        let memory_bytes_max = options.memory_bytes_max / threads.min(spans.len()).max(1);
        let mut rolling = futures::stream::iter(spans).map(|span| self.roll_span(span, options, memory_bytes_max)).buffered(threads);
        while let Some(rolled) = rolling.next().await {
            for (days, rolled) in rolled? {
                match rolled {
                    Span::Rolled(rolled) => {
                        report.days += days.len();
                        report.events += rolled.events;
                        report.touches += rolled.touches;
                        report.bytes += self.commit_touches(*rolled).await?;
                    }
                    Span::Left(reason) => report.days_left.extend(days.into_iter().map(|day| (day, reason.clone()))),
                }
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
}
