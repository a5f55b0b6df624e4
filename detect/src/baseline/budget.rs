//! How surprising must a window be to be a sign? Which of them are read is decided by their rank ([`crate::rank::line`]). Since calibrated p-values are uniform on normal traffic, the
//! threshold is the signs of a day divided by its windows.

use serde::{Deserialize, Serialize};

use super::config::Config;

/// What the average keeps from one day to the next.
const DAY_DECAY: f64 = 0.8;
/// Days on budget that stand before any day was seen.
const DAYS_ON_BUDGET: f64 = 3.0;

/// Windows per day, learned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    day: u32,
    first_hour: u32,
    last_hour: u32,
    windows_of_day: f64,
    days: f64,
    windows: f64,
    findings_of_day: f64,
    findings: f64,
}

impl Budget {
    /// A window of `hour` (since 1970) has closed.
    pub fn learn(&mut self, hour: u32) {
        let day = hour / 24;
        if self.first_hour == 0 {
            (self.first_hour, self.day) = (hour, day);
        }
        if day > self.day {
            // Days without a window are days too, but a month of them is enough to forget.
            let idle = (day - self.day - 1).min(30);
            self.days = self.days * DAY_DECAY + self.share_of_day();
            self.windows = self.windows * DAY_DECAY + self.windows_of_day;
            self.findings = self.findings * DAY_DECAY + self.findings_of_day;
            for _ in 0..idle {
                self.days = self.days * DAY_DECAY + 1.0;
                self.windows *= DAY_DECAY;
                self.findings *= DAY_DECAY;
            }
            (self.day, self.windows_of_day, self.findings_of_day) = (day, 0.0, 0.0);
        }
        self.last_hour = self.last_hour.max(hour);
        self.windows_of_day += 1.0;
    }

    /// How much of the current day was seen: the first day begins with the first window.
    fn share_of_day(&self) -> f64 {
        let day_start = self.day * 24;
        f64::from((day_start + 24).saturating_sub(self.first_hour.max(day_start)).max(1)) / 24.0
    }

    /// Windows in a day, as far as is known.
    #[must_use]
    pub fn windows_per_day(&self) -> f64 {
        if self.days > 0.0 {
            return (self.windows / self.days).max(1.0);
        }
        let hours = self.last_hour.saturating_sub(self.first_hour) + 1;
        (self.windows_of_day * 24.0 / f64::from(hours)).max(1.0)
    }

    /// A finding was made.
    pub fn spend(&mut self) {
        self.findings_of_day += 1.0;
    }

    /// How many times its budget the estate has spent of late, 1 at least: where its days are unlike each other the calibrated tail
    /// alone promises too much, and the threshold makes up for it.
    fn overspent(&self, config: &Config) -> f64 {
        let spent = self.findings + self.findings_of_day + DAYS_ON_BUDGET * config.signs_per_day();
        let given = (self.days + 1.0 + DAYS_ON_BUDGET) * config.signs_per_day();
        if given > 0.0 { (spent / given).max(1.0) } else { 1.0 }
    }

    /// The p-value at which a window counts as a finding.
    #[must_use]
    pub fn threshold(&self, config: &Config) -> f64 {
        let even = config.signs_per_day() / self.windows_per_day();
        (even / self.overspent(config).powi(2)).clamp(0.0, config.finding_p_value_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_follows_the_windows_of_a_day() {
        let (mut budget, config) = (Budget::default(), Config { findings_per_day: 5.0, signs_per_finding: 1.0, ..Config::default() });
        for hour in 480_010..480_200 {
            (0..200).for_each(|_| budget.learn(hour));
        }
        assert!((budget.windows_per_day() - 4_800.0).abs() < 1.0, "{}", budget.windows_per_day());
        assert!((budget.threshold(&config) - 5.0 / 4_800.0).abs() < 1e-6);
        for hour in 480_200..480_700 {
            (0..20).for_each(|_| budget.learn(hour));
        }
        assert!(budget.threshold(&config) > 8e-3);
    }

    #[test]
    fn who_overspends_is_held_to_less() {
        let (mut budget, config) = (Budget::default(), Config { findings_per_day: 5.0, signs_per_finding: 1.0, ..Config::default() });
        for hour in 480_000..480_240 {
            (0..200).for_each(|_| budget.learn(hour));
            if hour % 24 == 0 {
                (0..20).for_each(|_| budget.spend());
            }
        }
        assert!(budget.threshold(&config) < 0.4 * 5.0 / 4_800.0);
    }

    #[test]
    fn a_budget_is_a_ceiling_and_not_a_quota() {
        let mut budget = Budget::default();
        budget.learn(480_000);
        assert_eq!(budget.threshold(&Config::default()), 0.01);
    }
}
