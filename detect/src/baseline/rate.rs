//! How often does a window meet something new? Rates, learned: pooled by quiet over the estate, then over the peer group, then
//! shrunk towards the identity's own decaying record.
//!
//! *Quiet* is for how long nothing new was met. Peers are not alike: a few meet another reply queue each hour, most none in a year, and a rate of them all is neither's.
//! How long it has been since the last time tells them apart without asking who they are, and grows with maturity, which it never exceeds.
//!
//! Beta–binomial shrinkage (Gelman et al., *Bayesian Data Analysis*, 3rd ed., 5.3) along a chain. From one maturity to the next the
//! prior is worth half a hit, so that without hits 1/p adds up to twice the windows seen (Jeffreys), and nothing is counted twice.

use serde::{Deserialize, Serialize};

/// Classes of maturity: log2 of windows seen, the last one open.
pub const MATURITIES: usize = 16;
/// A tally is halved when a class holds this many windows, so that an estate may change.
const WINDOWS_MAX: u32 = 1 << 20;
/// Pseudo-hits that carry an estimate from one maturity to the next.
const CARRIED_HITS: f64 = 0.5;
/// Windows of an identity's own record that weigh as much as its group.
const GROUP_WEIGHT: f64 = 10.0;
/// What an identity's own record keeps from one window to the next: fifty windows of memory.
const OWN_DECAY: f32 = 0.98;
/// The rarest rate that is ever stated.
const RATE_MIN: f64 = 1e-9;

/// log2 of windows seen, bounded.
#[must_use]
pub fn maturity(windows: u32) -> usize {
    (windows.checked_ilog2().map_or(0, |log| log + 1) as usize).min(MATURITIES - 1)
}

/// How new what a window met was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// New to the identity, whoever else knows it.
    Identity,
    /// New to everyone. A window that met such a value also counts as one that met a value new to the identity.
    Everyone,
}

/// −log10 p in excess of the median of a uniform p: what p contributes to the total.
#[must_use]
pub fn excess(p: f64) -> f64 {
    (-p.max(1e-300).log10() - std::f64::consts::LOG10_2).max(0.0)
}

/// Windows, and those that met something new, by maturity.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    windows: [u32; MATURITIES],
    new_to_identity: [u32; MATURITIES],
    new_to_everyone: [u32; MATURITIES],
}

impl Tally {
    /// Takes one window of an identity of that maturity.
    pub fn learn(&mut self, maturity: usize, met: Option<Class>) {
        let (Some(windows), Some(identity), Some(everyone)) =
            (self.windows.get_mut(maturity), self.new_to_identity.get_mut(maturity), self.new_to_everyone.get_mut(maturity))
        else {
            return;
        };
        *windows += 1;
        *identity += u32::from(met.is_some());
        *everyone += u32::from(met == Some(Class::Everyone));
        if *windows >= WINDOWS_MAX {
            *windows /= 2;
            *identity /= 2;
            *everyone /= 2;
        }
    }

    fn cells(&self, class: Class) -> impl Iterator<Item = (f64, f64)> {
        let hits = match class {
            Class::Identity => &self.new_to_identity,
            Class::Everyone => &self.new_to_everyone,
        };
        self.windows.iter().zip(hits).map(|(&n, &h)| (f64::from(n), f64::from(h)))
    }

    /// The rate at `maturity`, from this tally alone: the estate's.
    #[must_use]
    pub fn rate(&self, class: Class, maturity: usize) -> f64 {
        self.cells(class).take(maturity + 1).fold(0.5, |prior, (n, hits)| carry(prior, n, hits))
    }

    /// The rate at `maturity` of a group within `estate`: where the group has no windows of its own it declines with age as the
    /// estate does.
    #[must_use]
    pub fn rate_within(&self, estate: &Self, class: Class, maturity: usize) -> f64 {
        let mut estate_before = None;
        let mut estate_rate = 0.5;
        let mut rate = 0.5;
        for ((n, hits), (estate_n, estate_hits)) in self.cells(class).zip(estate.cells(class)).take(maturity + 1) {
            estate_rate = carry(estate_rate, estate_n, estate_hits);
            let prior = estate_before.map_or(estate_rate, |before: f64| rate * (estate_rate / before).min(1.0));
            rate = carry(prior, n, hits);
            estate_before = Some(estate_rate);
        }
        rate
    }

