//! Decides quickly which rules cannot match an observation, so that the full evaluation runs on the few that may.
//!
//! Every detection item whose outcome follows from one field becomes an *atom*, a bit: thresholds on numbers and facts are compared
//! natively, and what an item says of a text is remembered per distinct value. A rule's condition becomes a disjunction of
//! conjunctions over those bits, in which whatever is no atom counts as "may". So a rule that is ruled out here cannot match; one
//! that is made of atoms alone is decided here, and says so.
//!
//! Which conjunctions an event's [shape](crate::shape) leaves open is worked out once for each shape; of an event only what these still ask for is computed
//! ([`opened`]): most features of most events are asked for by no rule.

mod opened;
mod said;

use keytrail_schemas::Text;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher, CompiledRule, EventValue};
use rsigma_parser::{ConditionExpr, Quantifier};
use rustc_hash::FxHashMap;
use std::{borrow::Cow, collections::BTreeMap};

use self::opened::{Literal, Opened, Test};
use super::matching;
use super::observation::{Field, Observation, TEXTS, Texts, Word, field};
use crate::shape::{PerShape, Shape};

/// Conjunctions that one rule may have; beyond, it is always evaluated in full.
const CONJUNCTIONS_MAX: usize = 64;
/// Values remembered per text field; at the bound all are forgotten.
const VALUES_MAX: usize = 4096;
/// Words that follow from the event's shape.
const OF_SHAPE: &[&str] = &["activity", "outcome", "identity_kind", "credential_kind", "action.class", "action.command"];

/// The compiled prefilter of a set of rules. Immutable; what it remembers is in [`Memory`].
#[derive(Default)]
pub struct Prefilter {
    atoms: Vec<Atom>,
    /// How each atom is asked about by itself.
    tests: Vec<Test>,
    /// Words that shapes have: what each sets.
    words: Vec<(Word, Vec<Mask>)>,
    few: Vec<(usize, Vec<usize>)>,
    /// Rules that are made of atoms alone.
    exact: Vec<bool>,
    conjunctions: Vec<Conjunction>,
}

/// Literals that hold together only if a rule matches, or may.
struct Conjunction {
    rule: usize,
    literals: Vec<Literal>,
}

/// What was learned about values and shapes.
#[derive(Default)]
pub struct Memory {
    candidates: Vec<(usize, bool)>,
    few: Vec<FxHashMap<Text, Mask>>,
    absent: Vec<Mask>,
    shapes: PerShape<usize>,
    opened: Opened,
}

impl Memory {
    /// Looks at what will be asked of an event of `shape`.
    #[inline]
    #[must_use]
    pub fn touch(&self, shape: Shape) -> u32 {
        self.shapes.get(shape).map_or(0, |at| self.opened.touch(*at))
    }
}

type Mask = Vec<u64>;

#[derive(Clone)]
enum Atom {
    Number(usize, Comparison),
    /// `None` asks whether the fact is known.
    Flag(usize, Option<bool>),
    Text(usize, CompiledDetectionItem),
}

impl Atom {
    /// Whether it follows from the event's shape alone.
    fn is_of_shape(&self) -> bool {
        match self {
            Self::Text(at, _) => TEXTS.get(*at).is_some_and(|(name, texts)| matches!(texts, Texts::Few(_)) || OF_SHAPE.contains(name)),
            Self::Number(..) | Self::Flag(..) => false,
        }
    }

    /// How often it is expected to hold, before that is known.
    fn rarity(&self) -> f32 {
        match self {
            Self::Flag(_, Some(true)) => 0.05,
            Self::Number(_, Comparison::Gt(_) | Comparison::Gte(_) | Comparison::Eq(_)) => 0.1,
            // What must be searched is asked about last.
            Self::Text(at, _) if TEXTS.get(*at).is_some_and(|(_, texts)| matches!(texts, Texts::Many(_))) => 0.9,
            Self::Text(..) => 0.3,
            _ => 0.5,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Eq(f64),
    Gt(f64),
    Gte(f64),
    Lt(f64),
    Lte(f64),
    Known,
}

impl Comparison {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Eq(n) => (value - n).abs() < f64::EPSILON,
            Self::Gt(n) => value > n,
            Self::Gte(n) => value >= n,
            Self::Lt(n) => value < n,
            Self::Lte(n) => value <= n,
            Self::Known => true,
        }
    }
}

