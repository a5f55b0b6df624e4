//! Days that are rolled up together: the touches of a few small days come into one file of each table, not into one a day that is read again and
//! joined with the others a moment later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::physical_plan::SendableRecordBatchStream;
use deltalake::protocol::{DeltaOperation, SaveMode};
use keytrail_schemas::{Fingerprinted, RolledDays};
use tokio::runtime::Handle;

use super::few::Few;
use super::fold::{self, Fold};
use super::{RollUpOptions, TABLES, turn};
use crate::append::DataFile;
use crate::merge::{Bytes, Output, open, ordered, read, write};
use crate::parquet_file::Layout;
use crate::table_log::{Outcome, Proposal, Relies, TableLog};
use crate::{Error, Lake, Result, TableName};

/// Days of a span, at most: fewer than make files worth joining.
const DAYS_MAX: usize = 8;
/// Bytes of the events of a span; a day that has more is one by itself.
const BYTES_MAX: u64 = 64 << 20;

/// A day that is to be rolled up.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) day: i64,
    pub(super) files: Vec<String>,
    pub(super) bytes: u64,
    pub(super) of: Fingerprinted,
}

/// What came of a span.
pub(super) enum Span {
    Rolled(Box<Rolled>),
    /// Left to its events, and why.
    Left(String),
}

/// A span's files of touches, for [`TABLES`] in their order; no commit names them yet.
pub(super) struct Rolled {
    pub(super) events: u64,
    pub(super) touches: u64,
    files: [Vec<DataFile>; 2],
}

/// Days in their order, dealt into spans of no more than `files_max` files.
pub(super) fn spans(days: Vec<Wanted>, files_max: usize) -> Vec<Vec<Wanted>> {
    let mut spans: Vec<Vec<Wanted>> = Vec::new();
    for day in days {
        let fits = |span: &&mut Vec<Wanted>| {
            let (files, bytes) = span.iter().fold((day.files.len(), day.bytes), |(files, bytes), of| (files + of.files.len(), bytes + of.bytes));
            span.len() < DAYS_MAX && files <= files_max && bytes <= BYTES_MAX
        };
        match spans.last_mut().filter(fits) {
            Some(span) => span.push(day),
            None => spans.push(vec![day]),
        }
    }
    spans
}

impl Lake {
    /// Writes the touches of a span; where one of its days cannot be rolled up, those of each day by itself.
    pub(super) async fn roll_span(&self, span: Vec<Wanted>, options: &RollUpOptions, memory_bytes_max: usize) -> Result<Vec<(Vec<i64>, Span)>> {
        let days: Vec<i64> = span.iter().map(|wanted| wanted.day).collect();
        let failed = match self.write_span(&span, options, memory_bytes_max).await {
            Ok(Some(rolled)) => return Ok(vec![(days, Span::Rolled(Box::new(rolled)))]),
            Ok(None) => "it has files that do not state their order: keytrail did not write them".to_owned(),
            Err(error @ Error::Encoding { .. }) => error.to_string(),
            // Compaction took its files meanwhile: the next run finds it again.
            Err(error @ Error::Storage { .. }) if is_gone(&error) => "its files were replaced meanwhile".to_owned(),
            Err(error) => return Err(error),
        };
        if span.len() == 1 {
            tracing::warn!(?days, reason = failed, "a day cannot be rolled up: its events are read instead");
            return Ok(vec![(days, Span::Left(failed))]);
        }
        let mut each = Vec::with_capacity(span.len());
        for day in span {
            each.extend(Box::pin(self.roll_span(vec![day], options, memory_bytes_max)).await?);
        }
        Ok(each)
    }

