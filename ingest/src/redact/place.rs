//! Where a format's records may hold what: an allow-list per format (`data/redact/<format>.toml`), compiled into a tree of places.
//!
//! A place that no list names is closed: what stands there is replaced unless its form cannot be a secret. Arrays on the way do not
//! count, and keys are compared without regard to case.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::harmless::names_secret;
use crate::format::PLACES;

/// What may stand at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Anything; it is kept only if its form cannot be a secret.
    Closed,
    /// A name, an id, an address, a word of a vocabulary: kept, and searched for secrets that need no words around them.
    Name,
    /// Text of which its writer is known: kept, and searched for every form of secret.
    Text,
    /// Text that is nothing but facts, `name="value", …`: each stands at its place below this one. Other text is as [`Text`](Self::Text).
    Pairs,
    /// A message: its words are kept as far as they are words of messages.
    Words,
    /// A command line, or one word of it: programs, options and references to variables are kept.
    Command,
    /// A path with a query: the path is kept, of the query the parameters that are known.
    Uri,
    /// A string of JSON that stands for the object that would stand there.
    Json,
    /// A policy of IAM or of a resource, as a string of JSON or as an object: the places of `iam_policy` hold below.
    Policy,
    /// A secret, whatever it looks like.
    Secret,
}

/// A place in a record, as the walk knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    /// Whose tree it is: a memory may serve the lists of many formats.
    policy: u8,
    /// Its node in the tree, or none.
    node: u16,
    /// The tree that holds at any depth below.
    deep: u16,
    pub(super) kind: Kind,
    /// The key says that its value is secret.
    pub(super) names_secret: bool,
}

const NONE: u16 = u16::MAX;

impl Spot {
    /// A number for it that few others have.
    pub(super) fn mark(self) -> u64 {
        u64::from(self.policy) << 32 | u64::from(self.node) << 16 | u64::from(self.deep)
    }

    /// The same place, seen as one of messages.
    pub(super) const fn words(self) -> Self {
        Self { kind: Kind::Words, ..self }
    }

    /// A place where anything may stand.
    pub(super) const CLOSED: Self = Self { policy: 0, node: NONE, deep: NONE, kind: Kind::Closed, names_secret: false };
}

/// A format's places.
pub(super) struct Policy {
    /// 0 for the one in which everything is closed.
    number: u8,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    kind: Option<Kind>,
    exact: FxHashMap<String, u16>,
    any: Option<u16>,
    /// Root of what holds at any depth below.
    deep: Option<u16>,
    /// The deep root around a deep root.
    outer: Option<u16>,
    /// Ends of keys, in a deep root.
    ends: Vec<(String, Kind)>,
}

/// A file of `data/redact`.
#[derive(Deserialize)]
struct File {
    place: Vec<Group>,
}

/// Places of one kind, with where it is written that they hold what they hold.
#[derive(Deserialize)]
struct Group {
    kind: Kind,
    /// The paths begin below each of these; at the record's root when there is none.
    #[serde(default)]
    under: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    /// Keys, at any depth.
    #[serde(default)]
    keys: Vec<String>,
    /// Ends of keys, at any depth; of keys that do not name a secret.
    #[serde(default)]
    ends: Vec<String>,
}

/// A format's places, read from their list when they are first asked for.
type Listed = LazyLock<Policy, Box<dyn FnOnce() -> Policy + Send>>;

/// Those of the registry's formats, by name, each read when it is first asked for.
static POLICIES: LazyLock<FxHashMap<&'static str, Listed>> = LazyLock::new(|| {
    let lazy = |number: u8, text: &'static str| -> Listed { LazyLock::new(Box::new(move || Policy::read(number, text))) };
    PLACES.iter().chain([&("iam_policy", IAM_POLICY)]).zip(1..).map(|((name, text), number)| (*name, lazy(number, text))).collect()
});

const IAM_POLICY: &str = include_str!("../../data/redact/iam_policy.toml");

/// The places in a policy of IAM, to be put below those where one stands.
static IAM: LazyLock<Vec<(Vec<String>, Kind)>> = LazyLock::new(|| {
    let file = file(IAM_POLICY);
    file.place.into_iter().flat_map(|group| group.paths.into_iter().map(move |path| (segments(&path), group.kind))).collect()
});

#[expect(clippy::expect_used, reason = "the files are part of the program, and tests read them")]
fn file(text: &str) -> File {
    toml::from_str(text).expect("a file of places of the program")
}

/// Everything is closed.
static UNKNOWN: LazyLock<Policy> = LazyLock::new(|| Policy { number: 0, nodes: vec![Node::default()] });