/// A condition in negation normal form.
#[derive(Clone)]
enum Expr {
    Unknown,
    Atom(usize, bool),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

impl Prefilter {
    /// Compiles the prefilter of `rules`; entries that are `None` are never asked about.
    #[must_use]
    pub fn new<'a>(rules: impl Iterator<Item = Option<&'a CompiledRule>>) -> Self {
        let mut prefilter = Self::default();
        for (number, rule) in rules.enumerate() {
            let exact = rule.is_some_and(|rule| prefilter.plan(number, rule));
            prefilter.exact.push(exact);
        }
        prefilter.tests = Test::all(&prefilter.atoms);
        let width = prefilter.width();
        let mut words: BTreeMap<usize, Vec<Mask>> = BTreeMap::new();
        for (bit, atom) in prefilter.atoms.iter().enumerate().filter(|(_, atom)| atom.is_of_shape()) {
            let Atom::Text(at, item) = atom else { continue };
            match TEXTS.get(*at).map(|(_, texts)| *texts) {
                Some(Texts::Word(list, _)) => {
                    for (word, mask) in list.iter().zip(words.entry(*at).or_insert_with(|| vec![vec![0; width]; list.len()])) {
                        if says(item, Some(word)) {
                            set(mask, bit);
                        }
                    }
                }
                _ => match prefilter.few.iter_mut().find(|(known, _)| known == at) {
                    Some((_, bits)) => bits.push(bit),
                    None => prefilter.few.push((*at, vec![bit])),
                },
            }
        }
        prefilter.words = words
            .into_iter()
            .filter_map(|(at, masks)| match TEXTS.get(at)?.1 {
                Texts::Word(_, word) => Some((word, masks)),
                Texts::Few(_) | Texts::Many(_) => None,
            })
            .collect();
        prefilter
    }

    fn width(&self) -> usize {
        self.atoms.len().div_ceil(64)
    }

