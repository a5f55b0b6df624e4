//! What it means: defaults, then `keytrail.toml`, then the environment, then the command line. The only place that reads the
//! environment. Unknown keys are refused with the nearest known one.

mod source;

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::cli::Cli;
use crate::exit::Usage;

pub use source::Source;

/// Everything that can be configured, with its default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder.
    pub dir: PathBuf,
    /// The lake; empty means `dir`/lake.
    pub lake: String,
    pub log: Log,
    pub ingest: Ingest,
    pub embedded: Embedded,
    pub store: Store,
    pub detect: keytrail_detect::Config,
    pub detector: Detector,
    pub query: keytrail_query::Options,
    /// The doors.
    pub serve: keytrail_serve::Options,
    pub metrics: Metrics,
    pub telemetry: Telemetry,
    /// What `keytrail run` watches.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// Where findings go.
    #[serde(rename = "forward")]
    pub forwards: Vec<Forward>,
    #[serde(skip)]
    pub quiet: bool,
    /// A keytrail that serves elsewhere and is asked instead of the lake; empty for none.
    #[serde(skip)]
    pub server: String,
    /// The token for it.
    #[serde(skip)]
    pub token: Option<String>,
    /// Who runs the process, for the record of who asked what.
    #[serde(skip)]
    pub user: String,
}

/// The event log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `embedded`, in the data folder, or `kafka://HOST:PORT[,HOST:PORT]`.
    pub url: String,
    /// Kafka: an event whose id was seen at most this many records before, in its partition, is not taken twice.
    pub window_records: u32,
    /// Kafka: the longest record; a longer event is dead-lettered.
    pub message_bytes_max: usize,
    /// Kafka: how long brokers may be away, in milliseconds, before an append or a read gives up; until then they wait.
    pub outage_ms_max: u64,
    /// Any property of librdkafka, under its own name.
    pub kafka: std::collections::BTreeMap<String, String>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            url: "embedded".to_owned(),
            window_records: 262_144,
            message_bytes_max: 16 << 20,
            outage_ms_max: 600_000,
            kafka: std::collections::BTreeMap::new(),
        }
    }
}

/// Reading input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// `safe`, `open` or `hash`: how much of a record is kept beside its event.
    pub raw: String,
    /// A file with 32 bytes in hex: dead letters are kept as they came too, encrypted with them (AES-256-GCM), for `dead-letters retry`; empty
    /// keeps no copies. Whoever has the key and the copies has the secrets in them.
    pub dead_letter_key: String,
    /// Most bytes of encrypted copies; behind it none are kept.
    pub dead_letter_copies_bytes_max: u64,
    /// Longest record; a longer one is dead-lettered.
    pub record_bytes_max: usize,
    /// Most bytes that one compressed file may expand to.
    pub expanded_bytes_max: u64,
    /// Highest expansion of a compressed file past its first 64 MiB.
    pub expansion_ratio_max: u64,
    /// Deepest nesting of a JSON record.
    pub depth_max: usize,
    /// Most files open at once while they are merged by time.
    pub open_files_max: usize,
    /// Most events in one append.
    pub batch_events_max: usize,
    /// Most bytes of records that wait for their turn, over all open files: half of it for events that are parsed ahead and buffers of open files, half for originals of great records;
    /// of what is over it, files are read on only when it is their turn, and originals wait on disk. What one great record takes while it is parsed, one at a
    /// time, comes on top.
    pub waiting_bytes_max: u64,
    /// What is known of addresses.
    pub enrich: Enrich,
}

/// What the operator's own databases know of source addresses: it is written into the event as it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Enrich {
    /// Databases in MaxMind's format (.mmdb) for country and autonomous system: of several that know an address, the first is believed.
    pub databases: Vec<String>,
    /// Time between two looks whether they changed; a changed one is in use from the next batch on.
    pub interval_ms: u64,
}

