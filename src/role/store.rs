//! `keytrail store`: stores the partitions that the consumer group gives it. What another writer has stored meanwhile is not stored again:
//! the lake fences the one that came late, and that one goes on from where the lake stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keytrail_lake::TableName;
use keytrail_log::kafka::{Change, Group};
use keytrail_schemas::Topic;

use super::Context;
use crate::cli::Role;
use crate::config::Config;
use crate::exit::Code;
use crate::pipeline::PATIENCE;
use crate::pipeline::store::Store;
use crate::pipeline::upkeep::Upkeep;
use crate::telemetry::Telemetry;

/// The consumer group is `keytrail-store`.
const ROLE: &str = "store";
/// Time between two attempts after the lake's store failed: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// Time between two looks at what others have stored.
const LOOK: Duration = Duration::from_secs(1);

/// Stores until it is told to stop; with `--drain`, until everything is stored that the log held at the start.
pub fn run(config: &Config, telemetry: &Telemetry, arguments: &Role) -> anyhow::Result<Code> {
    let context = Context::open(config, telemetry, arguments, false)?;
    let upkeep = (!arguments.drain).then(|| Upkeep::beside(config)).transpose()?;
    let stored = store(&context, arguments);
    drop(upkeep);
    context.close();
    stored.map(|()| Code::Done)
}

fn store(context: &Context, arguments: &Role) -> anyhow::Result<()> {
    let targets = arguments.drain.then(|| context.ends(&Topic::ALL)).transpose()?;
    let group = Group::join(Arc::clone(&context.log), Topic::Events, ROLE, resume(context, arguments.from_earliest))?;
    let stored = store_for(context, arguments, &group, targets.as_ref());
    group.leave_at_the_end();
    stored
}

/// Stores what the group gives, until the targets are reached or it is told to stop.
fn store_for(context: &Context, arguments: &Role, group: &Group, targets: Option<&BTreeMap<(Topic, i32), i64>>) -> anyhow::Result<()> {
    let mut store = Store::new(Arc::clone(&context.shared), arguments.from_earliest);
    let interval = Duration::from_millis(context.shared.config.store.commit_interval_ms);
    let (mut committed, mut looked, mut pause) = (Instant::now(), None::<Instant>, RETRY.0);
    let (mut stored, mut due) = (0, true);
    loop {
        let mut taken = Vec::new();
        // Where there was something to store there is probably more; and whoever drains does not wait for a commit to fill.
        for change in group.poll(if stored > 0 || (targets.is_some() && !due) { Duration::ZERO } else { PATIENCE })? {
            match change {
                Change::Assigned { partition, .. } => taken.push(partition),
                Change::Revoked { partition, release, .. } => {
                    taken.retain(|other| *other != partition);
                    store.release(partition);
                    drop(release);
                }
            }
        }
        context.runtime.block_on(store.take(&taken))?;
        let stopping = context.stopped();
        // While commits are full, other topics are asked for as seldom as else.
        due = stopping || committed.elapsed() >= interval || (targets.is_some() && stored == 0);
        match context.runtime.block_on(store.cycle(due)) {
            Ok(count) => (stored, pause) = (count, RETRY.0),
            Err(error) => recover(context, &mut store, error, &mut pause)?,
        }
        if due {
            committed = Instant::now();
        }
        if stopping {
            return Ok(());
        }
        if let Some(targets) = targets
            && store.reached(targets)
            && looked.is_none_or(|looked| looked.elapsed() >= LOOK)
        {
            looked = Some(Instant::now());
            if others_reached(context, targets)? {
                return Ok(());
            }
        }
    }
}

/// After a commit that failed the lake is asked anew: another writer may have been first, or the store may be back after a while.
fn recover(context: &Context, store: &mut Store, mut error: anyhow::Error, pause: &mut Duration) -> anyhow::Result<()> {
    use keytrail_lake::{Error, Retry};
    loop {
        let lake = error.downcast_ref::<Error>();
        if matches!(lake, Some(Error::Fenced { .. } | Error::Busy { .. })) {
            tracing::info!(%error, "another writer was first: going on from where the lake stands");
        } else if lake.is_some_and(|lake| lake.retry() != Retry::Never) && !context.stopped() {
            tracing::warn!(%error, retry_in_ms = pause.as_millis(), "the lake is out of reach");
            std::thread::sleep(*pause);
            *pause = (*pause * 2).min(RETRY.1);
        } else {
            return Err(error);
        }
        match context.runtime.block_on(store.reload()) {
            Ok(()) => return Ok(()),
            Err(again) => error = again,
        }
    }
}

fn resume(context: &Context, from_earliest: bool) -> Arc<dyn Fn(i32) -> Result<i64, String> + Send + Sync> {
    let (shared, runtime) = (Arc::clone(&context.shared), context.runtime.handle().clone());
    Arc::new(move |partition| {
        let stored = runtime.block_on(shared.lake.stored(TableName::Events, Topic::Events)).map_err(|error| error.to_string())?;
        match stored.get(&partition) {
            Some(next) => Ok(*next),
            None if from_earliest => shared.log.start(Topic::Events, partition).map_err(|error| error.to_string()),
            None => Ok(0),
        }
    })
}

/// Whether the lake holds everything below the targets, whoever stored it.
fn others_reached(context: &Context, targets: &BTreeMap<(Topic, i32), i64>) -> anyhow::Result<bool> {
    // Where findings are, their detections are: they are committed before.
    for (table, topic) in [(TableName::Events, Topic::Events), (TableName::Findings, Topic::Findings), (TableName::DeadLetters, Topic::DeadLetters)] {
        let stored = context.runtime.block_on(context.shared.lake.stored(table, topic))?;
        for ((_, partition), target) in targets.iter().filter(|((of, _), _)| *of == topic) {
            if *target > 0 && stored.get(partition).copied().unwrap_or(0) < *target {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
