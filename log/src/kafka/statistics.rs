//! What librdkafka counts, gathered from the clients of one log for export as metrics. It judges nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use keytrail_schemas::Topic;

/// Figures of one log's clients, as of their last reports; empty when `statistics_interval_ms` is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// How many records each reader is behind the end of its partition.
    pub lag_records: BTreeMap<(Topic, i32), i64>,
    /// Bytes sent to brokers since the log was opened.
    pub sent_bytes: u64,
    /// Bytes received from brokers since the log was opened.
    pub received_bytes: u64,
    /// Records waiting to be sent or acknowledged.
    pub produce_queue_records: u64,
    /// Bytes of them.
    pub produce_queue_bytes: u64,
    /// For each broker: average and 99th percentile of the time that a request takes, in microseconds.
    pub request_us: BTreeMap<String, (i64, i64)>,
    /// Findings and dead letters that could not be read and were left out.
    pub unreadable_rows: u64,
}

/// Where the clients of a log leave their reports.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes sent and received, by client: a client's counters start at zero and only rise.
    bytes: BTreeMap<String, (u64, u64)>,
    all: Statistics,
}

/// More clients than this are counted together.
const CLIENTS_MAX: usize = 4_096;

impl Board {
    /// The figures now.
    pub fn read(&self) -> Statistics {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    /// Counts a row that could not be read.
    pub fn count_unreadable(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).all.unreadable_rows += 1;
    }

    /// Takes a client's report.
    pub fn note(&self, report: &rdkafka::Statistics) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let now = (u64::try_from(report.tx_bytes).unwrap_or(0), u64::try_from(report.rx_bytes).unwrap_or(0));
        if state.bytes.len() < CLIENTS_MAX || state.bytes.contains_key(&report.name) {
            let before = state.bytes.insert(report.name.clone(), now).unwrap_or_default();
            state.all.sent_bytes += now.0.saturating_sub(before.0);
            state.all.received_bytes += now.1.saturating_sub(before.1);
        }
        if report.client_type == "producer" {
            state.all.produce_queue_records = report.msg_cnt;
            state.all.produce_queue_bytes = report.msg_size;
        }
        for broker in report.brokers.values().filter(|broker| broker.nodeid >= 0) {
            if let Some(rtt) = &broker.rtt
                && rtt.cnt > 0
            {
                state.all.request_us.insert(broker.nodename.clone(), (rtt.avg, rtt.p99));
            }
        }
        for (name, topic) in &report.topics {
            let Some(topic_known) = Topic::ALL.into_iter().find(|known| known.as_str() == name) else { continue };
            for (partition, figures) in &topic.partitions {
                if figures.consumer_lag >= 0 {
                    state.all.lag_records.insert((topic_known, *partition), figures.consumer_lag);
                }
            }
        }
    }
}
