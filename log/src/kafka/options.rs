//! How a log on Kafka is opened: every bound has a name, a default, and a word on what happens at it. It builds librdkafka's settings out of
//! them; it opens nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::super::Error;
use super::super::embedded::dedupe::Horizon;

/// Options of a log on Kafka.
#[derive(Clone)]
pub struct Options {
    /// Where to find brokers: `host:port`, several with commas between them. One that answers is enough.
    pub brokers: String,
    /// Properties for librdkafka, as its CONFIGURATION.md names them. They win over keytrail's defaults; those that correctness depends on are
    /// refused when they say otherwise.
    pub properties: BTreeMap<String, String>,
    /// The folder in which a process that appends remembers which ids it wrote: nothing is written twice, whatever killed it. `None` for
    /// processes that only read; what they append is checked within each batch alone.
    pub seen_dir: Option<PathBuf>,
    /// The most ids that are remembered; the oldest are forgotten. Each takes 16 bytes on disk and 10 to 22 bytes of memory.
    pub dedupe_ids_max: u64,
    /// How many days of ingest time ids are remembered.
    pub dedupe_horizon_days: u32,
    /// A reader leaves out an event whose id stands at one of so many offsets before it: what was delivered twice further apart is read twice.
    /// 24 bytes of memory for each, for each reader of a partition. All processes must agree on it.
    pub window_records: u32,
    /// The most bytes of one message. A larger event becomes a dead letter; the topic's own `max.message.bytes` may lower it.
    pub message_bytes_max: usize,
    /// How long one request to a broker may take.
    pub request_timeout_ms: u64,
    /// How long the first contact may take, when a log is opened.
    pub connect_timeout_ms: u64,
    /// How long a broker may be away before an append or a read gives up; until then they wait.
    pub outage_ms_max: u64,
    /// Bytes fetched ahead for each reader of a partition; fetching stops there.
    pub fetch_bytes_max: usize,
    /// Bytes of records that wait to be sent; an append waits there.
    pub produce_bytes_max: usize,
    /// Records that wait to be sent or acknowledged; an append waits there.
    pub produce_records_max: u32,
    /// How long a batch of records for one partition is held open for more of them.
    pub linger_ms: u64,
    /// `zstd`, `lz4`, `gzip`, `snappy` or `none`.
    pub compression: String,
    /// How often librdkafka reports its statistics; 0 for never.
    pub statistics_interval_ms: u64,
    /// How old an answer about a partition's end may be.
    pub end_age_ms_max: u64,
    /// How long a group waits for a role to let go of a partition that goes to another process; then it goes.
    pub release_ms_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".into(),
            properties: BTreeMap::new(),
            seen_dir: None,
            dedupe_ids_max: 50_000_000,
            dedupe_horizon_days: 400,
            window_records: 262_144,
            message_bytes_max: 16 << 20,
            request_timeout_ms: 30_000,
            connect_timeout_ms: 10_000,
            outage_ms_max: 600_000,
            fetch_bytes_max: 16 << 20,
            produce_bytes_max: 64 << 20,
            produce_records_max: 200_000,
            linger_ms: 5,
            compression: "lz4".into(),
            statistics_interval_ms: 0,
            end_age_ms_max: 20,
            release_ms_max: 60_000,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of properties may be passwords.
        f.debug_struct("Options")
            .field("brokers", &self.brokers)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("seen_dir", &self.seen_dir)
            .finish_non_exhaustive()
    }
}

/// Properties that correctness depends on: their names, the values that may be given, and what would go wrong with others.
const FIXED: [(&[&str], &[&str], &str); 8] = [
    (&["enable.idempotence"], &["true"], "a retry would store records twice, or out of order"),
    (&["acks", "request.required.acks"], &["all", "-1"], "an acknowledged record could be lost with its broker"),
    (&["enable.auto.commit", "auto.commit.enable"], &["false"], "positions come from the lake and from snapshots"),
    (&["enable.auto.offset.store"], &["false"], "positions come from the lake and from snapshots"),
    (&["auto.offset.reset"], &["error"], "a log that was truncated would be skipped in silence"),
    (&["isolation.level"], &["read_uncommitted"], "keytrail's records are in no transaction, and another's open one would hold readers up"),
    (&["partitioner"], &["murmur2_random"], "an identity's events would lie in two partitions"),
    (&["enable.partition.eof"], &["true"], "holes at the end of a partition are found with it"),
];

/// Properties that keytrail sets itself.
const OWN: [(&str, &str); 4] = [
    ("bootstrap.servers", "brokers stand in the log's address"),
    ("metadata.broker.list", "brokers stand in the log's address"),
    ("transactional.id", "keytrail uses no transactions"),
    ("group.id", "groups are named after their roles"),
];

