//! The walk over a record's bytes: every string, number and key passes by here once, with the place that it stands at.
//!
//! It walks the bytes rather than a tape, so that all that is kept stays byte for byte: white space, the spelling of numbers, the order
//! of keys, duplicated keys. It does not fail: what is no JSON is walked as far as it can be told apart, and text outside of strings
//! is a closed place.

use std::borrow::Cow;
use std::ops::Range;

use super::memo::Memo;
use super::place::{Kind, Policy, Spot};
use super::value::{self, Verdict};
use super::{Level, Redactor, Replacement};
use crate::json;

/// How a text is walked.
pub(super) struct Walk<'w> {
    pub(super) redactor: &'w Redactor,
    pub(super) policy: &'static Policy,
    pub(super) level: Level,
    pub(super) memo: &'w mut Memo,
    /// Collects what is replaced, and why.
    pub(super) trace: Option<&'w mut Vec<Replacement>>,
    /// Whether the text may be anything, or cut anywhere.
    pub(super) broken: bool,
    /// Whether numbers are judged as text: where quotes have slipped, what was a string stands outside of them.
    pub(super) slipped: bool,
    /// How many texts stand around this one.
    pub(super) depth: u8,
}

/// An object or array that the walk is in.
struct Open {
    object: bool,
    /// A key comes next.
    expects_key: bool,
    /// Its own place.
    spot: Spot,
    /// The place of the value that comes next.
    child: Spot,
    /// Where it begins, and how much was replaced before it.
    start: usize,
    edits: usize,
}

/// What is written instead of a part of a text.
struct Edit {
    range: Range<usize>,
    written: String,
}

/// The key of the value that comes next, for who asks.
#[derive(Default)]
struct Path {
    keys: Vec<String>,
}

