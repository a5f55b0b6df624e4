//! What must be seen in a record before a rule can match: so that of thousands of rules the few are evaluated that may.
//!
//! A rule's *triggers* are a set of signs, one of which every matching record shows: a field that equals a text, a field in which a
//! literal stands, a field that is there, a literal anywhere. Of the sets that a condition offers, the one is taken whose signs are
//! rare: those that fewest other rules ask for. A rule without triggers is always evaluated.
//!
//! Signs are in small ASCII letters. A value that is not ASCII shows every sign of its field.

use aho_corasick::{AhoCorasick, MatchKind};
use rsigma_eval::CompiledMatcher;
use rustc_hash::FxHashMap;

use super::{literal, record::Record, tree::Node, walk::Slot};

/// Digits of a whole number that a double holds exactly.
const DIGITS_MAX: usize = 15;

/// A sign.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Sign {
    Equals(Slot, String),
    /// A number, as a whole number is written.
    Is(Slot, String),
    Has(Slot, String),
    Present(Slot),
    Anywhere(String),
}

/// Rules by their signs.
#[derive(Debug, Default)]
pub struct Index {
    slots: Vec<BySlot>,
    anywhere: Option<Literals>,
    anywhere_rules: Vec<u32>,
    always: Vec<u32>,
}

#[derive(Debug, Default)]
struct BySlot {
    equals: FxHashMap<String, Vec<u32>>,
    has: Option<Literals>,
    present: Vec<u32>,
    /// Every rule with a sign here.
    all: Vec<u32>,
    /// Some of the texts in `equals` stand for numbers, which may be written otherwise.
    numbers: bool,
}

#[derive(Debug)]
struct Literals {
    automaton: AhoCorasick,
    rules: Vec<Vec<u32>>,
}

/// The rules that may match one record. Made once, used for every record.
#[derive(Debug, Default)]
pub struct Candidates {
    rules: Vec<u32>,
    seen: Vec<u32>,
    turn: u32,
    text: String,
}

impl Index {
    /// For `rules`, numbered in their order; `None` for one that is always evaluated.
    ///
    /// # Errors
    /// What the automaton of all literals says when it grows too large.
    pub fn new<'a>(rules: impl Iterator<Item = Option<&'a Node>> + Clone, slots: usize) -> Result<Self, String> {
        let mut uses: FxHashMap<Sign, u32> = FxHashMap::default();
        for node in rules.clone().flatten() {
            count(node, &mut uses);
        }
        let mut index = Self { slots: (0..slots).map(|_| BySlot::default()).collect(), ..Self::default() };
        let mut literals: Vec<Vec<(String, u32)>> = vec![Vec::new(); slots];
        let mut anywhere = Vec::new();
        for (node, rule) in rules.zip(0_u32..) {
            let Some(signs) = node.and_then(|node| signs(node, &uses)) else {
                index.always.push(rule);
                continue;
            };
            for sign in signs {
                let slot = match &sign {
                    Sign::Equals(slot, _) | Sign::Is(slot, _) | Sign::Has(slot, _) | Sign::Present(slot) => Some(*slot as usize),
                    Sign::Anywhere(_) => None,
                };
                let by_slot = slot.and_then(|slot| index.slots.get_mut(slot));
                match (sign, by_slot) {
                    (Sign::Anywhere(literal), _) => {
                        anywhere.push((literal, rule));
                        push(&mut index.anywhere_rules, rule);
                    }
                    (sign, Some(by_slot)) => {
                        push(&mut by_slot.all, rule);
                        by_slot.numbers |= matches!(sign, Sign::Is(..));
                        match sign {
                            Sign::Equals(_, text) | Sign::Is(_, text) => push(by_slot.equals.entry(text).or_default(), rule),
                            Sign::Has(slot, literal) => literals.get_mut(slot as usize).into_iter().for_each(|all| all.push((literal.clone(), rule))),
                            Sign::Present(_) | Sign::Anywhere(_) => push(&mut by_slot.present, rule),
                        }
                    }
                    _ => {}
                }
            }
        }
        for (by_slot, literals) in index.slots.iter_mut().zip(literals) {
            by_slot.has = Literals::new(literals)?;
        }
        index.anywhere = Literals::new(anywhere)?;
        Ok(index)
    }

    /// How many rules are always evaluated.
    #[must_use]
    pub fn always(&self) -> usize {
        self.always.len()
    }

    /// The rules that may match, in order.
    pub fn look<'c>(&self, record: &Record<'_>, candidates: &'c mut Candidates) -> &'c [u32] {
        candidates.begin();
        candidates.add(&self.always);
        if let Some(literals) = &self.anywhere {
            if record.raw.is_ascii() && !record.raw.contains("\\u") {
                let text = candidates.lowered(record.raw);
                literals.look(&text, candidates);
                candidates.text = text;
            } else {
                candidates.add(&self.anywhere_rules);
            }
        }
        for slot in record.found.touched() {
            let Some(by_slot) = self.slots.get(*slot as usize).filter(|by_slot| !by_slot.all.is_empty()) else { continue };
            candidates.add(&by_slot.present);
            if by_slot.equals.is_empty() && by_slot.has.is_none() {
                continue;
            }
            for span in record.found.spans(*slot) {
                by_slot.meet(record.raw.get(span.start..span.end).unwrap_or_default(), candidates);
            }
        }
        candidates.rules.sort_unstable();
        &candidates.rules
    }
}

