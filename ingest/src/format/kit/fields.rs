//! Which fields of a record a format wants: paths, compiled into a tree of keys that one pass over the record follows.
//!
//! A path is keys with dots between them (`actor.alternateId`), with quotes around a key that has a dot itself (`meta."user.id"`); `0` is the first
//! item of an array; keys match as they stand and in small letters. Of alternatives (`a.b|c`) the first that the record has counts, and what is `null` or an empty text is not there.

use super::key::Keys;
use super::row::{Row, SLOTS_MAX};
use crate::json::Value;

/// Declares a format's fields: a constant for each, which is its slot in the [`Row`], and `FIELDS` for its shape.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $paths:literal,)+) => {
        #[derive(Clone, Copy)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, clippy::enum_variant_names, reason = "constants in the order of their slots")]
        enum Slot { $($name,)+ A }
        const _: usize = Slot::A as usize;
        $($(#[$doc])* const $name: usize = Slot::$name as usize;)+
        static FIELDS: std::sync::LazyLock<$crate::format::kit::Fields> =
            std::sync::LazyLock::new(|| $crate::format::kit::Fields::compile(&[$($paths,)+]));
    };
}
pub(crate) use fields;

/// Compiled paths.
pub(crate) struct Fields {
    nodes: Vec<Node>,
    names: Vec<&'static str>,
}

#[derive(Default)]
struct Node {
    below: Keys,
    /// The node below an array's first item.
    first: Option<usize>,
    /// Slots that the value here goes to, with how many alternatives go before it.
    slots: Vec<(usize, u8)>,
    /// Nothing below it is wanted.
    is_leaf: bool,
}

impl Fields {
    /// Compiles the paths of as many slots.
    pub(crate) fn compile(paths: &[&'static str]) -> Self {
        assert!(paths.len() <= SLOTS_MAX, "a format wants more than {SLOTS_MAX} fields");
        let mut fields = Self { nodes: vec![Node::default()], names: Vec::new() };
        for (slot, alternatives) in paths.iter().enumerate() {
            fields.names.push(alternatives.split('|').next().unwrap_or(alternatives));
            for (path, rank) in alternatives.split('|').zip(0_u8..) {
                fields.add(path, slot, rank);
            }
        }
        fields.nodes.iter_mut().for_each(|node| node.is_leaf = node.below.is_empty() && node.first.is_none());
        fields
    }

    fn add(&mut self, path: &str, slot: usize, rank: u8) {
        let mut at = 0;
        let mut rest = path;
        while !rest.is_empty() {
            let (key, after) = match rest.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
                Some((key, after)) => (key, after.strip_prefix('.').unwrap_or(after)),
                None => rest.split_once('.').unwrap_or((rest, "")),
            };
            rest = after;
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = if key == "0" { *node.first.get_or_insert(new) } else { node.below.number(key, new) };
            // Stores that know no case write keys in small letters.
            if key != "0" {
                node.below.number(&key.to_ascii_lowercase(), at);
            }
            if at == new {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.slots.push((slot, rank));
        }
    }

    /// The name of a slot's field, as messages say it.
    pub(crate) fn name(&self, slot: usize) -> &'static str {
        self.names.get(slot).copied().unwrap_or_default()
    }

    /// The fields of a record.
    pub(crate) fn row<'d>(&'static self, record: Value<'d>) -> Row<'d> {
        let mut row = Row::new(self);
        self.put(record, &mut row);
        row
    }

    /// Puts the fields of a record into a row of theirs.
    pub(super) fn put<'d>(&self, record: Value<'d>, row: &mut Row<'d>) {
        if let Some(root) = self.nodes.first() {
            self.fill(root, record, row);
        }
    }

    /// The depth of this is that of the longest path, whatever the record is.
    fn fill<'d>(&self, node: &Node, value: Value<'d>, row: &mut Row<'d>) {
        for (slot, rank) in &node.slots {
            row.put(*slot, *rank, value);
        }
        if let Some(first) = node.first.and_then(|first| self.nodes.get(first))
            && let Some(item) = value.items().next()
        {
            self.fill(first, item, row);
        }
        if node.below.is_empty() {
            return;
        }
        for (key, value) in value.entries() {
            let Some(node) = node.below.get(key).and_then(|below| self.nodes.get(below)) else { continue };
            match node.slots.as_slice() {
                // Most are wanted as they stand, and nothing below them.
                [(slot, rank)] if node.is_leaf => row.put(*slot, *rank, value),
                _ => self.fill(node, value, row),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::json::Reader;

    super::fields! {
        ACTOR = "actor.alternateId|actor.id",
        FIRST = "target.0.id",
        DOTTED = "meta.\"user.id\"|meta.user",
        COUNT = "n",
        WHOLE = "actor",
    }

    #[test]
    fn alternatives_items_and_keys_with_dots_are_found() {
        let mut reader = Reader::default();
        let document = reader
            .parse(br#"{"actor":{"id":"a1","alternateId":"","type":"User"},"target":[{"id":"t1"},{"id":"t2"}],"meta":{"user":"u","user.id":7},"n":3}"#)
            .unwrap();
        let row = FIELDS.row(document.root());
        assert_eq!(row.str(ACTOR), Some("a1"), "an empty text is not there");
        assert_eq!(row.str(FIRST), Some("t1"));
        assert_eq!(row.text(DOTTED).as_deref(), Some("7"), "the first alternative counts, in whatever order the record has them");
        assert_eq!(row.integer(COUNT), Some(3));
        assert!(row.value(WHOLE).is_some_and(|value| value.is_object()));
        assert_eq!(FIELDS.name(ACTOR), "actor.alternateId");
        let mut reader = Reader::default();
        let document = reader.parse(br#"{"actor":{"alternateid":"x"}}"#).unwrap();
        assert_eq!(FIELDS.row(document.root()).str(ACTOR), Some("x"), "in small letters");
        let mut reader = Reader::default();
        let document = reader.parse(br#"{"actor":"x","target":{"id":"t"},"meta":null,"n":null}"#).unwrap();
        let row = FIELDS.row(document.root());
        assert!([ACTOR, FIRST, DOTTED, COUNT].iter().all(|slot| !row.has(*slot)));
    }
}
