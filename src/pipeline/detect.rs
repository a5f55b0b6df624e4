//! The detect role of one partition: restore, replay, judge, append findings, snapshot, publish the ledger. A finding at or below the
//! last coordinates that the findings topic already holds is not appended again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use keytrail_detect::Detector;
use keytrail_schemas::{Finding, Hash32, LogRecord, Topic};
use tokio::runtime::Handle;

use super::{PATIENCE, Shared};
use crate::exit::OutOfReach;

/// What a worker is told.
const GO_ON: u8 = 0;
const LET_GO: u8 = 1;
const ABANDON: u8 = 2;

/// A partition's detector, on a thread of its own.
pub struct Worker {
    told: Arc<AtomicU8>,
    thread: JoinHandle<anyhow::Result<Detector>>,
}

impl Worker {
    /// Waits until the detector has reached the end of the log, after the sources are done.
    ///
    /// # Errors
    /// What the detector failed with.
    pub fn join(self) -> anyhow::Result<Detector> {
        self.thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a detector ended abnormally; this is a defect of keytrail")))
    }

    /// Lets the partition go where the detector stands, with a snapshot for the next owner.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn release(self) -> anyhow::Result<Detector> {
        self.told.store(LET_GO, Ordering::Release);
        self.join()
    }

    /// Stops where the detector stands and keeps nothing: another process has the partition already, and what it keeps is newer.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn abandon(self) -> anyhow::Result<Detector> {
        self.told.store(ABANDON, Ordering::Release);
        self.join()
    }
}

/// Starts a detector that reads from `from` or from where its state says, whichever is later.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn(shared: &Arc<Shared>, partition: i32, detector: Detector, from: i64, runtime: &Handle) -> anyhow::Result<Worker> {
    let told = Arc::new(AtomicU8::new(GO_ON));
    shared.rules.announce(shared, partition, runtime)?;
    let (shared, runtime, heard) = (Arc::clone(shared), runtime.clone(), Arc::clone(&told));
    progress(&shared, partition, detector.next_offset().max(from));
    let role = move || {
        let mut role =
            Role { shared: &shared, partition, runtime, told: heard, configured: None, since_snapshot: 0, published: (None, Instant::now()), told_live: None };
        let judged = role.judge(detector, from);
        if let Err(error) = &judged {
            shared.fail(error);
        }
        judged
    };
    let thread = std::thread::Builder::new().name(format!("keytrail-detect-{partition}")).spawn(role).context("starting a detector's thread")?;
    Ok(Worker { told, thread })
}

/// The newest state of a partition's detector, or a fresh one where there is none.
///
/// # Errors
/// When the lake cannot be read, or log and lake do not belong together.
pub fn restore(shared: &Shared, partition: i32, runtime: &Handle) -> anyhow::Result<Detector> {
    // The log says which other rules come into force, and where.
    let builtin = shared.rules.rules(Hash32::default(), &shared.lake, runtime)?;
    let fresh = || Detector::new(partition, shared.config.detect.clone(), Arc::clone(&builtin));
    let Some((next_offset, bytes)) = runtime.block_on(shared.lake.latest_snapshot(partition))? else { return Ok(fresh()) };
    let end = shared.log.end(Topic::Events, partition)?;
    if next_offset > end {
        return Err(OutOfReach(format!("the lake holds a snapshot of partition {partition} at offset {next_offset}, and the log ends at {end}: they do not belong together. Put the log back that this lake was written from, or name another --dir")).into());
    }
    match Detector::restore(&bytes, shared.config.detect.clone(), Arc::clone(&builtin)) {
        Ok(mut detector) => {
            let hash = detector.rules_in_force();
            if hash != Hash32::default() {
                detector.judge_by(hash, shared.rules.rules(hash, &shared.lake, runtime)?);
            }
            Ok(detector)
        }
        Err(error) if shared.log.start(Topic::Events, partition)? == 0 => {
            tracing::warn!(partition, %error, "the snapshot cannot be used: judging the log from its beginning");
            Ok(fresh())
        }
        Err(error) => Err(OutOfReach(format!(
            "the snapshot of partition {partition} cannot be used ({error}), and the log no longer reaches back to its beginning: run `keytrail rebuild`"
        ))
        .into()),
    }
}

