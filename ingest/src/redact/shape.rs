//! Secrets that are known by how they look.
//!
//! One pass of a multi-pattern search finds where each kind could begin; a check of what follows decides. No check looks at a
//! byte more than a bounded number of times, so hostile text takes linear time.

use std::ops::Range;
use std::sync::LazyLock;

use super::search::Search;
use super::{Redactor, is_withheld};

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A JSON Web Token (RFC 7519, compact form; JWE too): the marker is base64 for `{"`.
    Jwt,
    /// A base64-encoded JWT, as a Kubernetes Secret holds a service account's token.
    EncodedJwt,
    /// A prefix, then at least so many letters, digits, `_` and `-`.
    Prefixed(usize),
    /// A Vault token of before 1.10: 24 letters and digits after `s.`, `b.` or `r.`; the marker begins with one other byte.
    OldVault,
    /// A private key in PEM (RFC 7468).
    Pem,
    /// What follows `Bearer ` (RFC 6750).
    Bearer,
    /// What follows `Basic ` (RFC 7617).
    Basic,
    /// What follows a key that means a secret, `=`, `:` or `>` between them, when it is at least so long.
    Keyed(usize),
}

const RECORD_KINDS: &[(&str, Kind)] = &[
    ("eyJ", Kind::Jwt),
    ("ZXlK", Kind::EncodedJwt),
    ("hvs.", Kind::Prefixed(20)),
    ("hvb.", Kind::Prefixed(20)),
    ("hvr.", Kind::Prefixed(20)),
    ("\"s.", Kind::OldVault),
    (" s.", Kind::OldVault),
    ("=s.", Kind::OldVault),
    (":s.", Kind::OldVault),
    ("ghp_", Kind::Prefixed(36)),
    ("gho_", Kind::Prefixed(36)),
    ("ghu_", Kind::Prefixed(36)),
    ("ghs_", Kind::Prefixed(36)),
    ("ghr_", Kind::Prefixed(36)),
    ("github_pat_", Kind::Prefixed(22)),
    ("glpat-", Kind::Prefixed(20)),
    ("xoxa-", Kind::Prefixed(16)),
    ("xoxb-", Kind::Prefixed(16)),
    ("xoxe-", Kind::Prefixed(16)),
    ("xoxp-", Kind::Prefixed(16)),
    ("xoxr-", Kind::Prefixed(16)),
    ("xoxs-", Kind::Prefixed(16)),
    ("-----BEGIN ", Kind::Pem),
    ("Bearer ", Kind::Bearer),
    ("bearer ", Kind::Bearer),
    ("Basic ", Kind::Basic),
    ("ecretAccessKey", Kind::Keyed(16)),
    ("essionToken", Kind::Keyed(16)),
    ("ecret_access_key", Kind::Keyed(16)),
    ("ession_token", Kind::Keyed(16)),
    ("X-Amz-Security-Token", Kind::Keyed(16)),
    ("X-Amz-Signature", Kind::Keyed(16)),
];

/// Words behind which a secret stands, where the record could not be understood and its places are unknown.
const DEAD_LETTER_KINDS: &[(&str, Kind)] = &[
    ("assword", Kind::Keyed(1)),
    ("passwd", Kind::Keyed(1)),
    ("client_secret", Kind::Keyed(1)),
    ("clientSecret", Kind::Keyed(1)),
    ("client_token", Kind::Keyed(1)),
    ("secret_id\"", Kind::Keyed(1)),
    ("private_key", Kind::Keyed(1)),
    ("privateKey", Kind::Keyed(1)),
    ("access_token", Kind::Keyed(1)),
    ("refresh_token", Kind::Keyed(1)),
    ("id_token", Kind::Keyed(1)),
    ("api_key", Kind::Keyed(1)),
    ("apiKey", Kind::Keyed(1)),
    ("\"token\"", Kind::Keyed(1)),
    ("X-Vault-Token", Kind::Keyed(1)),
];

/// The shapes that are looked for in records that were understood.
pub(super) static RECORD: LazyLock<Shapes> = LazyLock::new(|| Shapes::new(RECORD_KINDS.to_vec()));

/// The shapes that are looked for in bytes that were not.
pub(super) static DEAD_LETTER: LazyLock<Shapes> = LazyLock::new(|| Shapes::new([RECORD_KINDS, DEAD_LETTER_KINDS].concat()));

