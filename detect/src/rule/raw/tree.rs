//! A detection rule in the form that is evaluated: its conditions as one tree whose leaves know the number of their field.
//!
//! The matchers are rsigma's. Two things are said differently here, both by choice: a field that holds an object or a list is also
//! compared as its JSON text, as the backends that Sigma rules are written for do (`requestParameters|contains`); and rsigma's own
//! extension of quantified list members is left to rsigma, on the whole record.

use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher, CompiledRule, EventValue, matcher::ExpandPart};
use rsigma_parser::{ConditionExpr, Quantifier};
use rustc_hash::FxHashMap;

use super::{super::matching, record::Record, walk::Slot};

/// A condition.
#[derive(Debug)]
pub enum Node {
    /// All hold.
    All(Vec<Node>),
    /// At least so many hold.
    Some(u64, Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// A comparison.
    Leaf(Leaf),
}

/// A comparison with one field, or with every text of the record.
#[derive(Debug)]
pub struct Leaf {
    /// The field; `None` for keywords.
    pub slot: Option<Slot>,
    /// What it must be.
    pub matcher: CompiledMatcher,
    /// Whether it must exist, where only that is asked.
    pub exists: Option<bool>,
}

/// Numbers for the names of fields.
pub type Slots = FxHashMap<String, Slot>;

/// Compiles a rule; `None` when it needs the whole record (list quantifiers, positions in lists).
#[must_use]
pub fn compile(rule: &CompiledRule, slots: &mut Slots) -> Option<Node> {
    let any = rule.conditions.iter().map(|condition| expression(condition, rule, slots)).collect::<Option<Vec<_>>>()?;
    Some(Node::Some(1, any))
}

/// The number of a field, given out when it is new; `None` for a path with positions.
pub fn slot(name: &str, slots: &mut Slots) -> Option<Slot> {
    if name.contains(['[', '\\']) {
        return None;
    }
    let next = Slot::try_from(slots.len()).ok()?;
    Some(*slots.entry(name.to_owned()).or_insert(next))
}

fn expression(condition: &ConditionExpr, rule: &CompiledRule, slots: &mut Slots) -> Option<Node> {
    let mut each = |parts: &[ConditionExpr]| parts.iter().map(|part| expression(part, rule, slots)).collect::<Option<Vec<_>>>();
    Some(match condition {
        ConditionExpr::And(parts) => Node::All(each(parts)?),
        ConditionExpr::Or(parts) => Node::Some(1, each(parts)?),
        ConditionExpr::Not(part) => Node::Not(Box::new(expression(part, rule, slots)?)),
        ConditionExpr::Identifier(name) => match rule.detections.get(name) {
            Some(detection) => node(detection, slots)?,
            None => Node::Some(1, Vec::new()),
        },
        ConditionExpr::Selector { quantifier, pattern } => {
            let mut names: Vec<&String> = rule.detections.keys().filter(|name| pattern.matches_detection_name(name)).collect();
            names.sort_unstable();
            let parts = names.into_iter().filter_map(|name| rule.detections.get(name)).map(|part| node(part, slots)).collect::<Option<Vec<_>>>()?;
            match quantifier {
                Quantifier::Any => Node::Some(1, parts),
                Quantifier::All => Node::All(parts),
                Quantifier::Count(n) => Node::Some(*n, parts),
            }
        }
    })
}

fn node(detection: &CompiledDetection, slots: &mut Slots) -> Option<Node> {
    Some(match detection {
        CompiledDetection::AllOf(items) => Node::All(items.iter().map(|item| leaf(item, slots)).collect::<Option<Vec<_>>>()?),
        CompiledDetection::AnyOf(parts) => Node::Some(1, parts.iter().map(|part| node(part, slots)).collect::<Option<Vec<_>>>()?),
        CompiledDetection::And(parts) => Node::All(parts.iter().map(|part| node(part, slots)).collect::<Option<Vec<_>>>()?),
        CompiledDetection::Keywords(matcher) => Node::Leaf(Leaf { slot: None, matcher: matcher.clone(), exists: None }),
        CompiledDetection::ArrayMatch { .. } | CompiledDetection::Conditional { .. } => return None,
    })
}

fn leaf(item: &CompiledDetectionItem, slots: &mut Slots) -> Option<Node> {
    let number = match &item.field {
        Some(name) => Some(slot(name, slots)?),
        None => None,
    };
    others(&item.matcher, slots)?;
    Some(Node::Leaf(Leaf { slot: number, matcher: item.matcher.clone(), exists: item.exists }))
}

/// Numbers the fields that a matcher compares with.
fn others(matcher: &CompiledMatcher, slots: &mut Slots) -> Option<()> {
    match matcher {
        CompiledMatcher::FieldRef { field, .. } => slot(field, slots).map(|_| ()),
        CompiledMatcher::Expand { template, .. } => template.iter().try_for_each(|part| match part {
            ExpandPart::Placeholder(name) => slot(name, slots).map(|_| ()),
            ExpandPart::Literal(_) => Some(()),
        }),
        CompiledMatcher::Not(inner) | CompiledMatcher::TimestampPart { inner, .. } => others(inner, slots),
        CompiledMatcher::AnyOf(parts) | CompiledMatcher::AllOf(parts) => parts.iter().try_for_each(|part| others(part, slots)),
        _ => Some(()),
    }
}

impl Node {
    /// Whether it holds for a record.
    #[must_use]
    pub fn holds(&self, record: &Record<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Some(1, parts) => parts.iter().any(|part| part.holds(record)),
            Self::Some(n, parts) => parts.iter().filter(|part| part.holds(record)).count() as u64 >= *n,
            Self::Not(part) => !part.holds(record),
            Self::Leaf(leaf) => leaf.holds(record),
        }
    }
}

impl Leaf {
    fn holds(&self, record: &Record<'_>) -> bool {
        let Some(slot) = self.slot else {
            return match self.exists {
                Some(expected) => !expected,
                None => self.matcher.matches_keyword(record),
            };
        };
        let value = record.value(slot);
        if let Some(expected) = self.exists {
            return value.is_some_and(|value| !value.is_null()) == expected;
        }
        match value {
            None => matches!(self.matcher, CompiledMatcher::Null),
            Some(value) => matching::holds(&self.matcher, &value, record) || self.matches_json(slot, record),
        }
    }

    fn matches_json(&self, slot: Slot, record: &Record<'_>) -> bool {
        is_of_text(&self.matcher) && record.containers(slot).any(|json| self.matcher.matches(&EventValue::Str(json.into()), record))
    }
}

/// Whether a matcher compares texts and nothing else.
pub fn is_of_text(matcher: &CompiledMatcher) -> bool {
    match matcher {
        CompiledMatcher::Exact { .. }
        | CompiledMatcher::Contains { .. }
        | CompiledMatcher::StartsWith { .. }
        | CompiledMatcher::EndsWith { .. }
        | CompiledMatcher::Regex(_)
        | CompiledMatcher::AhoCorasickSet { .. }
        | CompiledMatcher::RegexSetMatch { .. }
        | CompiledMatcher::CaseInsensitiveGroup { .. } => true,
        CompiledMatcher::AnyOf(parts) | CompiledMatcher::AllOf(parts) => parts.iter().all(is_of_text),
        _ => false,
    }
}
