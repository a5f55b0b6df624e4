//! How many MiB of records a second one core turns into events, per format: parsing, normalising, redaction and the raw copy, over generated records;
//! beside what `serde_json` takes to make a `Value` of the same bytes, and simd-json to make its borrowed value, in the same run.
//!
//! `cargo bench -p keytrail-ingest --bench parse [--profile dev] [-- NAME]`; `--alone` leaves the others out, `--records=N` reads so many in one round: for a profiler.
//!
//! With `KEYTRAIL_BENCH_TENZIR` (its program) Tenzir parses the same records (`peer`).
//!
//! Time is what the thread spent on a core, where Linux tells it, and the three take turns, so that a busy machine does not blur the ratios.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark of records that are refused would measure nothing, and tells what it measures")]

use std::hint::black_box;
use std::time::Instant;

use keytrail_ingest::format::{Context, Framing, auto, guarded};
use keytrail_ingest::redact::{Level, Redactor};

mod peer;
mod records;

use records::Workload;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many records a round parses, and how many rounds there are.
const RECORDS: u64 = 20_000;
const ROUNDS: usize = 7;
/// Where a file is cut off for the next: what a parser remembers, it remembers for one file.
const FILE_RECORDS: usize = 10_000;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let alone = std::env::args().any(|argument| argument == "--alone");
    let few = std::env::args().find_map(|argument| argument.strip_prefix("--records=")?.parse().ok());
    let (records, rounds) = few.map_or((RECORDS, ROUNDS), |few| (few, 1));
    println!("{:<22} {:>9} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12}", "format", "MiB/s", "records/s", "serde_json", "of it", "simd-json", "of it", "tenzir");
    for workload in &records::workloads(records, &wanted) {
        let Ok(format) = auto::by_name(workload.name.split('/').next().unwrap_or(workload.name)) else {
            println!("{:<22} no such format here", workload.name);
            continue;
        };
        let is_json = !alone && workload.records.first().is_some_and(|record| record.starts_with(b"{"));
        let newline = usize::from(format.framing() == Framing::Lines);
        let bytes: usize = workload.records.iter().map(|record| record.len() + newline).sum();
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let times = [seconds(|| events(workload)), seconds(|| values(workload, is_json)), seconds(|| borrowed(workload, is_json))];
            for (rates, time) in rates.iter_mut().zip(times) {
                rates.push(bytes as f64 / time / f64::from(1 << 20));
            }
        }
        let tenzir = is_json.then(|| peer::seconds(&workload.records)).flatten();
        let tenzir = tenzir.map_or_else(|| "-".to_owned(), |time| format!("{:.0}", bytes as f64 / time / f64::from(1 << 20)));
        let [ours, serde_json, simd_json] = rates.map(median);
        let records = ours * f64::from(1 << 20) / bytes as f64 * workload.records.len() as f64;
        if is_json {
            println!(
                "{:<22} {ours:>9.0} {records:>12.0} {serde_json:>12.0} {:>12.2} {simd_json:>12.0} {:>12.2} {tenzir:>12}",
                workload.name,
                ours / serde_json,
                ours / simd_json
            );
        } else {
            println!("{:<22} {ours:>9.0} {records:>12.0} {:>12} {:>12} {:>12} {:>12} {tenzir:>12}", workload.name, "-", "-", "-", "-");
        }
    }
}

/// Records to events.
#[inline(never)]
fn events(workload: &Workload) {
    let format = auto::by_name(workload.name.split('/').next().unwrap_or(workload.name)).expect("the format is there");
    let context =
        Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "bench".into(), depth_max: 128, file_name: workload.file_name.to_owned() };
    let mut out = Vec::new();
    for file in workload.records.chunks(FILE_RECORDS) {
        let mut parser = guarded(format, &context);
        for (record, line) in workload.header.iter().chain(file).zip(1..) {
            parser.record(black_box(record), line, &mut out).expect("generated records are sound");
            if out.len() > 512 {
                black_box(&mut out).clear();
            }
        }
        parser.finish(&mut out);
        black_box(&mut out).clear();
    }
}

/// Records to `serde_json::Value`.
fn values(workload: &Workload, is_json: bool) {
    for record in workload.records.iter().filter(|_| is_json) {
        black_box(serde_json::from_slice::<serde_json::Value>(black_box(record)).expect("generated records are sound"));
    }
}

/// Records to simd-json's borrowed value, which needs a copy of its own.
fn borrowed(workload: &Workload, is_json: bool) {
    let mut copy = Vec::new();
    for record in workload.records.iter().filter(|_| is_json) {
        copy.clear();
        copy.extend_from_slice(black_box(record));
        black_box(simd_json::to_borrowed_value(&mut copy).expect("generated records are sound"));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Seconds on a core that `work` takes.
fn seconds(work: impl FnOnce()) -> f64 {
    let start = nanos();
    work();
    // The kernel counts in ticks of a few milliseconds: runs are far longer, and none may seem to take no time.
    (nanos() - start).max(1.0) / 1e9
}

/// Time of the current thread on a core, in nanoseconds.
fn nanos() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let on_core = std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| text.split(' ').next()?.parse().ok());
    on_core.unwrap_or_else(|| START.elapsed().as_secs_f64() * 1e9)
}