impl BySlot {
    /// Takes a value as JSON.
    fn meet(&self, json: &str, candidates: &mut Candidates) {
        match json.as_bytes().first() {
            _ if !json.is_ascii() => candidates.add(&self.all),
            Some(b'"') if !json.contains('\\') => self.text(json.get(1..json.len() - 1).unwrap_or_default(), candidates),
            Some(b'"') => match serde_json::from_str::<String>(json) {
                Ok(text) if text.is_ascii() => self.text(&text, candidates),
                _ => candidates.add(&self.all),
            },
            Some(b'n') => {}
            Some(b't' | b'f') => self.text(json, candidates),
            // Its members, and its own text, have the letters of the JSON as long as nothing in it is escaped.
            Some(b'[' | b'{') => {
                if json.contains('\\') || !self.equals.is_empty() {
                    candidates.add(&self.all);
                } else {
                    self.text(json, candidates);
                }
            }
            _ if json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => self.text(json, candidates),
            // 1e3 is written 1000 when it is compared as a text.
            _ => candidates.add(&self.all),
        }
    }

    fn text(&self, text: &str, candidates: &mut Candidates) {
        if self.numbers && is_number_otherwise(text) {
            candidates.add(&self.all);
        }
        let lowered = candidates.lowered(text);
        if let Some(rules) = self.equals.get(&lowered) {
            candidates.add(rules);
        }
        if let Some(literals) = &self.has {
            literals.look(&lowered, candidates);
        }
        candidates.text = lowered;
    }
}

impl Literals {
    fn new(mut literals: Vec<(String, u32)>) -> Result<Option<Self>, String> {
        if literals.is_empty() {
            return Ok(None);
        }
        literals.sort_unstable();
        let mut patterns: Vec<String> = Vec::new();
        let mut rules: Vec<Vec<u32>> = Vec::new();
        for (literal, rule) in literals {
            if patterns.last() != Some(&literal) {
                patterns.push(literal);
                rules.push(Vec::new());
            }
            if let Some(last) = rules.last_mut() {
                push(last, rule);
            }
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&patterns).map_err(|error| error.to_string())?;
        Ok(Some(Self { automaton, rules }))
    }

    fn look(&self, text: &str, candidates: &mut Candidates) {
        for found in self.automaton.find_overlapping_iter(text) {
            if let Some(rules) = self.rules.get(found.pattern().as_usize()) {
                candidates.add(rules);
            }
        }
    }
}

impl Candidates {
    fn begin(&mut self) {
        self.rules.clear();
        self.turn = self.turn.wrapping_add(1);
        if self.turn == 0 {
            self.seen.fill(0);
            self.turn = 1;
        }
    }

    fn add(&mut self, rules: &[u32]) {
        for rule in rules {
            let at = *rule as usize;
            if at >= self.seen.len() {
                self.seen.resize(at + 1, 0);
            }
            if let Some(seen) = self.seen.get_mut(at).filter(|seen| **seen != self.turn) {
                *seen = self.turn;
                self.rules.push(*rule);
            }
        }
    }

    /// `text` in small letters, in the buffer that is given back to `text`.
    fn lowered(&mut self, text: &str) -> String {
        let mut lowered = std::mem::take(&mut self.text);
        lowered.clear();
        lowered.push_str(text);
        lowered.make_ascii_lowercase();
        lowered
    }
}

/// Whether a text is a number, but not written as a whole number of few digits is.
fn is_number_otherwise(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits == "0"
        || (digits.len() <= DIGITS_MAX && digits.starts_with(|c: char| matches!(c, '1'..='9')) && digits.bytes().all(|byte| byte.is_ascii_digit()));
    !plain && text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) && text.parse::<f64>().is_ok()
}

fn push(rules: &mut Vec<u32>, rule: u32) {
    if rules.last() != Some(&rule) {
        rules.push(rule);
    }
}

/// Counts the signs that a condition names anywhere.
fn count(node: &Node, uses: &mut FxHashMap<Sign, u32>) {
    match node {
        Node::All(parts) | Node::Some(_, parts) => parts.iter().for_each(|part| count(part, uses)),
        Node::Not(part) => count(part, uses),
        Node::Leaf(leaf) => {
            for sign in of_leaf(leaf).unwrap_or_default() {
                *uses.entry(sign).or_default() += 1;
            }
        }
    }
}

/// The rarest set of signs, one of which every record shows for which `node` holds.
fn signs(node: &Node, uses: &FxHashMap<Sign, u32>) -> Option<Vec<Sign>> {
    match node {
        Node::All(parts) => parts.iter().filter_map(|part| signs(part, uses)).min_by_key(|signs| cost(signs, uses)),
        Node::Some(0, _) | Node::Not(_) => None,
        Node::Some(_, parts) => {
            let all = parts.iter().map(|part| signs(part, uses)).collect::<Option<Vec<_>>>()?;
            Some(all.into_iter().flatten().collect())
        }
        Node::Leaf(leaf) => of_leaf(leaf),
    }
}

