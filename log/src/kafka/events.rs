//! Reads events: records become runs without holes, and what was delivered twice or cannot be understood becomes a gap. Which records do is a
//! function of the log alone, and of the window that all processes agree on.

use std::sync::Arc;
use std::time::Duration;

use keytrail_schemas::{DeadLetter, Hash32, LogRecord, Micros, Reason, Topic};

use super::super::{Chunk, Error};
use super::ahead::Runs;
use super::client::Context;
use super::cursor::{Cursor, Raw};
use super::options::Options;
use super::place::Place;
use super::window::Window;

/// The most records in one run.
pub const RUN_RECORDS: usize = 4_096;
/// A run ends when its records have this many encoded bytes.
pub const RUN_BYTES: usize = 4 << 20;
/// The most bytes of a record that cannot be understood which its dead letter holds.
const UNREADABLE_BYTES: usize = 4_096;

/// A reader of one partition of `keytrail.events`.
pub struct Reader {
    cursor: Cursor,
    partition: i32,
    window: Window,
    /// The next offset to be given out; the cursor is ahead of it while `held` waits behind a hole.
    next: i64,
    held: Option<(i64, Decoded)>,
    /// What the log is known to have reached.
    end: i64,
}

enum Decoded {
    Record(LogRecord, usize),
    Unreadable(Box<DeadLetter>),
}

impl Reader {
    /// A reader whose first record is at `from`. It reads the window before, as far as the log still holds it.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `from` is not held any more.
    pub fn open(options: &Options, context: &Context, partition: i32, from: i64, start: i64) -> Result<Self, Error> {
        let Place { cursor, window, held } = Place::open(options, context, partition, from, start)?;
        let held = held.map(|kept| (kept.offset, decode(partition, &kept.lend())));
        Ok(Self { cursor, partition, window, next: from, held, end: from })
    }

    fn next_ready(&mut self) -> Result<Option<(i64, Decoded)>, Error> {
        let partition = self.partition;
        self.cursor.next_ready(|raw| (raw.offset, decode(partition, &raw)))
    }

    /// A run of what is held and what is in memory behind it; where nothing is held, of the hole up to the end.
    fn gather(&mut self) -> Result<Chunk, Error> {
        let mut run = Run { first: self.next, records: Vec::with_capacity(RUN_RECORDS), unreadable: Vec::new(), bytes: 0 };
        if self.held.is_none() {
            run.fill(self.end.min(run.first + RUN_RECORDS as i64));
        }
        while let Some((offset, decoded)) = self.held.take() {
            run.fill(offset.min(run.first + RUN_RECORDS as i64));
            if run.full() {
                self.held = Some((offset, decoded));
                break;
            }
            run.push(decoded, |id| self.window.repeats(offset, id));
            if run.full() {
                break;
            }
            self.held = self.next_ready()?;
        }
        self.next = run.first + i64::try_from(run.records.len()).unwrap_or(0);
        Ok(Chunk { first_offset: run.first, records: Arc::new(run.records), skip: 0, unreadable: run.unreadable })
    }
}

impl Runs for Reader {
    type Run = Chunk;

    fn wait(&mut self, timeout: Duration) -> bool {
        self.held.is_some() || self.cursor.wait(timeout)
    }

    fn has_more(&mut self) -> bool {
        self.held.is_some() || self.cursor.wait(Duration::ZERO)
    }

    fn read_ready(&mut self) -> Result<Option<Chunk>, Error> {
        if self.held.is_none() {
            self.held = self.next_ready()?;
        }
        if self.held.is_none() { Ok(None) } else { self.gather().map(Some) }
    }

    fn read(&mut self, end: impl FnOnce() -> Result<i64, Error>) -> Result<Option<Chunk>, Error> {
        if let Some(chunk) = self.read_ready()? {
            return Ok(Some(chunk));
        }
        if self.end <= self.next {
            self.end = end()?;
        }
        if self.end <= self.next {
            return Ok(None);
        }
        let partition = self.partition;
        self.held = self.cursor.next(self.end, |raw| (raw.offset, decode(partition, &raw)))?;
        self.gather().map(Some)
    }

