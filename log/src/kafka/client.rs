//! One client of librdkafka: what it logs, what it reports, and its errors in plain words. It knows no topic.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use keytrail_schemas::Topic;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::super::Error;
use super::hold;
use super::statistics::Board;

/// What librdkafka calls back.
#[derive(Debug, Clone, Default)]
pub struct Context {
    pub board: Arc<Board>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => tracing::warn!(facility, "librdkafka: {message}"),
            // A broker that is away is logged once by whoever waits for it.
            _ => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.board.note(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "a position could not be committed; it serves monitoring only");
        }
    }
}

/// Hears why brokers cannot be reached.
#[derive(Default)]
struct Probe(Mutex<Option<String>>);

impl ClientContext for Probe {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            hold(&self.0).get_or_insert_with(|| reason.to_owned());
        }
    }

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {message}");
    }
}

impl ProducerContext for Probe {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// Why no broker can be reached, in librdkafka's words: a consumer is told the code alone, so a producer that sends nothing asks.
pub fn why_unreachable(options: &super::Options) -> Option<String> {
    /// What fails, fails at once; a broker that does not answer at all says nothing.
    const PATIENCE: Duration = Duration::from_secs(2);
    let probe: BaseProducer<Probe> = options.client().create_with_context(Probe::default()).ok()?;
    let _ = probe.client().fetch_metadata(None, PATIENCE); // Not for its answer.
    probe.poll(Duration::from_millis(100));
    hold(&probe.context().0).take()
}

/// Whether waiting may help.
pub fn is_transient(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        matches!(
            code,
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::DestroyBroker // The cluster no longer names it: others have its partitions
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::TimedOutQueue
                | RDKafkaErrorCode::WaitCache
                | RDKafkaErrorCode::WaitingForCoordinator
                | RDKafkaErrorCode::UnknownBroker
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::BrokerNotAvailable
                | RDKafkaErrorCode::ReplicaNotAvailable
                | RDKafkaErrorCode::NetworkException
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::NotController
                | RDKafkaErrorCode::KafkaStorageError
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::OffsetNotAvailable
                | RDKafkaErrorCode::FetchSessionIdNotFound
                | RDKafkaErrorCode::InvalidFetchSessionEpoch
                | RDKafkaErrorCode::Retry
                | RDKafkaErrorCode::GroupAuthorizationFailed // of a reader, which is in no group
        )
    })
}

/// A patience that runs out: waits while brokers are away, and says so once.
#[derive(Debug)]
pub struct Patience<'a> {
    brokers: &'a str,
    what: String,
    started: Instant,
    limit: Duration,
    warned: bool,
}

/// An outage shorter than this is not worth a word.
const QUIET: Duration = Duration::from_secs(5);

impl<'a> Patience<'a> {
    pub fn new(brokers: &'a str, what: String, limit_ms: u64) -> Self {
        Self { brokers, what, started: Instant::now(), limit: Duration::from_millis(limit_ms), warned: false }
    }

    /// Notes that nothing came.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it has lasted too long.
    pub fn waited(&mut self, cause: &str) -> Result<(), Error> {
        let waited = self.started.elapsed();
        if waited >= self.limit {
            return Err(Error::Unreachable {
                brokers: self.brokers.to_owned(),
                message: format!("{}: no answer for {} s ({cause}): start the brokers, or check the address and the network", self.what, waited.as_secs()),
            });
        }
        if waited >= QUIET && !self.warned {
            self.warned = true;
            tracing::warn!(brokers = self.brokers, cause, "{}: the brokers do not answer; waiting for them", self.what);
        }
        Ok(())
    }
}

/// An error of the client in plain words.
pub fn plain(brokers: &str, what: &str, error: &KafkaError) -> Error {
    let code = error.rdkafka_error_code();
    let advice = match code {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed) => {
            ": this user lacks a permission: deploy/README.md lists those that each role needs"
        }
        Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL) => {
            ": check the security.*, sasl.* and ssl.* properties"
        }
        Some(RDKafkaErrorCode::NotEnoughReplicas | RDKafkaErrorCode::NotEnoughReplicasAfterAppend) => {
            ": fewer replicas are alive than min.insync.replicas asks for"
        }
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => ": run `keytrail topics apply`",
        _ => "",
    };
    if let KafkaError::ClientConfig(_, description, key, _) = error {
        return Error::Settings { message: format!("{key}: {description}") };
    }
    Error::Unreachable { brokers: brokers.to_owned(), message: format!("{what}: {error}{advice}") }
}

/// First offset held and next offset to be given, asked of the broker; waits while it is away.
pub fn watermarks<C: ClientContext>(client: &Client<C>, options: &super::Options, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
    let mut patience = Patience::new(&options.brokers, format!("asking for the ends of {topic}/{partition}"), options.outage_ms_max);
    loop {
        match client.fetch_watermarks(topic.as_str(), partition, Duration::from_millis(options.request_timeout_ms)) {
            Ok(found) => return Ok(found),
            Err(error) if is_transient(&error) => {
                patience.waited(&error.to_string())?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => return Err(plain(&options.brokers, &format!("asking for the ends of {topic}/{partition}"), &error)),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an admin request, which librdkafka's own thread completes.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut task = TaskContext::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut task) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
