//! How many per window: events, or distinct destinations. A negative binomial whose mean is the identity's (by hour of day and day of
//! the week where hours differ) and whose over-dispersion is learned, shrunk towards the peer group's.
//!
//! The Gamma–Poisson model of Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2.6; over-dispersion by moments, winsorised so that one
//! burst does not teach the model that bursts are usual.

use serde::{Deserialize, Serialize};

use super::hours::week_hour;
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
/// Dates of a day of the week before that day is expected to differ from others.
const DATES_MIN: u8 = 2;
/// Over-dispersion on a day of the week that is not known yet: a weekly job, or a weekend, may be among what was not seen.
const UNKNOWN_DAY_DISPERSION: f64 = 0.25;
/// Windows of a day of the week that weigh as much as the mean over all days.
const DAY_WEIGHT: f64 = 3.0;
/// A busy day is expected to hold at most this many times what others do.
const DAY_FACTOR_MAX: f64 = 20.0;
/// How many times the usual is large: less counts in part, and the usual for nothing.
const LARGE_FACTOR: f64 = 4.0;
/// With how many events in the hour destinations grow: a power below one, since the usual ones are met again.
const SPREAD_POWER: f64 = 0.8;

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
    /// Per day of the week; empty where hours are not told apart.
    days: Vec<Day>,
}

/// A day of the week: what its windows held, beside what their hours alone made expect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    held: f32,
    expected: f32,
    /// Dates on which the identity was active, up to [`DATES_MIN`], and the last of them in days since 1970.
    dates: u8,
    last: u32,
}

impl Day {
    /// How many times the usual such a day holds: once at least, since a quiet day makes nothing suspicious. `None` while unknown.
    fn factor(&self, mean: f64) -> Option<f64> {
        let prior = DAY_WEIGHT * mean.max(1.0);
        (self.dates >= DATES_MIN).then(|| ((f64::from(self.held) + prior) / (f64::from(self.expected) + prior)).clamp(1.0, DAY_FACTOR_MAX))
    }

    fn learn(&mut self, date: u32, held: f64, expected: f64) {
        if self.dates == 0 || date > self.last {
            self.dates = self.dates.saturating_add(1).min(DATES_MIN);
            self.last = date;
        }
        self.held = self.held * DECAY + narrow(held.min(DAY_FACTOR_MAX * expected.max(1.0)));
        self.expected = self.expected * DECAY + narrow(expected);
    }
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

    /// The same, of a count that must be large to matter: evidence says how rare it is, and a rare handful is not yet a finding. `more_min` is
    /// how many above the mean are many whatever the mean.
    #[must_use]
    pub fn evidence_of_many(&self, count: u32, more_min: f64) -> f64 {
        let more = f64::from(count.saturating_sub(1));
        let factor = ((more + 1.0) / (self.mean_more + 1.0)).log2() / LARGE_FACTOR.log2();
        let size = (more - self.mean_more) / more_min;
        if factor <= 0.0 || size <= 0.0 { 0.0 } else { self.evidence(count) * factor.min(1.0) * size.min(1.0) }
    }

