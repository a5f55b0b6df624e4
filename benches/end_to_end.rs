//! End to end: a file of `CloudTrail` records through collector, log, detector and lake, by the binary, on a folder made for it. Beside it, in the same run
//! and on the same file: DuckDB turning the same JSON into zstd Parquet (no detection, no deduplication, no exactly-once), where Python has the `duckdb`
//! package, and `serde_json` parsing every line on one core. Then the same records, dealt out over several files so that every event is another file's
//! turn, on a log of one partition and of several: what each thread of keytrail takes of a processor. `keytrail-merge` puts the files in order and
//! `keytrail` appends; what these two take an event bounds the rate, whatever the number of cores.
//!
//!     cargo bench --bench end_to_end
//!
//! `KEYTRAIL_BENCH_EVENTS` (default 500,000) sets the size, `KEYTRAIL_BENCH_RUNS` (default 3) how often. The figure is the median.
//! `KEYTRAIL_BENCH_FILES` (default 16) and `KEYTRAIL_BENCH_PARTITIONS` (default `1 8`) are for the threads; `KEYTRAIL_BENCH_BINARY` names another keytrail to
//! measure them of.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs, reason = "a benchmark reads its size from the environment and ends on any failure")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

#[path = "../tests/estate.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod estate;

mod threads;

fn size(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn timed(run: impl Fn()) -> f64 {
    let started = Instant::now();
    run();
    started.elapsed().as_secs_f64()
}

fn keytrail(input: &Path) {
    let home = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_keytrail"))
        .args(["--quiet", "--dir"])
        .arg(home.path())
        .args(["ingest", "--format", "cloudtrail"])
        .arg(input)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

fn duckdb(input: &Path) -> Option<f64> {
    let script = "import duckdb,sys,time\nt=time.time()\nduckdb.sql(f\"copy (select * from read_json('{sys.argv[1]}', format='newline_delimited')) to '{sys.argv[1]}.parquet' (format parquet, compression zstd)\")\nprint(time.time()-t)";
    let output = Command::new("python3").args(["-c", script]).arg(input).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().unwrap())
}

/// The same records over several files, by threads, for each number of partitions.
fn by_threads(folder: &Path, lines: &str, events: usize) {
    let files = size("KEYTRAIL_BENCH_FILES", 16).max(1);
    let dealt = folder.join("dealt");
    std::fs::create_dir(&dealt).unwrap();
    for file in 0..files {
        let text: String = lines.split_inclusive('\n').skip(file).step_by(files).collect();
        std::fs::write(dealt.join(format!("{file}.json")), text).unwrap();
    }
    let binary = std::env::var("KEYTRAIL_BENCH_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_keytrail").to_owned());
    let partitions = std::env::var("KEYTRAIL_BENCH_PARTITIONS").unwrap_or_else(|_| "1 8".to_owned());
    for partitions in partitions.split_whitespace() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("keytrail.toml");
        std::fs::write(&config, format!("[embedded]\npartitions = {partitions}\n")).unwrap();
        let started = Instant::now();
        let mut child = Command::new(&binary)
            .args(["--quiet", "--config"])
            .arg(&config)
            .arg("--dir")
            .arg(home.path().join("data"))
            .args(["ingest", "--format", "cloudtrail"])
            .arg(&dealt)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let taken = threads::watch(&mut child);
        assert!(child.wait().unwrap().success());
        let seconds = started.elapsed().as_secs_f64();
        println!("{files} files, {partitions} partitions: {seconds:.2} s, {:.0} events/s", events as f64 / seconds);
        threads::print(&taken, events);
    }
}

fn main() {
    let (events, runs) = (size("KEYTRAIL_BENCH_EVENTS", 500_000), size("KEYTRAIL_BENCH_RUNS", 3));
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("events.json");
    let lines = estate::cloudtrail_lines(events);
    std::fs::write(&input, &lines).unwrap();
    let mebibytes = lines.len() as f64 / f64::from(1 << 20);
    println!("{events} CloudTrail records, {mebibytes:.0} MiB");
    by_threads(folder.path(), &lines, events);
    if runs == 0 {
        return;
    }
    let ours = median((0..runs).map(|_| timed(|| keytrail(&input))).collect());
    println!("keytrail ingest         {ours:8.2} s  {:10.0} events/s  {:7.1} MiB/s", events as f64 / ours, mebibytes / ours);
    let parse = median((0..runs).map(|_| timed(|| lines.lines().for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).unwrap())))).collect());
    println!(
        "serde_json parse, 1 core{parse:8.2} s  {:10.0} events/s  {:7.1} MiB/s  keytrail takes {:.2}x its time",
        events as f64 / parse,
        mebibytes / parse,
        ours / parse
    );
    let peers: Vec<f64> = (0..runs).filter_map(|_| duckdb(&input)).collect();
    if peers.is_empty() {
        println!("skipped: DuckDB (python3 has no duckdb package)");
    } else {
        let peer = median(peers);
        println!(
            "DuckDB JSON to Parquet  {peer:8.2} s  {:10.0} events/s  {:7.1} MiB/s  keytrail takes {:.2}x its time",
            events as f64 / peer,
            mebibytes / peer,
            ours / peer
        );
    }
}
