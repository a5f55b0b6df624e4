//! `keytrail run` on files that grow, rotate and are missing, over runs; and exported events that come back as themselves.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::estate::{Home, cloudtrail_lines, stderr};

fn append(path: &Path, text: &str) {
    std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn count(home: &Home) -> i64 {
    home.rows(&["sql", "select count(*) as n from events"])[0]["n"].as_i64().unwrap()
}

#[test]
fn a_source_is_read_on_over_runs_and_what_is_torn_waits() {
    let home = Home::new();
    let lines = cloudtrail_lines(300);
    let cut = lines.match_indices('\n').nth(99).unwrap().0 + 1;
    let path = home.file("in/a.log", &lines[..cut + 50]);
    home.file("keytrail.toml", "[[source]]\nname = \"trail\"\nformat = \"cloudtrail\"\npaths = [\"in\"]\n");
    let run = || {
        let output = home.command(&["run", "--once"]).env("KEYTRAIL_LOG_LEVEL", "keytrail=info").env("NO_COLOR", "1").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    run();
    assert_eq!(count(&home), 100, "the torn line waits");
    append(&path, &lines[cut + 50..]);
    let said = run();
    assert_eq!(count(&home), 300);
    // A process of its own goes on from where the one before stood: nothing is read twice.
    assert!(said.contains("read=200") && said.contains("duplicate=0"), "{said}");
    let said = run();
    assert!(!said.contains("source read"), "nothing is new: {said}");
    let letters = home.rows(&["dead-letters", "list"]);
    assert!(letters.is_empty(), "{letters:?}");
}

#[test]
fn a_path_that_is_not_there_is_said_and_the_rest_is_read() {
    let home = Home::new();
    home.file("in/a.log", cloudtrail_lines(10));
    home.file("keytrail.toml", "[[source]]\nname = \"trail\"\nformat = \"cloudtrail\"\npaths = [\"nowhere\", \"in\", \"in/*.none\"]\n");
    let output = home.run(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("nowhere"), "{}", stderr(&output));
    assert_eq!(count(&home), 10);
    std::fs::create_dir(home.path().join("nowhere")).unwrap();
    let output = home.run(&["run", "--once"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn what_is_exported_comes_back_as_itself() {
    let (first, second) = (Home::new(), Home::new());
    let rows = (0..20).map(|n| {
        format!(
            r#"{{"ts":1381967744.{n:06},"uid":"C{n}","id.orig_h":"10.0.0.57","id.orig_p":2578,"id.resp_h":"10.0.0.3","id.resp_p":502,"func":"READ_COILS"}}"#
        ) + "\n"
    });
    let path = first.file("modbus.log", rows.collect::<String>());
    first.ingest(&["--cluster", "plant-a", "--source", "sensor", path.to_str().unwrap()]);
    let trail = first.file("trail.log", cloudtrail_lines(50));
    first.ingest(&[trail.to_str().unwrap()]);
    let everything = |home: &Home| -> Vec<Value> {
        let mut events = home.rows(&["sql", "select * from events order by event_id", "--output", "ndjson"]);
        for event in &mut events {
            let event = event.as_object_mut().unwrap();
            ["ingested_at", "log_partition", "log_offset"].iter().for_each(|own| drop(event.remove(*own)));
        }
        events
    };
    let exported = first.run(&["sql", "select * from events", "--output", "ndjson"]);
    assert!(exported.status.success());
    let export = second.file("export.ndjson", &exported.stdout);
    let count = i64::try_from(everything(&first).len()).unwrap();
    assert!(count >= 70);
    let totals = second.ingest(&["--format", "keytrail", export.to_str().unwrap()]);
    assert_eq!((totals.stored, totals.dead_lettered), (count, 0), "{totals:?}: {:?}", second.rows(&["dead-letters", "list"]).first());
    assert_eq!(everything(&second), everything(&first));
    // Where they came from they are known.
    let totals = first.ingest(&["--format", "keytrail", export.to_str().unwrap()]);
    assert_eq!((totals.stored, totals.duplicate), (0, count), "{totals:?}");
}

/// A process that is ended with its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The ledger is published once a minute; the doors of the same process do not wait for it.
#[test]
fn what_the_detector_of_this_process_knows_is_answered_before_it_is_published() {
    let home = Home::new();
    let lines = cloudtrail_lines(300);
    let cut = lines.match_indices('\n').nth(199).unwrap().0 + 1;
    let path = home.file("in/a.log", &lines[..cut]);
    home.file(
        "keytrail.toml",
        "[[source]]\nname = \"trail\"\nformat = \"cloudtrail\"\npaths = [\"in\"]\npoll_interval_ms = 500\nfinished_after_ms = 1000\n[metrics]\nlisten = \"\"\n[serve]\nlisten = \"127.0.0.1:0\"\nno_auth = true\n",
    );
    let mut process = Ended(home.command(&["run"]).stderr(std::process::Stdio::piped()).spawn().unwrap());
    let mut said = std::io::BufRead::lines(std::io::BufReader::new(process.0.stderr.take().unwrap()));
    let door = said.find_map(|line| Some(line.unwrap().split_once("console     ")?.1.trim_end_matches("/console").to_owned())).expect("the doors open");
    std::thread::spawn(move || said.for_each(drop));
    let ask = || {
        let output = home.run(&["--server", &door, "sql", "select identity, events, log_partition from identities", "--output", "ndjson"]);
        assert!(output.status.success(), "{}", stderr(&output));
        crate::estate::rows(&output)
    };
    let events = |rows: &[Value]| rows.iter().map(|row| row["events"].as_i64().unwrap()).sum::<i64>();
    let began = std::time::Instant::now();
    let wait_for = |count: i64| {
        while events(&ask()) != count {
            assert!(began.elapsed().as_secs() < 45, "only {:?} are known", ask());
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    };
    wait_for(200);
    append(&path, &lines[cut..]);
    wait_for(300);
    let published = home.rows(&["sql", "select sum(events) as n from identities"]);
    assert!(published[0]["n"].as_i64().unwrap_or(0) < 300, "this says nothing where all is published: {published:?}");
}
