//! Retention: how long each table keeps what, and what is held whatever its age. Expiry removes rows for good, and is written down.
//!
//! Age is counted from the earlier of the clock and the newest event, so that neither a clock that is ahead nor an event from the future lets
//! anything expire. A hold keeps the days that it touches whole, of one identity or of all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::kernel::{Action, LogicalFileView};
use deltalake::protocol::DeltaOperation;
use futures::StreamExt;
use keytrail_schemas::{Hash32, Micros};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::append::DataFile;
use crate::merge::{Output, open, ordered, write};
use crate::parquet_file::Layout;
use crate::table_log::{Outcome, Proposal, Relies, TableLog};
use crate::{DAY, Error, Lake, Result, TableName, stats};

/// How the name of a file begins that holds what is held of a day that expired.
pub(crate) const HELD: &str = "held-";
/// Where it is written down what expired, under `_state`.
const RECORD: &str = "expired";
const ROW_GROUP_ROWS: usize = 1 << 17;

/// How long rows are kept, in days; 0 for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Events, by the day of their time. Their touches go with them.
    pub events_days: u32,
    /// Findings and their detections, by the time of the last event that they tell of.
    pub findings_days: u32,
    /// Dead letters, by when they were read.
    pub dead_letters_days: u32,
    /// What is held whatever its age.
    pub holds: Vec<Hold>,
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hold {
    /// Of whom: a canonical id; empty for everyone.
    pub identity: String,
    /// From when on, RFC 3339 or a date; empty for ever.
    pub from: String,
    /// Until when, RFC 3339 or a date; empty for ever. Days that it touches are held whole.
    pub to: String,
    /// Why, for whoever finds it.
    pub reason: String,
}

/// What expired, or would.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExpiryReport {
    /// What went, by table and day.
    pub expired: Vec<Expired>,
    /// Days that are old enough and stay, each with the reason.
    pub kept: Vec<(String, String)>,
}

/// Rows that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// The table.
    pub table: String,
    /// The day; for tables without days the first day that stays.
    pub day: String,
    /// Rows that went.
    pub rows: u64,
    /// Rows that stay because they are held.
    pub rows_held: u64,
    /// Bytes of the files that went.
    pub bytes: u64,
}

/// A hold whose times were read.
#[derive(Debug, Clone)]
struct Held {
    identity: Option<String>,
    first_day: i64,
    last_day: i64,
}

impl Hold {
    fn read(&self) -> Result<Held> {
        let day = |text: &str, open: i64, last: bool| {
            if text.is_empty() {
                return Ok(open);
            }
            let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
            let time = Micros::parse_rfc3339(&whole).map_err(|_| Error::Setting {
                name: "store.retention.holds".to_owned(),
                message: format!("{text:?} is no time: write RFC 3339 or a date such as 2026-01-31"),
            })?;
            // An end at midnight does not touch the day that begins then.
            Ok(if last { Micros(time.0 - 1).day() } else { time.day() })
        };
        let identity = (!self.identity.is_empty()).then(|| self.identity.clone());
        Ok(Held { identity, first_day: day(&self.from, i64::MIN, false)?, last_day: day(&self.to, i64::MAX, true)? })
    }
}

/// What is held of a day.
enum Kept {
    Nothing,
    Of(BTreeSet<String>),
    All,
}

fn kept(holds: &[Held], day: i64) -> Kept {
    let mut identities = BTreeSet::new();
    for hold in holds.iter().filter(|hold| (hold.first_day..=hold.last_day).contains(&day)) {
        match &hold.identity {
            None => return Kept::All,
            Some(identity) => {
                identities.insert(identity.clone());
            }
        }
    }
    if identities.is_empty() { Kept::Nothing } else { Kept::Of(identities) }
}

impl Lake {
    /// Removes what is older than its table keeps it, and not held; with `dry_run` only says what would go. What went is written down under
    /// `_state/expired`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a hold whose times cannot be read: then nothing is removed. Else when the store fails.
    pub async fn expire(&self, retention: &Retention, now: Micros, dry_run: bool) -> Result<ExpiryReport> {
        let holds = retention.holds.iter().map(Hold::read).collect::<Result<Vec<_>>>()?;
        let mut report = ExpiryReport::default();
        if retention.events_days > 0 {
            self.expire_events(i64::from(retention.events_days), &holds, now, dry_run, &mut report).await?;
        }
        let others = [
            (TableName::Findings, "last_event_time", retention.findings_days),
            (TableName::Detections, "last_event_time", retention.findings_days),
            (TableName::DeadLetters, "ingested_at", retention.dead_letters_days),
        ];
        for (table, time, days) in others {
            if days > 0 {
                self.expire_rows(table, time, i64::from(days), &holds, now, dry_run, &mut report).await?;
            }
        }
        if !dry_run && !report.expired.is_empty() {
            let record = serde_json::to_vec(&report).map_err(|e| Error::encoding("", "write down what expired", e))?;
            self.put_object(&Path::from_iter([RECORD, &format!("{}-{}.json", now.0, self.next_id())]), record).await?;
        }
        Ok(report)
    }

