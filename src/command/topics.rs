//! `keytrail topics`: Kafka's topics, made and held against what is needed.

use keytrail_log::kafka::topics::{Report, Spec, apply, check};
use serde::Serialize;

use crate::cli::{TopicAction, Topics};
use crate::config::Config;
use crate::exit::Code;
use crate::output::Writer;

const DAY_MS: i64 = 86_400_000;

/// One topic, as printed.
#[derive(Debug, Serialize)]
struct Row {
    topic: String,
    state: &'static str,
    partitions: i32,
    replication: i32,
    differences: Vec<String>,
    notes: Vec<String>,
}

/// Applies or checks, and prints a row per topic; ends with 1 where a topic is not as it should be.
pub fn run(config: &Config, output: &Writer, arguments: &Topics) -> anyhow::Result<Code> {
    let options = crate::role::options(config)?;
    let reports = match &arguments.action {
        TopicAction::Apply { partitions, replication, retention_days, grow } => {
            let spec = Spec {
                partitions: *partitions,
                replication_factor: *replication,
                events_retention_ms: i64::from(*retention_days) * DAY_MS,
                message_bytes_max: config.log.message_bytes_max,
                grow: *grow,
                ..Spec::default()
            };
            if *partitions > 1 {
                output.note("each partition is judged alone: more than one is worth it from some thousand identities each, and availability comes from standby processes");
            }
            apply(&options, &spec)?
        }
        TopicAction::Check => check(&options)?,
    };
    let sound = reports.iter().all(|report| report.exists && report.differences.is_empty());
    let rows: Vec<Row> = reports.into_iter().map(row).collect();
    output.records(&rows)?;
    Ok(if sound { Code::Done } else { Code::DoesNotHold })
}

fn row(report: Report) -> Row {
    let state = match (report.created, report.exists) {
        (true, _) => "created",
        (false, true) => "there",
        (false, false) => "missing",
    };
    Row { topic: report.topic, state, partitions: report.partitions, replication: report.replication, differences: report.differences, notes: report.notes }
}
