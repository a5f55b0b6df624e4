//! Reads events to be stored: records go from the client's memory into columns, without a value of their own in between. What was delivered twice
//! or cannot be understood is passed over, by the same rules as where they are read one by one.

use std::time::Duration;

use keytrail_schemas::{DeadLetter, EventColumns, RecordRow, Topic};

use super::super::{Columns, Error};
use super::ahead::Runs;
use super::client::Context;
use super::cursor::{Cursor, Kept, Raw};
use super::events::{RUN_BYTES, RUN_RECORDS, unreadable};
use super::options::Options;
use super::place::Place;
use super::window::Window;

/// A reader of one partition of `keytrail.events`, as columns.
pub struct Reader {
    cursor: Cursor,
    partition: i32,
    window: Window,
    /// The next offset to be given out.
    next: i64,
    held: Option<Kept>,
    /// What the log is known to have reached.
    end: i64,
    /// How many rows the run before had: the next one is made with as much room.
    rows: usize,
}

impl Reader {
    /// A reader whose first record is at `from`. It reads the window before, as far as the log still holds it.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `from` is not held any more.
    pub fn open(options: &Options, context: &Context, partition: i32, from: i64, start: i64) -> Result<Self, Error> {
        let Place { cursor, window, held } = Place::open(options, context, partition, from, start)?;
        Ok(Self { cursor, partition, window, next: from, held, end: from, rows: 0 })
    }

    /// A run of what is held and what is in memory behind it. `wait` names an offset that the log has reached: the first record before it is waited for.
    fn gather(&mut self, wait: Option<i64>) -> Result<Option<Columns>, Error> {
        let Self { cursor, partition, window, held, rows, .. } = self;
        let mut run = Run { partition: *partition, next: self.next, columns: EventColumns::new(*rows), repeated: 0, bytes: 0, unreadable: Vec::new() };
        if let Some(kept) = held.take() {
            run.take(&kept.lend(), window);
        } else if let Some(end) = wait {
            // Where no record lies before the end, the run is the hole up to it.
            if cursor.next(end, |raw| run.take(&raw, window))?.is_none() {
                run.next = run.next.max(end);
            }
        }
        while !run.full(self.next) && cursor.next_ready(|raw| run.take(&raw, window))?.is_some() {}
        let records = usize::try_from(run.next - self.next).unwrap_or(0);
        if records == 0 {
            return Ok(None);
        }
        self.next = run.next;
        *rows = run.columns.rows();
        let batch = run.columns.finish().map_err(|error| Error::Storage { path: format!("{}/{partition}", Topic::Events), message: error.to_string() })?;
        Ok(Some(Columns { next: run.next, records, repeated: run.repeated, batch, bytes: run.bytes, unreadable: run.unreadable }))
    }
}

impl Runs for Reader {
    type Run = Columns;

    fn wait(&mut self, timeout: Duration) -> bool {
        self.held.is_some() || self.cursor.wait(timeout)
    }

    fn has_more(&mut self) -> bool {
        self.wait(Duration::ZERO)
    }

    fn read_ready(&mut self) -> Result<Option<Columns>, Error> {
        self.gather(None)
    }

    fn read(&mut self, end: impl FnOnce() -> Result<i64, Error>) -> Result<Option<Columns>, Error> {
        if let Some(run) = self.read_ready()? {
            return Ok(Some(run));
        }
        if self.end <= self.next {
            self.end = end()?;
        }
        if self.end <= self.next { Ok(None) } else { self.gather(Some(self.end)) }
    }

    fn first(run: &Columns) -> i64 {
        run.next - i64::try_from(run.records).unwrap_or(0)
    }

    fn end(run: &Columns) -> i64 {
        run.next
    }

    fn rest(run: &Columns, from: i64) -> Columns {
        let passed = usize::try_from(from - Self::first(run)).unwrap_or(0).min(run.records);
        let skip = first_row_at(run, from);
        Columns { records: run.records - passed, batch: run.batch.slice(skip, run.batch.num_rows() - skip), ..run.clone() }
    }
}

/// The first row at an offset or after it: rows are in the order of offsets.
fn first_row_at(run: &Columns, from: i64) -> usize {
    EventColumns::offsets(&run.batch).partition_point(|offset| *offset < from)
}

/// A run being gathered.
struct Run {
    partition: i32,
    next: i64,
    columns: EventColumns,
    repeated: usize,
    bytes: usize,
    unreadable: Vec<DeadLetter>,
}

impl Run {
    /// Whether a run that began at `first` is long enough. A hole in it costs nothing, and ends it as records do.
    fn full(&self, first: i64) -> bool {
        self.next - first >= RUN_RECORDS as i64 || self.bytes >= RUN_BYTES
    }

    fn take(&mut self, raw: &Raw<'_>, window: &mut Window) {
        self.next = raw.offset + 1;
        match RecordRow::decode(raw.value) {
            Ok(RecordRow::Event(mut event)) => {
                self.bytes += raw.value.len();
                if window.repeats(raw.offset, &event.event_id.0) {
                    self.repeated += 1;
                } else {
                    (event.log_partition, event.log_offset) = (self.partition, raw.offset);
                    self.columns.push(&event);
                }
            }
            // The passing of time, and what judges, are not stored.
            Ok(RecordRow::Tick { .. } | RecordRow::Rules { .. }) => {}
            Err(error) => self.unreadable.push(unreadable(self.partition, raw, &error.to_string())),
        }
    }
}
