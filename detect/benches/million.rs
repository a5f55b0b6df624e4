//! The detector with a million identities in its state: events of a hard estate, decoded, through ledger, baselines and all rules that keytrail comes with.
//!
//! The simulator's hard estate is written, read as its providers' logs are, and stands side by side with itself many times over ([`town`]): each copy with
//! identities, accounts, credentials and destinations of its own. What is measured is the end of it, chunk by chunk, as a log hands events on. Besides: how
//! much memory an identity takes, and what a snapshot and a restore take.
//!
//! `cargo bench -p keytrail-detect --bench million`; `KEYTRAIL_BENCH_IDENTITIES` (1,000,000) says how many. Times are those of the thread on a processor, but for
//! snapshot and restore. A
//! fingerprint of all findings is printed: equal numbers mean equal findings, to compare two versions by.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss, clippy::disallowed_methods, reason = "a benchmark stops where something is wrong")]

#[path = "estate/town.rs"]
mod town;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keytrail_detect::{Config, Detector, LedgerConfig, Rules, baseline};
use keytrail_schemas::LogRecord;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events that are judged in one go: about what the log hands on.
const CHUNK: usize = 1_024;
/// One event in so many, at the end, is measured.
const MEASURED_SHARE: usize = 12;

fn main() {
    let wanted: u32 = std::env::var("KEYTRAIL_BENCH_IDENTITIES").map_or(1_000_000, |text| text.parse().unwrap());
    let started = Instant::now();
    let mut town = town::Town::new(wanted, 2, 8);
    println!("{} identities, {} events; {:.0} s to simulate", town.identities(), town.events(), started.elapsed().as_secs_f64());
    let rules = Arc::new(Rules::embedded().unwrap());
    let mut detector = Detector::new(0, config(), rules.clone());
    let (mut findings, mut fingerprint, mut told) = (Vec::new(), DefaultHasher::new(), 0);
    let before = resident_bytes();
    let (mut offset, mut whole, mut measured) = (0, Duration::ZERO, Duration::ZERO);
    let from = town.events() - town.events() / MEASURED_SHARE;
    loop {
        let records: Vec<LogRecord> = town.by_ref().take(CHUNK).map(|event| LogRecord::Event(Box::new(event))).collect();
        if records.is_empty() {
            break;
        }
        let start = cpu();
        detector.observe_all(i64::try_from(offset).unwrap(), &records, &mut findings);
        let taken = cpu() - start;
        whole += taken;
        if offset >= from {
            measured += taken;
        }
        offset += records.len();
        told += findings.len();
        findings.drain(..).for_each(|finding| serde_json::to_string(&finding).unwrap().hash(&mut fingerprint));
    }
    let count = town.events() - from.next_multiple_of(CHUNK);
    let identities = town.identities();
    println!(
        "judged: {:.0} events/s a core, {:.2} us an event at the end; {:.2} us over all; {told} findings, fingerprint {:016x}",
        count as f64 / measured.as_secs_f64(),
        measured.as_secs_f64() * 1e6 / count as f64,
        whole.as_secs_f64() * 1e6 / offset as f64,
        fingerprint.finish()
    );
    println!("memory: {} bytes an identity, credentials, destinations and baselines included", (resident_bytes() - before) / u64::from(identities));
    drop(town);
    let start = (Instant::now(), of_all_threads());
    let snapshot = detector.snapshot();
    let kept = (start.0.elapsed(), of_all_threads() - start.1);
    let mut hash = DefaultHasher::new();
    snapshot.hash(&mut hash);
    drop(detector);
    let start = (Instant::now(), of_all_threads());
    let restored = Detector::restore(&snapshot, config(), rules).unwrap();
    println!(
        "on the clock, several threads: snapshot {:.2} s ({:.2} s on processors), {} MiB (fingerprint {:016x}); restore {:.2} s ({:.2} s)",
        kept.0.as_secs_f64(),
        kept.1.as_secs_f64(),
        snapshot.len() >> 20,
        hash.finish(),
        start.0.elapsed().as_secs_f64(),
        (of_all_threads() - start.1).as_secs_f64()
    );
    assert_eq!(restored.next_offset(), i64::try_from(offset).unwrap());
}

/// The defaults, with bounds that hold so many.
fn config() -> Config {
    Config {
        ledger: LedgerConfig { identities_max: 4_000_000, credentials_max: 8_000_000, ..LedgerConfig::default() },
        baseline: baseline::Config { values_max: 8_000_000, aliases_max: 8_000_000, ..baseline::Config::default() },
        ..Config::default()
    }
}

/// How long this thread has been on a processor.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// How long all threads of the process, ended ones too, have been on processors, to a hundredth of a second.
fn of_all_threads() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = text.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
