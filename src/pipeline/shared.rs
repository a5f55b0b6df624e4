//! What the roles of a process share. None of it is on the path of a single event.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keytrail_lake::Lake;
use keytrail_log::EventLog;
use keytrail_query::LiveLedger;
use keytrail_schemas::Topic;

use super::rule_book::Book;
use crate::config::Config;
use crate::exit::OutOfReach;
use crate::telemetry::Metrics;

/// The log, the lake, and how things stand.
pub struct Shared {
    pub config: Config,
    pub log: Arc<dyn EventLog>,
    pub lake: Lake,
    pub rules: Book,
    pub metrics: Arc<Metrics>,
    /// What the detectors know now, where doors of this process tell it.
    pub live: Option<Arc<LiveLedger>>,
    /// Set when no more will be appended: the roles end once they have reached the end of the log.
    pub sources_done: AtomicBool,
    /// Set when the detectors have ended: no more findings come.
    pub detectors_done: AtomicBool,
    /// Set by the first role that fails: all others stop.
    pub failed: AtomicBool,
    failure: Mutex<Option<String>>,
    /// Per partition: the next offset to judge.
    pub judged: Progress,
    /// Per partition: the next offset to store.
    pub stored: Progress,
}

/// How far a role has come, per partition that it holds.
#[derive(Debug, Default)]
pub struct Progress(Mutex<BTreeMap<i32, i64>>);

impl Progress {
    /// The role has done everything of `partition` below `next`.
    pub fn set(&self, partition: i32, next: i64) {
        self.held().insert(partition, next);
    }

    /// The role no longer holds `partition`.
    pub fn release(&self, partition: i32) {
        self.held().remove(&partition);
    }

    /// The next offset of a partition, where the role holds it.
    pub fn of(&self, partition: i32) -> Option<i64> {
        self.held().get(&partition).copied()
    }

    /// The sum over the partitions held.
    pub fn sum(&self) -> i64 {
        self.held().values().sum()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The same, with doors of this process to be told what changes.
    pub fn beside(mut self, live: Option<Arc<LiveLedger>>) -> Self {
        self.live = live;
        self
    }

    pub fn new(config: &Config, log: Arc<dyn EventLog>, lake: Lake, rules: Book, metrics: Arc<Metrics>) -> Self {
        Self {
            config: config.clone(),
            log,
            lake,
            rules,
            metrics,
            live: None,
            sources_done: AtomicBool::new(false),
            detectors_done: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            judged: Progress::default(),
            stored: Progress::default(),
        }
    }

    /// Records that the slower of detector and store still has before it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn ahead(&self) -> anyhow::Result<i64> {
        let mut ahead = 0;
        for partition in 0..self.log.partitions() {
            let end = self.log.end(Topic::Events, partition)?;
            ahead = ahead.max(end - self.done(partition).unwrap_or(end));
        }
        Ok(ahead)
    }

    /// The offset below which a partition is judged and stored.
    pub fn done(&self, partition: i32) -> Option<i64> {
        [&self.judged, &self.stored].into_iter().filter_map(|progress| progress.of(partition)).min()
    }

    /// The next offset to be given, over all partitions.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn ends(&self) -> anyhow::Result<i64> {
        (0..self.log.partitions()).map(|partition| Ok(self.log.end(Topic::Events, partition)?)).sum()
    }

    /// Fails when any role has.
    ///
    /// # Errors
    /// The first failure.
    pub fn check(&self) -> anyhow::Result<()> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        Err(OutOfReach(failure.clone().unwrap_or_else(|| "another role has failed".to_owned())).into())
    }

    /// Notes the first failure, and stops the others.
    pub fn fail(&self, error: &anyhow::Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| crate::exit::message(error));
        self.failed.store(true, Ordering::Release);
    }
}
