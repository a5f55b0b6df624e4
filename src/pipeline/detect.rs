//! The detect role: restore, replay, judge, append findings, snapshot. A finding at or below the last coordinates that the findings
//! topic already holds is not appended again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use anyhow::Context as _;
use keytrail_detect::Detector;
use keytrail_ingest::log::EventLog as _;
use keytrail_schemas::Topic;
use tokio::runtime::Handle;

use super::{PATIENCE, Shared};
use crate::exit::OutOfReach;

/// Starts the detector of one partition on a thread of its own.
pub(super) fn spawn(shared: &Arc<Shared>, partition: i32, runtime: &Handle) -> anyhow::Result<JoinHandle<anyhow::Result<Detector>>> {
    let detector = restore(shared, partition, runtime)?;
    progress(shared, partition, &detector);
    let (shared, runtime) = (Arc::clone(shared), runtime.clone());
    let thread = std::thread::Builder::new().name(format!("keytrail-detect-{partition}"));
    let role = move || {
        let judged = judge(&shared, partition, detector, &runtime);
        if let Err(error) = &judged {
            shared.fail(error);
        }
        judged
    };
    thread.spawn(role).context("starting a detector's thread")
}

fn restore(shared: &Shared, partition: i32, runtime: &Handle) -> anyhow::Result<Detector> {
    let fresh = || Detector::new(partition, shared.config.detect.clone(), Arc::clone(&shared.rules));
    let Some((next_offset, bytes)) = runtime.block_on(shared.lake.latest_snapshot(partition))? else { return Ok(fresh()) };
    let end = shared.log.end(Topic::Events, partition)?;
    if next_offset > end {
        return Err(OutOfReach(format!("the lake holds a snapshot of partition {partition} at offset {next_offset}, and the log ends at {end}: they do not belong together. Put the log back that this lake was written from, or name another --dir")).into());
    }
    match Detector::restore(&bytes, shared.config.detect.clone(), Arc::clone(&shared.rules)) {
        Ok(detector) => Ok(detector),
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

fn judge(shared: &Shared, partition: i32, mut detector: Detector, runtime: &Handle) -> anyhow::Result<Detector> {
    let mut last = shared.log.last_finding(partition)?;
    let mut since_snapshot = 0_u64;
    let mut findings = Vec::new();
    loop {
        if shared.failed.load(Ordering::Acquire) {
            return Ok(detector);
        }
        let next = detector.next_offset();
        let done = shared.sources_done.load(Ordering::Acquire);
        let Some(chunk) = shared.log.read_events(partition, next)? else {
            if done {
                break;
            }
            shared.log.wait(Topic::Events, partition, next, PATIENCE);
            continue;
        };
        let span = tracing::debug_span!("detect", partition, first_offset = chunk.first_offset, events = chunk.records.len()).entered();
        let first = usize::try_from(chunk.first_offset).unwrap_or(0);
        for (index, record) in chunk.records.iter().enumerate().skip(chunk.skip) {
            detector.observe(i64::try_from(first + index).unwrap_or(i64::MAX), record, &mut findings);
        }
        findings.retain(|finding| last.is_none_or(|last| finding.coordinates() > last));
        if let Some(newest) = findings.last() {
            last = Some(newest.coordinates());
            shared.log.append_findings(partition, &findings)?;
            shared.metrics.findings.add(findings.len() as u64, &[]);
            findings.clear();
        }
        let judged = (chunk.records.len() - chunk.skip) as u64;
        shared.metrics.judged.add(judged, &[]);
        drop(span);
        progress(shared, partition, &detector);
        since_snapshot += judged;
        if since_snapshot >= shared.config.detector.snapshot_events {
            snapshot(shared, partition, &detector, runtime)?;
            since_snapshot = 0;
        }
    }
    if since_snapshot > 0 {
        snapshot(shared, partition, &detector, runtime)?;
    }
    Ok(detector)
}

fn snapshot(shared: &Shared, partition: i32, detector: &Detector, runtime: &Handle) -> anyhow::Result<()> {
    let next = detector.next_offset();
    runtime.block_on(shared.lake.put_snapshot(partition, next, detector.snapshot()))?;
    shared.log.note_position("detect", Topic::Events, partition, next)?;
    Ok(())
}

fn progress(shared: &Shared, partition: i32, detector: &Detector) {
    let next = detector.next_offset();
    if let Some(counter) = usize::try_from(partition).ok().and_then(|index| shared.judged.get(index)) {
        counter.store(next, Ordering::Relaxed);
    }
    if let Ok(end) = shared.log.end(Topic::Events, partition) {
        shared.metrics.lag.detect.store(end - next, Ordering::Relaxed);
    }
}
