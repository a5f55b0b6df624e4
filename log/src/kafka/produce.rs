//! Sends records and waits until the brokers have acknowledged them. It does not know what they mean.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keytrail_schemas::Topic;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rustc_hash::FxHashMap;

use super::super::Error;
use super::client::{Context, Patience, plain};
use super::options::Options;

/// Sends records.
pub struct Producer {
    inner: ThreadedProducer<Reports>,
    options: Options,
}

/// One record to send.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub topic: Topic,
    /// `None`: the key decides.
    pub partition: Option<i32>,
    pub key: &'a str,
    pub value: &'a [u8],
    pub headers: &'a [(&'static str, &'a str)],
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The offset after the last record that was acknowledged, by topic and partition.
    pub ends: FxHashMap<(Topic, i32), i64>,
    /// Values that the brokers refused as too large, with their keys and partitions; with them whatever travelled in the same request.
    pub refused: Vec<Refused>,
    failure: Option<KafkaError>,
}

/// A record that the brokers refused as too large.
#[derive(Debug)]
pub struct Refused {
    pub topic: Topic,
    pub partition: i32,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// A batch under way: how many of its records are not acknowledged yet, and what became of the others.
#[derive(Debug, Default)]
pub struct Batch {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    outcome: Outcome,
}

impl Batch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Reports(Context);

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats(&self, statistics: rdkafka::Statistics) {
        self.0.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        let mut state = batch.state();
        match result {
            Ok(message) => {
                if let Some(topic) = topic_of(message.topic()) {
                    let end = state.outcome.ends.entry((topic, message.partition())).or_default();
                    *end = (*end).max(message.offset() + 1);
                }
            }
            Err((error, message)) if is_too_large(error) && topic_of(message.topic()).is_some() => {
                let (key, value) = (message.key().unwrap_or_default().to_vec(), message.payload().unwrap_or_default().to_vec());
                if let Some(topic) = topic_of(message.topic()) {
                    state.outcome.refused.push(Refused { topic, partition: message.partition(), key, value });
                }
            }
            Err((error, _)) => {
                state.outcome.failure.get_or_insert_with(|| error.clone());
            }
        }
        state.open = state.open.saturating_sub(1);
        if state.open == 0 {
            batch.settled.notify_all();
        }
    }
}

fn topic_of(name: &str) -> Option<Topic> {
    Topic::ALL.into_iter().find(|topic| topic.as_str() == name)
}

/// Whether a broker, or the client before it, found a record too large.
fn is_too_large(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge))
}

impl Producer {
    /// Opens a producer; it connects when it is used.
    ///
    /// # Errors
    /// [`Error::Settings`] when librdkafka refuses a property.
    pub fn open(options: &Options, context: &Context, batch_bytes_max: usize) -> Result<Self, Error> {
        let mut config = options.producer();
        if !options.properties.contains_key("batch.size") {
            // A batch that is larger than what the topic allows would be refused as a whole.
            config.set("batch.size", batch_bytes_max.clamp(1, 1_000_000).to_string());
        }
        let inner = config.create_with_context(Reports(context.clone())).map_err(|error| plain(&options.brokers, "making a producer", &error))?;
        Ok(Self { inner, options: options.clone() })
    }

    /// Sends a record as part of `batch`. Waits while the queue is full.
    ///
    /// # Errors
    /// When it cannot be queued.
    pub fn send(&self, batch: &Arc<Batch>, record: &Record<'_>) -> Result<(), Error> {
        let mut patience = None;
        batch.state().open += 1;
        loop {
            let mut message = BaseRecord::with_opaque_to(record.topic.as_str(), Arc::clone(batch)).key(record.key).payload(record.value);
            message.partition = record.partition;
            if !record.headers.is_empty() {
                message.headers =
                    Some(record.headers.iter().fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (key, value)| {
                        headers.insert(Header { key, value: Some(*value) })
                    }));
            }
            let error = match self.inner.send(message) {
                Ok(()) => return Ok(()),
                Err((error, _)) => error,
            };
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                let patience = patience.get_or_insert_with(|| {
                    Patience::new(&self.options.brokers, format!("writing to {}", record.topic), self.options.outage_ms_max.saturating_mul(2))
                });
                patience.waited("the queue is full")?;
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let mut state = batch.state();
            state.open = state.open.saturating_sub(1);
            if is_too_large(&error) {
                let (key, value) = (record.key.as_bytes().to_vec(), record.value.to_vec());
                state.outcome.refused.push(Refused { topic: record.topic, partition: record.partition.unwrap_or(-1), key, value });
                return Ok(());
            }
            return Err(plain(&self.options.brokers, &format!("writing to {}", record.topic), &error));
        }
    }

    /// Waits until every record of the batch is acknowledged or given up.
    ///
    /// # Errors
    /// When one was given up, for another reason than its size.
    pub fn settle(&self, batch: &Batch) -> Result<Outcome, Error> {
        let mut state = batch.state();
        let mut patience = Patience::new(&self.options.brokers, "waiting for acknowledgements".into(), self.options.outage_ms_max.saturating_mul(2));
        while state.open > 0 {
            state = batch.settled.wait_timeout_while(state, Duration::from_secs(1), |state| state.open > 0).unwrap_or_else(PoisonError::into_inner).0;
            if state.open > 0 {
                patience.waited("the brokers have not acknowledged yet")?;
            }
        }
        let mut outcome = std::mem::take(&mut state.outcome);
        drop(state);
        match outcome.failure.take() {
            None => Ok(outcome),
            Some(error) => {
                let fatal = self.inner.client().fatal_error().map(|(_, reason)| format!(" ({reason})")).unwrap_or_default();
                Err(plain(&self.options.brokers, &format!("writing{fatal}"), &error))
            }
        }
    }
}
