//! Decides quickly which rules cannot match an observation, so that the full evaluation runs on the few that may.
//!
//! Every detection item whose outcome follows from one field becomes an *atom*, a bit: thresholds on numbers and facts are compared
//! natively, and what an item says of a text is remembered per distinct value. A rule's condition becomes a disjunction of
//! conjunctions over those bits, in which whatever is no atom counts as "may". So a rule that is ruled out here cannot match; one
//! that is made of atoms alone is decided here, and says so.
//!
//! A conjunction is looked at only when its *trigger* is set: the one of its bits that is set most rarely, by its nature.

use keytrail_schemas::Text;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher, CompiledRule, EventValue};
use rsigma_parser::{ConditionExpr, Quantifier};
use rustc_hash::FxHashMap;
use std::{borrow::Cow, collections::BTreeMap};

use super::observation::{FLAGS, Field, Flag, NUMBERS, Number, Observation, TEXTS, Texts, Word, field};

/// Conjunctions that one rule may have; beyond, it is always evaluated in full.
const CONJUNCTIONS_MAX: usize = 64;
/// Values remembered per text field; at the bound all are forgotten.
const VALUES_MAX: usize = 4096;

/// The compiled prefilter of a set of rules. Immutable; what it remembers is in [`Memory`].
#[derive(Default)]
pub struct Prefilter {
    atoms: Vec<Atom>,
    numbers: Vec<(Number, Vec<(usize, Comparison)>)>,
    /// What each fact sets when it is false, and when it is true.
    flags: Vec<(Flag, [Mask; 2])>,
    words: Vec<(Word, Vec<Mask>)>,
    few: Vec<(usize, Vec<usize>)>,
    plans: Vec<Plan>,
    /// Conjunctions by the bit that triggers them, and those that nothing triggers.
    by_trigger: Vec<Vec<(usize, Vec<Demand>)>>,
    triggers: Mask,
    untriggered: Vec<(usize, Vec<Demand>)>,
}

/// What was learned about values, and the bits of the present observation.
#[derive(Default)]
pub struct Memory {
    bits: Mask,
    candidates: Vec<usize>,
    few: Vec<Known>,
    absent: Vec<Mask>,
}

type Mask = Vec<u64>;

/// What rules say of the values of one field; the latest is at hand.
#[derive(Default)]
struct Known {
    masks: FxHashMap<Text, Mask>,
    latest: Option<(Text, Mask)>,
}

#[derive(Clone)]
enum Atom {
    Number(usize, Comparison),
    /// `None` asks whether the fact is known.
    Flag(usize, Option<bool>),
    Text(usize, CompiledDetectionItem),
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

impl Known {
    /// Makes `text` the latest value.
    fn meet(&mut self, text: &str, mask: impl FnOnce() -> Mask) {
        let mask = match self.masks.get(text) {
            Some(mask) => mask,
            None => {
                if self.masks.len() >= VALUES_MAX {
                    self.masks.clear();
                }
                self.masks.entry(Text::from(text)).or_insert_with(mask)
            }
        };
        match &mut self.latest {
            Some((latest, latest_mask)) => {
                latest.clear();
                latest.push_str(text);
                latest_mask.clone_from(mask);
            }
            None => self.latest = Some((Text::from(text), mask.clone())),
        }
    }
}

/// A rule's condition over atoms.
#[derive(Default)]
struct Plan {
    /// No conjunction has an item that is no atom.
    exact: bool,
    conjunctions: Vec<Vec<Demand>>,
}

/// Bits of one 64-bit word that must be set, and that must not.
#[derive(Clone, Copy)]
struct Demand {
    word: usize,
    set: u64,
    unset: u64,
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
        for rule in rules {
            let plan = match rule {
                Some(rule) => prefilter.plan(rule),
                None => Plan::default(),
            };
            prefilter.plans.push(plan);
        }
        let width = prefilter.atoms.len().div_ceil(64);
        // By field, so that each is asked for once.
        let (mut numbers, mut flags, mut words) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (bit, atom) in prefilter.atoms.iter().enumerate() {
            match atom {
                Atom::Number(at, comparison) => numbers.entry(*at).or_insert_with(Vec::new).push((bit, *comparison)),
                Atom::Flag(at, expected) => {
                    for (value, mask) in [false, true].into_iter().zip(flags.entry(*at).or_insert_with(|| [vec![0; width], vec![0; width]])) {
                        if expected.is_none_or(|expected| expected == value) {
                            set(mask, bit);
                        }
                    }
                }
                Atom::Text(at, item) => match TEXTS.get(*at).map(|(_, texts)| *texts) {
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
                },
            }
        }
        prefilter.numbers = numbers.into_iter().filter_map(|(at, comparisons)| Some((NUMBERS.get(at)?.1, comparisons))).collect();
        prefilter.flags = flags.into_iter().filter_map(|(at, masks)| Some((FLAGS.get(at)?.1, masks))).collect();
        prefilter.words = words
            .into_iter()
            .filter_map(|(at, masks)| match TEXTS.get(at)?.1 {
                Texts::Word(_, word) => Some((word, masks)),
                Texts::Few(_) | Texts::Many(_) => None,
            })
            .collect();
        prefilter.trigger(width);
        prefilter
    }

