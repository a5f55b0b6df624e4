//! JSON as the formats read it: one record parsed onto a simd-json tape in buffers that are used again, and cheap borrowed lookups.
//!
//! Nothing here recurses, so nesting cannot exhaust the stack; it is refused beyond a limit. Of duplicated keys the first
//! counts. Numbers that fit neither 64-bit integers nor finite doubles are kept as their text.

use keytrail_schemas::Reason;
use simd_json::{Buffers, ErrorType, INPUT_PADDING, Node, StaticNode, Tape};

use crate::format::Reject;

/// The deepest nesting that [`Reader::default`] accepts.
pub const DEPTH_MAX: usize = 128;

/// Parses records one after another, with the same buffers.
pub struct Reader {
    scratch: Vec<u8>,
    scratch_quoted: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    depth_max: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(DEPTH_MAX)
    }
}

impl Reader {
    /// A reader that refuses records nested deeper than `depth_max`.
    #[must_use]
    pub fn new(depth_max: usize) -> Self {
        Self { scratch: Vec::new(), scratch_quoted: Vec::new(), buffers: Buffers::with_max_depth(4096, depth_max), tape: Tape(Vec::new()), depth_max }
    }

    /// Gives back what a great record made the buffers grow to.
    pub fn shed(&mut self) {
        *self = Self::new(self.depth_max);
    }

    /// Parses `record`, one JSON value with nothing but white space around it.
    ///
    /// # Errors
    /// [`Reject`] with `NotUtf8`, `TooDeep`, `TooLong` (over 4 GiB), `Truncated` (the value does not end) or `Malformed`; the message
    /// names the offending byte.
    pub fn parse(&mut self, record: &[u8]) -> Result<Document<'_>, Reject> {
        load(&mut self.scratch, record);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let error = match simd_json::fill_tape_padded(&mut self.scratch, record.len(), &mut self.buffers, &mut tape) {
            Ok(()) => return Ok(Document { tape, home: &mut self.tape }),
            Err(error) => error,
        };
        if let Some(quoted) = quote_great_numbers(record, error.error()) {
            // A scratch of its own, since the tape above still borrows the other one.
            load(&mut self.scratch_quoted, &quoted);
            let mut tape = tape.reset();
            if simd_json::fill_tape_padded(&mut self.scratch_quoted, quoted.len(), &mut self.buffers, &mut tape).is_ok() {
                return Ok(Document { tape, home: &mut self.tape });
            }
        }
        Err(diagnose(record, error.error(), self.depth_max))
    }
}

fn load(scratch: &mut Vec<u8>, record: &[u8]) {
    scratch.clear();
    scratch.reserve(record.len() + INPUT_PADDING);
    scratch.extend_from_slice(record);
    scratch.resize(record.len() + INPUT_PADDING, b' ');
}

