//! The year of a time that does not say it.
//!
//! It is that in which the time is nearest to the last time of the file whose year is known; where there is none, the latest in which it is not
//! more than a day after the file was last written (or after now, where that is not known). A 29th of February falls into a year that has one. So a file that is read years
//! after it was written, and whose time of change was lost in copying, is dated too late: give it its time of change back (`cp -p`, `tar`), or read it as RFC 5424.

use chrono::{DateTime, Datelike};
use keytrail_schemas::Micros;

use super::Stamp;

/// What is known of a file's time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Year {
    /// When the file was last written.
    pub(crate) written: Option<Micros>,
    /// The last time whose year is known, and whether a line said it.
    last: Option<(Micros, bool)>,
}

impl Year {
    /// The time of a line, which becomes the neighbour of those behind it.
    pub(crate) fn time(&mut self, stamp: Stamp) -> Option<Micros> {
        let said = stamp.known();
        let time = match (said, self.last) {
            (Some(time), _) => Some(time),
            (None, Some((last, true))) => nearest(stamp, last),
            (None, _) => self.written.and_then(|written| latest(stamp, written)),
        }?;
        self.last = Some((time, said.is_some() || self.last.is_some_and(|(_, said)| said)));
        Some(time)
    }
}

fn year_of(time: Micros) -> i32 {
    DateTime::from_timestamp_micros(time.0).map_or(1970, |time| time.year())
}

fn nearest(stamp: Stamp, to: Micros) -> Option<Micros> {
    let year = year_of(to);
    (year - 8..=year + 8).filter_map(|year| stamp.in_year(year)).min_by_key(|time| time.0.abs_diff(to.0))
}

fn latest(stamp: Stamp, written: Micros) -> Option<Micros> {
    let year = year_of(written);
    (year - 8..=year + 1).rev().filter_map(|year| stamp.in_year(year)).find(|time| time.0 <= written.0 + Micros::DAY)
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::*;

    fn at(text: &str) -> Micros {
        Micros::parse_rfc3339(text).unwrap()
    }

    fn times(written: Option<&str>, lines: &[&str]) -> Vec<Option<Micros>> {
        let mut year = Year { written: written.map(at), last: None };
        lines.iter().map(|line| year.time(Line::of(&format!("{line} h p: m")).unwrap().stamp)).collect()
    }

    #[test]
    fn the_year_is_that_of_what_is_near() {
        let written = Some("2026-01-02T00:00:00Z");
        assert_eq!(
            times(written, &["Dec 31 23:59:59", "Jan  1 00:00:01"]),
            [Some(at("2025-12-31T23:59:59Z")), Some(at("2026-01-01T00:00:01Z"))],
            "over the turn of a year"
        );
        assert_eq!(times(written, &["Jan  2 12:00:00"]), [Some(at("2026-01-02T12:00:00Z"))], "a zone ahead of UTC");
        assert_eq!(times(written, &["Feb 29 01:00:00"]), [Some(at("2024-02-29T01:00:00Z"))]);
        assert_eq!(
            times(written, &["2019-12-31T23:00:00Z", "Jan  1 00:00:01", "Feb 29 00:00:00"])[1..],
            [Some(at("2020-01-01T00:00:01Z")), Some(at("2020-02-29T00:00:00Z"))],
            "by a neighbour that says it"
        );
        assert_eq!(times(None, &["Jan  1 00:00:01"]), [None]);
    }
}