fn cost(signs: &[Sign], uses: &FxHashMap<Sign, u32>) -> u64 {
    let one = |sign: &Sign| {
        let uses = u64::from(uses.get(sign).copied().unwrap_or_default());
        match sign {
            Sign::Equals(..) | Sign::Is(..) => 1 + uses,
            Sign::Has(_, literal) => (if literal.len() < 4 { 64 } else { 4 }) + uses,
            Sign::Anywhere(_) => 128 + uses,
            Sign::Present(_) => 256 + uses,
        }
    };
    signs.iter().map(one).sum()
}

fn of_leaf(leaf: &super::tree::Leaf) -> Option<Vec<Sign>> {
    match (leaf.slot, leaf.exists) {
        (Some(slot), Some(true)) => Some(vec![Sign::Present(slot)]),
        (_, Some(_)) => None,
        (Some(slot), None) => of_field(&leaf.matcher, slot),
        (None, None) => {
            let literals = of_text(&leaf.matcher)?;
            let plain = |literal: &String| {
                let longest = literal.split(|c: char| matches!(c, '"' | '\\' | '/' | '\u{7f}') || c.is_ascii_control()).max_by_key(|part| part.len())?;
                (longest.len() >= 3).then(|| Sign::Anywhere(longest.to_owned()))
            };
            literals.iter().map(plain).collect()
        }
    }
}

/// Signs of a matcher of the field `slot`.
fn of_field(matcher: &CompiledMatcher, slot: Slot) -> Option<Vec<Sign>> {
    let present = || Some(vec![Sign::Present(slot)]);
    match matcher {
        CompiledMatcher::Null => None,
        CompiledMatcher::Exists(false) => None,
        CompiledMatcher::Exact { value, .. } if value.is_ascii() => Some(vec![Sign::Equals(slot, value.to_ascii_lowercase())]),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 10^15")]
        CompiledMatcher::NumericEq(n) if n.fract() == 0.0 && n.abs() < 1e15 && !(n.is_sign_negative() && *n == 0.0) => {
            Some(vec![Sign::Is(slot, (*n as i64).to_string())])
        }
        CompiledMatcher::AnyOf(parts) => {
            let all = parts.iter().map(|part| of_field(part, slot)).collect::<Option<Vec<_>>>()?;
            Some(all.into_iter().flatten().collect())
        }
        CompiledMatcher::CaseInsensitiveGroup { children, mode: rsigma_eval::matcher::GroupMode::Any } => {
            let all = children.iter().map(|part| of_field(part, slot)).collect::<Option<Vec<_>>>()?;
            Some(all.into_iter().flatten().collect())
        }
        CompiledMatcher::AllOf(parts) | CompiledMatcher::CaseInsensitiveGroup { children: parts, mode: rsigma_eval::matcher::GroupMode::All } => {
            // Every part looks at the same field; the longest literals are the rarest.
            parts.iter().filter_map(of_text).max_by_key(|set| set.iter().map(String::len).min()).map(|set| has(set, slot)).or_else(present)
        }
        _ => of_text(matcher).map(|literals| has(literals, slot)).or_else(present),
    }
}

fn has(literals: Vec<String>, slot: Slot) -> Vec<Sign> {
    literals.into_iter().map(|literal| Sign::Has(slot, literal)).collect()
}

/// Literals in small letters, one of which stands in every text that a matcher of texts matches; `None` when there are none.
fn of_text(matcher: &CompiledMatcher) -> Option<Vec<String>> {
    let literals = match matcher {
        CompiledMatcher::Exact { value, .. }
        | CompiledMatcher::Contains { value, .. }
        | CompiledMatcher::StartsWith { value, .. }
        | CompiledMatcher::EndsWith { value, .. } => vec![value.to_ascii_lowercase()],
        CompiledMatcher::AhoCorasickSet { needles, .. } => needles.iter().map(|needle| needle.to_ascii_lowercase()).collect(),
        CompiledMatcher::Regex(expression) => literal::required(expression.as_str())?,
        CompiledMatcher::RegexSetMatch { set, mode: rsigma_eval::matcher::GroupMode::Any } => {
            set.patterns().iter().map(|pattern| literal::required(pattern)).collect::<Option<Vec<_>>>()?.concat()
        }
        CompiledMatcher::AnyOf(parts) | CompiledMatcher::CaseInsensitiveGroup { children: parts, mode: rsigma_eval::matcher::GroupMode::Any } => {
            parts.iter().map(of_text).collect::<Option<Vec<_>>>()?.concat()
        }
        CompiledMatcher::AllOf(parts) | CompiledMatcher::CaseInsensitiveGroup { children: parts, mode: rsigma_eval::matcher::GroupMode::All } => {
            parts.iter().filter_map(of_text).max_by_key(|set| set.iter().map(String::len).min())?
        }
        _ => return None,
    };
    literals.iter().all(|literal| literal.is_ascii() && !literal.is_empty()).then_some(literals)
}
