//! Questions over the PostgreSQL wire while a writer commits events as fast as it can, with compaction and roll-up beside: a checker holds every answer
//! against a model of what was written.
//!
//!     cargo bench -p keytrail-serve --bench beside_ingest
//!
//! `KEYTRAIL_BENCH_SECONDS` (default 20), `KEYTRAIL_BENCH_CONNECTIONS` (default 50) and `KEYTRAIL_BENCH_RATE` (default 200 a second, over all connections)
//! size it. Questions are due at fixed times: one that waits for another counts from when it was due.
//!
//! What is checked: an answer that was asked for after commit *a* was acknowledged and had come before commit *b* began holds exactly the events of
//! one commit from *a* to *b*: every row with its count, its failures, its first and its last time, and none besides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keytrail_lake::{CompactOptions, Lake, RollUpOptions};
use keytrail_query::Session;
use keytrail_schemas::{Event, EventId, IdentityKind, Micros, Outcome, Text, Topic};
use keytrail_serve::access::Access;
use keytrail_serve::record::Record;
use keytrail_serve::{Desk, Options};
use model::{COMMIT_EVENTS, IDENTITIES, check_model, destination, identity, is_failure, setting, time};
use tokio::runtime::Runtime;
use wire::Wire;

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/doors/wire.rs"]
mod wire;

mod model;

/// The `number`-th event: everything about it follows from its number, so that the model is the same function.
fn event(number: usize) -> Event {
    let mut one = Event {
        time: time(number),
        ingested_at: Micros(time(number).0 + Micros::SECOND),
        identity: identity(number % IDENTITIES),
        identity_kind: IdentityKind::Workload,
        identity_provider: Text::from("bench"),
        credential: Some(Text::from(format!("key-{}", number % IDENTITIES))),
        destination: Some(Text::from(destination(number))),
        action: Some(Text::from("get")),
        protocol: Some(Text::from("https")),
        outcome: if is_failure(number) { Outcome::Denied } else { Outcome::Success },
        source: Text::from("bench"),
        format: Text::from("keytrail"),
        ..Event::default()
    };
    one.log_offset = i64::try_from(number).unwrap();
    one.event_id = EventId::of_provider("bench", "", &number.to_string(), 0);
    one
}

#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    acknowledged: AtomicUsize,
    over: AtomicBool,
}

fn main() {
    let (seconds, connections, rate) = (setting("KEYTRAIL_BENCH_SECONDS", 20), setting("KEYTRAIL_BENCH_CONNECTIONS", 50), setting("KEYTRAIL_BENCH_RATE", 200));
    check_model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    // As `keytrail run` has it: the store, upkeep and the doors do not wait for one another's turns.
    let runtime = threads(2);
    let (of_upkeep, of_doors) = (threads(1), threads(2));
    let lake = Arc::new(runtime.block_on(Lake::open(&path, keytrail_lake::Options::default())).unwrap());
    let progress = Arc::new(Progress::default());
    // Alone first: what the writer does when nobody asks.
    let alone = write(&runtime, &lake, &progress, Duration::from_secs(seconds as u64 / 4));
    println!("ingest alone: {alone:.0} events/s");

    let session = of_doors.block_on(Session::open(&path, keytrail_query::Options::default())).unwrap();
    let options = Options { listen: String::new(), postgres: "127.0.0.1:0".to_owned(), no_auth: true, ..Options::default() };
    let written = tempfile::tempdir().unwrap();
    let desk = Desk::new(session, Access::open(|| Micros(0)), Record::of(written.path()), options);
    let doors = of_doors.block_on(keytrail_serve::serve(&desk)).unwrap();
    let address = doors.postgres.unwrap();
    let upkeep = {
        let (lake, progress) = (lake.clone(), progress.clone());
        of_upkeep.spawn(async move {
            let (mut compacted, mut rolled) = (0, 0);
            while !progress.over.load(Ordering::Acquire) {
                compacted += lake.compact(CompactOptions { first_bytes_min: 0, ..CompactOptions::default() }).await.unwrap().groups;
                rolled += lake.roll_up(&RollUpOptions::default()).await.unwrap().days;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            (compacted, rolled)
        })
    };
    let began = Instant::now();
    let askers: Vec<_> = (0..connections)
        .map(|number| {
            let progress = progress.clone();
            std::thread::spawn(move || ask(address, number, &progress, began, Duration::from_secs_f64(connections as f64 / rate as f64), connections))
        })
        .collect();
    let beside = write(&runtime, &lake, &progress, Duration::from_secs(seconds as u64));
    let over = began.elapsed();
    progress.over.store(true, Ordering::Release);
    let (mut took, mut wrong, mut rows) = (Vec::new(), Vec::new(), 0);
    for asker in askers {
        let of = asker.join().unwrap();
        took.extend(of.took);
        wrong.extend(of.wrong);
        rows += of.rows;
    }
    let (compacted, rolled) = of_upkeep.block_on(upkeep).unwrap();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 1000].as_secs_f64() * 1e3;
    println!(
        "ingest beside questions: {beside:.0} events/s, {} commits in all, {compacted} groups compacted, {rolled} days rolled up",
        progress.acknowledged.load(Ordering::Acquire)
    );
    println!(
        "{} questions from {connections} connections in {:.1} s: {:.0} a second (asked for: {rate}), {rows} rows; p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, longest {:.1} ms",
        took.len(),
        over.as_secs_f64(),
        took.len() as f64 / over.as_secs_f64(),
        at(500),
        at(990),
        at(999),
        at(1000)
    );
    wrong.iter().take(5).for_each(|what| println!("WRONG: {what}"));
    assert!(wrong.is_empty(), "{} of {} answers are wrong", wrong.len(), took.len());
    println!("every answer is that of one commit between question and answer");
    of_doors.block_on(doors.close());
}