impl Default for Enrich {
    fn default() -> Self {
        Self { databases: Vec::new(), interval_ms: 10_000 }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            raw: "safe".to_owned(),
            dead_letter_key: String::new(),
            dead_letter_copies_bytes_max: 1 << 30,
            record_bytes_max: 32 << 20,
            expanded_bytes_max: 64 << 30,
            expansion_ratio_max: 1_000,
            depth_max: 128,
            open_files_max: 64,
            batch_events_max: 8_192,
            waiting_bytes_max: 256 << 20,
            enrich: Enrich::default(),
        }
    }
}

/// The embedded log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Embedded {
    /// Partitions, fixed when the log is created; 0 takes what is there, or 1.
    pub partitions: i32,
    /// `every_append`, `interval` or `never`: when the log is forced to the disk. Whatever it says, what was appended survives
    /// the process; `every_append` survives the machine.
    pub fsync: String,
    /// Milliseconds between two syncs where `fsync = "interval"`.
    pub fsync_interval_ms: u64,
    /// Event ids remembered for the suppression of duplicates; the oldest are forgotten beyond.
    pub dedupe_ids_max: u64,
    /// Days of ingest time that event ids are remembered.
    pub dedupe_horizon_days: u32,
    /// Bytes of log kept after they have been stored and judged; the oldest are removed beyond.
    pub retention_bytes_max: u64,
}

impl Default for Embedded {
    fn default() -> Self {
        Self {
            partitions: 0,
            fsync: "interval".to_owned(),
            fsync_interval_ms: 1_000,
            dedupe_ids_max: 50_000_000,
            dedupe_horizon_days: 400,
            retention_bytes_max: 8 << 30,
        }
    }
}

/// Writing the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Longest time between two commits while there is something to commit.
    pub commit_interval_ms: u64,
    /// Most events in one commit.
    pub commit_events_max: usize,
    /// Most bytes in one commit: of the original records, and on Kafka of whole events.
    pub commit_bytes_max: usize,
    /// Whether `ingest` rewrites closed days that it touched, and rolls them up, when it ends.
    pub compact_after_ingest: bool,
    /// Time between two rounds of the lake's upkeep under `run` and `store` (compaction and roll-up of closed days, expiry, removal of what no
    /// reader needs); 0 for never.
    pub upkeep_interval_ms: u64,
    /// How long the lake keeps what, and what it holds whatever its age.
    pub retention: keytrail_lake::Retention,
    /// Settings of the lake's S3 store, by the names of its environment variables, such as `aws_region`, `aws_endpoint`, `aws_allow_http`; what
    /// the environment says comes before.
    pub s3: std::collections::BTreeMap<String, String>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            commit_interval_ms: 2_000,
            commit_events_max: 50_000,
            commit_bytes_max: 256 << 20,
            compact_after_ingest: true,
            upkeep_interval_ms: 60_000,
            retention: keytrail_lake::Retention::default(),
            s3: std::collections::BTreeMap::new(),
        }
    }
}

/// Running the detector (what it judges by stands under `[detect]`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detector {
    /// Events between two snapshots of a partition's state.
    pub snapshot_events: u64,
    /// Longest time between two publications of the ledger (credentials, identities) in the lake, where there is something new.
    pub publish_interval_ms: u64,
    /// Whether the rules that keytrail comes with judge.
    pub builtin_rules: bool,
    /// Further Sigma rules: files, folders, checkouts, zip archives.
    pub rules: Vec<FurtherRules>,
    /// Time between two looks whether they changed.
    pub rules_interval_ms: u64,
}

/// Rules beside the built-in ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherRules {
    /// Where they are.
    pub path: String,
    /// The most severe that a finding of theirs is.
    #[serde(default = "uncapped")]
    pub severity_max: String,
}

fn uncapped() -> String {
    keytrail_schemas::Severity::Critical.to_string()
}