    /// Memory for this prefilter.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            few: self.few.iter().map(|_| FxHashMap::default()).collect(),
            absent: self.few.iter().map(|(_, bits)| self.mask_of(bits, None)).collect(),
            opened: Opened::new(self.atoms.iter().map(Atom::rarity)),
            ..Memory::default()
        }
    }

    /// The rules that match or may match an observation, in order: their numbers, and whether they certainly do.
    pub fn candidates<'m>(&self, o: &Observation<'_>, memory: &'m mut Memory) -> &'m [(usize, bool)] {
        let at = match memory.shapes.get(o.shape) {
            Some(at) => *at,
            None => self.open(o, memory),
        };
        let Memory { candidates, opened, .. } = memory;
        candidates.clear();
        opened.look(at, &self.conjunctions, &self.tests, o, |rule| {
            if candidates.iter().all(|(known, _)| *known != rule) {
                candidates.push((rule, self.exact.get(rule).copied().unwrap_or_default()));
            }
        });
        candidates.sort_unstable();
        candidates
    }

    /// Works out what is open to a shape that was not met before.
    #[cold]
    fn open(&self, o: &Observation<'_>, memory: &mut Memory) -> usize {
        let mut bits = vec![0; self.width()];
        for (word, masks) in &self.words {
            if let Some(mask) = masks.get(word(o)) {
                union(&mut bits, mask);
            }
        }
        for (((at, of), known), absent) in self.few.iter().zip(&mut memory.few).zip(&memory.absent) {
            match o.text(*at) {
                None => union(&mut bits, absent),
                Some(text) => {
                    if known.len() >= VALUES_MAX && !known.contains_key(text) {
                        known.clear();
                    }
                    union(&mut bits, known.entry(Text::from(text)).or_insert_with(|| self.mask_of(of, Some(text))));
                }
            }
        }
        if memory.opened.is_full() {
            memory.shapes.clear();
            memory.opened.clear();
        }
        let at = memory.opened.open(bits, &self.conjunctions, &self.tests);
        memory.shapes.set(o.shape, at);
        at
    }

    /// How many rules are decided without a full evaluation.
    #[must_use]
    pub fn exact(&self) -> usize {
        self.exact.iter().filter(|exact| **exact).count()
    }

    fn mask_of(&self, bits: &[usize], value: Option<&str>) -> Mask {
        let mut mask = vec![0; self.atoms.len().div_ceil(64)];
        for bit in bits {
            if let Some(Atom::Text(_, item)) = self.atoms.get(*bit)
                && says(item, value)
            {
                set(&mut mask, *bit);
            }
        }
        mask
    }

    /// Takes a rule's condition apart.
    fn plan(&mut self, rule: usize, compiled: &CompiledRule) -> bool {
        let expr = Expr::Or(compiled.conditions.iter().map(|condition| self.condition(condition, compiled, true)).collect());
        let mut exact = true;
        let Some(conjunctions) = normal(&expr, &mut exact) else {
            self.conjunctions.push(Conjunction { rule, literals: Vec::new() });
            return false;
        };
        for mut literals in conjunctions {
            literals.sort_unstable();
            literals.dedup();
            // One that contradicts itself never holds.
            if !literals.array_windows::<2>().any(|[a, b]| a.0 == b.0) {
                self.conjunctions.push(Conjunction { rule, literals });
            }
        }
        exact
    }

    fn condition(&mut self, condition: &ConditionExpr, rule: &CompiledRule, positive: bool) -> Expr {
        match condition {
            ConditionExpr::And(parts) => join(parts.iter().map(|part| self.condition(part, rule, positive)).collect(), positive),
            ConditionExpr::Or(parts) => join(parts.iter().map(|part| self.condition(part, rule, positive)).collect(), !positive),
            ConditionExpr::Not(part) => self.condition(part, rule, !positive),
            ConditionExpr::Identifier(name) => match rule.detections.get(name) {
                Some(detection) => self.detection(detection, positive),
                None => Expr::Unknown,
            },
            ConditionExpr::Selector { quantifier, pattern } => {
                let mut names: Vec<&String> = rule.detections.keys().filter(|name| pattern.matches_detection_name(name)).collect();
                names.sort_unstable();
                if names.is_empty() {
                    return Expr::Unknown;
                }
                let all = match quantifier {
                    Quantifier::All => true,
                    Quantifier::Any | Quantifier::Count(1) => false,
                    Quantifier::Count(_) => return Expr::Unknown,
                };
                let parts = names.into_iter().filter_map(|name| rule.detections.get(name)).map(|detection| self.detection(detection, positive)).collect();
                join(parts, all == positive)
            }
        }
    }

    fn detection(&mut self, detection: &CompiledDetection, positive: bool) -> Expr {
        match detection {
            CompiledDetection::AllOf(items) => join(items.iter().map(|item| self.item(item, positive)).collect(), positive),
            CompiledDetection::AnyOf(parts) => join(parts.iter().map(|part| self.detection(part, positive)).collect(), !positive),
            CompiledDetection::And(parts) => join(parts.iter().map(|part| self.detection(part, positive)).collect(), positive),
            CompiledDetection::Keywords(_) | CompiledDetection::ArrayMatch { .. } | CompiledDetection::Conditional { .. } => Expr::Unknown,
        }
    }

    fn item(&mut self, item: &CompiledDetectionItem, positive: bool) -> Expr {
        let Some(field) = item.field.as_deref().and_then(field) else { return Expr::Unknown };
        if let Some(exists) = item.exists {
            return match field {
                Field::Number(at) => self.atom(Atom::Number(at, Comparison::Known), positive == exists),
                Field::Flag(at) => self.atom(Atom::Flag(at, None), positive == exists),
                Field::Text(at) => self.atom(Atom::Text(at, item.clone()), positive),
                _ => Expr::Unknown,
            };
        }
        match field {
            Field::Text(at) if alone(&item.matcher) => self.atom(Atom::Text(at, item.clone()), positive),
            Field::Number(at) => self.number(at, &item.matcher, positive),
            Field::Flag(at) => self.flag(at, &item.matcher, positive),
            _ => Expr::Unknown,
        }
    }

    fn number(&mut self, at: usize, matcher: &CompiledMatcher, positive: bool) -> Expr {
        let comparison = match matcher {
            CompiledMatcher::NumericEq(n) => Comparison::Eq(*n),
            CompiledMatcher::NumericGt(n) => Comparison::Gt(*n),
            CompiledMatcher::NumericGte(n) => Comparison::Gte(*n),
            CompiledMatcher::NumericLt(n) => Comparison::Lt(*n),
            CompiledMatcher::NumericLte(n) => Comparison::Lte(*n),
            CompiledMatcher::AnyOf(parts) => return join(parts.iter().map(|part| self.number(at, part, positive)).collect(), !positive),
            _ => return Expr::Unknown,
        };
        self.atom(Atom::Number(at, comparison), positive)
    }

    fn flag(&mut self, at: usize, matcher: &CompiledMatcher, positive: bool) -> Expr {
        match matcher {
            CompiledMatcher::BoolEq(expected) => self.atom(Atom::Flag(at, Some(*expected)), positive),
            CompiledMatcher::AnyOf(parts) => join(parts.iter().map(|part| self.flag(at, part, positive)).collect(), !positive),
            _ => Expr::Unknown,
        }
    }

    fn atom(&mut self, atom: Atom, positive: bool) -> Expr {
        let bit = match self.atoms.iter().position(|known| same(known, &atom)) {
            Some(bit) => bit,
            None => {
                self.atoms.push(atom);
                self.atoms.len() - 1
            }
        };
        Expr::Atom(bit, positive)
    }
}

