//! Latency of the questions that analysts ask most, on a lake as keytrail itself leaves it: closed days compacted and rolled up.
//!
//! `KEYTRAIL_BENCH_EVENTS` (default 1,000,000), `KEYTRAIL_BENCH_DAYS` (default 30) and `KEYTRAIL_BENCH_IDENTITIES` (default 2,000) size the lake; `KEYTRAIL_BENCH_LAKE` names a folder in which
//! it is kept for the next run. Each question is asked as keytrail answers it, planned by DataFusion over the roll-up, and planned over events. With `KEYTRAIL_BENCH_PYTHON` (a Python that has duckdb, chdb
//! and deltalake) the same is asked of these engines on the same files, in the same run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use keytrail_lake::{CompactOptions, Lake, RollUpOptions};
use keytrail_query::{Options, Question, Session};
use keytrail_schemas::{Event, EventId, Micros, Outcome, Text, Topic};

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/query/lake.rs"]
mod lake;

const DESTINATIONS: u64 = 5_000;
static IDENTITIES: LazyLock<usize> = LazyLock::new(|| setting("KEYTRAIL_BENCH_IDENTITIES").and_then(|text| text.parse().ok()).unwrap_or(2_000));
/// Questions that processor time is averaged over.
const ROUNDS: u32 = 200;
/// Rounds of the questions and the engines that take long.
const ROUNDS_FEW: u32 = 15;
/// Identities that are asked about once, with nothing of them in memory.
const ONCE: usize = 200;

/// Processor time that this process has taken, in milliseconds: on a machine with other work it says more than the clock.
/// Linux only (`/proc/self/schedstat` of every thread).
fn processor_ms() -> Option<f64> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let nanoseconds = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?.split(' ').next()?.parse::<f64>().ok());
    Some(nanoseconds.sum::<f64>() / 1e6)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is sized from outside")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn main() {
    let begun = Instant::now();
    let number = |name, default| setting(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (events, days) = (number("KEYTRAIL_BENCH_EVENTS", 1_000_000_u64), number("KEYTRAIL_BENCH_DAYS", 30_u64));
    let temporary = tempfile::tempdir().unwrap();
    let folder = setting("KEYTRAIL_BENCH_LAKE").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(identity) = setting("KEYTRAIL_BENCH_COLD") {
        return cold(&runtime, &folder, &identity, begun);
    }
    if folder.join("events").exists() {
        println!("the lake in {} is that of an earlier run, whatever size is asked for now", folder.display());
    } else {
        runtime.block_on(build(&folder, events, days));
    }
    let path = folder.to_str().unwrap();
    let open = |roll_up, look_up| {
        let begun = Instant::now();
        let session = runtime.block_on(Session::open(path, Options { roll_up, look_up, ..Options::default() })).unwrap();
        (session, begun.elapsed().as_secs_f64() * 1e3)
    };
    let ((looked_up, opened_ms), (planned, _), (plain, _)) = (open(true, true), open(true, false), open(false, false));
    println!("opening the lake: {opened_ms:.0} ms");
    let end = runtime.block_on(looked_up.watermark()).unwrap().unwrap();
    // Whole days, and a period that begins within one.
    let (week, cut) = (Micros((end.day() - 6) * Micros::DAY), Micros(end.0 - 7 * Micros::DAY));
    let (quiet, busy, destination) = (identity(*IDENTITIES / 2).to_string(), identity(0).to_string(), "aws:s3/bucket-0017".to_owned());
    let touched = |identity: &String, from| Question::Touched { identity: identity.clone(), from, to: None };
    let who_touched = |from| Question::WhoTouched { destination: destination.clone(), from, to: None };
    let asked = |kind: &str, column: &str, value: &String, from: Option<Micros>| {
        Some(serde_json::json!({"kind": kind, "column": column, "value": value, "from": from.map(|from| from.0)}))
    };
    let questions = vec![
        ("touched, all history", touched(&quiet, None), asked("touched", "identity", &quiet, None)),
        ("touched, busiest identity", touched(&busy, None), asked("touched", "identity", &busy, None)),
        ("touched, last 7 days", touched(&quiet, Some(week)), asked("touched", "identity", &quiet, Some(week))),
        ("touched, last 168 hours", touched(&quiet, Some(cut)), asked("touched", "identity", &quiet, Some(cut))),
        ("who_touched, all history", who_touched(None), asked("touched", "destination", &destination, None)),
        ("who_touched, last 7 days", who_touched(Some(week)), asked("touched", "destination", &destination, Some(week))),
        (
            "blast_radius, 3 hops",
            Question::BlastRadius { of: quiet.clone(), from: None, to: None, hops: Some(3) },
            asked("blast_radius", "identity", &quiet, None),
        ),
        (
            "timeline, last 7 days",
            Question::Timeline { identity: quiet.clone(), from: Some(week), to: None },
            asked("timeline", "identity", &quiet, Some(week)),
        ),
        ("first_seen destination, last 7 days", Question::FirstSeen { dimension: "destination".to_owned(), from: Some(week), to: None }, None),
    ];
    println!("{:38} {:>34} {:>9} {:>9} {:>13} {:>9}", "question", "engine", "p50 ms", "p99 ms", "processor ms", "rows");
    let mut own = Vec::new();
    for (label, question, _) in &questions {
        for (engine, session) in [("keytrail", &looked_up), ("keytrail, planned", &planned), ("keytrail, planned, over events", &plain)] {
            let ask = || size(&runtime.block_on(session.ask(question)).unwrap());
            let is_quick = engine == "keytrail" && (label.contains("touched") || label.contains("timeline"));
            let measured = measure(if is_quick { ROUNDS } else { ROUNDS_FEW }, ask);
            println!("{label:38} {engine:>34} {:9.2} {:9.2} {:>13} {:9}", measured.p50_ms, measured.p99_ms, measured.processor, measured.size.0);
            if engine == "keytrail" {
                own.push((*label, measured.p50_ms, measured.size));
            }
        }
    }
    once(&runtime, path, "touched", |identity| Question::Touched { identity, from: None, to: None });
    once(&runtime, path, "timeline, last 7 days", |identity| Question::Timeline { identity, from: Some(week), to: None });
    let steps = profile(&runtime, &looked_up, &quiet);
    println!("of a hot touched over all history, processor ms: {steps}");
    for is_dropped in [false, true] {
        println!("{}", cold_processes(&folder, &quiet, is_dropped));
    }
    if let Some(python) = setting("KEYTRAIL_BENCH_PYTHON") {
        let asked: Vec<_> = questions
            .iter()
            .filter_map(|(label, _, asked)| {
                let mut asked = asked.clone()?;
                asked.as_object_mut()?.insert("label".to_owned(), (*label).into());
                Some(asked)
            })
            .collect();
        peers(&python, path, &serde_json::Value::from(asked), &own);
    }
}

