//! What one commit of the store takes up: events as columns, read until the commit is full.

use std::collections::BTreeMap;

use keytrail_log::{Chunk, Columns, ToStore};
use keytrail_schemas::{DeadLetter, EventColumns, EventRow, LogRecord, RecordBatch};

use super::Shared;

/// Rows of a batch that is collected here.
const BATCH_ROWS: usize = 4_096;

/// What one commit takes up.
#[derive(Default)]
pub struct Gathered {
    /// Its events.
    pub batches: Vec<RecordBatch>,
    /// Per partition, the offset behind what was read.
    pub next: BTreeMap<i32, i64>,
    /// Dead letters of records that cannot be read.
    pub unreadable: Vec<DeadLetter>,
    /// How many offsets it came past.
    pub passed: usize,
    /// Records that were delivered twice, or are holes.
    pub repeated: usize,
}

/// Reads until a commit is full, each partition getting its share of it.
///
/// # Errors
/// When the log cannot be read.
pub fn gather(shared: &Shared, from: &[(i32, i64)]) -> anyhow::Result<Gathered> {
    let mut gathered = Gathered::default();
    let mut collected = Collected::default();
    let share = |max: usize| (max / from.len().max(1)).max(1);
    let (events_max, bytes_max) = (share(shared.config.store.commit_events_max), share(shared.config.store.commit_bytes_max));
    for &(partition, first) in from {
        let (mut next, mut events, mut bytes) = (first, 0, 0);
        while events < events_max && bytes < bytes_max {
            let (records, read) = match shared.log.read_to_store(partition, next)? {
                None => break,
                Some(ToStore::Columns(run)) => {
                    next = run.next;
                    gathered.take(run)
                }
                Some(ToStore::Records(chunk)) => {
                    next = chunk.first_offset + i64::try_from(chunk.records.len()).unwrap_or(0);
                    collected.take(chunk, &mut gathered)?
                }
            };
            events += records;
            bytes += read;
        }
        if next > first {
            gathered.passed += passed(first, next);
            gathered.next.insert(partition, next);
        }
    }
    collected.close(&mut gathered.batches)?;
    Ok(gathered)
}

/// How many records lie between two offsets.
pub fn passed(from: i64, next: i64) -> usize {
    usize::try_from(next - from).unwrap_or(0)
}

impl Gathered {
    /// Takes a run; says how many records it has, and how many bytes.
    fn take(&mut self, mut run: Columns) -> (usize, usize) {
        self.unreadable.append(&mut run.unreadable);
        self.repeated += run.repeated;
        self.batches.push(run.batch);
        (run.records, run.bytes)
    }
}

/// Events of runs that came as records. A run may have few, and a batch has many.
#[derive(Default)]
struct Collected {
    open: Option<EventColumns>,
    /// How many rows the batch before had.
    rows: usize,
}

impl Collected {
    /// Takes a run; says as [`Gathered::take`].
    fn take(&mut self, chunk: Chunk, into: &mut Gathered) -> anyhow::Result<(usize, usize)> {
        let (mut records, mut bytes, mut gaps) = (0, 0, 0_usize);
        for record in chunk.records.iter().skip(chunk.skip) {
            records += 1;
            match record {
                LogRecord::Event(event) => {
                    bytes += event.raw.as_ref().map_or(0, String::len);
                    let columns = self.open.get_or_insert_with(|| EventColumns::new(self.rows));
                    columns.push(&EventRow::from(&**event));
                    if columns.rows() >= BATCH_ROWS {
                        self.close(&mut into.batches)?;
                    }
                }
                LogRecord::Gap => gaps += 1,
                LogRecord::Tick { .. } | LogRecord::Rules { .. } => {}
            }
        }
        into.repeated += gaps.saturating_sub(chunk.unreadable.len());
        into.unreadable.extend(chunk.unreadable);
        Ok((records, bytes))
    }

    fn close(&mut self, batches: &mut Vec<RecordBatch>) -> anyhow::Result<()> {
        if let Some(columns) = self.open.take() {
            self.rows = columns.rows();
            batches.push(columns.finish()?);
        }
        Ok(())
    }
}
