//! What can go wrong when a question is asked. Every message says what to do about it.

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no lake where one was looked for. The user's fault; a retry helps once something was ingested.
    #[error("there is no lake at {location}: nothing was ingested yet, or --dir/--lake points elsewhere")]
    NoLake {
        /// Where it was looked for.
        location: String,
    },
    /// The lake's location is not a folder or a URL. The user's fault.
    #[error("{location:?} is not a folder or an object store URL: {reason}")]
    Location {
        /// What was given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A table was written with a feature that this version does not read. The user's fault; an upgrade helps.
    #[error("table {table} uses the Delta feature {feature}, which this version of keytrail does not read")]
    UnsupportedTable {
        /// The table.
        table: &'static str,
        /// The feature.
        feature: String,
    },
    /// The lake could not be read: storage is out of reach, or a table is damaged. External; a retry may help.
    #[error("table {table} cannot be read: {source}")]
    Lake {
        /// The table.
        table: &'static str,
        /// What Delta said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A name fits nothing. The user's fault.
    #[error("no {what} matches {text:?}{}", nearest_words(.nearest))]
    Unknown {
        /// identity, destination, credential, finding, …
        what: &'static str,
        /// What was asked for.
        text: String,
        /// The nearest names there are.
        nearest: Vec<String>,
    },
    /// A fragment fits several names. The user's fault.
    #[error("{text:?} fits {count} {plural}; which one?{}", candidate_lines(.candidates))]
    Ambiguous {
        /// identities, destinations, credentials, findings.
        plural: &'static str,
        /// What was asked for.
        text: String,
        /// How many it fits (counted up to 1,000).
        count: usize,
        /// The latest seen of them, at most ten: name, and when last seen.
        candidates: Vec<(String, Option<String>)>,
    },
    /// A time that cannot be read. The user's fault.
    #[error(
        "{text:?} is not a time: write RFC 3339 (2026-01-31T12:00:00Z), a date (2026-01-31), a span back from the newest event (-90m, -6h, -7d, -2w), today, yesterday or now"
    )]
    Time {
        /// What was given.
        text: String,
    },
    /// The period ends before it begins. The user's fault.
    #[error("the period from {from} to {to} is empty: it ends before it begins")]
    EmptyPeriod {
        /// Its begin, RFC 3339.
        from: String,
        /// Its end, RFC 3339.
        to: String,
    },
    /// A table function was called with other arguments than it takes. The user's fault.
    #[error("{function}: {problem}; it is called as {usage}")]
    Arguments {
        /// The function.
        function: &'static str,
        /// What is wrong.
        problem: String,
        /// How it is called.
        usage: String,
    },
    /// A statement that would change something, or a setting. The user's fault.
    #[error("{statement} is refused: queries only read (SELECT, EXPLAIN, SHOW TABLES, SHOW COLUMNS, DESCRIBE)")]
    ReadOnly {
        /// The kind of statement.
        statement: String,
    },
    /// SQL that cannot be parsed or planned. The user's fault.
    #[error("{0}")]
    Sql(String),
    /// The query ran longer than it may. The user's fault; a narrower question helps.
    #[error("the query was stopped after {seconds} s: narrow its period, or raise query.time_limit_seconds")]
    TimeLimit {
        /// The limit.
        seconds: u64,
    },
    /// The query would give more rows than it may. The user's fault; a narrower question helps.
    #[error("the answer has more than {rows} rows: narrow the question, add LIMIT, or raise query.rows_max")]
    RowLimit {
        /// The limit.
        rows: usize,
    },
    /// The query needs more memory than it may take. The user's fault; a narrower question helps.
    #[error("the query needs more than {bytes} bytes of memory: narrow its period, or raise query.memory_bytes_max ({detail})")]
    MemoryLimit {
        /// The limit.
        bytes: usize,
        /// Who asked for it.
        detail: String,
    },
    /// A data file is gone, cut or damaged, and the answer would lack what it holds. External; a copy put back helps.
    #[error(
        "{table}: {period} cannot be read: the file {file} {what}. No answer is given that would lack it: put the file back from a copy, or ask for a period without it"
    )]
    DataFile {
        /// The table.
        table: &'static str,
        /// The days or times that the file covers.
        period: String,
        /// The file, relative to the table.
        file: String,
        /// What is wrong with it.
        what: String,
        /// What the reader said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// Execution failed: a data file is damaged within, or an operation on values failed. External.
    #[error("the query failed: {0}")]
    Execution(#[source] Box<DataFusionError>),
}

impl Error {
    /// Whether the question, and not the system, is at fault.
    #[must_use]
    pub const fn is_users(&self) -> bool {
        !matches!(self, Self::Lake { .. } | Self::Execution(_) | Self::DataFile { .. })
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Execution(inner) => *inner,
            other => Self::External(Box::new(other)),
        }
    }
}

/// Recovers the crate's own error from beneath DataFusion's wrapping, and sorts the rest by whose fault it is.
pub(crate) fn from_datafusion(error: DataFusionError, memory_bytes_max: usize) -> Error {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(*inner, memory_bytes_max),
        DataFusionError::Shared(inner) => match std::sync::Arc::try_unwrap(inner) {
            Ok(inner) => from_datafusion(inner, memory_bytes_max),
            Err(shared) => Error::Execution(Box::new(DataFusionError::Shared(shared))),
        },
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(inner) => match inner.downcast::<DataFusionError>() {
                Ok(inner) => from_datafusion(*inner, memory_bytes_max),
                Err(inner) => Error::Execution(Box::new(DataFusionError::External(inner))),
            },
        },
        DataFusionError::ArrowError(inner, trace) => match *inner {
            arrow::error::ArrowError::ExternalError(inner) => from_datafusion(DataFusionError::External(inner), memory_bytes_max),
            other => Error::Execution(Box::new(DataFusionError::ArrowError(Box::new(other), trace))),
        },
        DataFusionError::ResourcesExhausted(detail) => Error::MemoryLimit { bytes: memory_bytes_max, detail: first_line(&detail) },
        error @ (DataFusionError::SQL(..) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) | DataFusionError::NotImplemented(_)) => {
            Error::Sql(error.strip_backtrace())
        }
        DataFusionError::Collection(mut errors) if !errors.is_empty() => from_datafusion(errors.swap_remove(0), memory_bytes_max),
        other => Error::Execution(Box::new(other)),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn nearest_words(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; nearest: {}", nearest.join(", ")) }
}

fn candidate_lines(candidates: &[(String, Option<String>)]) -> String {
    candidates.iter().map(|(name, seen)| seen.as_ref().map_or_else(|| format!("\n  {name}"), |seen| format!("\n  {name}  (last seen {seen})"))).collect()
}
