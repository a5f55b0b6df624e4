//! Of which form a value is that is replaced: one word beside its fingerprint. It depends on the value alone, so that equal secrets are written alike wherever they stand.

/// Every kind.
pub const ALL: &[&str] = &["text", "digits", "hex", "base64", "uuid", "jwt", "pem", "json", "url", "bytes"];

/// The kind of a value.
#[must_use]
pub fn of(value: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(value) else { return "bytes" };
    let bytes = text.as_bytes();
    // Of which alphabets all bytes are, in one pass.
    let alphabets = bytes.iter().fold(if bytes.is_empty() { 0 } else { DIGITS | HEX | BASE64 }, |all, b| all & ALPHABETS.get(usize::from(*b)).unwrap_or(&0));
    if alphabets & DIGITS != 0 {
        "digits"
    } else if is_uuid(text) {
        "uuid"
    } else if bytes.len() >= 8 && alphabets & HEX != 0 {
        "hex"
    } else if text.starts_with("eyJ") && text.contains('.') && !text.contains(' ') {
        "jwt"
    } else if text.contains("-----BEGIN ") {
        "pem"
    } else if text.starts_with(['{', '[']) && text.trim_end().ends_with(['}', ']']) {
        "json"
    } else if text.split_once("://").is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+')) {
        "url"
    } else if bytes.len() >= 20 && alphabets & BASE64 != 0 {
        "base64"
    } else {
        "text"
    }
}

const DIGITS: u8 = 1;
const HEX: u8 = 2;
const BASE64: u8 = 4;

/// The alphabets that each byte is of.
static ALPHABETS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_digit() {
            table[byte] |= DIGITS;
        }
        if b.is_ascii_hexdigit() {
            table[byte] |= HEX;
        }
        if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_') {
            table[byte] |= BASE64;
        }
        byte += 1;
    }
    table
};

/// Whether it is a UUID (RFC 9562) in its usual spelling.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().enumerate().all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_the_value_alone() {
        for (value, kind) in [
            ("hunter2", "text"),
            ("123456", "digits"),
            ("deadbeefcafe", "hex"),
            ("0c1d2e3f-0000-4000-8000-0123456789ab", "uuid"),
            ("eyJhbGciOiJub25lIn0.e30.", "jwt"),
            ("{\"a\":1}", "json"),
            ("postgres://a:b@c/d", "url"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "base64"),
            ("-----BEGIN PRIVATE KEY-----", "pem"),
        ] {
            assert_eq!(of(value.as_bytes()), kind, "{value}");
        }
        assert_eq!(of(&[0xff, 0xfe]), "bytes");
    }
}
