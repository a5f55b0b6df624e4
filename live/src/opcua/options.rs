//! What a source is told.

use std::path::PathBuf;
use std::time::Duration;

use opcua_client::Password;

use super::Address;

/// One server, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub address: Address,
    /// Folder of the application certificate, and of the certificates of servers that are trusted.
    pub keys: PathBuf,
    /// Who logs in.
    pub user: User,
    /// A folder of server certificates (`.der`, `.pem`) that are trusted; without one, the first certificate that the server shows is, and no other after it.
    pub trust: Option<PathBuf>,
    /// Whether a server without security, or with a policy that OPC UA has withdrawn, is spoken to.
    pub insecure: bool,
    /// How often the server looks whether there are events.
    pub publishing_interval: Duration,
    /// Events that the server keeps between two deliveries.
    pub queue_events: u32,
    /// The longest pause before a server that is away is tried again.
    pub reconnect_max: Duration,
}

impl Options {
    /// Options with default bounds.
    #[must_use]
    pub fn new(address: Address, keys: PathBuf) -> Self {
        Self {
            address,
            keys,
            user: User::Anonymous,
            trust: None,
            insecure: false,
            publishing_interval: Duration::from_millis(500),
            queue_events: 10_000,
            reconnect_max: Duration::from_secs(60),
        }
    }
}

/// Who logs in.
#[derive(Debug, Clone)]
pub enum User {
    /// Nobody.
    Anonymous,
    /// A user with a password.
    Password {
        /// Its name.
        name: String,
        /// Its password; it is not shown.
        password: Password,
    },
    /// A certificate.
    Certificate {
        /// The certificate (`.der` or `.pem`).
        certificate: PathBuf,
        /// Its private key (PEM).
        key: PathBuf,
    },
}
