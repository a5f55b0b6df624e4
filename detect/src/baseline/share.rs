//! Failures among a window's events: beta–binomial, the share and its over-dispersion learned and shrunk towards the peer group's.
//!
//! Over-dispersion ρ by moments: the variance of the failures is n·p·(1−p)·(1+(n−1)ρ) (Johnson, Kemp and Kotz, 6.2.2).

use serde::{Deserialize, Serialize};

use super::tail;

const DECAY: f32 = 0.98;
const POOL_DECAY: f64 = 0.9999;
/// Events of an identity's own record that weigh as much as the group's share.
const SHARE_WEIGHT: f64 = 20.0;
/// Windows that weigh as much as the prior of ρ.
const RHO_WEIGHT: f64 = 20.0;
const RHO_PRIOR: f64 = 0.2;
/// One window teaches at most this many events, so that a burst does not set the share.
const WINDOW_EVENTS_MAX: f64 = 200.0;

/// Decaying moments of a peer group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    failures: f64,
    events: f64,
    rho: f64,
    windows: f64,
}

/// An identity's own record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    failures: f32,
    events: f32,
}

impl Pool {
    fn share(&self) -> f64 {
        (self.failures + 0.5) / (self.events + 10.0)
    }

    fn rho(&self) -> f64 {
        ((self.rho + RHO_WEIGHT * RHO_PRIOR) / (self.windows + RHO_WEIGHT)).clamp(0.005, 0.9)
    }
}

impl Share {
    /// The expected share of failures, 0 to 1.
    #[must_use]
    pub fn expected(&self, pool: &Pool) -> f64 {
        ((f64::from(self.failures) + SHARE_WEIGHT * pool.share()) / (f64::from(self.events) + SHARE_WEIGHT)).clamp(1e-4, 0.999)
    }

    /// −log10 of the mid-p upper tail of `failures` among `events`.
    #[must_use]
    pub fn evidence(&self, failures: u32, events: u32, pool: &Pool) -> f64 {
        let (share, concentration) = (self.expected(pool), 1.0 / pool.rho() - 1.0);
        tail::beta_binomial(f64::from(failures), f64::from(events), share * concentration, (1.0 - share) * concentration)
    }

    /// Takes a closed window.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a decaying sum")]
    pub fn learn(&mut self, failures: u32, events: u32, pool: &mut Pool) {
        if events == 0 {
            return;
        }
        let (failures, n) = (f64::from(failures), f64::from(events));
        let share = self.expected(pool);
        if events > 1 {
            let variance = n * share * (1.0 - share);
            pool.rho = pool.rho * POOL_DECAY + (((failures - n * share).powi(2) - variance) / (variance * (n - 1.0)).max(0.05)).clamp(-1.0, 1.0).max(0.0);
            pool.windows = pool.windows * POOL_DECAY + 1.0;
        }
        let scale = (WINDOW_EVENTS_MAX / n).min(1.0);
        pool.failures = pool.failures * POOL_DECAY + failures * scale;
        pool.events = pool.events * POOL_DECAY + n * scale;
        self.failures = self.failures * DECAY + (failures * scale) as f32;
        self.events = self.events * DECAY + (n * scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_who_never_fails_are_evidence() {
        let (mut share, mut pool) = (Share::default(), Pool::default());
        for _ in 0..200 {
            share.learn(0, 50, &mut pool);
        }
        assert!(share.evidence(0, 50, &pool) == 0.0);
        assert!(share.evidence(1, 50, &pool) < share.evidence(10, 50, &pool));
        assert!(share.evidence(40, 50, &pool) > 4.0);
    }

    #[test]
    fn failures_of_one_who_often_fails_are_not() {
        let (mut share, mut pool) = (Share::default(), Pool::default());
        for i in 0..200 {
            share.learn(10 + i % 20, 50, &mut pool);
        }
        assert!((share.expected(&pool) - 0.39).abs() < 0.03);
        assert!(share.evidence(28, 50, &pool) < 1.5, "{}", share.evidence(28, 50, &pool));
    }
}
