//! The hours of the week in which an identity is active: a mask of 168 bits in two generations, so that hours not kept up are forgotten
//! after four to eight weeks. Hours are UTC.

use keytrail_schemas::Micros;
use serde::{Deserialize, Serialize};

use super::facet::Facet;

const DAY_HOURS: u32 = 24;
const WEEK_HOURS: u32 = 168;
const GENERATION_HOURS: u32 = 4 * WEEK_HOURS;

/// Hours since 1970, of a time in microseconds.
#[must_use]
pub fn hour_of(time: Micros) -> u32 {
    u32::try_from(time.0.div_euclid(Micros::HOUR)).unwrap_or(0)
}

/// Hour of the week, 0 = Monday 00:00. 1970-01-01 was a Thursday.
#[must_use]
pub const fn week_hour(hour: u32) -> u32 {
    (hour % WEEK_HOURS + 3 * DAY_HOURS) % WEEK_HOURS
}

/// Hours of the week in which there was activity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// One number per day of the week, one bit per hour.
    now: [u32; 7],
    before: [u32; 7],
    since: u32,
}

impl Hours {
    /// Takes a window that began at `hour`.
    pub fn learn(&mut self, hour: u32) {
        if self.since == 0 {
            self.since = hour;
        } else if hour >= self.since.saturating_add(GENERATION_HOURS) {
            self.before = std::mem::take(&mut self.now);
            self.since = hour;
        }
        let slot = week_hour(hour);
        if let Some(day) = self.now.get_mut((slot / DAY_HOURS) as usize) {
            *day |= 1 << (slot % DAY_HOURS);
        }
    }

    /// The facets in which `hour` is new, as bits: the hour of the day counts as known where an hour beside it is.
    #[must_use]
    pub fn new_facets(&self, hour: u32) -> u32 {
        let slot = week_hour(hour);
        let (day, bit) = ((slot / DAY_HOURS) as usize, slot % DAY_HOURS);
        let weekend = day >= 5;
        let (mut any, mut kind, mut same) = (0_u32, 0_u32, 0_u32);
        for (i, (now, before)) in self.now.iter().zip(&self.before).enumerate() {
            let mask = now | before;
            any |= mask;
            if (i >= 5) == weekend {
                kind |= mask;
            }
            if i == day {
                same = mask;
            }
        }
        let beside = 1_u32 << bit | 1 << ((bit + 1) % DAY_HOURS) | 1 << ((bit + DAY_HOURS - 1) % DAY_HOURS);
        let mut new = 0;
        if any & beside == 0 {
            new |= Facet::DayHour.bit();
        }
        if kind & beside == 0 {
            new |= Facet::DayKindHour.bit();
        }
        if same & beside == 0 {
            new |= Facet::WeekHour.bit();
        }
        new
    }

    /// How many hours lie between this hour of the day and the nearest in which there ever was activity, over midnight too; 0 where none is known.
    #[must_use]
    pub fn away(&self, hour: u32) -> u32 {
        let any = self.now.iter().zip(&self.before).fold(0, |any, (now, before)| any | now | before);
        let of_day = week_hour(hour) % DAY_HOURS;
        let is_known = |by: u32| any & (1 << ((of_day + by) % DAY_HOURS) | 1 << ((of_day + DAY_HOURS - by) % DAY_HOURS)) != 0;
        (0..=DAY_HOURS / 2).find(|by| is_known(*by)).unwrap_or(0)
    }

    /// The hours of a day of the week, as bits.
    #[inline]
    #[must_use]
    pub fn known_on(&self, day: usize) -> u32 {
        self.now.get(day).copied().unwrap_or_default()
    }

    /// How many hours of the week are known.
    #[must_use]
    pub fn known(&self) -> u32 {
        self.now.iter().zip(&self.before).map(|(now, before)| (now | before).count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05 was a Monday.
    fn at(text: &str) -> u32 {
        hour_of(Micros::parse_rfc3339(text).unwrap())
    }

    #[test]
    fn monday_is_the_first_day() {
        assert_eq!(week_hour(at("2026-01-05T00:30:00Z")), 0);
        assert_eq!(week_hour(at("2026-01-11T23:30:00Z")), 167);
    }

    #[test]
    fn the_coarser_the_new_hour_the_more_facets() {
        let mut hours = Hours::default();
        for day in 5..10 {
            hours.learn(at(&format!("2026-01-{day:02}T03:10:00Z")));
        }
        assert_eq!(hours.new_facets(at("2026-01-12T04:59:00Z")), 0);
        assert_eq!(hours.new_facets(at("2026-01-10T03:00:00Z")), Facet::DayKindHour.bit() | Facet::WeekHour.bit());
        assert_eq!(hours.new_facets(at("2026-01-12T14:00:00Z")), Facet::DayHour.bit() | Facet::DayKindHour.bit() | Facet::WeekHour.bit());
    }

    #[test]
    fn away_is_counted_over_midnight() {
        let mut hours = Hours::default();
        assert_eq!(hours.away(at("2026-01-05T03:10:00Z")), 0);
        hours.learn(at("2026-01-05T03:10:00Z"));
        for (time, away) in [("2026-01-06T03:59:00Z", 0), ("2026-01-06T02:00:00Z", 1), ("2026-01-06T22:00:00Z", 5), ("2026-01-07T15:00:00Z", 12)] {
            assert_eq!(hours.away(at(time)), away, "{time}");
        }
    }

    #[test]
    fn hours_not_kept_up_are_forgotten() {
        let mut hours = Hours::default();
        hours.learn(at("2026-01-05T03:00:00Z"));
        for week in 0..9 {
            hours.learn(at("2026-01-05T12:00:00Z") + week * WEEK_HOURS);
        }
        assert_ne!(hours.new_facets(at("2026-03-16T03:00:00Z")), 0);
        assert_eq!(hours.known(), 1);
    }
}
