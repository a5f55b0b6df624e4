//! The lake's upkeep beside whatever the process is for: a round every so often, on a thread of its own, with a lake of its own, so that nothing
//! waits for it and its failure ends nothing. Of several processes at one lake, one at a time does a round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use keytrail_lake::{UpkeepOptions, UpkeepReport};

use crate::clock;
use crate::config::Config;

/// Time between two looks at whether to stop.
const STEP: Duration = Duration::from_millis(100);

/// Rounds that are done until this is dropped.
pub struct Upkeep {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Does rounds from now on; none where the configuration says never.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn beside(config: &Config) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = (config.store.upkeep_interval_ms > 0).then(|| {
            let (config, stop) = (config.clone(), Arc::clone(&stop));
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("keytrail-upkeep").build()?;
            std::thread::Builder::new().name("keytrail-upkeep".to_owned()).spawn(move || runtime.block_on(rounds(&config, &stop)))
        });
        Ok(Self { stop, thread: thread.transpose().context("starting the thread of the lake's upkeep")? })
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn rounds(config: &Config, stop: &AtomicBool) {
    let options = UpkeepOptions { retention: config.store.retention.clone(), ..UpkeepOptions::default() };
    let interval = Duration::from_millis(config.store.upkeep_interval_ms);
    let mut lake = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stopped(stop) => return,
        }
        if lake.is_none() {
            lake = crate::place::lake(config).await.inspect_err(|error| tracing::warn!(%error, "the lake's upkeep waits until it can be written")).ok();
        }
        let Some(lake) = &lake else { continue };
        match lake.upkeep(&options, clock::now(), stopped(stop)).await {
            Ok(report) => tell(&report),
            Err(error) => tracing::warn!(%error, "a round of the lake's upkeep failed; the next one goes on"),
        }
    }
}

fn tell(report: &UpkeepReport) {
    if report.elsewhere {
        tracing::debug!("another process does the lake's upkeep");
        return;
    }
    // A look for files to remove that found none is nothing to tell.
    let idle = UpkeepReport { removal: report.removal.filter(|removal| removal.files_removed == 0), ..UpkeepReport::default() };
    if *report != idle {
        tracing::info!(
            days_compacted = report.compaction.groups,
            days_rolled_up = report.roll_up.days,
            days_left = report.roll_up.days_left.len(),
            expired = report.expired.expired.len(),
            log_entries_removed = report.log_entries_removed,
            files_removed = report.removal.map_or(0, |removal| removal.files_removed),
            "the lake's upkeep"
        );
    }
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        tokio::time::sleep(STEP).await;
    }
}
