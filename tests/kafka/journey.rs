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
    let mut findings = kcat("keytrail.findings");
    // What stays below the line travels too, for its detections; it is nobody's finding.
    findings.retain(|finding| payload(finding)["below_line"] != true);
    for finding in &findings {
        assert!(payload(finding)["finding_id"].is_string(), "{finding}");
        assert!(finding["headers"].as_array().is_some_and(|headers| headers.iter().any(|h| h == "rule")), "{finding}");
    }
    let stored = site.rows(&["sql", "select count(*) as n from findings_log"]);
    assert!(findings.is_empty() || stored[0]["n"] == findings.len(), "{} read by kcat, {} stored", findings.len(), stored[0]["n"]);
    // A detector that wakes late writes what another wrote before: repetitions at the very end, which nothing stored stands for. They are come past.
    if let Some(last) = findings.last() {
        let mut late = std::process::Command::new("kcat")
            .args(["-P", "-b", &site.broker.address, "-t", "keytrail.findings", "-p", &last["partition"].to_string()])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut late.stdin.take().unwrap(), last["payload"].as_str().unwrap().as_bytes()).unwrap();
        assert!(late.wait().unwrap().success());
        site.drain();
        assert_eq!(site.rows(&["sql", "select count(*) as n from findings_log"]), stored);
    }
    let letters = kcat("keytrail.dead-letters");
    assert!(letters.len() <= 1 && letters.iter().all(|letter| payload(letter)["message"].is_string()));
    assert_eq!(site.rows(&["dead-letters", "list"]).len(), 1);
    // Each identity's events are in one partition.
    let spread =
        site.rows(&["sql", "select identity, count(distinct log_partition) as partitions from events group by 1 having count(distinct log_partition) > 1"]);
    assert!(spread.is_empty(), "{spread:?}");
}

#[test]
fn collect_follows_its_sources_and_forward_sends_what_was_found() {
    let Some(site) = Site::new("collect_follows_its_sources_and_forward_sends_what_was_found", 1) else { return };
    let lines = cloudtrail_lines(20_000);
    let half = lines[..lines.len() / 2].rfind('\n').unwrap() + 1;
    let settings = std::fs::read_to_string(site.home.path().join("keytrail.toml")).unwrap();
    let sent = site.home.path().join("sent.ndjson");
    site.home.file(
        "keytrail.toml",
        format!(
            "{settings}[[source]]\nname = \"trail\"\nformat = \"cloudtrail\"\npaths = [\"logs\"]\npoll_interval_ms = 200\n[[forward]]\ntarget = \"file:{}\"\nencoding = \"ocsf\"\n",
            sent.display()
        ),
    );
    site.home.file("logs/events.log", &lines[..half]);
    let mut roles = [site.spawn(&["collect"]), site.spawn(&["detect"]), site.spawn(&["store"])];
    // Until the store has made the lake there is none to ask.
    let count = || {
        let output = site.run(&["sql", "select count(*) as n from events"]);
        if output.status.success() { crate::estate::rows(&output)[0]["n"].as_i64().unwrap() } else { 0 }
    };
    let reaches = |wanted: i64| {
        let started = std::time::Instant::now();
        while count() < wanted {
            assert!(started.elapsed() < std::time::Duration::from_secs(120), "{} of {wanted} events", count());
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
    };
    reaches(i64::try_from(lines[..half].lines().count()).unwrap());
    // The file grows, as a log does.
    let mut file = std::fs::File::options().append(true).open(site.home.path().join("logs/events.log")).unwrap();
    std::io::Write::write_all(&mut file, &lines.as_bytes()[half..]).unwrap();
    reaches(20_000);
    assert!(roles.iter_mut().all(|role| !role.has_ended()));
    for role in &mut roles {
        role.signal("TERM");
        assert!(role.wait(std::time::Duration::from_secs(60)), "a role ends in order when it is told to");
    }
    site.drain();
    site.expect(&["forward", "--drain"]);
    let found = site.rows(&["sql", "select count(*) as n from findings_log"])[0]["n"].as_i64().unwrap();
    let lines: Vec<Value> = std::fs::read_to_string(&sent).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(found > 0);
    assert_eq!(i64::try_from(lines.len()).unwrap(), found, "each revision of each finding was sent once");
    // A detection finding, or an incident finding where there are several.
    assert!(lines.iter().all(|line| line["class_uid"] == 2004 || line["class_uid"] == 2005));
}

#[test]
fn serve_tells_what_was_found_before_the_store_has_come_to_it() {
    let Some(site) = Site::new("serve_tells_what_was_found_before_the_store_has_come_to_it", 2) else { return };
    let lines = cloudtrail_lines(20_000);
    let half = lines[..lines.len() / 2].rfind('\n').unwrap() + 1;
    let ingest = |name: &str, lines: &str| {
        let path = site.home.file(name, lines);
        site.expect(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]);
    };
    ingest("first.log", &lines[..half]);
    site.drain();
    let port = crate::estate::free_port();
    let (listen, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let mut server = site.spawn(&["serve", "--listen", &listen, "--no-auth"]);
    const DETECTIONS: &str = "select * from detections_log order by log_partition, log_offset, detection_id, revision";
    let asked = |sql: &str| {
        let output = site.run(&["--server", &url, "sql", sql]);
        output.status.success().then(|| rows(&output))
    };
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let started = std::time::Instant::now();
        while !holds() {
            assert!(started.elapsed() < std::time::Duration::from_secs(60), "{what}");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    };
    let stored = || (site.findings(), site.rows(&["sql", DETECTIONS]));
    let (before, _) = stored();
    until("the door answers as the lake does", &|| asked(super::FINDINGS).is_some_and(|rows| rows == before));

    // Judged, and nobody stores.
    ingest("second.log", &lines[half..]);
    site.expect(&["detect", "--drain"]);
    until("what was found is told", &|| asked(super::FINDINGS).is_some_and(|rows| rows.len() > before.len()));
    assert_eq!(stored().0, before, "the lake has none of it yet");
    // The topic comes a piece at a time, and is read ten times a second.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let (told, detections) = (asked(super::FINDINGS).unwrap(), asked(DETECTIONS).unwrap());

    site.expect(&["store", "--drain"]);
    let (findings, of_lake) = stored();
    assert!(findings.len() > before.len());
    assert_eq!(told, findings, "what was told is what was stored");
    assert_eq!(detections, of_lake, "and so are its detections");
    assert_eq!(asked(super::FINDINGS).unwrap(), findings, "nothing is seen twice");
    // What is stored is let go by and by.
    std::thread::sleep(std::time::Duration::from_secs(11));
    assert_eq!((asked(super::FINDINGS).unwrap(), asked(DETECTIONS).unwrap()), (findings, of_lake));
    assert!(!server.has_ended());
    server.signal("TERM");
    assert!(server.wait(std::time::Duration::from_secs(20)), "the doors close in order");
}
