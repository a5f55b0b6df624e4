//! SigmaHQ's rules over real records: this crate beside rsigma alone, in one run, with the same matches. Needs ../shared/data.
//!
//! Time is the thread's time on a processor, so that what else the machine does is not counted. `cargo bench -p keytrail-detect --bench raw_rules whole` measures
//! the detector alone, `estate` over the hard estate alone. A fingerprint of all findings is printed: equal numbers mean equal findings, to compare two versions by.

#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::cast_precision_loss, clippy::disallowed_methods, reason = "a benchmark")]

#[path = "../tests/raw_rules/corpus.rs"]
mod corpus;
mod estate;
#[path = "estate/town.rs"]
mod town;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use keytrail_detect::rule::load::load;
use keytrail_detect::{Config, Detector};
use keytrail_schemas::{Event, Finding, LogRecord, Text};
use rsigma_eval::{CompiledRule, Engine, JsonEvent};

/// What the program that users run has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 2;
/// Records of one comparison: rsigma needs some milliseconds for one.
const RECORDS: usize = 500;
/// Events that are judged in one go: about what the log hands on.
const RUN: usize = 1_024;
/// Days of the hard estate; its second half is measured. `KEYTRAIL_BENCH_DAYS` says otherwise.
const DAYS: u32 = 14;

fn days() -> u32 {
    std::env::var("KEYTRAIL_BENCH_DAYS").map_or(DAYS, |text| text.parse().unwrap())
}

fn main() {
    let (Some(folder), Some(data)) = (corpus::unpacked(), corpus::data()) else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let rules = corpus::compiled(&corpus::rules(&folder));
    let records = corpus::records(&data);
    let of = |folder: &str| records.iter().filter(|(name, _)| name.starts_with(folder)).map(|(_, raw)| raw.clone()).collect::<Vec<_>>();
    if std::env::args().any(|argument| argument == "whole") {
        return whole(&corpus::set(&folder), &of("cloudtrail"));
    }
    if std::env::args().any(|argument| argument == "estate") {
        let rules = Arc::new(load(&corpus::set(&folder), corpus::FORMATS).unwrap().rules);
        return judge("a hard estate", &rules, town::Town::new(1, days(), 20).collect());
    }
    for (what, records) in
        [("cloudtrail", of("cloudtrail")), ("k8s_audit", of("k8s_audit")), ("every real record", records.iter().map(|(_, raw)| raw.clone()).collect())]
    {
        let records: Vec<String> = records.into_iter().cycle().take(RECORDS).collect();
        compare(&format!("{} rules, {what}", rules.len()), &rules, &records);
    }
    let cloudtrail: Vec<CompiledRule> = rules.iter().filter(|rule| rule.logsource.product.as_deref() == Some("aws")).cloned().collect();
    let records: Vec<String> = of("cloudtrail").into_iter().cycle().take(20 * RECORDS).collect();
    compare(&format!("{} rules for AWS, cloudtrail", cloudtrail.len()), &cloudtrail, &records);
    whole(&corpus::set(&folder), &of("cloudtrail"));
}

/// Both engines over the same records, as text: what parsing costs is part of it.
fn compare(what: &str, rules: &[CompiledRule], records: &[String]) {
    let program = corpus::program(rules);
    let (mut memory, mut matched) = (program.memory(), Vec::new());
    let (ours, our_matches) = measured(records, |raw| {
        matched.clear();
        program.judge(raw, None, &mut memory, &mut matched);
        matched.len()
    });
    let mut theirs = (Duration::MAX, 0);
    for bloom in [false, true] {
        let mut engine = Engine::new();
        engine.set_bloom_prefilter(bloom);
        engine.extend_compiled_rules(rules.iter().cloned());
        let measured = measured(records, |raw| {
            let value: serde_json::Value = serde_json::from_str(raw).unwrap();
            engine.evaluate(&JsonEvent::borrow(&value)).len()
        });
        theirs = if measured.0 < theirs.0 { measured } else { theirs };
    }
    let rate = |time: Duration| records.len() as f64 / time.as_secs_f64();
    println!(
        "{what}: {:.0} records/s, rsigma alone {:.0} records/s, {:.1} times; {our_matches} matches, rsigma {}",
        rate(ours),
        rate(theirs.0),
        theirs.0.as_secs_f64() / ours.as_secs_f64(),
        theirs.1
    );
}

/// A detector with the built-in rules and the whole corpus: over events that carry real records of attacks, each of which is a finding or more, and over
/// those of a hard estate, with the records that they were read from.
fn whole(set: &keytrail_detect::rule::set::Set, records: &[String]) {
    let rules = Arc::new(load(set, corpus::FORMATS).unwrap().rules);
    let event = |n: usize| {
        let raw = records.get(n % records.len()).cloned();
        Event { raw, format: Text::const_new("cloudtrail"), ..estate::steady(n as u64) }
    };
    let attacks: Vec<Event> = (0..60_000).map(event).collect();
    judge("attacks alone, cloudtrail", &rules, attacks);
    judge("a hard estate", &rules, town::Town::new(1, days(), 20).collect());
}

/// Judges events, and says how fast the second half of them was.
fn judge(what: &str, rules: &Arc<keytrail_detect::Rules>, events: Vec<Event>) {
    let mut detector = Detector::new(0, Config::default(), rules.clone());
    let (mut out, half) = (Vec::new(), events.len() / 2);
    let (mut fingerprint, mut taken, mut count) = (DefaultHasher::new(), Duration::ZERO, 0);
    let mut offset = 0;
    for run in events.chunks(RUN) {
        // As a log hands them on: decoded a moment ago.
        let records: Vec<LogRecord> = run.iter().map(|event| LogRecord::Event(Box::new(event.clone()))).collect();
        let start = cpu();
        detector.observe_all(i64::try_from(offset).unwrap(), &records, &mut out);
        if offset >= half {
            taken += cpu() - start;
            count += out.len();
        }
        offset += records.len();
        out.drain(..).for_each(|finding: Finding| serde_json::to_string(&finding).unwrap().hash(&mut fingerprint));
    }
    let (taken, measured) = (taken.as_secs_f64(), (offset - half.next_multiple_of(RUN)) as f64);
    println!(
        "a detector with all rules, {what}: {:.0} events/s a core, {:.2} us an event; {count} findings written, fingerprint {:016x}",
        measured / taken,
        taken * 1e6 / measured,
        fingerprint.finish()
    );
}

/// The best of some rounds, and the matches of one.
fn measured(records: &[String], mut each: impl FnMut(&str) -> usize) -> (Duration, usize) {
    let (mut best, mut matches) = (Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let start = cpu();
        matches = records.iter().map(|raw| each(raw)).sum();
        best = best.min(cpu() - start);
    }
    (best, matches)
}

/// How long this thread has been on a processor.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
