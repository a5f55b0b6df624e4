//! The event log on one machine, on the key-value store fjall: topics and partitions, offsets without gaps, atomic appends,
//! nothing stored twice within a documented horizon. It knows nothing of what an event means.
//!
//! One process holds it. One append is one atomic batch of the store: blocks of events, dead letters and the ids that were new.
//! What survives: an append that has returned survives the process, killed at any moment; what survives the machine is said by
//! [`Fsync`].

mod block;
pub(super) mod dedupe;
mod options;
mod pack;
mod read;
pub(super) mod store;
mod sync;
mod tail;
mod write;

pub use options::{Fsync, Options};
#[cfg(feature = "kafka")]
pub(super) use write::{dead_letter_id, decode_ids, encode_ids};

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use fjall::PersistMode;
use keytrail_schemas::{DeadLetter, Event, Finding, Hash32, LogRecord, Micros, Topic};

use super::{Appended, Chunk, Error, EventLog, Rows};
use dedupe::Index;
use pack::Piece;
use store::{Store, offset_of, record_key};
use sync::Syncer;
use tail::{Run, Runs};

/// A run read from the store grows over small blocks until it has this many records.
const READ_RECORDS: usize = 1_024;
/// Ends a run read from the store early when its records have this many encoded bytes.
const READ_BYTES: usize = 4 << 20;

/// The event log of one machine.
#[derive(Debug)]
pub struct EmbeddedLog {
    // Dropped first: it holds the store open.
    syncer: Option<Syncer>,
    options: Options,
    writer: Mutex<Writer>,
    bounds: Mutex<Bounds>,
    grown: Condvar,
    tails: Vec<Mutex<Runs>>,
    cache: Mutex<BTreeMap<i32, Runs>>,
    last_findings: Mutex<BTreeMap<i32, (i64, i32)>>,
    /// The buffers in which few records are packed.
    packing: Mutex<block::Builder>,
    /// The threads that pack many, from the first time on that there are many.
    packers: OnceLock<pack::Packers>,
    store: Store,
}

/// What only one append at a time may touch.
#[derive(Debug, Default)]
struct Writer {
    /// Read back from the store at the first append, so that readers do not wait for it.
    seen: Option<Index>,
    failure: Option<String>,
}

/// First offset held and next offset to be given, by topic and partition.
type Bounds = BTreeMap<(Topic, i32), (i64, i64)>;

