//! What the doors take, and who may ask through them; and what fails a pipeline.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::question::Window;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  keytrail assert blast-radius svc-deploy --max-environments 1\n  keytrail assert posture --max-age 90d\n  keytrail assert posture --problem not_revoked --problem shared"
)]
pub struct Assert {
    #[command(subcommand)]
    pub action: AssertAction,
}

#[derive(Debug, Subcommand)]
pub enum AssertAction {
    /// What could be reached from an identity or a credential
    BlastRadius(AssertBlastRadius),
    /// What is wrong with credentials and identities
    Posture(AssertPosture),
}

#[derive(Debug, Args)]
pub struct AssertBlastRadius {
    /// An identity or a credential: its id, or a unique fragment of it
    pub of: String,
    /// Environments that may be reached; what is in none that is known counts as one
    #[arg(long, value_name = "N")]
    pub max_environments: Option<usize>,
    /// Destinations that may be reached
    #[arg(long, value_name = "N")]
    pub max_destinations: Option<usize>,
    /// Identities that may be met on the way
    #[arg(long, value_name = "N")]
    pub max_identities: Option<usize>,
    /// How many hops
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub hops: u32,
    #[command(flatten)]
    pub window: Window,
}

#[derive(Debug, Args)]
pub struct AssertPosture {
    /// No machine's credential in force may be older: 90d, 12h, 2w
    #[arg(long, value_name = "AGE")]
    pub max_age: Option<String>,
    /// Only this problem of `posture`; once for each [default: all, where no --max-age is given]
    #[arg(long, value_name = "PROBLEM")]
    pub problem: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  keytrail serve --no-auth                         # on this machine, for whoever is on it\n  keytrail tokens create grafana --role analyst\n  keytrail serve --postgres 0.0.0.0:5470 --tls-cert server.pem --tls-key server.key"
)]
pub struct Serve {
    /// Address of HTTP [default: serve.listen of the configuration, or 127.0.0.1:8470]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Address of the PostgreSQL wire [default: serve.postgres of the configuration, or 127.0.0.1:5470]
    #[arg(long, value_name = "ADDRESS")]
    pub postgres: Option<String>,
    /// Ask for no token; on loopback only
    #[arg(long)]
    pub no_auth: bool,
    /// Certificate chain in PEM: both doors speak TLS
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Off loopback without TLS, because it ends in front of keytrail
    #[arg(long)]
    pub plain: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  keytrail tokens create grafana --expires 90d\n  keytrail tokens create gate --question posture --question blast-radius\n  keytrail tokens revoke grafana"
)]
pub struct Tokens {
    #[command(subcommand)]
    pub action: TokenAction,
}

#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make a token; it is shown this once
    Create {
        /// Who or what will have it: the user that the record names
        name: String,
        /// analyst: questions and SQL; auditor: dead letters and who asked what too; admin: the list of tokens too
        #[arg(long, default_value = "analyst")]
        role: String,
        /// Only this question, or `sql`; once for each [default: all]
        #[arg(long, value_name = "QUESTION")]
        question: Vec<String>,
        /// When it ends: 90d, 12h, or a time [default: never]
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// Tokens and their state; never what shows one
    List,
    /// End a token
    Revoke {
        /// Its id or its name
        token: String,
    },
}
