//! The forward role: findings from the log to each configured target, in order, with retry. A target that is away holds nobody else up;
//! what it has not taken waits in the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use keytrail_forward::{Encoding, Outbox};

use keytrail_log::Rows;
use keytrail_schemas::Topic;

use super::Shared;
use crate::config::Forward;
use crate::exit::Usage;
use crate::home::Home;

/// Most findings in one delivery.
const DELIVERY_ROWS_MAX: usize = 1_000;
/// Time between two attempts at a target that is away: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How long the end of the process waits for a target that is away.
const FAREWELL: Duration = Duration::from_secs(5);

/// Starts a thread per target and partition.
pub fn spawn(shared: &Arc<Shared>, home: &Home) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    for target in &shared.config.forwards {
        for partition in 0..shared.log.partitions() {
            let outbox = open(home, target, partition)?;
            let (shared, address) = (Arc::clone(shared), target.target.clone());
            let thread = std::thread::Builder::new().name("keytrail-forward".to_owned());
            threads.push(thread.spawn(move || run(&shared, partition, outbox, &address)).context("starting a forwarder's thread")?);
        }
    }
    Ok(threads)
}

fn open(home: &Home, forward: &Forward, partition: i32) -> anyhow::Result<Outbox> {
    let encoding: Encoding = forward.encoding.parse().map_err(Usage)?;
    let target = keytrail_forward::open(&forward.target).map_err(|error| Usage(error.to_string()))?;
    let name: String = forward.target.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    Ok(Outbox::open(&home.outbox().join(format!("{name}-{partition}")), target, encoding)?)
}

fn run(shared: &Shared, partition: i32, mut outbox: Outbox, address: &str) {
    let mut pause = RETRY.0;
    let mut farewell = Duration::ZERO;
    loop {
        let last = shared.detectors_done.load(Ordering::Acquire) || shared.failed.load(Ordering::Acquire);
        let Rows { rows, next } = match shared.log.read_findings(partition, outbox.next(), DELIVERY_ROWS_MAX) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(address, %error, "findings cannot be read: forwarding ends");
                return;
            }
        };
        if next <= outbox.next() {
            if last {
                return;
            }
            shared.log.wait(Topic::Findings, partition, outbox.next(), super::PATIENCE);
            continue;
        }
        match outbox.send(&rows, next) {
            Ok(()) => pause = RETRY.0,
            Err(error) if error.is_transient() && !(last && farewell >= FAREWELL) => {
                tracing::warn!(address, %error, retry_in_ms = pause.as_millis(), "the target did not take the findings");
                std::thread::sleep(pause);
                farewell += if last { pause } else { Duration::ZERO };
                pause = (pause * 2).min(RETRY.1);
            }
            Err(error) => {
                tracing::error!(address, %error, "forwarding ends; what is left goes out when keytrail runs again");
                return;
            }
        }
    }
}