/// Why a record is no JSON, for a person. simd-json does not always know the place, so a slower parser is asked for it.
#[cold]
fn diagnose(record: &[u8], error: &ErrorType, depth_max: usize) -> Reject {
    let reject = |reason, message| Reject { reason, field: None, message };
    if let Err(error) = std::str::from_utf8(record) {
        return reject(Reason::NotUtf8, format!("not UTF-8 at byte {}: convert the file, or find what broke it", error.valid_up_to()));
    }
    match error {
        ErrorType::DepthLimitExceeded => return reject(Reason::TooDeep, format!("nested deeper than {depth_max} levels")),
        ErrorType::InputTooLarge => return reject(Reason::TooLong, "longer than 4 GiB".to_owned()),
        _ => {}
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(record) {
        Err(found) => {
            let byte = byte_of(record, found.line(), found.column());
            let said = found.to_string();
            let what = said.split(" at line ").next().unwrap_or(&said);
            let reason = if found.is_eof() { Reason::Truncated } else { Reason::Malformed };
            reject(reason, format!("not JSON at byte {byte}: {what}"))
        }
        Ok(_) => reject(Reason::Malformed, format!("not JSON: {error:?}")),
    }
}

fn byte_of(record: &[u8], line: usize, column: usize) -> usize {
    let before: usize = record.split_inclusive(|&b| b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (before + column.saturating_sub(1)).min(record.len())
}

/// `record` with every number that might not fit put in quotes; `None` when there is none.
#[cold]
fn quote_great_numbers(record: &[u8], error: &ErrorType) -> Option<Vec<u8>> {
    if !matches!(error, ErrorType::InvalidNumber | ErrorType::Overflow) {
        return None;
    }
    let mut out = Vec::with_capacity(record.len() + 16);
    let (mut rest, mut found) = (record, false);
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b'"' => {
                let len = string_len(rest);
                let (string, after) = rest.split_at_checked(len)?;
                out.extend_from_slice(string);
                rest = after;
            }
            b'-' | b'0'..=b'9' => {
                let len = rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
                let (number, after) = rest.split_at_checked(len)?;
                let great = serde_json::from_slice::<serde_json::Number>(number).map_or_else(
                    |error| error.to_string().starts_with("number out of range"),
                    |n| n.is_f64() && !number.iter().any(|b| matches!(b, b'.' | b'e' | b'E')),
                );
                if great {
                    found = true;
                    out.push(b'"');
                    out.extend_from_slice(number);
                    out.push(b'"');
                } else {
                    out.extend_from_slice(number);
                }
                rest = after;
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    found.then_some(out)
}

/// Length in bytes of the JSON string, quotes and all, that `text` begins with; all of it when the string does not end.
pub(crate) fn string_len(text: &[u8]) -> usize {
    string_of(text).0
}

/// The same, and whether there is an escape in it.
pub(crate) fn string_of(text: &[u8]) -> (usize, bool) {
    let (mut at, mut escaped) = (1, false);
    while let Some(step) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += step;
        if text.get(at) == Some(&b'"') {
            return (at + 1, escaped);
        }
        (at, escaped) = (at + 2, true);
    }
    (text.len(), escaped)
}

/// A parsed record. It gives its tape back to the reader when it is dropped.
pub struct Document<'r> {
    tape: Tape<'r>,
    home: &'r mut Tape<'static>,
}

impl Document<'_> {
    /// The record's value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { nodes: &self.tape.0 }
    }
}

impl Drop for Document<'_> {
    fn drop(&mut self) {
        *self.home = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
    }
}

/// A value within a [`Document`]. Copying it copies a reference.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    /// The value's own node, and after it those of what it holds.
    nodes: &'d [Node<'d>],
}

impl<'d> Value<'d> {
    /// The value of the first key `key` of an object; `None` when there is none, or this is no object.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'d>> {
        let Some(Node::Object { len, .. }) = self.nodes.first() else { return None };
        let mut rest = self.nodes.get(1..)?;
        for _ in 0..*len {
            let (Node::String(found), value) = rest.split_first()? else { return None };
            let nodes = node_len(value);
            if *found == key {
                return value.get(..nodes).map(|nodes| Value { nodes });
            }
            rest = value.get(nodes..)?;
        }
        None
    }

    /// The value at the end of a path of keys.
    #[must_use]
    pub fn at(self, path: &[&str]) -> Option<Value<'d>> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The string at the end of a path of keys, if it is one and not empty.
    #[must_use]
    pub fn str_at(self, path: &[&str]) -> Option<&'d str> {
        self.at(path)?.as_text()
    }

    /// The string; `None` for anything else.
    #[must_use]
    pub fn as_str(self) -> Option<&'d str> {
        match self.nodes.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The string, if it is not empty.
    #[must_use]
    pub fn as_text(self) -> Option<&'d str> {
        self.as_str().filter(|text| !text.is_empty())
    }

    /// The integer; `None` for anything else, and for one outside of `i64`.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::I64(n))) => Some(*n),
            Some(Node::Static(StaticNode::U64(n))) => i64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The number as a double, an integer rounded to the nearest.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
    pub fn as_f64(self) -> Option<f64> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::I64(n))) => Some(*n as f64),
            Some(Node::Static(StaticNode::U64(n))) => Some(*n as f64),
            Some(Node::Static(StaticNode::F64(n))) => Some(*n),
            _ => None,
        }
    }

    /// The boolean; `None` for anything else.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::Bool(b))) => Some(*b),
            _ => None,
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self.nodes.first(), None | Some(Node::Static(StaticNode::Null)))
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Object { .. }))
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Array { .. }))
    }

    /// The keys and values of an object, in order; none for anything else.
    #[must_use]
    pub fn entries(self) -> Entries<'d> {
        Entries { rest: if self.is_object() { self.inner() } else { &[] } }
    }

    /// The items of an array, in order; none for anything else.
    #[must_use]
    pub fn items(self) -> Items<'d> {
        Items { rest: if self.is_array() { self.inner() } else { &[] } }
    }

    /// Writes the value as compact JSON.
    pub fn write_json(self, out: &mut String) {
        // What still has to be closed: the closing character, how many items are to come, and whether they have keys.
        let mut open: Vec<(char, usize, bool)> = Vec::new();
        let mut key_next = false;
        for node in self.span() {
            let opened = match node {
                Node::String(text) => {
                    write_string(text, out);
                    None
                }
                Node::Static(node) => {
                    write_static(*node, out);
                    None
                }
                Node::Object { len, .. } => Some(('{', '}', *len, true)),
                Node::Array { len, .. } => Some(('[', ']', *len, false)),
            };
            if key_next {
                out.push(':');
                key_next = false;
                continue;
            }
            if let Some((begin, end, len, keyed)) = opened {
                out.push(begin);
                open.push((end, len, keyed));
            }
            // A value has ended, or a container has begun: close what is complete, then separate.
            let mut begun = opened.is_some();
            while let Some((end, left, keyed)) = open.last_mut() {
                if *left == 0 {
                    out.push(*end);
                    open.pop();
                    begun = false;
                    continue;
                }
                if !begun {
                    out.push(',');
                }
                *left -= 1;
                key_next = *keyed;
                break;
            }
        }
    }

    /// The value as compact JSON.
    #[must_use]
    pub fn to_json(self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn span(self) -> &'d [Node<'d>] {
        self.nodes.split_at_checked(node_len(self.nodes)).map_or(self.nodes, |(own, _)| own)
    }

    fn inner(self) -> &'d [Node<'d>] {
        self.span().split_first().map_or(&[], |(_, inner)| inner)
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// How many nodes the first value of `nodes` takes.
#[inline]
fn node_len(nodes: &[Node<'_>]) -> usize {
    match nodes.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
        _ => 1,
    }
}

/// The keys and values of an object.
#[derive(Clone)]
pub struct Entries<'d> {
    rest: &'d [Node<'d>],
}

