//! When an actor does what it does.

use crate::chance::Chance;
use crate::clock::{self, DAY, HOUR, MINUTE, SECOND};

/// When an actor runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rhythm {
    /// Every so many microseconds, with some jitter.
    Every {
        /// Mean interval.
        interval: i64,
        /// The share of the interval by which a run may shift.
        jitter: f64,
    },
    /// Every hour at a minute.
    Hourly {
        /// After the full hour.
        offset: i64,
    },
    /// Once a day.
    Daily {
        /// After midnight.
        offset: i64,
        /// Only from Monday to Friday.
        weekdays: bool,
    },
    /// Once a week.
    Weekly {
        /// After Monday's midnight.
        offset: i64,
    },
    /// Requests as people and their traffic cause them.
    Traffic {
        /// Mean interval at the busiest hour.
        interval: i64,
        /// How much of it follows office hours, 0 to 1.
        office: f64,
    },
    /// Never by itself.
    Idle,
}

/// The share of the busiest hour's traffic at a moment.
fn share(time: i64, office: f64) -> f64 {
    let hour = clock::hour_of_day(time);
    let day = (-((hour - 13.0) / 4.2).powi(2)).exp();
    let week = if clock::is_weekend(time) { 0.15 } else { 1.0 };
    if office >= 1.0 && !(6.5..19.0).contains(&hour) {
        return 0.0;
    }
    (1.0 - office) + office * day * week
}

impl Rhythm {
    /// The first run after `after`; `rate` speeds up what is not bound to the calendar.
    pub fn next(self, after: i64, rate: f64, chance: &mut Chance) -> Option<i64> {
        let late = |chance: &mut Chance| chance.range(0, 40 * SECOND);
        Some(match self {
            Self::Every { interval, jitter } => {
                let interval = interval as f64 / rate;
                after + ((interval * (1.0 + jitter * (chance.unit() - 0.5))) as i64).max(SECOND)
            }
            Self::Hourly { offset } => {
                let at = clock::full_hour(after) + offset;
                (if at > after { at } else { at + HOUR }) + late(chance)
            }
            Self::Daily { offset, weekdays } => {
                let mut at = clock::midnight(after) + offset;
                while at <= after || (weekdays && clock::is_weekend(at)) {
                    at += DAY;
                }
                at + late(chance)
            }
            Self::Weekly { offset } => {
                let monday = clock::midnight(after) - clock::weekday(after) * DAY;
                let at = monday + offset;
                (if at > after { at } else { at + 7 * DAY }) + late(chance)
            }
            Self::Traffic { interval, office } => {
                let interval = (interval as f64 / rate) as i64;
                let mut at = after;
                // Thinning: draw at the busiest rate, keep by the share of the moment. Ten thousand draws are months of nothing.
                for _ in 0..10_000 {
                    at += chance.wait(interval).max(SECOND / 10);
                    if chance.happens(share(at, office)) {
                        return Some(at);
                    }
                }
                return None;
            }
            Self::Idle => return None,
        })
    }

    /// Runs a day, on average, if `rate` speeds up what is not bound to the calendar.
    pub fn runs_per_day(self, rate: f64) -> f64 {
        match self {
            Self::Every { interval, .. } => DAY as f64 / interval as f64 * rate,
            Self::Hourly { .. } => 24.0,
            Self::Daily { weekdays, .. } => {
                if weekdays {
                    5.0 / 7.0
                } else {
                    1.0
                }
            }
            Self::Weekly { .. } => 1.0 / 7.0,
            Self::Traffic { interval, office } => {
                let quarter_hours: f64 = (0..7 * 96).map(|q| share(4 * DAY + q * 15 * MINUTE, office)).sum();
                quarter_hours / (7.0 * 96.0) * (DAY as f64 / interval as f64) * rate
            }
            Self::Idle => 0.0,
        }
    }

    /// Whether the calendar fixes the number of runs, so that volume can only grow by what each run does.
    pub const fn is_calendar(self) -> bool {
        matches!(self, Self::Hourly { .. } | Self::Daily { .. } | Self::Weekly { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rhythm_runs_as_often_as_it_says_and_always_later() {
        let monday = 4 * DAY;
        for rhythm in [
            Rhythm::Every { interval: 10 * MINUTE, jitter: 0.2 },
            Rhythm::Hourly { offset: 7 * MINUTE },
            Rhythm::Daily { offset: 150 * MINUTE, weekdays: false },
            Rhythm::Daily { offset: 150 * MINUTE, weekdays: true },
            Rhythm::Weekly { offset: 2 * DAY },
            Rhythm::Traffic { interval: 5 * MINUTE, office: 1.0 },
            Rhythm::Traffic { interval: 5 * MINUTE, office: 0.5 },
        ] {
            let mut chance = Chance::new(5);
            let (mut at, mut runs) = (monday, 0.0);
            while let Some(next) = rhythm.next(at, 1.0, &mut chance).filter(|t| *t < monday + 70 * DAY) {
                assert!(next > at, "{rhythm:?}");
                at = next;
                runs += 1.0;
            }
            let expected = rhythm.runs_per_day(1.0) * 70.0;
            assert!((runs - expected).abs() <= expected * 0.05 + 1.0, "{rhythm:?}: {runs} runs, expected {expected}");
        }
        assert_eq!(Rhythm::Idle.next(monday, 1.0, &mut Chance::new(1)), None);
    }
}
