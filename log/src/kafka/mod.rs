//! The event log on Apache Kafka: the same topics, partitions and offsets as the embedded log, for any number of processes.
//!
//! | topic | key | value | headers |
//! |---|---|---|---|
//! | `keytrail.events` | identity | [`LogRecord`](keytrail_schemas::LogRecord)'s encoding | none |
//! | `keytrail.findings` | identity | JSON | `keytrail-type` = `finding`, `keytrail-schema`, `finding_id`, `rule`, `severity`, `identity`, `coordinates` = `partition/offset/index` of the cause |
//! | `keytrail.dead-letters` | source | JSON | `keytrail-type` = `dead-letter`, `keytrail-schema`, `reason`, `id` |
//!
//! Events and dead letters go to the partition that murmur2 of the key gives, as Java's client does it; findings to that of their cause.
//!
//! **Nothing lost.** An append returns when every record of it is acknowledged by all replicas in sync. It is not atomic, as an append of the
//! embedded log is: when it fails, or the process dies, part of it may be in the log. It is delivered again then, by its source.
//!
//! **Nothing twice.** A process that appends remembers what it wrote ([`Options::seen_dir`]), whatever ended it; readers leave out an event whose id
//! stands within [`Options::window_records`] before it, findings that do not rise, and dead letters that came before. Which records are left out
//! is a function of the log.
//!
//! **Throughput.** One append at a time: while its records are encoded, librdkafka compresses and sends those before, and only the last
//! acknowledgements are waited for. With batches of thousands of events that wait is a small part; there is nothing under way between appends.
//!
//! No Kafka transactions are used, and no committed offsets but for monitoring: readers say where they start.

mod ahead;
mod append;
mod client;
mod columns;
mod cursor;
mod events;
mod group;
mod letter;
mod options;
mod place;
mod pool;
mod produce;
mod rows;
mod seen;
mod statistics;
pub mod topics;
mod window;

pub use group::{Change, Group, Release};
pub use options::Options;
pub use statistics::Statistics;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use keytrail_schemas::{DeadLetter, Event, Finding, Hash32, Micros, Topic};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::Offset;
use rustc_hash::FxHashMap;

use super::{Appended, Chunk, Error, EventLog, Rows, ToStore};
use ahead::{Ahead, Runs};
use append::Writer;
use client::{Context, plain, watermarks};
use pool::Pool;
use produce::{Outcome, Producer};

/// The event log on Kafka.
pub struct KafkaLog {
    options: Options,
    context: Context,
    /// The cluster's id.
    cluster: String,
    partitions: AtomicI32,
    /// Asks brokers for what they know; reads nothing.
    observer: BaseConsumer<Context>,
    writer: Mutex<Writer>,
    producer: Mutex<Option<Arc<Producer>>>,
    topic_bytes_max: OnceLock<Option<usize>>,
    bounds: Mutex<FxHashMap<(Topic, i32), Bounds>>,
    events: Pool<Ahead<events::Reader>>,
    columns: Pool<Ahead<columns::Reader>>,
    findings: Pool<rows::Reader<Finding>>,
    dead_letters: Pool<rows::Reader<DeadLetter>>,
    committers: Mutex<BTreeMap<String, Committer>>,
}

/// Opens a reader of a partition, whose first record is at an offset, of a log that starts at another.
type Open<R> = fn(&Options, &Context, i32, i64, i64) -> Result<R, Error>;

/// Commits positions of one group, for monitoring.
type Committer = Box<dyn Fn(&TopicPartitionList) -> KafkaResult<()> + Send + Sync>;