impl Policy {
    /// The places of a format; of an unknown one all are closed.
    pub(super) fn of(format: &str) -> &'static Self {
        POLICIES.get(format).map_or(&*UNKNOWN, |policy| &**policy)
    }

    fn read(number: u8, text: &str) -> Self {
        let file = file(text);
        let mut policy = Self { number, nodes: vec![Node::default()] };
        for group in file.place {
            let under = if group.under.is_empty() { vec![String::new()] } else { group.under };
            for base in under {
                let base = segments(&base);
                let paths = group.paths.iter().map(|path| segments(path));
                let keys = group.keys.iter().map(|key| vec!["**".to_owned(), key.to_ascii_lowercase()]);
                for path in paths.chain(keys) {
                    let path: Vec<String> = base.iter().cloned().chain(path).collect();
                    policy.add(&path, group.kind);
                    if group.kind == Kind::Policy {
                        policy.graft(&path);
                    }
                }
                for end in &group.ends {
                    let root = policy.deep_root(&base);
                    if let Some(node) = policy.nodes.get_mut(usize::from(root)) {
                        node.ends.push((end.to_ascii_lowercase(), group.kind));
                    }
                }
            }
        }
        policy
    }

    /// Adds the places of a policy of IAM below `path`.
    fn graft(&mut self, path: &[String]) {
        for (inner, kind) in IAM.iter() {
            let path: Vec<String> = path.iter().chain(inner).cloned().collect();
            self.add(&path, *kind);
        }
    }

    fn push(&mut self, node: Node) -> u16 {
        self.nodes.push(node);
        u16::try_from(self.nodes.len() - 1).unwrap_or(NONE)
    }

    fn step(&mut self, at: u16, segment: &str) -> u16 {
        let node = self.nodes.get(usize::from(at));
        if let Some(known) = node.and_then(|node| if segment == "*" { node.any } else { node.exact.get(segment).copied() }) {
            return known;
        }
        let new = self.push(Node::default());
        if let Some(node) = self.nodes.get_mut(usize::from(at)) {
            if segment == "*" {
                node.any = Some(new);
            } else {
                node.exact.insert(segment.to_owned(), new);
            }
        }
        new
    }

    fn deep_root(&mut self, path: &[String]) -> u16 {
        let (mut at, mut outer) = (0, None);
        for segment in path {
            outer = self.nodes.get(usize::from(at)).and_then(|node| node.deep).or(outer);
            at = if segment == "**" { self.deep_of(at, outer) } else { self.step(at, segment) };
        }
        outer = if path.is_empty() { None } else { outer };
        self.deep_of(at, outer)
    }

    fn deep_of(&mut self, at: u16, outer: Option<u16>) -> u16 {
        if let Some(known) = self.nodes.get(usize::from(at)).and_then(|node| node.deep) {
            return known;
        }
        let new = self.push(Node { outer, ..Node::default() });
        if let Some(node) = self.nodes.get_mut(usize::from(at)) {
            node.deep = Some(new);
        }
        new
    }

    fn add(&mut self, path: &[String], kind: Kind) {
        let (mut at, mut outer) = (0, None);
        for (index, segment) in path.iter().enumerate() {
            if segment == "**" {
                if index + 1 == path.len() {
                    // All that stands below, but for what is named: nothing that holds at any depth holds here.
                    let sealed = self.push(Node { kind: Some(kind), ..Node::default() });
                    for (node, seal) in [(sealed, sealed), (at, sealed)] {
                        if let Some(node) = self.nodes.get_mut(usize::from(node)) {
                            node.any = Some(seal);
                            node.kind.get_or_insert(kind);
                        }
                    }
                    return;
                }
                at = self.deep_of(at, outer);
                outer = Some(at);
            } else {
                outer = self.nodes.get(usize::from(at)).and_then(|node| node.deep).or(outer);
                at = self.step(at, segment);
            }
        }
        if let Some(node) = self.nodes.get_mut(usize::from(at)) {
            node.kind = Some(kind);
        }
    }

    /// The list's number.
    pub(super) fn number(&self) -> u8 {
        self.number
    }

    /// The record itself.
    pub(super) fn root(&self) -> Spot {
        self.spot(0, NONE, "")
    }

    fn spot(&self, node: u16, deep: u16, key: &str) -> Spot {
        let found = self.nodes.get(usize::from(node));
        let kind = found.and_then(|node| node.kind).unwrap_or(Kind::Closed);
        let deep = found.and_then(|node| node.deep).unwrap_or(deep);
        Spot { policy: self.number, node, deep, kind, names_secret: kind == Kind::Closed && !key.is_empty() && names_secret(key) }
    }

    /// The place of `key` in the object at `spot`.
    pub(super) fn child(&self, spot: Spot, key: &str) -> Spot {
        let lower = key.to_ascii_lowercase();
        let inside = |node: &Node| node.exact.get(&lower).copied().or(node.any);
        if let Some(node) = self.nodes.get(usize::from(spot.node)).and_then(inside) {
            return self.spot(node, spot.deep, &lower);
        }
        // Zeek writes the way to a field in one key: `certificate.serial`.
        if spot.node == 0
            && let Some((first, rest)) = lower.split_once('.')
            && let Some(at) = self.nodes.first().and_then(|root| root.exact.get(first)).copied()
        {
            return self.child(self.spot(at, spot.deep, first), rest);
        }
        let secret = names_secret(&lower);
        let mut deep = Some(spot.deep);
        while let Some(root) = deep.and_then(|root| self.nodes.get(usize::from(root))) {
            if let Some(node) = inside(root) {
                return self.spot(node, spot.deep, &lower);
            }
            if !secret && let Some((_, kind)) = root.ends.iter().find(|(end, _)| lower.ends_with(end.as_str())) {
                return Spot { policy: self.number, node: NONE, deep: spot.deep, kind: *kind, names_secret: false };
            }
            deep = root.outer;
        }
        // What stands in a secret is one.
        let kind = if spot.kind == Kind::Secret { Kind::Secret } else { Kind::Closed };
        Spot { policy: self.number, node: NONE, deep: spot.deep, kind, names_secret: secret || spot.names_secret }
    }

    /// Every place that the list names, as a path, with its kind: for documentation.
    pub(super) fn listed(&self) -> Vec<(String, Kind)> {
        let mut out = Vec::new();
        self.list(0, String::new(), 0, &mut out);
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    }

    fn list(&self, at: u16, path: String, depth: u8, out: &mut Vec<(String, Kind)>) {
        let Some(node) = self.nodes.get(usize::from(at)).filter(|_| depth < 16) else { return };
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        if let Some(kind) = node.kind.filter(|_| !path.is_empty()) {
            out.push((path.clone(), kind));
        }
        out.extend(node.ends.iter().map(|(end, kind)| (below(&format!("*{end}")), *kind)));
        for (key, child) in &node.exact {
            self.list(*child, below(key), depth + 1, out);
        }
        match node.any {
            Some(any) if any == at => out.push((below("**"), node.kind.unwrap_or(Kind::Closed))),
            Some(any) => self.list(any, below("*"), depth + 1, out),
            None => {}
        }
        if let Some(deep) = node.deep {
            self.list(deep, below("**"), depth + 1, out);
        }
    }
}

