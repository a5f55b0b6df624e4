//! Membership: which partitions of a topic this process serves, when several serve them. It says what was assigned, where to begin, and what must
//! be let go of; it hands out no record.
//!
//! The member's own consumer is paused as soon as it is assigned, and records are read with [`EventLog`](super::super::EventLog)'s cursors, which
//! know nothing of the group. So a rebalance stops no partition that stays, and no record of a partition that was given away can be taken for one
//! of a partition that came.
//!
//! While a partition is being revoked the group waits, up to [`Options::release_ms_max`](super::Options::release_ms_max), until every [`Release`] is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use keytrail_schemas::Topic;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

use super::super::Error;
use super::client::{Context, is_transient, plain};
use super::{KafkaLog, hold};

/// Says at which offset a partition is to be continued.
pub type Resume = Arc<dyn Fn(i32) -> Result<i64, String> + Send + Sync>;

/// The id of the consumer group of a role.
pub fn id(role: &str) -> String {
    format!("keytrail-{role}")
}

/// What changed in what this process serves.
#[derive(Debug)]
pub enum Change {
    /// A partition is to be served from now on.
    Assigned {
        /// The partition.
        partition: i32,
        /// Where to begin, as `resume` said.
        offset: i64,
    },
    /// A partition is to be let go of; another process gets it when `release` is dropped.
    Revoked {
        /// The partition.
        partition: i32,
        /// Another process may have it already: what is not finished must not be finished.
        lost: bool,
        /// To be dropped when the role has let go.
        release: Release,
    },
}

/// Dropped by a role when it has let go of a partition.
#[derive(Debug)]
pub struct Release(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    held: Mutex<usize>,
    released: Condvar,
}

impl Gate {
    fn wait(&self, patience: Duration) -> bool {
        let held = self.released.wait_timeout_while(hold(&self.held), patience, |held| *held > 0).unwrap_or_else(PoisonError::into_inner).0;
        *held == 0
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let mut held = hold(&self.0.held);
        *held = held.saturating_sub(1);
        self.0.released.notify_all();
    }
}

/// A process's membership in the group of a role; it leaves when this is dropped.
pub struct Group {
    log: Arc<KafkaLog>,
    id: String,
    changes: Receiver<Result<Change, Error>>,
    leaving: Arc<AtomicBool>,
    /// The process ends behind it.
    is_last: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Member {
    context: Context,
    brokers: String,
    topic: Topic,
    resume: Resume,
    changes: Sender<Result<Change, Error>>,
    patience: Duration,
    leaving: Arc<AtomicBool>,
}

impl Group {
    /// Joins the group `keytrail-{role}` for `topic`. `resume` is asked on the group's own thread, for each partition that is assigned.
    ///
    /// # Errors
    /// [`Error::Settings`] or [`Error::Unreachable`] when the member cannot be made.
    pub fn join(log: Arc<KafkaLog>, topic: Topic, role: &str, resume: Resume) -> Result<Self, Error> {
        let options = log.options();
        let id = id(role);
        let (sender, changes) = unbounded();
        let leaving = Arc::new(AtomicBool::new(false));
        let mut config = options.consumer(&id);
        if options.properties.get("group.protocol").map(String::as_str) != Some("consumer") && !options.properties.contains_key("partition.assignment.strategy")
        {
            config.set("partition.assignment.strategy", "cooperative-sticky");
        }
        // What is fetched before the pause is thrown away.
        config.set("queued.min.messages", "1").set("fetch.message.max.bytes", "1024").set("enable.partition.eof", "false");
        let member = Member {
            context: log.context.clone(),
            brokers: options.brokers.clone(),
            topic,
            resume,
            changes: sender,
            patience: Duration::from_millis(options.release_ms_max),
            leaving: Arc::clone(&leaving),
        };
        let fail = |error: KafkaError| plain(&options.brokers, &format!("joining the group {id}"), &error);
        let consumer: Arc<BaseConsumer<Member>> = Arc::new(config.create_with_context(member).map_err(fail)?);
        consumer.subscribe(&[topic.as_str()]).map_err(fail)?;
        let committer: Weak<BaseConsumer<Member>> = Arc::downgrade(&consumer);
        log.set_committer(
            &id,
            Some(Box::new(move |list| committer.upgrade().map_or(Err(KafkaError::Canceled), |consumer| consumer.commit(list, CommitMode::Async)))),
        );
        let is_last = Arc::new(AtomicBool::new(false));
        let of_thread = (Arc::clone(&leaving), Arc::clone(&is_last));
        let thread = std::thread::Builder::new()
            .name(id.clone())
            .spawn(move || serve(consumer, &of_thread.0, &of_thread.1))
            .map_err(|error| Error::Settings { message: format!("a thread for the group {id} cannot be started: {error}") })?;
        Ok(Self { log, id, changes, leaving, is_last, thread: Some(thread) })
    }

