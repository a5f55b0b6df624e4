//! The store role: what the log holds goes to the lake, one Delta commit at a time, each carrying the offsets that it covers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keytrail_lake::TableName;
use keytrail_log::Rows;
use keytrail_schemas::{Detection, Finding, Topic};

use super::gather::{Gathered, gather, passed};
use super::{PATIENCE, Shared};
use crate::exit::OutOfReach;

/// Most findings or dead letters in one commit.
const SMALL_ROWS_MAX: usize = 50_000;

/// The partitions that this process stores, and how far each is.
pub struct Store {
    shared: Arc<Shared>,
    held: BTreeMap<i32, Next>,
    /// What the next commit takes up, read while the one before it is written.
    ahead: Option<Ahead>,
    /// The oldest record that the log still holds is where a partition begins of which nothing is stored, though records before it are gone.
    from_earliest: bool,
}

/// A reading that was begun early: from which offsets, and the reading.
struct Ahead {
    from: Vec<(i32, i64)>,
    gathering: tokio::task::JoinHandle<anyhow::Result<Gathered>>,
}

/// Per topic, the next offset of a partition.
#[derive(Debug, Clone, Copy)]
struct Next {
    events: i64,
    findings: i64,
    /// Detections come with findings; their table may be behind or ahead by one commit.
    detections: i64,
    dead_letters: i64,
}

impl Store {
    pub fn new(shared: Arc<Shared>, from_earliest: bool) -> Self {
        Self { shared, held: BTreeMap::new(), ahead: None, from_earliest }
    }