fn threads(count: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(count).enable_all().build().unwrap()
}

/// Commits until the time is over; gives the events a second.
fn write(runtime: &Runtime, lake: &Lake, progress: &Progress, time: Duration) -> f64 {
    let (began, first) = (Instant::now(), progress.acknowledged.load(Ordering::Acquire));
    let mut commit = first;
    while began.elapsed() < time {
        let events: Vec<Event> = (commit * COMMIT_EVENTS..(commit + 1) * COMMIT_EVENTS).map(event).collect();
        let next = i64::try_from((commit + 1) * COMMIT_EVENTS).unwrap();
        progress.begun.store(commit + 1, Ordering::Release);
        runtime.block_on(lake.commit_events(&events, &[(Topic::Events, 0, next)])).unwrap();
        commit += 1;
        progress.acknowledged.store(commit, Ordering::Release);
    }
    ((commit - first) * COMMIT_EVENTS) as f64 / began.elapsed().as_secs_f64()
}

#[derive(Default)]
struct Asked {
    took: Vec<Duration>,
    wrong: Vec<String>,
    rows: usize,
}

fn ask(address: SocketAddr, number: usize, progress: &Progress, began: Instant, every: Duration, connections: usize) -> Asked {
    let mut wire = Wire::open(address, &format!("bench-{number}"), "").unwrap();
    let mut asked = Asked::default();
    let mut due = began + every.mul_f64(number as f64 / connections as f64);
    let mut turn = number;
    while !progress.over.load(Ordering::Acquire) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let who = turn % IDENTITIES;
        turn += 37;
        let least = progress.acknowledged.load(Ordering::Acquire);
        let answer = wire.ask(&format!("SELECT * FROM touched('{}')", identity(who)));
        asked.took.push(due.elapsed());
        let most = progress.begun.load(Ordering::Acquire);
        match (answer.error, check(who, &answer.rows, least, most)) {
            (Some((code, message)), _) => asked.wrong.push(format!("{code}: {message}")),
            (None, Err(what)) => asked.wrong.push(what),
            (None, Ok(())) => asked.rows += answer.rows.len(),
        }
        due += every;
    }
    asked
}

/// Holds an answer against the model of every commit that it may be of.
fn check(who: usize, answer: &[Vec<Option<String>>], least: usize, most: usize) -> Result<(), String> {
    let (events, rows) = model::read(answer).map_err(|what| format!("{who}: {what}"))?;
    let of = |commits: usize| commits * COMMIT_EVENTS / IDENTITIES;
    if (least..=most).any(|commits| of(commits) == events) && model::model(who, events) == rows {
        return Ok(());
    }
    Err(format!("{}: {events} events in {} rows; commit {least} has {}, commit {most} has {}", identity(who), rows.len(), of(least), of(most)))
}