    /// What changed since the last call; waits up to `timeout` for something.
    ///
    /// # Errors
    /// When `resume` failed, or the group refuses this member: the role cannot go on.
    pub fn poll(&self, timeout: Duration) -> Result<Vec<Change>, Error> {
        let first = self.changes.recv_timeout(timeout).ok();
        first.into_iter().chain(self.changes.try_iter()).collect()
    }

    /// Leaves the group as the last thing that the process does: once the group has let it go, the member's client is left as it is.
    pub fn leave_at_the_end(self) {
        self.is_last.store(true, Ordering::Release);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.leaving.store(true, Ordering::Release);
        self.log.set_committer(&self.id, None);
        // A revocation under way waits for these.
        self.changes.try_iter().for_each(drop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How long the member's thread waits for something before it looks whether it is to leave: a role that ends waits for it.
const LOOK: Duration = Duration::from_millis(50);
/// The same while it leaves.
const LOOK_LEAVING: Duration = Duration::from_millis(2);

fn serve(consumer: Arc<BaseConsumer<Member>>, leaving: &AtomicBool, is_last: &AtomicBool) {
    while !leaving.load(Ordering::Acquire) {
        match consumer.poll(LOOK) {
            None | Some(Ok(_)) => {}
            Some(Err(error)) if is_refusal(&error) => consumer.context().report(&error),
            Some(Err(error)) if is_transient(&error) || matches!(error, KafkaError::PartitionEOF(_)) => tracing::debug!(%error, "group member"),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => consumer.context().report(&error),
            Some(Err(error)) => tracing::warn!(%error, "group member"),
        }
    }
    consumer.unsubscribe();
    // The client's own end looks only once in a tenth of a second whether the group has let it go.
    if is_last.load(Ordering::Acquire) && consumer.close_queue().is_ok() {
        while !consumer.closed() {
            consumer.poll(LOOK_LEAVING);
        }
        // It would be closed a second time, and say that it cannot be.
        std::mem::forget(consumer);
    }
}

/// Whether this user may not be a member: waiting does not help.
fn is_refusal(error: &KafkaError) -> bool {
    let refusals = [RDKafkaErrorCode::GroupAuthorizationFailed, RDKafkaErrorCode::TopicAuthorizationFailed, RDKafkaErrorCode::Authentication];
    error.rdkafka_error_code().is_some_and(|code| refusals.contains(&code))
}

impl Member {
    fn report(&self, error: &KafkaError) {
        let _ = self.changes.send(Err(plain(&self.brokers, "serving as a member of a group", error)));
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        let mut assigned = Vec::new();
        for partition in partitions {
            match (self.resume)(*partition) {
                Ok(offset) => {
                    list.add_partition_offset(self.topic.as_str(), *partition, Offset::Offset(offset))?;
                    assigned.push(Change::Assigned { partition: *partition, offset });
                }
                Err(message) => {
                    let message = format!("partition {partition} of {} cannot be continued: {message}", self.topic);
                    let _ = self.changes.send(Err(Error::Topics { brokers: self.brokers.clone(), message }));
                }
            }
        }
        if is_cooperative(consumer) {
            consumer.incremental_assign(&list)?
        } else {
            consumer.assign(&list)?
        }
        if list.count() > 0 {
            consumer.pause(&list)?;
        }
        for change in assigned {
            let _ = self.changes.send(Ok(change));
        }
        Ok(())
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) -> KafkaResult<()> {
        let lost = consumer.assignment_lost();
        if !self.leaving.load(Ordering::Acquire) {
            let gate = Arc::new(Gate { held: Mutex::new(partitions.len()), released: Condvar::new() });
            for partition in partitions {
                // Where nobody listens any more the change is dropped, and the release with it.
                let _ = self.changes.send(Ok(Change::Revoked { partition: *partition, lost, release: Release(Arc::clone(&gate)) }));
            }
            if !gate.wait(self.patience) {
                tracing::error!(?partitions, "a role did not let go of its partitions in time: another process gets them now");
            }
        }
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(self.topic.as_str(), *partition);
        }
        if is_cooperative(consumer) { consumer.incremental_unassign(&list) } else { consumer.unassign() }
    }
}

fn is_cooperative(consumer: &BaseConsumer<Member>) -> bool {
    matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative)
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn stats(&self, statistics: rdkafka::Statistics) {
        self.context.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<i32> = list.elements_for_topic(self.topic.as_str()).iter().map(|element| element.partition()).collect();
        let done = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, &partitions),
            _ => self.revoke(consumer, &partitions),
        };
        if let Err(error) = done {
            self.report(&error);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, list: &TopicPartitionList) {
        self.context.commit_callback(result, list);
    }
}
