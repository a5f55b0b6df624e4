//! Reading back from the store what is no longer in memory.

use keytrail_schemas::{LogRecord, Topic};

use super::super::{Error, Rows};
use super::store::{offset_of, record_key};
use super::tail::Run;
use super::{EmbeddedLog, READ_BYTES, READ_RECORDS, block, from_json};

impl EmbeddedLog {
    pub(super) fn values<T: serde::de::DeserializeOwned>(&self, topic: Topic, partition: i32, from: i64, count_max: usize) -> Result<Rows<T>, Error> {
        let (start, end) = self.bounds_of(topic, partition)?;
        if from < start {
            return Err(Error::Truncated { topic, partition, from, start });
        }
        let mut out = Vec::new();
        if from >= end {
            return Ok(Rows { rows: out, next: from });
        }
        for guard in self.store.topic(topic).range(record_key(partition, from)..record_key(partition, end)).take(count_max) {
            let (key, value) = guard.into_inner().map_err(|error| self.store.error(&error))?;
            let offset = offset_of(&key).unwrap_or(-1);
            let expected = from + i64::try_from(out.len()).unwrap_or(i64::MAX);
            if offset != expected {
                return Err(Error::Damaged { topic, partition, offset: expected, message: "the record is missing".into() });
            }
            out.push((offset, from_json(&value, topic, partition, offset)?));
        }
        let next = out.last().map_or(from, |(offset, _)| offset + 1);
        Ok(Rows { rows: out, next })
    }

    pub(super) fn read_blocks(&self, partition: i32, from: i64, end: i64) -> Result<Option<Run>, Error> {
        let damaged = |offset: i64, message: String| Error::Damaged { topic: Topic::Events, partition, offset, message };
        let events = &self.store.events;
        let Some(first) = events.range(record_key(partition, 0)..=record_key(partition, from)).next_back() else { return Ok(None) };
        let (key, value) = first.into_inner().map_err(|error| self.store.error(&error))?;
        let first_offset = offset_of(&key).unwrap_or(0);
        let mut records = Vec::new();
        let read = |value: &[u8], at: i64, records: &mut Vec<LogRecord>| {
            block::decode(value, records).map_err(|damage| damaged(at + i64::try_from(damage.index).unwrap_or(0), damage.message))
        };
        let mut bytes = read(&value, first_offset, &mut records)?;
        let next = |records: &Vec<LogRecord>| first_offset + i64::try_from(records.len()).unwrap_or(0);
        if next(&records) <= from {
            return Err(damaged(from, "the record is missing".into()));
        }
        if records.len() < READ_RECORDS {
            for guard in events.range(record_key(partition, next(&records))..record_key(partition, end)) {
                let (key, value) = guard.into_inner().map_err(|error| self.store.error(&error))?;
                let at = next(&records);
                if offset_of(&key) != Some(at) {
                    break;
                }
                bytes += read(&value, at, &mut records)?;
                if records.len() >= READ_RECORDS || bytes >= READ_BYTES {
                    break;
                }
            }
        }
        Ok(Some(Run::new(first_offset, records, bytes)))
    }
}
