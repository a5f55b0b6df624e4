//! What an append does: leaves out what was written before, sends the rest, waits for every acknowledgement, and remembers the ids.

use std::sync::Arc;
use std::time::Duration;

use keytrail_schemas::{DeadLetter, Event, Finding, Hash32, LogRecord, Micros, Topic};
use rdkafka::consumer::Consumer as _;
use rustc_hash::FxHashSet;

use super::super::embedded::dead_letter_id;
use super::super::embedded::dedupe::Id;
use super::super::{Appended, Error};
use super::client::watermarks;
use super::cursor::Cursor;
use super::letter::{self, OVERHEAD_BYTES};
use super::produce::{Batch, Outcome, Producer, Record, Refused};
use super::seen::{Offsets, Seen};
use super::{KafkaLog, hold};

/// What only one append at a time may touch.
#[derive(Default)]
pub struct Writer {
    pub seen: Option<Seen>,
    /// An append has failed: what it left in the log must be looked for before the next one.
    pub stale: bool,
}

/// How many ids of the log are taken into the memory at once, after an unclean stop.
const CATCH_UP_IDS: usize = 4_096;

/// What is known of a batch while it is on its way.
struct Sending<'a> {
    producer: &'a Producer,
    batch: Arc<Batch>,
    bytes_max: usize,
    appended: Appended,
    ids: Vec<Id>,
    in_batch: FxHashSet<Id>,
    ingested_at: Micros,
    buffer: Vec<u8>,
}

impl KafkaLog {
    pub(super) fn append_new(&self, writer: &mut Writer, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>) -> Result<Appended, Error> {
        if writer.stale {
            if let Some(seen) = &mut writer.seen {
                let from = seen.intent().clone();
                self.catch_up(seen, &from)?;
            }
            writer.stale = false;
        }
        let producer = self.producer()?;
        let sent = self.send_new(writer, &producer, events, dead_letters);
        if sent.is_err() {
            writer.stale = true;
            self.discard(&producer);
        }
        sent
    }

    fn send_new(&self, writer: &mut Writer, producer: &Producer, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>) -> Result<Appended, Error> {
        let count = events.len() + dead_letters.len();
        let mut sending = Sending {
            producer,
            batch: Arc::default(),
            bytes_max: self.bytes_max(),
            appended: Appended::default(),
            ids: Vec::with_capacity(count),
            in_batch: FxHashSet::with_capacity_and_hasher(count, rustc_hash::FxBuildHasher),
            ingested_at: Micros(0),
            buffer: Vec::with_capacity(4_096),
        };
        for event in events {
            sending.event(writer.seen.as_mut(), event)?;
        }
        for letter in dead_letters {
            sending.dead_letter(writer.seen.as_mut(), letter)?;
        }
        if sending.ids.is_empty() {
            return Ok(sending.appended);
        }
        let mut outcome = producer.settle(&sending.batch)?;
        for refused in std::mem::take(&mut outcome.refused) {
            sending.again(writer.seen.as_mut(), refused, &mut outcome)?;
        }
        let ends: Offsets = outcome.ends.iter().map(|(place, end)| (*place, *end)).collect();
        if let Some(seen) = &mut writer.seen {
            seen.add(&sending.ids, sending.ingested_at, &ends)?;
        }
        self.grown(&outcome);
        Ok(sending.appended)
    }

    /// Sends a tick to every partition. While nothing else is on its way it also moves the offsets up to which the memory is complete, so that a
    /// collector with nothing to do has little to read after it was killed.
    pub(super) fn send_tick(&self, writer: &mut Writer, time: Micros) -> Result<(), Error> {
        let producer = self.producer()?;
        let batch = Arc::default();
        let value = LogRecord::encode_tick(time);
        for partition in 0..self.partition_count() {
            producer.send(&batch, &Record { topic: Topic::Events, partition: Some(partition), key: "", value: &value, headers: &[] })?;
        }
        let outcome = producer.settle(&batch).inspect_err(|_| self.discard(&producer))?;
        if !writer.stale
            && let Some(seen) = &mut writer.seen
        {
            let ends: Offsets = outcome.ends.iter().map(|(place, end)| (*place, *end)).collect();
            seen.add(&[], Micros(0), &ends)?;
        }
        self.grown(&outcome);
        Ok(())
    }

