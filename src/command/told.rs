//! Doors see a finding when the log has it, and not when the lake has: the findings topic is followed from a little before its end, on a thread of its
//! own, and what it holds is laid over the lake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arrow::array::AsArray as _;
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;
use keytrail_log::kafka::KafkaLog;
use keytrail_log::{Error, EventLog};
use keytrail_query::{LiveLedger, Session};
use keytrail_schemas::Topic;
use tokio::runtime::Handle;

use crate::config::Config;

/// So many records before the end are read at the start: the lake may not have them yet. What it has is not seen twice.
const BACK: i64 = 1_000;
/// Most records in one reading.
const ROWS_MAX: usize = 1_000;
/// Time between two looks for more.
const STEP: Duration = Duration::from_millis(100);
/// Time between two questions to the lake, what it holds by now.
const STORED_INTERVAL: Duration = Duration::from_secs(5);
/// So often it is asked after something was told: what the first answer names goes with the second. Where nothing comes, nothing is asked.
const STORED_ASKS: u8 = 2;
/// Time between two attempts at brokers that are out of reach.
const RETRY: Duration = Duration::from_secs(5);

/// What following needs.
pub struct Follower {
    pub session: Session,
    pub live: Arc<LiveLedger>,
    pub over: Arc<AtomicBool>,
    pub runtime: Handle,
}

impl Follower {
    /// Follows the log of this process.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn beside(self, log: Arc<dyn EventLog>) -> anyhow::Result<JoinHandle<()>> {
        spawn(move || {
            while !self.stopped() {
                if let Err(error) = self.follow(&*log) {
                    tracing::warn!(%error, "findings are seen once the lake has them");
                    self.rest(RETRY);
                }
            }
        })
    }

    /// Follows the brokers' topic. While they are out of reach the doors answer from the lake alone.
    ///
    /// # Errors
    /// When the configuration names no brokers, or the thread cannot be started.
    pub fn on_kafka(self, config: &Config) -> anyhow::Result<JoinHandle<()>> {
        let options = crate::role::options(config)?;
        spawn(move || {
            while !self.stopped() {
                let followed = KafkaLog::open(options.clone()).and_then(|log| self.follow(&log));
                if let Err(error) = followed {
                    tracing::warn!(%error, "the findings topic cannot be followed: findings are seen once the lake has them");
                    self.rest(RETRY);
                }
            }
        })
    }

    fn stopped(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn rest(&self, time: Duration) {
        let began = Instant::now();
        while !self.stopped() && began.elapsed() < time {
            std::thread::sleep(STEP);
        }
    }

    /// Tells what comes until it is told to stop.
    fn follow(&self, log: &dyn EventLog) -> Result<(), Error> {
        let mut next = BTreeMap::new();
        for partition in 0..log.partitions() {
            let (start, end) = (log.start(Topic::Findings, partition)?, log.end(Topic::Findings, partition)?);
            next.insert(partition, start.max(end - BACK));
        }
        let (mut looked, mut asks) = (Instant::now(), 0);
        while !self.stopped() {
            let mut told = false;
            for (partition, next) in &mut next {
                if !log.wait(Topic::Findings, *partition, *next, Duration::ZERO) {
                    continue;
                }
                let read = match log.read_findings(*partition, *next, ROWS_MAX) {
                    // It was shortened meanwhile.
                    Err(Error::Truncated { start, .. }) => {
                        *next = start;
                        continue;
                    }
                    read => read?,
                };
                *next = read.next;
                told |= !read.rows.is_empty();
                self.live.told(read.rows.into_iter().map(|(_, finding)| finding).collect());
            }
            if told {
                asks = STORED_ASKS;
            } else {
                std::thread::sleep(STEP);
            }
            if asks > 0 && looked.elapsed() >= STORED_INTERVAL {
                self.look();
                (looked, asks) = (Instant::now(), asks - 1);
            }
        }
        Ok(())
    }

    /// Lets what the lake holds go.
    fn look(&self) {
        let stored = async {
            let rows = self.session.sql_stream("SELECT log_partition, max(log_offset) FROM findings_log GROUP BY log_partition").await?;
            rows.batches.try_collect::<Vec<_>>().await
        };
        match self.runtime.block_on(stored) {
            Ok(batches) => {
                for batch in &batches {
                    let (partitions, offsets) = (batch.column(0).as_primitive::<Int32Type>(), batch.column(1).as_primitive::<Int64Type>());
                    for (partition, offset) in partitions.iter().zip(offsets) {
                        if let (Some(partition), Some(offset)) = (partition, offset) {
                            self.live.stored(partition, offset);
                        }
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "the lake does not say which findings it holds"),
        }
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("keytrail-told".to_owned()).spawn(work).context("starting the thread that follows findings")
}
