//! A token as a password that is never sent (SCRAM-SHA-256, RFC 5802 and 7677): what is kept to check a proof of it, and to prove the server in turn.
//! With what is kept nobody can log in; and since a token is 32 random bytes, nobody can guess it from that.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

/// One for all tokens, so that it can be told before it is known which token will be proven. Salt keeps passwords that people choose from being looked up
/// in tables; there is no table of 256 random bits.
pub const SALT: &[u8; 16] = b"keytrail tokens.";
/// As many as RFC 7677 asks for, and PostgreSQL takes.
pub const ITERATIONS: NonZeroU32 = match NonZeroU32::new(4_096) {
    Some(iterations) => iterations,
    None => NonZeroU32::MIN,
};
/// Bytes of a hash.
const BYTES: usize = digest::SHA256_OUTPUT_LEN;

/// What is kept of a token for it.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Verifier {
    stored: [u8; BYTES],
    server: [u8; BYTES],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// Of a token as it is shown.
    #[must_use]
    pub fn of(shown: &str) -> Self {
        Self::salted(shown.as_bytes(), SALT, ITERATIONS)
    }

    fn salted(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = [0; BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut salted);
        let client = signed(&salted, b"Client Key");
        Self { stored: hashed(&client), server: signed(&salted, b"Server Key") }
    }

    /// The server's own proof, where `proof` shows that the client knows the token.
    #[must_use]
    pub fn proven(&self, message: &[u8], proof: &[u8]) -> Option<[u8; BYTES]> {
        let mut client = signed(&self.stored, message);
        if proof.len() != BYTES {
            return None;
        }
        client.iter_mut().zip(proof).for_each(|(key, proof)| *key ^= proof);
        // What is compared is a hash of what the client chose: the time that it takes tells nothing about the key.
        (hashed(&client) == self.stored).then(|| signed(&self.server, message))
    }
}

impl From<Verifier> for String {
    fn from(Verifier { stored, server }: Verifier) -> Self {
        format!("{}:{}", hex::encode(stored), hex::encode(server))
    }
}

impl TryFrom<String> for Verifier {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = |part: &str| hex::decode(part).ok().and_then(|bytes| bytes.try_into().ok());
        let keys = text.split_once(':').and_then(|(stored, server)| Some(Self { stored: read(stored)?, server: read(server)? }));
        keys.ok_or("scram is two hashes in hexadecimal, with a colon between them")
    }
}

fn hashed(bytes: &[u8]) -> [u8; BYTES] {
    let mut hash = [0; BYTES];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

fn signed(key: &[u8], message: &[u8]) -> [u8; BYTES] {
    let mut hash = [0; BYTES];
    hash.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::*;

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard_is_proven() {
        let verifier = Verifier::salted(b"pencil", &BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), ITERATIONS);
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = BASE64.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let own = verifier.proven(message.as_bytes(), &proof).expect("it is the right password");
        assert_eq!(BASE64.encode(own), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let mut other = proof.clone();
        other[7] ^= 1;
        for wrong in [other.as_slice(), &proof[..31], &[], &[0; 32], &verifier.stored] {
            assert_eq!(verifier.proven(message.as_bytes(), wrong), None);
        }
        assert_eq!(verifier.proven(b"another exchange", &proof), None, "a proof is good once");
        assert_eq!(Verifier::try_from(String::from(verifier.clone())).unwrap(), verifier);
        assert!(Verifier::try_from("ab:cd".to_owned()).is_err());
    }
}
