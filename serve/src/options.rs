//! What can be configured of the doors. Each bound has a default, and what happens at it is written beside it.

use std::path::PathBuf;

/// How a token is shown as a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Password {
    /// Proven, where every token in force can be.
    #[default]
    Auto,
    /// Proven.
    Scram,
    /// Sent.
    Clear,
}

/// Where the doors are, and their bounds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Address of HTTP: API, console, MCP. Empty for none under `keytrail run`; `keytrail serve` takes 127.0.0.1:8470 then.
    pub listen: String,
    /// Address of the PostgreSQL wire. Empty for none under `keytrail run`; `keytrail serve` takes 127.0.0.1:5470 then.
    pub postgres: String,
    /// How a token is shown to PostgreSQL's door: `scram` (proven, and never sent), `clear` (sent, within TLS off loopback), or `auto`: proven, unless a token
    /// is in force that was made before that was possible.
    pub postgres_password: Password,
    /// No tokens are asked for. On loopback only; refused elsewhere.
    pub no_auth: bool,
    /// Certificate chain, PEM. With `tls_key`, both doors speak TLS.
    pub tls_cert: PathBuf,
    /// Its private key, PEM.
    pub tls_key: PathBuf,
    /// Serve off loopback without TLS, because it ends in front of keytrail. Tokens pass in the clear there.
    pub plain: bool,
    /// Most open connections of each door; further ones wait to be accepted.
    pub connections_max: usize,
    /// Named questions that are answered at once; further ones wait.
    pub questions_max: usize,
    /// SQL statements that run at once, beside the questions: a heavy scan does not take a question's place.
    pub statements_max: usize,
    /// Questions and statements of one user at once; further ones wait.
    pub per_user_max: usize,
    /// Milliseconds that a question waits for its turn; then it is refused as busy.
    pub wait_ms_max: u64,
    /// Milliseconds that an answer waits for a reader that takes nothing; then it is given up.
    pub reader_ms_max: u64,
    /// Longest body of a request, in bytes; a longer one is refused.
    pub body_bytes_max: usize,
    /// Rows that a tool of MCP hands to an assistant; what is more is counted and named, not shown.
    pub mcp_rows_max: usize,
    /// Calls of MCP tools in a minute by one user; further ones are refused until it is over.
    pub mcp_calls_per_minute_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: String::new(),
            postgres: String::new(),
            postgres_password: Password::Auto,
            no_auth: false,
            tls_cert: PathBuf::new(),
            tls_key: PathBuf::new(),
            plain: false,
            connections_max: 1_000,
            questions_max: 16,
            statements_max: 4,
            per_user_max: 8,
            wait_ms_max: 10_000,
            reader_ms_max: 30_000,
            body_bytes_max: 1 << 20,
            mcp_rows_max: 200,
            mcp_calls_per_minute_max: 60,
        }
    }
}

impl Options {
    /// Where `keytrail serve` listens for HTTP when nothing is said.
    pub const LISTEN: &'static str = "127.0.0.1:8470";
    /// Where `keytrail serve` listens for PostgreSQL when nothing is said.
    pub const POSTGRES: &'static str = "127.0.0.1:5470";
}