impl Walk<'_> {
    /// `text` with what must not be kept replaced; `None` when nothing is.
    pub(super) fn run(&mut self, text: &str) -> Option<String> {
        let root = self.policy.root();
        self.run_at(text, root)
    }

    /// The same for a text that stands at a place.
    pub(super) fn run_at(&mut self, text: &str, root: Spot) -> Option<String> {
        let bytes = text.as_bytes();
        let mut edits: Vec<Edit> = Vec::new();
        let mut open: Vec<Open> = Vec::with_capacity(8);
        let mut path = Path::default();
        let mut last_key: Range<usize> = 0..0;
        let mut at = 0;
        // What is explained is walked all the way, and a text that may be broken anywhere has no parts.
        let remembers = self.trace.is_none() && !self.broken;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let len = json::string_len(bytes.get(at..).unwrap_or_default());
                    let token = at..at + len;
                    let expects_key = match open.last() {
                        Some(top) if self.broken => top.expects_key && is_before_colon(bytes, token.end),
                        Some(top) => top.expects_key,
                        None => false,
                    };
                    if expects_key {
                        if let Some(edit) = self.key(text, token.clone(), &mut open, &mut path) {
                            edits.push(edit);
                        }
                        last_key = token.clone();
                    } else {
                        let spot = open.last().map_or(root, |top| top.child);
                        let key = if open.last().is_some_and(|top| top.object) { last_key.clone() } else { 0..0 };
                        if let Some(edit) = self.string(text, token.clone(), spot, key, &path) {
                            edits.push(edit);
                        }
                    }
                    at = token.end;
                }
                b'{' | b'[' => {
                    let spot = open.last().map_or(root, |top| top.child);
                    if remembers
                        && !open.is_empty()
                        && let Some(len) = self.memo.part(spot, bytes.get(at..).unwrap_or_default())
                    {
                        at += len;
                        continue;
                    }
                    open.push(Open { object: byte == b'{', expects_key: byte == b'{', spot, child: spot, start: at, edits: edits.len() });
                    if self.trace.is_some() {
                        path.keys.push(if byte == b'[' { "[0]".to_owned() } else { String::new() });
                    }
                    at += 1;
                }
                b'}' | b']' => {
                    let part = open.pop();
                    path.keys.pop();
                    at += 1;
                    if remembers
                        && !open.is_empty()
                        && let Some(part) = part.filter(|part| part.edits == edits.len())
                    {
                        self.memo.keep_part(part.spot, bytes.get(part.start..at).unwrap_or_default());
                    }
                }
                b',' => {
                    if let Some(top) = open.last_mut() {
                        top.expects_key = top.object;
                        if !top.object && self.trace.is_some() {
                            path.next();
                        }
                    }
                    at += 1;
                }
                b':' | b' ' | b'\n' | b'\r' | b'\t' => at += 1,
                _ => {
                    let len = bare_len(bytes.get(at..).unwrap_or_default());
                    let spot = open.last().map_or(root, |top| top.child);
                    if let Some(edit) = self.bare(text, at..at + len, spot, &path) {
                        edits.push(edit);
                    }
                    at += len;
                }
            }
        }
        if edits.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len() + 32 * edits.len());
        let mut copied = 0;
        for edit in edits {
            out.push_str(text.get(copied..edit.range.start).unwrap_or_default());
            out.push_str(&edit.written);
            copied = edit.range.end;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Some(out)
    }

    /// Takes a key: it says where its value stands, and may be a secret itself.
    fn key(&mut self, text: &str, token: Range<usize>, open: &mut [Open], path: &mut Path) -> Option<Edit> {
        let top = open.last_mut()?;
        top.expects_key = false;
        let raw = text.get(token.start + 1..token.end.saturating_sub(1)).unwrap_or_default();
        let escaped = memchr::memchr(b'\\', raw.as_bytes()).is_some();
        if self.trace.is_some()
            && let Some(last) = path.keys.last_mut()
        {
            raw.clone_into(last);
        }
        if !escaped && let Some((child, clean)) = self.memo.key(top.spot, raw) {
            top.child = child;
            if clean {
                return None;
            }
        }
        let key = decoded(text.get(token.clone()).unwrap_or_default());
        top.child = self.policy.child(top.spot, &key);
        let redactor = self.redactor;
        let verdict = value::of_key(redactor, &key, self.broken);
        if !escaped {
            self.memo.keep_key(top.spot, raw, top.child, verdict.is_none());
        }
        let verdict = verdict?;
        self.replace(text, token, &key, verdict, path, true)
    }

    /// Judges a string.
    fn string(&mut self, text: &str, token: Range<usize>, spot: Spot, key: Range<usize>, path: &Path) -> Option<Edit> {
        let raw = text.get(token.start + 1..token.end.saturating_sub(1)).unwrap_or_default();
        // What is shorter than any secret that is known by its form.
        if spot.kind == Kind::Name && raw.len() < super::form::NAME_BYTES_MIN {
            return None;
        }
        let ends = token.len() >= 2 && text.as_bytes().get(token.end - 1) == Some(&b'"');
        let token_text = text.get(token.clone()).unwrap_or_default();
        let value = if ends { decoded(token_text) } else { Cow::Borrowed(text.get(token.start + 1..).unwrap_or_default()) };
        let key = text.get(key.start + 1..key.end.saturating_sub(1)).unwrap_or_default();
        let verdict = self.judge(&value, spot, key, !ends)?;
        self.replace(text, token, &value, verdict, path, true)
    }

    fn judge(&mut self, value: &str, spot: Spot, key: &str, cut: bool) -> Option<Verdict> {
        value::judge(self, value, spot, key, cut)
    }

    /// Judges what stands outside of strings: numbers and the three words of JSON; anything else where the text is broken.
    fn bare(&mut self, text: &str, range: Range<usize>, spot: Spot, path: &Path) -> Option<Edit> {
        let value = text.get(range.clone()).unwrap_or_default();
        if matches!(value, "true" | "false" | "null") {
            return None;
        }
        let number =
            value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let verdict = if number && !self.slipped {
            value::of_number(self.redactor, value, spot, self.level)?
        } else {
            self.judge(value, if spot.kind == Kind::Secret || spot.names_secret { spot } else { spot.words() }, "", false)?
        };
        self.replace(text, range, value, verdict, path, !self.broken || (number && !self.slipped))
    }

    fn replace(&mut self, text: &str, range: Range<usize>, value: &str, verdict: Verdict, path: &Path, quoted: bool) -> Option<Edit> {
        let Verdict { written, why } = verdict;
        if let Some(trace) = &mut self.trace {
            trace.push(Replacement {
                path: path.text(),
                position: range.start,
                bytes: range.len(),
                kind: super::kind::of(value.as_bytes()),
                why,
                written: written.clone(),
            });
        }
        let mut token = String::with_capacity(written.len() + 2);
        if quoted {
            json::write_string(&written, &mut token);
        } else {
            token.push_str(&written);
        }
        (text.get(range.clone()) != Some(token.as_str())).then_some(Edit { range, written: token })
    }
}

impl Path {
    fn next(&mut self) {
        if let Some(last) = self.keys.last_mut() {
            let index = last.trim_matches(['[', ']']).parse::<usize>().unwrap_or_default();
            *last = format!("[{}]", index + 1);
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for key in &self.keys {
            if !out.is_empty() && !key.starts_with('[') {
                out.push('.');
            }
            out.push_str(key);
        }
        out
    }
}

/// Length of what is neither string nor structure.
fn bare_len(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| !matches!(b, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t')).count().max(1)
}

fn is_before_colon(bytes: &[u8], at: usize) -> bool {
    bytes.iter().skip(at).find(|b| !b.is_ascii_whitespace()) == Some(&b':')
}

/// What a JSON string says; what stands in its quotes when it is none.
pub(super) fn decoded(token: &str) -> Cow<'_, str> {
    let inner = token.strip_prefix('"').map_or(token, |rest| rest.strip_suffix('"').unwrap_or(rest));
    if memchr::memchr(b'\\', token.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str::<String>(token).map_or(Cow::Borrowed(inner), Cow::Owned)
}
