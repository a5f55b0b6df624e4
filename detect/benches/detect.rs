//! Events per second through the whole detector in its steady state, and its parts.
//!
//! The estate: 2,000 machine identities that act twenty times an hour each, with access keys (one in ten over age), hourly sessions
//! and certificates; a handful of destinations, actions and clients each; no surprises. `cargo bench -p keytrail-detect --profile dev`
//! measures what users run. Times are CPU time of the thread (`/proc/thread-self/schedstat`; wall time elsewhere), so that a busy
//! machine does not count.

#![expect(clippy::unwrap_used, missing_docs, reason = "a benchmark stops where something is wrong")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{
    BatchSize, Criterion, Throughput, criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use keytrail_detect::{
    Config, Detector, LedgerConfig, Rules,
    baseline::{self, Baseline},
    ledger::{Ledger, Limits},
    rule::{Evaluator, Groups, observation::Observation},
};
use keytrail_schemas::{Activity, CredentialKind, Event, EventId, IdentityKind, LogRecord, Micros, Outcome};

const START: Micros = Micros(1_767_571_200_000_000);
const IDENTITIES: u64 = 2_000;
const PER_HOUR: u64 = 20;
const WARM: u64 = 800_000;
const MEASURED: u64 = 200_000;

/// SplitMix64: the estate is the same in every run.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn event(n: u64) -> Event {
    let step_us = Micros::HOUR.unsigned_abs() / (IDENTITIES * PER_HOUR);
    let time = Micros(START.0 + i64::try_from(n * step_us).unwrap());
    let who = mix(n) % IDENTITIES;
    let draw = mix(n ^ 0xABCD);
    let hour = n * step_us / Micros::HOUR.unsigned_abs();
    let (credential, kind, issued) = match who % 5 {
        0 | 1 => (format!("AKIA{:016X}", mix(who)), CredentialKind::AccessKey, START.0 - i64::try_from(mix(who) % 100).unwrap() * Micros::DAY),
        2 | 3 => (format!("ASIA{:016X}", mix(who ^ hour << 20)), CredentialKind::Session, START.0 + i64::try_from(hour).unwrap() * Micros::HOUR),
        _ => (format!("x509:{:032x}", mix(who)), CredentialKind::X509, START.0 - 20 * Micros::DAY),
    };
    let service = ["s3", "dynamodb", "sqs", "kms"][usize::try_from(who % 4).unwrap()];
    Event {
        event_id: EventId::of_provider("bench", "", "", u32::try_from(n).unwrap()),
        time,
        ingested_at: time,
        activity: Activity::Use,
        outcome: if draw.is_multiple_of(50) { Outcome::Failure } else { Outcome::Success },
        identity: format!("aws:123456789012:role/team-{}/service-{who}", who % 40).into(),
        identity_kind: IdentityKind::Service,
        identity_provider: "aws".into(),
        identity_account: "123456789012".into(),
        credential: Some(credential.into()),
        credential_kind: kind,
        credential_issued_at: Some(Micros(issued)),
        source_ip: Some(format!("10.{}.{}.{}", who % 40, who / 200, 1 + draw % 2).into()),
        user_agent: Some("aws-sdk-java/2.20.1 Linux/5.10 OpenJDK_64-Bit_Server_VM/17.0".into()),
        destination: Some(format!("aws:{service}/team-{}-data-{}", who % 40, (draw >> 8) % 5).into()),
        destination_kind: Some("bucket".into()),
        destination_service: Some(service.into()),
        environment: Some("prod".into()),
        protocol: Some("https".into()),
        auth_method: Some("sigv4".into()),
        action: Some(format!("{service}:Get{}", (draw >> 16) % 4).into()),
        source: "trail".into(),
        format: "cloudtrail".into(),
        log_offset: i64::try_from(n).unwrap(),
        ..Event::default()
    }
}

/// CPU time of the thread.
struct CpuTime;

fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

impl Measurement for CpuTime {
    type Intermediate = (Option<Duration>, Instant);
    type Value = Duration;

