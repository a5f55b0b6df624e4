//! What is out of reach, gone or killed: an answer that is right, or an error that says so; never wrong rows.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::asked::written;
use crate::process::{Cluster, batches, free_port};

/// Exit code and standard error of what must not be answered.
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_of_reach_or_wrong_is_told() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), true).await;
    let lake = folder.path();
    let mut cluster = Cluster::without_executors();

    let (code, told) = refused(&mut cluster.client(lake, &["posture"]));
    assert!(code == Some(4) && told.contains("has no executors"), "{told}");
    let nobody = format!("127.0.0.1:{}", free_port());
    let (code, told) = refused(Command::new(env!("CARGO_BIN_EXE_keytrail-ballista")).args(["posture", "--scheduler", &nobody, "--lake"]).arg(lake));
    assert!(code == Some(4) && told.contains(&nobody) && told.contains("no Ballista scheduler answers"), "{told}");
    let taken = cluster.address.to_string();
    let (code, told) = refused(Command::new(env!("CARGO_BIN_EXE_keytrail-ballista")).args(["scheduler", "--listen", &taken]));
    assert!(code == Some(4) && told.contains(&taken), "{told}");
    let scheduler = cluster.address.to_string();
    let (code, told) = refused(Command::new(env!("CARGO_BIN_EXE_keytrail-ballista")).args(["executor", "--listen", &taken, "--scheduler", &scheduler]));
    assert!(code == Some(4) && told.contains(&taken), "{told}");

    cluster = Cluster::of(1);
    for (arguments, code, told) in [
        (vec!["touched", "nobody-of-that-name"], 2, "no identity matches"),
        (vec!["touched", "user/backup", "--since", "soon"], 2, "is not a time"),
        (vec!["sql", "DROP TABLE events"], 2, "DDL"),
        (vec!["sql", "COPY events TO '/tmp/x.parquet'"], 2, "DML"),
        (vec!["sql", "SET datafusion.execution.batch_size = 1"], 2, "Statement"),
        (vec!["sql", "SELECT * FROM nothing"], 2, "nothing"),
        (vec!["sql", "SELECT 1; SELECT 2"], 2, "single SQL statement"),
        (vec!["sql", "EXPLAIN ANALYZE SELECT * FROM events"], 2, "EXPLAIN shows the plan"),
    ] {
        let (seen, text) = refused(&mut cluster.client(lake, &arguments));
        assert!(seen == Some(code) && text.to_lowercase().contains(&told.to_lowercase()), "{arguments:?}: {seen:?} {text}");
    }
    let empty = tempfile::tempdir().unwrap();
    let (code, told) = refused(&mut cluster.client(empty.path(), &["posture"]));
    assert!(code == Some(2) && told.contains("there is no lake"), "{told}");

    // A data file that is gone: the error names it, and what it covers; a question that does not need it is answered.
    let day = lake.join("events/day=2026-03-03");
    let files: Vec<_> = std::fs::read_dir(&day).unwrap().map(|file| file.unwrap().path()).collect();
    let named = |told: &str| files.iter().any(|file| told.contains(file.file_name().unwrap().to_str().unwrap()));
    for file in &files {
        std::fs::remove_file(file).unwrap();
    }
    let (code, told) = refused(&mut cluster.client(lake, &["sql", "SELECT count(identity) FROM events"]));
    assert!(code == Some(4) && told.contains("2026-03-03") && told.contains("is gone") && named(&told), "{told}");
    cluster.ask(lake, &["sql", "SELECT count(identity) FROM events WHERE day > DATE '2026-03-03'"]);
}

/// A statement that computes for a while, and its answer: as many rows as there are ways to take an event five times.
fn long(lake: &Path, cluster: &Cluster) -> (String, i64) {
    let count = cluster.ask(lake, &["sql", "SELECT count(*) AS n FROM events"]);
    let events: i64 = crate::asked::rows(&count, 1)[0].parse().unwrap();
    let ids = "a.event_id || b.event_id || c.event_id || d.event_id || e.event_id";
    let query = format!("SELECT sum(length(reverse(repeat({ids}, 100))) % 2 * 0 + 1) AS n FROM events a, events b, events c, events d, events e");
    (query, events.pow(5))
}

/// Whether a job computes the sum of [`long`]; the client goes by the same words when it looks whether a cluster stands still.
fn is_in_its_long_stage(cluster: &Cluster) -> bool {
    let jobs = cluster.api("/api/jobs");
    jobs.as_array().unwrap().iter().filter(|job| job["status"] == "Running").any(|job| {
        let stages = cluster.api(&format!("/api/job/{}/stages", job["job_id"].as_str().unwrap()));
        stages["stages"].as_array().unwrap().iter().any(|stage| {
            let is_sum = stage["stage_plan"].as_str().is_some_and(|plan| plan.contains("mode=Partial"));
            is_sum && stage["tasks"].as_array().unwrap().iter().filter(|task| task["status"] == "Running").count() > 1
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_killed_in_the_middle_gives_no_wrong_answer() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), true).await;
    let mut cluster = Cluster::of(2);
    let (query, right) = long(folder.path(), &cluster);
    let asking = cluster
        .client(folder.path(), &["sql", &query, "--output", "parquet", "--partitions", "4"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Both executors have all that they need of each other, and compute for longer than it takes to notice that one is gone: the other's tasks are taken back then.
    let begun = std::time::Instant::now();
    while !is_in_its_long_stage(&cluster) {
        assert!(begun.elapsed() < Duration::from_secs(120), "the job comes to its long stage: {}", cluster.api("/api/jobs"));
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(is_in_its_long_stage(&cluster), "it is in its middle");
    cluster.kill(0);
    let output = asking.wait_with_output().unwrap();
    if output.status.success() {
        assert_eq!(crate::asked::rows(&batches(output), 1), [right.to_string()]);
    } else {
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(4) && output.stdout.is_empty(), "{told}");
        // Seen to be lost, or missed by another that wanted what it had computed.
        assert!(told.contains("ask again") || told.contains("failed"), "{told}");
    }
    // The lost one is noticed, and the other answers with all its cores.
    cluster.wait_for(1);
    let count = cluster.ask(folder.path(), &["sql", "SELECT count(*) AS n FROM events"]);
    assert_eq!(crate::asked::rows(&count, 1)[0].parse::<i64>().unwrap().pow(5), right);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_takes_too_long_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), true).await;
    let cluster = Cluster::of(1);
    let (query, _) = long(folder.path(), &cluster);
    let (code, told) = refused(&mut cluster.client(folder.path(), &["sql", &query, "--time-limit", "2"]));
    assert!(code == Some(4) && told.contains("stopped after 2 s"), "{told}");
    let begun = std::time::Instant::now();
    while cluster.api("/api/jobs").as_array().unwrap().iter().any(|job| job["status"] == "Running") {
        assert!(begun.elapsed() < Duration::from_secs(30), "the job ends: {}", cluster.api("/api/jobs"));
        std::thread::sleep(Duration::from_millis(100));
    }
}
