//! Time as keytrail counts it: microseconds since 1970-01-01T00:00:00Z.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Micros(pub i64);

/// A time that keytrail does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is not a time in RFC 3339.
    #[error("{0:?} is not an RFC 3339 time")]
    NotATime(String),
    /// The time lies outside of 1970-01-01 to 2200-01-01.
    #[error("{0:?} is outside of 1970 to 2200")]
    OutOfRange(String),
}

impl Micros {
    /// One second.
    pub const SECOND: i64 = 1_000_000;
    /// One minute.
    pub const MINUTE: i64 = 60 * Self::SECOND;
    /// One hour.
    pub const HOUR: i64 = 60 * Self::MINUTE;
    /// One day.
    pub const DAY: i64 = 24 * Self::HOUR;
    /// The latest time that is taken for a time: 2200-01-01T00:00:00Z.
    pub const MAX: Self = Self(7_258_118_400 * Self::SECOND);
    /// The earliest time that is taken for a time.
    pub const MIN: Self = Self(0);

    /// Reads an RFC 3339 time (any offset, up to nine digits of a second; finer than a microsecond is cut).
    ///
    /// # Errors
    /// [`TimeError`] when the text is not such a time, or is outside of 1970 to 2200.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        if let Some(micros) = parse_utc_fast(text.as_bytes()) {
            return Self(micros).in_range(text);
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimeError::NotATime(clip(text)))?;
        Self(time.timestamp_micros()).in_range(text)
    }

    /// From whole seconds since the epoch.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside of 1970 to 2200.
    pub fn from_secs(secs: i64) -> Result<Self, TimeError> {
        secs.checked_mul(Self::SECOND).map_or_else(|| Err(TimeError::OutOfRange(secs.to_string())), |micros| Self(micros).in_range(&secs.to_string()))
    }

    /// From seconds since the epoch with a fraction, as Zeek writes them.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside of 1970 to 2200, or when it is not a number.
    pub fn from_secs_f64(secs: f64) -> Result<Self, TimeError> {
        if !secs.is_finite() || secs.abs() > 1e12 {
            return Err(TimeError::OutOfRange(secs.to_string()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
        Self((secs * 1e6).round() as i64).in_range(&secs.to_string())
    }

    /// `self`, if it lies within 1970 to 2200.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] with `text` as the offender.
    pub fn in_range(self, text: &str) -> Result<Self, TimeError> {
        if self < Self::MIN || self > Self::MAX { Err(TimeError::OutOfRange(clip(text))) } else { Ok(self) }
    }

    /// RFC 3339 in UTC with as many digits of a second as are needed (0, 3 or 6).
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_micros(self.0).map_or_else(|| format!("{}us", self.0), |t| t.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(Self::DAY)
    }

    /// `YYYY-MM-DD` in UTC.
    #[must_use]
    pub fn date(self) -> String {
        self.to_rfc3339().chars().take(10).collect()
    }

    /// Days from `earlier` to `self`, negative when `self` is the earlier one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "spans of time are far below 2^52 microseconds' precision needs")]
    pub fn days_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / Self::DAY as f64
    }
}

fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

/// `YYYY-MM-DDTHH:MM:SS[.f…]Z`, the shape that nearly every log has; anything else is left to chrono.
fn parse_utc_fast(text: &[u8]) -> Option<i64> {
    let (begin, rest) = text.split_first_chunk::<19>()?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', hour1, hour2, b':', minute1, minute2, b':', second1, second2] = begin else { return None };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2, hour1, hour2, minute1, minute2, second1, second2];
    // All are looked at, so that many are at once.
    if !digits.iter().fold(true, |all, digit| all & digit.is_ascii_digit()) {
        return None;
    }
    let two = |tens: u8, ones: u8| i64::from(tens & 0xf) * 10 + i64::from(ones & 0xf);
    let (year, month, day) = (two(y1, y2) * 100 + two(y3, y4), two(m1, m2), two(d1, d2));
    let (hour, minute, second) = (two(hour1, hour2), two(minute1, minute2), two(second1, second2));
    let month_days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=month_days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match rest {
        [b'Z'] => &[],
        [b'.', digits @ .., b'Z'] if !digits.is_empty() => digits,
        _ => return None,
    };
    let (mut micros, mut scale) = (0, 100_000);
    for digit in fraction {
        if !digit.is_ascii_digit() {
            return None;
        }
        micros += i64::from(digit & 0xf) * scale;
        scale /= 10;
    }
    // Days from civil, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let days = era * 146_097 + doe - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * Micros::MINUTE + second * Micros::SECOND + micros)
}

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.to_rfc3339())
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.serialize_str(&self.to_rfc3339()) } else { s.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
            Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(d).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Micros;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_chrono(secs in 0_i64..7_258_118_400, micros in 0_i64..1_000_000) {
            let time = Micros(secs * Micros::SECOND + micros);
            let text = time.to_rfc3339();
            prop_assert_eq!(super::parse_utc_fast(text.as_bytes()), Some(time.0));
            let offset = chrono::DateTime::from_timestamp_micros(time.0).unwrap().with_timezone(&chrono::FixedOffset::east_opt(19_800).unwrap()).to_rfc3339();
            prop_assert_eq!(Micros::parse_rfc3339(&offset).unwrap(), time);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Micros::parse_rfc3339(&text);
        }
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for text in [
            "",
            "yesterday",
            "2026-02-30T00:00:00Z",
            "30000-01-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
            "2026-01-01T00:00:00.Z",
        ] {
            assert!(Micros::parse_rfc3339(text).is_err(), "{text}");
        }
        assert_eq!(Micros::parse_rfc3339("2026-01-01T00:00:00.123456789Z").unwrap().0 % Micros::SECOND, 123_456);
    }
}