impl Default for Detector {
    fn default() -> Self {
        Self { snapshot_events: 500_000, publish_interval_ms: 60_000, builtin_rules: true, rules: Vec::new(), rules_interval_ms: 10_000 }
    }
}

/// Prometheus metrics.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address of `/metrics` and `/healthz` under `keytrail run`; empty for none.
    pub listen: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9464".to_owned() }
    }
}

/// OpenTelemetry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Endpoint of an OTLP collector over HTTP, such as `http://127.0.0.1:4318`; empty for none. `OTEL_EXPORTER_OTLP_ENDPOINT` overrides it.
    pub otlp_endpoint: String,
    /// What is logged, as `tracing` filters are written. `KEYTRAIL_LOG_LEVEL` overrides it.
    pub log_level: String,
}

/// One target of findings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forward {
    /// `file:PATH` or `syslog+tcp://HOST:PORT`.
    pub target: String,
    /// `ocsf`, `json`, `ecs`, `cef` or `leef`.
    pub encoding: String,
}

impl Default for Forward {
    fn default() -> Self {
        Self { target: String::new(), encoding: "ocsf".to_owned() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("keytrail-data"),
            lake: String::new(),
            log: Log::default(),
            ingest: Ingest::default(),
            embedded: Embedded::default(),
            store: Store::default(),
            detect: keytrail_detect::Config::default(),
            detector: Detector::default(),
            query: keytrail_query::Options::default(),
            serve: keytrail_serve::Options::default(),
            metrics: Metrics::default(),
            telemetry: Telemetry::default(),
            sources: Vec::new(),
            forwards: Vec::new(),
            quiet: false,
            server: String::new(),
            token: None,
            user: String::new(),
        }
    }
}

