//! Why there is no answer, and the exit code that says whose fault it is: the same codes as `keytrail` has.

use std::process::ExitCode;

/// See the module.
#[derive(Debug)]
pub enum Failure {
    /// What was typed cannot be done: 2.
    Usage(String),
    /// The scheduler, an executor or the lake is out of reach: 4.
    OutOfReach(String),
    /// keytrail's own error, which knows whose fault it is: 2 or 4.
    Query(keytrail_query::Error),
    /// Anything else: 1.
    Other(anyhow::Error),
}

impl Failure {
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::OutOfReach(_) => 4,
            Self::Query(error) if error.is_users() => 2,
            Self::Query(_) => 4,
            Self::Other(_) => 1,
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(text) | Self::OutOfReach(text) => f.write_str(text),
            Self::Query(error) => error.fmt(f),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<keytrail_query::Error> for Failure {
    fn from(error: keytrail_query::Error) -> Self {
        Self::Query(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}
