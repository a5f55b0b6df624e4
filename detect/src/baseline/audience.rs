//! The destination's side of a touch: who visits it, and how often it meets a new visitor. A bucket that twelve services have used for
//! months and nobody else is surprised by a thirteenth; a new bucket is not, and neither is one that meets someone new every hour.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::rate::{Class, Own, Tally, maturity};
use super::value::least;

/// Words of the Bloom filter: 2,048 bits, two of them per visitor (Bloom, CACM 13, 1970).
const SKETCH_WORDS: usize = 32;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Audience {
    /// Visits, counted by windows of visitors.
    windows: u32,
    own: Own,
    /// Sorted; at most `visitors_max`.
    visitors: Vec<u32>,
    /// Empty until the visitors are too many.
    sketch: Vec<u64>,
    met: u32,
}

/// The audiences of one side, machines or people.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Audiences {
    #[serde(with = "crate::sorted::map")]
    destinations: FxHashMap<u32, Audience>,
    tally: Tally,
}

/// What a destination says of a visitor it does not know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stranger {
    /// How often it meets a new visitor, per window of a visitor.
    pub rate: f64,
    /// Visitors it knows, at least.
    pub visitors: usize,
    /// Windows of visitors that it was learned from.
    pub windows: u32,
}

impl Audiences {
    /// What `destination` says of `visitor`; `None` when it has no audience or knows the visitor.
    #[must_use]
    pub fn stranger(&self, destination: u32, visitor: u32) -> Option<Stranger> {
        let audience = self.destinations.get(&destination)?;
        if audience.knows(visitor) {
            return None;
        }
        let pooled = self.tally.rate(Class::Identity, audience.quiet());
        Some(Stranger { rate: audience.own.rate(Class::Identity, pooled), visitors: audience.visitors.len(), windows: audience.windows })
    }

    /// A window of `visitor` that touched `destination` has closed.
    pub fn learn(&mut self, destination: u32, visitor: u32, hour: u32, config: &Config) {
        if !self.destinations.contains_key(&destination) && self.destinations.len() >= config.audiences_max.max(8) {
            self.forget_oldest();
        }
        let audience = self.destinations.entry(destination).or_default();
        let class = audience.quiet();
        let met = (!audience.admit(visitor, config.visitors_max)).then_some(Class::Identity);
        if audience.windows > 0 {
            self.tally.learn(class, met);
            audience.own.learn(met, hour / 24);
        }
        audience.windows = audience.windows.saturating_add(1);
        audience.met = audience.met.max(hour);
    }

    /// `visitor` is no more: its place in small audiences is given up.
    pub fn forget(&mut self, destination: u32, visitor: u32) {
        if let Some(audience) = self.destinations.get_mut(&destination)
            && let Ok(at) = audience.visitors.binary_search(&visitor)
        {
            audience.visitors.remove(at);
        }
    }

    #[cold]
    fn forget_oldest(&mut self) {
        let mut ages: Vec<(u32, u32)> = self.destinations.iter().map(|(number, audience)| (audience.met, *number)).collect();
        let part = ages.len() / 8 + 1;
        for (_, number) in least(&mut ages, part) {
            self.destinations.remove(number);
        }
    }
}

impl Audience {
    /// The class of quiet: log2 of the visits since a new visitor came.
    fn quiet(&self) -> usize {
        maturity(self.windows.min(self.own.quiet().saturating_add(1)))
    }

    fn knows(&self, visitor: u32) -> bool {
        self.visitors.binary_search(&visitor).is_ok()
            || (!self.sketch.is_empty() && bits(visitor).into_iter().all(|(word, bit)| self.sketch.get(word).is_some_and(|w| w & bit != 0)))
    }

    /// Takes a visitor in. True when it was known.
    fn admit(&mut self, visitor: u32, visitors_max: usize) -> bool {
        if self.knows(visitor) {
            return true;
        }
        if self.visitors.len() < visitors_max {
            let at = self.visitors.partition_point(|v| *v < visitor);
            self.visitors.insert(at, visitor);
            return false;
        }
        self.sketch.resize(SKETCH_WORDS, 0);
        for (word, bit) in bits(visitor) {
            if let Some(w) = self.sketch.get_mut(word) {
                *w |= bit;
            }
        }
        false
    }
}

/// Two bits per visitor, by Fibonacci hashing (Knuth, TAOCP 3, 6.4).
fn bits(visitor: u32) -> [(usize, u64); 2] {
    let hash = (u64::from(visitor) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [hash >> 53, (hash >> 42) & 2_047].map(|bit| ((bit / 64) as usize, 1 << (bit % 64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::rate::excess;

    #[test]
    fn a_stable_audience_is_surprised_and_a_new_one_is_not() {
        let (mut audiences, config) = (Audiences::default(), Config::default());
        for window in 0..500 {
            for destination in 0..10 {
                for visitor in 0..3 {
                    audiences.learn(destination, destination * 3 + visitor, window, &config);
                }
            }
            // A public place meets someone new each time.
            audiences.learn(99, 1_000 + window, window, &config);
        }
        let neighbour = audiences.stranger(4, 700).unwrap();
        assert!(excess(neighbour.rate) > 2.5, "{neighbour:?}");
        assert_eq!(excess(audiences.stranger(99, 7).unwrap().rate), 0.0);
        assert_eq!(audiences.stranger(4, 13), None, "a visitor of old");
        assert_eq!(audiences.stranger(1_234, 13), None, "no audience yet");
    }

    #[test]
    fn beyond_the_cap_a_sketch_remembers() {
        let (mut audiences, config) = (Audiences::default(), Config::default());
        (0..200).for_each(|visitor| audiences.learn(1, visitor, 1, &config));
        assert!((0..200).all(|visitor| audiences.stranger(1, visitor).is_none()));
        let mistaken = (1_000..2_000).filter(|&visitor| audiences.stranger(1, visitor).is_none()).count();
        assert!(mistaken < 60, "{mistaken}");
    }
}
