//! What can go wrong on the way out.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target's address is none. (user; a retry does not help)
    #[error("forward target {target:?}: {message}")]
    Address {
        /// What was configured.
        target: String,
        /// What is wrong with it, and what is expected.
        message: String,
    },
    /// The target did not take the findings. (external; a retry helps when it is back)
    #[error("forward target {target}: {source}")]
    Delivery {
        /// The target.
        target: String,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// The outbox's position could not be read or written. (external; a retry helps when the disk takes writes)
    #[error("outbox {path}: {message}")]
    Outbox {
        /// Its file.
        path: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// Whether trying again may help without anything being changed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Delivery { .. })
    }
}