impl Config {
    /// The effective configuration of this invocation.
    ///
    /// # Errors
    /// [`Usage`] when the file cannot be read, holds an unknown key or a value that is none.
    pub fn load(typed: &Cli) -> anyhow::Result<Self> {
        let mut config = match file(typed.global.config.as_ref())? {
            Some((path, text)) => Self::parse(&text).with_context(|| format!("configuration {}", path.display()))?,
            None => Self::default(),
        };
        if let Some(dir) = env("KEYTRAIL_DIR") {
            config.dir = dir.into();
        }
        if let Some(lake) = env("KEYTRAIL_LAKE") {
            config.lake = lake;
        }
        if let Some(log) = env("KEYTRAIL_LOG") {
            config.log.url = log;
        }
        if let Some(endpoint) = env("OTEL_EXPORTER_OTLP_ENDPOINT") {
            config.telemetry.otlp_endpoint = endpoint;
        }
        if let Some(level) = env("KEYTRAIL_LOG_LEVEL") {
            config.telemetry.log_level = level;
        }
        // Names are taken in small letters, so that a variable replaces the file's setting; what else carries the prefix is the AWS command line's.
        config.store.s3 = std::mem::take(&mut config.store.s3).into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        config.store.s3.extend(std::env::vars().filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty()).filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            name.parse::<object_store::aws::AmazonS3ConfigKey>().is_ok().then_some((name, value))
        }));
        if let Some(dir) = &typed.global.dir {
            config.dir.clone_from(dir);
        }
        if let Some(lake) = &typed.global.lake {
            config.lake.clone_from(lake);
        }
        if let Some(log) = &typed.global.log {
            config.log.url.clone_from(log);
        }
        config.quiet = typed.global.quiet;
        config.server = typed.global.server.clone().or_else(|| env("KEYTRAIL_SERVER")).unwrap_or_default();
        config.token = env("KEYTRAIL_TOKEN");
        config.user = env("USER").or_else(|| env("LOGNAME")).unwrap_or_default();
        config.validated()
    }

    /// Reads a configuration file's text.
    ///
    /// # Errors
    /// [`Usage`] naming the key and the nearest known one, or the place of a syntax error.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        toml::from_str(text).map_err(|error| Usage(with_nearest(&error.to_string())).into())
    }

    fn validated(self) -> anyhow::Result<Self> {
        let problem = if self.log.url != "embedded" && !self.is_kafka() {
            Some(format!("log.url = {:?}: expected \"embedded\" or kafka://HOST:PORT[,HOST:PORT]", self.log.url))
        } else if !(1..=100_000_000).contains(&self.log.window_records) {
            Some(format!("log.window_records = {}: expected 1 to 100000000", self.log.window_records))
        } else if let Some((source, error)) = self
            .sources
            .iter()
            .filter(|source| !source.raw.is_empty())
            .find_map(|source| Some((source, source.raw.parse::<keytrail_ingest::redact::Level>().err()?)))
        {
            Some(format!("source {:?}: raw = {:?}: {error}", source.name, source.raw))
        } else if let Some((source, problem)) = self.sources.iter().find_map(|source| Some((source, source.problem()?))) {
            Some(format!("source {:?}: {problem}", source.name))
        } else if let Err(error) = self.ingest.raw.parse::<keytrail_ingest::redact::Level>() {
            Some(format!("ingest.raw: {error}"))
        } else if !["every_append", "interval", "never"].contains(&self.embedded.fsync.as_str()) {
            Some(format!("embedded.fsync = {:?}: expected every_append, interval or never", self.embedded.fsync))
        } else if !(0..=1_024).contains(&self.embedded.partitions) {
            Some(format!("embedded.partitions = {}: expected 0 to 1024", self.embedded.partitions))
        } else if self.store.commit_events_max == 0 || self.ingest.batch_events_max == 0 || self.detector.snapshot_events == 0 {
            Some("store.commit_events_max, ingest.batch_events_max and detector.snapshot_events must be at least 1".to_owned())
        } else {
            None
        };
        match problem {
            Some(problem) => Err(Usage(problem).into()),
            None => Ok(self),
        }
    }

    /// Whether the log is Kafka's.
    #[must_use]
    pub fn is_kafka(&self) -> bool {
        self.log.url.starts_with("kafka://")
    }

    /// Where the lake is.
    #[must_use]
    pub fn lake_url(&self) -> String {
        if self.lake.is_empty() { self.dir.join("lake").to_string_lossy().into_owned() } else { self.lake.clone() }
    }
}

/// The one place that reads the environment.
#[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn file(asked: Option<&PathBuf>) -> anyhow::Result<Option<(PathBuf, String)>> {
    let path = asked.cloned().unwrap_or_else(|| PathBuf::from("keytrail.toml"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && asked.is_none() => Ok(None),
        Err(error) => Err(Usage(format!("configuration {}: {error}", path.display())).into()),
    }
}

/// Adds the nearest known key to serde's "unknown field" message.
fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`');
    let (Some(before), Some(unknown)) = (quoted.next(), quoted.next()) else { return message.to_owned() };
    if !before.ends_with("unknown field ") {
        return message.trim_end().to_owned();
    }
    let known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    match known.iter().max_by(|a, b| strsim::jaro_winkler(a, unknown).total_cmp(&strsim::jaro_winkler(b, unknown))) {
        Some(nearest) => format!("{}; did you mean `{nearest}`?", message.trim_end()),
        None => message.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_default_configuration_reads_itself() {
        let text = toml::to_string(&Config::default()).unwrap();
        let again = Config::parse(&text).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), text);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let message = Config::parse("[store]\ncommit_interval_mss = 5\n").unwrap_err().to_string();
        assert!(message.contains("commit_interval_mss") && message.contains("did you mean `commit_interval_ms`?"), "{message}");
    }

    #[test]
    fn another_log_is_refused_plainly() {
        let config = Config { log: super::Log { url: "pulsar://x:1".to_owned(), ..super::Log::default() }, ..Config::default() };
        assert!(config.validated().unwrap_err().to_string().contains("embedded"));
    }
}
