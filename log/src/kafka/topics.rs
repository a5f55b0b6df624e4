//! The three topics: made, looked at, and explained. What is there already is reported and left as it is, but for more partitions where they are
//! asked for.

use std::time::Duration;

use keytrail_schemas::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::super::Error;
use super::client::{Context, block_on, is_transient, plain, why_unreachable};
use super::options::Options;

/// What the topics are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Partitions of each topic. Identities are spread over them, and each partition is judged alone.
    pub partitions: i32,
    /// On how many brokers each record lies; `None`: on three, or on all where there are fewer.
    pub replication_factor: Option<i32>,
    /// How long events are held, in milliseconds; -1 for ever. The lake is their archive.
    pub events_retention_ms: i64,
    /// How long findings and dead letters are held, in milliseconds; -1 for ever.
    pub rows_retention_ms: i64,
    /// The most bytes of one message.
    pub message_bytes_max: usize,
    /// Whether partitions may be added to topics that have fewer. The events of an identity may lie in another partition from then on, whose
    /// detector knows nothing of it.
    pub grow: bool,
}

impl Default for Spec {
    fn default() -> Self {
        const DAY_MS: i64 = 86_400_000;
        Self { partitions: 1, replication_factor: None, events_retention_ms: 30 * DAY_MS, rows_retention_ms: -1, message_bytes_max: 16 << 20, grow: false }
    }
}

/// How a topic stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its name.
    pub topic: String,
    /// Whether it is there.
    pub exists: bool,
    /// Whether it was made just now.
    pub created: bool,
    /// Its partitions.
    pub partitions: i32,
    /// On how many brokers each record lies.
    pub replication: i32,
    /// Where it is not as asked for, or as needed, and what to do about it, for a person.
    pub differences: Vec<String>,
    /// What was done to it, and what follows.
    pub notes: Vec<String>,
}

/// Makes the topics that are missing, adds partitions where [`Spec::grow`] says so, and reports how they stand.
///
/// # Errors
/// [`Error::Unreachable`] when no broker answers or one refuses; [`Error::Topics`] when a topic cannot be made as asked for.
pub fn apply(options: &Options, spec: &Spec) -> Result<Vec<Report>, Error> {
    let admin = Admin::open(options)?;
    let before = admin.look()?;
    let replication = spec.replication_factor.unwrap_or(before.brokers.clamp(1, 3));
    let missing: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| before.of(*topic).is_none()).collect();
    admin.create(&missing, spec, replication)?;
    let mut grown = Vec::new();
    if spec.grow {
        grown = before.topics.iter().filter(|(_, shape)| shape.partitions < spec.partitions).map(|(topic, shape)| (*topic, shape.partitions)).collect();
        admin.grow(&grown, spec.partitions)?;
    }
    let mut reports = admin.report_when_visible(spec, &missing)?;
    for (topic, partitions) in grown {
        if let Some(report) = reports.iter_mut().find(|report| report.topic == topic.as_str()) {
            report.notes.push(format!(
                "it had {partitions} partitions and has {} now: the events of an identity may lie in another partition from here on, whose detector learns \
                 the identity anew",
                spec.partitions
            ));
        }
    }
    Ok(reports)
}

/// Reports how the topics stand beside what keytrail needs, whatever they were made with, and changes nothing.
///
/// # Errors
/// [`Error::Unreachable`] when no broker answers or one refuses.
pub fn check(options: &Options) -> Result<Vec<Report>, Error> {
    let admin = Admin::open(options)?;
    let shapes = admin.look()?;
    let partitions = shapes.of(Topic::Events).map_or(0, |shape| shape.partitions);
    admin.report(&shapes, |topic, shape, config| needs(topic, shape, config, options, partitions, shapes.brokers))
}

