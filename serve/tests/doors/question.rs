//! A statement that is nothing but a named question is asked as one, and nobody can tell by the answer.

use keytrail_serve::Options;

use crate::house::House;
use crate::wire::{Told, Wire};

fn open() -> Options {
    Options { no_auth: true, ..Options::default() }
}

/// Rows in an order that does not depend on the way.
fn sorted(mut told: Told) -> Told {
    told.rows.sort();
    // The line of a question is that of its period.
    told.notices.clear();
    told
}

#[test]
fn a_question_has_the_same_answer_as_the_same_in_sql() {
    let house = House::new(open(), keytrail_query::Options::default());
    let mut wire = Wire::open(house.postgres, "ann", "").unwrap();
    for (question, has_rows) in [
        ("touched('worker-03')", true),
        ("touched('worker-03', '2026-01-02', '2026-01-03T12:00:00Z')", true),
        ("touched('doors:sa/worker-29', NULL, '-1d')", true),
        ("who_touched('o''neill')", true),
        ("who_touched('doors:o''neill''); DROP TABLE events; --\u{1b}[31m', '2026-01-02')", true),
        ("timeline('worker-03', '-12h')", true),
        ("sessions('worker-03')", true),
        ("blast_radius('worker-03', NULL, NULL, 2)", true),
        ("first_seen('destination', '2026-01-01')", true),
        ("coverage()", true),
        ("findings()", false),
        ("identities('all')", false),
        ("posture()", false),
    ] {
        let as_one = wire.ask(&format!("SELECT * FROM {question}"));
        assert!(as_one.error.is_none() && !(has_rows && as_one.rows.is_empty()), "{question}: {as_one:?}");
        assert_eq!(as_one.notices.len(), 1, "{question} has its coverage line");
        let in_sql = wire.ask(&format!("SELECT * FROM {question} WHERE 1 = 1"));
        assert_eq!(sorted(as_one.clone()), sorted(in_sql), "{question}");
        assert_eq!(sorted(wire.prepared(&format!("SELECT * FROM {question}"), &[])), sorted(as_one), "{question}, prepared");
    }
    let with = wire.prepared("SELECT * FROM touched($1, $2)", &[Some("worker-03"), Some("2026-01-02")]);
    assert_eq!(sorted(with), sorted(wire.ask("SELECT * FROM touched('worker-03', '2026-01-02')")));
    let with = wire.prepared("SELECT * FROM touched($1, $2)", &[Some("worker-03"), None]);
    assert_eq!(sorted(with), sorted(wire.ask("SELECT * FROM touched('worker-03')")));

    // As a question is written down, whichever way it came.
    let record = house.record();
    let asked = record.iter().filter(|entry| entry["question"] == "touched" && entry["outcome"] == "done" && entry["rows"].as_i64() > Some(0)).count();
    assert_eq!(asked, 3 * 3 + 4, "{record:?}");
    assert!(record.iter().all(|entry| entry["user"] == "ann" && entry["door"] == "postgres"));
}

#[test]
fn what_is_wrong_is_told_the_same_way() {
    let house = House::new(open(), keytrail_query::Options { rows_max: 5, ..keytrail_query::Options::default() });
    let mut wire = Wire::open(house.postgres, "ann", "").unwrap();
    for (question, state) in [
        ("touched('nobody')", "42704"),
        ("touched('worker')", "42702"),
        ("touched('worker-03', '2026-01-03', '2026-01-02')", "22007"),
        ("touched('worker-03', 'whenever')", "22007"),
        ("touched('x''); DROP TABLE events; --')", "42704"),
        ("touched('''; SELECT 1; --')", "42704"),
        ("timeline('worker-03')", "54000"),
        ("touched()", ""),
        ("touched('a', 'b', 'c', 'd')", ""),
    ] {
        let as_one = wire.ask(&format!("SELECT * FROM {question}"));
        let (code, message) = as_one.error.unwrap_or_else(|| panic!("{question} was answered"));
        assert!(code == state || state.is_empty(), "{question}: {code} {message}");
        let in_sql = wire.ask(&format!("SELECT * FROM {question} WHERE 1 = 1"));
        assert_eq!(in_sql.error, Some((code, message)), "{question}");
    }
    for value in ["x'); DROP TABLE events; --", "' OR 1 = 1; --", "$1", "\\", "a\nb", "'; SELECT * FROM events; --", "%", "\u{feff}"] {
        let (code, message) = wire.prepared("SELECT * FROM touched($1)", &[Some(value)]).error.unwrap_or_else(|| panic!("{value} was answered"));
        assert_eq!(code, "42704", "{value}: {message}");
    }
    assert_eq!(wire.ask("SELECT count(*) FROM events").rows, [[Some(crate::house::EVENTS.to_string())]], "the events are all there");
    assert!(house.record().iter().any(|entry| entry["question"] == "timeline" && entry["outcome"] == "stopped"));
}

#[test]
fn a_question_waits_behind_no_sql() {
    let house = House::new(Options { statements_max: 1, wait_ms_max: 300, ..open() }, keytrail_query::Options::default());
    let mut heavy = Wire::open(house.postgres, "ann", "").unwrap();
    // It takes the only place of a statement for as long as it is not read.
    heavy.begin("SELECT a.event_id, b.event_id FROM events a CROSS JOIN events b");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut other = Wire::open(house.postgres, "bob", "").unwrap();
    assert_eq!(other.ask("SELECT count(*) FROM events").error.expect("there is no place").0, "53300");
    for _ in 0..3 {
        let told = other.ask("SELECT * FROM touched('worker-03')");
        assert!(told.error.is_none() && !told.rows.is_empty(), "{told:?}");
        let told = other.prepared("SELECT * FROM touched($1)", &[Some("worker-04")]);
        // Preparing plans, and takes no place; the question itself is none of SQL's.
        assert!(told.error.is_none() && !told.rows.is_empty(), "{told:?}");
    }
}
