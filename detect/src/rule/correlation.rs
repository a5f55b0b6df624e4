//! Sigma correlation over the matches of other rules: event_count, value_count, temporal and temporal_ordered in a sliding window of
//! event time, grouped by fields. Bounded, and part of the snapshot; order within the allowed lateness does not matter.

use std::collections::{BTreeMap, VecDeque};

use keytrail_schemas::{EventId, Micros, Text};
use rsigma_parser::{ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{
    observation::{Field, Observation},
    raw::record::Record,
};
use crate::ledger::distinct::hash_of;

/// A compiled correlation rule.
#[derive(Debug, Clone)]
pub struct Correlation {
    how: How,
    /// Numbers of the rules that it correlates, in the order of the file.
    pub rules: Vec<usize>,
    /// What groups and counts, for each of them.
    columns: Vec<Columns>,
    span_us: i64,
    predicates: Vec<(ConditionOperator, u64)>,
}

#[derive(Debug, Clone)]
struct Columns {
    group_by: Vec<Column>,
    counted: Vec<Column>,
}

/// A field of what a rule judges.
#[derive(Debug, Clone)]
pub enum Column {
    /// Of the observation.
    Own(Field),
    /// Of the raw record, by the name that it has in each format.
    Raw(BTreeMap<&'static str, String>),
}

impl Column {
    fn value(&self, o: &Observation<'_>, record: Option<&Record<'_>>) -> Option<u64> {
        match self {
            Self::Own(field) => Some(hash_of(&o.value(*field)?.as_str()?.as_ref())),
            Self::Raw(names) => Some(hash_of(&record?.text(names.get(o.event.format.as_str())?)?.as_str())),
        }
    }
}

/// Finds the column of a field's name.
pub type Find<'a> = Box<dyn Fn(&str) -> Option<Column> + 'a>;

/// A rule that is correlated: its number, and what its fields are.
pub struct Place<'a> {
    /// Its number in the set.
    pub number: usize,
    /// The column of a field's name.
    pub column: Find<'a>,
}

#[derive(Debug, Clone)]
enum How {
    Events,
    Values,
    Together,
    InOrder,
}

impl Correlation {
    /// Compiles `rule`, whose rules are found by `find`.
    ///
    /// # Errors
    /// What is not supported, or not found, in words.
    pub fn new<'a>(rule: &CorrelationRule, find: impl Fn(&str) -> Option<Place<'a>>, events_max: usize) -> Result<Self, String> {
        if rule.window != WindowMode::Sliding {
            return Err("only sliding windows are supported".to_owned());
        }
        let CorrelationCondition::Threshold { predicates, field: counted, .. } = &rule.condition else {
            return Err("conditions over rule names are not supported: give a count".to_owned());
        };
        let mut predicates = predicates.clone();
        let how = match rule.correlation_type {
            CorrelationType::EventCount => How::Events,
            CorrelationType::ValueCount => How::Values,
            CorrelationType::Temporal | CorrelationType::TemporalOrdered => {
                // Without a condition the parser gives "at least one"; Sigma means all.
                if predicates == [(ConditionOperator::Gte, 1)] {
                    predicates = vec![(ConditionOperator::Gte, rule.rules.len() as u64)];
                }
                if matches!(rule.correlation_type, CorrelationType::Temporal) { How::Together } else { How::InOrder }
            }
            other => return Err(format!("correlation type {} is not supported", other.as_str())),
        };
        let counted = match (&how, counted) {
            (How::Values, None) => return Err("value_count needs condition.field".to_owned()),
            (How::Values, Some(counted)) => counted.as_slice(),
            _ => &[],
        };
        if rule.rules.is_empty() {
            return Err("it correlates no rules".to_owned());
        }
        if predicates.iter().any(|(_, n)| *n > events_max as u64) {
            return Err(format!("it counts to more than {events_max}, the bound on events kept"));
        }
        if !predicates
            .iter()
            .any(|(operator, n)| matches!(operator, ConditionOperator::Gte | ConditionOperator::Eq) && *n >= 1 || matches!(operator, ConditionOperator::Gt))
        {
            return Err("the condition must say how many at least".to_owned());
        }
        let (mut rules, mut columns) = (Vec::new(), Vec::new());
        for name in &rule.rules {
            let place = find(name).ok_or_else(|| format!("it correlates the rule {name:?}, which is not there"))?;
            let column = |field: &String| {
                let alias = rule.aliases.iter().find(|alias| alias.alias == *field).and_then(|alias| alias.mapping.get(name));
                let field = alias.unwrap_or(field);
                (place.column)(field).ok_or_else(|| format!("no field is called {field:?}"))
            };
            let all = |fields: &[String]| fields.iter().map(column).collect::<Result<Vec<_>, _>>();
            columns.push(Columns { group_by: all(&rule.group_by)?, counted: all(counted)? });
            rules.push(place.number);
        }
        let span_us = i64::try_from(rule.timespan.seconds).unwrap_or(i64::MAX).saturating_mul(Micros::SECOND);
        Ok(Self { how, rules, columns, span_us, predicates })
    }

    /// The names that it asks raw records for.
    pub fn raw_names(&self) -> impl Iterator<Item = &String> {
        self.columns
            .iter()
            .flat_map(|columns| columns.group_by.iter().chain(&columns.counted))
            .flat_map(|column| match column {
                Column::Own(_) => None,
                Column::Raw(names) => Some(names.values()),
            })
            .flatten()
    }

    /// The group of an observation, and the value that is counted; `None` when a field is empty.
    fn group(&self, place: usize, o: &Observation<'_>, record: Option<&Record<'_>>) -> Option<(u64, u64)> {
        let columns = self.columns.get(place)?;
        let of = |columns: &[Column]| columns.iter().try_fold(0_u64, |all, column| Some(hash_of(&(all, column.value(o, record)?))));
        let value = match &self.how {
            // An event is one; but one record that gave several events is one.
            How::Events => record.map_or(0, |record| hash_of(&record.raw)),
            How::Values => of(&columns.counted)?,
            How::Together | How::InOrder => place as u64,
        };
        Some((of(&columns.group_by)?, value))
    }

    fn holds(&self, count: u64) -> bool {
        self.predicates.iter().all(|(operator, n)| match operator {
            ConditionOperator::Lt => count < *n,
            ConditionOperator::Lte => count <= *n,
            ConditionOperator::Gt => count > *n,
            ConditionOperator::Gte => count >= *n,
            ConditionOperator::Eq => count == *n,
            ConditionOperator::Neq => count != *n,
        })
    }
}