/// How many partitions the three topics have.
///
/// # Errors
/// [`Error::Topics`] when one is missing, or they differ; [`Error::Unreachable`] when no broker answers.
pub(super) fn partitions(client: &BaseConsumer<Context>, options: &Options, patience: Duration) -> Result<i32, Error> {
    let shapes = look(client, options, patience)?;
    let wrong = |message: String| Error::Topics { brokers: options.brokers.clone(), message };
    let missing: Vec<&str> = Topic::ALL.into_iter().filter(|topic| shapes.of(*topic).is_none()).map(Topic::as_str).collect();
    if !missing.is_empty() {
        return Err(wrong(format!("there is no topic {}: run `keytrail topics apply`", missing.join(", "))));
    }
    let counts: Vec<i32> = shapes.topics.iter().map(|(_, shape)| shape.partitions).collect();
    match counts.first() {
        Some(first) if counts.iter().all(|count| count == first) => Ok(*first),
        _ => Err(wrong(format!(
            "the topics have different numbers of partitions ({}), and a finding lies in the partition of its cause: run `keytrail topics apply --grow`",
            shapes.topics.iter().map(|(topic, shape)| format!("{topic} {}", shape.partitions)).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// The most bytes of a record that the topics which appends write to take; `None` where they do not say.
pub(super) fn message_bytes_max(options: &Options, patience: Duration) -> Result<Option<usize>, Error> {
    let admin = Admin::open(options)?;
    let topics = [Topic::Events, Topic::DeadLetters];
    let configs = admin.describe(&topics, patience)?;
    Ok(configs.iter().filter_map(|config| value_of(config, "max.message.bytes")?.parse().ok()).min())
}

#[derive(Debug)]
struct Shapes {
    brokers: i32,
    topics: Vec<(Topic, Shape)>,
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    partitions: i32,
    replication: i32,
}

impl Shapes {
    fn of(&self, topic: Topic) -> Option<Shape> {
        self.topics.iter().find(|(known, _)| *known == topic).map(|(_, shape)| *shape)
    }
}

fn look(client: &BaseConsumer<Context>, options: &Options, patience: Duration) -> Result<Shapes, Error> {
    let mut shapes = Shapes { brokers: 0, topics: Vec::new() };
    for topic in Topic::ALL {
        let found = client.fetch_metadata(Some(topic.as_str()), patience).map_err(|error| unreachable(options, &error, patience))?;
        shapes.brokers = i32::try_from(found.brokers().len()).unwrap_or(i32::MAX);
        let Some(known) = found.topics().iter().find(|known| known.name() == topic.as_str()) else { continue };
        if let Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) = known.error().map(RDKafkaErrorCode::from) {
            return Err(plain(&options.brokers, &format!("asking for {topic}"), &KafkaError::MetadataFetch(code)));
        }
        if known.error().is_none() && !known.partitions().is_empty() {
            let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
            let replication = known.partitions().iter().map(|partition| count(partition.replicas().len())).min().unwrap_or(0);
            shapes.topics.push((topic, Shape { partitions: count(known.partitions().len()), replication }));
        }
    }
    Ok(shapes)
}

fn unreachable(options: &Options, error: &KafkaError, patience: Duration) -> Error {
    if is_transient(error) {
        let why = why_unreachable(options).unwrap_or_else(|| error.to_string());
        return Error::Unreachable {
            brokers: options.brokers.clone(),
            message: format!(
                "no broker answered within {} s ({why}): start them, or check the address, the network, and the security.* properties",
                patience.as_secs_f32()
            ),
        };
    }
    plain(&options.brokers, "asking for the topics", error)
}

fn value_of<'a>(config: &'a ConfigResource, name: &str) -> Option<&'a str> {
    config.get(name)?.value.as_deref()
}

/// What a topic's settings are to be.
fn wanted(topic: Topic, spec: &Spec, replication: i32) -> Vec<(&'static str, String)> {
    let retention_ms = if topic == Topic::Events { spec.events_retention_ms } else { spec.rows_retention_ms };
    let mut wanted = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", retention_ms.to_string()),
        ("compression.type", "producer".to_owned()),
        // One clock, the broker's, for what is held and for ticks: a collector whose clock is wrong neither is refused nor moves the others' time.
        ("message.timestamp.type", BROKER_TIME.to_owned()),
        ("max.message.bytes", spec.message_bytes_max.to_string()),
    ];
    if replication >= 3 {
        wanted.push(("min.insync.replicas", "2".to_owned()));
    }
    wanted
}

/// Records bear the broker's time.
const BROKER_TIME: &str = "LogAppendTime";
/// How long a new topic may take to be known to the broker that is asked.
const VISIBLE: Duration = Duration::from_secs(10);

struct Admin<'a> {
    client: AdminClient<Context>,
    observer: BaseConsumer<Context>,
    options: &'a Options,
    patience: Duration,
}

