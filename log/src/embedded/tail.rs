//! Decoded records that are kept in memory, so that readers close behind the writer, and two readers at one place, do not decode.

use std::collections::VecDeque;
use std::sync::Arc;

use keytrail_schemas::{Event, LogRecord};

/// One run of records of a partition.
#[derive(Debug, Clone)]
pub struct Run {
    /// Offset of the first record.
    pub first_offset: i64,
    /// The records.
    pub records: Arc<Vec<LogRecord>>,
    bytes: usize,
}

impl Run {
    /// A run, with an estimate of the memory it takes.
    pub fn new(first_offset: i64, records: Vec<LogRecord>) -> Self {
        let bytes = records.iter().map(memory_bytes).sum();
        Self { first_offset, records: Arc::new(records), bytes }
    }

    fn end(&self) -> i64 {
        self.first_offset + i64::try_from(self.records.len()).unwrap_or(i64::MAX)
    }
}

/// Runs of one partition, in the order in which they were put in, within a bound of bytes.
#[derive(Debug)]
pub struct Runs {
    runs: VecDeque<Run>,
    bytes: usize,
    bytes_max: usize,
}

impl Runs {
    /// Room for `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { runs: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Puts a run in; the oldest leave, into `old`.
    pub fn push(&mut self, run: Run, old: &mut Vec<Run>) {
        self.bytes += run.bytes;
        self.runs.push_back(run);
        while self.bytes > self.bytes_max {
            let Some(first) = self.runs.pop_front() else { break };
            self.bytes -= first.bytes;
            old.push(first);
        }
    }

    /// The run that holds `offset`, where runs are in order of offset.
    pub fn find_ordered(&self, offset: i64) -> Option<Run> {
        let behind = self.runs.partition_point(|run| run.first_offset <= offset);
        let run = self.runs.get(behind.checked_sub(1)?)?;
        (offset < run.end()).then(|| run.clone())
    }

    /// The run that holds `offset`, in whatever order runs are.
    pub fn find(&self, offset: i64) -> Option<Run> {
        self.runs.iter().rev().find(|run| run.first_offset <= offset && offset < run.end()).cloned()
    }

    /// Forgets every run.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.bytes = 0;
    }
}

/// About how many bytes of memory a record takes.
fn memory_bytes(record: &LogRecord) -> usize {
    let own = size_of::<LogRecord>();
    match record {
        LogRecord::Event(event) => own + event_heap_bytes(event),
        LogRecord::Tick { .. } | LogRecord::Rules { .. } | LogRecord::Gap => own,
    }
}

fn event_heap_bytes(event: &Event) -> usize {
    let texts = [
        Some(&event.identity),
        event.credential.as_ref(),
        event.credential_parent.as_ref(),
        event.issuer.as_ref(),
        event.user_agent.as_ref(),
        event.destination.as_ref(),
        event.reason.as_ref(),
        event.session.as_ref(),
        event.action.as_ref(),
    ];
    event.raw.as_ref().map_or(0, String::capacity) + texts.into_iter().flatten().filter(|text| text.is_heap_allocated()).map(|text| text.len()).sum::<usize>()
}
