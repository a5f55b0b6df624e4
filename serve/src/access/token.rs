//! A token: what is shown, what is kept of it, and what it allows.
//!
//! `kt_ID_SECRET`: twelve hexadecimal digits that name it, and 32 random bytes in hexadecimal. Only SHA-256 of the secret is kept, and what proofs of it are
//! held against ([`super::scram`]); with 256 bits of randomness there is nothing that a slower hash would protect.

use std::str::FromStr;

use keytrail_schemas::Micros;
use sha2::{Digest as _, Sha256};

use super::Caller;
use super::scram::Verifier;
use crate::Error;

/// What a caller may see. Each may do what the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The questions, and SQL over what they are made of.
    #[default]
    Analyst,
    /// Dead letters, and who asked what, too.
    Auditor,
    /// The list of tokens, too.
    Admin,
}

impl Role {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Analyst => "analyst",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Analyst, Self::Auditor, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no role: analyst, auditor and admin are"))
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Names it.
    pub id: String,
    /// Who or what has it: the user that the record names.
    pub name: String,
    /// SHA-256 of the secret, in hexadecimal.
    hash: String,
    /// What it may see.
    pub role: Role,
    /// The questions that it may ask, `sql` among them; empty for all.
    #[serde(default)]
    pub questions: Vec<String>,
    /// When it was made, microseconds since 1970.
    pub created: i64,
    /// When it ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<i64>,
    /// What proofs of it are held against; a token that an earlier keytrail made has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scram: Option<Verifier>,
}

impl Token {
    /// A new token, and the text that shows it, which is kept nowhere.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new(name: &str, role: Role, questions: Vec<String>, created: Micros, expires: Option<Micros>) -> Result<(Self, String), Error> {
        let mut random = [0_u8; 38];
        getrandom::getrandom(&mut random).map_err(|error| Error::File { file: "random bytes".to_owned(), reason: error.to_string() })?;
        let (id, secret) = random.split_at(6);
        let (id, secret) = (hex::encode(id), hex::encode(secret));
        let shown = format!("kt_{id}_{secret}");
        let hash = hash(&secret);
        let (name, scram) = (name.to_owned(), Some(Verifier::of(&shown)));
        Ok((Self { id, name, hash, role, questions, created: created.0, expires: expires.map(|time| time.0), revoked: None, scram }, shown))
    }

    /// Whether `shown` is this token. Comparing hashes tells nothing about the secret by its time.
    #[must_use]
    pub fn is_shown_by(&self, shown: &str) -> bool {
        let Some((id, secret)) = shown.trim().strip_prefix("kt_").and_then(|rest| rest.split_once('_')) else { return false };
        id == self.id && hash(secret) == self.hash
    }

    /// Whether it can be shown by a proof.
    #[must_use]
    pub const fn takes_proofs(&self) -> bool {
        self.scram.is_some()
    }

    /// The server's own proof, where `proof` is of this token.
    #[must_use]
    pub fn proven(&self, message: &[u8], proof: &[u8]) -> Option<Vec<u8>> {
        self.scram.as_ref()?.proven(message, proof).map(Vec::from)
    }

    /// Whether it is neither revoked nor over at `now`.
    #[must_use]
    pub fn holds(&self, now: Micros) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now.0 < expires)
    }

    /// In a word.
    #[must_use]
    pub fn state(&self, now: Micros) -> &'static str {
        match self {
            Self { revoked: Some(_), .. } => "revoked",
            token if token.holds(now) => "active",
            _ => "expired",
        }
    }

    /// Who shows it.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller { user: self.name.clone(), token: Some(self.id.clone()), role: self.role, questions: self.questions.clone() }
    }
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_shown_once_shows_a_token_again() {
        let (token, shown) = Token::new("grafana", Role::Analyst, Vec::new(), Micros(0), Some(Micros(10))).unwrap();
        assert!(token.is_shown_by(&shown) && token.is_shown_by(&format!(" {shown}\n")));
        let secret = shown.rsplit('_').next().unwrap();
        assert!(!toml::to_string(&token).unwrap().contains(secret), "the secret is not kept");
        for other in
            ["", "kt_", "kt__", secret, &shown[..shown.len() - 1], &format!("{shown}0"), &shown.to_uppercase(), &format!("kt_{}_{}", token.id, token.hash)]
        {
            assert!(!token.is_shown_by(other), "{other}");
        }
        assert!(token.holds(Micros(9)) && !token.holds(Micros(10)));
        assert_eq!(Token { revoked: Some(1), ..token }.state(Micros(5)), "revoked");
    }

    #[test]
    fn two_tokens_differ() {
        let new = || Token::new("a", Role::Admin, Vec::new(), Micros(0), None).unwrap().1;
        assert_ne!(new(), new());
    }
}
