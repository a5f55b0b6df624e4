//! Decoded records that are kept in memory, so that readers close behind the writer, and two readers at one place, do not decode.

use std::collections::VecDeque;
use std::sync::Arc;

use keytrail_schemas::LogRecord;

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
    /// A run, and how many bytes its records' encodings have: about what their texts take in memory.
    pub fn new(first_offset: i64, records: Vec<LogRecord>, bytes: usize) -> Self {
        let bytes = bytes + records.len() * size_of::<LogRecord>();
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
