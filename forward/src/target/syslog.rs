//! Syslog over TCP: RFC 5424 messages with octet counting (RFC 6587), so that long messages and line ends survive.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::Target;
use crate::Error;

/// Longest time to connect, and to write a batch.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A syslog receiver.
pub struct Tcp {
    host: String,
    stream: Option<TcpStream>,
}

impl Tcp {
    /// The receiver at `HOST:PORT`; it is connected with the first delivery.
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), stream: None }
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream.write_all(bytes)?;
        stream.flush()?;
        self.stream = Some(stream);
        Ok(())
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        use std::net::ToSocketAddrs as _;
        let mut last = std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, "the host has no address");
        for address in self.host.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, TIMEOUT) {
                Ok(stream) => {
                    stream.set_write_timeout(Some(TIMEOUT))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// One octet-counted RFC 5424 message: facility 13 (log audit), severity 4 (warning), no host or process of its own.
fn frame(line: &str) -> String {
    let message = format!("<108>1 - - keytrail - finding - {line}");
    format!("{} {message}", message.len())
}

impl Target for Tcp {
    fn address(&self) -> &str {
        &self.host
    }

    fn deliver(&mut self, lines: &[String]) -> Result<(), Error> {
        let frames: String = lines.iter().map(|line| frame(line)).collect();
        self.send(frames.as_bytes()).map_err(|source| Error::Delivery { target: format!("syslog+tcp://{}", self.host), source })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::{Target as _, Tcp};

    #[test]
    fn a_receiver_reads_what_was_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut target = Tcp::new(&listener.local_addr().unwrap().to_string());
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
            text
        });
        target.deliver(&["{\"é\":1}".to_owned(), "two".to_owned()]).unwrap();
        drop(target);
        assert_eq!(reader.join().unwrap(), "40 <108>1 - - keytrail - finding - {\"é\":1}35 <108>1 - - keytrail - finding - two");
    }

    #[test]
    fn an_absent_receiver_is_a_transient_error() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Tcp::new(&port.to_string()).deliver(&["x".to_owned()]).unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
}