    fn start(&self) -> Self::Intermediate {
        (cpu_time(), Instant::now())
    }

    fn end(&self, start: Self::Intermediate) -> Duration {
        cpu_time().zip(start.0).map_or_else(|| start.1.elapsed(), |(end, start)| end - start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn detector(c: &mut Criterion<CpuTime>) {
    let rules = Arc::new(Rules::embedded().unwrap());
    let mut warm = Detector::new(0, Config::default(), rules.clone());
    let mut out = Vec::new();
    for n in 0..WARM {
        warm.observe(i64::try_from(n).unwrap(), &LogRecord::Event(event(n)), &mut out);
    }
    let snapshot = warm.snapshot();
    eprintln!("warm: {} findings from {WARM} events, {} open, snapshot {} KiB", out.len(), warm.findings_open(), snapshot.len() / 1024);
    drop(warm);
    let events: Vec<LogRecord> = (WARM..WARM + MEASURED).map(|n| LogRecord::Event(event(n))).collect();
    let mut group = c.benchmark_group("detect");
    group.sample_size(10).throughput(Throughput::Elements(MEASURED));
    group.bench_function("whole", |b| {
        b.iter_batched_ref(
            || (Detector::restore(&snapshot, Config::default(), rules.clone()).unwrap(), Vec::with_capacity(4096)),
            |(detector, out)| {
                for (record, offset) in events.iter().zip(i64::try_from(WARM).unwrap()..) {
                    detector.observe(offset, black_box(record), out);
                }
                out.len()
            },
            BatchSize::PerIteration,
        );
    });
    let events: Vec<Event> = events
        .into_iter()
        .filter_map(|record| match record {
            LogRecord::Event(event) => Some(event),
            LogRecord::Tick { .. } | LogRecord::Gap => None,
        })
        .collect();
    let mut ledger = Ledger::new(LedgerConfig::default());
    for event in &events {
        let who = ledger.identify(event, &mut Vec::new());
        ledger.observe(who, event, Limits::default());
    }
    group.bench_function("ledger", |b| {
        b.iter(|| {
            for event in &events {
                let who = ledger.identify(event, &mut Vec::new());
                black_box(ledger.observe(who, black_box(event), Limits::default()));
            }
        });
    });
    let who: Vec<_> = events.iter().map(|event| ledger.identify(event, &mut Vec::new())).collect();
    let mut learned = Baseline::new(baseline::Config::default());
    let context = |event: &Event| baseline::Context { watermark: event.time, ..baseline::Context::default() };
    for n in 0..WARM {
        let event = event(n);
        let who = ledger.identify(&event, &mut Vec::new());
        learned.advance(event.time, &mut Vec::new());
        learned.observe(who, &event, &context(&event));
    }
    group.bench_function("baseline", |b| {
        b.iter_batched_ref(
            || learned.clone(),
            |learned| {
                for (event, who) in events.iter().zip(&who) {
                    learned.advance(event.time, &mut Vec::new());
                    black_box(learned.observe(*who, black_box(event), &context(event)));
                }
            },
            BatchSize::PerIteration,
        );
    });
    let observed: Vec<_> = events.iter().zip(&who).map(|(event, who)| ledger.observe(*who, event, Limits::default())).collect();
    let features = baseline::Features { p_value: 1.0, windows: 100, ..baseline::Features::default() };
    let mut evaluator = Evaluator::new(rules, 1024, 1024);
    group.bench_function("rules", |b| {
        b.iter(|| {
            let mut hits = Vec::new();
            let mut groups = Groups::default();
            for (event, observed) in events.iter().zip(&observed) {
                hits.clear();
                let o = Observation {
                    event,
                    observed,
                    baseline: Some(&features),
                    declared: keytrail_detect::inventory::Features::default(),
                    ledger: None,
                    late: false,
                    absence: None,
                };
                evaluator.evaluate(black_box(&o), &mut groups, &mut hits);
            }
            hits.len()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    targets = detector
}
criterion_main!(benches);
