//! From scores to probabilities, on the estate's own history: the empirical tail as far as it reaches, an exponential tail beyond
//! it, and a cautious prior while there is little history.
//!
//! Peaks over threshold (Pickands, 1975) with the tail of shape nought, whose scale is the median excess: an estate's history holds its
//! intrusions too, and moments, or a free shape, would learn from a handful of them that such scores are ordinary. Scores are kept
//! in a histogram of bins 0.1 wide, so that memory is bounded and equal histories give equal answers.

use serde::{Deserialize, Serialize};

const BINS: usize = 600;
const BINS_PER_UNIT: f64 = 10.0;
/// The history is halved when it holds this many windows.
const WINDOWS_MAX: u32 = 400_000;
/// It is halved each week as well, while it holds enough: an estate whose identities grow older surprises less from week to week.
const HALVED_HOURS: u32 = 7 * 24;
const HALVED_WINDOWS_MIN: u32 = 8_000;
/// Windows that the prior counts for.
const PRIOR_WINDOWS: f64 = 100.0;
/// Windows learned at which it counts for half of that.
const PRIOR_FADES: f64 = 1_000.0;
/// Exceedances that a tail is fitted to, at least; above the score that so many exceed, the fit speaks.
const PEAKS: u32 = 40;

/// Scores of past windows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Calibration {
    /// Windows per bin of a tenth; bin 0 is "no evidence". Grows as needed.
    bins: Vec<u32>,
    windows: u32,
    /// The prior's tail is 10^(−slope·score).
    prior_slope: f64,
    /// Fitted tail, refreshed when the history has grown by an eighth.
    fit: Option<Fit>,
    fit_due: u32,
    /// The hour of the last halving, or of the first window.
    halved: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Fit {
    threshold: f64,
    /// Share of the windows above the threshold when it was fitted.
    share: f64,
    scale: f64,
}

impl Calibration {
    /// No history. `prior_slope` says how far a score is trusted before there is one: 1 takes it for −log10 p itself.
    #[must_use]
    pub const fn new(prior_slope: f64) -> Self {
        Self { bins: Vec::new(), windows: 0, prior_slope, fit: None, fit_due: 8 * PEAKS, halved: 0 }
    }

    /// Windows learned.
    #[must_use]
    pub const fn windows(&self) -> u32 {
        self.windows
    }

    /// Takes the score of a closed window.
    pub fn learn(&mut self, score: f64) {
        let bin = bin_of(score);
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, 0);
        }
        if let Some(count) = self.bins.get_mut(bin) {
            *count += 1;
        }
        self.windows += 1;
        if self.windows >= WINDOWS_MAX {
            self.halve();
        }
        if self.windows >= self.fit_due {
            self.fit = self.fit();
            self.fit_due = self.windows + self.windows / 8 + 1;
        }
    }

    /// The time is `hour`, in hours since 1970: what was learned long ago fades.
    pub fn advance(&mut self, hour: u32) {
        if self.halved == 0 {
            self.halved = hour;
        } else if hour >= self.halved.saturating_add(HALVED_HOURS) && self.windows >= HALVED_WINDOWS_MIN {
            self.halved = hour;
            self.halve();
            self.fit = self.fit();
        }
    }

    fn halve(&mut self) {
        // Rounded up in every other bin, so that single windows of the tail neither stay for ever nor all go at once.
        self.bins.iter_mut().enumerate().for_each(|(bin, count)| *count = if bin % 2 == 0 { count.div_ceil(2) } else { *count / 2 });
        self.windows = self.bins.iter().sum();
        self.fit_due = self.windows + self.windows / 8 + 1;
    }

    /// The probability of a score at least as high on a window like those learned. 1 for no evidence.
    #[must_use]
    pub fn p_value(&self, score: f64) -> f64 {
        if bin_of(score) == 0 {
            return 1.0;
        }
        let n = f64::from(self.windows);
        let learned = match self.fit {
            Some(fit) if score > fit.threshold => n * fit.share * fit.survival(score - fit.threshold),
            _ => self.exceeding(score),
        };
        let weight = PRIOR_WINDOWS * PRIOR_FADES / (PRIOR_FADES + n);
        let prior = weight * 10_f64.powf(-self.prior_slope * score);
        ((learned + prior) / (n + weight)).clamp(1e-300, 1.0)
    }

    /// Windows learned with a score at least as high; within a bin they are taken to lie evenly.
    fn exceeding(&self, score: f64) -> f64 {
        let bin = bin_of(score);
        let above: u32 = self.bins.iter().skip(bin + 1).sum();
        let within = self.bins.get(bin).copied().unwrap_or(0);
        let part = (upper_edge(bin) - score) * BINS_PER_UNIT;
        f64::from(above) + f64::from(within) * part.clamp(0.0, 1.0)
    }

    fn fit(&self) -> Option<Fit> {
        let mut exceedances = 0;
        // The highest bin edge that enough windows exceed: at least `PEAKS`, and one in two hundred.
        let wanted = PEAKS.max(self.windows / 200);
        let first = self.bins.iter().enumerate().rev().find_map(|(bin, count)| {
            exceedances += count;
            (exceedances >= wanted).then_some(bin)
        })?;
        if first == 0 {
            return None;
        }
        let threshold = upper_edge(first) - 1.0 / BINS_PER_UNIT;
        let n = f64::from(exceedances);
        let half = self.exceedance(first, threshold, 0.5 * n);
        Some(Fit { threshold, share: n / f64::from(self.windows.max(1)), scale: half / std::f64::consts::LN_2 })
    }

    /// By how much `above` of the windows exceed the threshold, which lies in bin `first`; within a bin they are taken to lie evenly.
    fn exceedance(&self, first: usize, threshold: f64, above: f64) -> f64 {
        let mut seen = 0.0;
        for (bin, count) in self.bins.iter().enumerate().skip(first).rev() {
            let count = f64::from(*count);
            if seen + count >= above && count > 0.0 {
                return (upper_edge(bin) - (above - seen) / count / BINS_PER_UNIT - threshold).max(0.5 / BINS_PER_UNIT);
            }
            seen += count;
        }
        0.5 / BINS_PER_UNIT
    }
}

