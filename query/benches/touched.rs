//! Latency of the questions that analysts ask most, on a lake as compaction leaves it: one file per day, sorted by identity
//! and time, with page indexes and bloom filters.
//!
//! `KEYTRAIL_BENCH_EVENTS` (default 1,000,000) and `KEYTRAIL_BENCH_DAYS` (default 30) size the lake; `KEYTRAIL_BENCH_LAKE`
//! names a folder in which it is kept for the next run.

use std::path::{Path, PathBuf};

use criterion::Criterion;
use keytrail_query::{Options, Question, Session};
use keytrail_schemas::{Event, EventId, Micros, Outcome, Text};

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/query/lake.rs"]
mod lake;

use deltalake::protocol::SaveMode;

const IDENTITIES: usize = 2_000;
const DESTINATIONS: u64 = 5_000;
/// Questions that processor time is averaged over.
const ROUNDS: u32 = 20;

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
    let number = |name, default| setting(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (events, days) = (number("KEYTRAIL_BENCH_EVENTS", 1_000_000_u64), number("KEYTRAIL_BENCH_DAYS", 30_u64));
    let temporary = tempfile::tempdir().unwrap();
    let folder = setting("KEYTRAIL_BENCH_LAKE").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if folder.join("events").exists() {
        println!("the lake in {} is that of an earlier run, whatever size is asked for now", folder.display());
    } else {
        runtime.block_on(build(&folder, events, days));
    }
    let session = runtime.block_on(Session::open(folder.to_str().unwrap(), Options::default())).unwrap();
    let end = runtime.block_on(session.watermark()).unwrap().unwrap();
    let ago = |days: i64| Some(Micros(end.0 - days * Micros::DAY));
    let ask = |question: &Question| runtime.block_on(session.ask(question)).unwrap().iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>();

    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let name = |who: usize| identity(who).to_string();
    let destination = format!("aws:s3/bucket-{:04}", 17);
    let questions = [
        ("touched, all history", Question::Touched { identity: name(1_000), from: None, to: None }),
        ("touched, busiest identity", Question::Touched { identity: name(0), from: None, to: None }),
        ("touched, last 7 days", Question::Touched { identity: name(1_000), from: ago(7), to: None }),
        ("who_touched, last 7 days", Question::WhoTouched { destination, from: ago(7), to: None }),
        ("timeline, last 7 days", Question::Timeline { identity: name(1_000), from: ago(7), to: None }),
        ("coverage, all history", Question::Coverage { from: None, to: None }),
    ];
    for (label, question) in questions {
        let rows = ask(&question);
        let before = processor_ms();
        (0..ROUNDS).for_each(|_| assert_eq!(ask(&question), rows));
        let spent = processor_ms().zip(before).map_or("not known here".to_owned(), |(after, before)| format!("{:.1} ms", (after - before) / f64::from(ROUNDS)));
        println!("{label}: {rows} rows; processor time, both cores together: {spent}");
        criterion.bench_function(label, |bencher| bencher.iter(|| ask(&question)));
    }
    criterion.final_summary();
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
    let mut random = Random(7);
    let start = lake::at("2026-01-01T00:00:00Z");
    let (mut written, mut offset) = (0_u64, 0_i64);
    for day in 0..days {
        let count = events * (day + 1) / days - written;
        written += count;
        let mut batch: Vec<Event> = (0..count).map(|_| one(&mut random, start.0 + i64::try_from(day).unwrap() * Micros::DAY)).collect();
        batch.sort_by(|a, b| (&a.identity, a.time).cmp(&(&b.identity, b.time)));
        for event in &mut batch {
            event.log_offset = offset;
            offset += 1;
        }
        lake::write(folder, "events", lake::with_day(&batch), &["day"], SaveMode::Append, lake::compacted(1 << 17, page_rows())).await;
    }
}

fn page_rows() -> usize {
    setting("KEYTRAIL_BENCH_PAGE_ROWS").and_then(|text| text.parse().ok()).unwrap_or(8_192)
}

/// One event: a busy few identities, each with a handful of destinations it returns to and a long tail.
fn one(random: &mut Random, day: i64) -> Event {
    let who = usize::try_from(random.below(IDENTITIES as u64).min(random.below(IDENTITIES as u64))).unwrap();
    let destination = if random.below(10) < 8 { (who as u64 * 31 + random.below(12)) % DESTINATIONS } else { random.below(DESTINATIONS) };
    let action = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:HeadObject"][usize::try_from(random.below(4)).unwrap()];
    let outcome = if random.below(50) == 0 { Outcome::Denied } else { Outcome::Success };
    let mut event = lake::event(0, "2026-01-01T00:00:00Z", &identity(who), "", action, &format!("aws:s3/bucket-{destination:04}"), outcome);
    event.time = Micros(day + i64::try_from(random.below(u64::try_from(Micros::DAY).unwrap())).unwrap());
    event.ingested_at = Micros(event.time.0 + 2 * Micros::SECOND);
    event.credential = Some(Text::from(format!("ASIA{who:04}{:05}", day / Micros::DAY)));
    event.credential_issued_at = Some(Micros(day));
    event.source_ip = Some(Text::from(format!("10.{}.{}.{}", who % 200, random.below(4), random.below(250))));
    let mut id = [0_u8; 16];
    id[..8].copy_from_slice(&random.below(u64::MAX).to_be_bytes());
    id[8..].copy_from_slice(&random.below(u64::MAX).to_be_bytes());
    event.event_id = EventId(id);
    event
}
