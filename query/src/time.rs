//! Times as people write them, relative to a `now` that is passed in: the watermark, so that the same question on the same
//! lake has the same answer.

use keytrail_schemas::Micros;

use crate::Error;

/// Reads RFC 3339, a date (its midnight in UTC), a span back from `now` (`-90m`, `-6h`, `-7d`, `-2w`, `-30s`), `today` and
/// `yesterday` (their midnights in UTC, seen from `now`), or `now`.
///
/// # Errors
/// [`Error::Time`] for anything else, and for times outside of 1970 to 2200.
pub fn parse_time(text: &str, now: Micros) -> Result<Micros, Error> {
    let trimmed = text.trim();
    let problem = || Error::Time { text: trimmed.chars().take(64).collect() };
    let midnight = Micros(now.day() * Micros::DAY);
    let time = match trimmed {
        "now" => Some(now),
        "today" => Some(midnight),
        "yesterday" => Some(Micros(midnight.0 - Micros::DAY)),
        _ => trimmed
            .strip_prefix('-')
            .and_then(span)
            .and_then(|span| now.0.checked_sub(span))
            .map(Micros)
            .or_else(|| date(trimmed))
            .or_else(|| Micros::parse_rfc3339(trimmed).ok()),
    };
    time.ok_or_else(problem)?.in_range(trimmed).map_err(|_| problem())
}

/// `7d`, `90m`, …: a whole number and a unit, in microseconds.
fn span(text: &str) -> Option<i64> {
    let unit = match text.chars().next_back()? {
        's' => Micros::SECOND,
        'm' => Micros::MINUTE,
        'h' => Micros::HOUR,
        'd' => Micros::DAY,
        'w' => 7 * Micros::DAY,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i64>().ok()?.checked_mul(unit)
}

/// `YYYY-MM-DD`, its midnight in UTC.
fn date(text: &str) -> Option<Micros> {
    if text.len() == 10 { Micros::parse_rfc3339(&format!("{text}T00:00:00Z")).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-10T15:30:00Z";

    fn read(text: &str) -> Option<String> {
        parse_time(text, Micros::parse_rfc3339(NOW).unwrap()).ok().map(Micros::to_rfc3339)
    }

    #[test]
    fn spans_and_words_are_relative_to_now() {
        for (text, expected) in [
            ("now", NOW),
            ("today", "2026-03-10T00:00:00Z"),
            ("yesterday", "2026-03-09T00:00:00Z"),
            ("-7d", "2026-03-03T15:30:00Z"),
            ("-90m", "2026-03-10T14:00:00Z"),
            ("-2w", "2026-02-24T15:30:00Z"),
            ("-6h", "2026-03-10T09:30:00Z"),
            ("-30s", "2026-03-10T15:29:30Z"),
            ("2026-01-02", "2026-01-02T00:00:00Z"),
            ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
            (" 2026-01-02T03:04:05Z ", "2026-01-02T03:04:05Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_forms_there_are() {
        for text in ["", "-", "-d", "-7", "7d", "-7y", "--7d", "-99999999999999999999d", "-9999999w", "soon", "2026-13-01", "30000-01-01", "2026-1-1"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(parse_time("soon", Micros(0)).unwrap_err().to_string().contains("yesterday"));
    }
}
