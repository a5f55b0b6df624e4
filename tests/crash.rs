//! SIGKILL at random moments of an ingest, then again until it ends: every event stored exactly once, and findings byte for byte those
//! of an undisturbed run. `KEYTRAIL_CRASH_EVENTS` (default 40,000) and `KEYTRAIL_CRASH_KILLS` (default 25) set its size.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keytrail_schemas::{Event, EventId, Topic};
use serde_json::Value;

use crate::estate::{Home, cloudtrail_lines, stderr};

/// What is wrong with what was stored, if anything: the checker of exactly-once.
pub fn check(expected: &[String], stored: &[String]) -> Result<(), String> {
    let count = |ids: &[String]| {
        ids.iter().fold(BTreeMap::<String, i64>::new(), |mut counts, id| {
            *counts.entry(id.clone()).or_default() += 1;
            counts
        })
    };
    let (expected, stored) = (count(expected), count(stored));
    let mut problems = Vec::new();
    for (id, wanted) in &expected {
        match stored.get(id).copied().unwrap_or(0) - wanted {
            0 => {}
            less if less < 0 => problems.push(format!("{id} lost")),
            more => problems.push(format!("{id} stored {more} times too often")),
        }
    }
    problems.extend(stored.keys().filter(|id| !expected.contains_key(*id)).map(|id| format!("{id} was never sent")));
    if problems.is_empty() { Ok(()) } else { Err(format!("{} problems, the first: {}", problems.len(), problems[0])) }
}

fn event_ids(home: &Home) -> Vec<String> {
    let output = home.run(&["--output", "csv", "sql", "select event_id from events order by log_partition, log_offset"]);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap().lines().skip(1).map(str::to_owned).collect()
}

/// Every revision of every finding, in the order of their coordinates.
fn findings(home: &Home) -> Vec<Value> {
    home.rows(&["sql", "select * from findings_log order by log_partition, log_offset, rule_index"])
}

/// Everything of every event but when it was read, as printed: a million of them would not fit in memory otherwise.
fn events(home: &Home) -> Vec<u8> {
    let output = home.run(&["sql", "select * except (ingested_at) from events order by log_partition, log_offset"]);
    assert!(output.status.success(), "{}", stderr(&output));
    output.stdout
}

fn size(name: &str, default: usize) -> usize {
    #[expect(clippy::disallowed_methods, reason = "the test's size is set from outside")]
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} = {text:?} is not a number")))
}

#[test]
fn killed_anywhere_nothing_is_lost_and_nothing_is_twice() {
    let (count, kills) = (size("KEYTRAIL_CRASH_EVENTS", 40_000), size("KEYTRAIL_CRASH_KILLS", 25));
    let lines = cloudtrail_lines(count);
    let undisturbed = Home::new();
    let path = undisturbed.file("events.log", &lines);
    let arguments = ["ingest", "--format", "cloudtrail", path.to_str().unwrap()];
    let started = Instant::now();
    undisturbed.rows(&arguments);
    // How long a run takes; less, once one came to its end sooner than the first did beside other work.
    let mut whole = started.elapsed();

    let home = Home::new();
    // Small commits and snapshots, so that kills fall between them and not only before the first.
    home.file("keytrail.toml", "[store]\ncommit_events_max = 3000\ncommit_interval_ms = 50\n[detector]\nsnapshot_events = 5000\n");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut killed = 0;
    let mut attempts = 0;
    while killed < kills {
        attempts += 1;
        assert!(attempts < kills * 4, "only {killed} of {attempts} runs could be killed before they ended");
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (mut child, spawned) = (home.spawn(&arguments), Instant::now());
        let due = whole.mul_f64((random % 1_000) as f64 / 1_000.0) + Duration::from_millis(20);
        while spawned.elapsed() < due && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        } else {
            whole = whole.min(spawned.elapsed());
        }
        child.wait().unwrap();
    }
    let last = home.run(&arguments);
    assert!(last.status.success(), "{}", stderr(&last));

    let expected = event_ids(&undisturbed);
    assert!(expected.len() >= count, "{} events of {count} records", expected.len());
    assert_eq!(check(&expected, &event_ids(&home)), Ok(()));
    assert!(events(&home) == events(&undisturbed), "the same events in the same order with the same offsets");
    let (left, right) = (findings(&home), findings(&undisturbed));
    assert!(!right.is_empty(), "the input must give findings");
    assert_eq!(left, right, "findings are those of the undisturbed run");
    println!("{killed} kills over {count} records: {} events, {} finding revisions, all as undisturbed", expected.len(), right.len());
}

#[test]
fn the_checker_catches_a_planted_loss_and_a_planted_duplicate() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let event = |number: u8| Event { event_id: EventId([number; 16]), log_offset: i64::from(number), ..Event::default() };
    let all: Vec<Event> = (0..20).map(event).collect();
    let expected: Vec<String> = all.iter().map(|event| event.event_id.to_hex()).collect();
    let stored = |commits: &[Vec<&Event>]| {
        let home = Home::new();
        runtime.block_on(async {
            let lake = keytrail_lake::Lake::open(home.data().join("lake").to_str().unwrap(), keytrail_lake::Options::default()).await.unwrap();
            for (partition, rows) in (0..).zip(commits) {
                let rows: Vec<Event> = rows.iter().map(|event| Event { log_partition: partition, ..(*event).clone() }).collect();
                lake.commit_events(&rows, &[(Topic::Events, partition, 20)]).await.unwrap();
            }
        });
        event_ids(&home)
    };
    assert_eq!(check(&expected, &stored(&[all.iter().collect()])), Ok(()));
    let lost = check(&expected, &stored(&[all.iter().filter(|event| event.log_offset != 7).collect()])).unwrap_err();
    assert!(lost.contains("lost"), "{lost}");
    let doubled = check(&expected, &stored(&[all.iter().collect(), vec![&all[3]]])).unwrap_err();
    assert!(doubled.contains("too often"), "{doubled}");
    let foreign = check(&expected[..19], &stored(&[all.iter().collect()])).unwrap_err();
    assert!(foreign.contains("never sent"), "{foreign}");
}
