//! What the questions take.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct Window {
    /// From: RFC 3339, a date, `-7d`, `yesterday`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Until (exclusive)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail touched svc-deploy --since -30d --output json")]
pub struct OfIdentity {
    /// Canonical id, or a unique fragment of it
    pub identity: String,
    #[command(flatten)]
    pub window: Window,
    /// Draw the answer into this file, as SVG (`touched`: time by destination; `timeline`: hours of the week)
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail who-touched prod-customers --since -7d")]
pub struct WhoTouched {
    /// Canonical id of the destination, or a unique fragment of it
    pub destination: String,
    #[command(flatten)]
    pub window: Window,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail candidates zeek:north:host/10.0.0.31 --since -7d")]
pub struct Candidates {
    /// Canonical id of the identity, or a unique fragment of it
    pub identity: String,
    /// Minutes before and after an act within which somebody else counts
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub within: u32,
    #[command(flatten)]
    pub window: Window,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail lineage AKIAIOSFODNN7EXAMPLE")]
pub struct Lineage {
    /// The credential: its id, or a unique fragment of it
    pub credential: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail blast-radius svc-deploy --hops 3 --since -7d")]
pub struct BlastRadius {
    /// An identity or a credential: its id, or a unique fragment of it
    pub of: String,
    /// How many hops
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub hops: u32,
    #[command(flatten)]
    pub window: Window,
    /// Draw what could be reached into this file, hop by hop, as SVG
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail compare svc-deploy --a-since -30d --a-until -7d")]
pub struct Compare {
    /// Canonical id, or a unique fragment of it
    pub identity: String,
    /// Begin of the first period
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub a_since: String,
    /// End of the first period
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub a_until: String,
    /// Begin of the second period [default: the end of the first]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub b_since: Option<String>,
    /// End of the second period [default: the newest event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub b_until: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail credentials --identity svc-deploy")]
pub struct Credentials {
    /// Only this credential: its id, or a unique fragment of it
    pub credential: Option<String>,
    /// Only those of this identity
    #[arg(long)]
    pub identity: Option<String>,
    /// Only those in this state: active, superseded, revoked, expired, unknown
    #[arg(long)]
    pub state: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail identities --humans --output csv")]
pub struct Identities {
    /// People too; they are left out otherwise
    #[arg(long)]
    pub humans: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail findings --since -7d --severity high")]
pub struct Findings {
    #[command(flatten)]
    pub window: Window,
    /// Only those of this identity
    #[arg(long)]
    pub identity: Option<String>,
    /// Only those of this rule
    #[arg(long)]
    pub rule: Option<String>,
    /// Only those of this severity or above
    #[arg(long)]
    pub severity: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail detections --since -7d --technique T1098")]
pub struct Detections {
    #[command(flatten)]
    pub window: Window,
    /// Only those of this identity
    #[arg(long)]
    pub identity: Option<String>,
    /// Only those of this rule
    #[arg(long)]
    pub rule: Option<String>,
    /// Only those of this ATT&CK technique, or of one of its sub-techniques
    #[arg(long)]
    pub technique: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail explain 1f0c")]
pub struct Explain {
    /// The finding's id, or the beginning of it
    pub finding: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keytrail sql \"select identity, count(*) from events group by 1 order by 2 desc limit 10\"")]
pub struct Sql {
    /// The query; `-` reads it from standard input
    pub query: String,
}
