//! A lake that was written to very often: how long it takes to open, and how many files its logs have, after so many commits with a round of upkeep
//! every so often, as `keytrail upkeep` and `run` do it.
//!
//!     KEYTRAIL_BENCH_COMMITS=1000000 cargo bench -p keytrail-query --bench commits
//!
//! `KEYTRAIL_BENCH_COMMITS` (default 20,000) commits are made by the store itself, one after the other, each as if 2.6 seconds after the one before: a
//! million are a month. Every 30th stores an event: its file is joined with others later and stays in the log as removed, and at a million commits there
//! are as many of those as a day of one commit each 2.6 seconds leaves. The others note how far was read. `KEYTRAIL_BENCH_FOLDER` names where (a folder
//! in memory spares the disk a million small writes).

use std::path::Path;
use std::time::Instant;

use keytrail_lake::{Lake, UpkeepOptions};
use keytrail_query::{Options, Session};
use keytrail_schemas::{Event, EventId, Micros, Outcome, Text, Topic};

/// 2030-01-01: later than any file that the run writes, so that age keeps no entry of a log.
const START: i64 = 1_893_456_000_000_000;
const EVERY: Micros = Micros(2_600_000);
const COMMITS_PER_EVENT: u64 = 30;
/// Commits between two rounds of upkeep: 43 minutes.
const COMMITS_PER_ROUND: u64 = 1_000;
const ROUNDS: usize = 15;

#[expect(clippy::disallowed_methods, reason = "a benchmark is sized from outside")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn main() {
    let commits: u64 = setting("KEYTRAIL_BENCH_COMMITS").and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let folder = setting("KEYTRAIL_BENCH_FOLDER").map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let path = folder.path().to_str().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let lake = runtime.block_on(Lake::open(path, keytrail_lake::Options::default())).unwrap();
    let follower = runtime.block_on(Session::open(path, Options::default())).unwrap();
    println!("{:>9} {:>12} {:>10} {:>13} {:>13} {:>15}", "commits", "log entries", "log files", "opens, ms", "at most, ms", "commits/s");
    let mut begun = Instant::now();
    let mut since = 0;
    let mut report = 1_000;
    for commit in 0..commits {
        let now = Micros(START + i64::try_from(commit).unwrap() * EVERY.0);
        let events: Vec<Event> = (commit % COMMITS_PER_EVENT == 0).then(|| event(commit, now)).into_iter().collect();
        let next = i64::try_from(commit + 1).unwrap();
        runtime.block_on(lake.commit_events(&events, &[(Topic::Events, 0, next)])).unwrap();
        since += 1;
        if commit % COMMITS_PER_ROUND == COMMITS_PER_ROUND - 1 {
            runtime.block_on(lake.upkeep(&UpkeepOptions::default(), now, std::future::pending())).unwrap();
        }
        if commit + 1 == report || commit + 1 == commits {
            let rate = f64::from(since) / begun.elapsed().as_secs_f64();
            let mut took: Vec<f64> = (0..ROUNDS).map(|_| opened(&runtime, path, commit + 1)).collect();
            took.sort_by(f64::total_cmp);
            let (entries, files) = log_files(folder.path());
            println!("{:>9} {entries:>12} {files:>10} {:>13.1} {:>13.1} {rate:>15.0}", commit + 1, took[ROUNDS / 2], took[ROUNDS - 1]);
            (begun, since) = (Instant::now(), 0);
            report = if report < 10_000 { 10_000 } else { report + 100_000 - report % 100_000 };
        }
    }
    // One that was opened before the first commit and never looked since.
    let begun = Instant::now();
    assert_eq!(rows(&runtime, &follower), commits.div_ceil(COMMITS_PER_EVENT));
    println!("a session that never looked since the first commit has its answer in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
}

/// Opens the lake, and sees that it holds what was written; only the opening is timed.
fn opened(runtime: &tokio::runtime::Runtime, path: &str, commits: u64) -> f64 {
    let begun = Instant::now();
    let session = runtime.block_on(Session::open(path, Options::default())).unwrap();
    let took = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(rows(runtime, &session), commits.div_ceil(COMMITS_PER_EVENT));
    took
}

fn rows(runtime: &tokio::runtime::Runtime, session: &Session) -> u64 {
    use arrow::array::AsArray as _;
    let counted = runtime.block_on(session.sql("SELECT CAST(count(*) AS BIGINT) FROM events")).unwrap();
    u64::try_from(counted[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0)).unwrap()
}

/// Commits in the log of `events`, and all files in it.
fn log_files(lake: &Path) -> (usize, usize) {
    let names: Vec<_> = std::fs::read_dir(lake.join("events/_delta_log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    (names.iter().filter(|path| path.extension().is_some_and(|kind| kind == "json")).count(), names.len())
}

fn event(number: u64, time: Micros) -> Event {
    Event {
        event_id: EventId::of_provider("bench", "", &number.to_string(), 0),
        time,
        ingested_at: time,
        identity: Text::from(format!("bench:works:sa/worker-{}", number % 50)),
        destination: Some(Text::from("bench:store/1")),
        outcome: Outcome::Success,
        source: Text::from("bench"),
        format: Text::from("keytrail"),
        log_offset: i64::try_from(number).unwrap(),
        ..Event::default()
    }
}
