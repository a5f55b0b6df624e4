//! Finds the values of named fields in a record's JSON without building a tree: the bytes are read once, what no rule asks for is
//! stepped over. It finds what `a.b` means for a Sigma rule: the key `a.b` of the record if there is one, else the key `b` of what
//! stands under `a`, of every member where that is a list.
//!
//! It does not check that what it steps over is JSON: a record that is broken there is judged by what stands before.
//!
//! Records of one kind have their keys in one order: which key came next the last time is looked for first ([`super::order`]).

use memchr::memchr2;
use rustc_hash::FxHashMap;

use super::order::Order;

/// Deeper nesting is not looked into: the record counts as unreadable.
const DEPTH_MAX: usize = 128;
/// Bytes of a string that are looked at eight at a time: a multiple of eight.
const SHORT: usize = 32;

/// Number of a field within a program.
pub type Slot = u32;

/// The fields that are looked for, as a tree of their keys. The first node is the record.
#[derive(Debug)]
pub struct Paths {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// By number.
    children: FxHashMap<Box<[u8]>, u32>,
    slot: Option<Slot>,
    /// The key holds the whole name, dots and all.
    whole: bool,
}

/// Bytes of a record that hold one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// Where the fields of one record stand. Made once, used for every record.
#[derive(Debug, Default)]
pub struct Found {
    slots: Vec<At>,
    touched: Vec<Slot>,
    /// Of each node, the order in which its keys came.
    orders: Vec<Order>,
}

#[derive(Debug, Default)]
struct At {
    spans: Vec<Span>,
    whole: bool,
}

/// The record is not JSON that can be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl Default for Paths {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Paths {
    /// Adds a field.
    pub fn add(&mut self, name: &str, slot: Slot) {
        let whole = self.child(0, name);
        if let Some(node) = self.nodes.get_mut(whole as usize) {
            (node.slot, node.whole) = (Some(slot), true);
        }
        if !name.contains('.') {
            return;
        }
        let last = name.split('.').fold(0, |node, key| self.child(node, key));
        if let Some(node) = self.nodes.get_mut(last as usize) {
            node.slot = Some(slot);
        }
    }

    /// The number of the node under `key` of a node, made where there is none.
    fn child(&mut self, of: u32, key: &str) -> u32 {
        let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(node) = self.nodes.get_mut(of as usize) else { return next };
        let child = *node.children.entry(key.as_bytes().into()).or_insert(next);
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Finds the fields of `record`.
    ///
    /// # Errors
    /// [`Unreadable`] when it is no JSON object; what was found before stays.
    pub fn walk(&self, record: &str, found: &mut Found) -> Result<(), Unreadable> {
        found.clear();
        let mut orders = std::mem::take(&mut found.orders);
        orders.resize_with(self.nodes.len(), Order::default);
        let mut walk = Walk { nodes: &self.nodes, orders: &mut orders, bytes: record.as_bytes(), at: 0, found };
        walk.blank();
        let walked = if walk.peek() == Some(b'{') { walk.object(0, 0) } else { Err(Unreadable) };
        found.orders = orders;
        walked
    }
}

impl Found {
    /// Room for `slots` fields.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { slots: (0..slots).map(|_| At::default()).collect(), ..Self::default() }
    }

    /// The fields that the record has, in the order of their first values.
    #[must_use]
    pub fn touched(&self) -> &[Slot] {
        &self.touched
    }

    /// The values of a field.
    #[must_use]
    pub fn spans(&self, slot: Slot) -> &[Span] {
        self.slots.get(slot as usize).map_or(&[], |at| &at.spans)
    }

    fn clear(&mut self) {
        for slot in self.touched.drain(..) {
            if let Some(at) = self.slots.get_mut(slot as usize) {
                at.spans.clear();
                at.whole = false;
            }
        }
    }

    fn add(&mut self, slot: Slot, whole: bool, span: Span) {
        let Some(at) = self.slots.get_mut(slot as usize) else { return };
        if at.spans.is_empty() {
            self.touched.push(slot);
        }
        if whole && !at.whole {
            at.spans.clear();
            at.whole = true;
        }
        if whole == at.whole {
            at.spans.push(span);
        }
    }
}

struct Walk<'a> {
    nodes: &'a [Node],
    orders: &'a mut [Order],
    bytes: &'a [u8],
    at: usize,
    found: &'a mut Found,
}

