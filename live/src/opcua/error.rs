//! What can go wrong with a server, in words that say what to do.

use std::path::PathBuf;

/// Why a source cannot begin, or why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none. (user; a retry does not help)
    #[error("{url}: {message}")]
    Address {
        /// As it was written.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// A key or certificate of keytrail's own, or the folder of trusted ones, cannot be read or written. (user; a retry helps when it is mended)
    #[error("{path}: {message}", path = path.display())]
    Keys {
        /// File or folder.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The server cannot be reached, or ended the connection. (external; a retry helps)
    #[error("{url}: {message}")]
    Unreachable {
        /// The server.
        url: String,
        /// What was tried, and what came back.
        message: String,
    },
    /// The server offers nothing that may be used. (user; a retry does not help)
    #[error("{url}: {message}")]
    Security {
        /// The server.
        url: String,
        /// What it offers, and what to do.
        message: String,
    },
    /// The server shows a certificate that is not trusted. (user; a retry does not help)
    #[error("{url}: {message}")]
    Untrusted {
        /// The server.
        url: String,
        /// Which, and what to do.
        message: String,
    },
    /// The server refused the session, the user, or the subscription. (external; a retry helps when the server is set right)
    #[error("{url}: {message}")]
    Refused {
        /// The server.
        url: String,
        /// What it said, and what to do.
        message: String,
    },
}

impl Error {
    /// What it says, without the server's address.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Address { message, .. }
            | Self::Keys { message, .. }
            | Self::Unreachable { message, .. }
            | Self::Security { message, .. }
            | Self::Untrusted { message, .. }
            | Self::Refused { message, .. } => message,
        }
    }
}
