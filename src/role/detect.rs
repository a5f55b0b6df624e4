//! `keytrail detect`: judges the partitions that the consumer group gives it, each on a thread of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keytrail_detect::Detector;
use keytrail_log::kafka::{Change, Group};
use keytrail_schemas::Topic;

use super::Context;
use crate::cli::Role;
use crate::config::Config;
use crate::exit::Code;
use crate::pipeline::{PATIENCE, detect};
use crate::telemetry::Telemetry;

/// The consumer group is `keytrail-detect`.
const ROLE: &str = "detect";
/// Time between two looks at the snapshots of partitions that others hold.
const LOOK: Duration = Duration::from_secs(1);

/// Judges until it is told to stop; with `--drain`, until everything is judged that the log held at the start.
pub fn run(config: &Config, telemetry: &Telemetry, arguments: &Role) -> anyhow::Result<Code> {
    let context = Context::open(config, telemetry, arguments, true)?;
    context.log.prepare_to_append()?;
    let targets = arguments.drain.then(|| context.ends(&[Topic::Events])).transpose()?;
    let restored: Restored = Arc::default();
    let group = Group::join(Arc::clone(&context.log), Topic::Events, ROLE, resume(&context, arguments.from_earliest, &restored))?;
    let mut workers = BTreeMap::new();
    let judged = judge(&context, &group, &restored, targets.as_ref(), &mut workers);
    // Whatever happened, every partition is let go with a snapshot of where it stands, and only then the group is left.
    let mut released = Ok(());
    for (partition, worker) in workers {
        let ended = worker.release();
        context.shared.judged.release(partition);
        released = released.and(ended.map(|_| ()));
    }
    group.leave_at_the_end();
    context.close();
    judged?;
    released?;
    Ok(Code::Done)
}

/// Detectors that wait for their workers, by partition.
type Restored = Arc<Mutex<BTreeMap<i32, Detector>>>;

fn judge(
    context: &Context,
    group: &Group,
    restored: &Restored,
    targets: Option<&BTreeMap<(Topic, i32), i64>>,
    workers: &mut BTreeMap<i32, detect::Worker>,
) -> anyhow::Result<()> {
    let mut looked = None;
    loop {
        for change in group.poll(PATIENCE)? {
            match change {
                Change::Assigned { partition, offset } => {
                    let ready = restored.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
                    let detector = match ready {
                        Some(detector) => detector,
                        None => detect::restore(&context.shared, partition, context.runtime.handle())?,
                    };
                    tracing::info!(partition, offset, "judging");
                    workers.insert(partition, detect::spawn(&context.shared, partition, detector, offset, context.runtime.handle())?);
                }
                Change::Revoked { partition, lost, release } => {
                    if let Some(worker) = workers.remove(&partition) {
                        if lost {
                            worker.abandon()?
                        } else {
                            worker.release()?
                        };
                    }
                    context.shared.judged.release(partition);
                    context.shared.metrics.lag.release("detect", partition);
                    tracing::info!(partition, "let go");
                    drop(release);
                }
            }
        }
        context.shared.check()?;
        if context.stopped() {
            return Ok(());
        }
        if let Some(targets) = targets
            && drained(context, targets, &mut looked)?
        {
            return Ok(());
        }
    }
}

type Resume = Arc<dyn Fn(i32) -> Result<i64, String> + Send + Sync>;

/// Where a partition goes on: where its newest snapshot says. The state is kept for the worker that follows.
fn resume(context: &Context, from_earliest: bool, restored: &Restored) -> Resume {
    let (shared, runtime, restored) = (Arc::clone(&context.shared), context.runtime.handle().clone(), Arc::clone(restored));
    Arc::new(move |partition| {
        let detector = detect::restore(&shared, partition, &runtime).map_err(|error| crate::exit::message(&error))?;
        let next = detector.next_offset();
        restored.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, detector);
        let start = if from_earliest && next == 0 { shared.log.start(Topic::Events, partition).map_err(|error| error.to_string())? } else { 0 };
        Ok(next.max(start))
    })
}

/// Whether every partition has come to its target: those held here by their progress, others by their snapshots.
fn drained(context: &Context, targets: &BTreeMap<(Topic, i32), i64>, looked: &mut Option<Instant>) -> anyhow::Result<bool> {
    let held = |partition| context.shared.judged.of(partition);
    if targets.iter().any(|((_, partition), target)| held(*partition).is_some_and(|next| next < *target)) {
        return Ok(false);
    }
    let mut others = targets.iter().filter(|((_, partition), target)| held(*partition).is_none() && **target > 0).peekable();
    if others.peek().is_none() {
        return Ok(true);
    }
    if looked.is_some_and(|looked| looked.elapsed() < LOOK) {
        return Ok(false);
    }
    *looked = Some(Instant::now());
    for ((_, partition), target) in others {
        if context.runtime.block_on(context.shared.lake.snapshot_offset(*partition))?.is_none_or(|next| next < *target) {
            return Ok(false);
        }
    }
    Ok(true)
}
