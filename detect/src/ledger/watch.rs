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
    /// Takes an event, and says how many days were watched before its own; a late one counts to the day under way.
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
}
