//! For how many days the partition was watched. An archive that is read first holds a few records of many days: those days were not watched.

use keytrail_schemas::Micros;

/// A day with fewer than one in so many of the events of the fullest day was not watched.
const FULL: u64 = 20;

/// Days watched so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Watch {
    day: i64,
    events: u64,
    fullest: u64,
    days: u32,
}

impl Watch {
    /// Takes the time of an event, no later than the day that has come, and says how many days were watched before its own; a late one counts to the day under way.
    pub(super) const fn observe(&mut self, time: Micros) -> u32 {
        let day = time.0.div_euclid(Micros::DAY);
        if day > self.day {
            if self.events > self.fullest {
                self.fullest = self.events;
            }
            if self.events > 0 && self.events.saturating_mul(FULL) >= self.fullest {
                self.days = self.days.saturating_add(1);
            }
            self.day = day;
            self.events = 0;
        }
        self.events = self.events.saturating_add(1);
        if self.events > self.fullest.saturating_mul(FULL) {
            // What came before was an archive.
            self.days = 0;
        }
        self.days
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_an_archive_were_not_watched() {
        let (mut watch, mut days) = (Watch::default(), 0);
        for day in 0..60 {
            days = watch.observe(Micros(day * 3 * Micros::DAY));
        }
        assert_eq!(days, 59);
        assert_eq!((0..30).map(|n| watch.observe(Micros(200 * Micros::DAY + n))).last(), Some(0), "the first full day knows what came before while it goes on");
        for n in 0..5_000 {
            days = watch.observe(Micros(200 * Micros::DAY + n * Micros::DAY / 1_000));
        }
        assert_eq!(days, 4);
        assert_eq!(watch.observe(Micros(3)), 4, "late");
    }

    #[test]
    fn a_clock_far_ahead_makes_no_day_begin() {
        use crate::config::LedgerConfig;
        use crate::ledger::{Ledger, Likely};
        use keytrail_schemas::Event;

        let mut ledger = Ledger::new(LedgerConfig::default());
        let mut watched = |time: Micros, watermark: Micros| {
            let event = Event { identity: "svc".into(), time, ..Event::default() };
            let who = ledger.identify(&event, Likely::default(), &mut Vec::new());
            ledger.observe(who, &event, Likely::default(), crate::ledger::Limits::default(), watermark).watched_days
        };
        let mut days = 0;
        for hour in 0..24 * 55 {
            let now = Micros(hour * Micros::HOUR);
            days = watched(now, now);
            if hour == 24 * 30 {
                watched(Micros(47_000 * Micros::DAY), now);
            }
        }
        assert_eq!(days, 54);
    }
}
