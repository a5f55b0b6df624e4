//! Reads findings and dead letters: JSON, each given out once. Findings rise by their coordinates, so one that does not is a repetition, by a
//! detector that was restarted or by one that still believed it owned the partition; a dead letter is known by its id.

use std::time::Duration;

use keytrail_schemas::{DeadLetter, Finding, Topic};
use serde::de::DeserializeOwned;

use super::super::embedded::dead_letter_id;
use super::super::{Error, Rows};
use super::client::Context;
use super::cursor::{Cursor, Raw};
use super::options::Options;
use super::window::Window;

/// How many records before its place a reader looks at, to know what was there.
pub const LOOK_BACK: i64 = 10_000;

/// A row of a topic, and what tells a repetition.
pub trait Row: DeserializeOwned {
    /// What is remembered of the rows before.
    type Memory;
    /// Its topic.
    const TOPIC: Topic;
    /// Nothing remembered, with `next` the next offset.
    fn memory(next: i64) -> Self::Memory;
    /// Takes the row at `partition` and `offset`; whether it is new.
    fn is_new(&mut self, memory: &mut Self::Memory, partition: i32, offset: i64) -> bool;
}

impl Row for Finding {
    type Memory = Option<(i64, i32)>;
    const TOPIC: Topic = Topic::Findings;

    fn memory(_: i64) -> Self::Memory {
        None
    }

    fn is_new(&mut self, highest: &mut Self::Memory, _: i32, _: i64) -> bool {
        let new = highest.is_none_or(|highest| self.coordinates() > highest);
        if new {
            *highest = Some(self.coordinates());
        }
        new
    }
}

impl Row for DeadLetter {
    type Memory = Window;
    const TOPIC: Topic = Topic::DeadLetters;

    fn memory(next: i64) -> Window {
        Window::new(u32::try_from(LOOK_BACK).unwrap_or(u32::MAX), next)
    }

    fn is_new(&mut self, window: &mut Window, partition: i32, offset: i64) -> bool {
        self.log_partition = partition;
        self.log_offset = offset;
        !window.repeats(offset, &dead_letter_id(self))
    }
}

/// A reader of one partition of a topic of rows.
pub struct Reader<R: Row> {
    cursor: Cursor,
    context: Context,
    partition: i32,
    memory: R::Memory,
    /// Nothing new lies between it and the cursor's position.
    settled: i64,
}

impl<R: Row> Reader<R> {
    /// A reader whose first row is at `from` or after it; `start` is the first offset held.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `from` is not held any more.
    pub fn open(options: &Options, context: &Context, partition: i32, from: i64, start: i64) -> Result<Self, Error> {
        if from < start {
            return Err(Error::Truncated { topic: R::TOPIC, partition, from, start });
        }
        let back = (from - LOOK_BACK).max(start);
        let (cursor, back) = match Cursor::open(options, context, R::TOPIC, partition, back) {
            Err(Error::Truncated { start, .. }) if start <= from => (Cursor::open(options, context, R::TOPIC, partition, start)?, start),
            opened => (opened?, back),
        };
        let mut reader = Self { cursor, context: context.clone(), partition, memory: R::memory(back), settled: from };
        while reader.cursor.position() < from {
            let row = reader.cursor.next(from, |raw| (raw.offset, decode::<R>(&reader.context, partition, &raw)))?;
            match row {
                // A hole stretches over `from`: the reader begins anew behind it, which gives the row at `offset` again.
                Some((offset, _)) if offset >= from => reader.cursor = Cursor::open(options, context, R::TOPIC, partition, offset)?,
                Some((offset, Some(mut row))) => {
                    row.is_new(&mut reader.memory, partition, offset);
                }
                Some((_, None)) | None => {}
            }
        }
        Ok(reader)
    }

    /// Whether [`read`](Self::read) can answer for `from` from here.
    pub fn stands_at(&self, from: i64) -> bool {
        self.settled <= from && from <= self.cursor.position()
    }

    /// Waits until there is a record; says whether there is.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.cursor.wait(timeout)
    }

    /// What is remembered of the rows before.
    pub fn into_memory(self) -> R::Memory {
        self.memory
    }

    /// At most `count_max` rows, and how far it came: past repetitions, what cannot be read, and markers too, whether a row follows them or not.
    /// `end` asks what the log has reached, of the broker.
    pub fn read(&mut self, count_max: usize, end: impl FnOnce() -> Result<i64, Error>) -> Result<Rows<R>, Error> {
        let partition = self.partition;
        let mut out = Vec::new();
        let mut reached = None;
        let mut end = Some(end);
        while out.len() < count_max {
            let mut row = self.cursor.next_ready(|raw| (raw.offset, decode::<R>(&self.context, partition, &raw)))?;
            if row.is_none() && out.is_empty() {
                if let Some(end) = end.take() {
                    reached = Some(end()?);
                }
                row = self.cursor.next(reached.unwrap_or(0), |raw| (raw.offset, decode::<R>(&self.context, partition, &raw)))?;
            }
            let Some((offset, row)) = row else { break };
            if let Some(mut row) = row
                && row.is_new(&mut self.memory, partition, offset)
            {
                out.push((offset, row));
                self.settled = offset + 1;
            }
        }
        Ok(Rows { rows: out, next: self.cursor.position() })
    }
}

/// A row, or `None` where something else than keytrail wrote one.
fn decode<R: Row>(context: &Context, partition: i32, raw: &Raw<'_>) -> Option<R> {
    match serde_json::from_slice(raw.value) {
        Ok(row) => Some(row),
        Err(error) => {
            tracing::warn!(topic = R::TOPIC.as_str(), partition, offset = raw.offset, %error, "left out a record that keytrail cannot read");
            context.board.count_unreadable();
            None
        }
    }
}