impl EmbeddedLog {
    /// Opens the log in folder `dir`, creating it where there is none.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process holds it; [`Error::Storage`] when the folder cannot be written, belongs to something
    /// else, or was made by a newer version.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        let store = Store::open(dir.as_ref(), options.partitions)?;
        let mut bounds = Bounds::new();
        let mut last_findings = BTreeMap::new();
        for partition in 0..store.partitions {
            for topic in Topic::ALL {
                bounds.insert((topic, partition), recover_bounds(&store, topic, partition)?);
            }
            if let Some((_, value)) = last_entry(&store, Topic::Findings, partition)? {
                let (_, end) = bounds.get(&(Topic::Findings, partition)).copied().unwrap_or_default();
                let finding: Finding = from_json(&value, Topic::Findings, partition, end - 1)?;
                last_findings.insert(partition, finding.coordinates());
            }
        }
        let syncer = match options.fsync {
            Fsync::IntervalMs(ms) => Some(Syncer::start(store.db.clone(), Duration::from_millis(ms.max(1))).map_err(|error| store::io(&store.path, &error))?),
            Fsync::EveryAppend | Fsync::Never => None,
        };
        Ok(Self {
            syncer,
            writer: Mutex::default(),
            bounds: Mutex::new(bounds),
            grown: Condvar::new(),
            tails: (0..store.partitions).map(|_| Mutex::new(Runs::new(options.tail_bytes_max / usize::try_from(store.partitions).unwrap_or(1)))).collect(),
            cache: Mutex::default(),
            last_findings: Mutex::new(last_findings),
            packing: Mutex::default(),
            packers: OnceLock::new(),
            options,
            store,
        })
    }

    /// Removes records of a partition before offset `before`, as far as whole blocks of them go, and returns the first offset that is still held.
    ///
    /// # Errors
    /// When the log cannot be written; nothing is removed then.
    pub fn trim(&self, topic: Topic, partition: i32, before: i64) -> Result<i64, Error> {
        let mut writer = hold(&self.writer);
        let (start, end) = self.bounds_of(topic, partition)?;
        let before = before.clamp(start, end);
        let keyspace = self.store.topic(topic);
        let mut batch = self.store.db.batch();
        let mut new_start = start;
        let mut held: Option<fjall::UserKey> = None;
        // A block ends where the next begins.
        for guard in keyspace.range(record_key(partition, start)..record_key(partition, end)) {
            let key = guard.key().map_err(|error| self.store.error(&error))?;
            let first = offset_of(&key).unwrap_or(start);
            if first > before {
                break;
            }
            if let Some(whole) = held.replace(key) {
                batch.remove(keyspace, whole);
                new_start = first;
            }
        }
        if before == end
            && let Some(last) = held
        {
            batch.remove(keyspace, last);
            new_start = end;
        }
        if new_start == start {
            return Ok(start);
        }
        let mut value = new_start.to_le_bytes().to_vec();
        value.extend_from_slice(&end.to_le_bytes());
        batch.insert(&self.store.meta, bounds_key(topic, partition), value);
        self.commit(&mut writer, batch)?;
        hold(&self.bounds).insert((topic, partition), (new_start, end));
        if topic == Topic::Events {
            hold(&self.cache).clear();
            if new_start == end
                && let Some(mut tail) = self.tail(partition)
            {
                tail.clear();
            }
        }
        Ok(new_start)
    }

    /// How far each consumer has come: (consumer, topic, partition) to the next offset it will read.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn positions(&self) -> Result<Vec<(String, Topic, i32, i64)>, Error> {
        let mut out = Vec::new();
        for guard in self.store.meta.prefix("position\0") {
            let (key, value) = guard.into_inner().map_err(|error| self.store.error(&error))?;
            let text = String::from_utf8_lossy(&key);
            let mut parts = text.split('\0').skip(1);
            let (Some(consumer), Some(topic), Some(partition)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let topic = Topic::ALL.into_iter().find(|known| known.as_str() == topic);
            let next = value.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes));
            if let (Some(topic), Ok(partition), Some(next)) = (topic, partition.parse(), next) {
                out.push((consumer.to_owned(), topic, partition, next));
            }
        }
        Ok(out)
    }

    /// As [`append`](EventLog::append), and notes in the same step from where a source goes on behind the batch: its name and its position.
    ///
    /// # Errors
    /// As [`append`](EventLog::append); the position is the one before then.
    pub fn append_at(&self, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>, position: Option<(&str, &[u8])>) -> Result<Appended, Error> {
        let mut writer = hold(&self.writer);
        let mut index = match writer.seen.take() {
            Some(index) => index,
            None => self.load_index()?,
        };
        let outcome = self.append_new(&mut writer, &mut index, events, dead_letters, position);
        writer.seen = Some(index);
        outcome
    }

    /// The position that was last appended with a batch of this source.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn source_position(&self, source: &str) -> Result<Option<Vec<u8>>, Error> {
        let found = self.store.meta.get(write::source_key(source)).map_err(|error| self.store.error(&error))?;
        Ok(found.map(|value| value.to_vec()))
    }

    /// Forces everything that was appended onto the disk.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn sync(&self) -> Result<(), Error> {
        self.store.db.persist(PersistMode::SyncData).map_err(|error| self.store.error(&error))
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        self.store.db.disk_space().map_err(|error| self.store.error(&error))
    }

    /// How many ids are remembered to store nothing twice, and the bytes of memory that their tables take; zeros before the first append.
    #[must_use]
    pub fn remembered(&self) -> (u64, usize) {
        hold(&self.writer).seen.as_ref().map_or((0, 0), |index| (index.len(), index.table_bytes()))
    }

    fn bounds_of(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        hold(&self.bounds)
            .get(&(topic, partition))
            .copied()
            .ok_or_else(|| store::storage(&self.store.path, format!("there is no partition {partition}: the log has {}", self.store.partitions)))
    }

    fn tail(&self, partition: i32) -> Option<MutexGuard<'_, Runs>> {
        Some(hold(self.tails.get(usize::try_from(partition).ok()?)?))
    }
}

