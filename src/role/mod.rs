//! One role of the pipeline as a process of its own, on Kafka. Roles meet in the log and in the lake; any number of detectors and stores
//! share the partitions through a consumer group, and each takes a partition over where the lake says that it stands.

pub mod collect;
pub mod detect;
pub mod forward;
pub mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keytrail_log::kafka::{KafkaLog, Options};
use keytrail_log::{Appended, EventLog as _};
use keytrail_schemas::{DeadLetter, Event, Hash32, Micros, Topic};

use crate::cli::Role;
use crate::config::Config;
use crate::exit::{OutOfReach, Usage};
use crate::home::Home;
use crate::pipeline::rule_book::Book;
use crate::pipeline::{Shared, Sink};
use crate::telemetry::Telemetry;

/// How often the Kafka client reports what it counts.
const STATISTICS_INTERVAL_MS: u64 = 5_000;

/// The brokers as a place where a source puts what it has read.
pub struct Brokers {
    log: Arc<KafkaLog>,
    /// Folder of the positions in sources.
    sources: PathBuf,
}

impl Brokers {
    /// Connects, and opens the folder's index of what was appended from here.
    ///
    /// # Errors
    /// When the brokers are out of reach, the topics are missing, or another process appends from this folder.
    pub fn open(config: &Config, telemetry: &Telemetry, home: &Home) -> anyhow::Result<Self> {
        let log = Arc::new(KafkaLog::open(Options { seen_dir: Some(home.seen()), ..options(config)? })?);
        log.prepare_to_append()?;
        telemetry.watch(&log);
        Ok(Self { log, sources: home.sources() })
    }

    /// The file of a live source's position.
    fn position_file(&self, source: &str) -> PathBuf {
        let key = Hash32::of(source.as_bytes()).to_hex();
        self.sources.join(format!("live-{}.json", key.get(..16).unwrap_or(&key)))
    }
}

impl Sink for Brokers {
    /// The position is written once the brokers have the batch: after a kill between the two it lags behind, and a gap is told wider than it was.
    fn append_at(&self, events: Vec<Box<Event>>, dead_letters: Vec<DeadLetter>, position: Option<(&str, &[u8])>) -> anyhow::Result<Appended> {
        let appended = self.log.append(events, dead_letters)?;
        if let Some((source, position)) = position {
            let path = self.position_file(source);
            let draft = path.with_extension("new");
            std::fs::create_dir_all(&self.sources)
                .and_then(|()| std::fs::write(&draft, position))
                .and_then(|()| std::fs::rename(&draft, &path))
                .map_err(|error| OutOfReach(format!("{}: {error}", path.display())))?;
        }
        Ok(appended)
    }

    fn position(&self, source: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.position_file(source);
        match std::fs::read(&path) {
            Ok(position) => Ok(Some(position)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OutOfReach(format!("{}: {error}", path.display())).into()),
        }
    }

    fn tick(&self, time: Micros) -> anyhow::Result<()> {
        Ok(self.log.append_tick(time)?)
    }

    /// What was acknowledged is with the brokers.
    fn settle(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn is_empty(&self) -> anyhow::Result<bool> {
        crate::pipeline::is_empty(&*self.log)
    }

    fn has_failed(&self) -> bool {
        false
    }

    fn progress(&self) -> String {
        "to Kafka".to_owned()
    }
}

/// The options of the log under this configuration.
///
/// # Errors
/// [`Usage`] when the log is not Kafka's, or its address is none.
pub fn options(config: &Config) -> anyhow::Result<Options> {
    if !config.is_kafka() {
        return Err(Usage(format!(
            "this needs Kafka, and the log is {:?}: give --log kafka://HOST:PORT, or use `keytrail ingest` and `keytrail run`, which hold every role",
            config.log.url
        ))
        .into());
    }
    let mut options = Options::parse_url(&config.log.url)?;
    options.properties.extend(config.log.kafka.iter().map(|(name, value)| (name.clone(), value.clone())));
    options.statistics_interval_ms = STATISTICS_INTERVAL_MS;
    options.outage_ms_max = config.log.outage_ms_max;
    options.window_records = config.log.window_records;
    options.message_bytes_max = config.log.message_bytes_max;
    options.dedupe_ids_max = config.embedded.dedupe_ids_max;
    options.dedupe_horizon_days = config.embedded.dedupe_horizon_days;
    Ok(options)
}

/// What a role of its own needs besides what it does.
struct Context {
    shared: Arc<Shared>,
    log: Arc<KafkaLog>,
    runtime: tokio::runtime::Runtime,
    stop: Arc<AtomicBool>,
    server: Option<std::thread::JoinHandle<()>>,
}

impl Context {
    /// Connects, and opens the lake; `judges` says whether the role needs rules.
    fn open(config: &Config, telemetry: &Telemetry, arguments: &Role, judges: bool) -> anyhow::Result<Self> {
        let mut options = options(config)?;
        // What a role writes (findings, dead letters) is little, and waited for.
        options.linger_ms = 0;
        let runtime = crate::pipeline::runtime()?;
        // Beside one another: brokers and disk are waited for.
        let (log, lake, rules) = std::thread::scope(|scope| {
            let log = scope.spawn(|| KafkaLog::open(options));
            let rules = scope.spawn(|| if judges { Book::open(config) } else { Ok(Book::closed()) });
            let lake = runtime.block_on(crate::place::lake(config));
            (log.join(), lake, rules.join())
        });
        let ended = |_| anyhow::anyhow!("a thread that opens the log ended abnormally; this is a defect of keytrail");
        let (log, lake, rules) = (Arc::new(log.map_err(ended)??), lake?, rules.map_err(ended)??);
        telemetry.watch(&log);
        let shared = Arc::new(Shared::new(config, log.clone(), lake, rules, Arc::clone(&telemetry.metrics)));
        let stop = crate::command::run::stop_signal()?;
        let listen = arguments.metrics_listen.as_deref().unwrap_or_default();
        let server = (!listen.is_empty()).then(|| crate::command::run::serve(listen, telemetry.registry(), Arc::clone(&stop))).transpose()?;
        Ok(Self { shared, log, runtime, stop, server })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The end of each partition of `topics`, now: the topics are asked about beside one another.
    fn ends(&self, topics: &[Topic]) -> anyhow::Result<BTreeMap<(Topic, i32), i64>> {
        let of = |topic: Topic| (0..self.log.partitions()).map(move |partition| Ok(((topic, partition), self.log.end(topic, partition)?)));
        std::thread::scope(|scope| {
            let asking: Vec<_> = topics.iter().map(|topic| scope.spawn(|| of(*topic).collect::<Result<Vec<_>, keytrail_log::Error>>())).collect();
            let mut ends = BTreeMap::new();
            for topic in asking {
                ends.extend(topic.join().map_err(|_| anyhow::anyhow!("asking for a topic's end failed abnormally; this is a defect of keytrail"))??);
            }
            Ok(ends)
        })
    }

    /// Ends what serves metrics. The process comes to its end: what is open is left as it is, which takes no time.
    fn close(self) {
        self.stop.store(true, Ordering::Release);
        if let Some(server) = self.server {
            let _ = server.join();
        }
        std::mem::forget((self.shared, self.log, self.runtime));
    }
}