    /// Gives each conjunction its trigger.
    fn trigger(&mut self, width: usize) {
        let rarity = |bit: usize| match self.atoms.get(bit) {
            Some(Atom::Flag(_, Some(true))) => 0,
            Some(Atom::Number(_, Comparison::Gt(_) | Comparison::Gte(_) | Comparison::Eq(_))) => 1,
            Some(Atom::Text(at, item)) if item.exists.is_none() && is_few(*at) && !says(item, None) => 2,
            Some(Atom::Text(..)) => 3,
            _ => 4,
        };
        let mut by_trigger = vec![Vec::new(); self.atoms.len()];
        let mut triggers = vec![0; width];
        let mut untriggered = Vec::new();
        for (rule, plan) in self.plans.iter_mut().enumerate() {
            for demands in plan.conjunctions.drain(..) {
                let bits = demands.iter().flat_map(|demand| (0..64).filter(|bit| demand.set >> bit & 1 == 1).map(|bit| demand.word * 64 + bit));
                match bits.min_by_key(|bit| rarity(*bit)) {
                    Some(bit) => {
                        set(&mut triggers, bit);
                        if let Some(conjunctions) = by_trigger.get_mut(bit) {
                            conjunctions.push((rule, demands));
                        }
                    }
                    None => untriggered.push((rule, demands)),
                }
            }
        }
        (self.by_trigger, self.triggers, self.untriggered) = (by_trigger, triggers, untriggered);
    }

