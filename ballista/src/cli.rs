//! What was typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// keytrail's questions on a Ballista cluster, for a lake that one machine does not hold
#[derive(Debug, Parser)]
#[command(
    name = "keytrail-ballista",
    version,
    max_term_width = 110,
    after_help = "Begin with:\n  keytrail-ballista scheduler\n  keytrail-ballista executor\n  keytrail-ballista touched svc-deploy --since -30d --lake s3://BUCKET/PREFIX"
)]
pub struct Cli {
    #[command(flatten)]
    pub asking: Asking,
    #[command(subcommand)]
    pub command: Command,
}

/// What every question takes.
#[derive(Debug, Args)]
pub struct Asking {
    /// The data folder
    #[arg(long, global = true, value_name = "DIR", env = "KEYTRAIL_DIR", default_value = "keytrail-data")]
    pub dir: PathBuf,
    /// The lake, where it is not DIR/lake: a folder that every executor sees under the same path, or s3://BUCKET/PREFIX
    #[arg(long, global = true, value_name = "URL", env = "KEYTRAIL_LAKE")]
    pub lake: Option<String>,
    /// The scheduler
    #[arg(long, global = true, value_name = "HOST:PORT", env = "KEYTRAIL_BALLISTA", default_value = "127.0.0.1:50050")]
    pub scheduler: String,
    /// How answers are written
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "ndjson")]
    pub output: Output,
    /// Parts that a table is read in; 0 takes as many as the executors have cores
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub partitions: usize,
    /// Seconds that an answer may take; then the job is cancelled
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub time_limit: u64,
    /// No coverage line
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One JSON object per line
    Ndjson,
    /// One JSON array, a record per line
    Json,
    /// Comma-separated values with a header
    Csv,
    /// An Apache Parquet file on standard output
    Parquet,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan stages and hand their tasks to executors
    Scheduler(Scheduler),
    /// Read files and compute; one a machine
    Executor(Executor),
    /// What did this identity touch?
    Touched(OfIdentity),
    /// Who touched this destination?
    WhoTouched(OfDestination),
    /// Events of an identity in order, with findings and credential lifecycle woven in
    Timeline(OfIdentity),
    /// What is wrong with credentials and identities
    Posture,
    /// One SELECT over the lake's tables and these questions
    Sql(Sql),
}

#[derive(Debug, Args)]
pub struct Scheduler {
    /// Where it listens, for executors, clients and its own HTTP API; whoever reaches it may ask anything
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:50050")]
    pub listen: std::net::SocketAddr,
    /// The name under which executors reach it, where it is not that address
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
}

#[derive(Debug, Args)]
pub struct Executor {
    /// Where it listens for other executors and clients
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:50051")]
    pub listen: std::net::SocketAddr,
    /// The port on which the scheduler hands it tasks
    #[arg(long, value_name = "PORT", default_value_t = 50052)]
    pub task_port: u16,
    /// The name under which others reach it, where it is not that address
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Tasks that it computes at once; 0 takes as many as there are cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub cores: usize,
    /// Bytes of memory that its tasks share; 0 takes 70 % of the machine's
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub memory_bytes: u64,
    /// What it writes between stages [default: a temporary folder, removed at its end]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub struct Window {
    /// From: RFC 3339, a date, `-7d`, `yesterday`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Until (exclusive)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
pub struct OfIdentity {
    /// Canonical id, or a unique fragment of it
    pub identity: String,
    #[command(flatten)]
    pub window: Window,
}

#[derive(Debug, Args)]
pub struct OfDestination {
    /// Canonical id of the destination, or a unique fragment of it
    pub destination: String,
    #[command(flatten)]
    pub window: Window,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail-ballista sql \"SELECT day, count(*) FROM events GROUP BY day\"")]
pub struct Sql {
    /// The statement
    pub statement: String,
}
