//! Secrets never pass: they are replaced by `hmac:` and a keyed fingerprint, so that equality survives and the secret does not.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use keytrail_schemas::Fingerprint;

/// Replaces secrets by keyed fingerprints (HMAC-SHA-256, RFC 2104, with a local key; the first 16 bytes are kept).
#[derive(Clone)]
pub struct Redactor {
    keyed: Arc<Hmac<sha2::Sha256>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(key withheld)")
    }
}

impl Redactor {
    /// A redactor with this key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { keyed: Arc::new(Hmac::new_from_slice(key).expect("HMAC takes a key of any length")) }
    }

    /// The fingerprint of a secret.
    #[must_use]
    pub fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        let mut mac = (*self.keyed).clone();
        mac.update(secret);
        let digest = mac.finalize().into_bytes();
        let mut half = [0_u8; 16];
        half.copy_from_slice(&digest[..16]);
        Fingerprint(half)
    }
}
