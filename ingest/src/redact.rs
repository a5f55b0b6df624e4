//! Secrets never pass: they are replaced by `hmac:` and a keyed fingerprint, so that equality survives and the secret does not.
//!
//! Three rules, each of which is enough. **By place**: what may hold free values is closed, and of what stands there only what cannot be a
//! secret is kept (`place`, `harmless`; the lists are data). **By form**: every string that is kept, a column's and a message's too, is searched
//! for what looks like a secret, within encodings as well (`form`). **Where nothing is understood** the same holds for any bytes.
//! Access key ids (`AKIA…`, `ASIA…`), accessors and certificate serials are identifiers, not secrets, and stay.
//!
//! Formats redact nothing themselves: all that they yield passes [`Gate`], once.

use std::borrow::Cow;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use keytrail_schemas::Fingerprint;

mod cells;
mod columns;
mod command;
mod form;
mod gate;
mod harmless;
pub mod kind;
mod level;
mod line;
mod memo;
mod memories;
mod pairs;
mod place;
#[cfg(test)]
mod tests;
mod track;
mod uri;
mod value;
mod walk;
mod withheld;
mod words;

pub use gate::Gate;
pub use level::{Level, UnknownLevel};
pub use place::Kind as PlaceKind;
pub use withheld::is_withheld;

use form::{FORMS, Scope};
use memo::Memo;
use memories::Memories;
use place::Policy;
use walk::Walk;

/// Replaces secrets by keyed fingerprints (HMAC-SHA-256, RFC 2104, with a local key; the first 16 bytes are kept).
#[derive(Clone)]
pub struct Redactor {
    keyed: Arc<Hmac<sha2::Sha256>>,
    /// What was judged with this key before.
    memories: Arc<Memories>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(key withheld)")
    }
}

/// One value that is not kept: where it stands, what is written instead, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The keys from the record's root, `requestParameters.environment[1].value`.
    pub path: String,
    /// Offset of the value's first byte.
    pub position: usize,
    /// Its length in bytes, quotes and all.
    pub bytes: usize,
    /// Of which form the value is, as [`kind::of`] tells.
    pub kind: &'static str,
    /// Which rule replaces it: `place: …`, `key: …`, `form: …`.
    pub why: String,
    /// What is written.
    pub written: String,
}

impl Redactor {
    /// A redactor with this key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { keyed: Arc::new(Hmac::new_from_slice(key).expect("HMAC takes a key of any length")), memories: Arc::default() }
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

    /// What is written in a value's place: `hmac:<32 hexadecimal digits>:<kind>:<length in bytes>`.
    #[must_use]
    pub fn written(&self, secret: &[u8]) -> String {
        let mut digits = [0; 32];
        // As `Fingerprint` shows itself, without what formatting costs: in busy records several values are replaced.
        let digits = match hex::encode_to_slice(self.fingerprint(secret).0, &mut digits) {
            Ok(()) => std::str::from_utf8(&digits).unwrap_or_default(),
            Err(_) => "",
        };
        let mut written = String::with_capacity(64);
        for part in ["hmac:", digits, ":", kind::of(secret), ":"] {
            written.push_str(part);
        }
        crate::json::write_number(secret.len() as u64, &mut written);
        written
    }

    /// A record of `format` without what must not be kept, by place and by form. What is kept stays byte for byte, and valid JSON stays
    /// valid; of an unknown format every place is closed.
    #[must_use]
    pub fn record<'r>(&self, format: &str, record: &'r str, level: Level) -> Cow<'r, str> {
        self.remembering(format, record, level, &mut Memo::none())
    }

    fn remembering<'r>(&self, format: &str, record: &'r str, level: Level, memo: &mut Memo) -> Cow<'r, str> {
        let mut walk = Walk { redactor: self, policy: memo.policy(format), level, memo, trace: None, broken: false, slipped: false, depth: 0 };
        walk.run(record).map_or(Cow::Borrowed(record), Cow::Owned)
    }

    /// What [`record`](Self::record) would replace, in order of position, and why.
    #[must_use]
    pub fn explain(&self, format: &str, record: &str, level: Level) -> Vec<Replacement> {
        let mut trace = Vec::new();
        let mut walk = Walk {
            redactor: self,
            policy: Policy::of(format),
            level,
            memo: &mut Memo::none(),
            trace: Some(&mut trace),
            broken: false,
            slipped: false,
            depth: 0,
        };
        let _ = walk.run(record);
        trace
    }

    /// A text without the secrets that are known by their form.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        value::replaced(self, text, Scope::Text, false, true).map_or(Cow::Borrowed(text), |verdict| Cow::Owned(verdict.written))
    }

    /// As much as can be shown of bytes that could not be understood: text, lossily, in its structure (keys, types, lengths, punctuation), of
    /// its values what cannot be a secret; cut to `bytes_max`. `format` is what it was tried as.
    #[must_use]
    pub fn bytes(&self, format: &str, bytes: &[u8], bytes_max: usize) -> String {
        /// A value that the cut would split is still seen whole, if it is not longer than this.
        const BEYOND: usize = 8 << 10;
        let shown = bytes.get(..bytes_max.saturating_add(BEYOND)).unwrap_or(bytes);
        let text = String::from_utf8_lossy(shown);
        // The format's places hold for what has its structure, as far as it goes; after a slip of quotes nothing stands where it seems to.
        let sound = match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => true,
            Err(error) => error.is_eof() || shown.len() < bytes.len(),
        };
        let structured = sound && text.trim_start().starts_with(['{', '[']);
        let policy = Policy::of(if structured { format } else { "" });
        let mut walk = Walk { redactor: self, policy, level: Level::Safe, memo: &mut Memo::none(), trace: None, broken: true, slipped: !structured, depth: 0 };
        let mut text = walk.run(&text).unwrap_or_else(|| text.into_owned());
        if let Some(verdict) = value::replaced(self, &text, Scope::Name, shown.len() < bytes.len(), true) {
            text = verdict.written;
        }
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    }
}

/// The forms by which secrets are known, each with where its rule comes from.
pub fn forms() -> impl Iterator<Item = (&'static str, &'static str)> {
    FORMS.names()
}

/// The places of a format that are kept or are secrets, as path patterns; all others are closed.
#[must_use]
pub fn places(format: &str) -> Vec<(String, PlaceKind)> {
    Policy::of(format).listed()
}