/// First offset held and next offset to be given, and when that was so.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    start: i64,
    end: i64,
    asked: Instant,
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("brokers", &self.options.brokers).field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// Opens the log. With a [`seen_dir`](Options::seen_dir), what an unclean stop left in the log is read first.
    ///
    /// # Errors
    /// [`Error::Settings`] for properties that are refused, [`Error::Unreachable`] when no broker answers, [`Error::Topics`] when topics are missing
    /// or do not fit together, [`Error::Locked`] when another process has the folder.
    pub fn open(options: Options) -> Result<Self, Error> {
        options.check()?;
        let context = Context::default();
        let observer: BaseConsumer<Context> =
            options.client().create_with_context(context.clone()).map_err(|error| plain(&options.brokers, "making a client", &error))?;
        let patience = Duration::from_millis(options.connect_timeout_ms);
        let partitions = topics::partitions(&observer, &options, patience)?;
        let cluster = observer.client().fetch_cluster_id(patience).unwrap_or_else(|| options.brokers.clone());
        let log = Self {
            options,
            context,
            cluster,
            partitions: AtomicI32::new(partitions),
            observer,
            writer: Mutex::default(),
            producer: Mutex::default(),
            topic_bytes_max: OnceLock::new(),
            bounds: Mutex::default(),
            events: Pool::default(),
            columns: Pool::default(),
            findings: Pool::default(),
            dead_letters: Pool::default(),
            committers: Mutex::default(),
        };
        let seen = log.open_seen()?;
        hold(&log.writer).seen = seen;
        Ok(log)
    }

    /// Connects what appends, so that the first append does not wait for it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn prepare_to_append(&self) -> Result<(), Error> {
        self.producer().map(drop)
    }

    /// The figures of the log's clients.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.context.board.read()
    }

    /// How many ids this process remembers to write nothing twice, and the bytes of memory that their tables take.
    #[must_use]
    pub fn remembered(&self) -> (u64, usize) {
        hold(&self.writer).seen.as_ref().map_or((0, 0), seen::Seen::size)
    }

    /// What the log was opened with.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    fn partition_count(&self) -> i32 {
        self.partitions.load(Ordering::Relaxed)
    }

    /// Whether there is such a partition; the topics may have grown since the log was opened.
    fn check_partition(&self, topic: Topic, partition: i32) -> Result<(), Error> {
        if (0..self.partition_count()).contains(&partition) {
            return Ok(());
        }
        let partitions = topics::partitions(&self.observer, &self.options, Duration::from_millis(self.options.request_timeout_ms))?;
        self.partitions.store(partitions, Ordering::Relaxed);
        if (0..partitions).contains(&partition) {
            return Ok(());
        }
        Err(Error::Topics { brokers: self.options.brokers.clone(), message: format!("there is no partition {partition}: {topic} has {partitions}") })
    }

    /// Asks the broker, whatever was asked before.
    fn bounds_now(&self, topic: Topic, partition: i32) -> Result<Bounds, Error> {
        self.check_partition(topic, partition)?;
        self.observer.poll(Duration::ZERO); // Logs and errors only; they would pile up.
        let asked = Instant::now();
        let (start, end) = watermarks(self.observer.client(), &self.options, topic, partition)?;
        let now = Bounds { start, end, asked };
        hold(&self.bounds).insert((topic, partition), now);
        Ok(now)
    }

    fn bounds(&self, topic: Topic, partition: i32) -> Result<Bounds, Error> {
        if let Some(known) = hold(&self.bounds).get(&(topic, partition))
            && known.asked.elapsed() <= Duration::from_millis(self.options.end_age_ms_max)
        {
            return Ok(*known);
        }
        self.bounds_now(topic, partition)
    }

    /// Makes what was acknowledged visible to this process's readers at once.
    fn grown(&self, outcome: &Outcome) {
        let mut bounds = hold(&self.bounds);
        for (place, end) in &outcome.ends {
            if let Some(known) = bounds.get_mut(place) {
                known.end = known.end.max(*end);
            }
        }
    }

    /// The reader that stands at `from`, or a new one; `None` where `from` lies beyond the end.
    fn event_reader<R: Runs>(&self, pool: &Pool<Ahead<R>>, open: Open<R>, partition: i32, from: i64) -> Result<Option<Ahead<R>>, Error> {
        if let Some(reader) = pool.take(partition, |reader| reader.stands_at(from)) {
            return Ok(Some(reader));
        }
        let Bounds { start, end, .. } = self.bounds_now(Topic::Events, partition)?;
        if from > end {
            return Ok(None);
        }
        Ok(Some(Ahead::new(open(&self.options, &self.context, partition, from, start)?, from)))
    }

    fn read_run<R: Runs>(&self, pool: &Pool<Ahead<R>>, open: Open<R>, partition: i32, from: i64) -> Result<Option<R::Run>, Error> {
        let Some(mut reader) = self.event_reader(pool, open, partition, from)? else { return Ok(None) };
        let read = reader.read(from, || self.bounds_now(Topic::Events, partition).map(|bounds| bounds.end))?;
        pool.put(partition, reader);
        Ok(read)
    }

    fn row_reader<R: rows::Row>(&self, pool: &Pool<rows::Reader<R>>, partition: i32, from: i64) -> Result<Option<rows::Reader<R>>, Error> {
        if let Some(reader) = pool.take(partition, |reader| reader.stands_at(from)) {
            return Ok(Some(reader));
        }
        let Bounds { start, end, .. } = self.bounds_now(R::TOPIC, partition)?;
        if from > end { Ok(None) } else { rows::Reader::open(&self.options, &self.context, partition, from, start).map(Some) }
    }

    fn read_rows<R: rows::Row>(&self, pool: &Pool<rows::Reader<R>>, partition: i32, from: i64, count_max: usize) -> Result<Rows<R>, Error> {
        let Some(mut reader) = self.row_reader(pool, partition, from)? else { return Ok(Rows { rows: Vec::new(), next: from }) };
        let read = reader.read(count_max, || self.bounds_now(R::TOPIC, partition).map(|bounds| bounds.end))?;
        pool.put(partition, reader);
        Ok(read)
    }

    fn wait_for_row<R: rows::Row>(&self, pool: &Pool<rows::Reader<R>>, partition: i32, from: i64, timeout: Duration) -> Result<bool, Error> {
        let Some(mut reader) = self.row_reader(pool, partition, from)? else { return Ok(false) };
        let there = reader.wait(timeout);
        pool.put(partition, reader);
        Ok(there)
    }

    fn wait_for(&self, topic: Topic, partition: i32, from: i64, timeout: Duration) -> Result<bool, Error> {
        match topic {
            Topic::Events => {
                let Some(mut reader) = self.event_reader(&self.events, events::Reader::open, partition, from)? else { return Ok(false) };
                let there = reader.wait(from, timeout);
                self.events.put(partition, reader);
                Ok(there)
            }
            Topic::Findings => self.wait_for_row(&self.findings, partition, from, timeout),
            Topic::DeadLetters => self.wait_for_row(&self.dead_letters, partition, from, timeout),
        }
    }

    /// Lets a group's member commit positions of its group; `None` when it has left.
    fn set_committer(&self, group: &str, committer: Option<Committer>) {
        let mut committers = hold(&self.committers);
        match committer {
            Some(committer) => committers.insert(group.to_owned(), committer),
            None => committers.remove(group),
        };
    }

    fn own_committer(&self, group: &str) -> Result<Committer, Error> {
        let consumer: BaseConsumer<Context> = self
            .options
            .consumer(group)
            .create_with_context(self.context.clone())
            .map_err(|error| plain(&self.options.brokers, "making a consumer", &error))?;
        Ok(Box::new(move |list| {
            consumer.poll(Duration::ZERO); // Outcomes of earlier commits.
            consumer.commit(list, CommitMode::Async)
        }))
    }
}

