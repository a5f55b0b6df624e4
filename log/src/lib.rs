//! The event log: append-only topics with partitions and offsets. The embedded log implements it on one machine, Kafka at scale.

pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;

use std::sync::Arc;
use std::time::Duration;

use keytrail_schemas::{DeadLetter, Event, Finding, Hash32, LogRecord, Micros, RecordBatch, Topic};

/// A run of consecutive records of one partition of `keytrail.events`.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Offset of `records[0]`.
    pub first_offset: i64,
    /// The records; an event's `log_partition` and `log_offset` are set.
    pub records: Arc<Vec<LogRecord>>,
    /// How many of them lie before the offset that was asked for.
    pub skip: usize,
    /// Dead letters for the records that cannot be understood, each a [`LogRecord::Gap`] here: the store role appends them. Their ids are
    /// deterministic, so that a run that is read again adds nothing.
    pub unreadable: Vec<DeadLetter>,
}

/// A run of consecutive records of one partition of `keytrail.events` to be stored: its events as columns, and no record of it as a value of its own.
#[derive(Debug, Clone)]
pub struct Columns {
    /// The offset behind its last record.
    pub next: i64,
    /// How many records it has: events, ticks, and what is passed over.
    pub records: usize,
    /// How many of them are events of the batch that were delivered twice, and are not in it.
    pub repeated: usize,
    /// Its events in the order of the log, `log_partition` and `log_offset` set: columns as [`keytrail_schemas::EventColumns`] collects them.
    pub batch: RecordBatch,
    /// Bytes of its events as the log holds them.
    pub bytes: usize,
    /// As [`Chunk::unreadable`].
    pub unreadable: Vec<DeadLetter>,
}

/// A run of records as a log has it at hand for whoever stores it.
#[derive(Debug)]
pub enum ToStore {
    /// Records that are in memory, for detectors read them too.
    Records(Chunk),
    /// Records that only the store reads.
    Columns(Columns),
}

/// Findings or dead letters of one partition, each with its offset.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows<T> {
    /// Each once, in order.
    pub rows: Vec<(i64, T)>,
    /// The offset to go on from: behind the rows, and behind repetitions and whatever else was passed over after the last of them.
    pub next: i64,
}

/// What an append did: in all, and for each format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// Events written.
    pub stored: u64,
    /// Events whose id the log already holds, not written again.
    pub duplicate: u64,
    /// Dead letters written (a dead letter delivered again is not written again, and counts under `duplicate_dead_letters`).
    pub dead_lettered: u64,
    /// Dead letters that the log already holds.
    pub duplicate_dead_letters: u64,
    /// The same for each format that the batch holds, in order of appearance.
    pub formats: Vec<(keytrail_schemas::Text, FormatCount)>,
}

/// What an append did with the records of one format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FormatCount {
    /// Events written.
    pub stored: u64,
    /// Events that the log already holds.
    pub duplicate: u64,
    /// Dead letters, those that the log already holds among them: the input could not be understood this time either.
    pub dead_lettered: u64,
}

impl Appended {
    /// The counts of `format`. A batch holds few formats, so they are looked through.
    pub(crate) fn of(&mut self, format: &keytrail_schemas::Text) -> &mut FormatCount {
        let index = self.formats.iter().position(|(name, _)| name == format).unwrap_or_else(|| {
            self.formats.push((format.clone(), FormatCount::default()));
            self.formats.len() - 1
        });
        &mut self.formats[index].1
    }
}

