//! Bytes that only the holder of a key or of a passphrase can read: AES-256-GCM (NIST SP 800-38D), a nonce of its own for each; a
//! passphrase becomes a key by PBKDF2-HMAC-SHA-256 (RFC 8018). All of it is ring's.

use std::num::NonZeroU32;

use anyhow::Context as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::pbkdf2;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Rounds of PBKDF2, as OWASP's password storage cheat sheet asks of HMAC-SHA-256 (2023).
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(599_999);
const SALT_LEN: usize = 16;

/// Random bytes of the operating system's.
///
/// # Errors
/// When it has none.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok().context("the operating system gives no random bytes")?;
    Ok(bytes)
}

/// Seals with a key: nonce, ciphertext, tag. `about` is not hidden, but must be the same when it is opened.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn with_key(key: &[u8; 32], about: &[u8], plain: &[u8]) -> anyhow::Result<Vec<u8>> {
    let nonce = random::<NONCE_LEN>()?;
    let mut sealed = plain.to_vec();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok().context("AES-256-GCM takes 32 bytes")?);
    cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about), &mut sealed).ok().context("sealing")?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens what was sealed with this key; `None` when it was not, or was changed since.
#[must_use]
pub fn open_with_key(key: &[u8; 32], about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let mut plain = rest.to_vec();
    let length = cipher.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(about), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

/// Seals with a passphrase: salt, then as with a key.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn with_passphrase(passphrase: &[u8], plain: &[u8]) -> anyhow::Result<Vec<u8>> {
    let salt = random::<SALT_LEN>()?;
    Ok([salt.as_slice(), &with_key(&derived(passphrase, &salt), &salt, plain)?].concat())
}

/// Opens what was sealed with this passphrase; `None` when it was not, or was changed since.
#[must_use]
pub fn open_with_passphrase(passphrase: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (salt, rest) = sealed.split_first_chunk::<SALT_LEN>()?;
    open_with_key(&derived(passphrase, salt), salt, rest)
}

fn derived(passphrase: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, passphrase, &mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_nothing_else() {
        let sealed = with_key(&[1; 32], b"id", b"secret").unwrap();
        assert_eq!(open_with_key(&[1; 32], b"id", &sealed).as_deref(), Some(b"secret".as_slice()));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, with_key(&[1; 32], b"id", b"secret").unwrap(), "a nonce of its own");
        assert_eq!(open_with_key(&[2; 32], b"id", &sealed), None);
        assert_eq!(open_with_key(&[1; 32], b"other", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open_with_key(&[1; 32], b"id", &changed), None, "byte {at}");
        }
        assert_eq!(open_with_key(&[1; 32], b"id", b"short"), None);
    }

    #[test]
    fn a_passphrase_opens_what_it_sealed() {
        let sealed = with_passphrase("Ænigma".as_bytes(), b"secret").unwrap();
        assert_eq!(open_with_passphrase("Ænigma".as_bytes(), &sealed).as_deref(), Some(b"secret".as_slice()));
        assert_eq!(ROUNDS.get(), 600_000);
        assert_eq!(open_with_passphrase(b"enigma", &sealed), None);
    }
}
