//! The store role: what the log holds goes to the lake, one Delta commit at a time, each carrying the offsets that it covers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keytrail_ingest::log::EventLog as _;
use keytrail_lake::TableName;
use keytrail_schemas::{Event, LogRecord, Topic};

use super::{PATIENCE, Shared};
use crate::exit::OutOfReach;

/// Most findings or dead letters in one commit.
const SMALL_ROWS_MAX: usize = 50_000;

/// Per topic and partition: the next offset to store.
pub(super) struct Positions {
    events: BTreeMap<i32, i64>,
    findings: BTreeMap<i32, i64>,
    dead_letters: BTreeMap<i32, i64>,
}

impl Positions {
    /// What the lake says it holds.
    ///
    /// # Errors
    /// When the lake cannot be read, or is ahead of the log: then they do not belong together.
    pub(super) async fn load(shared: &Shared) -> anyhow::Result<Self> {
        let events = load(shared, TableName::Events, Topic::Events).await?;
        for (partition, next) in &events {
            if let Some(counter) = usize::try_from(*partition).ok().and_then(|index| shared.stored.get(index)) {
                counter.store(*next, Ordering::Relaxed);
            }
        }
        Ok(Self {
            events,
            findings: load(shared, TableName::Findings, Topic::Findings).await?,
            dead_letters: load(shared, TableName::DeadLetters, Topic::DeadLetters).await?,
        })
    }
}

async fn load(shared: &Shared, table: TableName, topic: Topic) -> anyhow::Result<BTreeMap<i32, i64>> {
    let mut offsets = shared.lake.offsets(table, topic).await?;
    for partition in 0..shared.log.partitions() {
        let next = *offsets.entry(partition).or_insert(0);
        let end = shared.log.end(topic, partition)?;
        if next > end {
            return Err(OutOfReach(format!("the lake holds {topic}/{partition} up to offset {next}, and the log ends at {end}: they do not belong together. Put the log back that this lake was written from, or name another --dir")).into());
        }
    }
    Ok(offsets)
}

/// Runs until the sources and detectors are done and everything is stored, or a role fails.
pub(super) async fn run(shared: Arc<Shared>, mut positions: Positions) -> anyhow::Result<()> {
    let stored = drain(&shared, &mut positions).await;
    if let Err(error) = &stored {
        shared.fail(error);
    }
    stored
}

async fn drain(shared: &Arc<Shared>, positions: &mut Positions) -> anyhow::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        if shared.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let ending = shared.sources_done.load(Ordering::Acquire);
        let last = shared.detectors_done.load(Ordering::Acquire);
        let due = ending || waited >= Duration::from_millis(shared.config.store.commit_interval_ms);
        let mut stored = 0;
        for partition in 0..shared.log.partitions() {
            stored += events(shared, positions, partition, due).await?;
            if due {
                stored += findings(shared, positions, partition).await?;
                stored += dead_letters(shared, positions, partition).await?;
            }
        }
        if stored > 0 || due {
            waited = Duration::ZERO;
        }
        if stored == 0 {
            if last {
                return Ok(());
            }
            tokio::time::sleep(PATIENCE).await;
            waited += PATIENCE;
        }
    }
}

/// Commits a batch of events when it is full or due; says how many.
async fn events(shared: &Arc<Shared>, positions: &mut Positions, partition: i32, due: bool) -> anyhow::Result<usize> {
    let from = positions.events.get(&partition).copied().unwrap_or(0);
    let end = shared.log.end(Topic::Events, partition)?;
    shared.metrics.lag.store.store(end - from, Ordering::Relaxed);
    let full = end - from >= i64::try_from(shared.config.store.commit_events_max).unwrap_or(i64::MAX);
    if end == from || !(due || full) {
        return Ok(0);
    }
    let gathering = Arc::clone(shared);
    let (chunks, next) = tokio::task::spawn_blocking(move || gather(&gathering, partition, from)).await??;
    let batch: Vec<&Event> = chunks
        .iter()
        .flat_map(|chunk| chunk.records.iter().skip(chunk.skip))
        .filter_map(|record| if let LogRecord::Event(event) = record { Some(event) } else { None })
        .collect();
    let started = tokio::time::Instant::now();
    shared.lake.commit_events(&batch, &[(Topic::Events, partition, next)]).await?;
    shared.metrics.commit_seconds.record(started.elapsed().as_secs_f64(), &[]);
    shared.metrics.committed.add(batch.len() as u64, &[opentelemetry::KeyValue::new("table", "events")]);
    tracing::debug!(partition, events = batch.len(), next, "committed");
    positions.events.insert(partition, next);
    if let Some(counter) = usize::try_from(partition).ok().and_then(|index| shared.stored.get(index)) {
        counter.store(next, Ordering::Relaxed);
    }
    shared.log.note_position("store", Topic::Events, partition, next)?;
    Ok(usize::try_from(next - from).unwrap_or(usize::MAX))
}

fn gather(shared: &Shared, partition: i32, from: i64) -> anyhow::Result<(Vec<keytrail_ingest::log::Chunk>, i64)> {
    let (mut chunks, mut next, mut events, mut bytes) = (Vec::new(), from, 0, 0);
    while events < shared.config.store.commit_events_max && bytes < shared.config.store.commit_bytes_max {
        let Some(chunk) = shared.log.read_events(partition, next)? else { break };
        events += chunk.records.len() - chunk.skip;
        bytes +=
            chunk.records.iter().map(|record| if let LogRecord::Event(event) = record { event.raw.as_ref().map_or(0, String::len) } else { 0 }).sum::<usize>();
        next = chunk.first_offset + i64::try_from(chunk.records.len()).unwrap_or(0);
        chunks.push(chunk);
    }
    Ok((chunks, next))
}

async fn findings(shared: &Arc<Shared>, positions: &mut Positions, partition: i32) -> anyhow::Result<usize> {
    let from = positions.findings.get(&partition).copied().unwrap_or(0);
    let rows = shared.log.read_findings(partition, from, SMALL_ROWS_MAX)?;
    let Some((newest, _)) = rows.last() else { return Ok(0) };
    let next = newest + 1;
    shared.lake.commit_findings(&rows, &[(Topic::Findings, partition, next)]).await?;
    shared.metrics.committed.add(rows.len() as u64, &[opentelemetry::KeyValue::new("table", "findings")]);
    positions.findings.insert(partition, next);
    Ok(rows.len())
}

async fn dead_letters(shared: &Arc<Shared>, positions: &mut Positions, partition: i32) -> anyhow::Result<usize> {
    let from = positions.dead_letters.get(&partition).copied().unwrap_or(0);
    let rows = shared.log.read_dead_letters(partition, from, SMALL_ROWS_MAX)?;
    let Some((newest, _)) = rows.last() else { return Ok(0) };
    let next = newest + 1;
    shared.lake.commit_dead_letters(&rows, &[(Topic::DeadLetters, partition, next)]).await?;
    shared.metrics.committed.add(rows.len() as u64, &[opentelemetry::KeyValue::new("table", "dead_letters")]);
    positions.dead_letters.insert(partition, next);
    Ok(rows.len())
}