    /// Sends a change of rules to a partition. What was appended from here stays as complete as it is known to be: it is read again at the next start.
    pub(super) fn send_rules(&self, partition: i32, rules: Hash32) -> Result<(), Error> {
        let producer = self.producer()?;
        let batch = Arc::default();
        let value = LogRecord::encode_rules(rules);
        producer.send(&batch, &Record { topic: Topic::Events, partition: Some(partition), key: "", value: &value, headers: &[] })?;
        let outcome = producer.settle(&batch).inspect_err(|_| self.discard(&producer))?;
        self.grown(&outcome);
        Ok(())
    }

    pub(super) fn send_findings(&self, partition: i32, findings: &[Finding]) -> Result<i64, Error> {
        let producer = self.producer()?;
        let batch = Arc::default();
        for finding in findings {
            let coordinates = format!("{}/{}/{}", finding.log_partition, finding.log_offset, finding.rule_index);
            let value = letter::json(finding)?;
            let headers = letter::finding_headers(finding, &coordinates);
            producer.send(&batch, &Record { topic: Topic::Findings, partition: Some(partition), key: &finding.identity, value: &value, headers: &headers })?;
        }
        let outcome = producer.settle(&batch).inspect_err(|_| self.discard(&producer))?;
        if let Some(refused) = outcome.refused.first() {
            return Err(Error::Topics {
                brokers: self.options.brokers.clone(),
                message: format!("a finding of {} bytes was refused as too large: raise the topic's max.message.bytes", refused.value.len()),
            });
        }
        self.grown(&outcome);
        Ok(outcome.ends.get(&(Topic::Findings, partition)).copied().unwrap_or(0))
    }

    /// Opens the memory of written ids: what an unclean stop left in the log is read first.
    pub(super) fn open_seen(&self) -> Result<Option<Seen>, Error> {
        let Some(dir) = &self.options.seen_dir else { return Ok(None) };
        let mut seen = Seen::open(dir, &self.cluster, self.options.horizon())?;
        let from = seen.incomplete_from().cloned();
        match from {
            Some(from) => self.catch_up(&mut seen, &from)?,
            None => {
                let ends = self.ends_now(&seen)?;
                seen.begin(&ends)?;
            }
        }
        Ok(Some(seen))
    }

    /// The ends of the topics that appends write to, checked against what the memory says was there before.
    fn ends_now(&self, seen: &Seen) -> Result<Offsets, Error> {
        let mut ends = Offsets::new();
        for topic in [Topic::Events, Topic::DeadLetters] {
            for partition in 0..self.partition_count() {
                let (_, end) = watermarks(self.observer.client(), &self.options, topic, partition)?;
                if let Some(known) = seen.intent().get(&(topic, partition))
                    && *known > end
                {
                    return Err(Error::Topics {
                        brokers: self.options.brokers.clone(),
                        message: format!(
                            "{topic}/{partition} ends at offset {end}, and {} remembers what it wrote up to {known}: the topic was made again, or its brokers \
                             lost records. If that was meant, remove the folder: its sources are then written again",
                            seen.path().display()
                        ),
                    });
                }
                ends.insert((topic, partition), end);
            }
        }
        Ok(ends)
    }