    /// What ever expired, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expiries(&self) -> Result<Vec<(Micros, ExpiryReport)>> {
        let listed = match self.state.list_with_delimiter(Some(&Path::from(RECORD))).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            other => other.map_err(|e| Error::storage(&self.state_shown, "list what expired", e))?,
        };
        let mut all = Vec::new();
        for object in listed.objects {
            let time = object.location.filename().and_then(|name| name.split('-').next()?.parse().ok()).map(Micros);
            let report = self.read(&object.location).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            all.extend(time.zip(report));
        }
        all.sort_by_key(|(time, _)| *time);
        Ok(all)
    }

    async fn expire_events(&self, days: i64, holds: &[Held], now: Micros, dry_run: bool, report: &mut ExpiryReport) -> Result<()> {
        let log = self.table(TableName::Events);
        let (version, files) = log.files().await?;
        let mut by_day: BTreeMap<i64, Vec<&LogicalFileView>> = BTreeMap::new();
        for file in &files {
            if let Some(day) = file.partition_values_map().get(DAY).cloned().flatten().as_deref().and_then(stats::day_of) {
                by_day.entry(day).or_default().push(file);
            }
        }
        let Some(newest) = by_day.keys().next_back() else { return Ok(()) };
        let first_kept = now.day().min(*newest) - days + 1;
        for (day, files) in by_day.range(..first_kept) {
            let (day_text, bytes) = (stats::day_text(*day), files.iter().map(|file| u64::try_from(file.size()).unwrap_or_default()).sum::<u64>());
            let rows = files.iter().filter_map(|file| file.num_records()).sum::<usize>() as u64;
            let held = match kept(holds, *day) {
                Kept::All => {
                    report.kept.push((day_text, "held, of everyone".to_owned()));
                    continue;
                }
                Kept::Nothing => None,
                Kept::Of(identities) => Some(identities),
            };
            let mark = held.as_ref().map(|held| format!("{HELD}{}-", mark(held)));
            if let Some(mark) = &mark
                && files.iter().all(|file| file.path().rsplit('/').next().is_some_and(|name| name.starts_with(mark.as_str())))
            {
                continue;
            }
            let id = self.next_id();
            let paths: Vec<String> = files.iter().map(|file| file.path().into_owned()).collect();
            let (written, rows_held) = match (&held, &mark) {
                (Some(held), Some(mark)) => {
                    let held = held.clone();
                    let keep = move |batch: &RecordBatch| only_of(batch, &held);
                    let output = Output { day: Some(*day), layout: layout(), name: format!("{mark}{id}"), file_rows_max: usize::MAX, note: None };
                    match rewrite(log, paths.clone(), keep, output, dry_run).await? {
                        Some(rewritten) => rewritten,
                        None => {
                            report.kept.push((day_text, "it has files that keytrail did not write, and a part of the day is held".to_owned()));
                            continue;
                        }
                    }
                }
                _ => (Vec::new(), 0),
            };
            let expired = Expired { table: log.name.to_string(), day: day_text, rows: rows.saturating_sub(rows_held), rows_held, bytes };
            if dry_run || self.replace_files(log, version, files, written, id).await? {
                report.expired.push(expired);
            }
        }
        Ok(())
    }

    async fn expire_rows(
        &self,
        table: TableName,
        time: &'static str,
        days: i64,
        holds: &[Held],
        now: Micros,
        dry_run: bool,
        report: &mut ExpiryReport,
    ) -> Result<()> {
        let log = self.table(table);
        let (version, files) = log.files().await?;
        let bound = |file: &LogicalFileView, which: &str| {
            let stats: serde_json::Value = serde_json::from_str(&file.stats()?).ok()?;
            Micros::parse_rfc3339(stats.get(which)?.get(time)?.as_str()?).ok()
        };
        let Some(newest) = files.iter().filter_map(|file| bound(file, "maxValues")).max() else { return Ok(()) };
        let first_kept = now.day().min(newest.day()) - days + 1;
        let cut = Micros(first_kept.saturating_mul(Micros::DAY));
        // What is held of before the cut stays, and would be found again and again: files of nothing else are left.
        let mark = format!("{HELD}{}-", first_kept);
        let old: Vec<&LogicalFileView> =
            files.iter().filter(|file| bound(file, "minValues").is_none_or(|least| least < cut) && !file.path().starts_with(mark.as_str())).collect();
        if old.is_empty() {
            return Ok(());
        }
        let holds = holds.to_vec();
        let keep = move |batch: &RecordBatch| {
            let times = batch.column_by_name(time).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>().cloned());
            let who = batch.column_by_name("identity").and_then(|column| column.as_string_opt::<i32>().cloned());
            (0..batch.num_rows())
                .map(|row| {
                    let time = times.as_ref().map(|times| Micros(times.value(row)));
                    Some(time.is_none_or(|time| {
                        time >= cut
                            || match kept(&holds, time.day()) {
                                Kept::All => true,
                                Kept::Nothing => false,
                                // Dead letters have no identity: a hold of anyone holds them.
                                Kept::Of(identities) => who.as_ref().is_none_or(|who| identities.contains(who.value(row))),
                            }
                    }))
                })
                .collect::<BooleanArray>()
        };
        let id = self.next_id();
        let rows = old.iter().filter_map(|file| file.num_records()).sum::<usize>() as u64;
        let bytes = old.iter().map(|file| u64::try_from(file.size()).unwrap_or_default()).sum();
        let output = Output { day: None, layout: layout(), name: format!("{mark}{id}"), file_rows_max: usize::MAX, note: None };
        let Some((written, stay)) = rewrite(log, old.iter().map(|file| file.path().into_owned()).collect(), keep, output, dry_run).await? else {
            report.kept.push((table.to_string(), "it has files that keytrail did not write".to_owned()));
            return Ok(());
        };
        if stay == rows && dry_run {
            return Ok(());
        }
        let expired = Expired { table: table.to_string(), day: stats::day_text(first_kept), rows: rows.saturating_sub(stay), rows_held: 0, bytes };
        if (dry_run || self.replace_files(log, version, &old, written, id).await?) && expired.rows > 0 {
            report.expired.push(expired);
        }
        Ok(())
    }

    /// Whether it was done: not when another process changed the files meanwhile; the next round looks again.
    async fn replace_files(&self, log: &TableLog, version: u64, old: &[&LogicalFileView], new: Vec<DataFile>, id: String) -> Result<bool> {
        let relies = Relies::OnFiles(version, old.iter().map(|file| file.path().into_owned()).collect());
        let actions: Vec<Action> = old.iter().map(|file| Action::Remove(file.remove_action(true))).chain(new.into_iter().map(|file| file.add(true))).collect();
        let operation = DeltaOperation::Delete { predicate: Some("expired".to_owned()) };
        match log.commit(Proposal { actions, operation, relies, id }).await? {
            Outcome::Committed(version) => {
                self.checkpoint_when_due(log, version).await;
                Ok(true)
            }
            Outcome::Overtaken => Ok(false),
        }
    }
}

