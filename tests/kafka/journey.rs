//! What Kafka is for, without any disturbance: the same answers as on the embedded log, on more than one process.

use serde_json::Value;

use super::Site;
use crate::estate::{Home, Totals, cloudtrail_lines, rows};

/// Everything of every event but when it was read.
const EVENTS: &str = "select * from events order by log_partition, log_offset";

fn without_time_of_reading(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("ingested_at");
    }
    rows
}

#[test]
fn the_same_files_give_the_same_events_and_findings_as_on_the_embedded_log() {
    let Some(site) = Site::new("the_same_files_give_the_same_events_and_findings_as_on_the_embedded_log", 1) else { return };
    let lines = cloudtrail_lines(30_000);
    let embedded = Home::new();
    let path = embedded.file("events.log", &lines);
    embedded.ingest(&["--format", "cloudtrail", path.to_str().unwrap()]);

    let path = site.home.file("events.log", &lines);
    let ingest = ["ingest", "--format", "cloudtrail", path.to_str().unwrap()];
    let first = Totals::of(&rows(&site.expect(&ingest)));
    let again = Totals::of(&rows(&site.expect(&ingest)));
    assert_eq!((first.duplicate, again.stored, again.duplicate), (0, 0, first.stored), "the second run stores nothing twice");
    site.drain();

    let (left, right) = (without_time_of_reading(site.rows(&["sql", EVENTS])), without_time_of_reading(embedded.rows(&["sql", EVENTS])));
    assert_eq!(left.len(), right.len());
    assert!(left == right, "events differ");
    let (left, right) = (site.findings(), embedded.rows(&["sql", super::FINDINGS]));
    assert!(!right.is_empty());
    assert_eq!(left, right, "findings");
    let touched = ["touched", "svc-3"];
    assert_eq!(site.rows(&touched), embedded.rows(&touched), "answers");
    assert_eq!(site.rows(&["credentials"]), embedded.rows(&["credentials"]), "the ledger");
}

#[test]
fn topics_are_checked_and_other_tools_read_findings_and_dead_letters() {
    let Some(site) = Site::new("topics_are_checked_and_other_tools_read_findings_and_dead_letters", 2) else { return };
    site.expect(&["topics", "check"]);
    let mut lines = cloudtrail_lines(20_000);
    lines.push_str("{\"eventVersion\": \"1.09\", this is no JSON\n");
    let path = site.home.file("events.log", &lines);
    let totals = Totals::of(&site.rows(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]));
    assert_eq!(totals.dead_lettered, 1);
    site.drain();
    let kcat = |topic: &str| {
        let output = std::process::Command::new("kcat").args(["-C", "-b", &site.broker.address, "-t", topic, "-e", "-q", "-J"]).output();
        match output {
            Ok(output) => String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>(),
            Err(error) => {
                assert!(super::setting("KEYTRAIL_CI").is_none(), "kcat must be there in CI: {error}");
                eprintln!("SKIPPED the reading by kcat: {error}");
                Vec::new()
            }
        }
    };
    let payload = |record: &Value| serde_json::from_str::<Value>(record["payload"].as_str().unwrap()).unwrap();
    let findings = kcat("keytrail.findings");
    for finding in &findings {
        assert!(payload(finding)["finding_id"].is_string(), "{finding}");
        assert!(finding["headers"].as_array().is_some_and(|headers| headers.iter().any(|h| h == "rule")), "{finding}");
    }
    let stored = site.rows(&["sql", "select count(*) as n from findings_log"]);
    assert!(findings.is_empty() || stored[0]["n"] == findings.len(), "{} read by kcat, {} stored", findings.len(), stored[0]["n"]);
    let letters = kcat("keytrail.dead-letters");
    assert!(letters.len() <= 1 && letters.iter().all(|letter| payload(letter)["message"].is_string()));
    assert_eq!(site.rows(&["dead-letters", "list"]).len(), 1);
    // Each identity's events are in one partition.
    let spread =
        site.rows(&["sql", "select identity, count(distinct log_partition) as partitions from events group by 1 having count(distinct log_partition) > 1"]);
    assert!(spread.is_empty(), "{spread:?}");
}