/// Rows, and the events that they count where they count any.
fn size(batches: &[RecordBatch]) -> (usize, i64) {
    let counts = batches.iter().filter_map(|batch| batch.column_by_name("count")?.as_primitive_opt::<Int64Type>());
    (batches.iter().map(RecordBatch::num_rows).sum(), counts.flat_map(|counts| counts.values().iter()).sum())
}

struct Measured {
    p50_ms: f64,
    p99_ms: f64,
    processor: String,
    size: (usize, i64),
}

/// Asks once, and then `rounds` times with everything in memory.
fn measure(rounds: u32, ask: impl Fn() -> (usize, i64)) -> Measured {
    let size = ask();
    let before = processor_ms();
    let mut took: Vec<f64> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(ask(), size);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let processor = processor_ms().zip(before).map_or("not known".to_owned(), |(after, before)| format!("{:.2}", (after - before) / f64::from(rounds)));
    took.sort_by(f64::total_cmp);
    Measured { p50_ms: at(&took, 50), p99_ms: at(&took, 99), processor, size }
}

/// Identities that nobody asked about before, one after the other, in a session that has the footers.
fn once(runtime: &tokio::runtime::Runtime, path: &str, label: &str, question: impl Fn(String) -> Question) {
    let session = runtime.block_on(Session::open(path, Options::default())).unwrap();
    let ask = |who: usize| size(&runtime.block_on(session.ask(&question(identity(who).to_string()))).unwrap());
    ask(*IDENTITIES / 2 + 1);
    let before = processor_ms();
    let mut rows = 0;
    let mut took: Vec<f64> = (0..ONCE)
        .map(|number| {
            let begun = Instant::now();
            rows += ask(number * 7 + 3).0;
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let spent = processor_ms().zip(before).map_or(f64::NAN, |(after, before)| (after - before) / ONCE as f64);
    took.sort_by(f64::total_cmp);
    println!("{:38} {:>34} {:9.2} {:9.2} {spent:13.2} {:9}", format!("{label}, another identity each"), "keytrail", at(&took, 50), at(&took, 99), rows / ONCE);
}

/// What a process of its own does, from its start to its answer.
fn cold(runtime: &tokio::runtime::Runtime, folder: &Path, identity: &str, begun: Instant) {
    let session = runtime.block_on(Session::open(folder.to_str().unwrap(), Options::default())).unwrap();
    let opened_ms = begun.elapsed().as_secs_f64() * 1e3;
    let rows = size(&runtime.block_on(session.ask(&Question::Touched { identity: identity.to_owned(), from: None, to: None })).unwrap()).0;
    println!("{opened_ms} {} {rows}", begun.elapsed().as_secs_f64() * 1e3);
}

/// Processes of their own that answer once; with `is_dropped`, after the lake's files left the page cache (`dd`, Linux).
fn cold_processes(folder: &Path, identity: &str, is_dropped: bool) -> String {
    let mut took = Vec::new();
    for _ in 0..9 {
        if is_dropped {
            let drop = format!("find '{}' -type f -exec dd if={{}} iflag=nocache count=0 status=none \\;", folder.display());
            if !std::process::Command::new("sh").args(["-c", &drop]).status().is_ok_and(|status| status.success()) {
                return "the page cache could not be emptied here".to_owned();
            }
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .env("KEYTRAIL_BENCH_COLD", identity)
            .env("KEYTRAIL_BENCH_LAKE", folder)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        took.push((numbers[1], numbers[0]));
    }
    took.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (all, opened) = took[took.len() / 2];
    format!("a process of its own, page cache {}: {all:.0} ms to its answer, {opened:.0} of them to open the lake", if is_dropped { "empty" } else { "warm" })
}

/// What a hot `touched` spends on what.
fn profile(runtime: &tokio::runtime::Runtime, session: &Session, identity: &str) -> String {
    let spent = |work: &dyn Fn()| {
        let before = processor_ms();
        (0..ROUNDS).for_each(|_| work());
        processor_ms().zip(before).map_or(f64::NAN, |(after, before)| (after - before) / f64::from(ROUNDS))
    };
    let refresh = spent(&|| runtime.block_on(session.refresh()).unwrap());
    let resolve = spent(&|| drop(runtime.block_on(session.resolve_identity(identity)).unwrap()));
    let none = Question::Touched { identity: identity.to_owned(), from: Some(Micros(0)), to: Some(Micros(0)) };
    let empty = spent(&|| drop(runtime.block_on(session.ask(&none)).unwrap()));
    let all = Question::Touched { identity: identity.to_owned(), from: None, to: None };
    let whole = spent(&|| drop(runtime.block_on(session.ask(&all)).unwrap()));
    format!(
        "looking for new versions {refresh:.2}, the name {:.2}, planning and answering nothing {:.2}, reading and counting {:.2}; {whole:.2} in all",
        resolve - refresh,
        empty - resolve,
        whole - empty
    )
}

fn at(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Asks the other engines, and prints what they say, and how many times as long they take. An answer of another size is a fault.
fn peers(python: &str, lake: &str, questions: &serde_json::Value, own: &[(&str, f64, (usize, i64))]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/touched.py");
    let mut child = std::process::Command::new(python)
        .arg(script)
        .args([lake, &ROUNDS_FEW.to_string(), "bytes"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(questions.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the peers' script failed");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{}", said["versions"]);
    let size = |name: &str| said["bytes_an_event"][name].as_f64().unwrap();
    println!(
        "bytes an event, of {:.0}: {:.1} in the files, {:.1} in ClickHouse's own format sorted by identity ({:.2} times)",
        size("rows"),
        size("files"),
        size("clickhouse"),
        size("files") / size("clickhouse")
    );
    for result in said["results"].as_array().unwrap() {
        let text = |name: &str| result[name].as_str().unwrap().to_owned();
        let number = |name: &str| result[name].as_f64().unwrap();
        let (label, engine) = (text("label"), text("engine"));
        let (_, own_ms, (rows, events)) = own.iter().find(|(of, ..)| *of == label).unwrap();
        let times = number("p50_ms") / own_ms;
        println!("{label:38} {engine:>44} {:9.2} {:13.2} {:9} {times:7.1} times keytrail's", number("p50_ms"), number("processor_ms"), result["rows"]);
        let answer = (result["rows"].as_u64().unwrap(), result["events"].as_i64().unwrap());
        // The roll-up alone lacks the day that is open.
        let is_right = if engine.contains("roll-up") { answer.0 <= *rows as u64 && answer.1 <= *events } else { answer == (*rows as u64, *events) };
        assert!(is_right, "{label}: {engine} has another answer: {answer:?} and not {rows} rows of {events} events");
    }
}

fn identity(who: usize) -> Text {
    Text::from(format!("aws:{:012}:role/worker-{who:04}", 100_000_000_000_u64 + (who as u64 % 40)))
}

/// A small generator of repeatable numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

async fn build(folder: &Path, events: u64, days: u64) {
    let lake = Lake::open(folder.to_str().unwrap(), keytrail_lake::Options::default()).await.unwrap();
    let mut random = Random(7);
    let start = lake::at("2026-01-01T00:00:00Z");
    let (mut written, mut offset) = (0_u64, 0_i64);
    let begun = Instant::now();
    for day in 0..days {
        let count = events * (day + 1) / days - written;
        written += count;
        let mut batch: Vec<Event> = (0..count).map(|_| one(&mut random, start.0 + i64::try_from(day).unwrap() * Micros::DAY)).collect();
        for event in &mut batch {
            event.log_offset = offset;
            offset += 1;
        }
        lake.commit_events(&batch, &[(Topic::Events, 0, offset)]).await.unwrap();
    }
    println!("{events} events written in {:.0} s", begun.elapsed().as_secs_f64());
    let (begun, before) = (Instant::now(), processor_ms());
    let compacted = lake.compact(CompactOptions { first_bytes_min: 0, ..CompactOptions::default() }).await.unwrap();
    let spent = |before: Option<f64>| processor_ms().zip(before).map_or(f64::NAN, |(after, before)| (after - before) / 1e3);
    println!(
        "{} rows compacted in {:.0} s ({:.0} s of processor time), {} bytes",
        compacted.rows,
        begun.elapsed().as_secs_f64(),
        spent(before),
        compacted.bytes_after
    );
    let (begun, before) = (Instant::now(), processor_ms());
    let rolled = lake.roll_up(&RollUpOptions::default()).await.unwrap();
    println!(
        "{} events of {} days rolled up to {} touches in {:.0} s ({:.0} s of processor time), {} bytes",
        rolled.events,
        rolled.days,
        rolled.touches,
        begun.elapsed().as_secs_f64(),
        spent(before),
        rolled.bytes
    );
}

/// One event: a busy few identities, each with a handful of destinations it returns to and a long tail.
fn one(random: &mut Random, day: i64) -> Event {
    let who = usize::try_from(random.below(*IDENTITIES as u64).min(random.below(*IDENTITIES as u64))).unwrap();
    let destination = if random.below(10) < 8 { (who as u64 * 31 + random.below(12)) % DESTINATIONS } else { random.below(DESTINATIONS) };
    let action = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:HeadObject"][usize::try_from(random.below(4)).unwrap()];
    let outcome = if random.below(50) == 0 { Outcome::Denied } else { Outcome::Success };
    let mut event = lake::event(0, "2026-01-01T00:00:00Z", &identity(who), "", action, &format!("aws:s3/bucket-{destination:04}"), outcome);
    event.time = Micros(day + i64::try_from(random.below(u64::try_from(Micros::DAY).unwrap())).unwrap());
    event.ingested_at = Micros(event.time.0 + 2 * Micros::SECOND);
    event.credential = Some(Text::from(format!("ASIA{who:04}{:05}", day / Micros::DAY)));
    event.credential_issued_at = Some(Micros(day));
    // A chain of three: what one obtained, the next obtained more with.
    event.credential_parent = matches!(who % 4, 1 | 2).then(|| Text::from(format!("ASIA{:04}{:05}", who - 1, day / Micros::DAY)));
    event.source_ip = Some(Text::from(format!("10.{}.{}.{}", who % 200, random.below(4), random.below(250))));
    let mut id = [0_u8; 16];
    id[..8].copy_from_slice(&random.below(u64::MAX).to_be_bytes());
    id[8..].copy_from_slice(&random.below(u64::MAX).to_be_bytes());
    event.event_id = EventId(id);
    // No two records are the same; so neither are their hashes.
    event.raw_hash.0.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.below(u64::MAX).to_be_bytes()));
    event
}
