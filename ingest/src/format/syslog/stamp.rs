//! The time at the beginning of a line.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use keytrail_schemas::Micros;

/// A time, with or without its year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// A time.
    At(Micros),
    /// One whose year is not said.
    Yearless {
        /// From 1.
        month: u32,
        /// From 1.
        day: u32,
        /// Within the day.
        time: NaiveTime,
    },
}

impl Stamp {
    /// The time that is all of a text.
    pub(crate) fn of(text: &str) -> Option<Self> {
        leading(text).and_then(|(stamp, _, behind)| behind.is_empty().then_some(stamp))
    }

    /// The time, where it is whole.
    pub(crate) const fn known(self) -> Option<Micros> {
        match self {
            Self::At(time) => Some(time),
            Self::Yearless { .. } => None,
        }
    }

    /// The time in this year; `None` where it has no such day.
    pub(crate) fn in_year(self, year: i32) -> Option<Micros> {
        match self {
            Self::At(time) => Some(time),
            Self::Yearless { month, day, time } => micros(NaiveDate::from_ymd_opt(year, month, day)?.and_time(time)),
        }
    }
}

fn micros(time: NaiveDateTime) -> Option<Micros> {
    let time = Micros(time.and_utc().timestamp_micros());
    (time >= Micros::MIN && time <= Micros::MAX).then_some(time)
}

/// The time that a text begins with, as it stands, and what stands behind it.
pub(super) fn leading(text: &str) -> Option<(Stamp, &str, &str)> {
    if text.as_bytes().first()?.is_ascii_digit() { dated(text) } else { named(text) }
}

/// `2026-11-22T12:00:00.123+01:00`, or with a space for the `T`, or with `+0100`.
fn dated(text: &str) -> Option<(Stamp, &str, &str)> {
    let date = text.get(..10)?;
    let date = date_of(date.as_bytes())?;
    let clock = text.get(10..)?.strip_prefix(['T', ' '])?;
    let (time, zone) = clock_of(clock)?;
    let (offset_secs, rest) = match zone.as_bytes().first() {
        Some(b'Z') => (0, zone.get(1..)?),
        Some(b'+' | b'-') => zone_of(zone)?,
        _ => (0, zone),
    };
    if !rest.is_empty() && !rest.starts_with([' ', ':', ',']) {
        return None;
    }
    let at = micros(date.and_time(time))?.0 - offset_secs * Micros::SECOND;
    let time = Micros(at);
    (time >= Micros::MIN).then_some(())?;
    Some((Stamp::At(time), text.get(..text.len() - rest.len())?, rest))
}

/// The number that `len` digits at `at` write.
fn number(text: &[u8], at: usize, len: usize) -> Option<u32> {
    text.get(at..at + len)?.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}

/// `2026-11-22`.
fn date_of(text: &[u8]) -> Option<NaiveDate> {
    let hyphens = text.get(4) == Some(&b'-') && text.get(7) == Some(&b'-');
    NaiveDate::from_ymd_opt(i32::try_from(number(text, 0, 4)?).ok()?, number(text, 5, 2)?, number(text, 8, 2)?).filter(|_| hyphens)
}

fn zone_of(zone: &str) -> Option<(i64, &str)> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let hours: i64 = zone.get(1..3)?.parse().ok()?;
    let behind = zone.get(3..)?;
    let behind = behind.strip_prefix(':').unwrap_or(behind);
    let minutes: i64 = behind.get(..2)?.parse().ok()?;
    (hours <= 14 && minutes < 60).then_some((sign * (hours * 3_600 + minutes * 60), behind.get(2..)?))
}

/// `Nov 22 12:00:00`, with a fraction, or with a year behind the day.
fn named(text: &str) -> Option<(Stamp, &str, &str)> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = text.get(..3)?;
    let month = u32::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
    let rest = text.get(3..)?.strip_prefix(' ')?.trim_start_matches(' ');
    let (day, rest) = rest.split_once(' ')?;
    let day: u32 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let rest = rest.trim_start_matches(' ');
    let (year, rest) = match rest.split_once(' ') {
        Some((year, behind)) if year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()) => (year.parse::<i32>().ok(), behind),
        _ => (None, rest),
    };
    let (time, rest) = clock_of(rest)?;
    if !rest.is_empty() && !rest.starts_with([' ', ':']) {
        return None;
    }
    // `Feb 29 01:15:43: --- testing`: what stands behind the colon is a message.
    let stamp = match year {
        Some(year) => Stamp::At(micros(NaiveDate::from_ymd_opt(year, month, day)?.and_time(time))?),
        None => {
            NaiveDate::from_ymd_opt(2_024, month, day)?;
            Stamp::Yearless { month, day, time }
        }
    };
    Some((stamp, text.get(..text.len() - rest.len())?, rest.strip_prefix(':').unwrap_or(rest)))
}

/// `12:00:00.123456`, and what stands behind it.
fn clock_of(text: &str) -> Option<(NaiveTime, &str)> {
    let clock = text.get(..8)?;
    let bytes = clock.as_bytes();
    let second = number(bytes, 6, 2)?;
    let colons = bytes.get(2) == Some(&b':') && bytes.get(5) == Some(&b':');
    // A leap second is the library's matter.
    let time = if second == 60 {
        NaiveTime::parse_from_str(clock, "%H:%M:%S").ok()?
    } else {
        NaiveTime::from_hms_opt(number(bytes, 0, 2)?, number(bytes, 3, 2)?, second).filter(|_| colons)?
    };
    let rest = text.get(8..)?;
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some((time, rest)) };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Some((time, rest));
    }
    let shown = digits.min(6);
    let micros = number(fraction.as_bytes(), 0, shown)? * 10_u32.pow(6 - u32::try_from(shown).ok()?);
    Some((time.with_nanosecond(micros * 1_000)?, fraction.get(digits..)?))
}
