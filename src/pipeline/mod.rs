//! The roles in one process: a source appends to the log, a detector per partition judges it, one task stores everything in the lake.
//! They meet in the log alone. The order of shutdown stands in [`Pipeline::finish`].

mod detect;
mod forward;
mod store;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use keytrail_detect::{Detector, Rules};
use keytrail_ingest::log::EventLog;
use keytrail_ingest::log::embedded::{EmbeddedLog, Fsync, Options as LogOptions};
use keytrail_lake::Lake;
use keytrail_schemas::{DeadLetter, Event, Topic};

use crate::config::Config;
use crate::exit::OutOfReach;
use crate::home::Home;
use crate::telemetry::{Metrics, Telemetry};

/// Most events that a source may be ahead of the slower of detector and store: what bounds memory when reading outruns judging.
const AHEAD_EVENTS_MAX: i64 = 150_000;
/// How long a waiting role sleeps at most before it looks again whether it should end.
const PATIENCE: Duration = Duration::from_millis(50);

/// The roles of one process, running.
pub struct Pipeline {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Runtime,
    detectors: Vec<std::thread::JoinHandle<anyhow::Result<Detector>>>,
    store: tokio::task::JoinHandle<anyhow::Result<()>>,
    forwarders: Vec<std::thread::JoinHandle<()>>,
}

/// What the roles share. None of it is on the path of a single event.
struct Shared {
    config: Config,
    log: Arc<EmbeddedLog>,
    lake: Lake,
    rules: Arc<Rules>,
    metrics: Arc<Metrics>,
    /// Set when no more will be appended: the roles end once they have reached the end of the log.
    sources_done: AtomicBool,
    /// Set when the detectors have ended: no more findings come.
    detectors_done: AtomicBool,
    /// Set by the first role that fails: all others stop.
    failed: AtomicBool,
    failure: Mutex<Option<String>>,
    /// Per partition: the next offset to judge, and to store.
    judged: Vec<AtomicI64>,
    stored: Vec<AtomicI64>,
}

/// What a whole run did besides reading.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    pub identities: usize,
    pub credentials: usize,
}

impl Pipeline {
    /// Opens log and lake, restores the detectors, and starts every role.
    ///
    /// # Errors
    /// When the folder is in use by another process, log or lake cannot be opened, or they do not belong together.
    pub fn start(config: &Config, telemetry: &Telemetry) -> anyhow::Result<Self> {
        let home = Home::open(config)?;
        let log = Arc::new(EmbeddedLog::open(home.log(), log_options(config))?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_name("keytrail-io")
            .build()
            .context("starting the I/O threads")?;
        let lake = runtime.block_on(Lake::open(&config.lake_url(), keytrail_lake::Options::default()))?;
        let rules = crate::command::rules::configured(config)?;
        let partitions = log.partitions();
        let counters = || (0..partitions).map(|_| AtomicI64::new(0)).collect();
        let shared = Arc::new(Shared {
            config: config.clone(),
            log,
            lake,
            rules,
            metrics: Arc::clone(&telemetry.metrics),
            sources_done: AtomicBool::new(false),
            detectors_done: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            judged: counters(),
            stored: counters(),
        });
        let detectors = (0..partitions).map(|partition| detect::spawn(&shared, partition, runtime.handle())).collect::<anyhow::Result<Vec<_>>>()?;
        let positions = runtime.block_on(store::Positions::load(&shared))?;
        let store = runtime.spawn(store::run(Arc::clone(&shared), positions));
        let forwarders = forward::spawn(&shared, &home)?;
        Ok(Self { shared, runtime, detectors, store, forwarders })
    }

    /// Appends a batch, after waiting until the roles behind are not too far behind.
    ///
    /// # Errors
    /// When the log cannot be written, or another role has failed.
    pub fn append(&self, events: Vec<Event>, dead_letters: Vec<DeadLetter>) -> anyhow::Result<keytrail_ingest::log::Appended> {
        while self.shared.ahead()? > AHEAD_EVENTS_MAX {
            self.shared.check()?;
            std::thread::sleep(Duration::from_millis(2));
        }
        self.shared.check()?;
        Ok(self.shared.log.append(events, dead_letters)?)
    }

    /// Appends a tick: the passing of time, for the judgement of silence.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn tick(&self, time: keytrail_schemas::Micros) -> anyhow::Result<()> {
        self.shared.check()?;
        Ok(self.shared.log.append_tick(time)?)
    }