fn same(a: &Atom, b: &Atom) -> bool {
    match (a, b) {
        (Atom::Number(a, x), Atom::Number(b, y)) => a == b && x == y,
        (Atom::Flag(a, x), Atom::Flag(b, y)) => a == b && x == y,
        // Matchers have no equality; their debug form is complete.
        (Atom::Text(a, x), Atom::Text(b, y)) => a == b && x.exists == y.exists && format!("{:?}", x.matcher) == format!("{:?}", y.matcher),
        _ => false,
    }
}

/// Whether a matcher looks at nothing but the value that it is given.
fn alone(matcher: &CompiledMatcher) -> bool {
    match matcher {
        CompiledMatcher::FieldRef { .. } | CompiledMatcher::Expand { .. } => false,
        CompiledMatcher::Not(inner) | CompiledMatcher::TimestampPart { inner, .. } => alone(inner),
        CompiledMatcher::AnyOf(parts) | CompiledMatcher::AllOf(parts) | CompiledMatcher::CaseInsensitiveGroup { children: parts, .. } => {
            parts.iter().all(alone)
        }
        _ => true,
    }
}

/// What an item says of one value of its field; the same as the full evaluation says.
fn says(item: &CompiledDetectionItem, value: Option<&str>) -> bool {
    match (item.exists, value) {
        (Some(exists), value) => value.is_some() == exists,
        (None, Some(text)) => matching::holds(&item.matcher, &EventValue::Str(Cow::Borrowed(text)), &Nothing),
        (None, None) => matches!(item.matcher, CompiledMatcher::Null),
    }
}

/// An event without fields, for matchers that do not ask for any.
struct Nothing;

impl rsigma_eval::Event for Nothing {
    fn get_field(&self, _: &str) -> Option<EventValue<'_>> {
        None
    }

    fn any_string_value(&self, _: &dyn Fn(&str) -> bool) -> bool {
        false
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        Vec::new()
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

fn join(parts: Vec<Expr>, and: bool) -> Expr {
    if and { Expr::And(parts) } else { Expr::Or(parts) }
}

/// Disjunctive normal form; what is unknown may hold, whether negated or not. `None` when it grows too large.
fn normal(expr: &Expr, exact: &mut bool) -> Option<Vec<Vec<Literal>>> {
    match expr {
        Expr::Unknown => {
            *exact = false;
            Some(vec![Vec::new()])
        }
        Expr::Atom(bit, positive) => Some(vec![vec![(*bit, *positive)]]),
        Expr::Or(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(normal(part, exact)?);
            }
            (all.len() <= CONJUNCTIONS_MAX).then_some(all)
        }
        Expr::And(parts) => {
            let mut all: Vec<Vec<Literal>> = vec![Vec::new()];
            for part in parts {
                let right = normal(part, exact)?;
                if all.len() * right.len() > CONJUNCTIONS_MAX {
                    return None;
                }
                all = all.iter().flat_map(|left| right.iter().map(move |right| left.iter().chain(right).copied().collect())).collect();
            }
            Some(all)
        }
    }
}

fn set(mask: &mut [u64], bit: usize) {
    if let Some(word) = mask.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

fn union(into: &mut [u64], mask: &[u64]) {
    for (into, mask) in into.iter_mut().zip(mask) {
        *into |= mask;
    }
}
