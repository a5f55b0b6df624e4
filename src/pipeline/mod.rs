//! The roles in one process: a source appends to the log, a detector per partition judges it, one task stores everything in the lake.
//! They meet in the log alone. The order of shutdown stands in [`Pipeline::finish`].

pub mod detect;
pub mod forward;
mod gather;
pub mod rule_book;
mod shared;
pub mod store;
pub mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use keytrail_detect::Detector;
use keytrail_lake::{CompactOptions, RollUpOptions, TableName};
use keytrail_log::embedded::{EmbeddedLog, Fsync, Options as LogOptions};
use keytrail_log::{Appended, EventLog};
use keytrail_query::LiveLedger;
use keytrail_schemas::{DeadLetter, Event, Micros, Topic};

pub use shared::Shared;

use crate::config::Config;
use crate::home::Home;
use crate::telemetry::Telemetry;

/// Most events that a source may be ahead of the slower of detector and store: what bounds memory when reading outruns judging.
const AHEAD_EVENTS_MAX: i64 = 100_000;
/// How long a waiting role sleeps at most before it looks again whether it should end.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// Where a source puts what it has read.
pub trait Sink {
    /// Appends a batch; returns when the log has it.
    ///
    /// # Errors
    /// When the log cannot be written, or another role of the process has failed.
    fn append(&self, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>) -> anyhow::Result<Appended> {
        self.append_at(events, dead_letters, None)
    }
    /// Appends a batch, and with it the name of a live source and the position from which it goes on behind it.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn append_at(&self, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>, position: Option<(&str, &[u8])>) -> anyhow::Result<Appended>;
    /// The position of a live source.
    ///
    /// # Errors
    /// When it cannot be read.
    fn position(&self, source: &str) -> anyhow::Result<Option<Vec<u8>>>;
    /// Appends a tick: the passing of time, for the judgement of silence.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn tick(&self, time: Micros) -> anyhow::Result<()>;
    /// Forces what was appended onto the disk, whatever the log's policy: positions in sources may only then be kept.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn settle(&self) -> anyhow::Result<()>;
    /// Whether nothing was ever appended.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn is_empty(&self) -> anyhow::Result<bool>;
    /// Whether another role of the process has failed.
    fn has_failed(&self) -> bool;
    /// How far things are, for a progress bar.
    fn progress(&self) -> String;
}

/// The roles of one process, running.
pub struct Pipeline {
    shared: Arc<Shared>,
    log: Arc<EmbeddedLog>,
    runtime: tokio::runtime::Runtime,
    detectors: Vec<detect::Worker>,
    store: tokio::task::JoinHandle<anyhow::Result<()>>,
    forwarders: Vec<std::thread::JoinHandle<()>>,
}

/// What a whole run did besides reading.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    pub identities: usize,
    pub credentials: usize,
}

/// The threads that drive I/O.
///
/// # Errors
/// When they cannot be started.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("keytrail-io").build().context("starting the I/O threads")
}

impl Pipeline {
    /// Opens log and lake, restores the detectors, and starts every role.
    ///
    /// # Errors
    /// When the folder is in use by another process, log or lake cannot be opened, or they do not belong together.
    pub fn start(config: &Config, telemetry: &Telemetry) -> anyhow::Result<Self> {
        Self::start_beside(config, telemetry, None)
    }