impl<'d> Iterator for Entries<'d> {
    type Item = (&'d str, Value<'d>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.rest.split_first()?;
        let Node::String(key) = key else { return None };
        let (own, rest) = rest.split_at_checked(node_len(rest))?;
        self.rest = rest;
        Some((key, Value { nodes: own }))
    }
}

/// The items of an array.
#[derive(Clone)]
pub struct Items<'d> {
    rest: &'d [Node<'d>],
}

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (own, rest) = self.rest.split_at_checked(node_len(self.rest))?;
        self.rest = rest;
        Some(Value { nodes: own })
    }
}

fn write_static(node: StaticNode, out: &mut String) {
    use std::fmt::Write;
    let _ = match node {
        StaticNode::Null => out.write_str("null"),
        StaticNode::Bool(b) => write!(out, "{b}"),
        StaticNode::I64(n) => {
            if n < 0 {
                out.push('-');
            }
            write_number(n.unsigned_abs(), out);
            Ok(())
        }
        StaticNode::U64(n) => {
            write_number(n, out);
            Ok(())
        }
        StaticNode::F64(n) => write!(out, "{n:?}"),
    };
}

/// Writes a number in decimal digits, without what formatting costs: ports and lengths stand in each record.
pub(crate) fn write_number(number: u64, out: &mut String) {
    // As many digits as the greatest has.
    let mut digits = [b'0'; 20];
    let (mut rest, mut len) = (number, 0);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        (rest, len) = (rest / 10, len + 1);
        if rest == 0 {
            break;
        }
    }
    out.push_str(digits.get(digits.len() - len..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default());
}