const fn layout() -> Layout {
    Layout::Sorted { row_group_rows: ROW_GROUP_ROWS }
}

/// Tells one set of held identities from another.
fn mark(identities: &BTreeSet<String>) -> String {
    let Hash32(hash) = Hash32::of(identities.iter().map(String::as_str).collect::<Vec<_>>().join("\n").as_bytes());
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn only_of(batch: &RecordBatch, identities: &BTreeSet<String>) -> BooleanArray {
    let who = batch.column_by_name("identity").and_then(|column| column.as_string_opt::<i32>().cloned());
    (0..batch.num_rows()).map(|row| Some(who.as_ref().is_some_and(|who| identities.contains(who.value(row))))).collect()
}

/// Writes the rows that are kept of some files, and says how many they are; with `dry_run` only counts them. `None` where a file is not in
/// the table's order.
async fn rewrite(
    log: &TableLog,
    paths: Vec<String>,
    keep: impl Fn(&RecordBatch) -> BooleanArray + Clone + Send + Sync + 'static,
    output: Output,
    dry_run: bool,
) -> Result<Option<(Vec<DataFile>, u64)>> {
    let (log, runtime) = (log.clone(), tokio::runtime::Handle::current());
    let shown = log.shown.clone();
    let work = move || {
        let schema = log.name.file_schema();
        let mut streams: Vec<SendableRecordBatchStream> = Vec::new();
        for path in &paths {
            let Some((stream, _)) = open(&runtime, &log, path, &schema)? else { return Ok(None) };
            let keep = keep.clone();
            let rows = stream.map(move |batch| {
                let batch = batch?;
                Ok::<_, DataFusionError>(filter_record_batch(&batch, &keep(&batch))?)
            });
            streams.push(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), rows)));
        }
        let failed = |e: DataFusionError| Error::encoding(&log.shown, "keep what is held", e);
        let mut stream = ordered(&schema, log.name.sort_columns(), streams).map_err(failed)?;
        if !dry_run {
            return write(&runtime, &log, stream, &output).map(Some);
        }
        let mut rows = 0;
        while let Some(batch) = runtime.block_on(stream.next()) {
            rows += batch.map_err(failed)?.num_rows() as u64;
        }
        Ok(Some((Vec::new(), rows)))
    };
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::storage(shown, "keep what is held", e))?
}
