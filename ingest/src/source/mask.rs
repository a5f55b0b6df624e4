//! Fingerprints masked: the id of a record without one of its own is made from its redacted bytes, and must be the same under every
//! fingerprint key, so that two data folders agree on what they hold.

use std::sync::LazyLock;

use keytrail_schemas::Hash32;
use memchr::memmem::Finder;

/// What stands before a fingerprint.
const PREFIX: &[u8] = b"hmac:";
/// Looks for it; made once.
static FINGERPRINT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PREFIX));
/// Hex digits of a fingerprint.
const DIGITS: usize = 32;

/// The hash of a redacted record with the digits of every fingerprint replaced by zeros; `raw_hash`, its own hash, where it has none.
pub fn hash(raw: &str, raw_hash: &Hash32) -> Hash32 {
    let bytes = raw.as_bytes();
    let mut masked: Option<Vec<u8>> = None;
    for at in FINGERPRINT.find_iter(bytes) {
        let digits = at + PREFIX.len()..at + PREFIX.len() + DIGITS;
        let is_fingerprint = bytes.get(digits.clone()).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if is_fingerprint && let Some(place) = masked.get_or_insert_with(|| bytes.to_vec()).get_mut(digits) {
            place.fill(b'0');
        }
    }
    masked.map_or(*raw_hash, |masked| Hash32::of(&masked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &str) -> Hash32 {
        hash(raw, &Hash32::of(raw.as_bytes()))
    }

    #[test]
    fn the_key_does_not_show_and_everything_else_does() {
        let (one, other) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
        let record = |digits: &str, rest: &str| format!("{{\"a\":\"hmac:{digits}\",\"b\":\"Bearer hmac:{digits}:jwt:180\",\"c\":\"{rest}\"}}");
        assert_eq!(of(&record(one, "x")), of(&record(other, "x")));
        assert_ne!(of(&record(one, "x")), of(&record(one, "y")));
        assert_ne!(of("hmac-sha256:0123456789abcdef0123456789abcdef"), of("hmac-sha256:fedcba9876543210fedcba9876543210"), "Vault's own, under Vault's key");
        let plain = "hmac: none, hmac:0123, and nothing else";
        assert_eq!(of(plain), Hash32::of(plain.as_bytes()));
        assert_eq!(of("hmac:0123456789abcdef0123456789abcde"), Hash32::of(b"hmac:0123456789abcdef0123456789abcde"), "cut short");
    }
}
