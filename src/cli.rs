//! What was typed: the command line as clap reads it, before it means anything.

mod care;
mod door;
mod question;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::care::*;
pub use self::door::*;
pub use self::question::*;

/// The audit trail of machine identities: what did it touch, with which credential, how old was it, and was that normal?
#[derive(Debug, Parser)]
#[command(
    name = "keytrail",
    version,
    max_term_width = 110,
    after_help = "Begin with:\n  keytrail demo\n  keytrail ingest --format auto /var/log/cloudtrail\n  keytrail touched svc-deploy --since -30d"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// The data folder: embedded log, lake, keys, state [default: ./keytrail-data, or $KEYTRAIL_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The lake, where it is not DIR/lake: a folder or an object store URL [or $KEYTRAIL_LAKE]
    #[arg(long, global = true, value_name = "URL")]
    pub lake: Option<String>,
    /// The event log: `embedded`, in DIR, or `kafka://HOST:PORT[,HOST:PORT]` [or $KEYTRAIL_LOG]
    #[arg(long, global = true, value_name = "LOG")]
    pub log: Option<String>,
    /// The configuration file [default: ./keytrail.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask a keytrail that serves there, and not the lake: http://HOST:PORT or https://HOST:PORT [or $KEYTRAIL_SERVER; the token is $KEYTRAIL_TOKEN]
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// How answers are written [default: table on a terminal, ndjson otherwise]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,
    /// Every column of a table, however wide the terminal is
    #[arg(long, global = true)]
    pub wide: bool,
    /// No progress bars, no summaries
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns for a person
    Table,
    /// One JSON array, a record per line
    Json,
    /// One JSON object per line
    Ndjson,
    /// Comma-separated values with a header
    Csv,
    /// An Apache Parquet file on standard output
    Parquet,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate an estate with labelled attacks and send it through the whole pipeline
    Demo(Demo),
    /// Read files through log, detector and lake; returns when all is stored
    Ingest(Ingest),
    /// Run every role in one process: sources are watched, detected, stored; /metrics is served, and the doors where they are configured
    Run(Run),
    /// On Kafka: watch sources and append what is new, and nothing else
    Collect(Role),
    /// On Kafka: judge events; one of any number of processes
    Detect(Role),
    /// On Kafka: store what the log holds in the lake; one of any number of processes
    Store(Role),
    /// On Kafka: send findings to their targets
    Forward(Role),
    /// Kafka's topics: create them, or hold them against what is needed
    Topics(Topics),
    /// What did this identity touch?
    Touched(OfIdentity),
    /// Events of an identity in order, with findings and credential lifecycle woven in
    Timeline(OfIdentity),
    /// Who touched this destination?
    WhoTouched(WhoTouched),
    /// Where a credential came from, and what came of it
    Lineage(Lineage),
    /// What could be reached from an identity or a credential, hop by hop
    BlastRadius(BlastRadius),
    /// What changed for an identity between two periods
    Compare(Compare),
    /// An identity's activity, cut at gaps or by session id
    Sessions(OfIdentity),
    /// Who may have acted from an address: accounts seen there in the same minutes, machines that had a lease of it
    Candidates(Candidates),
    /// Over-age, never rotated, dormant, shared: what is wrong with credentials and identities
    Posture,
    /// Credentials: age, state, last use, succession
    Credentials(Credentials),
    /// Identities as seen
    Identities(Identities),
    /// Findings, best first
    Findings(Findings),
    /// What each rule saw, one row per cause, told in a finding or not
    Detections(Detections),
    /// Which sources reported when: what an answer cannot know
    Coverage(Window),
    /// One finding whole: baseline, evidence, lineage, what could not be assessed
    Explain(Explain),
    /// Any SQL over the tables and the questions
    Sql(Sql),
    /// Fail a pipeline where something does not hold: ends with 1, and shows the rows that break it
    Assert(Assert),
    /// Open the doors: HTTP and the PostgreSQL wire
    Serve(Serve),
    /// The questions as tools for an assistant (Model Context Protocol), on standard input and output
    Mcp,
    /// Who may ask through the doors
    Tokens(Tokens),
    /// Rules as code
    Rules(Rules),
    /// What could not be read, and trying again
    DeadLetters(DeadLetters),
    /// Hold findings against labels: precision, recall, the queue's order, time to detect, calibration
    Evaluate(Evaluate),
    /// The keys of the fingerprints that stand in the place of secrets
    Keys(Keys),
    /// What redaction would keep of a file, what it would replace, and why
    Redact(Redact),
    /// Rewrite closed days of the lake into large files sorted by identity and time
    Compact(Compact),
    /// The questions as views and macros for DuckDB, ClickHouse, Spark or Trino, over the same lake
    Views(Views),
    /// Recompute everything but the events: ledger, baselines, findings
    Rebuild(Rebuild),
    /// Print the effective configuration, commented
    Config,
    /// Check what is reachable, and say what to do
    Doctor,
    /// Print a shell completion script
    Completions(Completions),
    /// Write man pages into a folder
    Man(Man),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail demo --days 7 --identities 100 --dir /tmp/estate")]