    /// Takes the ids of the log from `from` on into the memory.
    fn catch_up(&self, seen: &mut Seen, from: &Offsets) -> Result<(), Error> {
        let ends = self.ends_now(seen)?;
        for ((topic, partition), end) in &ends {
            let (start, _) = watermarks(self.observer.client(), &self.options, *topic, *partition)?;
            let mut next = from.get(&(*topic, *partition)).copied().unwrap_or(0).max(start);
            if next >= *end {
                continue;
            }
            tracing::info!(topic = topic.as_str(), partition, from = next, end, "reading what an unclean stop may have left in the log");
            let mut cursor = Cursor::open(&self.options, &self.context, *topic, *partition, next)?;
            while next < *end {
                let (mut ids, mut newest) = (Vec::new(), Micros(0));
                while ids.len() < CATCH_UP_IDS {
                    let Some(found) = cursor.next(*end, |raw| id_of(*topic, raw.value))? else { break };
                    if let Some((id, ingested_at)) = found
                        && !seen.contains(&id)?
                    {
                        ids.push(id);
                        newest = newest.max(ingested_at);
                    }
                }
                next = cursor.position();
                seen.add(&ids, newest, &Offsets::from([((*topic, *partition), next)]))?;
            }
        }
        seen.begin(&ends)
    }
}

/// The id of a record of the log, and when it was ingested.
fn id_of(topic: Topic, value: &[u8]) -> Option<(Id, Micros)> {
    match topic {
        Topic::Events => match LogRecord::decode(value) {
            Ok(LogRecord::Event(event)) => Some((event.event_id.0, event.ingested_at)),
            Ok(_) | Err(_) => None,
        },
        Topic::DeadLetters => serde_json::from_slice::<DeadLetter>(value).ok().map(|letter| (dead_letter_id(&letter), letter.ingested_at)),
        Topic::Findings => None,
    }
}

impl Sending<'_> {
    fn is_new(&mut self, seen: Option<&mut Seen>, id: &Id) -> Result<bool, Error> {
        Ok(self.in_batch.insert(*id) && !seen.map_or(Ok(false), |seen| seen.contains(id))?)
    }

    fn event(&mut self, seen: Option<&mut Seen>, event: Box<Event>) -> Result<(), Error> {
        let id = event.event_id.0;
        let mut seen = seen;
        if !self.is_new(seen.as_deref_mut(), &id)? {
            self.appended.duplicate += 1;
            self.appended.of(&event.format).duplicate += 1;
            return Ok(());
        }
        self.buffer.clear();
        LogRecord::encode_event_into(&event, &mut self.buffer);
        let bytes = self.buffer.len() + event.identity.len();
        if bytes > self.bytes_max {
            let letter = letter::too_large(*event, bytes, self.bytes_max);
            return self.dead_letter(seen, letter);
        }
        self.producer.send(&self.batch, &Record { topic: Topic::Events, partition: None, key: event.identity.as_str(), value: &self.buffer, headers: &[] })?;
        self.note(id, event.ingested_at);
        self.appended.stored += 1;
        self.appended.of(&event.format).stored += 1;
        Ok(())
    }

    fn dead_letter(&mut self, seen: Option<&mut Seen>, mut letter: DeadLetter) -> Result<(), Error> {
        let id = dead_letter_id(&letter);
        self.appended.of(&letter.format).dead_lettered += 1;
        if !self.is_new(seen, &id)? {
            self.appended.duplicate_dead_letters += 1;
            return Ok(());
        }
        let value = letter::dead_letter_json(&mut letter, self.bytes_max)?;
        let headers = letter::dead_letter_headers(&letter);
        self.producer
            .send(&self.batch, &Record { topic: Topic::DeadLetters, partition: None, key: letter.source.as_str(), value: &value, headers: &headers })?;
        self.note(id, letter.ingested_at);
        self.appended.dead_lettered += 1;
        Ok(())
    }

    fn note(&mut self, id: Id, ingested_at: Micros) {
        self.ids.push(id);
        self.ingested_at = self.ingested_at.max(ingested_at);
    }

    /// Sends what the brokers refused alone: what travelled with a record that is too large is not too large itself. An event that is
    /// becomes a dead letter.
    fn again(&mut self, seen: Option<&mut Seen>, refused: Refused, outcome: &mut Outcome) -> Result<(), Error> {
        let key = String::from_utf8_lossy(&refused.key).into_owned();
        let batch = Arc::default();
        let mut headers_of = None;
        if refused.topic == Topic::DeadLetters {
            headers_of = serde_json::from_slice::<DeadLetter>(&refused.value).ok();
        }
        let headers = headers_of.as_ref().map(letter::dead_letter_headers);
        let partition = (refused.partition >= 0).then_some(refused.partition);
        let headers = headers.as_ref().map_or(&[][..], |headers| &headers[..]);
        self.producer.send(&batch, &Record { topic: refused.topic, partition, key: &key, value: &refused.value, headers })?;
        let mut alone = self.producer.settle(&batch)?;
        if alone.refused.is_empty() {
            merge(outcome, alone);
            return Ok(());
        }
        let bytes = refused.value.len() + key.len();
        let smaller = (bytes / 2).min(self.bytes_max);
        self.batch = Arc::default();
        match (LogRecord::decode(&refused.value), headers_of) {
            (_, Some(mut letter)) => {
                letter.raw.clear();
                let value = letter::dead_letter_json(&mut letter, smaller)?;
                let headers = letter::dead_letter_headers(&letter);
                self.producer.send(&self.batch, &Record { topic: Topic::DeadLetters, partition, key: &key, value: &value, headers: &headers })?;
            }
            (Ok(LogRecord::Event(event)), None) => {
                self.ids.retain(|id| *id != event.event_id.0);
                self.appended.stored -= 1;
                self.appended.of(&event.format).stored -= 1;
                let mut letter = letter::too_large(*event, bytes, smaller);
                letter.raw.truncate(letter.raw.floor_char_boundary(REFUSED_RAW_BYTES));
                self.dead_letter(seen, letter)?;
            }
            _ => {}
        }
        alone = self.producer.settle(&self.batch)?;
        if let Some(refused) = alone.refused.first() {
            return Err(Error::Settings {
                message: format!("{} takes no record of {} bytes: raise its max.message.bytes", refused.topic, refused.value.len()),
            });
        }
        merge(outcome, alone);
        Ok(())
    }
}