    /// Windows learned, over every maturity.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.windows.iter().map(|&n| u64::from(n)).sum()
    }
}

/// The rate after `hits` in `n` windows, where `prior` was the rate at the maturity before. Where hits are many they speak alone.
fn carry(prior: f64, n: f64, hits: f64) -> f64 {
    let carried = (hits + CARRIED_HITS) / (n + CARRIED_HITS / prior.max(RATE_MIN));
    carried.max((hits - 1.0) / (n + 1.0)).clamp(RATE_MIN, 1.0)
}

/// An identity's own record of one facet: a decaying number of windows, and of those that met something new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Own {
    windows: f32,
    new_to_identity: f32,
    new_to_everyone: f32,
    /// Windows since one that met something new.
    quiet: u16,
    /// The day of the last one that did, since 1970; 0 before the first.
    day: u16,
}

impl Own {
    /// Windows since something new was met.
    #[must_use]
    pub const fn quiet(&self) -> u32 {
        self.quiet as u32
    }

    /// The day on which something new was last met, since 1970.
    #[must_use]
    pub const fn day(&self) -> u32 {
        self.day as u32
    }

    /// Takes one window of a day, since 1970.
    pub fn learn(&mut self, met: Option<Class>, day: u32) {
        if met.is_some() {
            (self.quiet, self.day) = (0, u16::try_from(day).unwrap_or(u16::MAX));
        } else {
            self.quiet = self.quiet.saturating_add(1);
        }
        self.windows = self.windows * OWN_DECAY + 1.0;
        self.new_to_identity = self.new_to_identity * OWN_DECAY + f32::from(u8::from(met.is_some()));
        self.new_to_everyone = self.new_to_everyone * OWN_DECAY + f32::from(u8::from(met == Some(Class::Everyone)));
    }

    /// The identity's rate, shrunk towards its group's.
    #[must_use]
    pub fn rate(&self, class: Class, group: f64) -> f64 {
        let hits = match class {
            Class::Identity => self.new_to_identity,
            Class::Everyone => self.new_to_everyone,
        };
        ((f64::from(hits) + GROUP_WEIGHT * group) / (f64::from(self.windows) + GROUP_WEIGHT)).clamp(RATE_MIN, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maturity_is_the_logarithm_of_windows() {
        assert_eq!([0, 1, 2, 3, 4, 7, 8, 1 << 14, u32::MAX].map(maturity), [0, 1, 2, 2, 3, 3, 4, 15, 15]);
    }

    /// Without hits the estimate is the Jeffreys one on all windows together, whatever classes they stand in.
    #[test]
    fn without_hits_windows_add_up() {
        let mut tally = Tally::default();
        for m in 0..10 {
            for _ in 0..100 {
                tally.learn(m, None);
            }
        }
        assert!((1.0 / tally.rate(Class::Identity, 9) - (2.0 + 2.0 * 1_000.0)).abs() < 1e-6);
    }

    #[test]
    fn where_hits_are_many_they_speak_alone() {
        let (mut estate, mut group) = (Tally::default(), Tally::default());
        for _ in 0..100_000 {
            estate.learn(5, None);
        }
        for _ in 0..200 {
            group.learn(5, Some(Class::Everyone));
        }
        assert!(group.rate_within(&estate, Class::Everyone, 5) > 0.98);
    }

    #[test]
    fn a_group_without_windows_is_as_the_estate() {
        let mut estate = Tally::default();
        for m in 0..12 {
            for i in 0..1_000 {
                estate.learn(m, (i % (1 << m) == 0).then_some(Class::Identity));
            }
        }
        for m in 0..14 {
            let (a, b) = (Tally::default().rate_within(&estate, Class::Identity, m), estate.rate(Class::Identity, m));
            assert!((a - b).abs() < 0.5 * b, "{m}: {a} {b}");
        }
    }

    #[test]
    fn an_identity_that_always_meets_the_new_is_not_surprising() {
        let (mut runner, mut job) = (Own::default(), Own::default());
        for _ in 0..60 {
            runner.learn(Some(Class::Everyone), 0);
            job.learn(None, 0);
        }
        assert!(excess(runner.rate(Class::Everyone, 1e-4)) == 0.0);
        assert!(excess(job.rate(Class::Everyone, 1e-4)) > 3.9);
    }
}