    /// How far detector and store are, in records, of how many: for progress.
    pub fn progress(&self) -> (i64, i64, i64) {
        let sum = |counters: &[AtomicI64]| counters.iter().map(|counter| counter.load(Ordering::Relaxed)).sum();
        (sum(&self.shared.judged), sum(&self.shared.stored), self.shared.ends().unwrap_or(0))
    }

    /// Whether a role has failed.
    pub fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    /// Ends in order: sources, detectors, store; then publishes the ledger, compacts, and trims the log. Everything that was appended
    /// is judged and stored when it returns.
    ///
    /// # Errors
    /// The first failure of any role.
    pub fn finish(self) -> anyhow::Result<Outcome> {
        let Self { shared, runtime, detectors, store, forwarders } = self;
        shared.sources_done.store(true, Ordering::Release);
        let mut ended = Vec::new();
        let mut failure = None;
        for handle in detectors {
            match handle.join() {
                Ok(Ok(detector)) => ended.push(detector),
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(_) => failure = failure.or_else(|| Some(anyhow::anyhow!("a detector ended abnormally; this is a defect of keytrail"))),
            }
        }
        shared.detectors_done.store(true, Ordering::Release);
        let stored = runtime.block_on(store).context("the store ended abnormally; this is a defect of keytrail")?;
        for forwarder in forwarders {
            let _ = forwarder.join();
        }
        if let Some(error) = failure {
            return Err(error);
        }
        stored?;
        shared.check()?;
        let mut credentials = Vec::new();
        let mut identities = Vec::new();
        for detector in &ended {
            credentials.extend(detector.credentials());
            identities.extend(detector.identities());
        }
        let outcome = Outcome { identities: identities.len(), credentials: credentials.len() };
        runtime.block_on(async {
            shared.lake.replace_credentials(&credentials).await?;
            shared.lake.replace_identities(&identities).await
        })?;
        if shared.config.store.compact_after_ingest {
            runtime.block_on(shared.lake.compact(keytrail_lake::CompactOptions::default()))?;
        }
        for partition in 0..shared.log.partitions() {
            shared.trim(partition)?;
        }
        Ok(outcome)
    }
}

impl Shared {
    /// Records that the slower of detector and store still has before it.
    fn ahead(&self) -> anyhow::Result<i64> {
        let mut ahead = 0;
        for partition in 0..self.log.partitions() {
            let end = self.log.end(Topic::Events, partition)?;
            let index = usize::try_from(partition).unwrap_or(0);
            let slower = [&self.judged, &self.stored]
                .iter()
                .filter_map(|counters| counters.get(index))
                .map(|counter| counter.load(Ordering::Relaxed))
                .min()
                .unwrap_or(end);
            ahead = ahead.max(end - slower);
        }
        Ok(ahead)
    }

    fn ends(&self) -> anyhow::Result<i64> {
        (0..self.log.partitions()).map(|partition| Ok(self.log.end(Topic::Events, partition)?)).sum()
    }

    /// Fails when any role has.
    fn check(&self) -> anyhow::Result<()> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        Err(OutOfReach(failure.clone().unwrap_or_else(|| "another role has failed".to_owned())).into())
    }

    fn fail(&self, error: &anyhow::Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| crate::exit::message(error));
        self.failed.store(true, Ordering::Release);
    }

    /// Removes what has been judged, stored and snapshotted, once the log holds more bytes than are kept.
    fn trim(&self, partition: i32) -> anyhow::Result<()> {
        let index = usize::try_from(partition).unwrap_or(0);
        let done =
            [&self.judged, &self.stored].iter().filter_map(|counters| counters.get(index)).map(|counter| counter.load(Ordering::Relaxed)).min().unwrap_or(0);
        if self.log.disk_bytes()? > self.config.embedded.retention_bytes_max {
            self.log.trim(Topic::Events, partition, done)?;
        }
        Ok(())
    }
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
