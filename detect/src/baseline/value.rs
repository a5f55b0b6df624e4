//! Names to small numbers, within bounds. A raw name is an *alias* of a value; a value is a generalised name, and remembers whether
//! machines and people know it. Numbers are given out once and never again, so that a forgotten value cannot be taken for another.

mod kept;

use keytrail_schemas::Text;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

pub(crate) use self::kept::{Aliases, AliasesRef, Valued, ValuedRef};
use super::config::Config;
use super::facet::{Facet, PerFacet};
use super::generalise::{Shape, generalise};

/// A name, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The value that is compared.
    pub value: u32,
    /// The value that it becomes if its numbers prove ephemeral: learned beside it. Equal to `value` where there is none.
    pub template: u32,
}

/// What a name resolved to when it was looked at ahead.
#[derive(Debug, Clone, Copy)]
pub struct Peeked {
    resolved: Resolved,
    day: u32,
    standing: (u32, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Alias {
    resolved: Resolved,
    day: u32,
    epoch: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Value {
    facet: Facet,
    name: Text,
    day: u32,
    /// Bit per [`Side`].
    known_to: u8,
}

/// Machines and people learn apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Side {
    /// Every kind of identity but people.
    Machine = 0,
    /// People.
    Human = 1,
}

/// The values of one partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Values {
    /// In a snapshot they are pieces of their own: [`kept`].
    #[serde(skip)]
    aliases: PerFacet<Names<Alias>>,
    /// In no snapshot: the values have their names.
    #[serde(skip)]
    numbers: PerFacet<Names<u32>>,
    #[serde(skip)]
    values: FxHashMap<u32, Value>,
    #[serde(with = "crate::sorted::map")]
    shapes: FxHashMap<u32, Shape>,
    /// Rises when a template turns ephemeral: aliases of an earlier epoch are resolved anew.
    epoch: u32,
    next: u32,
    /// Rises when names are forgotten: what was resolved before may be another value now.
    #[serde(skip)]
    forgotten: u32,
    #[serde(skip)]
    general: String,
    #[serde(skip)]
    template: String,
}

#[derive(Debug, Clone)]
struct Names<T>(FxHashMap<Text, T>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl Values {
    /// The value of `name`, on `day` (days since 1970). Nothing is allocated for a name met before on the same day.
    #[inline]
    pub fn resolve(&mut self, facet: Facet, name: &str, day: u32, config: &Config) -> Resolved {
        if let Some(alias) = self.aliases.of(facet).and_then(|names| names.0.get(name))
            && alias.day >= day
            && (alias.epoch == self.epoch || !is_learned(facet))
        {
            return alias.resolved;
        }
        self.resolve_anew(facet, name, day, config)
    }

    /// What a name resolves to as far as it was met, to be held against the time at which it is asked for ([`Values::resolve_peeked`]).
    #[inline]
    #[must_use]
    pub fn peek(&self, facet: Facet, name: &str) -> Option<Peeked> {
        let alias = self.aliases.of(facet)?.0.get(name).filter(|alias| alias.epoch == self.epoch)?;
        Some(Peeked { resolved: alias.resolved, day: alias.day, standing: self.standing() })
    }

    /// As [`Values::resolve`], where the name was peeked at before.
    #[inline]
    pub fn resolve_peeked(&mut self, facet: Facet, name: &str, peeked: Option<Peeked>, day: u32, config: &Config) -> Resolved {
        match peeked {
            Some(peeked) if peeked.day >= day && peeked.standing == self.standing() => peeked.resolved,
            _ => self.resolve(facet, name, day, config),
        }
    }

    /// As long as it is equal, a name resolved before on the same day, or a later one, resolves to the same value.
    #[inline]
    #[must_use]
    pub const fn standing(&self) -> (u32, u32) {
        (self.epoch, self.forgotten)
    }

    /// The name behind a number, while it is remembered.
    #[must_use]
    pub fn name(&self, value: u32) -> Option<&Text> {
        self.values.get(&value).map(|value| &value.name)
    }

    /// Whether anyone of `side` has learned the value.
    #[must_use]
    pub fn is_known_to(&self, value: u32, side: Side) -> bool {
        self.values.get(&value).is_some_and(|value| value.known_to & (1 << side as u8) != 0)
    }

    /// Someone of `side` has learned the value.
    pub fn learn(&mut self, value: u32, side: Side) {
        if let Some(value) = self.values.get_mut(&value) {
            value.known_to |= 1 << side as u8;
        }
    }

    #[cold]
    fn resolve_anew(&mut self, facet: Facet, name: &str, day: u32, config: &Config) -> Resolved {
        let name = clip(name, config.name_bytes_max);
        let before = self.aliases.of(facet).and_then(|names| names.0.get(name)).copied();
        if let Some(alias) = before.filter(|alias| alias.epoch == self.epoch) {
            if alias.day < day {
                self.met_again(facet, name, alias.resolved, day);
            }
            return alias.resolved;
        }
        if let Some(alias) = before.filter(|alias| self.still_stands(facet, alias.resolved)) {
            self.renew(facet, name, alias.resolved, day);
            return alias.resolved;
        }
        let (mut general, mut template) = (std::mem::take(&mut self.general), std::mem::take(&mut self.template));
        if is_generalised(facet) {
            generalise(name, &mut general, &mut template);
        } else {
            general.clear();
            general.push_str(name);
        }
        let resolved = if is_learned(facet) && general != template {
            let template = self.number(facet, &template, day, config);
            let shape = self.shapes.entry(template).or_default();
            let turned = before.is_none() && shape.name(day);
            let ephemeral = shape.ephemeral;
            self.epoch += u32::from(turned);
            if ephemeral { Resolved { value: template, template } } else { Resolved { value: self.number(facet, &general, day, config), template } }
        } else {
            let value = self.number(facet, &general, day, config);
            Resolved { value, template: value }
        };
        (self.general, self.template) = (general, template);
        let alias = Alias { resolved, day: before.map_or(day, |alias| alias.day.max(day)), epoch: self.epoch };
        if let Some(names) = self.aliases.of_mut(facet) {
            names.0.insert(Text::from(name), alias);
            if names.0.len() > config.aliases_max.max(4) {
                self.forgotten = self.forgotten.wrapping_add(1);
                drop_oldest(&mut names.0, 4, |alias| alias.day);
            }
        }
        resolved
    }

    /// Whether what a name resolved to in an earlier epoch is what it would resolve to now: its template did not turn ephemeral since.
    fn still_stands(&self, facet: Facet, resolved: Resolved) -> bool {
        !is_learned(facet) || resolved.value == resolved.template || self.shapes.get(&resolved.template).is_some_and(|shape| !shape.ephemeral)
    }

    /// A name of an earlier epoch that resolves to what it did.
    fn renew(&mut self, facet: Facet, name: &str, resolved: Resolved, day: u32) {
        let epoch = self.epoch;
        if let Some(alias) = self.aliases.of_mut(facet).and_then(|names| names.0.get_mut(name)) {
            *alias = Alias { resolved, day: alias.day.max(day), epoch };
        }
        for number in [resolved.template, resolved.value] {
            if let Some(value) = self.values.get_mut(&number) {
                value.day = value.day.max(day);
            }
        }
    }

    /// A name met before, on a later day: it came back, and its value is fresh.
    fn met_again(&mut self, facet: Facet, name: &str, resolved: Resolved, day: u32) {
        if let Some(alias) = self.aliases.of_mut(facet).and_then(|names| names.0.get_mut(name)) {
            alias.day = day;
        }
        for number in [resolved.value, resolved.template] {
            if let Some(value) = self.values.get_mut(&number) {
                value.day = value.day.max(day);
            }
        }
        if resolved.value != resolved.template
            && let Some(shape) = self.shapes.get_mut(&resolved.template)
        {
            shape.returns = shape.returns.saturating_add(1);
        }
    }

    fn number(&mut self, facet: Facet, name: &str, day: u32, config: &Config) -> u32 {
        if let Some(&number) = self.numbers.of(facet).and_then(|names| names.0.get(name)) {
            if let Some(value) = self.values.get_mut(&number) {
                value.day = value.day.max(day);
            }
            return number;
        }
        self.next += 1;
        let number = self.next;
        if let Some(names) = self.numbers.of_mut(facet) {
            names.0.insert(Text::from(name), number);
        }
        self.values.insert(number, Value { facet, name: Text::from(name), day, known_to: 0 });
        if self.values.len() > config.values_max.max(16) {
            self.forget_oldest(number);
        }
        number
    }

    /// Forgets the eighth of the values that was met longest ago, but not `kept`, and every alias of theirs.
    #[cold]
    fn forget_oldest(&mut self, kept: u32) {
        self.forgotten = self.forgotten.wrapping_add(1);
        let mut ages: Vec<(u32, u32)> = self.values.iter().filter(|(number, _)| **number != kept).map(|(number, value)| (value.day, *number)).collect();
        let part = ages.len() / 8 + 1;
        for &(_, number) in least(&mut ages, part) {
            if let Some(value) = self.values.remove(&number)
                && let Some(names) = self.numbers.of_mut(value.facet)
            {
                names.0.remove(&value.name);
            }
            self.shapes.remove(&number);
        }
        let values = &self.values;
        for (_, names) in self.aliases.iter_mut() {
            names.0.retain(|_, alias| values.contains_key(&alias.resolved.value) && values.contains_key(&alias.resolved.template));
        }
    }
}

/// Drops the part of `names` that was met longest ago, by (day, name).
#[cold]
pub fn drop_oldest<T>(names: &mut FxHashMap<Text, T>, part: usize, day: impl Fn(&T) -> u32) {
    let mut ages: Vec<(u32, &Text)> = names.iter().map(|(name, value)| (day(value), name)).collect();
    let part = ages.len() / part;
    let oldest: Vec<Text> = least(&mut ages, part).iter().map(|(_, name)| (*name).clone()).collect();
    for name in oldest {
        names.remove(&name);
    }
}

/// The `part` least of `items`, in no order.
pub fn least<T: Ord>(items: &mut [T], part: usize) -> &[T] {
    if part < items.len() {
        items.select_nth_unstable(part);
    }
    items.get(..part.min(items.len())).unwrap_or_default()
}

/// Whether random parts are left out.
const fn is_generalised(facet: Facet) -> bool {
    matches!(facet, Facet::Destination | Facet::Secret | Facet::Action | Facet::Host | Facet::UserAgent | Facet::Failure)
}

/// Whether numbers may prove ephemeral.
const fn is_learned(facet: Facet) -> bool {
    matches!(facet, Facet::Destination | Facet::Secret | Facet::UserAgent)
}

/// At most `bytes_max` bytes of `name`, whole characters.
#[must_use]
pub fn clip(name: &str, bytes_max: usize) -> &str {
    if name.len() <= bytes_max {
        return name;
    }
    let end = (0..=bytes_max).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_many_names() {
        let (mut values, config) = (Values::default(), Config::default());
        let a = values.resolve(Facet::Destination, "task/2f1c9a7be0d14c1f", 1, &config);
        let b = values.resolve(Facet::Destination, "task/9e0d14c1f2f1c9a7", 1, &config);
        assert_eq!(a, b);
        assert_eq!(values.name(a.value).unwrap(), "task/*");
        assert_ne!(values.resolve(Facet::Action, "task/2f1c9a7be0d14c1f", 1, &config).value, a.value);
    }

    #[test]
    fn numbers_that_never_come_back_become_one_value() {
        let (mut values, config) = (Values::default(), Config::default());
        let first = values.resolve(Facet::Destination, "build-100", 0, &config);
        assert_ne!(first.value, first.template);
        for i in 1..60 {
            values.resolve(Facet::Destination, &format!("build-{}", 100 + i), i / 8, &config);
        }
        let late = values.resolve(Facet::Destination, "build-999", 9, &config);
        assert_eq!((late.value, late.template), (first.template, first.template));
        assert_eq!(values.resolve(Facet::Destination, "build-100", 9, &config).value, first.template, "also a name met before");
    }

    #[test]
    fn the_tables_stay_within_their_bounds() {
        let config = Config { values_max: 100, aliases_max: 80, ..Config::default() };
        let mut values = Values::default();
        let old = values.resolve(Facet::UserAgent, "curl", 0, &config).value;
        for i in 0..1_000_u32 {
            let name: String = format!("agent {}", i).chars().map(|c| c.to_digit(10).map_or(c, |d| char::from(b'a' + d as u8))).collect();
            values.resolve(Facet::UserAgent, &name, 1 + i / 100, &config);
        }
        assert!(values.values.len() <= 100);
        assert!(values.aliases.of(Facet::UserAgent).unwrap().0.len() <= 80);
        assert!(values.name(old).is_none());
        assert_ne!(values.resolve(Facet::UserAgent, "curl", 20, &config).value, old, "a number is never used again");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("aé", 3), "aé");
    }
}