    /// Memory for this prefilter.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            candidates: Vec::new(),
            bits: vec![0; self.atoms.len().div_ceil(64)],
            few: self.few.iter().map(|_| Known::default()).collect(),
            absent: self.few.iter().map(|(_, bits)| self.mask_of(bits, None)).collect(),
        }
    }

    /// Computes the bits of an observation.
    pub fn look(&self, o: &Observation<'_>, memory: &mut Memory) {
        memory.bits.fill(0);
        for (word, masks) in &self.words {
            if let Some(mask) = masks.get(word(o)) {
                union(&mut memory.bits, mask);
            }
        }
        for (((at, bits), known), absent) in self.few.iter().zip(&mut memory.few).zip(&memory.absent) {
            match o.text(*at) {
                None => union(&mut memory.bits, absent),
                Some(text) => {
                    if known.latest.as_ref().is_none_or(|(latest, _)| latest != text) {
                        known.meet(text, || self.mask_of(bits, Some(text)));
                    }
                    if let Some((_, mask)) = &known.latest {
                        union(&mut memory.bits, mask);
                    }
                }
            }
        }
        for (number, comparisons) in &self.numbers {
            let Some(value) = number(o) else { continue };
            for (bit, comparison) in comparisons {
                if comparison.holds(value) {
                    set(&mut memory.bits, *bit);
                }
            }
        }
        for (flag, [no, yes]) in &self.flags {
            if let Some(value) = flag(o) {
                union(&mut memory.bits, if value { yes } else { no });
            }
        }
    }

    /// The rules that match or may match the bits, in order: their numbers, and whether they certainly do.
    pub fn candidates<'m>(&self, memory: &'m mut Memory) -> impl Iterator<Item = (usize, bool)> + use<'m, '_> {
        memory.candidates.clear();
        let Memory { bits, candidates, .. } = memory;
        let mut check = |conjunctions: &[(usize, Vec<Demand>)]| {
            for (rule, demands) in conjunctions {
                let holds = demands.iter().all(|demand| {
                    let bits = bits.get(demand.word).copied().unwrap_or_default();
                    bits & demand.set == demand.set && bits & demand.unset == 0
                });
                if holds && !candidates.contains(rule) {
                    candidates.push(*rule);
                }
            }
        };
        check(&self.untriggered);
        for (word, (set, triggers)) in bits.iter().zip(&self.triggers).enumerate() {
            let mut set = set & triggers;
            while set != 0 {
                if let Some(conjunctions) = self.by_trigger.get(word * 64 + set.trailing_zeros() as usize) {
                    check(conjunctions);
                }
                set &= set - 1;
            }
        }
        candidates.sort_unstable();
        candidates.iter().map(|rule| (*rule, self.plans.get(*rule).is_some_and(|plan| plan.exact)))
    }

    /// How many rules are decided without a full evaluation.
    #[must_use]
    pub fn exact(&self) -> usize {
        self.plans.iter().filter(|plan| plan.exact).count()
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

    fn plan(&mut self, rule: &CompiledRule) -> Plan {
        let expr = Expr::Or(rule.conditions.iter().map(|condition| self.condition(condition, rule, true)).collect());
        let mut exact = true;
        match normal(&expr, &mut exact) {
            Some(conjunctions) => Plan { exact, conjunctions: conjunctions.iter().filter_map(|literals| demands(literals)).collect() },
            None => Plan { exact: false, conjunctions: vec![Vec::new()] },
        }
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
                Field::Text(at) if !is_many(at) => self.atom(Atom::Text(at, item.clone()), positive),
                _ => Expr::Unknown,
            };
        }
        match field {
            Field::Text(at) if !is_many(at) && alone(&item.matcher) => self.atom(Atom::Text(at, item.clone()), positive),
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

fn is_few(at: usize) -> bool {
    matches!(TEXTS.get(at), Some((_, Texts::Few(_))))
}

fn is_many(at: usize) -> bool {
    !matches!(TEXTS.get(at), Some((_, Texts::Word(..) | Texts::Few(_))))
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
        (None, Some(text)) => item.matcher.matches(&EventValue::Str(Cow::Borrowed(text)), &Nothing),
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
fn normal(expr: &Expr, exact: &mut bool) -> Option<Vec<Vec<(usize, bool)>>> {
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
            let mut all: Vec<Vec<(usize, bool)>> = vec![Vec::new()];
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

/// The demands of one conjunction; `None` when it contradicts itself.
fn demands(literals: &[(usize, bool)]) -> Option<Vec<Demand>> {
    let mut demands: Vec<Demand> = Vec::new();
    for (bit, positive) in literals {
        let (word, mask) = (bit / 64, 1_u64 << (bit % 64));
        let demand = match demands.iter_mut().position(|demand| demand.word == word) {
            Some(at) => demands.get_mut(at)?,
            None => {
                demands.push(Demand { word, set: 0, unset: 0 });
                demands.last_mut()?
            }
        };
        if *positive {
            demand.set |= mask;
        } else {
            demand.unset |= mask;
        }
    }
    demands.iter().all(|demand| demand.set & demand.unset == 0).then_some(demands)
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
