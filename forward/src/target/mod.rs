//! Where findings go: one file per kind of target.

pub mod file;
pub mod syslog;

use crate::Error;

/// Takes encoded findings. When `deliver` returns, the target has them all; when it fails, it may have some of them, and all are sent again.
pub trait Target: Send {
    /// The target's address, for messages.
    fn address(&self) -> &str;
    /// Delivers lines in order.
    ///
    /// # Errors
    /// [`Error::Delivery`] when the target did not take them all.
    fn deliver(&mut self, lines: &[String]) -> Result<(), Error>;
}

/// A target by its address: `file:PATH` or `syslog+tcp://HOST:PORT`.
///
/// # Errors
/// [`Error::Address`] when the address is none of these.
pub fn open(address: &str) -> Result<Box<dyn Target>, Error> {
    if let Some(path) = address.strip_prefix("file:") {
        return Ok(Box::new(file::File::new(path)));
    }
    if let Some(host) = address.strip_prefix("syslog+tcp://") {
        return Ok(Box::new(syslog::Tcp::new(host)));
    }
    Err(Error::Address { target: address.to_owned(), message: "expected file:PATH or syslog+tcp://HOST:PORT".to_owned() })
}
