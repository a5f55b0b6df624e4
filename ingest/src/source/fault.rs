//! Why a file breaks off: an I/O error that knows its word for the dead letter.

use std::io;

use keytrail_schemas::Reason;

/// Why reading a file came to an end before the file did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Why, as one word.
    pub reason: Reason,
    /// Why, for a person, and what to do.
    pub message: String,
}

impl Fault {
    /// A fault.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// What an I/O error stands for.
    pub fn of(error: &io::Error) -> Self {
        if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return fault.clone();
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::new(Reason::Truncated, "the compressed file ends too early: it was cut off, or is still being written; fetch it again")
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Self::new(Reason::Truncated, format!("the compressed data is damaged here ({error}): fetch the file again"))
            }
            io::ErrorKind::PermissionDenied => {
                Self::new(Reason::Unreadable, "this user may not read the file: change its mode or owner, or read it as another user")
            }
            io::ErrorKind::NotFound => Self::new(Reason::Unreadable, "the file is no longer there"),
            _ => Self::new(Reason::Unreadable, format!("the file cannot be read: {error}")),
        }
    }

    /// An I/O error that carries the fault.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}

impl From<crate::format::Reject> for Fault {
    fn from(reject: crate::format::Reject) -> Self {
        Self { reason: reject.reason, message: reject.message }
    }
}

impl From<Fault> for crate::format::Reject {
    fn from(fault: Fault) -> Self {
        Self { reason: fault.reason, field: None, message: fault.message }
    }
}