pub struct Demo {
    /// Days to simulate
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=400))]
    pub days: u32,
    /// Machine identities in the estate
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    pub identities: u32,
    /// About how many events to simulate, where the rhythm of the identities should not decide
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,
    /// Seed of the simulation: the same seed gives the same estate
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// How hard it is to tell attacks from work: easy, normal or hard
    #[arg(long, default_value = "normal", value_parser = clap::value_parser!(keytrail_estate::Level))]
    pub level: keytrail_estate::Level,
    /// How many attacks to hide [default: about one and a half a day in the last three fifths of the period]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub attacks: Option<u32>,
    /// A plant by itself instead: three sites of controllers over seven protocols, in the logs of Zeek with ICSNPP; only --days and --seed count
    #[arg(long)]
    pub plant: bool,
    /// End after the summary; on a terminal the demo serves until Ctrl-C otherwise
    #[arg(long)]
    pub no_serve: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail demo --level hard --dir hard\n  keytrail evaluate --labels hard/demo-logs/labels.json --comparators --dir hard")]
pub struct Evaluate {
    /// The attacks: a JSON array or one object a line, each with `attack` and `identity`, `start`, `end`, or `event_ids`
    #[arg(long, value_name = "FILE")]
    pub labels: PathBuf,
    /// What is benign and looks like an attack [default: decoys.json beside the labels, if there is one]
    #[arg(long, value_name = "FILE")]
    pub decoys: Option<PathBuf>,
    /// Compare with simple detectors on the same events: new edge, EdgeBank, static thresholds
    #[arg(long)]
    pub comparators: bool,
    /// Compare with another detector's alerts: one object a line with `identity`, `time`, `score` (benches/comparators.py writes such)
    #[arg(long, value_name = "FILE")]
    pub alerts: Vec<PathBuf>,
    /// Draw the calibration of p-values, as SVG
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// How much of the queue to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub queue: usize,
    /// From: RFC 3339, a date, `-7d` [default: the first full day of events]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Until [default: the last event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  keytrail ingest --format cloudtrail AWSLogs/\n  zcat audit.log.gz | keytrail ingest --format vault_audit --source vault-prod -"
)]
pub struct Ingest {
    /// The format of the files, or auto
    #[arg(long, default_value = "auto", long_help = formats_help())]
    pub format: String,
    /// The collector's name, which every event carries [default: the format's name]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// The cluster, broker or sensor that the records come from, where they do not say it themselves [default: the source's name]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// How much of the original records is kept: safe, open or hash [default: ingest.raw of the configuration]
    #[arg(long, value_name = "LEVEL")]
    pub raw: Option<String>,
    /// Exit with 3 when anything was dead-lettered
    #[arg(long)]
    pub strict: bool,
    /// Files, folders, globs; `-` for standard input. gzip, zstd and zip are expanded
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail run --config keytrail.toml --metrics-listen 127.0.0.1:9464")]
pub struct Run {
    /// Address that serves /metrics and /healthz [default: metrics.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// Stop once everything that the sources hold has been stored
    #[arg(long)]
    pub once: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail detect --log kafka://127.0.0.1:9092 --lake /srv/lake --drain")]
pub struct Role {
    /// Stop once all that the log held at the start is done (`collect`: once everything that the sources hold is appended)
    #[arg(long)]
    pub drain: bool,
    /// Begin at the oldest record that the log still holds where nothing was read yet and older ones are gone
    #[arg(long)]
    pub from_earliest: bool,
    /// Address that serves /metrics and /healthz [default: none]
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keytrail topics apply --log kafka://127.0.0.1:9092\n  keytrail topics check --log kafka://127.0.0.1:9092")]
pub struct Topics {
    #[command(subcommand)]
    pub action: TopicAction,
}

#[derive(Debug, Subcommand)]
pub enum TopicAction {
    /// Create what is missing, and say how the rest differs from what is needed
    Apply {
        /// Partitions of each topic. One carries 100,000 events a second and holds an identity's whole peer group: more are worth it from some
        /// thousand identities each
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1024))]
        partitions: i32,
        /// Copies of each record; below the number of brokers [default: 3, or as many as there are brokers]
        #[arg(long, value_name = "N")]
        replication: Option<i32>,
        /// Days that keytrail.events is kept
        #[arg(long, default_value_t = 7)]
        retention_days: u32,
        /// Give existing topics more partitions: an identity's later events may then stand in another partition, and its baseline begins anew there
        #[arg(long)]
        grow: bool,
    },
    /// Say how the topics differ from what is needed; ends with 1 where they do
    Check,
}

/// The formats that `--format` takes, as the registry has them.
fn formats_help() -> String {
    let names: Vec<_> = keytrail_ingest::format::auto::all().iter().map(|format| format.name()).collect();
    format!("The format of the files, or auto to recognise it: {}", names.join(", "))
}