    /// Writes the days' touches in both orders; no commit names them yet. `None` where files are not in order.
    async fn write_span(&self, span: &[Wanted], options: &RollUpOptions, memory_bytes_max: usize) -> Result<Option<Rolled>> {
        let (events, touches, turned) =
            (self.table(TableName::Events).clone(), self.table(TableName::Touches).clone(), self.table(TableName::TouchesByDestination).clone());
        let days = RolledDays(span.iter().map(|wanted| (wanted.day, wanted.of)).collect());
        let output = Output {
            day: None,
            layout: Layout::Sorted { row_group_rows: options.row_group_rows },
            name: format!("{}-{}", if span.len() == 1 { "day" } else { "span" }, self.next_id()),
            file_rows_max: usize::MAX,
            note: Some((RolledDays::KEY, days.to_json())),
        };
        let (span, runtime, shown) = (span.to_vec(), Handle::current(), events.shown.clone());
        let work = move || {
            if let Some((counted, [by_identity, by_destination])) = counted(&runtime, &events, &span, memory_bytes_max)? {
                // Beside one another: of the last span nothing else is left to do.
                let [of_touches, of_turned] = std::thread::scope(|scope| {
                    [(&touches, by_identity), (&turned, by_destination)]
                        .map(|(log, rows)| scope.spawn(|| write(&runtime, log, rows, &output)))
                        .map(|writing| writing.join())
                });
                let ended = |_| Error::encoding(&touches.shown, "write touches", "the thread that writes them ended abnormally; this is a defect of keytrail");
                let ((files, rows), (turned_files, turned_rows)) = (of_touches.map_err(ended)??, of_turned.map_err(ended)??);
                as_many(&turned, rows, turned_rows)?;
                return Ok(Some(Rolled { events: counted, touches: rows, files: [files, turned_files] }));
            }
            let (mut streams, mut counted) = (Vec::with_capacity(span.len()), Vec::with_capacity(span.len()));
            for wanted in &span {
                let Some(fold) = Fold::open(&runtime, &events, wanted.day, &wanted.files)? else { return Ok(None) };
                let count = Arc::new(AtomicU64::new(0));
                streams.push(fold::batches(fold, Arc::clone(&count)));
                counted.push(count);
            }
            let merged = ordered(&touches.name.file_schema(), touches.name.sort_columns(), streams);
            let merged = merged.map_err(|e| Error::encoding(&touches.shown, "merge days of touches", e))?;
            let (files, rows) = write(&runtime, &touches, merged, &output)?;
            let mut turned_files = Vec::new();
            for file in &files {
                let Some((stream, _)) = open(&runtime, &touches, &file.path, &touches.name.file_schema())? else { continue };
                let _inside = runtime.enter();
                let stream = turn::by_destination(stream, memory_bytes_max).map_err(|e| Error::encoding(&turned.shown, "sort touches", e))?;
                let (files, turned_rows) = write(&runtime, &turned, stream, &output)?;
                as_many(&turned, rows, turned_rows)?;
                turned_files.extend(files);
            }
            let events = counted.iter().map(|count| count.load(Ordering::Relaxed)).sum();
            Ok(Some(Rolled { events, touches: rows, files: [files, turned_files] }))
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| Error::storage(shown, "roll up days", e))?
    }

    /// Makes a span's files part of the tables, and says how many bytes they are.
    pub(super) async fn commit_touches(&self, rolled: Rolled) -> Result<u64> {
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

/// Both orders have the same touches.
fn as_many(turned: &TableLog, rows: u64, turned_rows: u64) -> Result<()> {
    if turned_rows == rows {
        return Ok(());
    }
    Err(Error::encoding(&turned.shown, "sort touches", format!("{rows} touches were to be sorted, and {turned_rows} came out: nothing was changed")))
}

/// The events of a span, and its touches in both orders, counted in memory; `None` where that cannot be.
fn counted(runtime: &Handle, events: &TableLog, span: &[Wanted], memory_bytes_max: usize) -> Result<Option<(u64, [SendableRecordBatchStream; 2])>> {
    if span.iter().map(|wanted| wanted.bytes).sum::<u64>() > BYTES_MAX {
        return Ok(None);
    }
    let mut few = Few::within(memory_bytes_max);
    for wanted in span {
        for path in &wanted.files {
            let is_counted = match read(runtime, events, path)? {
                Bytes::File(file) => few.count(wanted.day, file),
                Bytes::Whole(bytes) => few.count(wanted.day, bytes),
            };
            if !is_counted {
                return Ok(None);
            }
        }
    }
    let counted = few.events;
    Ok(few.orders(&TableName::Touches.file_schema()).map(|orders| (counted, orders)))
}

/// Whether a file is not there (any more).
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Storage { source, .. } if matches!(source.downcast_ref(), Some(object_store::Error::NotFound { .. })))
}
