//! What stands in a secret's place already: keytrail's own fingerprints, Vault's, and the words with which sources say that they left something out.

use std::ops::Range;

/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 32;
/// Those of Vault's HMAC.
const VAULT_DIGITS: usize = 64;

/// Whether a value stands in place of a secret already, or says that its source withheld it.
#[must_use]
pub fn is_withheld(value: &str) -> bool {
    value.is_empty()
        || written_len(value) == Some(value.len())
        || value.strip_prefix("hmac-sha256:").is_some_and(|rest| rest.len() == VAULT_DIGITS && rest.bytes().all(|b| b.is_ascii_hexdigit()))
        || value.bytes().all(|b| b == b'*')
        || matches!(
            value,
            "HIDDEN_DUE_TO_SECURITY_REASONS"
                | "Value hidden due to security reasons."
                | "HIDDEN_FOR_SECURITY_REASONS"
                | "<sensitiveDataRemoved>"
                | "<masked>"
                | "[REDACTED]"
                | "REDACTED"
                | "<redacted>"
                | "[FILTERED]"
        )
}

/// Length of the fingerprint that `text` begins with, with its kind and length where it has them.
fn written_len(text: &str) -> Option<usize> {
    let bytes = text.strip_prefix("hmac:")?.as_bytes();
    if bytes.len() < DIGITS || !bytes.iter().take(DIGITS).all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)) {
        return None;
    }
    let bare = "hmac:".len() + DIGITS;
    let rest = bytes.get(DIGITS..)?;
    let with_kind = || {
        let kind = rest.strip_prefix(b":")?;
        let kind_len = super::kind::ALL.iter().find(|known| kind.starts_with(known.as_bytes()) && kind.get(known.len()) == Some(&b':'))?.len();
        let digits = kind.get(kind_len + 1..)?.iter().take(12).take_while(|b| b.is_ascii_digit()).count();
        (digits > 0).then_some(bare + 1 + kind_len + 1 + digits)
    };
    Some(with_kind().unwrap_or(bare))
}

/// Where fingerprints stand in a text.
pub(super) fn written_in(text: &str) -> Vec<Range<usize>> {
    memchr::memmem::find_iter(text.as_bytes(), b"hmac:").filter_map(|at| Some(at..at + written_len(text.get(at..)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_known_whole() {
        let digits = "0123456789abcdef0123456789abcdef";
        for withheld in [format!("hmac:{digits}"), format!("hmac:{digits}:text:12"), format!("hmac-sha256:{digits}{digits}"), "***".to_owned(), String::new()] {
            assert!(is_withheld(&withheld), "{withheld}");
        }
        for value in
            [format!("hmac:{digits}x"), format!("hmac:{digits}:hunter2:3"), format!("hmac-sha256:{digits}"), "hmac:abc".to_owned(), "xhmac:".to_owned()]
        {
            assert!(!is_withheld(&value), "{value}");
        }
        assert_eq!(written_in(&format!("a hmac:{digits}:hex:40 b hmac:{digits}")), [2..46, 49..86]);
    }
}