impl Fit {
    fn survival(&self, over: f64) -> f64 {
        (-over / self.scale).exp()
    }
}

/// Bin 0 holds scores below 0.05; bin i the scores from 0.05 + (i−1)/10 on.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates and is bounded")]
fn bin_of(score: f64) -> usize {
    if score < 0.05 { 0 } else { (((score - 0.05) * BINS_PER_UNIT) as usize + 1).min(BINS - 1) }
}

#[expect(clippy::cast_precision_loss, reason = "at most 600")]
fn upper_edge(bin: usize) -> f64 {
    0.05 + bin as f64 / BINS_PER_UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seeded stream of uniform numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Scores whose tails fall off at other speeds than they claim, learned and then judged on fresh ones.
    #[test]
    fn p_values_are_uniform_whatever_the_scores() {
        for slope in [0.4, 1.0, 3.0] {
            let (mut calibration, mut state) = (Calibration::new(0.5), 7);
            let score = |state: &mut u64| (-uniform(state).log10() * slope - 0.3).max(0.0);
            for _ in 0..50_000 {
                calibration.learn(score(&mut state));
            }
            let p: Vec<f64> = (0..50_000).map(|_| calibration.p_value(score(&mut state))).collect();
            // Below the share of windows that have evidence at all.
            let some = 10_f64.powf(-0.35 / slope);
            for t in [0.2, 0.1, 0.05, 0.01, 0.003, 0.001].into_iter().filter(|t| *t < 0.9 * some) {
                let share = p.iter().filter(|p| **p <= t).count() as f64 / p.len() as f64;
                assert!((share / t - 1.0).abs() < 0.1 + 3.0 / (t * 50_000.0).sqrt(), "slope {slope}: {share} at {t}");
            }
        }
    }

    #[test]
    fn beyond_the_history_a_tail_is_fitted() {
        let (mut calibration, mut state) = (Calibration::new(0.5), 3);
        for _ in 0..100_000 {
            calibration.learn(-uniform(&mut state).log10());
        }
        let far = -calibration.p_value(8.0).log10();
        assert!((far - 8.0).abs() < 1.5, "{far}");
        assert!(calibration.p_value(9.0) < calibration.p_value(8.0));
    }

    #[test]
    fn without_history_the_prior_is_cautious() {
        let calibration = Calibration::new(0.5);
        assert!((calibration.p_value(4.0) - 0.01).abs() < 1e-9);
        assert_eq!(calibration.p_value(0.0), 1.0);
    }
}