    /// What is expected beside `times` as many events as usual: more events meet more destinations, and that is no second surprise.
    #[must_use]
    pub fn beside(self, times: f64) -> Self {
        Self { mean_more: (self.mean_more + 1.0) * times.max(1.0).powf(SPREAD_POWER) - 1.0, ..self }
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
    /// What a window at `hour` (hours since 1970) is expected to hold; `pool` is the peer group's.
    #[must_use]
    pub fn expected(&self, hour: u32, pool: &Pool) -> Expected {
        let windows = f64::from(self.windows);
        let mean = self.mean(pool);
        let day = self.days.get((week_hour(hour) / 24) as usize).map(|day| day.factor(mean));
        // A little more than nothing: an identity that always did one thing may do two.
        let mean_more = (self.hour_mean(hour, mean) * day.flatten().unwrap_or(1.0)).max(0.05);
        let dispersion = (f64::from(self.dispersion) + DISPERSION_WEIGHT * pool.dispersion()) / (f64::from(self.weight) + DISPERSION_WEIGHT);
        let unknown_day = if day == Some(None) { UNKNOWN_DAY_DISPERSION } else { 0.0 };
        let dispersion = dispersion.clamp(DISPERSION_MIN, DISPERSION_MAX) + unknown_day;
        // The mean itself is uncertain while windows are few.
        let known = windows + MEAN_WEIGHT;
        Expected { mean_more, size: 1.0 / (dispersion + (dispersion + 1.0 / mean_more.max(0.5)) / known) }
    }

    fn mean(&self, pool: &Pool) -> f64 {
        (f64::from(self.sum) + MEAN_WEIGHT * pool.mean()) / (f64::from(self.windows) + MEAN_WEIGHT)
    }

    /// The mean of that hour of the day, shrunk towards the mean of all.
    fn hour_mean(&self, hour: u32, mean: f64) -> f64 {
        let (hour_windows, hour_sum) = self.hours.get((hour % 24) as usize).copied().unwrap_or_default();
        (f64::from(hour_sum) + HOUR_WEIGHT * mean) / (f64::from(hour_windows) + HOUR_WEIGHT)
    }

    /// Takes a closed window; `hour` in hours since 1970.
    pub fn learn(&mut self, hour: u32, count: u32, by_hour: bool, pool: &mut Pool) {
        let mean = self.expected(hour, pool).mean_more;
        let of_any_day = self.hour_mean(hour, self.mean(pool));
        let more = f64::from(count.saturating_sub(1));
        let weight = mean / (mean + 1.0);
        let dispersion = (((more - mean).powi(2) - mean) / (mean * mean + mean)).clamp(-1.0, WINSOR);
        pool.learn(more, dispersion, weight);
        self.windows = self.windows * DECAY + 1.0;
        self.sum = self.sum * DECAY + narrow(more);
        self.dispersion = self.dispersion * DECAY + narrow(dispersion);
        self.weight = self.weight * DECAY + narrow(weight);
        if by_hour {
            self.days.resize(7, Day::default());
            if let Some(day) = self.days.get_mut((week_hour(hour) / 24) as usize) {
                day.learn(hour / 24, more, of_any_day);
            }
            self.hours.resize(24, (0.0, 0.0));
            if let Some((windows, sum)) = self.hours.get_mut((hour % 24) as usize) {
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
        for hour in 0..30 * 24 {
            counts.learn(hour, if hour % 24 == 3 { 5_000 } else { 11 }, true, &mut pool);
        }
        assert!(counts.expected(30 * 24 + 3, &pool).evidence(5_000) < 1.0);
        assert!(counts.expected(30 * 24 + 14, &pool).evidence(5_000) > 3.0);
    }

    /// Twelve times as much each Sunday: a surprise at first, and none once two Sundays were met; on other days it stays one.
    #[test]
    fn days_of_the_week_that_differ_are_told_apart() {
        let (mut counts, mut pool) = (Counts::default(), Pool::default());
        let busy = |hour: u32| week_hour(hour) / 24 == 6;
        let mut surprise = Vec::new();
        for hour in 0..5 * 168 {
            let count = if busy(hour) { 121 } else { 11 };
            if busy(hour) && hour % 24 == 9 {
                surprise.push(counts.expected(hour, &pool).evidence(count));
            }
            counts.learn(hour, count, true, &mut pool);
        }
        assert!(surprise.last().is_some_and(|last| *last < 1.0 && *last < surprise[0] / 2.0), "{surprise:?}");
        let wednesday = (5 * 168..6 * 168).find(|hour| week_hour(*hour) == 2 * 24 + 9).unwrap();
        assert!(counts.expected(wednesday, &pool).evidence(121) > counts.expected(wednesday + 4 * 24, &pool).evidence(121) + 0.5);
    }

    #[test]
    fn a_day_that_is_not_known_yet_is_given_more_room() {
        let (mut counts, mut pool) = (Counts::default(), Pool::default());
        for hour in (0..5 * 168).filter(|hour| week_hour(*hour) / 24 < 5) {
            counts.learn(hour, 40 + hour % 5, true, &mut pool);
        }
        let monday = (5 * 168..6 * 168).find(|hour| week_hour(*hour) == 9).unwrap();
        let (known, unknown) = (counts.expected(monday, &pool).evidence(120), counts.expected(monday + 5 * 24, &pool).evidence(120));
        assert!(unknown < 0.7 * known, "{unknown} {known}");
    }

    /// After one window of a new group little is known, and twice as much is no surprise.
    #[test]
    fn one_window_is_little_to_go_by() {
        let (mut counts, mut pool) = (Counts::default(), Pool::default());
        counts.learn(0, 20, true, &mut pool);
        assert!(counts.expected(0, &pool).evidence(40) < 1.5);
    }
}
