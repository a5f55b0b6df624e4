//! The atomic point of storage: rows, and how far the log was read, in one Delta commit.
//!
//! The protocol of a consumer: ask [`Lake::offsets`], read the log from there, commit rows together with the next offsets. A crash
//! anywhere leaves either the whole commit or none of it; data files that no commit names are invisible, and vacuum removes them.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Range;

use deltalake::kernel::{Action, Add, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use keytrail_schemas::{DeadLetter, Detection, Event, EventColumns, EventRow, Finding, RecordBatch, Topic};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use parquet::errors::ParquetError;

use crate::encode_columns::encode_columns;
use crate::events::Events;
use crate::parquet_file::{self, BATCH_ROWS, Encoded, Layout};
use crate::row::Row;
use crate::table_log::{Outcome, Proposal, Relies, TableLog};
use crate::{DAY, Error, Lake, Result, TableName, stats};

/// How the name of a file begins that a commit wrote, and that compaction has yet to take up. Names carry the commit's id: no file is
/// ever written twice, so that vacuum cannot take a new one for an old.
pub(crate) const FRESH: &str = "fresh-";

/// How far a topic's partition was read: (topic, partition, next offset to read).
pub type Position = (Topic, i32, i64);

/// What a commit stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Commit {
    /// The table's version; the current one when there was nothing to commit.
    pub version: u64,
    /// Rows added.
    pub rows: usize,
    /// Data files added.
    pub files: usize,
    /// Bytes of the data files.
    pub bytes: u64,
}

/// A data file that lies in the store and is not yet in the log.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) path: String,
    pub(crate) day: Option<i64>,
    pub(crate) bytes: u64,
    pub(crate) modified_ms: i64,
    pub(crate) stats: String,
}

