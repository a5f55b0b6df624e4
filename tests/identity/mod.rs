//! Real servers that give machines their credentials, read while they run: what their clients did is told by `credentials`, `touched`, `timeline` and `explain`.
//!
//! The servers and the Python that plays their clients are named from outside; without them a test says that it was skipped, and under `KEYTRAIL_CI=1` fails.

mod keycloak;
mod step_ca;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::estate::{Home, free_port, rows, stderr};

/// What `variable` names, and a Python with `PyJWT` and `cryptography`.
#[expect(clippy::disallowed_methods, reason = "the test's servers are named from outside")]
fn needed(test: &str, variable: &str) -> Option<(PathBuf, PathBuf)> {
    let named = |variable: &str| std::env::var(variable).ok().map(PathBuf::from);
    if let (Some(server), Some(python)) = (named(variable), named("KEYTRAIL_DOORS_PYTHON")) {
        return Some((server, python));
    }
    assert!(std::env::var("KEYTRAIL_CI").is_err(), "{variable} and KEYTRAIL_DOORS_PYTHON must name the server and its clients' Python in CI");
    eprintln!("SKIPPED {test}: {variable} or KEYTRAIL_DOORS_PYTHON names nothing");
    None
}

/// A process that ends with its test, and whatever it started: a server's start script leaves the server behind.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let started = command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        Self(started.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Ends it as a service manager does.
    fn stop(mut self) {
        assert!(Command::new("kill").arg("-TERM").arg(self.0.id().to_string()).status().unwrap().success());
        let status = self.0.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `keytrail run` on a log that grows.
fn follow(home: &Home, format: &str, log: &Path, more: &str) -> Running {
    let source = format!("[[source]]\nname = \"real\"\nformat = \"{format}\"\npaths = [\"{}\"]\npoll_interval_ms = 200\n", log.display());
    home.file("keytrail.toml", format!("[store]\ncommit_interval_ms = 200\n[detector]\npublish_interval_ms = 500\n{more}{source}"));
    let mut command = home.command(&["run", "--metrics-listen", ""]);
    command.env("NO_COLOR", "1");
    Running::start(&mut command, &home.path().join("keytrail.log"))
}

/// Lets the clients do what they do, and reads what they say they did.
fn clients(python: &Path, script: &str, arguments: &[&str]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity").join(script);
    let output = Command::new(python).env("PYTHONDONTWRITEBYTECODE", "1").arg(script).args(arguments).output().expect("Python runs");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    rows(&output)
}

/// Waits until a statement has a row.
fn until(home: &Home, sql: &str) {
    let started = Instant::now();
    loop {
        let output = home.run(&["sql", sql, "--output", "ndjson"]);
        if output.status.success() && !rows(&output).is_empty() {
            return;
        }
        let said = || std::fs::read_to_string(home.path().join("keytrail.log")).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(90), "nothing for {sql}: {}{}", stderr(&output), said());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Rows of a timeline as `activity outcome action`, without what the ledger adds.
fn told(timeline: &[Value]) -> Vec<String> {
    let word = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    let events = timeline.iter().filter(|row| row["origin"] == "event");
    events.map(|row| format!("{} {} {}", word(row, "activity"), word(row, "outcome"), word(row, "action"))).collect()
}

/// The only row of which this is so.
fn one(rows: &[Value], is: impl Fn(&Value) -> bool) -> &Value {
    let mut found = rows.iter().filter(|row| is(row));
    match (found.next(), found.next()) {
        (Some(row), None) => row,
        (first, second) => panic!("{first:?} and {second:?} of {rows:#?}"),
    }
}

/// Seconds from one RFC 3339 time to another, both on one day's clock.
fn seconds(from: &Value, to: &Value) -> f64 {
    let at = |value: &Value| keytrail_schemas::Micros::parse_rfc3339(value.as_str().unwrap()).unwrap().0;
    (at(to) - at(from)) as f64 / 1e6
}
