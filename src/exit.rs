//! Exit codes, and how an error is told to a person.

use std::io::Write as _;

/// How the process ends, apart from errors in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Done,
    /// It ran, and what was checked does not hold.
    DoesNotHold,
    /// Wrong usage or configuration.
    Usage,
    /// Input was partly dead-lettered under `--strict`.
    DeadLettered,
    /// A dependency is out of reach: the disk, the log, the lake.
    OutOfReach,
}

impl Code {
    /// The number that the process ends with.
    fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::DoesNotHold => 1,
            Self::Usage => 2,
            Self::DeadLettered => 3,
            Self::OutOfReach => 4,
        }
    }
}

/// Ends the process. What is to last is on the disk by now; memory goes back to the system as a whole, and not piece by piece, which takes longer than many a question.
pub fn leave(code: Code) -> ! {
    let _ = std::io::stdout().flush(); // Whoever reads it is gone.
    #[cfg(unix)]
    signal_hook::low_level::exit(code.number().into());
    #[cfg(not(unix))]
    std::process::exit(code.number().into())
}

/// Wrong usage or configuration: ends the process with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Something outside is out of reach: ends the process with 4.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OutOfReach(pub String);

/// An error of a door's: a question's is told as everywhere, and what is configured wrongly is wrong usage.
pub fn of_door(error: keytrail_serve::Error) -> anyhow::Error {
    match error {
        keytrail_serve::Error::Query(error) => error.into(),
        error @ (keytrail_serve::Error::Listen(_) | keytrail_serve::Error::File { .. } | keytrail_serve::Error::Request(_)) => Usage(error.to_string()).into(),
        other => other.into(),
    }
}

/// The exit code of an error.
pub fn code_of(error: &anyhow::Error) -> Code {
    for cause in error.chain() {
        if cause.is::<Usage>() {
            return Code::Usage;
        }
        if matches!(cause.downcast_ref(), Some(keytrail_log::Error::Settings { .. } | keytrail_log::Error::Topics { .. })) {
            return Code::Usage;
        }
        if cause.is::<OutOfReach>() || cause.is::<keytrail_log::Error>() {
            return Code::OutOfReach;
        }
        if let Some(error) = cause.downcast_ref::<keytrail_lake::Error>() {
            return if error.fault() == keytrail_lake::Fault::User && !matches!(error, keytrail_lake::Error::ReadOnly { .. }) {
                Code::Usage
            } else {
                Code::OutOfReach
            };
        }
        if let Some(error) = cause.downcast_ref::<keytrail_query::Error>() {
            return if error.is_users() { Code::Usage } else { Code::OutOfReach };
        }
    }
    Code::DoesNotHold
}

/// The error and its causes on one line, each cause once; without what looks like a secret in them.
pub fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !message.contains(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
    }
    crate::shown::shown(&message).into_owned()
}
