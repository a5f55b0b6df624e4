//! What looking after rules, dead letters, keys and the lake takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::question::Window;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keytrail rules list\n  keytrail rules test my-rules/")]
pub struct Rules {
    #[command(subcommand)]
    pub action: RuleAction,
}

#[derive(Debug, Subcommand)]
pub enum RuleAction {
    /// Parse rules and say what is wrong with them
    Check {
        /// Rule files or folders [default: the built-in rules]
        paths: Vec<PathBuf>,
    },
    /// Run the tests that rules carry
    Test {
        /// Rule files or folders [default: the built-in rules]
        paths: Vec<PathBuf>,
    },
    /// List rules
    List {
        /// Rule files or folders [default: the built-in rules]
        paths: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct DeadLetters {
    #[command(subcommand)]
    pub action: DeadLetterAction,
}

#[derive(Debug, Subcommand)]
pub enum DeadLetterAction {
    /// List dead letters
    List {
        #[command(flatten)]
        window: Window,
    },
    /// Read the files of dead letters again: after an upgrade, or once a source is mended. What is stored already is not stored twice
    Retry(Retry),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail dead-letters retry --format zeek")]
pub struct Retry {
    /// Only those of this format
    #[arg(long)]
    pub format: Option<String>,
    /// Only this one: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// The cluster that was given when they were read, where keytrail.toml does not say it
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  keytrail keys export keys.sealed --passphrase-file passphrase     # on one machine\n  keytrail keys import keys.sealed --passphrase-file passphrase     # on the others\n  keytrail keys fingerprint < found-token.txt                       # then: keytrail sql \"select * from events where raw like '%hmac:…%'\""
)]
pub struct Keys {
    #[command(subcommand)]
    pub action: KeyAction,
}

#[derive(Debug, Subcommand)]
pub enum KeyAction {
    /// The keys' ids, and from when to when each was used; never a key
    List,
    /// Write the keys to a file, for the other machines of an estate
    Export {
        /// The file, which must not be there yet
        file: PathBuf,
        /// A file with the passphrase that encrypts it
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// Do not encrypt it
        #[arg(long, conflicts_with = "passphrase_file")]
        plain: bool,
    },
    /// Take over the keys of an export; the key used until now is kept
    Import {
        /// The export
        file: PathBuf,
        /// A file with the passphrase that it was encrypted with
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Begin an epoch with a new key
    Rotate {
        /// Do not keep the old key: nobody can then tell which secret a fingerprint of its epoch stood for
        #[arg(long)]
        forget: bool,
    },
    /// The fingerprints of the secret on standard input, one for each key
    Fingerprint,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail redact --check audit.log --format vault_audit")]
pub struct Redact {
    /// The file to look at; nothing is stored
    #[arg(long, value_name = "FILE", required = true)]
    pub check: PathBuf,
    /// Its format, or auto
    #[arg(long, default_value = "auto", long_help = super::formats_help())]
    pub format: String,
    /// safe, open or hash [default: ingest.raw of the configuration]
    #[arg(long, value_name = "LEVEL")]
    pub raw: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keytrail compact\n  keytrail compact --check\n  keytrail compact --expire --dry-run")]
pub struct Compact {
    /// Open days too; they are left alone otherwise
    #[arg(long)]
    pub all: bool,
    /// Hold the roll-up against the events, and make anew what disagrees
    #[arg(long, conflicts_with = "all")]
    pub check: bool,
    /// Remove what is older than [store.retention] keeps it, and not held
    #[arg(long, conflicts_with_all = ["all", "check"])]
    pub expire: bool,
    /// Change nothing, only say what would be
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail views --dialect duckdb > views.sql && duckdb -init views.sql")]
pub struct Views {
    /// duckdb, clickhouse, spark, trino or datafusion
    #[arg(long)]
    pub dialect: String,
    /// Over the Parquet files as they stand now, for engines that cannot read Delta (DuckDB, ClickHouse, DataFusion)
    #[arg(long)]
    pub files: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail rebuild")]
pub struct Rebuild {
    /// Judge the events in order of their time rather than of the log
    #[arg(long)]
    pub by_time: bool,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// The folder
    pub folder: PathBuf,
}
