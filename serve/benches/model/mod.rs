//! What a benchmark writes, as a function of an event's number, and what `touched` must say of an identity after so many of its events: the model that
//! answers are held against.

#![allow(dead_code, reason = "one benchmark writes by itself, another through the whole program")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use keytrail_schemas::{Micros, Text};

pub const IDENTITIES: usize = 400;
pub const DESTINATIONS: usize = 60;
/// Of an identity's events each so-many-th fails; shares no factor with [`DESTINATIONS`].
pub const FAILURES: usize = 17;
/// Events of a commit.
pub const COMMIT_EVENTS: usize = 20_000;
/// Events of a day: then the day is closed, and compacted and rolled up beside the questions. `KEYTRAIL_BENCH_DAY_EVENTS` sets it.
static DAY_EVENTS: LazyLock<usize> = LazyLock::new(|| setting("KEYTRAIL_BENCH_DAY_EVENTS", 12 * COMMIT_EVENTS));
/// 2026-01-01, in microseconds.
const START: i64 = 1_767_225_600_000_000;

/// A number from outside.
#[expect(clippy::disallowed_methods, reason = "a benchmark is sized from outside")]
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Their names.
pub fn identity(who: usize) -> Text {
    Text::from(format!("bench:works:sa/worker-{who:04}"))
}

pub fn destination(number: usize) -> String {
    format!("bench:store/{:03}", (number / IDENTITIES * 7 + number % IDENTITIES) % DESTINATIONS)
}

pub fn is_failure(number: usize) -> bool {
    (number / IDENTITIES).is_multiple_of(FAILURES)
}

/// Days follow each other as commits do; within a day the time rises.
pub fn time(number: usize) -> Micros {
    let of_day = *DAY_EVENTS;
    let (day, within) = (number / of_day, number % of_day);
    let step = Micros::DAY / i64::try_from(of_day).unwrap();
    Micros(START + i64::try_from(day).unwrap() * Micros::DAY + i64::try_from(within).unwrap() * step)
}

/// Per destination and outcome: count, failures, first and last.
pub type Rows = BTreeMap<(String, String), (i64, i64, i64, i64)>;

/// What `touched` says of an identity after the first `turns` of its events, without a walk through them: a destination comes every [`DESTINATIONS`]
/// turns, and a failure every [`FAILURES`].
pub fn model(who: usize, turns: usize) -> Rows {
    let both = DESTINATIONS * FAILURES;
    let at = |turn: usize| time(turn * IDENTITIES + who).0;
    let count = |number: usize| i64::try_from(number).unwrap();
    let mut rows = Rows::new();
    for first in (0..DESTINATIONS).filter(|first| *first < turns) {
        let name = destination(first * IDENTITIES + who);
        let all = (turns - 1 - first) / DESTINATIONS + 1;
        let denied = (first..first + both).step_by(DESTINATIONS).find(|turn| turn.is_multiple_of(FAILURES) && *turn < turns);
        let failures = denied.map_or(0, |denied| (turns - 1 - denied) / both + 1);
        if let Some(denied) = denied {
            rows.insert((name.clone(), "denied".to_owned()), (count(failures), count(failures), at(denied), at(denied + both * (failures - 1))));
        }
        if all > failures {
            let last = first + DESTINATIONS * (all - 1);
            let good = |turn: usize| !turn.is_multiple_of(FAILURES);
            let (begin, end) = (if good(first) { first } else { first + DESTINATIONS }, if good(last) { last } else { last - DESTINATIONS });
            rows.insert((name, "success".to_owned()), (count(all - failures), 0, at(begin), at(end)));
        }
    }
    rows
}

/// The model against a walk through the events.
pub fn check_model() {
    for (who, turns) in [(0, 1), (3, 59), (7, 1_021), (399, 5_000)] {
        let mut rows = Rows::new();
        for number in (0..turns).map(|turn| turn * IDENTITIES + who) {
            let (at, outcome) = (time(number).0, if is_failure(number) { "denied" } else { "success" });
            let row = rows.entry((destination(number), outcome.to_owned())).or_insert((0, 0, at, at));
            *row = (row.0 + 1, row.1 + i64::from(is_failure(number)), row.2.min(at), row.3.max(at));
        }
        assert_eq!(model(who, turns), rows, "{who} {turns}");
    }
}

/// What an answer's rows say: how many events, and of each row its figures.
///
/// # Errors
/// A sentence where it is no answer of `touched`.
pub fn read(answer: &[Vec<Option<String>>]) -> Result<(usize, Rows), String> {
    let number = |cell: &Option<String>| cell.as_deref().and_then(|text| text.parse::<i64>().ok()).unwrap_or(-1);
    // `2026-01-01 00:00:00.000000+00:00`, as PostgreSQL writes it.
    let moment = |cell: &Option<String>| {
        let text = cell.as_deref().unwrap_or_default().replace(' ', "T");
        Micros::parse_rfc3339(&format!("{}Z", text.trim_end_matches('Z').split('+').next().unwrap_or_default())).map_or(-1, |time| time.0)
    };
    let mut rows = Rows::new();
    for row in answer {
        let [_, destination, .., outcome, count, failures, first, last, _, _, _] = row.as_slice() else { return Err(format!("a row of {} cells", row.len())) };
        let key = (destination.clone().unwrap_or_default(), outcome.clone().unwrap_or_default());
        if rows.insert(key.clone(), (number(count), number(failures), moment(first), moment(last))).is_some() {
            return Err(format!("{key:?} twice"));
        }
    }
    let events = usize::try_from(rows.values().map(|row| row.0).sum::<i64>()).unwrap_or_default();
    Ok((events, rows))
}