impl<'a> Admin<'a> {
    fn open(options: &'a Options) -> Result<Self, Error> {
        options.check()?;
        let fail = |error| plain(&options.brokers, "making a client", &error);
        let patience = Duration::from_millis(options.connect_timeout_ms);
        let client = options.client().create_with_context(Context::default()).map_err(fail)?;
        let observer = options.client().create_with_context(Context::default()).map_err(fail)?;
        Ok(Self { client, observer, options, patience })
    }

    fn look(&self) -> Result<Shapes, Error> {
        look(&self.observer, self.options, self.patience)
    }

    fn request(&self) -> AdminOptions {
        let patience = Duration::from_millis(self.options.request_timeout_ms);
        AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(patience))
    }

    fn refused(&self, topic: &str, code: RDKafkaErrorCode) -> Error {
        let advice = match code {
            RDKafkaErrorCode::InvalidReplicationFactor => ": there are fewer brokers than copies asked for",
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => ": this user may not make topics",
            RDKafkaErrorCode::PolicyViolation => ": the cluster's policy forbids it",
            _ => "",
        };
        Error::Topics { brokers: self.options.brokers.clone(), message: format!("{topic}: {code}{advice}") }
    }

    fn create(&self, topics: &[Topic], spec: &Spec, replication: i32) -> Result<(), Error> {
        if topics.is_empty() {
            return Ok(());
        }
        let settings: Vec<_> = topics.iter().map(|topic| (*topic, wanted(*topic, spec, replication))).collect();
        let new: Vec<NewTopic<'_>> = settings
            .iter()
            .map(|(topic, settings)| {
                let new = NewTopic::new(topic.as_str(), spec.partitions, TopicReplication::Fixed(replication));
                settings.iter().fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        let made = block_on(self.client.create_topics(&new, &self.request())).map_err(|error| plain(&self.options.brokers, "making topics", &error))?;
        for outcome in made {
            match outcome {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(self.refused(&topic, code)),
            }
        }
        Ok(())
    }

    fn grow(&self, topics: &[(Topic, i32)], partitions: i32) -> Result<(), Error> {
        if topics.is_empty() {
            return Ok(());
        }
        let new: Vec<NewPartitions<'_>> =
            topics.iter().map(|(topic, _)| NewPartitions::new(topic.as_str(), usize::try_from(partitions).unwrap_or(1))).collect();
        let made = block_on(self.client.create_partitions(&new, &self.request())).map_err(|error| plain(&self.options.brokers, "adding partitions", &error))?;
        made.into_iter().try_for_each(|outcome| outcome.map(drop).map_err(|(topic, code)| self.refused(&topic, code)))
    }

    fn describe(&self, topics: &[Topic], patience: Duration) -> Result<Vec<ConfigResource>, Error> {
        let names: Vec<ResourceSpecifier<'_>> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic.as_str())).collect();
        let request = AdminOptions::new().request_timeout(Some(patience));
        let found = block_on(self.client.describe_configs(&names, &request))
            .map_err(|error| plain(&self.options.brokers, "asking for the topics' settings", &error))?;
        Ok(found.into_iter().filter_map(Result::ok).collect())
    }

    fn report(&self, shapes: &Shapes, differences: impl Fn(Topic, Shape, Option<&ConfigResource>) -> Vec<String>) -> Result<Vec<Report>, Error> {
        let mut reports = Vec::new();
        for topic in Topic::ALL {
            let mut report = Report {
                topic: topic.as_str().to_owned(),
                exists: false,
                created: false,
                partitions: 0,
                replication: 0,
                differences: Vec::new(),
                notes: Vec::new(),
            };
            if let Some(shape) = shapes.of(topic) {
                (report.exists, report.partitions, report.replication) = (true, shape.partitions, shape.replication);
                let configs = self.describe(&[topic], Duration::from_millis(self.options.request_timeout_ms))?;
                report.differences = differences(topic, shape, configs.first());
            } else {
                report.differences.push("it does not exist: run `keytrail topics apply`".to_owned());
            }
            reports.push(report);
        }
        Ok(reports)
    }

    /// A report in which new topics and partitions show: brokers learn of them a moment later.
    fn report_when_visible(&self, spec: &Spec, created: &[Topic]) -> Result<Vec<Report>, Error> {
        let started = std::time::Instant::now();
        let mut shapes;
        loop {
            shapes = self.look()?;
            let visible = Topic::ALL.into_iter().all(|topic| shapes.of(topic).is_some_and(|shape| !spec.grow || shape.partitions >= spec.partitions));
            if visible || started.elapsed() > VISIBLE {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut reports = self.report(&shapes, |topic, shape, config| differences(topic, shape, spec, config))?;
        for report in &mut reports {
            report.created = created.iter().any(|topic| topic.as_str() == report.topic);
        }
        Ok(reports)
    }
}

/// Least time that events are to be held: a role that was away for a weekend finds them still.
const RETENTION_MS_MIN: i64 = 3 * 86_400_000;

fn needs(topic: Topic, shape: Shape, config: Option<&ConfigResource>, options: &Options, partitions: i32, brokers: i32) -> Vec<String> {
    let mut out = Vec::new();
    if shape.partitions != partitions {
        out.push(format!("it has {} partitions, and {} has {partitions}: run `keytrail topics apply --grow`", shape.partitions, Topic::Events));
    }
    if shape.replication < brokers.min(2) {
        out.push(format!("its records lie on {} of {brokers} brokers: what that one loses is lost; kafka-reassign-partitions spreads them", shape.replication));
    }
    let Some(config) = config else {
        out.push("its settings cannot be read: this user may not".to_owned());
        return out;
    };
    let number = |key: &str| value_of(config, key).and_then(|value| value.parse::<i64>().ok());
    if value_of(config, "cleanup.policy") != Some("delete") {
        out.push(format!(
            "cleanup.policy is not delete: records would vanish from its middle; kafka-configs --alter --topic {topic} --add-config cleanup.policy=delete"
        ));
    }
    if number("retention.ms").is_some_and(|held| (0..RETENTION_MS_MIN).contains(&held)) {
        out.push(format!("it holds records for less than {} days: a role that is away for longer loses some", RETENTION_MS_MIN / 86_400_000));
    }
    if topic == Topic::Events && value_of(config, "message.timestamp.type") != Some(BROKER_TIME) {
        out.push(format!(
            "message.timestamp.type is not {BROKER_TIME}: a collector whose clock is ahead makes every identity look silent; kafka-configs --alter --topic {topic} \
             --add-config message.timestamp.type={BROKER_TIME}"
        ));
    }
    if number("max.message.bytes").is_some_and(|max| max < i64::try_from(options.message_bytes_max).unwrap_or(i64::MAX)) {
        out.push(format!("max.message.bytes is below {}: longer events are dead-lettered; set it, or lower log.message_bytes_max", options.message_bytes_max));
    }
    if shape.replication >= 3 && number("min.insync.replicas").is_some_and(|replicas| replicas < 2) {
        out.push("min.insync.replicas is below 2: a record is acknowledged that only one broker has".to_owned());
    }
    out
}

fn differences(topic: Topic, shape: Shape, spec: &Spec, config: Option<&ConfigResource>) -> Vec<String> {
    let mut out = Vec::new();
    if shape.partitions < spec.partitions {
        out.push(format!(
            "it has {} partitions, and {} were asked for: add them with --grow; the events of an identity may then lie in another partition",
            shape.partitions, spec.partitions
        ));
    } else if shape.partitions > spec.partitions {
        out.push(format!("it has {} partitions, and {} were asked for: partitions cannot be taken away", shape.partitions, spec.partitions));
    }
    if let Some(replication) = spec.replication_factor
        && shape.replication != replication
    {
        out.push(format!("its records lie on {} brokers, and {replication} were asked for: kafka-reassign-partitions moves them", shape.replication));
    }
    let Some(config) = config else {
        out.push("its settings cannot be read: this user may not".to_owned());
        return out;
    };
    for (key, value) in wanted(topic, spec, shape.replication) {
        let there = value_of(config, key).unwrap_or("unset");
        if there != value {
            out.push(format!("{key} is {there}, and {value} was asked for: kafka-configs --alter --topic {topic} --add-config {key}={value}"));
        }
    }
    out
}
