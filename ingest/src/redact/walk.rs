//! The walk over a record's bytes: every string, number and key passes by here once, with the place that it stands at.
//!
//! It walks the bytes rather than a tape, so that all that is kept stays byte for byte: white space, the spelling of numbers, the order
//! of keys, duplicated keys. It does not fail: what is no JSON is walked as far as it can be told apart, and text outside of strings
//! is a closed place.

use std::borrow::Cow;
use std::ops::Range;

use super::memo::Memo;
use super::place::{Kind, Policy, Spot};
use super::track::{Open, Stand, Stop, To, Track, begins_value};
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

/// A text in which parts are replaced, once there is one.
struct Edited<'t> {
    text: &'t str,
    out: Option<String>,
    copied: usize,
}

/// What is written instead of a part of a text.
struct Edit {
    range: Range<usize>,
    written: String,
}

impl Edited<'_> {
    fn put(&mut self, edit: Edit, spare: &mut String) {
        let out = self.out.get_or_insert_with(|| {
            let wanted = self.text.len() + 256;
            // One of about the size: the record keeps it.
            let mut out = if spare.capacity() > 2 * wanted { String::new() } else { std::mem::take(spare) };
            out.clear();
            out.reserve(wanted);
            out
        });
        out.push_str(self.text.get(self.copied..edit.range.start).unwrap_or_default());
        out.push_str(&edit.written);
        self.copied = edit.range.end;
    }

    fn end(self) -> Option<String> {
        let mut out = self.out?;
        out.push_str(self.text.get(self.copied..).unwrap_or_default());
        Some(out)
    }
}

/// What is around the walk: the objects and arrays that it is in, and the last key.
struct Around {
    root: Spot,
    open: Vec<Open>,
    /// As it stands in the text, without its quotes.
    key: String,
    path: Path,
}

impl Around {
    /// The place of the value that comes next.
    fn spot(&self) -> Spot {
        self.open.last().map_or(self.root, |top| top.child)
    }

    /// The key of the value that comes next; none in an array.
    fn key(&self) -> &str {
        if self.open.last().is_some_and(|top| top.object) { &self.key } else { "" }
    }

    /// Becomes what is around a stop.
    fn be(&mut self, around: Option<(&[Open], &str)>) {
        let Some((open, key)) = around else { return };
        self.open.clear();
        self.open.extend_from_slice(open);
        self.key.clear();
        self.key.push_str(key);
    }
}

/// What the walk went over since the last value that differed from those before it.
#[derive(Default)]
struct Leap {
    from: Option<(Stop, usize)>,
    steps: u32,
    /// Something was replaced, or is not remembered.
    broken: bool,
}

impl Leap {
    fn step(&mut self, stop: Option<Stop>, at: usize) {
        self.steps += 1;
        match stop {
            Some(stop) => self.from = self.from.or(Some((stop, at))),
            None => self.broken = true,
        }
    }

