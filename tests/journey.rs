//! Files in, answers out.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::estate::{Home, Totals, cloudtrail, cloudtrail_lines, rows, stderr};

/// `svc-deploy` gets a key on 1 March, uses it daily, and reads a secret with it three weeks later; the record of the creation is in the log.
fn story() -> String {
    let day = 86_400;
    let mut created = cloudtrail(0, "admin", "AKIAADMIN00000000001", "iam.amazonaws.com", "CreateAccessKey", json!({ "userName": "svc-deploy" }));
    created["responseElements"] = json!({ "accessKey": { "userName": "svc-deploy", "accessKeyId": "AKIADEPLOY0000000001", "status": "Active", "createDate": "Mar 1, 2026 12:00:00 AM" } });
    let mut lines = vec![created];
    for n in 1..20 {
        lines.push(cloudtrail(
            n * day + 7_200,
            "svc-deploy",
            "AKIADEPLOY0000000001",
            "s3.amazonaws.com",
            "PutObject",
            json!({ "bucketName": "releases", "key": "app" }),
        ));
    }
    lines.push(cloudtrail(20 * day, "svc-deploy", "AKIADEPLOY0000000001", "secretsmanager.amazonaws.com", "GetSecretValue", json!({ "secretId": "prod/db" })));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_did_it_touch_and_how_old_was_the_key() {
    let home = Home::new();
    let path = home.file("trail.json", story());
    home.ingest(&[path.to_str().unwrap()]);
    let touched = home.rows(&["touched", "svc-deploy"]);
    let secret = touched.iter().find(|row| row["action"] == "secretsmanager:GetSecretValue").unwrap_or_else(|| panic!("{touched:?}"));
    assert_eq!(secret["identity"], "aws:111122223333:user/svc-deploy");
    assert_eq!(secret["credential"], "AKIADEPLOY0000000001");
    assert_eq!(secret["count"], 1);
    assert!((secret["credential_age_days"].as_f64().unwrap() - 20.0).abs() < 0.01, "{secret}");
    assert_eq!(secret["first"], "2026-03-21T00:00:00Z");
    let releases = touched.iter().find(|row| row["action"] == "s3:PutObject").unwrap();
    assert_eq!(releases["count"], 19);
    let reverse = home.rows(&["who-touched", "releases"]);
    assert!(reverse.iter().any(|row| row["identity"] == "aws:111122223333:user/svc-deploy"), "{reverse:?}");
    let timeline = home.rows(&["timeline", "svc-deploy", "--since", "2026-03-20T00:00:00Z"]);
    assert!(timeline.iter().any(|row| row["action"] == "secretsmanager:GetSecretValue"), "{timeline:?}");
    let credentials = home.rows(&["credentials", "AKIADEPLOY0000000001"]);
    assert_eq!(credentials[0]["issued_is_exact"], true, "{credentials:?}");
    assert_eq!(credentials[0]["identity"], "aws:111122223333:user/svc-deploy");
    assert!(home.rows(&["identities"]).iter().any(|row| row["identity"] == "aws:111122223333:user/svc-deploy"));
    assert!(!home.rows(&["coverage"]).is_empty());
}

#[test]
fn the_same_file_again_under_another_name_or_overlapping_is_stored_once() {
    let home = Home::new();
    let lines = cloudtrail_lines(3_000);
    let path = home.file("one.log", &lines);
    let first = home.ingest(&[path.to_str().unwrap()]);
    assert_eq!(first.read, first.stored);
    let again = home.ingest(&[path.to_str().unwrap()]);
    assert_eq!(again, Totals { read: first.read, stored: 0, duplicate: first.read, dead_lettered: 0 });
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(lines.as_bytes()).unwrap();
    let renamed = home.file("other/name.gz", encoder.finish().unwrap());
    assert_eq!(home.ingest(&[renamed.to_str().unwrap()]).stored, 0);
    let (_, tail) = lines.split_at(lines.match_indices('\n').nth(1_499).unwrap().0 + 1);
    let more = cloudtrail(2_000_000, "svc-1", "AKIA1", "s3.amazonaws.com", "GetObject", json!({ "bucketName": "b" }));
    let overlapping = home.file("overlap.log", format!("{tail}{more}\n"));
    assert_eq!(home.ingest(&[overlapping.to_str().unwrap()]).stored, 1);
}

#[test]
fn standard_input_and_a_folder_give_what_a_file_gives() {
    let lines = cloudtrail_lines(2_000);
    let ids = |home: &Home| home.rows(&["sql", "select event_id from events order by log_offset"]);
    let from_file = Home::new();
    let path = from_file.file("a.log", &lines);
    from_file.ingest(&[path.to_str().unwrap()]);

    let from_input = Home::new();
    let mut child = from_input
        .command(&["ingest", "--format", "cloudtrail", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(ids(&from_input), ids(&from_file));

    // The files of a folder are merged by time, whatever their names say.
    let from_folder = Home::new();
    let (early, late) = lines.split_at(lines.match_indices('\n').nth(999).unwrap().0 + 1);
    from_folder.file("in/a-late.log", late);
    from_folder.file("in/z-early.log", early);
    from_folder.ingest(&["in"]);
    assert_eq!(ids(&from_folder), ids(&from_file));
}

#[test]
fn findings_are_explained_down_to_their_evidence() {
    let home = Home::new();
    let path = home.file("a.log", cloudtrail_lines(5_000));
    home.ingest(&[path.to_str().unwrap()]);
    let findings = home.rows(&["findings"]);
    assert!(!findings.is_empty());
    for key in [
        "finding_id",
        "rule",
        "title",
        "severity",
        "identity",
        "credential",
        "credential_age_days",
        "time",
        "first_event_time",
        "last_event_time",
        "event_ids",
        "count",
        "reasons",
        "score",
        "p_value",
        "tags",
        "not_assessable",
    ] {
        assert!(findings[0].get(key).is_some(), "{key} is missing: {}", findings[0]);
    }
    let stopped = findings.iter().find(|finding| finding["rule"].as_str().unwrap().contains("audit-logging")).expect("StopLogging is a finding");
    let explained = home.run(&["explain", stopped["finding_id"].as_str().unwrap(), "--output", "table"]);
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(text.contains("StopLogging"), "{text}");
}

#[test]
fn rebuild_gives_the_same_findings() {
    let home = Home::new();
    let path = home.file("a.log", cloudtrail_lines(5_000));
    home.ingest(&[path.to_str().unwrap()]);
    let before = home.rows(&["sql", "select * from findings order by finding_id"]);
    assert!(!before.is_empty());
    let rebuilt = home.run(&["rebuild"]);
    assert!(rebuilt.status.success(), "{}", stderr(&rebuilt));
    assert_eq!(home.rows(&["sql", "select * from findings order by finding_id"]), before);
}

#[test]
fn run_watches_its_sources_and_serves_metrics() {
    let home = Home::new();
    home.file("in/a.log", cloudtrail_lines(500));
    home.file("keytrail.toml", "[[source]]\nname = \"trail\"\nformat = \"cloudtrail\"\npaths = [\"in\"]\npoll_interval_ms = 100\n[[forward]]\ntarget = \"file:out.ndjson\"\nencoding = \"ocsf\"\n");
    let port = crate::estate::free_port();
    let mut child = home.command(&["run", "--metrics-listen", &format!("127.0.0.1:{port}")]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let metrics = || -> Option<String> {
        use std::io::Read as _;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    };
    let mut seen = String::new();
    for _ in 0..300 {
        seen = metrics().unwrap_or_default();
        if seen.contains("keytrail_store_committed_total{") && seen.contains("table=\"events\"") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // A second file arrives while it runs.
    home.file("in/b.log", format!("{}\n", cloudtrail(2_000_000, "svc-1", "AKIA1", "s3.amazonaws.com", "GetObject", json!({ "bucketName": "b" }))));
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let terminated = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(terminated.success());
    let status = child.wait().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(status.success(), "{status}: {said}");
    for name in ["keytrail_ingest_read", "keytrail_ingest_stored", "keytrail_detect_judged", "keytrail_lag_records", "keytrail_store_committed"] {
        assert!(seen.contains(name), "{name} is not among the metrics: {seen}");
    }
    let stored = home.rows(&["sql", "select count(*) as n from events"]);
    assert!(stored[0]["n"].as_i64().unwrap() > 500, "{stored:?}");
    let forwarded = std::fs::read_to_string(home.path().join("out.ndjson")).unwrap();
    for line in forwarded.lines() {
        // A detection alone, or several that are one incident.
        assert!([2004, 2005].map(Value::from).contains(&serde_json::from_str::<Value>(line).unwrap()["class_uid"]), "{line}");
    }
    assert!(!forwarded.is_empty());
}

#[test]
fn the_demo_finds_what_it_planted() {
    let home = Home::new();
    let output = home.run(&["demo", "--days", "6", "--identities", "60", "--no-serve"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout.clone()).unwrap() + &stderr(&output);
    assert!(said.contains("svc-deploy"), "{said}");
    let touched = home.rows(&["touched", "svc-deploy"]);
    assert!(touched.iter().any(|row| row["credential_age_days"].as_f64().is_some_and(|age| (211.0..214.0).contains(&age))), "{touched:?}");
    assert!(!home.rows(&["findings"]).is_empty());
    assert!(said.contains("The queue, best first") && said.contains("are about no attack"), "{said}");

    // What the demo says of itself, `evaluate` says of it too, and of simple detectors beside it.
    let labels = home.data().join("demo-logs/labels.json");
    let plot = home.path().join("plot.svg");
    let rows = home.rows(&["evaluate", "--labels", labels.to_str().unwrap(), "--comparators", "--plot", plot.to_str().unwrap()]);
    let value = |detector: &str, metric: &str| {
        let row = rows.iter().find(|row| row["detector"] == detector && row["metric"] == metric);
        row.unwrap_or_else(|| panic!("no {metric} of {detector} in {rows:?}"))["value"].as_f64().unwrap()
    };
    let hidden: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&labels).unwrap()).unwrap();
    assert_eq!(value("keytrail", "attacks"), hidden.len() as f64);
    assert!(value("keytrail", "recall") >= 0.5 && value("keytrail", "recall_with_evidence") <= value("keytrail", "recall"), "{rows:?}");
    assert!(value("keytrail", "recall_in_top_10_a_day") >= value("keytrail", "recall_in_top_1_a_day"));
    let others = ["new edge (EdgeBank, unlimited)", "EdgeBank, seven days", "static thresholds"];
    for other in others {
        assert!((0.0..=1.0).contains(&value(other, "average_precision")), "{rows:?}");
    }
    assert!(std::fs::read_to_string(plot).unwrap().contains("Calibration"));
    // The demo's summary counts alike.
    let found = (value("keytrail", "recall") * hidden.len() as f64).round() as usize;
    let line = said.lines().find(|line| line.starts_with("all ")).unwrap();
    assert_eq!(line.split_whitespace().nth(1).unwrap(), found.to_string(), "{line}");

    // What is rebuilt is the same, in less memory than its events need.
    let question = ["sql", "select finding_id, score, count from findings order by finding_id"];
    let before = home.rows(&question);
    home.file("keytrail.toml", "[query]\nmemory_bytes_max = 67108864\n");
    let rebuilt = home.run(&["rebuild"]);
    assert!(rebuilt.status.success(), "{}", stderr(&rebuilt));
    assert_eq!(home.rows(&question), before);
}

#[test]
fn labels_that_cannot_be_used_are_refused_by_name() {
    let home = Home::new();
    let path = home.file("a.log", cloudtrail_lines(200));
    home.ingest(&[path.to_str().unwrap()]);
    for (content, says) in [("[{\"identity\": \"a\"}]", "label 1: `attack` is missing"), ("[]", "no label lies between"), ("{", "line 1")] {
        let labels = home.file("labels.json", content);
        let output = home.run(&["evaluate", "--labels", labels.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{content}");
        assert!(stderr(&output).contains(says) && stderr(&output).contains("labels.json"), "{content}: {}", stderr(&output));
    }
    let output = home.run(&["evaluate", "--labels", "no-such-file"]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("no-such-file"), "{}", stderr(&output));
}

#[test]
fn answers_come_in_every_format() {
    let home = Home::new();
    let path = home.file("a.log", cloudtrail_lines(200));
    home.ingest(&[path.to_str().unwrap()]);
    let json: Value = serde_json::from_slice(&home.run(&["identities", "--output", "json"]).stdout).unwrap();
    let count = json.as_array().unwrap().len();
    assert_eq!(rows(&home.run(&["identities", "--output", "ndjson"])).len(), count);
    let csv = home.run(&["identities", "--output", "csv"]).stdout;
    assert_eq!(String::from_utf8(csv).unwrap().lines().count(), count + 1);
    assert!(home.run(&["identities", "--output", "parquet"]).stdout.starts_with(b"PAR1"));
    assert!(String::from_utf8(home.run(&["identities", "--output", "table"]).stdout).unwrap().contains("identity"));
    let findings = home.run(&["findings", "--output", "csv"]);
    assert!(findings.status.success(), "{}", stderr(&findings));
}