/// The keys of a path: `a.b`, with quotes around a key that has a dot in it: `a."b.c/d"`.
fn segments(path: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (segment, after) = match rest.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            Some((segment, after)) => (segment, after.strip_prefix('.').unwrap_or(after)),
            None => rest.split_once('.').unwrap_or((rest, "")),
        };
        out.push(segment.to_ascii_lowercase());
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(policy: &Policy, path: &[&str]) -> Kind {
        path.iter().fold(policy.root(), |spot, key| policy.child(spot, key)).kind
    }

    #[test]
    fn a_list_names_paths_keys_at_any_depth_and_ends_of_keys() {
        let policy = Policy::read(
            1,
            r#"
            [[place]]
            kind = "name"
            paths = ["a.b", "notes.\"x.y/z\"", "labels.*", "r.**.env.name"]
            [[place]]
            kind = "text"
            under = ["r", "q.r"]
            keys = ["name"]
            ends = ["Id"]
            [[place]]
            kind = "secret"
            paths = ["r.**.env.value", "s.**"]
            "#,
        );
        for (path, expected) in [
            (&["a", "B"][..], Kind::Name),
            (&["a"], Kind::Closed),
            (&["a", "c"], Kind::Closed),
            (&["notes", "x.y/z"], Kind::Name),
            (&["labels", "app"], Kind::Name),
            (&["labels", "app", "x"], Kind::Closed),
            (&["r", "x", "y", "name"], Kind::Text),
            (&["q", "r", "name"], Kind::Text),
            (&["q", "name"], Kind::Closed),
            (&["r", "x", "env", "name"], Kind::Name),
            (&["r", "x", "env", "value"], Kind::Secret),
            (&["r", "x", "env", "value", "name"], Kind::Text),
            (&["r", "x", "env", "fooId"], Kind::Text),
            (&["r", "secretId"], Kind::Closed),
            (&["s", "x", "y"], Kind::Secret),
        ] {
            assert_eq!(kind(&policy, path), expected, "{path:?}");
        }
    }

    #[test]
    fn every_list_is_read() {
        let numbers: std::collections::BTreeSet<u8> = POLICIES.values().map(|policy| policy.number).collect();
        assert!(numbers.len() == POLICIES.len() && !numbers.contains(&0), "each list has a number of its own");
        for (name, policy) in &*POLICIES {
            assert!(policy.listed().len() > 5, "{name}");
        }
    }
}