    fn keep(&self, track: &mut Track, bytes: &[u8], at: usize, to: To) {
        if let Some((from, start)) = self.from.filter(|_| self.steps > 1 && !self.broken) {
            track.keep_leap(from, bytes.get(start..at).unwrap_or_default(), to);
        }
    }
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
        let mut edited = Edited { text, out: None, copied: 0 };
        let mut around = Around { root, open: Vec::new(), key: String::new(), path: Path::default() };
        // What is explained is walked all the way, and a text that may be broken anywhere has no track.
        let remembers = self.trace.is_none() && !self.broken && !self.memo.forgets();
        let mut stop = if remembers { self.stop(&around) } else { None };
        // Whether `around` is that of an earlier stop.
        let mut behind = false;
        let mut at = 0;
        let mut leap = Leap::default();
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            leap.step(stop, at);
            match stop.and_then(|from| self.memo.track.step(from, rest)) {
                Some((_, To::End)) => {
                    at = bytes.len();
                    break;
                }
                Some((len, To::Value(to))) => {
                    at += len;
                    (stop, behind) = (Some(to), true);
                }
                None => {
                    if behind && let Some(from) = stop {
                        around.be(self.memo.track.around(from));
                    }
                    let (from, replaced) = (at, edited.copied);
                    at = self.next_value(text, at, &mut around, &mut edited);
                    let to = if at >= bytes.len() {
                        Some(To::End)
                    } else {
                        behind = false;
                        let here = if remembers { self.stop(&around) } else { None };
                        here.map(To::Value)
                    };
                    leap.broken |= edited.copied != replaced;
                    if let (Some(before), Some(to)) = (stop, to)
                        && edited.copied == replaced
                    {
                        self.memo.track.keep_step(before, bytes.get(from..at).unwrap_or_default(), to);
                    }
                    stop = match to {
                        Some(To::End) => break,
                        Some(To::Value(stop)) => Some(stop),
                        None => None,
                    };
                }
            }
            let rest = bytes.get(at..).unwrap_or_default();
            if let Some(stop) = stop {
                if let Some(len) = self.memo.track.value(stop, rest) {
                    at += len;
                    continue;
                }
                // Here one record differs from another: to here the next may go at once.
                leap.keep(&mut self.memo.track, bytes, at, To::Value(stop));
            }
            leap = Leap::default();
            let spot = match stop {
                Some(stop) if behind => self.memo.track.spot(stop).unwrap_or(Spot::CLOSED),
                _ => around.spot(),
            };
            let is_string = rest.first() == Some(&b'"');
            let (len, escaped) = if is_string { json::string_of(rest) } else { (bare_len(rest), false) };
            let token = at..at + len;
            at = token.end;
            // What is shorter than any secret that is known by its form.
            if is_string && spot.kind == Kind::Name && token.len() < super::form::NAME_BYTES_MIN + 2 {
                if let Some(stop) = stop
                    && at < bytes.len()
                {
                    self.memo.track.keep_value(stop, bytes.get(token).unwrap_or_default());
                }
                continue;
            }
            if behind
                && let Some(from) = stop
                && matches!(spot.kind, Kind::Closed | Kind::Json | Kind::Policy)
            {
                around.be(self.memo.track.around(from));
                behind = false;
            }
            let edit = if is_string { self.string(text, token.clone(), escaped, spot, &around) } else { self.bare(text, token.clone(), spot, &around.path) };
            match (edit, stop) {
                (Some(edit), _) => edited.put(edit, &mut self.memo.spare),
                // What the text ends with need not be whole.
                (None, Some(stop)) if at < bytes.len() => self.memo.track.keep_value(stop, bytes.get(token).unwrap_or_default()),
                (None, _) => {}
            }
        }
        leap.keep(&mut self.memo.track, bytes, at, To::End);
        edited.end()
    }

    /// The stop that the walk is at.
    fn stop(&mut self, around: &Around) -> Option<Stop> {
        let Around { root, open, key, .. } = around;
        self.memo.track.stop(&Stand { root: *root, depth: self.depth, level: self.level, open, key })
    }

    /// Goes on to the next value, over keys, brackets and what stands between; gives where it is, or the end of the text.
    fn next_value(&mut self, text: &str, mut at: usize, around: &mut Around, edited: &mut Edited<'_>) -> usize {
        let bytes = text.as_bytes();
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    if !around.open.last().is_some_and(|top| top.expects_key) {
                        return at;
                    }
                    let token = at..at + json::string_len(bytes.get(at..).unwrap_or_default());
                    if self.broken && !is_before_colon(bytes, token.end) {
                        return at;
                    }
                    at = token.end;
                    if let Some(edit) = self.key(text, token, around) {
                        edited.put(edit, &mut self.memo.spare);
                    }
                    continue;
                }
                b'{' | b'[' => {
                    let spot = around.spot();
                    around.open.push(Open { object: byte == b'{', expects_key: byte == b'{', spot, child: spot });
                    if self.trace.is_some() {
                        around.path.keys.push(if byte == b'[' { "[0]".to_owned() } else { String::new() });
                    }
                }
                b'}' | b']' => {
                    around.open.pop();
                    around.path.keys.pop();
                }
                b',' => {
                    if let Some(top) = around.open.last_mut() {
                        top.expects_key = top.object;
                        if !top.object && self.trace.is_some() {
                            around.path.next();
                        }
                    }
                }
                byte if begins_value(byte) => return at,
                _ => {}
            }
            at += 1;
        }
        at
    }

    /// Takes a key: it says where its value stands, and may be a secret itself.
    fn key(&mut self, text: &str, token: Range<usize>, around: &mut Around) -> Option<Edit> {
        let raw = text.get(token.start + 1..token.end.saturating_sub(1)).unwrap_or_default();
        around.key.clear();
        around.key.push_str(raw);
        let top = around.open.last_mut()?;
        top.expects_key = false;
        let escaped = memchr::memchr(b'\\', raw.as_bytes()).is_some();
        if self.trace.is_some()
            && let Some(last) = around.path.keys.last_mut()
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
        // A key that is a secret names no place, however it ends.
        if let Some(verdict) = &verdict {
            top.child = self.policy.child(top.spot, &verdict.written);
        }
        if !escaped {
            self.memo.keep_key(top.spot, raw, top.child, verdict.is_none());
        }
        let verdict = verdict?;
        self.replace(text, token, &key, verdict, &around.path, true)
    }

    /// Judges a string, in which there is an escape if it is `escaped`.
    fn string(&mut self, text: &str, token: Range<usize>, escaped: bool, spot: Spot, around: &Around) -> Option<Edit> {
        let ends = token.len() >= 2 && text.as_bytes().get(token.end - 1) == Some(&b'"');
        let token_text = text.get(token.clone()).unwrap_or_default();
        let value = match (ends, escaped) {
            (true, true) => decoded(token_text),
            (true, false) => Cow::Borrowed(text.get(token.start + 1..token.end - 1).unwrap_or_default()),
            (false, _) => Cow::Borrowed(text.get(token.start + 1..).unwrap_or_default()),
        };
        let verdict = self.judge(&value, spot, around.key(), !ends)?;
        self.replace(text, token, &value, verdict, &around.path, true)
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
                why: why.into_owned(),
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
    bytes.iter().take_while(|b| begins_value(**b) && **b != b'"').count().max(1)
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
    let is_whole = inner.len() + 2 == token.len();
    let plain = if is_whole { unescaped(inner) } else { None };
    plain.map_or_else(|| serde_json::from_str::<String>(token).map_or(Cow::Borrowed(inner), Cow::Owned), Cow::Owned)
}

/// A string of JSON that has no other escapes than those of one letter; `None` for others, and for what is no such string.
fn unescaped(inner: &str) -> Option<String> {
    // A control character that stands there as it is makes it none. Without an early end, so that many bytes are looked at at once.
    if inner.bytes().fold(false, |any, byte| any | (byte < b' ')) {
        return None;
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, behind)) = memchr::memchr2(b'\\', b'"', rest.as_bytes()).and_then(|at| rest.split_at_checked(at)) {
        out.push_str(plain);
        let [b'\\', escaped] = behind.as_bytes().first_chunk()? else { return None };
        out.push(match escaped {
            b'"' | b'\\' | b'/' => char::from(*escaped),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => return None,
        });
        rest = behind.get(2..)?;
    }
    out.push_str(rest);
    Some(out)
}