impl Options {
    /// The options of `kafka://host:port,host:port`.
    ///
    /// # Errors
    /// [`Error::Settings`] when it is no such address.
    pub fn parse_url(url: &str) -> Result<Self, Error> {
        let wrong = |message: &str| Error::Settings { message: format!("{url}: {message}: write kafka://host:port, several with commas between them") };
        let rest = url.strip_prefix("kafka://").ok_or_else(|| wrong("not an address of Kafka"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        for broker in rest.split(',') {
            let (host, port) = broker.rsplit_once(':').ok_or_else(|| wrong("a broker has no port"))?;
            let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
            if host.is_empty() || bare_v6 || host.contains(['/', '?', '@', ' ']) || port.parse::<u16>().is_err() {
                return Err(wrong("a broker is not host:port"));
            }
        }
        Ok(Self { brokers: rest.to_owned(), ..Self::default() })
    }

    /// Refuses properties that contradict what correctness depends on.
    ///
    /// # Errors
    /// [`Error::Settings`] with the property and the reason.
    pub fn check(&self) -> Result<(), Error> {
        for (key, value) in &self.properties {
            if let Some((_, allowed, why)) = FIXED.iter().find(|(names, ..)| names.contains(&key.as_str()))
                && !allowed.contains(&value.as_str())
            {
                return Err(Error::Settings { message: format!("{key} must be {}: {why}; leave it out", allowed.join(" or ")) });
            }
            if let Some((_, why)) = OWN.iter().find(|(name, _)| name == key) {
                return Err(Error::Settings { message: format!("{key} cannot be set: {why}") });
            }
        }
        Ok(())
    }

    pub(super) fn horizon(&self) -> Horizon {
        Horizon { ids_max: self.dedupe_ids_max.max(1), days: self.dedupe_horizon_days.max(1) }
    }

    /// What every client has, and the properties given.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "keytrail")
            .set("message.max.bytes", self.message_bytes_max.clamp(1_000, 1_000_000_000).to_string())
            .set("socket.keepalive.enable", "true")
            // Half of it is how long the client waits before it calls a broker that it has just heard of.
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "2000")
            .set("statistics.interval.ms", self.statistics_interval_ms.to_string())
            .set_log_level(RDKafkaLogLevel::Warning);
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        let mut default = |key: &str, value: String| {
            if !self.properties.contains_key(key) {
                config.set(key, value);
            }
        };
        default("compression.type", self.compression.clone());
        default("linger.ms", self.linger_ms.to_string());
        default("batch.num.messages", "10000".into());
        default("queue.buffering.max.kbytes", (self.produce_bytes_max / 1024).max(1).to_string());
        default("queue.buffering.max.messages", self.produce_records_max.max(1).to_string());
        default("delivery.timeout.ms", self.outage_ms_max.clamp(1_000, i32::MAX as u64).to_string());
        config.set("enable.idempotence", "true").set("acks", "all").set("partitioner", "murmur2_random");
        config
    }

    /// A consumer of `group`; what it is assigned, and where it starts, is said explicitly.
    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        let ahead = self.fetch_bytes_max.max(self.message_bytes_max).clamp(1 << 20, 1 << 30);
        let mut default = |key: &str, value: String| {
            if !self.properties.contains_key(key) {
                config.set(key, value);
            }
        };
        default("queued.max.messages.kbytes", (self.fetch_bytes_max / 1024).max(64).to_string());
        default("queued.min.messages", "100000".into());
        default("fetch.message.max.bytes", (4 << 20).to_string());
        default("fetch.max.bytes", ahead.to_string());
        default("receive.message.max.bytes", (ahead + (1 << 20)).to_string());
        default("fetch.wait.max.ms", "100".into());
        default("fetch.error.backoff.ms", "100".into());
        // Its own default of a second is what a fast reader would wait each time the queue was full.
        default("fetch.queue.backoff.ms", "2".into());
        default("check.crcs", "true".into());
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_uncommitted")
            .set("enable.partition.eof", "true");
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Options::parse_url("kafka://a:9092,b:9093").unwrap().brokers, "a:9092,b:9093");
        assert_eq!(Options::parse_url("kafka://[::1]:9092/").unwrap().brokers, "[::1]:9092");
        for wrong in ["a:9092", "kafka://", "kafka://a", "kafka://a:x", "kafka://a:1,", "kafka://::1:9092", "kafka://u@h:1", "kafka://a:70000"] {
            let error = Options::parse_url(wrong).unwrap_err().to_string();
            assert!(error.contains("kafka://host:port"), "{error}");
        }
    }

    #[test]
    fn properties_that_would_lose_or_double_records_are_refused() {
        let with = |key: &str, value: &str| Options { properties: BTreeMap::from([(key.into(), value.into())]), ..Options::default() }.check();
        for (key, value) in [
            ("enable.idempotence", "false"),
            ("acks", "1"),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "true"),
            ("partitioner", "random"),
            ("group.id", "x"),
            ("transactional.id", "x"),
        ] {
            let error = with(key, value).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        for (key, value) in [("acks", "all"), ("acks", "-1"), ("linger.ms", "50"), ("security.protocol", "SSL")] {
            with(key, value).unwrap();
        }
    }

    #[test]
    fn a_property_wins_over_a_default_and_its_value_is_not_shown() {
        let options =
            Options { properties: BTreeMap::from([("linger.ms".into(), "77".into()), ("sasl.password".into(), "hush".into())]), ..Options::default() };
        assert_eq!(options.producer().get("linger.ms"), Some("77"));
        assert!(!format!("{options:?}").contains("hush"));
    }
}
