//! How many new destinations come at once: where a window meets one, a release often brings two or three; a dozen is another matter. The
//! number beyond the first is geometric, its mean learned for each peer group.

use serde::{Deserialize, Serialize};

/// Windows with something new that weigh as much as what is assumed before any.
const PRIOR_WINDOWS: f64 = 20.0;
/// New destinations in such a window, assumed.
const PRIOR_MEAN: f64 = 2.5;
/// What is kept from one window to the next: about a thousand of them.
const DECAY: f64 = 0.999;
/// More in one window teach no more: a harvest is not to make harvests usual.
const LEARNED_MAX: u32 = 12;
/// The number alone gives this much evidence at most.
const EVIDENCE_MAX: f64 = 3.0;

/// Windows of a group that met something new, and how many they met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Crowding {
    windows: f64,
    news: f64,
}

impl Crowding {
    /// Takes a window that met `news` new destinations, one at least.
    pub fn learn(&mut self, news: u32) {
        self.windows = self.windows * DECAY + 1.0;
        self.news = self.news * DECAY + f64::from(news.clamp(1, LEARNED_MAX));
    }

    /// −log10 of the probability that a window with one new destination has `news` of them.
    #[must_use]
    pub fn evidence(&self, news: u32) -> f64 {
        let mean = (self.news + PRIOR_WINDOWS * PRIOR_MEAN) / (self.windows + PRIOR_WINDOWS);
        // One less than the mean, of as many: the share of further ones after each.
        let further = (1.0 - 1.0 / mean).max(0.3);
        (f64::from(news.saturating_sub(1)) * -further.log10()).min(EVIDENCE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dozen_at_once_counts_where_one_is_usual_and_not_where_dozens_are() {
        let (mut jobs, mut crawlers) = (Crowding::default(), Crowding::default());
        for _ in 0..500 {
            jobs.learn(1);
            crawlers.learn(40);
        }
        assert_eq!(jobs.evidence(1), 0.0);
        assert!(jobs.evidence(5) > 2.0 && jobs.evidence(12) == EVIDENCE_MAX);
        assert!(crawlers.evidence(5) < 0.25);
    }
}
