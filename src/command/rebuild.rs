//! `keytrail rebuild`: everything but the events, computed anew from the lake: ledger, baselines, findings. The events table is the log's
//! archive, so a replay has the order of the log, or with `--by-time` that of the events' time.

use std::sync::Arc;

use futures::StreamExt as _;
use keytrail_detect::{Detector, Rules};
use keytrail_log::EventLog;
use keytrail_log::embedded::EmbeddedLog;
use keytrail_log::kafka::KafkaLog;
use keytrail_query::Session;
use keytrail_schemas::{Detection, Event, Finding, Hash32, LogRecord, Table as _, Topic};

use crate::cli::Rebuild;
use crate::config::Config;
use crate::exit::{Code, OutOfReach};
use crate::home::Home;
use crate::pipeline::rule_book::Book;
use crate::telemetry::Telemetry;

/// Rebuilds, and says what it found.
pub fn run(config: &Config, telemetry: &Telemetry, arguments: &Rebuild) -> anyhow::Result<Code> {
    let log = open(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_stack_size(8 << 20).enable_all().build()?;
    // One thread: sorts of several spill into one merge above them, which cannot spill and finds no memory left where rows are many.
    let options = keytrail_query::Options { time_limit_seconds: 24 * 3_600, rows_max: usize::MAX, threads: 1, ..config.query.clone() };
    let session = runtime.block_on(crate::place::session(config, options))?;
    let lake = runtime.block_on(crate::place::lake(config))?;
    let book = Book::open(config)?;
    let builtin = book.rules(Hash32::default(), &lake, runtime.handle())?;
    let (mut findings, mut credentials, mut identities) = (Vec::new(), Vec::new(), Vec::new());
    for partition in 0..log.partitions() {
        let end = log.end(Topic::Events, partition)?;
        let mut detector = Detector::new(partition, config.detect.clone(), Arc::clone(&builtin));
        let mut changes = Vec::new();
        for (offset, name) in runtime.block_on(lake.rules_by_offset(partition))? {
            let hash = Hash32::from_hex(&name).ok_or_else(|| OutOfReach(format!("the lake names the rule set {name:?}, which is no hash")))?;
            changes.push((offset, hash, book.rules(hash, &lake, runtime.handle())?));
        }
        if arguments.by_time {
            // Another order has no such places: all is judged by the newest set.
            changes = changes.pop().into_iter().map(|(_, hash, rules)| (i64::MIN, hash, rules)).collect();
        }
        let judged = runtime.block_on(replay(&session, partition, arguments.by_time, changes, &mut detector, &mut findings))?;
        telemetry.metrics.judged.add(judged, &[]);
        if !arguments.by_time {
            runtime.block_on(lake.put_snapshot(partition, detector.next_offset(), detector.snapshot()))?;
            if detector.next_offset() > end {
                return Err(OutOfReach(format!(
                    "the lake holds partition {partition} up to offset {}, and the log ends at {end}: they do not belong together",
                    detector.next_offset()
                ))
                .into());
            }
        }
        credentials.extend(detector.credentials());
        identities.extend(detector.identities());
    }
    let detections = detections_of(&mut findings);
    runtime.block_on(async {
        lake.replace_detections(&detections).await?;
        lake.replace_findings(&findings).await?;
        lake.replace_credentials(&credentials).await?;
        lake.replace_identities(&identities).await
    })?;
    if !config.quiet {
        eprintln!(
            "rebuilt: {} revisions of findings, {} of detections, {} credentials, {} identities",
            findings.len(),
            detections.len(),
            credentials.len(),
            identities.len()
        );
    }
    Ok(Code::Done)
}

/// The detections that came with the findings, each where it was written anew; what nobody is to read is no finding.
fn detections_of(findings: &mut Vec<Finding>) -> Vec<Detection> {
    let mut detections = Vec::new();
    for finding in findings.iter_mut() {
        let told = std::mem::take(&mut finding.detections);
        detections.extend(told.into_iter().filter(|detection| detection.log_offset == finding.log_offset));
    }
    findings.retain(|finding| !finding.below_line);
    detections
}

/// The log, for its partitions and their ends. The embedded log's lock keeps every other writer of the folder out; on Kafka the detectors
/// are to be stopped by whoever rebuilds.
fn open(config: &Config) -> anyhow::Result<Arc<dyn EventLog>> {
    if config.is_kafka() {
        return Ok(Arc::new(KafkaLog::open(crate::role::options(config)?)?));
    }
    Ok(Arc::new(EmbeddedLog::open(Home::open(config)?.log(), crate::pipeline::log_options(config))?))
}

async fn replay(
    session: &Session,
    partition: i32,
    by_time: bool,
    changes: Vec<(i64, Hash32, Arc<Rules>)>,
    detector: &mut Detector,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<u64> {
    let mut changes = changes.into_iter().peekable();
    let order = if by_time { "time, log_offset" } else { "log_offset" };
    let mut rows = session.sql_stream(&format!("SELECT * FROM events WHERE log_partition = {partition} ORDER BY {order}")).await?.batches;
    let mut judged = 0;
    while let Some(batch) = rows.next().await {
        for event in Event::from_batch(&batch?)? {
            // In order of time, the place in that order stands for the offset: coordinates must grow.
            let offset = if by_time { i64::try_from(judged).unwrap_or(i64::MAX) } else { event.log_offset };
            while let Some((_, hash, rules)) = changes.next_if(|(at, ..)| *at <= offset) {
                detector.judge_by(hash, rules);
            }
            detector.observe(offset, &LogRecord::Event(Box::new(event)), findings);
            judged += 1;
        }
    }
    // What came into force behind the last event is in force now.
    changes.for_each(|(_, hash, rules)| detector.judge_by(hash, rules));
    Ok(judged)
}
