//! What a certificate says of itself: thumbprint, subject, validity, application URI (OPC 10000-6, 6.2.2). Nothing is verified here.

use std::ops::Range;

use keytrail_schemas::Micros;
use opcua_crypto::X509;

/// Facts of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// SHA-1 of the certificate, in hex: OPC UA's name for it.
    pub thumbprint: String,
    /// The subject's distinguished name.
    pub subject: String,
    /// From when it is valid.
    pub not_before: Option<Micros>,
    /// Until when.
    pub not_after: Option<Micros>,
    /// The URI of the application that it was made for.
    pub application_uri: Option<String>,
}

/// Longest name that is kept.
const NAME_BYTES_MAX: usize = 1_024;

/// Reads the first certificate of a chain; `None` where the bytes are none.
pub fn facts(chain: &[u8]) -> Option<Facts> {
    let whole = chain.get(..element(chain, 0)?.1.end)?;
    let certificate = X509::from_der(whole).ok()?;
    Some(Facts {
        thumbprint: certificate.thumbprint().as_hex_string(),
        subject: cut(certificate.subject_name()),
        not_before: certificate.not_before().ok().map(|time| Micros(time.timestamp_micros())),
        not_after: certificate.not_after().ok().map(|time| Micros(time.timestamp_micros())),
        application_uri: application_uri(whole).map(cut),
    })
}

/// The first URI among the certificate's alternative names (RFC 5280, 4.2.1.6): the library knows it and does not say it.
fn application_uri(certificate: &[u8]) -> Option<String> {
    const SUBJECT_ALT_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];
    const BOOLEAN: u8 = 0x01;
    const URI: u8 = 0x86;
    let mut at = certificate.windows(SUBJECT_ALT_NAME.len()).position(|window| window == SUBJECT_ALT_NAME)? + SUBJECT_ALT_NAME.len();
    let (mut tag, mut body) = element(certificate, at)?;
    if tag == BOOLEAN {
        (tag, body) = element(certificate, body.end)?;
    }
    // An octet string around a sequence of names.
    let (inner, names) = element(certificate, body.start)?;
    if tag != 0x04 || inner != 0x30 {
        return None;
    }
    at = names.start;
    while at < names.end {
        let (tag, name) = element(certificate, at)?;
        if tag == URI {
            return String::from_utf8(certificate.get(name)?.to_vec()).ok();
        }
        at = name.end;
    }
    None
}

/// The element of DER at this place: its tag, and where its content stands.
fn element(bytes: &[u8], at: usize) -> Option<(u8, Range<usize>)> {
    let tag = *bytes.get(at)?;
    let first = *bytes.get(at + 1)?;
    let (length, start) = match first {
        0..=0x7f => (usize::from(first), at + 2),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let digits = bytes.get(at + 2..at + 2 + count)?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), at + 2 + count)
        }
        _ => return None,
    };
    let end = start.checked_add(length).filter(|end| *end <= bytes.len())?;
    Some((tag, start..end))
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(NAME_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_certificate_are_none_and_do_no_harm() {
        for bytes in [&b""[..], b"0", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x30\x03\x02\x01\x01", &[0x30; 4_096]] {
            assert_eq!(facts(bytes), None, "{bytes:?}");
        }
        let mut torn = vec![0x06, 0x03, 0x55, 0x1d, 0x11];
        for byte in [0x04_u8, 0x05, 0x30, 0x7f, 0x86] {
            torn.push(byte);
            assert_eq!(application_uri(&torn), None);
        }
    }
}
