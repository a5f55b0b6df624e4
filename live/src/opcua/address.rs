//! The address of a server: `opc.tcp://HOST[:PORT][/PATH]`.

use super::Error;

/// The port that OPC UA servers listen on where an address names none (OPC 10000-6, 7.4).
const PORT: u16 = 4840;

/// An address that has been looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As it was written.
    pub url: String,
    /// Name or address of the host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`Error::Address`] saying what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |message: &str| Error::Address { url: url.to_owned(), message: message.to_owned() };
        let Some(rest) = url.strip_prefix("opc.tcp://") else {
            return Err(wrong("of live sources opc.tcp://HOST:PORT/PATH is known"));
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Error::Address {
                url: "opc.tcp://…@…".to_owned(),
                message: "a user does not stand in the address: write user = \"NAME\" and password_file = \"PATH\"".to_owned(),
            });
        }
        if url.chars().any(|char| char.is_whitespace() || char.is_control()) {
            return Err(wrong("it has spaces or control characters"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            // An IPv6 address stands in brackets.
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let port = match port {
            None => PORT,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| wrong("the port is no number from 1 to 65535"))?,
        };
        if host.is_empty() || (host.contains(':') && !(host.starts_with('[') && host.ends_with(']'))) {
            return Err(wrong("the host is missing, or is an IPv6 address without brackets"));
        }
        Ok(Self { url: url.to_owned(), host: host.trim_matches(['[', ']']).to_owned(), port })
    }

    /// A name for files: the address without what is none.
    pub(super) fn file_name(&self) -> String {
        let rest = self.url.strip_prefix("opc.tcp://").unwrap_or(&self.url);
        rest.chars().map(|char| if char.is_ascii_alphanumeric() || matches!(char, '.' | '-') { char } else { '_' }).take(120).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_wrong_ones_refused() {
        let read = |url: &str| Address::parse(url).map(|address| (address.host, address.port));
        assert_eq!(read("opc.tcp://plc-7:4841/plant").unwrap(), ("plc-7".to_owned(), 4841));
        assert_eq!(read("opc.tcp://10.0.0.9").unwrap(), ("10.0.0.9".to_owned(), 4840));
        assert_eq!(read("opc.tcp://[fe80::1]:4840/").unwrap(), ("fe80::1".to_owned(), 4840));
        assert_eq!(read("opc.tcp://[fe80::1]").unwrap(), ("fe80::1".to_owned(), 4840));
        for wrong in ["http://plc", "opc.tcp://", "opc.tcp://plc:0", "opc.tcp://plc:x", "opc.tcp://fe80::1:4840", "opc.tcp://p lc", "plc:4840", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let message = Address::parse("opc.tcp://operator:hunter2@plc").unwrap_err().to_string();
        assert!(!message.contains("hunter2") && message.contains("password_file"), "{message}");
    }
}