impl EventLog for EmbeddedLog {
    fn partitions(&self) -> i32 {
        self.store.partitions
    }

    fn append(&self, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>) -> Result<Appended, Error> {
        self.append_at(events, dead_letters, None)
    }

    fn append_tick(&self, time: Micros) -> Result<(), Error> {
        let mut writer = hold(&self.writer);
        let mut batch = self.store.db.batch();
        let (mut grown, mut pieces) = (Vec::new(), Vec::new());
        for partition in 0..self.store.partitions {
            let (_, end) = self.bounds_of(Topic::Events, partition)?;
            pieces.push(Piece { partition, first_offset: end, records: vec![LogRecord::Tick { time }] });
            grown.push((Topic::Events, partition, end + 1));
        }
        let runs = self.write_pieces(&mut batch, pieces)?;
        self.commit(&mut writer, batch)?;
        self.publish(&grown, runs);
        Ok(())
    }

    fn append_rules(&self, partition: i32, rules: Hash32) -> Result<(), Error> {
        let mut writer = hold(&self.writer);
        let mut batch = self.store.db.batch();
        let (_, end) = self.bounds_of(Topic::Events, partition)?;
        let runs = self.write_pieces(&mut batch, vec![Piece { partition, first_offset: end, records: vec![LogRecord::Rules { rules }] }])?;
        self.commit(&mut writer, batch)?;
        self.publish(&[(Topic::Events, partition, end + 1)], runs);
        Ok(())
    }

    fn append_findings(&self, partition: i32, findings: &[Finding]) -> Result<i64, Error> {
        let mut writer = hold(&self.writer);
        let (_, mut end) = self.bounds_of(Topic::Findings, partition)?;
        let Some(last) = findings.last() else { return Ok(end) };
        let mut batch = self.store.db.batch();
        for finding in findings {
            batch.insert(&self.store.findings, record_key(partition, end), to_json(finding, &self.store)?);
            end += 1;
        }
        self.commit(&mut writer, batch)?;
        hold(&self.last_findings).insert(partition, last.coordinates());
        self.publish(&[(Topic::Findings, partition, end)], Vec::new());
        Ok(end)
    }

    fn end(&self, topic: Topic, partition: i32) -> Result<i64, Error> {
        self.bounds_of(topic, partition).map(|(_, end)| end)
    }

    fn start(&self, topic: Topic, partition: i32) -> Result<i64, Error> {
        self.bounds_of(topic, partition).map(|(start, _)| start)
    }

    fn read_events(&self, partition: i32, from: i64) -> Result<Option<Chunk>, Error> {
        let (start, end) = self.bounds_of(Topic::Events, partition)?;
        if from < start {
            return Err(Error::Truncated { topic: Topic::Events, partition, from, start });
        }
        if from >= end {
            return Ok(None);
        }
        let chunk = |run: Run| Chunk {
            first_offset: run.first_offset,
            skip: usize::try_from(from - run.first_offset).unwrap_or(0),
            records: run.records,
            unreadable: Vec::new(),
        };
        if let Some(run) = self.tail(partition).and_then(|tail| tail.find_ordered(from)) {
            return Ok(Some(chunk(run)));
        }
        if let Some(run) = hold(&self.cache).get(&partition).and_then(|runs| runs.find(from)) {
            return Ok(Some(chunk(run)));
        }
        match self.read_blocks(partition, from, end) {
            Ok(Some(run)) => {
                let bytes_max = self.options.cache_bytes_max / usize::try_from(self.store.partitions).unwrap_or(1);
                hold(&self.cache).entry(partition).or_insert_with(|| Runs::new(bytes_max)).push(run.clone(), &mut Vec::new());
                Ok(Some(chunk(run)))
            }
            missed => {
                // It may have been trimmed since the bounds were looked up.
                let (start, _) = self.bounds_of(Topic::Events, partition)?;
                if from < start {
                    return Err(Error::Truncated { topic: Topic::Events, partition, from, start });
                }
                missed?;
                Err(Error::Damaged { topic: Topic::Events, partition, offset: from, message: "the record is missing".into() })
            }
        }
    }