struct Role<'a> {
    shared: &'a Shared,
    partition: i32,
    runtime: Handle,
    told: Arc<AtomicU8>,
    /// The set of rules that was configured when it last looked.
    configured: Option<Hash32>,
    since_snapshot: u64,
    /// Below which offset the ledger was published by this process, and when.
    published: (Option<i64>, Instant),
    /// When the doors were told last of what changed, and below which offset.
    told_live: Option<(i64, Instant)>,
}

/// What a detector has for the findings topic.
enum Outgoing {
    Findings(Vec<Finding>),
    /// To be answered when everything before is in the log.
    Settle(SyncSender<()>),
}

/// The way to the findings topic: they are appended on a thread of their own, in order, while the detector judges on.
struct Outlet(SyncSender<Outgoing>);

/// Time between two tellings of what changed, while there is more to judge.
const LIVE_INTERVAL: Duration = Duration::from_millis(500);
/// Batches of findings that may wait to be appended.
const WAITING_MAX: usize = 4;

impl Outlet {
    /// Appends findings after all that were put in before.
    fn put(&self, findings: Vec<Finding>) -> anyhow::Result<()> {
        self.0.send(Outgoing::Findings(findings)).map_err(|_| anyhow::anyhow!("findings cannot be appended"))
    }

    /// Returns when the log has everything that was put in.
    fn settle(&self) -> anyhow::Result<()> {
        let (answer, answered) = sync_channel(1);
        let _ = self.0.send(Outgoing::Settle(answer));
        answered.recv().context("findings cannot be appended")
    }
}

fn append(shared: &Shared, partition: i32, outgoing: &Receiver<Outgoing>) -> anyhow::Result<()> {
    for next in outgoing {
        match next {
            Outgoing::Findings(findings) => {
                shared.log.append_findings(partition, &findings)?;
                shared.metrics.findings.add(findings.len() as u64, &[]);
            }
            Outgoing::Settle(answer) => {
                let _ = answer.send(());
            }
        }
    }
    Ok(())
}

