//! A place in a partition: one consumer, assigned once at an explicit offset, that hands out records in order. It does not know what they mean.
//!
//! It is never moved: who wants to read elsewhere makes another. So no record of an earlier place can be taken for one of this place.

use std::time::{Duration, Instant};

use keytrail_schemas::Topic;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage, Timestamp};
use rdkafka::topic_partition_list::Offset;

use super::super::Error;
use super::client::{Context, Patience, is_transient, plain, watermarks};
use super::options::Options;

/// The group that readers name; nobody joins it, and nothing is committed to it.
const GROUP: &str = "keytrail-reader";
/// How long one wait for the broker may be, before what else there is to do is looked at.
const SLICE: Duration = Duration::from_millis(500);

/// A place in a partition.
pub struct Cursor {
    options: Options,
    context: Context,
    consumer: BaseConsumer<Context>,
    topic: Topic,
    partition: i32,
    /// Every record before it was handed out.
    position: i64,
    /// The log's end as it was before the consumer was assigned.
    end_before: i64,
    /// A record that was waited for and not handed out yet.
    waiting: Option<OwnedMessage>,
}

/// A record as it lies in the log.
#[derive(Debug)]
pub struct Raw<'a> {
    pub offset: i64,
    /// Milliseconds since 1970, as its producer or broker says.
    pub timestamp_ms: i64,
    /// The time is the broker's.
    pub is_broker_time: bool,
    pub value: &'a [u8],
}

/// A record that was taken out of the client's memory.
#[derive(Debug)]
pub struct Kept {
    pub offset: i64,
    timestamp_ms: i64,
    is_broker_time: bool,
    value: Vec<u8>,
}

impl Raw<'_> {
    pub fn keep(&self) -> Kept {
        Kept { offset: self.offset, timestamp_ms: self.timestamp_ms, is_broker_time: self.is_broker_time, value: self.value.to_vec() }
    }
}

impl Kept {
    pub fn lend(&self) -> Raw<'_> {
        Raw { offset: self.offset, timestamp_ms: self.timestamp_ms, is_broker_time: self.is_broker_time, value: &self.value }
    }
}

enum Polled<T> {
    Record(T),
    /// Nothing came within the time.
    Nothing,
    /// The consumer stands at what it takes for the end.
    End,
}

impl Cursor {
    /// A cursor whose first record is at `from` or after it.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the log starts after `from`.
    pub fn open(options: &Options, context: &Context, topic: Topic, partition: i32, from: i64) -> Result<Self, Error> {
        let consumer: BaseConsumer<Context> =
            options.consumer(GROUP).create_with_context(context.clone()).map_err(|error| plain(&options.brokers, "making a consumer", &error))?;
        let (start, end) = watermarks(consumer.client(), options, topic, partition)?;
        if from < start {
            return Err(Error::Truncated { topic, partition, from, start });
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic.as_str(), partition, Offset::Offset(from))
            .and_then(|()| consumer.assign(&list))
            .map_err(|error| plain(&options.brokers, &format!("reading {topic}/{partition}"), &error))?;
        Ok(Self { options: options.clone(), context: context.clone(), consumer, topic, partition, position: from, end_before: end, waiting: None })
    }

    /// Every record before it was handed out.
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// Hands out the next record if it is there already.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_ready<R>(&mut self, take: impl FnOnce(Raw<'_>) -> R) -> Result<Option<R>, Error> {
        match self.poll(Duration::ZERO, take)? {
            Polled::Record(taken) => Ok(Some(taken)),
            Polled::Nothing | Polled::End => Ok(None),
        }
    }

    /// Hands out the next record below `end`, an offset that the log is known to have reached, and waits for it. `None`: no record lies between
    /// the position and `end`, and the position is `end` now.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the log was cut, [`Error::Unreachable`] when the brokers are away for too long.
    pub fn next<R>(&mut self, end: i64, take: impl FnOnce(Raw<'_>) -> R) -> Result<Option<R>, Error> {
        let what = format!("reading {}/{} at offset {}", self.topic, self.partition, self.position);
        let brokers = self.options.brokers.clone();
        let mut patience = Patience::new(&brokers, what, self.options.outage_ms_max);
        let mut take = Some(take);
        while self.position < end {
            let polled = self.poll(SLICE, |raw| take.take().map(|take| take(raw)))?;
            match polled {
                Polled::Record(taken) => return Ok(taken),
                Polled::Nothing => patience.waited("no record came")?,
                // What it takes for the end may be older than what the caller knows.
                Polled::End if self.end_before < end => *self = Self::open(&self.options, &self.context, self.topic, self.partition, self.position)?,
                Polled::End => self.position = end, // A hole up to the end: markers of transactions, or records that were compacted away.
            }
        }
        Ok(None)
    }

    /// Waits until there is a record; says whether there is.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        if self.waiting.is_some() {
            return true;
        }
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(left) {
                Some(Ok(message)) if message.offset() >= self.position => {
                    self.waiting = Some(message.detach());
                    return true;
                }
                // Another error shows itself to whoever reads.
                Some(Err(error)) if !matches!(error, KafkaError::PartitionEOF(_)) && !is_transient(&error) => return true,
                Some(_) | None => {}
            }
            if left.is_zero() {
                return false;
            }
        }
    }

    fn poll<R>(&mut self, timeout: Duration, take: impl FnOnce(Raw<'_>) -> R) -> Result<Polled<R>, Error> {
        if let Some(message) = self.waiting.take() {
            self.position = message.offset() + 1;
            return Ok(Polled::Record(take(raw(&message))));
        }
        let error = loop {
            match self.consumer.poll(timeout) {
                None => return Ok(Polled::Nothing),
                Some(Ok(message)) if message.offset() < self.position => {}
                Some(Ok(message)) => {
                    self.position = message.offset() + 1;
                    return Ok(Polled::Record(take(raw(&message))));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Polled::End),
                Some(Err(error)) => break error,
            }
        };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::NoOffset | RDKafkaErrorCode::LogTruncation) => {
                Err(self.out_of_range())
            }
            _ if is_transient(&error) => Ok(Polled::Nothing),
            _ => Err(plain(&self.options.brokers, &format!("reading {}/{}", self.topic, self.partition), &error)),
        }
    }

    /// Why the broker does not hold the position.
    fn out_of_range(&self) -> Error {
        let (topic, partition, from) = (self.topic, self.partition, self.position);
        match watermarks(self.consumer.client(), &self.options, topic, partition) {
            Err(error) => error,
            Ok((start, _)) if from < start => Error::Truncated { topic, partition, from, start },
            Ok((_, end)) => Error::Topics {
                brokers: self.options.brokers.clone(),
                message: format!(
                    "{topic}/{partition} ends at offset {end}, and offset {from} was read or stored before: the topic was made again, or its brokers lost \
                     records. Put the log back that this lake was written from, or begin a new lake"
                ),
            },
        }
    }
}

fn raw<M: Message>(message: &M) -> Raw<'_> {
    let time = message.timestamp();
    Raw {
        offset: message.offset(),
        timestamp_ms: time.to_millis().unwrap_or(0),
        is_broker_time: matches!(time, Timestamp::LogAppendTime(_)),
        value: message.payload().unwrap_or_default(),
    }
}