/// A set of shapes.
pub(super) struct Shapes {
    kinds: Vec<(&'static str, Kind)>,
    search: Search,
}

impl Shapes {
    fn new(kinds: Vec<(&'static str, Kind)>) -> Self {
        let search = Search::new(kinds.iter().map(|(marker, _)| marker));
        Self { kinds, search }
    }

    pub(super) fn needles(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.kinds.iter().map(|(marker, _)| *marker)
    }

    /// `text` with its secrets replaced; `None` when it has none. `cut` says that `text` goes on beyond its end, so that a token
    /// touching it is one.
    pub(super) fn replace(&self, redactor: &Redactor, text: &str, cut: bool) -> Option<String> {
        /// Replacing a secret can complete another's shape with its neighbours; more often than this it does not happen.
        const PASSES: usize = 8;
        let mut text = self.pass(redactor, text, cut)?;
        for _ in 1..PASSES {
            let Some(next) = self.pass(redactor, &text, cut) else { break };
            text = next;
        }
        Some(text)
    }

    fn pass(&self, redactor: &Redactor, text: &str, cut: bool) -> Option<String> {
        const SHORTEST: usize = 5;
        if text.len() < SHORTEST {
            return None;
        }
        let mut out = String::new();
        let (mut copied, mut at) = (0, 0);
        // An old Vault token at the very beginning has no byte before it that its markers could name.
        let mut first = text.starts_with("s.").then_some((0, 2, Kind::OldVault));
        while let Some((start, end, kind)) = first.take().or_else(|| self.next(text, at)) {
            match secret_at(text, start, end, kind, cut) {
                Ok(secret) => {
                    let value = text.get(secret.clone()).unwrap_or_default();
                    out.push_str(text.get(copied..secret.start).unwrap_or_default());
                    out.push_str(&redactor.fingerprint(value.as_bytes()).to_string());
                    copied = secret.end;
                    at = secret.end;
                }
                Err(next) => at = next.max(start + 1),
            }
            while !text.is_char_boundary(at) {
                at += 1;
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Some(out)
    }

    /// Where the next marker starts, at or after `at`.
    pub(super) fn marker(&self, text: &str, at: usize) -> Option<usize> {
        self.search.next(text.as_bytes(), at).map(|(_, start, _)| start)
    }

    /// The next marker at or after `at`: where it starts, where it ends, what it announces.
    fn next(&self, text: &str, at: usize) -> Option<(usize, usize, Kind)> {
        let (which, start, end) = self.search.next(text.as_bytes(), at)?;
        Some((start, end, self.kinds.get(which)?.1))
    }
}

/// Where the secret stands that the marker at `start..end` announces, or from where to search on when there is none.
fn secret_at(text: &str, start: usize, end: usize, kind: Kind, cut: bool) -> Result<Range<usize>, usize> {
    let bytes = text.as_bytes();
    let run = |from: usize, accept: fn(u8) -> bool| from + bytes.iter().skip(from).take_while(|b| accept(**b)).count();
    let base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let beyond = |stop: usize| cut && stop == bytes.len();
    match kind {
        Kind::Jwt => {
            let header = run(end, base64url);
            let (mut stop, mut dots) = (header, 0);
            while dots < 4 && bytes.get(stop) == Some(&b'.') {
                stop = run(stop + 1, base64url);
                dots += 1;
            }
            let whole = dots >= 2 && header - start >= 8 && stop - start >= 24;
            if whole || beyond(stop) { Ok(start..stop) } else { Err(header) }
        }
        Kind::EncodedJwt => {
            let stop = run(end, |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
            if stop - start >= 40 { Ok(start..stop) } else { Err(stop) }
        }
        Kind::Prefixed(len_min) => {
            let stop = run(end, base64url);
            if stop - end >= len_min || beyond(stop) { Ok(start..stop) } else { Err(end) }
        }
        Kind::OldVault => {
            let stop = run(end, |b| b.is_ascii_alphanumeric());
            let body = bytes.get(end..stop).unwrap_or_default();
            let mixed = body.iter().any(u8::is_ascii_lowercase) && body.iter().any(u8::is_ascii_uppercase);
            if body.len() == 24 && mixed { Ok(end - 2..stop) } else { Err(end) }
        }
        Kind::Pem => {
            let label = bytes.get(end..).unwrap_or_default();
            let label = label.get(..64).unwrap_or(label);
            let Some(label) = memchr::memmem::find(label, b"-----").and_then(|at| label.get(..at)) else { return Err(end) };
            if !label.ends_with(b"PRIVATE KEY") {
                return Err(end);
            }
            let body = end + label.len() + 5;
            let rest = bytes.get(body..).unwrap_or_default();
            let stop = memchr::memmem::find(rest, b"-----END ").and_then(|at| {
                let tail = rest.get(at + 9..)?;
                Some(body + at + 9 + memchr::memmem::find(tail.get(..64).unwrap_or(tail), b"-----")? + 5)
            });
            Ok(start..stop.unwrap_or(bytes.len()))
        }
        Kind::Bearer => {
            let stop = run(end, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'~' | b'+' | b'/' | b'='));
            let token = bytes.get(end..stop).unwrap_or_default();
            let token_like = token.len() >= 16 && token.iter().any(u8::is_ascii_digit);
            if token_like || (beyond(stop) && !token.is_empty()) { Ok(end..stop) } else { Err(end) }
        }
        Kind::Basic => {
            let stop = run(end, |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-'));
            let before = bytes.get(start.saturating_sub(24)..start).unwrap_or_default();
            let announced = start == 0 || memchr::memmem::find(before, b"uthorization").is_some();
            let token = bytes.get(end..stop).unwrap_or_default();
            let token_like = token.len() >= 8 && token.iter().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || *b == b'=');
            if announced && token_like { Ok(end..stop) } else { Err(end) }
        }
        Kind::Keyed(len_min) => keyed(bytes, end, len_min),
    }
}

/// The value behind a key: `key=value`, `"key": "value"`, the same within a JSON string (`\"key\":\"value\"`), `<key>value</key>`.
fn keyed(bytes: &[u8], end: usize, len_min: usize) -> Result<Range<usize>, usize> {
    const BETWEEN_MAX: usize = 16;
    let between = bytes.iter().skip(end).take(BETWEEN_MAX).take_while(|b| matches!(b, b'"' | b'\'' | b'\\' | b' ' | b':' | b'=' | b'>')).count();
    let separators = bytes.get(end..end + between).unwrap_or_default();
    if !separators.iter().any(|b| matches!(b, b':' | b'=' | b'>')) {
        return Err(end);
    }
    let value = end + between;
    let stop = value
        + bytes
            .iter()
            .skip(value)
            .take_while(|b| !matches!(b, b'"' | b'\'' | b'\\' | b'&' | b',' | b';' | b'}' | b']' | b'<') && !b.is_ascii_whitespace())
            .count();
    let text = bytes.get(value..stop).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    if stop - value < len_min.max(1) || is_withheld(text) || matches!(text, "null" | "true" | "false" | "{" | "[") { Err(end) } else { Ok(value..stop) }
}