impl Role<'_> {
    fn judge(&mut self, detector: Detector, from: i64) -> anyhow::Result<Detector> {
        let (shared, partition) = (self.shared, self.partition);
        std::thread::scope(|scope| {
            let (sender, outgoing) = sync_channel(WAITING_MAX);
            let appender = scope.spawn(move || append(shared, partition, &outgoing));
            let outlet = Outlet(sender);
            let judged = self.judge_into(detector, from, &outlet);
            drop(outlet);
            // Why findings could not be appended says more than that they were not.
            appender.join().unwrap_or_else(|_| Err(anyhow::anyhow!("what appends findings ended abnormally; this is a defect of keytrail")))?;
            judged
        })
    }

    fn judge_into(&mut self, mut detector: Detector, from: i64, outlet: &Outlet) -> anyhow::Result<Detector> {
        let (shared, partition) = (self.shared, self.partition);
        let publish_interval = Duration::from_millis(shared.config.detector.publish_interval_ms);
        let mut last = shared.log.last_finding(partition)?;
        let mut findings = Vec::new();
        self.tell_live(&mut detector);
        let (started, mut caught_up) = (Instant::now(), false);
        loop {
            if shared.failed.load(Ordering::Acquire) {
                return Ok(detector);
            }
            match self.told.load(Ordering::Acquire) {
                ABANDON => return Ok(detector),
                LET_GO => break,
                _ => {}
            }
            let configured = shared.rules.look();
            if self.configured.replace(configured).is_some_and(|before| before != configured) {
                shared.rules.announce(shared, partition, &self.runtime)?;
            }
            let next = detector.next_offset().max(from);
            let done = shared.sources_done.load(Ordering::Acquire);
            let Some(chunk) = shared.log.read_events(partition, next)? else {
                self.tell_live(&mut detector);
                if !std::mem::replace(&mut caught_up, true) {
                    tracing::info!(partition, next, after_ms = started.elapsed().as_millis(), "at the end of the log");
                }
                if done {
                    break;
                }
                if self.since_snapshot > 0 && self.published.1.elapsed() >= publish_interval {
                    self.keep(&detector, true, outlet)?;
                }
                shared.log.wait(Topic::Events, partition, next, PATIENCE);
                continue;
            };
            let span = tracing::debug_span!("detect", partition, first_offset = chunk.first_offset, events = chunk.records.len()).entered();
            let mut offset = chunk.first_offset + i64::try_from(chunk.skip).unwrap_or(i64::MAX);
            let records = chunk.records.get(chunk.skip..).unwrap_or_default();
            for records in records.chunk_by(|_, next| !matches!(next, LogRecord::Rules { .. })) {
                if let Some(LogRecord::Rules { rules }) = records.first() {
                    self.turn_to(&mut detector, offset, *rules)?;
                }
                detector.observe_all(offset, records, &mut findings);
                offset += i64::try_from(records.len()).unwrap_or(i64::MAX);
            }
            findings.retain(|finding| last.is_none_or(|last| finding.coordinates() > last));
            if let Some(newest) = findings.last() {
                last = Some(newest.coordinates());
                outlet.put(std::mem::take(&mut findings))?;
            }
            let judged = (chunk.records.len() - chunk.skip) as u64;
            shared.metrics.judged.add(judged, &[]);
            drop(span);
            progress(shared, partition, detector.next_offset());
            if self.told_live.is_none_or(|(_, when)| when.elapsed() >= LIVE_INTERVAL) {
                self.tell_live(&mut detector);
            }
            self.since_snapshot += judged;
            if self.since_snapshot >= shared.config.detector.snapshot_events {
                let publish = self.published.1.elapsed() >= publish_interval;
                // What was told lies over what is published: it must not be older.
                self.tell_live(&mut detector);
                self.keep(&detector, publish, outlet)?;
            }
        }
        outlet.settle()?;
        if self.since_snapshot > 0 {
            self.keep(&detector, true, outlet)?;
        } else if self.published.0 != Some(detector.next_offset()) {
            // A process that was killed after its snapshot may not have come to it.
            self.publish(&detector)?;
        }
        Ok(detector)
    }

    /// Judges by the rules that the log names at `offset`, and notes the place for a rebuild.
    fn turn_to(&self, detector: &mut Detector, offset: i64, hash: Hash32) -> anyhow::Result<()> {
        if offset < detector.next_offset() {
            return Ok(());
        }
        let (shared, name) = (self.shared, hash.to_hex());
        self.runtime.block_on(shared.lake.note_rules(self.partition, offset, &name))?;
        if detector.rules_in_force() != hash {
            detector.judge_by(hash, shared.rules.rules(hash, &shared.lake, &self.runtime)?);
            tracing::info!(partition = self.partition, offset, rules = name, "judging by another set of rules");
        }
        Ok(())
    }

    /// Keeps a snapshot, once the log has every finding before it, and, where asked, publishes the partition's credentials and identities in the lake.
    fn keep(&mut self, detector: &Detector, publish: bool, outlet: &Outlet) -> anyhow::Result<()> {
        let next = detector.next_offset();
        outlet.settle()?;
        self.runtime.block_on(self.shared.lake.put_snapshot(self.partition, next, detector.snapshot()))?;
        if publish {
            self.publish(detector)?;
        }
        self.shared.log.note_position("detect", Topic::Events, self.partition, next)?;
        self.since_snapshot = 0;
        Ok(())
    }

    /// Tells the doors of this process what changed since it was told last.
    fn tell_live(&mut self, detector: &mut Detector) {
        let Some(live) = &self.shared.live else { return };
        let next = detector.next_offset();
        if self.told_live.is_none_or(|(told, _)| told != next) {
            let (credentials, identities) = detector.take_changed();
            live.put(self.partition, credentials, identities);
            self.told_live = Some((next, Instant::now()));
        }
    }

    fn publish(&mut self, detector: &Detector) -> anyhow::Result<()> {
        self.runtime.block_on(self.shared.lake.replace_ledger(self.partition, &detector.credentials(), &detector.identities()))?;
        if let Some(live) = &self.shared.live {
            live.published(self.partition);
        }
        self.published = (Some(detector.next_offset()), Instant::now());
        Ok(())
    }
}

fn progress(shared: &Shared, partition: i32, next: i64) {
    shared.judged.set(partition, next);
    if let Ok(end) = shared.log.end(Topic::Events, partition) {
        shared.metrics.lag.set("detect", partition, end - next);
    }
}