/// The open groups of all correlation rules.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Groups {
    by_rule: BTreeMap<Text, ByGroup>,
    len: usize,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct ByGroup(#[serde(with = "crate::sorted::map")] FxHashMap<u64, Group>);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Group {
    last: Micros,
    entries: VecDeque<Entry>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Entry {
    time: Micros,
    /// What is counted: a value's hash, or the place of the rule.
    value: u64,
    event: EventId,
}

/// Bounds on groups.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Groups over all rules.
    pub groups_max: usize,
    /// Events per group.
    pub events_max: usize,
}

impl Groups {
    /// Takes a match of the rule at place `rule` of `correlation`, called `id`. When the condition holds: the count, and the events.
    pub fn observe(
        &mut self,
        id: &Text,
        correlation: &Correlation,
        place: usize,
        o: &Observation<'_>,
        record: Option<&Record<'_>>,
        bounds: Bounds,
    ) -> Option<(u64, Vec<EventId>)> {
        let (key, value) = correlation.group(place, o, record)?;
        let time = o.event.time;
        if !self.by_rule.contains_key(id) {
            self.by_rule.insert(id.clone(), ByGroup::default());
        }
        if !self.by_rule.get(id)?.0.contains_key(&key) {
            if self.len >= bounds.groups_max {
                self.evict();
            }
            self.len += 1;
        }
        let group = self.by_rule.get_mut(id)?.0.entry(key).or_default();
        group.last = group.last.max(time);
        let from = Micros(group.last.0.saturating_sub(correlation.span_us));
        if time <= from {
            return None;
        }
        group.entries.retain(|entry| entry.time > from);
        let entry = Entry { time, value, event: o.event.event_id };
        let repeated = match correlation.how {
            How::Values | How::Together => group.entries.iter_mut().find(|entry| entry.value == value),
            How::Events if value != 0 => group.entries.iter_mut().find(|entry| entry.value == value),
            How::Events | How::InOrder => None,
        };
        match repeated {
            Some(known) if known.time < time => *known = entry,
            Some(_) => {}
            None => {
                if group.entries.len() >= bounds.events_max {
                    group.entries.pop_front();
                }
                let at = group.entries.partition_point(|entry| entry.time <= time);
                group.entries.insert(at, entry);
            }
        }
        let count = match correlation.how {
            How::InOrder => in_order(&group.entries),
            _ => group.entries.len() as u64,
        };
        correlation.holds(count).then(|| (count, group.entries.iter().map(|entry| entry.event).collect()))
    }

    fn evict(&mut self) {
        let mut times: Vec<Micros> = self.by_rule.values().flat_map(|groups| groups.0.values()).map(|group| group.last).collect();
        let at = (times.len() / 16).min(times.len().saturating_sub(1));
        if times.is_empty() {
            return;
        }
        let (_, cut, _) = times.select_nth_unstable(at);
        let cut = *cut;
        for groups in self.by_rule.values_mut() {
            groups.0.retain(|_, group| group.last > cut);
        }
        self.len = self.by_rule.values().map(|groups| groups.0.len()).sum();
    }
}

/// How many rules, from the first on, were matched one after the other.
fn in_order(entries: &VecDeque<Entry>) -> u64 {
    let mut next = 0;
    for entry in entries {
        next += u64::from(entry.value == next);
    }
    next
}
