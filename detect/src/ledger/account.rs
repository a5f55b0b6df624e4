//! One account: since when it is known, and how often somebody new appears in it. Where clients come and go each week, one more is nobody's
//! finding; where none came for a month, it is.

use keytrail_schemas::Micros;

/// After how long a newcomer counts half.
const HALF_LIFE_DAYS: f64 = 14.0;
/// In its first days everybody is new to an account: they are not counted.
const BEGINNING_DAYS: f64 = 3.0;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Account {
    /// When it was first seen.
    pub since: Micros,
    newcomers: f64,
    at: Micros,
}

impl Account {
    /// First seen at `time`.
    #[must_use]
    pub const fn new(time: Micros) -> Self {
        Self { since: time, newcomers: 0.0, at: time }
    }

    /// Somebody new appears at `time`. Returns how many a week there were before; `None` while that is not known.
    pub fn newcomer(&mut self, time: Micros) -> Option<f64> {
        let watched = time.days_since(self.since) - BEGINNING_DAYS;
        if watched < 0.0 {
            return None;
        }
        let kept = 0.5_f64.powf(time.days_since(self.at).max(0.0) / HALF_LIFE_DAYS);
        let before = self.newcomers * kept;
        self.newcomers = before + 1.0;
        self.at = self.at.max(time);
        // Days that the decaying number speaks for.
        let days = HALF_LIFE_DAYS / std::f64::consts::LN_2 * (1.0 - 0.5_f64.powf(watched / HALF_LIFE_DAYS));
        (watched >= 7.0 - BEGINNING_DAYS).then(|| 7.0 * before / days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: f64) -> Micros {
        Micros((n * Micros::DAY as f64) as i64)
    }

    #[test]
    fn how_many_a_week_is_learned_and_fades() {
        let mut account = Account::new(day(0.0));
        for n in 0..200 {
            assert_eq!(account.newcomer(day(f64::from(n) / 100.0)), None, "the beginning");
        }
        assert_eq!(account.newcomer(day(10.0)), Some(0.0));
        let mut last = None;
        for n in 0..60 {
            last = account.newcomer(day(11.0 + f64::from(n)));
        }
        assert!((5.5..8.0).contains(&last.unwrap()), "{last:?}");
        assert!(account.newcomer(day(170.0)).unwrap() < 0.2);
        assert!(account.newcomer(day(3.5)).is_none_or(f64::is_finite), "time that goes back is borne");
    }
}