    fn first(run: &Chunk) -> i64 {
        run.first_offset
    }

    fn end(run: &Chunk) -> i64 {
        run.first_offset + i64::try_from(run.records.len()).unwrap_or(0)
    }

    fn rest(run: &Chunk, from: i64) -> Chunk {
        Chunk { skip: usize::try_from(from - run.first_offset).unwrap_or(0), ..run.clone() }
    }
}

/// A run being gathered.
struct Run {
    first: i64,
    records: Vec<LogRecord>,
    unreadable: Vec<DeadLetter>,
    bytes: usize,
}

impl Run {
    fn full(&self) -> bool {
        self.records.len() >= RUN_RECORDS || self.bytes >= RUN_BYTES
    }

    /// Gaps up to `offset`.
    fn fill(&mut self, offset: i64) {
        let length = usize::try_from(offset - self.first).unwrap_or(0);
        if length > self.records.len() {
            self.records.resize(length, LogRecord::Gap);
        }
    }

    fn push(&mut self, decoded: Decoded, repeats: impl FnOnce(&[u8; 16]) -> bool) {
        match decoded {
            Decoded::Record(LogRecord::Event(event), bytes) => {
                let record = if repeats(&event.event_id.0) { LogRecord::Gap } else { LogRecord::Event(event) };
                self.bytes += bytes;
                self.records.push(record);
            }
            Decoded::Record(record, _) => self.records.push(record),
            Decoded::Unreadable(letter) => {
                self.unreadable.push(*letter);
                self.records.push(LogRecord::Gap);
            }
        }
    }
}

fn decode(partition: i32, raw: &Raw<'_>) -> Decoded {
    match LogRecord::decode(raw.value) {
        Ok(LogRecord::Event(mut event)) => {
            event.log_partition = partition;
            event.log_offset = raw.offset;
            Decoded::Record(LogRecord::Event(event), raw.value.len())
        }
        // No clock runs ahead of the broker's: time that a collector made up would make every identity look silent, and every event after it late.
        Ok(LogRecord::Tick { time }) if raw.is_broker_time => {
            Decoded::Record(LogRecord::Tick { time: time.min(Micros(raw.timestamp_ms.saturating_mul(1_000))) }, raw.value.len())
        }
        Ok(record) => Decoded::Record(record, raw.value.len()),
        Err(error) => Decoded::Unreadable(Box::new(unreadable(partition, raw, &error.to_string()))),
    }
}

/// The dead letter of a record that cannot be understood. Its bytes are in hex, for they are no text, and cut.
pub fn unreadable(partition: i32, raw: &Raw<'_>, message: &str) -> DeadLetter {
    let topic = Topic::Events;
    let path = format!("{topic}/{partition}");
    let hash = Hash32::of(raw.value);
    let mut hasher = blake3::Hasher::new_derive_key("keytrail unreadable log record v1");
    hasher.update(path.as_bytes()).update(&raw.offset.to_le_bytes()).update(&hash.0);
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    DeadLetter {
        dead_letter_id: hex::encode(id).into(),
        ingested_at: Micros(raw.timestamp_ms.saturating_mul(1_000)),
        source: topic.as_str().into(),
        format: "keytrail".into(),
        path: path.as_str().into(),
        line: raw.offset.saturating_add(1),
        reason: Reason::Malformed,
        message: format!("{path} offset {}: {message}; something else than keytrail writes to this topic, or a newer keytrail does", raw.offset),
        raw: hex::encode(raw.value.get(..UNREADABLE_BYTES).unwrap_or(raw.value)),
        raw_bytes: i64::try_from(raw.value.len()).unwrap_or(i64::MAX),
        raw_hash: hash,
        ..DeadLetter::default()
    }
}