/// What is kept of an event that the brokers refused, without saying how much they take.
const REFUSED_RAW_BYTES: usize = 16 << 10;

fn merge(outcome: &mut Outcome, other: Outcome) {
    for (place, end) in other.ends {
        let known = outcome.ends.entry(place).or_default();
        *known = (*known).max(end);
    }
}

/// How long the topics are asked for their largest record; a broker that does not know the question does not answer.
const ASK_MS_MAX: u64 = 3_000;

impl KafkaLog {
    /// The most bytes that a record's key and value may have: what the options say, and what the topics take.
    fn bytes_max(&self) -> usize {
        let asked = *self.topic_bytes_max.get_or_init(|| {
            super::topics::message_bytes_max(&self.options, Duration::from_millis(self.options.connect_timeout_ms.min(ASK_MS_MAX))).unwrap_or_else(|error| {
                tracing::debug!(%error, "the topics do not say how large a record may be; what they refuse is sent again alone");
                None
            })
        });
        self.options.message_bytes_max.min(asked.unwrap_or(usize::MAX)).saturating_sub(OVERHEAD_BYTES).max(OVERHEAD_BYTES)
    }

    pub(super) fn producer(&self) -> Result<Arc<Producer>, Error> {
        let bytes_max = self.bytes_max();
        let mut slot = hold(&self.producer);
        if let Some(producer) = &*slot {
            return Ok(Arc::clone(producer));
        }
        let producer = Arc::new(Producer::open(&self.options, &self.context, bytes_max)?);
        *slot = Some(Arc::clone(&producer));
        Ok(producer)
    }

    /// Lets go of a producer that has failed: the next append makes another.
    fn discard(&self, failed: &Arc<Producer>) {
        let mut slot = hold(&self.producer);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, failed)) {
            *slot = None;
        }
    }
}