impl Walk<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.blank();
        if self.peek() != Some(byte) {
            return Err(Unreadable);
        }
        self.at += 1;
        self.blank();
        Ok(())
    }

    /// Goes on behind `,`, or ends at `close`: whether there is more.
    fn more(&mut self, close: u8) -> Result<bool, Unreadable> {
        self.blank();
        let byte = self.peek().ok_or(Unreadable)?;
        self.at += 1;
        if byte == b',' {
            self.blank();
            return Ok(true);
        }
        if byte == close { Ok(false) } else { Err(Unreadable) }
    }

    fn object(&mut self, node: u32, depth: usize) -> Result<(), Unreadable> {
        if depth > DEPTH_MAX {
            return Err(Unreadable);
        }
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut place = Order::BEGINNING;
        loop {
            let child = self.key(node, &mut place)?;
            self.expect(b':')?;
            match child {
                Some(child) => self.value(child, depth + 1)?,
                None => self.skip()?,
            }
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads a key of an object: the node under it. `place` is that of the key before in the node's order.
    #[inline]
    fn key(&mut self, node: u32, place: &mut u32) -> Result<Option<u32>, Unreadable> {
        let rest = self.bytes.get(self.at..).ok_or(Unreadable)?;
        if let Some((next, length, child)) = self.orders.get(node as usize).and_then(|order| order.next(*place, rest)) {
            *place = next;
            self.at += length;
            return Ok(child);
        }
        self.key_anew(node, place)
    }

    fn key_anew(&mut self, node: u32, place: &mut u32) -> Result<Option<u32>, Unreadable> {
        let start = self.at;
        let escaped = self.string()?;
        let quoted = self.bytes.get(start..self.at).ok_or(Unreadable)?;
        let children = &self.nodes.get(node as usize).ok_or(Unreadable)?.children;
        if escaped {
            let key: String = serde_json::from_slice(quoted).map_err(|_| Unreadable)?;
            return Ok(children.get(key.as_bytes()).copied());
        }
        let child = children.get(quoted.get(1..quoted.len() - 1).ok_or(Unreadable)?).copied();
        if let Some(order) = self.orders.get_mut(node as usize) {
            *place = order.met(*place, quoted, child);
        }
        Ok(child)
    }

    fn value(&mut self, node: u32, depth: usize) -> Result<(), Unreadable> {
        let start = self.at;
        let nodes = self.nodes;
        let known = nodes.get(node as usize).ok_or(Unreadable)?;
        if known.children.is_empty() { self.skip() } else { self.members(node, depth) }?;
        if let Some(slot) = known.slot {
            self.found.add(slot, known.whole, Span { start, end: self.at });
        }
        Ok(())
    }

    /// Looks for the children of a node that has some in a value, or in each member of a list.
    fn members(&mut self, node: u32, depth: usize) -> Result<(), Unreadable> {
        match self.peek() {
            Some(b'{') => self.object(node, depth),
            Some(b'[') => {
                if depth > DEPTH_MAX {
                    return Err(Unreadable);
                }
                self.expect(b'[')?;
                if self.peek() == Some(b']') {
                    self.at += 1;
                    return Ok(());
                }
                loop {
                    self.members(node, depth + 1)?;
                    if !self.more(b']')? {
                        return Ok(());
                    }
                }
            }
            _ => self.skip(),
        }
    }

    /// Steps over a string; whether it has escapes.
    fn string(&mut self) -> Result<bool, Unreadable> {
        if self.peek() != Some(b'"') {
            return Err(Unreadable);
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).ok_or(Unreadable)?;
            self.at += mark(rest).ok_or(Unreadable)?;
            if self.peek() == Some(b'"') {
                self.at += 1;
                return Ok(escaped);
            }
            escaped = true;
            self.at += 2;
        }
    }

    /// Steps over a value.
    fn skip(&mut self) -> Result<(), Unreadable> {
        match self.peek().ok_or(Unreadable)? {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => {
                let mut depth = 0_usize;
                while let Some(byte) = self.peek() {
                    match byte {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                Err(Unreadable)
            }
            _ => {
                let start = self.at;
                while !matches!(self.peek(), None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')) {
                    self.at += 1;
                }
                if self.at > start { Ok(()) } else { Err(Unreadable) }
            }
        }
    }
}

/// Where the first quote or backslash is. Most strings are short: eight bytes at a time, without a call.
#[inline]
fn mark(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The high bit of each byte that is zero, up to the first one at least.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    for (at, eight) in bytes.as_chunks::<8>().0.iter().take(SHORT / 8).enumerate() {
        let word = u64::from_le_bytes(*eight);
        let marks = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if marks != 0 {
            return Some(at * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let looked_at = SHORT.min(bytes.len() / 8 * 8);
    memchr2(b'"', b'\\', bytes.get(looked_at..)?).map(|at| looked_at + at)
}

/// Gives every string of the record to `each`, keys left out, until it says true; whether it did.
pub fn any_string(record: &str, each: &dyn Fn(&str) -> bool) -> bool {
    let mut nothing = Found::default();
    let mut walk = Walk { nodes: &[], orders: &mut [], bytes: record.as_bytes(), at: 0, found: &mut nothing };
    while walk.at < walk.bytes.len() {
        if walk.peek() != Some(b'"') {
            walk.at += 1;
            continue;
        }
        let start = walk.at;
        let Ok(escaped) = walk.string() else { return false };
        let end = walk.at;
        walk.blank();
        if walk.peek() == Some(b':') {
            continue;
        }
        let Some(quoted) = record.get(start..end) else { continue };
        let hit =
            if escaped { serde_json::from_str::<String>(quoted).is_ok_and(|text| each(&text)) } else { quoted.get(1..quoted.len() - 1).is_some_and(each) };
        if hit {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(record: &str, names: &[&str]) -> Vec<Vec<String>> {
        let mut paths = Paths::default();
        for (name, slot) in names.iter().zip(0..) {
            paths.add(name, slot);
        }
        let mut found = Found::new(names.len());
        paths.walk(record, &mut found).unwrap();
        (0..).take(names.len()).map(|slot| found.spans(slot).iter().map(|span| record[span.start..span.end].to_owned()).collect()).collect()
    }

    #[test]
    fn nested_fields_are_followed_and_lists_give_each_member() {
        let record = r#" {"a": {"b": "x", "c": [1, {"d": 2}]}, "list": [{"k": 1}, [{"k": [2]}], 3], "skipped": {"a": {"b": "no}"}}, "a\u002eb": 0} "#;
        assert_eq!(
            values(record, &["a.b", "list.k", "a.c.d", "a", "missing"]),
            [vec!["0"], vec!["1", "[2]"], vec!["2"], vec![r#"{"b": "x", "c": [1, {"d": 2}]}"#], vec![]]
        );
    }

    #[test]
    fn a_key_with_dots_comes_before_the_nested_one_wherever_it_stands() {
        assert_eq!(values(r#"{"id.h": 1, "id": {"h": 2}}"#, &["id.h"]), [vec!["1"]]);
        assert_eq!(values(r#"{"id": {"h": 2}, "id.h": 1}"#, &["id.h"]), [vec!["1"]]);
        assert_eq!(values(r#"{"id": {"h": 2}}"#, &["id.h"]), [vec!["2"]]);
    }

    #[test]
    fn marks_are_found_wherever_they_stand() {
        for length in 0..70 {
            let mut bytes = vec![0xa2_u8; length];
            bytes.iter_mut().step_by(3).for_each(|byte| *byte = b'!');
            assert_eq!(mark(&bytes), None);
            for at in 0..length {
                let mut marked = bytes.clone();
                marked[at] = if at % 2 == 0 { b'"' } else { b'\\' };
                if let Some(next) = marked.get_mut(at + 1) {
                    *next = b'"';
                }
                assert_eq!(mark(&marked), Some(at), "{length}");
            }
        }
    }

    #[test]
    fn what_is_no_object_is_unreadable_and_nothing_panics() {
        let mut paths = Paths::default();
        paths.add("a.b", 0);
        let mut found = Found::new(1);
        let deep = "[".repeat(100_000);
        let deep_objects = format!("{{\"a\":{}", "{\"a\":[".repeat(10_000));
        for record in ["", "1\t2", "[]", "{", "{\"a", "{\"a\":", "{\"a\":{\"b\"", "{\"a\" 1}", "{\"a\":1]", "{\"a\\", &deep, &deep_objects] {
            assert_eq!(paths.walk(record, &mut found), Err(Unreadable), "{}", &record[..record.len().min(40)]);
        }
    }
}
