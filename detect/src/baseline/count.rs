//! How many per window: events, or distinct destinations. A negative binomial whose mean is the identity's (by hour of day where its
//! hours differ) and whose over-dispersion is learned, shrunk towards the peer group's.
//!
//! The Gamma–Poisson model of Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2.6; over-dispersion by moments, winsorised so that one
//! burst does not teach the model that bursts are usual.

use serde::{Deserialize, Serialize};

use super::tail;

/// What a record keeps from one window to the next.
const DECAY: f32 = 0.98;
/// Windows of an identity's own record that weigh as much as the group's mean.
const MEAN_WEIGHT: f64 = 1.0;
/// Windows of one hour of day that weigh as much as the identity's mean over all hours.
const HOUR_WEIGHT: f64 = 3.0;
/// Windows of own dispersion that weigh as much as the group's.
const DISPERSION_WEIGHT: f64 = 20.0;
/// Over-dispersion before anything is learned: a standard deviation of the mean's own size.
const DISPERSION_PRIOR: f64 = 1.0;
const DISPERSION_MIN: f64 = 0.01;
const DISPERSION_MAX: f64 = 8.0;
/// A single window counts for at most this much over-dispersion.
const WINSOR: f64 = 12.0;

/// Decaying moments of a peer group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    windows: f64,
    sum: f64,
    dispersion: f64,
    weight: f64,
}

/// Keeps about ten thousand windows of a group.
const POOL_DECAY: f64 = 0.9999;

impl Pool {
    fn learn(&mut self, count: f64, dispersion: f64, weight: f64) {
        self.windows = self.windows * POOL_DECAY + 1.0;
        self.sum = self.sum * POOL_DECAY + count;
        self.dispersion = self.dispersion * POOL_DECAY + dispersion;
        self.weight = self.weight * POOL_DECAY + weight;
    }

    fn mean(&self) -> f64 {
        (self.sum + 1.0) / (self.windows + 1.0)
    }

    fn dispersion(&self) -> f64 {
        ((self.dispersion + DISPERSION_PRIOR * 5.0) / (self.weight + 5.0)).clamp(DISPERSION_MIN, DISPERSION_MAX)
    }
}

/// What an identity's windows hold: decaying sums over all windows, and by hour of day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    windows: f32,
    sum: f32,
    dispersion: f32,
    weight: f32,
    /// (windows, sum) per hour of day; empty where hours are not told apart.
    hours: Vec<(f32, f32)>,
}

/// What a window is expected to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Mean of the count less one: a window exists because it holds something.
    pub mean_more: f64,
    /// Size of the negative binomial.
    pub size: f64,
}

impl Expected {
    /// −log10 of the mid-p upper tail at `count`.
    #[must_use]
    pub fn evidence(&self, count: u32) -> f64 {
        tail::negative_binomial(f64::from(count.saturating_sub(1)), self.mean_more, self.size)
    }

    /// Standard deviation.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        (self.mean_more + self.mean_more * self.mean_more / self.size).sqrt()
    }

    /// The count below which there is no evidence worth the arithmetic.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    pub fn check_from(&self) -> u32 {
        ((2.0 + self.mean_more + self.deviation()) as u32).max(3)
    }
}

impl Counts {
    /// What a window at `hour_of_day` is expected to hold; `pool` is the peer group's.
    #[must_use]
    pub fn expected(&self, hour_of_day: u32, pool: &Pool) -> Expected {
        let windows = f64::from(self.windows);
        let mean = (f64::from(self.sum) + MEAN_WEIGHT * pool.mean()) / (windows + MEAN_WEIGHT);
        let (hour_windows, hour_sum) = self.hours.get(hour_of_day as usize).copied().unwrap_or_default();
        let hour_mean = (f64::from(hour_sum) + HOUR_WEIGHT * mean) / (f64::from(hour_windows) + HOUR_WEIGHT);
        // A little more than nothing: an identity that always did one thing may do two.
        let mean_more = hour_mean.max(0.05);
        let dispersion = (f64::from(self.dispersion) + DISPERSION_WEIGHT * pool.dispersion()) / (f64::from(self.weight) + DISPERSION_WEIGHT);
        let dispersion = dispersion.clamp(DISPERSION_MIN, DISPERSION_MAX);
        // The mean itself is uncertain while windows are few.
        let known = windows + MEAN_WEIGHT;
        Expected { mean_more, size: 1.0 / (dispersion + (dispersion + 1.0 / mean_more.max(0.5)) / known) }
    }

    /// Takes a closed window.
    pub fn learn(&mut self, hour_of_day: u32, count: u32, by_hour: bool, pool: &mut Pool) {
        let mean = self.expected(hour_of_day, pool).mean_more;
        let more = f64::from(count.saturating_sub(1));
        let weight = mean / (mean + 1.0);
        let dispersion = (((more - mean).powi(2) - mean) / (mean * mean + mean)).clamp(-1.0, WINSOR);
        pool.learn(more, dispersion, weight);
        self.windows = self.windows * DECAY + 1.0;
        self.sum = self.sum * DECAY + narrow(more);
        self.dispersion = self.dispersion * DECAY + narrow(dispersion);
        self.weight = self.weight * DECAY + narrow(weight);
        if by_hour {
            self.hours.resize(24, (0.0, 0.0));
            if let Some((windows, sum)) = self.hours.get_mut(hour_of_day as usize) {
                *windows = *windows * 0.9 + 1.0;
                *sum = *sum * 0.9 + narrow(more);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a decaying sum")]
const fn narrow(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_and_the_spread_are_learned() {
        let (mut counts, mut pool) = (Counts::default(), Pool::default());
        for i in 0..400_u32 {
            counts.learn(0, 101 + (i * 37) % 41 - 20, false, &mut pool);
        }
        let expected = counts.expected(0, &pool);
        assert!((expected.mean_more - 100.0).abs() < 5.0, "{expected:?}");
        assert!(expected.deviation() < 40.0, "{expected:?}");
        assert!(expected.evidence(110) < 0.6 && expected.evidence(1_000) > 8.0);
    }

    #[test]
    fn hours_that_differ_are_told_apart() {
        let (mut counts, mut pool) = (Counts::default(), Pool::default());
        for _ in 0..30 {
            for hour in 0..24 {
                counts.learn(hour, if hour == 3 { 5_000 } else { 11 }, true, &mut pool);
            }
        }
        assert!(counts.expected(3, &pool).evidence(5_000) < 1.0);
        assert!(counts.expected(14, &pool).evidence(5_000) > 3.0);
    }

    /// After one window of a new group little is known, and twice as much is no surprise.
    #[test]
    fn one_window_is_little_to_go_by() {
        let (mut counts, mut pool) = (Counts::default(), Pool::default());
        counts.learn(0, 20, true, &mut pool);
        assert!(counts.expected(0, &pool).evidence(40) < 1.5);
    }
}
