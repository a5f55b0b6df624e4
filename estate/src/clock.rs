//! Simulated time: calendar arithmetic and the ways in which providers write a time. Everything is UTC, in microseconds
//! since 1970; no wall clock is read here.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One second in microseconds.
pub const SECOND: i64 = 1_000_000;
/// One minute in microseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in microseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in microseconds.
pub const DAY: i64 = 24 * HOUR;

/// A moment in UTC, in microseconds since 1970; in JSON an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Micros(pub i64);

impl Micros {
    /// Reads an RFC 3339 time; finer than a microsecond is cut.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_micros()))
    }

    /// RFC 3339 in UTC, with six digits of a second where it is not a whole one.
    pub fn to_rfc3339(self) -> String {
        let mut out = String::with_capacity(27);
        if self.0.rem_euclid(SECOND) == 0 {
            push_seconds(&mut out, self.0)
        } else {
            push_micros(&mut out, self.0)
        }
        out
    }

    /// Days from `earlier` to `self`, negative when `self` is the earlier one.
    pub fn days_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / DAY as f64
    }
}

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.to_rfc3339())
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not an RFC 3339 time")))
    }
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

/// The date of a moment (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub const fn date(time: i64) -> Date {
    let z = time.div_euclid(DAY) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    Date { year: yoe + era * 400 + (month <= 2) as i64, month, day: doy - (153 * mp + 2) / 5 + 1 }
}

/// Monday is 0, Sunday 6.
pub const fn weekday(time: i64) -> i64 {
    (time.div_euclid(DAY) + 3).rem_euclid(7)
}

/// Whether it is Saturday or Sunday.
pub const fn is_weekend(time: i64) -> bool {
    weekday(time) >= 5
}

/// Midnight before (or at) a moment.
pub const fn midnight(time: i64) -> i64 {
    time - time.rem_euclid(DAY)
}

/// The full hour before (or at) a moment.
pub const fn full_hour(time: i64) -> i64 {
    time - time.rem_euclid(HOUR)
}

/// The hour of the day as a fraction, 0 to 24.
pub fn hour_of_day(time: i64) -> f64 {
    time.rem_euclid(DAY) as f64 / HOUR as f64
}

const PAIRS: &str = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Appends two digits of a number from 0 to 99.
pub fn push_two(out: &mut String, n: i64) {
    let i = usize::try_from(n).unwrap_or(0) * 2;
    out.push_str(PAIRS.get(i..i + 2).unwrap_or("00"));
}

/// Appends a number in decimal digits.
pub fn push_number(out: &mut String, n: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut left = n.unsigned_abs();
    loop {
        at -= 1;
        if let Some(slot) = digits.get_mut(at) {
            *slot = b'0' + (left % 10) as u8;
        }
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if n < 0 {
        out.push('-');
    }
    out.push_str(digits.get(at..).and_then(|d| std::str::from_utf8(d).ok()).unwrap_or("0"));
}

fn push_six(out: &mut String, n: i64) {
    push_two(out, n / 10_000);
    push_two(out, n / 100 % 100);
    push_two(out, n % 100);
}

/// Appends `2026-10-01`, with any separator.
pub fn push_date(out: &mut String, time: i64, separator: &str) {
    let Date { year, month, day } = date(time);
    push_two(out, year / 100);
    push_two(out, year % 100);
    out.push_str(separator);
    push_two(out, month);
    out.push_str(separator);
    push_two(out, day);
}

/// Appends `2026-10-01T03:12:00Z`.
pub fn push_seconds(out: &mut String, time: i64) {
    push_until_seconds(out, time);
    out.push('Z');
}

/// Appends `2026-10-01T03:12:00.123456Z`.
pub fn push_micros(out: &mut String, time: i64) {
    push_until_seconds(out, time);
    out.push('.');
    push_six(out, time.rem_euclid(SECOND));
    out.push('Z');
}

fn push_until_seconds(out: &mut String, time: i64) {
    push_date(out, time, "-");
    let of_day = time.rem_euclid(DAY) / SECOND;
    out.push('T');
    push_two(out, of_day / 3600);
    out.push(':');
    push_two(out, of_day / 60 % 60);
    out.push(':');
    push_two(out, of_day % 60);
}

/// Appends `1790824320.123456`, as Zeek writes a time.
pub fn push_epoch(out: &mut String, time: i64) {
    push_number(out, time.div_euclid(SECOND));
    out.push('.');
    push_six(out, time.rem_euclid(SECOND));
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends `Oct 1, 2026, 3:12:00 AM`, as the security token service writes an expiration.
pub fn push_expiration(out: &mut String, time: i64) {
    let Date { year, month, day } = date(time);
    let of_day = time.rem_euclid(DAY) / SECOND;
    let hour = of_day / 3600;
    out.push_str(usize::try_from(month - 1).ok().and_then(|m| MONTHS.get(m)).copied().unwrap_or("Jan"));
    out.push(' ');
    push_number(out, day);
    out.push_str(", ");
    push_number(out, year);
    out.push_str(", ");
    push_number(out, if hour % 12 == 0 { 12 } else { hour % 12 });
    out.push(':');
    push_two(out, of_day / 60 % 60);
    out.push(':');
    push_two(out, of_day % 60);
    out.push_str(if hour < 12 { " AM" } else { " PM" });
}

/// A time in seconds, as text.
pub fn seconds(time: i64) -> String {
    let mut out = String::with_capacity(20);
    push_seconds(&mut out, time);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_they_were() {
        for time in [0, 951_782_400_000_000, 1_790_824_320_123_456, 4_102_444_799_999_999] {
            let mut text = String::new();
            push_micros(&mut text, time);
            assert_eq!(Micros::parse_rfc3339(&text).unwrap().0, time, "{text}");
        }
        let noon = Micros::parse_rfc3339("2026-10-31T12:00:05Z").unwrap().0;
        let mut text = String::new();
        push_expiration(&mut text, noon);
        push_expiration(&mut text, noon - 12 * HOUR);
        push_epoch(&mut text, noon + 7);
        assert_eq!(text, "Oct 31, 2026, 12:00:05 PMOct 31, 2026, 12:00:05 AM1793448005.000007");
        assert_eq!((weekday(noon), is_weekend(noon), hour_of_day(midnight(noon) + 90 * MINUTE)), (5, true, 1.5));
    }
}