/// An append-only log.
pub trait EventLog: Send + Sync {
    /// How many partitions each topic has.
    fn partitions(&self) -> i32;
    /// Writes what is new of `events` and `dead_letters` as one atomic step: after a crash either all of it is there or none.
    /// When it returns, what it wrote survives the process; it survives the machine as the log's fsync policy says.
    ///
    /// # Errors
    /// When the log cannot be written; nothing of the batch is in it then.
    fn append(&self, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>) -> Result<Appended, Error>;
    /// Appends a tick to every partition.
    ///
    /// # Errors
    /// When the log cannot be written.
    fn append_tick(&self, time: Micros) -> Result<(), Error>;
    /// Appends to `partition` of `keytrail.events` that it is judged by another set of rules from here on.
    ///
    /// # Errors
    /// When the log cannot be written.
    fn append_rules(&self, partition: i32, rules: Hash32) -> Result<(), Error>;
    /// Appends findings to `partition` of `keytrail.findings`, atomically, and returns the offset of the next one.
    ///
    /// # Errors
    /// When the log cannot be written; none of them is in it then.
    fn append_findings(&self, partition: i32, findings: &[Finding]) -> Result<i64, Error>;
    /// The offset that the next record of the topic's partition will get.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn end(&self, topic: Topic, partition: i32) -> Result<i64, Error>;
    /// The first offset that is still held.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn start(&self, topic: Topic, partition: i32) -> Result<i64, Error>;
    /// The next run of records at or after `from`; `None` at the end of the partition.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `from` is no longer held; other errors when the log cannot be read or a record is damaged.
    fn read_events(&self, partition: i32, from: i64) -> Result<Option<Chunk>, Error>;
    /// The next run of records at or after `from`, for whoever stores them; `None` at the end of the partition.
    ///
    /// # Errors
    /// As [`read_events`](Self::read_events).
    fn read_to_store(&self, partition: i32, from: i64) -> Result<Option<ToStore>, Error> {
        Ok(self.read_events(partition, from)?.map(ToStore::Records))
    }
    /// At most `count_max` findings at or after `from`, with their offsets in the findings topic, and how far it looked.
    ///
    /// # Errors
    /// As [`read_events`](Self::read_events).
    fn read_findings(&self, partition: i32, from: i64, count_max: usize) -> Result<Rows<Finding>, Error>;
    /// At most `count_max` dead letters at or after `from`, with their offsets, and how far it looked.
    ///
    /// # Errors
    /// As [`read_events`](Self::read_events).
    fn read_dead_letters(&self, partition: i32, from: i64, count_max: usize) -> Result<Rows<DeadLetter>, Error>;
    /// The coordinates (offset of the cause, index) of the last finding of a partition.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn last_finding(&self, partition: i32) -> Result<Option<(i64, i32)>, Error>;
    /// Blocks until the topic's partition holds a record at `from`, or `timeout` has passed; says whether it does.
    fn wait(&self, topic: Topic, partition: i32, from: i64, timeout: Duration) -> bool;
    /// Notes how far a consumer has come, for lag monitoring only.
    ///
    /// # Errors
    /// When the log cannot be written.
    fn note_position(&self, consumer: &str, topic: Topic, partition: i32, next: i64) -> Result<(), Error>;
}

/// What can go wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the log. (user; retry once it has ended)
    #[error("{path} is in use by another keytrail process: end it, or use another --dir")]
    Locked {
        /// The log's folder.
        path: String,
    },
    /// The log's storage failed. (external; a retry helps when its cause, a full disk say, is removed)
    #[error("event log at {path}: {message}")]
    Storage {
        /// The log's folder.
        path: String,
        /// What the storage said, and what to do.
        message: String,
    },
    /// A position that is no longer held was asked for. (external; a retry does not help)
    #[error(
        "{topic}/{partition}: offset {from} was asked for, and the log now starts at {start}: records between were removed before they were read; where nothing was judged or stored yet, --from-earliest begins with what is left"
    )]
    Truncated {
        /// The topic.
        topic: Topic,
        /// Its partition.
        partition: i32,
        /// What was asked for.
        from: i64,
        /// The first offset held.
        start: i64,
    },
    /// A record cannot be decoded. (internal or a newer version; a retry does not help)
    #[error("{topic}/{partition} offset {offset}: {message}")]
    Damaged {
        /// The topic.
        topic: Topic,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        message: String,
    },
    /// The brokers cannot be reached, or refuse. (external; a retry helps when they are back, or the settings are mended)
    #[error("Kafka at {brokers}: {message}")]
    Unreachable {
        /// The brokers, as configured.
        brokers: String,
        /// What was tried, what came back, and what to do.
        message: String,
    },
    /// The topics are not as keytrail needs them. (user; a retry does not help)
    #[error("Kafka at {brokers}: {message}")]
    Topics {
        /// The brokers, as configured.
        brokers: String,
        /// What is wrong with them, and what to do.
        message: String,
    },
    /// A setting of the log is wrong. (user; a retry does not help)
    #[error("settings of the Kafka log: {message}")]
    Settings {
        /// Which, and why.
        message: String,
    },
}
