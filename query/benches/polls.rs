//! A master that polls controllers all day for weeks: what a poll takes in the lake, and whether it can still be asked what the master touched.
//!
//!     KEYTRAIL_BENCH_EVENTS=50000000 cargo bench -p keytrail-query --bench polls
//!
//! `KEYTRAIL_BENCH_EVENTS` (default 1,000,000) polls over `KEYTRAIL_BENCH_DAYS` (default 45) days, at even distances, of 24 controllers, two functions
//! each; each poll with its redacted record, as Zeek's Modbus log has it. Every thousandth is refused. The lake is as keytrail leaves it: days compacted and rolled up.
//! Every answer is held against what was written.

use std::time::Instant;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use keytrail_lake::{CompactOptions, Lake, RollUpOptions};
use keytrail_query::{Options, Question, Session};
use keytrail_schemas::{Event, EventId, IdentityKind, Micros, Outcome, Text, Topic};

const MASTER: &str = "zeek:works:host/10.0.5.10";
const CONTROLLERS: u64 = 24;
const REFUSED: u64 = 1_000;
/// 2026-01-01.
const START: i64 = 1_767_225_600_000_000;
const COMMIT_EVENTS: u64 = 200_000;
const ROUNDS: usize = 200;

#[expect(clippy::disallowed_methods, reason = "a benchmark is sized from outside")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn poll(number: u64, every: i64) -> Event {
    let at = i64::try_from(number).unwrap();
    let time = Micros(START + at * every);
    let (controller, function) = (number % CONTROLLERS, if (number / CONTROLLERS).is_multiple_of(4) { "READ_COILS" } else { "READ_HOLDING_REGISTERS" });
    let refused = number % REFUSED == REFUSED - 1;
    let seconds = time.0 as f64 / 1e6;
    let raw = format!(
        r#"{{"ts":{seconds:.6},"uid":"C{:017x}","id.orig_h":"10.0.5.10","id.orig_p":{},"id.resp_h":"10.0.10.{controller}","id.resp_p":502,"tid":{},"unit":1,"func":"{function}","pdu_type":"RESP"{}}}"#,
        number / 5_000 * 0x9e37_79b9,
        49_152 + number / 5_000 % 16_000,
        number % 65_536,
        if refused { r#","exception":"SLAVE_DEVICE_BUSY""# } else { "" }
    );
    Event {
        event_id: EventId::of_provider("polls", "", &number.to_string(), 0),
        time,
        ingested_at: Micros(time.0 + 2 * Micros::SECOND),
        identity: Text::const_new(MASTER),
        identity_kind: IdentityKind::Device,
        identity_provider: Text::const_new("zeek"),
        protocol: Some(Text::const_new("modbus")),
        action: Some(format!("modbus.{function}").into()),
        destination: Some(format!("modbus:10.0.10.{controller}/unit/1").into()),
        source_ip: Some(Text::const_new("10.0.5.10")),
        outcome: if refused { Outcome::Failure } else { Outcome::Success },
        source: Text::const_new("sensor"),
        format: Text::const_new("zeek"),
        raw: Some(raw),
        log_offset: at,
        ..Event::default()
    }
}

fn main() {
    let (polls, days) = (setting("KEYTRAIL_BENCH_EVENTS", 1_000_000), setting("KEYTRAIL_BENCH_DAYS", 45));
    let every = i64::try_from(days).unwrap() * Micros::DAY / i64::try_from(polls).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let lake = runtime.block_on(Lake::open(folder.path().to_str().unwrap(), keytrail_lake::Options::default())).unwrap();
    let begun = Instant::now();
    for first in (0..polls).step_by(usize::try_from(COMMIT_EVENTS).unwrap()) {
        let end = (first + COMMIT_EVENTS).min(polls);
        let events: Vec<Event> = (first..end).map(|number| poll(number, every)).collect();
        runtime.block_on(lake.commit_events(&events, &[(Topic::Events, 0, i64::try_from(end).unwrap())])).unwrap();
    }
    let written = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let compacted = runtime.block_on(lake.compact(CompactOptions { first_bytes_min: 0, ..CompactOptions::default() })).unwrap();
    let rolled = runtime.block_on(lake.roll_up(&RollUpOptions { all: true, ..RollUpOptions::default() })).unwrap();
    println!("{polls} polls of one master in {days} days: written in {written:.0} s, compacted and rolled up in {:.0} s", begun.elapsed().as_secs_f64());
    let of = |bytes: u64| bytes as f64 / polls as f64;
    println!("bytes a poll: {:.1} in events, {:.3} in the roll-up ({} rows)", of(compacted.bytes_after), of(rolled.bytes), rolled.touches);

    let session = runtime.block_on(Session::open(folder.path().to_str().unwrap(), Options::default())).unwrap();
    let touched = |from| Question::Touched { identity: MASTER.to_owned(), from, to: None };
    let week = Micros(START + (i64::try_from(days).unwrap() - 7).max(0) * Micros::DAY);
    // Of the whole, all; of the last week, those from its first moment on; of a controller, each so-many-th.
    let since = |from: Micros| i64::try_from(polls).unwrap() - (from.0 - START + every - 1) / every;
    let of_one = i64::try_from(polls / CONTROLLERS + u64::from(polls % CONTROLLERS > 7)).unwrap();
    let questions = [
        ("touched, all history", touched(None), i64::try_from(polls).unwrap()),
        ("touched, last 7 days", touched(Some(week)), since(week)),
        ("who_touched, a controller", Question::WhoTouched { destination: "modbus:10.0.10.7/unit/1".to_owned(), from: None, to: None }, of_one),
    ];
    println!("{:28} {:>9} {:>9} {:>9} {:>12}", "question", "p50 ms", "p99 ms", "rows", "polls");
    for (label, question, expected) in questions {
        let ask = || {
            let batches = runtime.block_on(session.ask(&question)).unwrap();
            let counts = batches.iter().filter_map(|batch| batch.column_by_name("count")?.as_primitive_opt::<Int64Type>());
            let sum: i64 = counts.flat_map(|counts| counts.values().iter()).sum();
            (batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), sum)
        };
        let (rows, sum) = ask();
        assert_eq!(sum, expected, "{label}");
        let mut took: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begun = Instant::now();
                assert_eq!(ask(), (rows, sum));
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        took.sort_by(f64::total_cmp);
        println!("{label:28} {:9.2} {:9.2} {rows:9} {sum:12}", took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
    }
}