    fn read_findings(&self, partition: i32, from: i64, count_max: usize) -> Result<Rows<Finding>, Error> {
        self.values(Topic::Findings, partition, from, count_max)
    }

    fn read_dead_letters(&self, partition: i32, from: i64, count_max: usize) -> Result<Rows<DeadLetter>, Error> {
        self.values(Topic::DeadLetters, partition, from, count_max)
    }

    fn last_finding(&self, partition: i32) -> Result<Option<(i64, i32)>, Error> {
        self.bounds_of(Topic::Findings, partition)?;
        Ok(hold(&self.last_findings).get(&partition).copied())
    }

    fn wait(&self, topic: Topic, partition: i32, from: i64, timeout: Duration) -> bool {
        let held = |bounds: &Bounds| bounds.get(&(topic, partition)).is_some_and(|(_, end)| from < *end);
        let bounds = self.grown.wait_timeout_while(hold(&self.bounds), timeout, |bounds| !held(bounds)).unwrap_or_else(PoisonError::into_inner).0;
        held(&bounds)
    }

    fn note_position(&self, consumer: &str, topic: Topic, partition: i32, next: i64) -> Result<(), Error> {
        self.bounds_of(topic, partition)?;
        if consumer.is_empty() || consumer.len() > 200 || consumer.contains('\0') {
            return Err(store::storage(&self.store.path, format!("{consumer:?} cannot be a consumer's name: 1 to 200 bytes are possible")));
        }
        let mut writer = hold(&self.writer);
        let mut batch = self.store.db.batch();
        batch.insert(&self.store.meta, format!("position\0{consumer}\0{topic}\0{partition}").into_bytes(), next.to_le_bytes());
        self.commit(&mut writer, batch)
    }
}

fn bounds_key(topic: Topic, partition: i32) -> Vec<u8> {
    format!("bounds\0{topic}\0{partition}").into_bytes()
}

fn last_entry(store: &Store, topic: Topic, partition: i32) -> Result<Option<(i64, fjall::UserValue)>, Error> {
    let Some(guard) = store.topic(topic).range(record_key(partition, 0)..=record_key(partition, i64::MAX)).next_back() else { return Ok(None) };
    let (key, value) = guard.into_inner().map_err(|error| store.error(&error))?;
    Ok(offset_of(&key).map(|offset| (offset, value)))
}

fn recover_bounds(store: &Store, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
    let trimmed = store.meta.get(bounds_key(topic, partition)).map_err(|error| store.error(&error))?;
    let number = |at: usize| trimmed.as_ref().and_then(|value| value.get(at..)?.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes))).unwrap_or(0);
    let (start, mut end) = (number(0), number(8));
    if let Some((offset, value)) = last_entry(store, topic, partition)? {
        let count = match topic {
            Topic::Events => block::count(&value).map_err(|damage| Error::Damaged { topic, partition, offset, message: damage.message })?,
            Topic::Findings | Topic::DeadLetters => 1,
        };
        end = end.max(offset + i64::try_from(count).unwrap_or(0));
    }
    Ok((start, end))
}

fn to_json<T: serde::Serialize>(value: &T, store: &Store) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| store::storage(&store.path, format!("a record cannot be written as JSON: {error}")))
}

fn from_json<T: serde::de::DeserializeOwned>(value: &[u8], topic: Topic, partition: i32, offset: i64) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|error| Error::Damaged { topic, partition, offset, message: format!("it is not what this keytrail writes: {error}") })
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