    /// As [`start`](Self::start), beside doors that are told at once what the detectors come to know.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_beside(config: &Config, telemetry: &Telemetry, live: Option<Arc<LiveLedger>>) -> anyhow::Result<Self> {
        let home = Home::open(config)?;
        let runtime = runtime()?;
        // Beside one another: a new log and a new lake each wait for the disk a hundred times.
        let (log, lake, rules) = std::thread::scope(|scope| {
            let log = scope.spawn(|| EmbeddedLog::open(home.log(), log_options(config)));
            let rules = scope.spawn(|| rule_book::Book::open(config));
            let lake = runtime.block_on(crate::place::lake(config));
            (log.join(), lake, rules.join())
        });
        let ended = |_| anyhow::anyhow!("a thread that opens the log ended abnormally; this is a defect of keytrail");
        let (log, lake, rules) = (Arc::new(log.map_err(ended)??), lake?, rules.map_err(ended)??);
        let shared = Arc::new(Shared::new(config, log.clone(), lake, rules, Arc::clone(&telemetry.metrics)).beside(live));
        let partitions: Vec<i32> = (0..log.partitions()).collect();
        let start = |partition: &i32| {
            let detector = detect::restore(&shared, *partition, runtime.handle())?;
            detect::spawn(&shared, *partition, detector, 0, runtime.handle())
        };
        let detectors = partitions.iter().map(start).collect::<anyhow::Result<Vec<_>>>()?;
        let mut store = store::Store::new(Arc::clone(&shared), false);
        runtime.block_on(store.take(&partitions))?;
        let store = runtime.spawn(store::run(Arc::clone(&shared), store));
        let forwarders = forward::spawn(&shared, &home)?;
        Ok(Self { shared, log, runtime, detectors, store, forwarders })
    }

    /// The log in which the roles meet.
    #[must_use]
    pub fn log(&self) -> Arc<dyn EventLog> {
        self.log.clone()
    }

    /// Ends in order: sources, detectors, store; closed days are compacted and rolled up as soon as all events are stored, beside detectors that judge
    /// still; then trims the log. Everything that was appended is judged and stored when it returns.
    ///
    /// # Errors
    /// The first failure of any role.
    pub fn finish(self) -> anyhow::Result<Outcome> {
        let Self { shared, log, runtime, detectors, store, forwarders } = self;
        shared.sources_done.store(true, Ordering::Release);
        let store_ended = Arc::new(AtomicBool::new(false));
        let closing = runtime.spawn(close_days(Arc::clone(&shared), Arc::clone(&store_ended)));
        let mut ended: Vec<Detector> = Vec::new();
        let mut failure = None;
        for worker in detectors {
            match worker.join() {
                Ok(detector) => ended.push(detector),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        shared.detectors_done.store(true, Ordering::Release);
        let stored = runtime.block_on(store);
        store_ended.store(true, Ordering::Release);
        let stored = stored.context("the store ended abnormally; this is a defect of keytrail")?;
        for forwarder in forwarders {
            let _ = forwarder.join();
        }
        let (closed, compacted) = runtime.block_on(async { tokio::join!(closing, compact(&shared, |table| table != TableName::Events)) });
        if let Some(error) = failure {
            return Err(error);
        }
        stored?;
        shared.check()?;
        closed.context("closing days ended abnormally; this is a defect of keytrail")??;
        compacted?;
        let mut outcome = Outcome::default();
        for detector in &ended {
            let (credentials, identities) = detector.known();
            outcome.credentials += credentials;
            outcome.identities += identities;
        }
        // What has been judged, stored and snapshotted goes, once the log holds more bytes than are kept.
        if log.disk_bytes()? > shared.config.embedded.retention_bytes_max {
            for partition in 0..log.partitions() {
                log.trim(Topic::Events, partition, shared.done(partition).unwrap_or(0))?;
            }
        }
        log.sync()?;
        // The process comes to its end: to give back one by one what a run holds in memory takes a thirtieth of a short one.
        std::mem::forget((shared, log, runtime, ended));
        Ok(outcome)
    }
}

/// Compacts and rolls up closed days of events once all of them are stored: nothing that is judged from then on changes them.
async fn close_days(shared: Arc<Shared>, store_ended: Arc<AtomicBool>) -> anyhow::Result<()> {
    const STEP: Duration = Duration::from_millis(2);
    while shared.stored.sum() < shared.ends()? && !store_ended.load(Ordering::Acquire) {
        tokio::time::sleep(STEP).await;
    }
    compact(&shared, |table| table == TableName::Events).await?;
    if is_to_be_compacted(&shared) {
        shared.lake.roll_up(&RollUpOptions::default()).await?;
    }
    Ok(())
}

/// Compacts some of the tables, where that is wanted after a run and the run did not fail.
async fn compact(shared: &Shared, wanted: impl Fn(TableName) -> bool) -> anyhow::Result<()> {
    if is_to_be_compacted(shared) {
        let mut options = CompactOptions::default();
        // Two of these go on beside one another.
        options.memory_bytes_max /= 2;
        options.tables.retain(|table| wanted(*table));
        shared.lake.compact(options).await?;
    }
    Ok(())
}

fn is_to_be_compacted(shared: &Shared) -> bool {
    shared.config.store.compact_after_ingest && !shared.failed.load(Ordering::Acquire)
}

impl Sink for Pipeline {
    /// Waits first until the roles behind are not too far behind.
    fn append_at(&self, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>, position: Option<(&str, &[u8])>) -> anyhow::Result<Appended> {
        // A commit as large as the operator asks for must come together, and the next behind it.
        let ahead_max = AHEAD_EVENTS_MAX.max(i64::try_from(self.shared.config.store.commit_events_max.saturating_mul(2)).unwrap_or(i64::MAX));
        while self.shared.ahead()? > ahead_max {
            self.shared.check()?;
            std::thread::sleep(Duration::from_millis(2));
        }
        self.shared.check()?;
        Ok(self.log.append_at(events, dead_letters, position)?)
    }

    fn position(&self, source: &str) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.log.source_position(source)?)
    }

    fn tick(&self, time: Micros) -> anyhow::Result<()> {
        self.shared.check()?;
        Ok(self.shared.log.append_tick(time)?)
    }

    fn settle(&self) -> anyhow::Result<()> {
        Ok(self.log.sync()?)
    }

    fn is_empty(&self) -> anyhow::Result<bool> {
        is_empty(&*self.log)
    }

    fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    fn progress(&self) -> String {
        format!("{} events, {} judged, {} stored", self.shared.ends().unwrap_or(0), self.shared.judged.sum(), self.shared.stored.sum())
    }
}

/// Whether a log has never held an event or a dead letter.
///
/// # Errors
/// When it cannot be read.
pub fn is_empty(log: &dyn EventLog) -> anyhow::Result<bool> {
    for topic in [Topic::Events, Topic::DeadLetters] {
        for partition in 0..log.partitions() {
            if log.end(topic, partition)? > 0 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The embedded log's options under this configuration.
pub fn log_options(config: &Config) -> LogOptions {
    LogOptions {
        partitions: (config.embedded.partitions > 0).then_some(config.embedded.partitions),
        fsync: match config.embedded.fsync.as_str() {
            "every_append" => Fsync::EveryAppend,
            "never" => Fsync::Never,
            _ => Fsync::IntervalMs(config.embedded.fsync_interval_ms),
        },
        dedupe_ids_max: config.embedded.dedupe_ids_max,
        dedupe_horizon_days: config.embedded.dedupe_horizon_days,
        ..LogOptions::default()
    }
}
