//! Where secrets stand in JSON: named keys and paths, and a rewriter that touches nothing but them.
//!
//! The rewriter walks the record's bytes rather than its tape, so that all that is not a secret stays byte for byte: white space,
//! the spelling of numbers, the order of keys, duplicated keys.

use std::borrow::Cow;

use super::search::Search;
use super::{Redactor, is_withheld, shape};
use crate::json;

/// Keys that hold a secret wherever they stand.
const KEYS: &[&str] =
    &["secretAccessKey", "sessionToken", "SecretAccessKey", "SessionToken", "aws_secret_access_key", "aws_session_token", "secret_access_key", "session_token"];

/// The places of a format's secrets. Build it once per parser, not per record.
///
/// All strings and numbers at a place, and within it, are secrets. Some keys are places for every format: the secret access
/// key and the session token of AWS, in each of their spellings.
#[derive(Debug, Clone)]
pub struct Places {
    keys: Vec<&'static str>,
    paths: Vec<Vec<&'static str>>,
    needles: Search,
}

impl Default for Places {
    fn default() -> Self {
        Self::new()
    }
}

impl Places {
    /// The places that hold for every format.
    #[must_use]
    pub fn new() -> Self {
        Self { keys: KEYS.to_vec(), paths: Vec::new(), needles: Search::new(shape::RECORD.needles()) }.indexed()
    }

    /// Also `key`, at any depth.
    #[must_use]
    pub fn key(self, key: &'static str) -> Self {
        self.keys(&[key])
    }

    /// Also each of `keys`, at any depth.
    #[must_use]
    pub fn keys(mut self, keys: &[&'static str]) -> Self {
        self.keys.extend_from_slice(keys);
        self.indexed()
    }

    /// Also the keys from the record's root that `path` names, separated by dots; `*` stands for any one key. Arrays on the way do not count: `items.token` is
    /// also the `token` of each object in the array `items`.
    #[must_use]
    pub fn path(self, path: &'static str) -> Self {
        self.paths(&[path])
    }

    /// Also each of `paths`.
    #[must_use]
    pub fn paths(mut self, paths: &[&'static str]) -> Self {
        self.paths.extend(paths.iter().map(|path| path.split('.').collect()));
        self.indexed()
    }

    /// One pass over a record's bytes says whether it needs a closer look.
    fn indexed(mut self) -> Self {
        let mut needles: Vec<Cow<'static, str>> = shape::RECORD.needles().map(Cow::Borrowed).collect();
        needles.extend(self.keys.iter().map(|key| format!("\"{key}\"").into()));
        needles.extend(self.paths.iter().filter_map(|path| path.iter().rev().find(|key| **key != "*")).map(|key| format!("\"{key}\"").into()));
        // A letter written as an escape hides a key or a shape from a search of bytes.
        needles.push("\\u00".into());
        self.needles = Search::new(needles.iter().map(|needle| needle.as_bytes()));
        self
    }

    pub(super) fn may_hold_secret(&self, record: &[u8]) -> bool {
        self.needles.is_in(record)
    }

    fn holds(&self, open: &[Open<'_>], key: &str) -> bool {
        if self.keys.contains(&key) {
            return true;
        }
        self.paths.iter().any(|path| {
            let Some((last, above)) = path.split_last() else { return false };
            let matches = |pattern: &str, key: &str| pattern == "*" || pattern == key;
            let mut keys = open.iter().rev().skip(1).filter(|o| o.object);
            matches(last, key) && above.iter().rev().all(|pattern| keys.next().is_some_and(|o| matches(pattern, &o.key))) && keys.next().is_none()
        })
    }
}

/// An object or array that the walk is in.
struct Open<'t> {
    object: bool,
    /// The key whose value comes next, or is being walked.
    key: Cow<'t, str>,
    /// A key comes next.
    expects_key: bool,
    /// The whole container is at a secret place.
    secret: bool,
    /// The next value is.
    value_secret: bool,
}

/// `text` with its secrets replaced; `None` when it has none.
pub(super) fn rewrite(redactor: &Redactor, text: &str, places: &Places) -> Option<String> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    // Where the next shape may begin: one search runs through the record, and strings before it are passed over.
    let mut marker = shape::RECORD.marker(text, 0);
    let mut open: Vec<Open<'_>> = Vec::new();
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        let mut len = 1;
        let mut replaced = None;
        match byte {
            b'{' | b'[' => {
                let secret = open.last().is_some_and(|o| o.secret || o.value_secret);
                open.push(Open { object: byte == b'{', key: Cow::Borrowed(""), expects_key: byte == b'{', secret, value_secret: secret });
            }
            b'}' | b']' => {
                open.pop();
            }
            b',' => {
                if let Some(top) = open.last_mut() {
                    top.expects_key = top.object;
                    top.value_secret = top.secret;
                }
            }
            b'"' => {
                len = json::string_len(bytes.get(at..).unwrap_or_default());
                let token = text.get(at..at + len).unwrap_or_default();
                let string = decoded(token);
                let is_key = open.last().is_some_and(|o| o.expects_key);
                if is_key {
                    let secret = open.last().is_some_and(|o| o.secret) || places.holds(&open, &string);
                    if let Some(top) = open.last_mut() {
                        top.expects_key = false;
                        top.value_secret = secret;
                        top.key.clone_from(&string);
                    }
                }
                replaced = if !is_key && open.last().is_some_and(|o| o.value_secret) {
                    (!is_withheld(&string)).then(|| redactor.fingerprint(string.as_bytes()).to_string())
                } else {
                    if marker.is_some_and(|marker| marker < at) {
                        marker = shape::RECORD.marker(text, at);
                    }
                    let escaped = matches!(string, Cow::Owned(_));
                    if escaped || marker.is_some_and(|marker| marker < at + len) { shape::RECORD.replace(redactor, &string, false) } else { None }
                };
            }
            b'-' | b'0'..=b'9' => {
                len = bytes.iter().skip(at).take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
                if open.last().is_some_and(|o| o.value_secret && !o.expects_key) {
                    replaced = bytes.get(at..at + len).map(|number| redactor.fingerprint(number).to_string());
                }
            }
            _ => {}
        }
        if let Some(replaced) = replaced {
            out.push_str(text.get(copied..at).unwrap_or_default());
            json::write_string(&replaced, &mut out);
            copied = at + len;
        }
        at += len;
    }
    if copied == 0 {
        return None;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

/// What a JSON string says; the token itself when it is no JSON string.
fn decoded(token: &str) -> Cow<'_, str> {
    let inner = token.strip_prefix('"').map_or(token, |rest| rest.strip_suffix('"').unwrap_or(rest));
    if memchr::memchr(b'\\', token.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str::<String>(token).map_or(Cow::Borrowed(inner), Cow::Owned)
}
