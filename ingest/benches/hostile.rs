//! The text that takes redaction longest, looked for: fragments of every rule's words, of every encoding and of JSON are put together at random, the worst of them are changed on and
//! on, and what is worst in the end is timed at 1 KiB, 32 KiB and 1 MiB. Its time a byte must not grow with its length.
//!
//! `cargo bench -p keytrail-ingest --bench hostile --profile dev [-- SEED]`.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark tells what it measures")]

use std::hint::black_box;
use std::time::Instant;

use keytrail_ingest::redact::{Level, Redactor};

#[path = "hostile/text.rs"]
mod text;

use text::{Dice, Text};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The length at which the worst are looked for.
const SEARCHED: usize = 4 << 10;
/// Lengths at which they are timed.
const LENGTHS: [usize; 3] = [1 << 10, 32 << 10, 1 << 20];
/// Texts tried beside the fragments alone, and how many of the worst are changed on.
const TRIES: u32 = 300;
const WORST: usize = 6;
/// How much longer a byte of a long text may take than one of a short one: more is not linear.
const GROWTH_MAX: f64 = 2.0;

/// Where a text may stand: each goes another way through the code.
const WAYS: &[&str] = &["a message", "a text that is kept", "a name", "a closed place", "a policy", "a command", "a URI", "a record", "a dead letter", "a row"];

fn main() {
    let seed = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let redactor = Redactor::new(&[7; 32]);
    let mut dice = Dice::new(seed);
    let fragments = text::fragments();
    let mut worst: Vec<(f64, &str, Text)> = Vec::new();
    let try_one = |worst: &mut Vec<(f64, &'static str, Text)>, text: Text| {
        let made = text.of(SEARCHED);
        let (cost, way) = WAYS.iter().map(|way| (nanos_a_byte(&redactor, way, &made), *way)).max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are ways");
        if !worst.iter().any(|(_, _, known)| *known == text) {
            worst.push((cost, way, text));
            worst.sort_by(|a, b| b.0.total_cmp(&a.0));
            worst.truncate(WORST);
        }
    };
    for fragment in &fragments {
        try_one(&mut worst, Text::of_fragment(fragment));
    }
    for turn in 0..TRIES {
        let parent = worst.get(dice.below(worst.len())).map(|(_, _, text)| text.clone()).filter(|_| turn % 4 > 0);
        try_one(&mut worst, Text::random(parent, &fragments, &mut dice));
    }
    println!("seed {seed}, {} fragments, {TRIES} texts, nanoseconds a byte on a core:", fragments.len());
    println!("{:>8} {:>8} {:>8}  {:<20} text", "1 KiB", "32 KiB", "1 MiB", "as");
    let mut grows = false;
    for (_, way, text) in &worst {
        let [short, middle, long] = LENGTHS.map(|length| on_core_a_byte(&redactor, way, &text.of(length)));
        grows |= middle.max(long) > GROWTH_MAX * short;
        println!("{short:>8.1} {middle:>8.1} {long:>8.1}  {way:<20} {text}");
    }
    assert!(!grows, "a byte takes the longer, the longer the text is");
}

/// Nanoseconds a byte of `text` that stands there, on the clock: the best of a few.
fn nanos_a_byte(redactor: &Redactor, way: &str, text: &str) -> f64 {
    let record = record_of(way, text);
    let once = || {
        let begin = Instant::now();
        redact(redactor, way, text, &record);
        begin.elapsed().as_secs_f64() * 1e9 / text.len().max(1) as f64
    };
    (0..2).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// The same on a core, whatever else the machine does: so often that the kernel's ticks do not show.
fn on_core_a_byte(redactor: &Redactor, way: &str, text: &str) -> f64 {
    const LEAST_NANOS: f64 = 1e8;
    let record = record_of(way, text);
    // Expressions are compiled once.
    redact(redactor, way, text, &record);
    let (begin, mut times) = (nanos(), 0.0);
    loop {
        redact(redactor, way, text, &record);
        times += 1.0;
        let took = nanos() - begin;
        if took > LEAST_NANOS {
            return took / times / text.len().max(1) as f64;
        }
    }
}

/// Time of the current thread on a core, in nanoseconds; on the clock where the system does not tell it.
fn nanos() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let on_core = std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| text.split(' ').next()?.parse().ok());
    on_core.unwrap_or_else(|| START.elapsed().as_secs_f64() * 1e9)
}

/// The record that the text stands in, where it is none itself.
fn record_of(way: &str, text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let in_field = |field: &str| format!("{{\"eventName\":\"x\",{field}}}");
    match way {
        "a text that is kept" => in_field(&format!("\"userAgent\":{quoted}")),
        "a name" => in_field(&format!("\"sourceIPAddress\":{quoted}")),
        "a closed place" => in_field(&format!("\"requestParameters\":{{\"description\":{quoted}}}")),
        "a policy" => in_field(&format!("\"requestParameters\":{{\"policyDocument\":{quoted}}}")),
        "a command" => in_field(&format!("\"requestParameters\":{{\"command\":{quoted}}}")),
        "a URI" => format!("{{\"requestURI\":{quoted}}}"),
        _ => String::new(),
    }
}

/// Redacts the text where it stands.
fn redact(redactor: &Redactor, way: &str, text: &str, record: &str) {
    match way {
        "a message" => drop(black_box(redactor.text(black_box(text)))),
        "a URI" => drop(black_box(redactor.record("k8s_audit", black_box(record), Level::Safe))),
        "a record" => drop(black_box(redactor.record("cloudtrail", black_box(text), Level::Safe))),
        "a dead letter" => drop(black_box(redactor.bytes("cloudtrail", black_box(text.as_bytes()), text.len()))),
        "a row" => drop(black_box(redactor.row("zeek", &["ts", "uid", "error_msg"], b'\t', black_box(text), Level::Safe))),
        _ => drop(black_box(redactor.record("cloudtrail", black_box(record), Level::Safe))),
    }
}
