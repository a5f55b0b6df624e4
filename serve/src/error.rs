//! Why a door has no answer. Every message says what to do about it; none holds anything of a token.

/// What can go wrong between a caller and the answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is known by what was shown. The caller's fault.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller may not ask this. The caller's fault.
    #[error("{0}")]
    Forbidden(String),
    /// Too many questions at once. A retry helps.
    #[error("{0}")]
    Busy(String),
    /// The reader of an answer took nothing for too long. The caller's fault.
    #[error("the answer was given up: its reader took nothing for {milliseconds} ms")]
    SlowReader {
        /// The bound.
        milliseconds: u64,
    },
    /// The question itself.
    #[error(transparent)]
    Query(#[from] keytrail_query::Error),
    /// A request that cannot be read. The caller's fault.
    #[error("{0}")]
    Request(String),
    /// An answer that cannot be written in the wanted format. Internal.
    #[error("the answer cannot be written: {0}")]
    Format(String),
    /// A file of the doors' own (tokens, the record, certificates). External.
    #[error("{file}: {reason}")]
    File {
        /// Which.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// An address cannot be listened on, or must not be as it is configured. The user's fault.
    #[error("{0}")]
    Listen(String),
}

impl Error {
    /// A short word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        use keytrail_query::Error as Q;
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Busy(_) => "busy",
            Self::SlowReader { .. } => "slow_reader",
            Self::Request(_) => "bad_request",
            Self::Query(Q::Unknown { .. }) => "unknown_name",
            Self::Query(Q::Ambiguous { .. }) => "ambiguous_name",
            Self::Query(Q::Time { .. } | Q::EmptyPeriod { .. }) => "bad_time",
            Self::Query(Q::Arguments { .. }) => "bad_arguments",
            Self::Query(Q::ReadOnly { .. }) => "read_only",
            Self::Query(Q::Sql(_)) => "bad_sql",
            Self::Query(Q::TimeLimit { .. }) => "time_limit",
            Self::Query(Q::RowLimit { .. }) => "row_limit",
            Self::Query(Q::MemoryLimit { .. }) => "memory_limit",
            Self::Query(_) | Self::Format(_) | Self::File { .. } | Self::Listen(_) => "failed",
        }
    }
}
