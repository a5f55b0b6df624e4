//! Rows that are appended as values: in which log partition they stand, and how they are put in order. Events are appended as columns, see `events`.

use std::cmp::Ordering;

use keytrail_schemas::{DeadLetter, Detection, Finding, Table, Topic};

use crate::TableName;

/// A row that a commit appends, with its offset in the log.
pub(crate) trait Row: Table + Sync {
    const TABLE: TableName;
    const TOPIC: Topic;
    /// The log partition that the row stands in.
    fn log_partition(&self) -> i32;
    /// `rows` in the table's order.
    fn sorted<'a>(rows: &[&'a Self]) -> Vec<&'a Self>;
}

impl Row for Finding {
    const TABLE: TableName = TableName::Findings;
    const TOPIC: Topic = Topic::Findings;

    fn log_partition(&self) -> i32 {
        self.log_partition
    }

    fn sorted<'a>(rows: &[&'a Self]) -> Vec<&'a Self> {
        by(rows, |a, b| {
            (&a.identity, a.time, a.log_partition, a.log_offset, a.rule_index).cmp(&(&b.identity, b.time, b.log_partition, b.log_offset, b.rule_index))
        })
    }
}

/// Detections travel with findings, in their topic.
impl Row for Detection {
    const TABLE: TableName = TableName::Detections;
    const TOPIC: Topic = Topic::Findings;

    fn log_partition(&self) -> i32 {
        self.log_partition
    }

    fn sorted<'a>(rows: &[&'a Self]) -> Vec<&'a Self> {
        by(rows, |a, b| {
            (&a.identity, a.first_event_time, a.log_partition, a.log_offset, &a.detection_id, a.revision).cmp(&(
                &b.identity,
                b.first_event_time,
                b.log_partition,
                b.log_offset,
                &b.detection_id,
                b.revision,
            ))
        })
    }
}

impl Row for DeadLetter {
    const TABLE: TableName = TableName::DeadLetters;
    const TOPIC: Topic = Topic::DeadLetters;

    fn log_partition(&self) -> i32 {
        self.log_partition
    }

    fn sorted<'a>(rows: &[&'a Self]) -> Vec<&'a Self> {
        by(rows, |a, b| (a.ingested_at, a.log_partition, a.log_offset).cmp(&(b.ingested_at, b.log_partition, b.log_offset)))
    }
}

fn by<'a, T>(rows: &[&'a T], order: impl Fn(&T, &T) -> Ordering) -> Vec<&'a T> {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| order(a, b));
    sorted
}