    /// Takes partitions over where the lake says that they stand.
    ///
    /// # Errors
    /// When the lake cannot be read, or is ahead of the log: then they do not belong together.
    pub async fn take(&mut self, partitions: &[i32]) -> anyhow::Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let events = self.load(TableName::Events, Topic::Events, partitions).await?;
        let findings = self.load(TableName::Findings, Topic::Findings, partitions).await?;
        let detections = self.shared.lake.offsets(TableName::Detections, Topic::Findings).await?;
        let dead_letters = self.load(TableName::DeadLetters, Topic::DeadLetters, partitions).await?;
        let next = |of: &BTreeMap<i32, i64>, partition: &i32| of.get(partition).copied().unwrap_or(0);
        for partition in partitions {
            let findings = next(&findings, partition);
            // A lake of before there were detections: findings of then had none.
            let detections = detections.get(partition).copied().unwrap_or(findings);
            let next = Next { events: next(&events, partition), findings, detections, dead_letters: next(&dead_letters, partition) };
            self.shared.stored.set(*partition, next.events);
            self.held.insert(*partition, next);
        }
        Ok(())
    }

    /// Lets a partition go.
    pub fn release(&mut self, partition: i32) {
        self.held.remove(&partition);
        self.shared.stored.release(partition);
        self.shared.metrics.lag.release("store", partition);
    }

    /// Takes the partitions held over anew: another writer moved one of them.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub async fn reload(&mut self) -> anyhow::Result<()> {
        let held: Vec<i32> = self.held.keys().copied().collect();
        self.take(&held).await
    }

    /// Whether everything below these offsets is stored, of the partitions held; a partition of `targets` that is not held does not count.
    pub fn reached(&self, targets: &BTreeMap<(Topic, i32), i64>) -> bool {
        targets.iter().all(|((topic, partition), target)| {
            self.held.get(partition).is_none_or(|next| {
                *target
                    <= match topic {
                        Topic::Events => next.events,
                        Topic::Findings => next.findings.min(next.detections),
                        Topic::DeadLetters => next.dead_letters,
                    }
            })
        })
    }

    /// Stores what is there, when it is due or a commit is full; says how many records it came past.
    ///
    /// # Errors
    /// When the log cannot be read or the lake not be written.
    pub async fn cycle(&mut self, due: bool) -> anyhow::Result<usize> {
        let mut stored = self.events(due).await?;
        if due {
            for partition in self.held.keys().copied().collect::<Vec<_>>() {
                stored += self.findings(partition).await?;
                stored += self.dead_letters(partition).await?;
            }
        }
        Ok(stored)
    }

    async fn load(&self, table: TableName, topic: Topic, partitions: &[i32]) -> anyhow::Result<BTreeMap<i32, i64>> {
        let mut offsets = self.shared.lake.offsets(table, topic).await?;
        for partition in partitions {
            let end = self.shared.log.end(topic, *partition)?;
            let next = match offsets.get(partition) {
                Some(next) => *next,
                None if self.from_earliest => self.shared.log.start(topic, *partition)?,
                None => 0,
            };
            offsets.insert(*partition, next);
            if next > end {
                return Err(OutOfReach(format!("the lake holds {topic}/{partition} up to offset {next}, and the log ends at {end}: they do not belong together. Put the log back that this lake was written from, or name another --dir")).into());
            }
        }
        Ok(offsets)
    }

    /// Commits events of all partitions held, in one commit, when it is full or due.
    async fn events(&mut self, due: bool) -> anyhow::Result<usize> {
        let (mut waiting, mut from, mut ends) = (0, Vec::new(), BTreeMap::new());
        for (partition, next) in &self.held {
            let end = self.shared.log.end(Topic::Events, *partition)?;
            let behind = end - next.events;
            waiting += behind;
            ends.insert(*partition, end);
            self.shared.metrics.lag.set("store", *partition, behind);
            if behind > 0 {
                from.push((*partition, next.events));
            }
        }
        let events_max = i64::try_from(self.shared.config.store.commit_events_max).unwrap_or(i64::MAX);
        if waiting == 0 || !(due || waiting >= events_max) {
            return Ok(0);
        }
        let gathered = match self.ahead.take() {
            Some(ahead) if ahead.from.iter().all(|(partition, next)| self.held.get(partition).is_some_and(|held| held.events == *next)) => {
                ahead.gathering.await??
            }
            // A partition went, or another writer moved one: what was read early is not what comes next. It ends before anything else is read.
            Some(ahead) => {
                let _ = ahead.gathering.await;
                self.gather(from).await??
            }
            None => self.gather(from).await??,
        };
        if gathered.passed == 0 {
            return Ok(0);
        }
        // Only where another whole commit waits: a smaller one is read when it is due.
        if waiting - i64::try_from(gathered.passed).unwrap_or(i64::MAX) >= events_max {
            let after = |(partition, next): (&i32, &Next)| (*partition, gathered.next.get(partition).copied().unwrap_or(next.events));
            let from: Vec<(i32, i64)> = self.held.iter().map(after).filter(|(partition, next)| ends.get(partition).is_some_and(|end| next < end)).collect();
            let gathering = self.gather(from.clone());
            self.ahead = Some(Ahead { from, gathering });
        }
        let unreadable = gathered.unreadable.len();
        if !gathered.unreadable.is_empty() {
            tracing::warn!(records = gathered.unreadable.len(), "records of the log cannot be read: they go to the dead letters");
            let (log, letters) = (Arc::clone(&self.shared), gathered.unreadable);
            tokio::task::spawn_blocking(move || log.log.append(Vec::new(), letters)).await??;
        }
        let started = tokio::time::Instant::now();
        let positions: Vec<_> = gathered.next.iter().map(|(partition, next)| (Topic::Events, *partition, *next)).collect();
        let committed = self.shared.lake.commit_event_columns(&gathered.batches, &positions).await?;
        self.shared.metrics.commit_seconds.record(started.elapsed().as_secs_f64(), &[]);
        self.committed("events", committed.rows);
        self.passed_over("repeated", gathered.repeated);
        self.passed_over("unreadable", unreadable);
        tracing::debug!(events = committed.rows, ?positions, "committed");
        for (partition, next) in gathered.next {
            if let Some(held) = self.held.get_mut(&partition) {
                held.events = next;
            }
            self.shared.stored.set(partition, next);
            self.shared.log.note_position("store", Topic::Events, partition, next)?;
        }
        Ok(gathered.passed)
    }

    fn gather(&self, from: Vec<(i32, i64)>) -> tokio::task::JoinHandle<anyhow::Result<Gathered>> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || gather(&shared, &from))
    }

    async fn findings(&mut self, partition: i32) -> anyhow::Result<usize> {
        let Some(held) = self.held.get_mut(&partition) else { return Ok(0) };
        let from = held.findings.min(held.detections);
        // Where all that follows is a repetition, the position moves none the less: else the end of the log would never be reached.
        let Rows { mut rows, next } = self.shared.log.read_findings(partition, from, SMALL_ROWS_MAX)?;
        if next <= from {
            return Ok(0);
        }
        // Detections first: where a finding can be seen, so can what it tells of. Two tables are two commits, each with its own position.
        let detections = fresh_detections(&mut rows, held.detections);
        if next > held.detections {
            self.shared.lake.commit_detections(&detections, &[(Topic::Findings, partition, next)]).await?;
            held.detections = next;
        }
        rows.retain(|(offset, _)| *offset >= held.findings);
        if next > held.findings {
            self.shared.lake.commit_findings(&rows, &[(Topic::Findings, partition, next)]).await?;
            held.findings = next;
        }
        self.committed("findings", rows.iter().filter(|(_, finding)| !finding.below_line).count());
        self.committed("detections", detections.len());
        self.shared.log.note_position("store", Topic::Findings, partition, next)?;
        Ok(passed(from, next))
    }

    async fn dead_letters(&mut self, partition: i32) -> anyhow::Result<usize> {
        let Some(held) = self.held.get_mut(&partition) else { return Ok(0) };
        let from = held.dead_letters;
        let Rows { rows, next } = self.shared.log.read_dead_letters(partition, from, SMALL_ROWS_MAX)?;
        if next <= from {
            return Ok(0);
        }
        self.shared.lake.commit_dead_letters(&rows, &[(Topic::DeadLetters, partition, next)]).await?;
        held.dead_letters = next;
        self.committed("dead_letters", rows.len());
        self.shared.log.note_position("store", Topic::DeadLetters, partition, next)?;
        Ok(passed(from, next))
    }

    fn passed_over(&self, why: &'static str, records: usize) {
        if records > 0 {
            self.shared.metrics.passed_over.add(records as u64, &[opentelemetry::KeyValue::new("why", why)]);
        }
    }

    fn committed(&self, table: &'static str, rows: usize) {
        self.shared.metrics.committed.add(rows as u64, &[opentelemetry::KeyValue::new("table", table)]);
    }
}

/// The detections that findings at or after `from` wrote anew; the findings keep what they tell of.
fn fresh_detections(findings: &mut [(i64, Finding)], from: i64) -> Vec<(i64, Detection)> {
    let mut fresh = Vec::new();
    for (offset, finding) in findings.iter_mut().filter(|(offset, _)| *offset >= from) {
        let detections = std::mem::take(&mut finding.detections);
        fresh.extend(detections.into_iter().filter(|detection| detection.log_offset == finding.log_offset).map(|detection| (*offset, detection)));
    }
    fresh
}

/// Stores every partition until the sources and detectors are done and everything is stored, or a role fails.
///
/// # Errors
/// As [`Store::cycle`].
pub async fn run(shared: Arc<Shared>, mut store: Store) -> anyhow::Result<()> {
    let stored = drain(&shared, &mut store).await;
    if let Err(error) = &stored {
        shared.fail(error);
    }
    stored
}

async fn drain(shared: &Shared, store: &mut Store) -> anyhow::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        if shared.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let ending = shared.sources_done.load(Ordering::Acquire);
        let last = shared.detectors_done.load(Ordering::Acquire);
        let due = ending || waited >= Duration::from_millis(shared.config.store.commit_interval_ms);
        let stored = store.cycle(due).await?;
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
