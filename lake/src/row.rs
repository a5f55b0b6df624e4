//! Rows that are appended: in which log partition and on which day they stand, and how they are put in order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use keytrail_schemas::{DeadLetter, Detection, Event, Finding, Table, Topic};
use rustc_hash::FxHashMap;

use crate::TableName;

/// A row that a commit appends, with its offset in the log.
pub(crate) trait Row: Table + Sync {
    const TABLE: TableName;
    const TOPIC: Topic;
    /// The log partition that the row stands in.
    fn log_partition(&self) -> i32;
    /// The partition of the table: the UTC day, or 0 for a table without.
    fn day(&self) -> i64;
    /// `rows` in the table's order.
    fn sorted<'a>(rows: &[&'a Self]) -> Vec<&'a Self>;
}

impl Row for Event {
    const TABLE: TableName = TableName::Events;
    const TOPIC: Topic = Topic::Events;

    fn log_partition(&self) -> i32 {
        self.log_partition
    }

    fn day(&self) -> i64 {
        self.time.day()
    }

    /// Few identities stand behind many events: they are ranked first, and then numbers are compared instead of texts.
    fn sorted<'a>(rows: &[&'a Self]) -> Vec<&'a Self> {
        let mut ranks: FxHashMap<&str, u32> = FxHashMap::default();
        for row in rows {
            ranks.entry(row.identity.as_str()).or_default();
        }
        let mut names: Vec<&str> = ranks.keys().copied().collect();
        names.sort_unstable();
        for (rank, name) in (0..).zip(names) {
            ranks.insert(name, rank);
        }
        let mut keyed: Vec<_> =
            rows.iter().map(|row| (ranks.get(row.identity.as_str()).copied().unwrap_or_default(), row.time, row.log_partition, row.log_offset, *row)).collect();
        keyed.sort_unstable_by_key(|&(rank, time, partition, offset, _)| (rank, time, partition, offset));
        keyed.into_iter().map(|(.., row)| row).collect()
    }
}

impl Row for Finding {
    const TABLE: TableName = TableName::Findings;
    const TOPIC: Topic = Topic::Findings;

    fn log_partition(&self) -> i32 {
        self.log_partition
    }

    fn day(&self) -> i64 {
        0
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

    fn day(&self) -> i64 {
        0
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

    fn day(&self) -> i64 {
        0
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

/// Rows by day, each day's in the order given.
pub(crate) fn by_day<'a, R: Row>(rows: impl Iterator<Item = &'a R>) -> BTreeMap<i64, Vec<&'a R>> {
    let mut days: BTreeMap<i64, Vec<&R>> = BTreeMap::new();
    for row in rows {
        days.entry(row.day()).or_default().push(row);
    }
    days
}
