//! How far an identity reaches out within a day: in how many of its hours it met a destination, or a secret, that is new to it. Who reads one new secret
//! every two hours shows nothing in any hour; the hours together do.
//!
//! The number of such hours is binomial when each meets something new at the rate that is usual for the identity. The rate is the one from
//! before the day began, so that a slow harvest does not teach the model that harvests are usual.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

/// Hours that are looked at together.
const HOURS: u32 = 24;
/// Fewer hours than this are judged one by one.
const HOURS_MET_MIN: u32 = 3;
/// The rarest rate that is believed: what was never met in a thousand windows may be met in one of a thousand.
const RATE_MIN: f64 = 1e-3;

/// The last day of one identity, a bit an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// The hour of the lowest bit, since 1970.
    hour: u32,
    active: u32,
    met: u32,
    /// The usual rate, as of when nothing new had been met for a day.
    rate: f32,
}

impl Reach {
    /// Takes a closed window. `rate`: how often such a window meets a destination new to the identity, before this one is learned.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a rate")]
    pub fn learn(&mut self, hour: u32, met: bool, rate: f64) {
        if hour >= self.hour {
            let past = hour - self.hour;
            self.active = shifted(self.active, past);
            self.met = shifted(self.met, past);
            self.hour = hour;
        }
        if self.met == 0 || self.rate == 0.0 {
            self.rate = rate as f32;
        }
        let Some(bit) = 1_u32.checked_shl(self.hour - hour).filter(|bit| *bit < 1 << HOURS) else { return };
        self.active |= bit;
        self.met |= if met { bit } else { 0 };
    }

    /// −log10 of the probability of so many hours that met something new within the day that ends with `hour`, which did too. `None` where
    /// that is nothing but what the hours say one by one. `rate`: the usual one, where none is known from before the day.
    #[must_use]
    pub fn evidence(&self, hour: u32, rate: f64) -> Option<f64> {
        let past = hour.checked_sub(self.hour)?;
        let (active, met) = (shifted(self.active, past) | 1, shifted(self.met, past) | 1);
        let hours_met = met.count_ones();
        if hours_met < HOURS_MET_MIN {
            return None;
        }
        let rate = if self.rate > 0.0 { f64::from(self.rate) } else { rate };
        Some(binomial_tail(hours_met, active.count_ones(), rate.clamp(RATE_MIN, 1.0)))
    }
}

fn shifted(bits: u32, by: u32) -> u32 {
    bits.checked_shl(by).unwrap_or(0) & ((1 << HOURS) - 1)
}

/// −log10 P(X ≥ k) of the binomial, mid-p.
fn binomial_tail(k: u32, n: u32, p: f64) -> f64 {
    let (k, n) = (f64::from(k), f64::from(n));
    if k <= n * p {
        return 0.0;
    }
    let ln = |j: f64| ln_gamma(n + 1.0) - ln_gamma(j + 1.0) - ln_gamma(n - j + 1.0) + j * p.ln() + (n - j) * (1.0 - p).max(1e-300).ln();
    let mut sum = 0.5 * ln(k).exp();
    let mut j = k + 1.0;
    while j <= n {
        sum += ln(j).exp();
        j += 1.0;
    }
    -sum.max(1e-300).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(met: impl Fn(u32) -> bool) -> Reach {
        let mut reach = Reach::default();
        for hour in 0..72 {
            reach.learn(1_000 + hour, hour >= 48 && met(hour), if hour <= 48 { 0.02 } else { 0.5 });
        }
        reach
    }

    #[test]
    fn one_new_destination_every_two_hours_is_seen_by_the_day() {
        let slow = day(|hour| hour % 2 == 0).evidence(1_072, 0.5).unwrap();
        assert!(slow > 10.0, "{slow}");
        assert_eq!(day(|hour| hour == 50).evidence(1_072, 0.5), None, "two are judged one by one");
    }

    #[test]
    fn who_always_meets_the_new_shows_nothing() {
        let mut reach = Reach::default();
        for hour in 0..72 {
            reach.learn(1_000 + hour, hour % 2 == 0, 0.5);
        }
        assert!(reach.evidence(1_072, 0.5).unwrap() < 0.5);
    }

    #[test]
    fn a_day_later_all_is_forgotten_and_time_that_goes_back_is_borne() {
        let mut reach = day(|_| true);
        assert_eq!(reach.evidence(1_200, 0.02), None);
        reach.learn(1_060, true, 0.02);
        reach.learn(3, true, 0.02);
        assert_eq!(reach.evidence(4, 0.02), None);
    }

    #[test]
    fn the_tail_is_the_plain_sum() {
        let exact = |p: f64| 0.5 * 4.0 * p.powi(3) * (1.0 - p) + p.powi(4);
        assert!((binomial_tail(3, 4, 0.1) + exact(0.1).log10()).abs() < 1e-9);
        assert_eq!(binomial_tail(1, 4, 0.5), 0.0);
    }
}