/// Writes `text` as a JSON string.
pub(crate) fn write_string(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    let mut plain = text;
    // What is escaped is one byte long, so that what stands before and behind it is text.
    while let Some(at) = plain.bytes().position(|b| b == b'"' || b == b'\\' || b < b' ') {
        let (before, rest) = plain.split_at(at);
        out.push_str(before);
        let mut chars = rest.chars();
        let _ = match chars.next() {
            Some('"') => out.write_str("\\\""),
            Some('\\') => out.write_str("\\\\"),
            Some('\n') => out.write_str("\\n"),
            Some('\r') => out.write_str("\\r"),
            Some('\t') => out.write_str("\\t"),
            Some(c) => write!(out, "\\u{:04x}", u32::from(c)),
            None => Ok(()),
        };
        plain = chars.as_str();
    }
    out.push_str(plain);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lookups_follow_keys_and_types() {
        let mut reader = Reader::default();
        let doc = reader.parse(br#" {"a":{"b":[1,-2,2.5,true,null,"x\n"]},"n":18446744073709551615,"a":7,"e":""} "#).unwrap();
        let root = doc.root();
        let items: Vec<_> = root.at(&["a", "b"]).unwrap().items().collect();
        assert_eq!(items.iter().map(|v| v.as_i64()).collect::<Vec<_>>(), [Some(1), Some(-2), None, None, None, None]);
        assert_eq!(items[2].as_f64(), Some(2.5));
        assert_eq!(items[3].as_bool(), Some(true));
        assert!(items[4].is_null());
        assert_eq!(items[5].as_str(), Some("x\n"));
        assert_eq!(root.get("n").unwrap().as_i64(), None);
        assert!(root.get("a").unwrap().is_object(), "of duplicated keys the first counts");
        assert_eq!(root.str_at(&["e"]), None);
        assert_eq!(root.entries().map(|(k, _)| k).collect::<Vec<_>>(), ["a", "n", "a", "e"]);
    }

    #[test]
    fn buffers_are_used_again_after_success_and_failure() {
        let mut reader = Reader::default();
        for (record, good) in [(&br#"{"a":1}"#[..], true), (b"{", false), (b"[1,2]", true), (b"", false), (b"\"s\"", true), (b"nul", false), (b"null", true)] {
            assert_eq!(reader.parse(record).is_ok(), good, "{record:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut reader = Reader::default();
        let mut reason = |record: &[u8]| reader.parse(record).map(|_| ()).unwrap_err();
        assert_eq!(reason(b"{\"a\":\xff\"}").reason, Reason::NotUtf8);
        assert_eq!(reason(b"{\"a\": 1").reason, Reason::Truncated);
        let error = reason(b"{\"a\":1,\n \"b\" 2}");
        assert_eq!(error.reason, Reason::Malformed);
        assert!(error.message.contains("byte 13"), "{}", error.message);
        assert_eq!(reason(b"plain text").reason, Reason::Malformed);
        assert_eq!(reason(b"{} {}").reason, Reason::Malformed);
    }

    #[test]
    fn nesting_is_bounded_and_does_not_recurse() {
        let mut reader = Reader::default();
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(reader.parse(nested(128).as_bytes()).is_ok());
            assert_eq!(reader.parse(nested(129).as_bytes()).map(|_| ()).unwrap_err().reason, Reason::TooDeep);
            assert_eq!(reader.parse(nested(10_000).as_bytes()).map(|_| ()).unwrap_err().reason, Reason::TooDeep);
            assert_eq!(reader.parse(open.repeat(1_000_000).as_bytes()).map(|_| ()).unwrap_err().reason, Reason::TooDeep);
            let mut deep = Reader::new(100_000);
            let text = nested(100_000);
            assert_eq!(deep.parse(text.as_bytes()).unwrap().root().to_json(), text);
        }
    }

    #[test]
    fn great_strings_and_numbers_pass() {
        let mut reader = Reader::default();
        let long = "x".repeat(4 << 20);
        let record = format!(r#"{{"s":"{long}","n":{},"f":1e999,"ok":12,"d":-0.5e-3}}"#, "9".repeat(400));
        let doc = reader.parse(record.as_bytes()).unwrap();
        assert_eq!(doc.root().get("s").unwrap().as_str().map(str::len), Some(4 << 20));
        assert_eq!(doc.root().get("n").unwrap().as_str(), Some("9".repeat(400).as_str()));
        assert_eq!(doc.root().get("f").unwrap().as_str(), Some("1e999"));
        assert_eq!(doc.root().get("ok").unwrap().as_i64(), Some(12));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            (-1_000_000_i32..1_000_000).prop_map(|n| (f64::from(n) / 8.0).into()),
            ".{0,20}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(".{0,8}", inner, 0..6).prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_back_is_the_same_value(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut reader = Reader::default();
            let doc = reader.parse(text.as_bytes()).unwrap();
            let back: serde_json::Value = serde_json::from_str(&doc.root().to_json()).unwrap();
            prop_assert_eq!(back, value);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), json in r#"[\[\]{}",:\\a0-9etrufalsn\. -]{0,200}"#) {
            let mut reader = Reader::new(16);
            for record in [&bytes[..], json.as_bytes()] {
                if let Ok(doc) = reader.parse(record) {
                    prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(record).is_ok());
                    let _ = doc.root().to_json();
                }
            }
        }
    }
}