impl DataFile {
    /// The action that makes it part of the table.
    pub(crate) fn add(self, data_change: bool) -> Action {
        Action::Add(Add {
            path: self.path,
            partition_values: self.day.map(|day| (DAY.to_owned(), Some(stats::day_text(day)))).into_iter().collect(),
            size: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            modification_time: self.modified_ms,
            data_change,
            stats: Some(self.stats),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }
}

impl Lake {
    /// Per partition of `topic`, the next offset to read; a partition of which nothing was stored is absent.
    ///
    /// Asking is also how a writer takes its partitions over: from here on it counts on these offsets, and is fenced when another
    /// writer moves them.
    ///
    /// # Errors
    /// When the table's log cannot be read.
    pub async fn offsets(&self, table: TableName, topic: Topic) -> Result<BTreeMap<i32, i64>> {
        let offsets = self.stored(table, topic).await?;
        self.expect(table, |expected| {
            expected.retain(|app_id, _| partition_of(app_id, topic).is_none());
            expected.extend(offsets.iter().map(|(partition, next)| (app_id(topic, *partition), next - 1)));
        });
        Ok(offsets)
    }

    /// As [`Lake::offsets`], without taking anything over.
    ///
    /// # Errors
    /// When the table's log cannot be read.
    pub async fn stored(&self, table: TableName, topic: Topic) -> Result<BTreeMap<i32, i64>> {
        let head = self.table(table).refresh().await?;
        Ok(head.transactions.iter().filter_map(|(app_id, last)| Some((partition_of(app_id, topic)?, last + 1))).collect())
    }

    /// Stores events, and that their partitions were read up to `positions`, in one atomic commit.
    ///
    /// Each event's partition needs a position beyond its offset. An empty batch whose positions advance (ticks were read) is
    /// committed too; one whose positions do not is not. CPU-bound: on a multi-thread runtime it leaves the async threads.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another writer moved one of the partitions, or the events were stored before; [`Error::Batch`] when rows
    /// and positions contradict each other; else as the store fails. After an error of the store, ask for the offsets again.
    pub async fn commit_events<E: Borrow<Event> + Sync>(&self, events: &[E], positions: &[Position]) -> Result<Commit> {
        let batch = |run: &[E]| {
            let mut columns = EventColumns::new(run.len());
            run.iter().for_each(|event| columns.push(&EventRow::from(event.borrow())));
            columns.finish().map_err(|e| Error::encoding(&self.table(TableName::Events).shown, "encode rows", e))
        };
        let batches = events.chunks(BATCH_ROWS).map(batch).collect::<Result<Vec<_>>>()?;
        self.commit_event_columns(&batches, positions).await
    }

    /// Stores events that are columns already, as [`EventColumns`] collects them: batches in any number, rows in the order of the log. Otherwise as
    /// [`Lake::commit_events`], which makes the same files of the same events.
    ///
    /// # Errors
    /// As [`Lake::commit_events`]; [`Error::Batch`] also when a batch is none of events.
    pub async fn commit_event_columns(&self, batches: &[RecordBatch], positions: &[Position]) -> Result<Commit> {
        let events = Events::of(batches)?;
        let span = self.check(TableName::Events, Topic::Events, events.iter().flat_map(Events::coordinates), positions)?;
        let files = events.iter().flat_map(|events| {
            events.by_day().into_iter().map(move |(day, rows)| {
                let encode = move |rows: &[_]| {
                    let sorted = events.sorted(rows);
                    if sorted.len() != rows.len() {
                        return Err(ParquetError::General(format!(
                            "{} of {} events have no place in the order: a defect",
                            rows.len() - sorted.len(),
                            rows.len()
                        )));
                    }
                    let cells = |column: usize, rows: Range<usize>| events.cells(column, sorted.get(rows).unwrap_or_default());
                    encode_columns(TableName::Events, Layout::Fresh, &events.schema, sorted.len(), &cells)
                };
                File { day: Some(day), rows: rows.len(), encode: Box::new(move || encode(&rows)) }
            })
        });
        self.append(TableName::Events, span, files.collect()).await
    }

    /// Stores findings with their offsets in their topic; records below the line are none. Otherwise as [`Lake::commit_events`].
    ///
    /// # Errors
    /// As [`Lake::commit_events`].
    pub async fn commit_findings(&self, findings: &[(i64, Finding)], positions: &[Position]) -> Result<Commit> {
        self.append_rows(findings.iter().filter(|(_, finding)| !finding.below_line).map(|(offset, finding)| (*offset, finding)), positions).await
    }

    /// Stores the detections that came with findings, each with the offset of its record in the findings topic; otherwise as
    /// [`Lake::commit_events`].
    ///
    /// # Errors
    /// As [`Lake::commit_events`].
    pub async fn commit_detections(&self, detections: &[(i64, Detection)], positions: &[Position]) -> Result<Commit> {
        self.append_rows(detections.iter().map(|(offset, detection)| (*offset, detection)), positions).await
    }

    /// Stores dead letters with their offsets in their topic; otherwise as [`Lake::commit_events`].
    ///
    /// # Errors
    /// As [`Lake::commit_events`].
    pub async fn commit_dead_letters(&self, letters: &[(i64, DeadLetter)], positions: &[Position]) -> Result<Commit> {
        self.append_rows(letters.iter().map(|(offset, letter)| (*offset, letter)), positions).await
    }

    async fn append_rows<'a, R: Row + 'a>(&self, rows: impl Iterator<Item = (i64, &'a R)> + Clone, positions: &[Position]) -> Result<Commit> {
        let span = self.check(R::TABLE, R::TOPIC, rows.clone().map(|(offset, row)| (row.log_partition(), offset)), positions)?;
        let rows: Vec<&R> = rows.map(|(_, row)| row).collect();
        let encode = |rows: &[&R]| {
            let sorted = R::sorted(rows);
            let batches = sorted.chunks(BATCH_ROWS).map(|rows| R::to_batch(rows.iter().copied()));
            parquet_file::encode(R::TABLE, Layout::Fresh, &R::TABLE.file_schema(), batches)
        };
        let file = (!rows.is_empty()).then(|| File { day: None, rows: rows.len(), encode: Box::new(move || encode(&rows)) });
        self.append(R::TABLE, span, file.into_iter().collect()).await
    }

    /// Writes files and commits them with what `span` moves.
    async fn append(&self, table: TableName, span: Span, files: Vec<File<'_>>) -> Result<Commit> {
        let log = self.table(table);
        if files.is_empty() && span.advances.is_empty() {
            return Ok(Commit { version: log.head().version, ..Commit::default() });
        }
        // A batch that is stored already is refused before its files are written.
        log.fence(&log.head(), &span.expected)?;

        let mut commit = Commit::default();
        let id = self.next_id();
        let mut actions: Vec<Action> = span.advances.iter().map(|(app_id, last)| Action::Txn(Transaction::new(app_id, *last))).collect();
        for file in files {
            commit.rows += file.rows;
            commit.files += 1;
            let file = write_fresh(log, file, &id).await?;
            commit.bytes += file.bytes;
            actions.push(file.add(true));
        }
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: table.by_day().then(|| vec![DAY.to_owned()]), predicate: None };
        let proposal = Proposal { actions, operation, relies: Relies::OnTransactions(span.expected), id };
        match log.commit(proposal).await? {
            Outcome::Committed(version) => commit.version = version,
            Outcome::Overtaken => return Err(Error::Busy { table, attempts: 1 }),
        }
        self.expect(table, |expected| expected.extend(span.advances));
        self.checkpoint_when_due(log, commit.version).await;
        Ok(commit)
    }

    /// Holds rows against positions, and both against what this writer counts on.
    fn check(&self, table: TableName, of: Topic, rows: impl Iterator<Item = (i32, i64)>, positions: &[Position]) -> Result<Span> {
        let contradiction = |message: String| Err(Error::Batch { table, message });
        let mut first: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
        let mut note = |partition: i32, (least, greatest): (i64, i64)| {
            first.entry(partition).and_modify(|range| *range = (range.0.min(least), range.1.max(greatest))).or_insert((least, greatest));
        };
        // Neighbours are of one partition.
        let mut run: Option<(i32, (i64, i64))> = None;
        for (partition, offset) in rows {
            match &mut run {
                Some((of, range)) if *of == partition => *range = (range.0.min(offset), range.1.max(offset)),
                _ => {
                    if let Some((of, range)) = run.replace((partition, (offset, offset))) {
                        note(of, range);
                    }
                }
            }
        }
        if let Some((of, range)) = run {
            note(of, range);
        }
        let head = self.table(table).head();
        let mut span = Span::default();
        for &(topic, partition, next) in positions {
            if topic != of {
                return contradiction(format!("a position of {topic} came with rows of {of}"));
            }
            let id = app_id(topic, partition);
            let last = self.expected(table, &id).or_else(|| head.transactions.get(&id).copied()).unwrap_or(-1);
            let rows = first.remove(&partition);
            if let Some((least, greatest)) = rows {
                if greatest >= next {
                    return contradiction(format!("{id}: a row has offset {greatest}, and the next offset to read is said to be {next}"));
                }
                if least <= last {
                    return Err(Error::Fenced { table, app_id: id, expected: least, found: last + 1 });
                }
            }
            if next - 1 < last {
                return Err(Error::Fenced { table, app_id: id, expected: next, found: last + 1 });
            }
            if next - 1 > last {
                span.advances.insert(id.clone(), next - 1);
            }
            if span.expected.insert(id.clone(), last).is_some() {
                return contradiction(format!("{id} has two positions"));
            }
        }
        match first.into_keys().next() {
            Some(partition) => contradiction(format!("rows of partition {partition} came without its position")),
            None => Ok(span),
        }
    }
}

/// What a batch moves: per appId the last offset it counts on, and the last one after it.
#[derive(Debug, Default)]
struct Span {
    expected: BTreeMap<String, i64>,
    advances: BTreeMap<String, i64>,
}

fn app_id(topic: Topic, partition: i32) -> String {
    format!("{topic}/{partition}")
}

fn partition_of(app_id: &str, topic: Topic) -> Option<i32> {
    app_id.strip_prefix(topic.as_str())?.strip_prefix('/')?.parse().ok()
}

/// A file to be written by a commit.
struct File<'a> {
    day: Option<i64>,
    rows: usize,
    encode: Box<dyn FnOnce() -> Result<Encoded, ParquetError> + Send + 'a>,
}

async fn write_fresh(log: &TableLog, file: File<'_>, id: &str) -> Result<DataFile> {
    let (bytes, stats) = off_thread(|| {
        let (bytes, metadata) = (file.encode)().map_err(|e| Error::encoding(&log.shown, "encode rows", e))?;
        Ok((bytes, stats::of_file(log.name, &metadata)))
    })?;
    put_file(log, file.day, &format!("{FRESH}{id}.parquet"), bytes, stats).await
}

/// Puts a data file into the store, durably, before anything names it.
pub(crate) async fn put_file(log: &TableLog, day: Option<i64>, name: &str, bytes: Vec<u8>, stats: String) -> Result<DataFile> {
    let path = file_path(day, name);
    let size = bytes.len() as u64;
    let location = Path::from(path.as_str());
    log.store.put(&location, PutPayload::from(bytes)).await.map_err(|e| Error::storage(format!("{}{path}", log.shown), "write a data file", e))?;
    describe(log, path, day, size, stats).await
}

/// A data file that lies in the store, with its time of modification there.
pub(crate) async fn describe(log: &TableLog, path: String, day: Option<i64>, bytes: u64, stats: String) -> Result<DataFile> {
    let location = Path::from(path.as_str());
    let meta = log.store.head(&location).await.map_err(|e| Error::storage(format!("{}{path}", log.shown), "look at a data file", e))?;
    Ok(DataFile { path, day, bytes, modified_ms: meta.last_modified.timestamp_millis(), stats })
}

/// Where a data file lies within its table.
pub(crate) fn file_path(day: Option<i64>, name: &str) -> String {
    day.map_or_else(|| name.to_owned(), |day| format!("{DAY}={}/{name}", stats::day_text(day)))
}

/// Runs CPU-bound work off the async threads where the runtime has others to go on with.
pub(crate) fn off_thread<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|h| h.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
