//! Holds the roll-up against the events: every day that it claims to hold is counted anew and compared, row for row, in both orders.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::physical_plan::SendableRecordBatchStream;
use deltalake::kernel::Action;
use deltalake::protocol::DeltaOperation;
use futures::StreamExt;
use keytrail_schemas::{Hash32, Table, Touch};

use super::fold::Fold;
use super::held::{Days, Held, holding};
use super::join::only;
use super::{RollUpOptions, RollUpReport, TABLES};
use crate::merge::open;
use crate::table_log::{Outcome, Proposal, Relies, TableLog};
use crate::{Error, Lake, Result, TableName};

/// What a check of the roll-up found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Days that hold, in both orders.
    pub days: usize,
    /// Their events.
    pub events: u64,
    /// Days whose events cannot be counted, each with the reason.
    pub unreadable: Vec<(i64, String)>,
    /// What disagrees with the events.
    pub disagreements: Vec<Disagreement>,
    /// What was done about it, where it was to be mended.
    pub mended: Option<RollUpReport>,
}

/// A day of a table of touches that is not what its events come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Which of the two.
    pub table: TableName,
    /// The day, since 1970-01-01, UTC.
    pub day: i64,
    /// The file that holds it.
    pub file: String,
    /// What is wrong, for a person.
    pub what: String,
}

impl Lake {
    /// Counts every rolled-up day anew and compares. With `mend`, files that disagree are removed and their days rolled up again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn check_touches(&self, mend: bool) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        let days = Days::load(self.table(TableName::Events)).await?;
        let mut wrong: [BTreeSet<String>; 2] = Default::default();
        let mut held = Vec::new();
        for table in TABLES {
            let (version, files) = Held::load(self.table(table)).await?;
            let holding = holding(&days, &files);
            held.push((version, files, holding));
        }
        let claimed: BTreeSet<i64> = held.iter().flat_map(|(_, _, holding)| holding.keys().copied()).collect();
        for day in claimed {
            let Some(of) = days.days.get(&day) else { continue };
            let counted = match self.counted(day, &of.files).await {
                Ok(counted) => counted,
                Err(error) => {
                    report.unreadable.push((day, error.to_string()));
                    continue;
                }
            };
            report.days += 1;
            report.events += counted.events;
            for ((table, (_, files, holding)), wrong) in TABLES.into_iter().zip(&held).zip(&mut wrong) {
                let Some(file) = holding.get(&day).and_then(|index| files.get(*index)) else { continue };
                let found = self.found(table, day, &file.path).await;
                let what = match found {
                    Ok(found) if found == counted => continue,
                    Ok(found) => format!("it has {} touches of {} events, and the day has {} of {}", found.rows, found.events, counted.rows, counted.events),
                    Err(error) => error.to_string(),
                };
                wrong.insert(file.path.clone());
                report.disagreements.push(Disagreement { table, day, file: file.path.clone(), what });
            }
        }
        if mend && !report.disagreements.is_empty() {
            for ((table, (version, files, _)), wrong) in TABLES.into_iter().zip(held).zip(&wrong) {
                self.remove_touches(self.table(table), version, &files, wrong).await?;
            }
            report.mended = Some(self.roll_up(&RollUpOptions::default()).await?);
        }
        Ok(report)
    }

    async fn remove_touches(&self, log: &TableLog, version: u64, files: &[Held], wrong: &BTreeSet<String>) -> Result<()> {
        if wrong.is_empty() {
            return Ok(());
        }
        let actions = files.iter().filter(|file| wrong.contains(&file.path)).map(|file| Action::Remove(file.file.remove_action(true))).collect();
        let operation = DeltaOperation::Delete { predicate: None };
        let relies = Relies::OnFiles(version, wrong.iter().cloned().collect());
        match log.commit(Proposal { actions, operation, relies, id: self.next_id() }).await? {
            // Another process removed one of them meanwhile: the next check looks again.
            Outcome::Committed(_) | Outcome::Overtaken => Ok(()),
        }
    }

    /// What the day's events come to.
    async fn counted(&self, day: i64, files: &[String]) -> Result<Digest> {
        let (events, files, runtime) = (self.table(TableName::Events).clone(), files.to_vec(), tokio::runtime::Handle::current());
        let shown = events.shown.clone();
        let work = move || {
            let mut digest = Digest::default();
            if let Some(mut fold) = Fold::open(&runtime, &events, day, &files)? {
                while let Some(touches) = runtime.block_on(fold.next())? {
                    touches.iter().for_each(|touch| digest.add(touch));
                }
            }
            Ok(digest)
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| Error::storage(shown, "count a day's events", e))?
    }

    /// What a file of touches says of the day.
    async fn found(&self, table: TableName, day: i64, path: &str) -> Result<Digest> {
        let (log, path, runtime) = (self.table(table).clone(), path.to_owned(), tokio::runtime::Handle::current());
        let shown = format!("{}{path}", log.shown);
        let failed = shown.clone();
        let work = move || {
            let mut digest = Digest::default();
            let Some((stream, _)) = open(&runtime, &log, &path, &log.name.file_schema())? else {
                return Err(Error::encoding(shown, "read touches", "the file does not state the table's order".to_owned()));
            };
            let mut stream: SendableRecordBatchStream = only(stream, BTreeSet::from([day]));
            while let Some(batch) = runtime.block_on(stream.next()) {
                let batch = batch.map_err(|e| Error::encoding(&shown, "read touches", e))?;
                Touch::from_batch(&batch).map_err(|e| Error::encoding(&shown, "read touches", e))?.iter().for_each(|touch| digest.add(touch));
            }
            Ok(digest)
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| Error::storage(failed, "read touches", e))?
    }
}

/// A set of touches, in no order: how many, of how many events, and sums of the rows' hashes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    events: u64,
    sums: BTreeMap<u64, u64>,
}

impl Digest {
    fn add(&mut self, touch: &Touch) {
        self.rows += 1;
        self.events += u64::try_from(touch.count).unwrap_or_default();
        let Hash32(hash) = Hash32::of(format!("{touch:?}").as_bytes());
        // Four sums of 64 bits: what one does not see another does.
        for (place, part) in (0_u64..).zip(hash.chunks_exact(8)) {
            let part = part.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let sum = self.sums.entry(place).or_default();
            *sum = sum.wrapping_add(part);
        }
    }
}