impl EventLog for KafkaLog {
    fn partitions(&self) -> i32 {
        self.partition_count()
    }

    /// Not atomic: see the module's documentation.
    fn append(&self, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>) -> Result<Appended, Error> {
        self.append_new(&mut hold(&self.writer), events, dead_letters)
    }

    fn append_tick(&self, time: Micros) -> Result<(), Error> {
        self.send_tick(&mut hold(&self.writer), time)
    }

    fn append_rules(&self, partition: i32, rules: Hash32) -> Result<(), Error> {
        self.check_partition(Topic::Events, partition)?;
        self.send_rules(partition, rules)
    }

    fn append_findings(&self, partition: i32, findings: &[Finding]) -> Result<i64, Error> {
        self.check_partition(Topic::Findings, partition)?;
        if findings.is_empty() { self.end(Topic::Findings, partition) } else { self.send_findings(partition, findings) }
    }

    fn end(&self, topic: Topic, partition: i32) -> Result<i64, Error> {
        self.bounds(topic, partition).map(|bounds| bounds.end)
    }

    fn start(&self, topic: Topic, partition: i32) -> Result<i64, Error> {
        self.bounds(topic, partition).map(|bounds| bounds.start)
    }

    fn read_events(&self, partition: i32, from: i64) -> Result<Option<Chunk>, Error> {
        self.read_run(&self.events, events::Reader::open, partition, from)
    }

    fn read_to_store(&self, partition: i32, from: i64) -> Result<Option<ToStore>, Error> {
        Ok(self.read_run(&self.columns, columns::Reader::open, partition, from)?.map(ToStore::Columns))
    }

    fn read_findings(&self, partition: i32, from: i64, count_max: usize) -> Result<Rows<Finding>, Error> {
        self.read_rows(&self.findings, partition, from, count_max)
    }

    fn read_dead_letters(&self, partition: i32, from: i64, count_max: usize) -> Result<Rows<DeadLetter>, Error> {
        self.read_rows(&self.dead_letters, partition, from, count_max)
    }

    fn last_finding(&self, partition: i32) -> Result<Option<(i64, i32)>, Error> {
        let bounds = self.bounds_now(Topic::Findings, partition)?;
        if bounds.end <= bounds.start {
            return Ok(None);
        }
        rows::Reader::<Finding>::open(&self.options, &self.context, partition, bounds.end, bounds.start).map(rows::Reader::into_memory)
    }

    fn wait(&self, topic: Topic, partition: i32, from: i64, timeout: Duration) -> bool {
        // An error shows itself to whoever reads next.
        let started = Instant::now();
        let there = self.wait_for(topic, partition, from, timeout).unwrap_or_else(|error| {
            tracing::debug!(%error, "waiting for a record");
            matches!(error, Error::Truncated { .. })
        });
        if !there {
            std::thread::sleep(timeout.saturating_sub(started.elapsed()));
        }
        there
    }

    fn note_position(&self, consumer: &str, topic: Topic, partition: i32, next: i64) -> Result<(), Error> {
        self.check_partition(topic, partition)?;
        let group = group::id(consumer);
        let mut committers = hold(&self.committers);
        if !committers.contains_key(&group) {
            committers.insert(group.clone(), self.own_committer(&group)?);
        }
        let mut list = TopicPartitionList::new();
        let committed = list
            .add_partition_offset(topic.as_str(), partition, Offset::Offset(next))
            .and_then(|()| committers.get(&group).map_or(Err(KafkaError::Canceled), |commit| commit(&list)));
        if let Err(error) = committed {
            tracing::debug!(%error, group, "a position could not be committed; it serves monitoring only");
        }
        Ok(())
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        let mut writer = hold(&self.writer);
        let stale = writer.stale;
        if let Some(seen) = writer.seen.take().filter(|_| !stale) {
            seen.close();
        }
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
