//! Events per second through the whole detector, on a steady estate and on a mixed one, and through its parts on the steady one.
//!
//! The estates are in [`estate`]. `cargo bench -p keytrail-detect --profile dev` measures what users run. Times are CPU time of the
//! thread (`/proc/thread-self/schedstat`; wall time elsewhere), so that a busy machine does not count.

#![expect(clippy::unwrap_used, missing_docs, reason = "a benchmark stops where something is wrong")]

mod estate;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use keytrail_detect::{
    Config, Detector, LedgerConfig, Rules,
    baseline::{self, Baseline},
    ledger::{self, Ledger, Limits},
    rule::{Evaluator, Groups, observation::Observation},
};
use keytrail_schemas::{Event, LogRecord};

const WARM: u64 = 800_000;
const MEASURED: u64 = 200_000;
/// The mixed estate is warm once it has been through a few days.
const MIXED_WARM: usize = 1_000_000;
const MIXED_MEASURED: usize = 300_000;

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

fn mixed(group: &mut BenchmarkGroup<'_, CpuTime>, rules: &Arc<Rules>) {
    let mut warm = Detector::new(0, Config::default(), rules.clone());
    let mut out = Vec::new();
    let mut log = estate::Mixed::new();
    for (event, offset) in log.by_ref().take(MIXED_WARM).zip(0..) {
        warm.observe(offset, &LogRecord::Event(Box::new(event)), &mut out);
    }
    let (snapshot, next) = (warm.snapshot(), warm.next_offset());
    eprintln!("mixed, warm: {} findings from {MIXED_WARM} events, {} open, snapshot {} KiB", out.len(), warm.findings_open(), snapshot.len() / 1024);
    drop(warm);
    let events: Vec<LogRecord> = log.take(MIXED_MEASURED).map(|event| LogRecord::Event(Box::new(event))).collect();
    group.throughput(Throughput::Elements(u64::try_from(MIXED_MEASURED).unwrap()));
    group.bench_function("whole, mixed", |b| {
        b.iter_batched_ref(
            || (Detector::restore(&snapshot, Config::default(), rules.clone()).unwrap(), Vec::with_capacity(4096)),
            |(detector, out)| {
                detector.observe_all(next, black_box(&events), out);
                out.len()
            },
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(MEASURED));
}

fn detector(c: &mut Criterion<CpuTime>) {
    let rules = Arc::new(Rules::embedded().unwrap());
    let mut warm = Detector::new(0, Config::default(), rules.clone());
    let mut out = Vec::new();
    for n in 0..WARM {
        warm.observe(i64::try_from(n).unwrap(), &LogRecord::Event(Box::new(estate::steady(n))), &mut out);
    }
    let snapshot = warm.snapshot();
    eprintln!("warm: {} findings from {WARM} events, {} open, snapshot {} KiB", out.len(), warm.findings_open(), snapshot.len() / 1024);
    drop(warm);
    let events: Vec<LogRecord> = (WARM..WARM + MEASURED).map(|n| LogRecord::Event(Box::new(estate::steady(n)))).collect();
    let mut group = c.benchmark_group("detect");
    group.sample_size(10).throughput(Throughput::Elements(MEASURED));
    group.bench_function("whole", |b| {
        b.iter_batched_ref(
            || (Detector::restore(&snapshot, Config::default(), rules.clone()).unwrap(), Vec::with_capacity(4096)),
            |(detector, out)| {
                detector.observe_all(i64::try_from(WARM).unwrap(), black_box(&events), out);
                out.len()
            },
            BatchSize::PerIteration,
        );
    });
    mixed(&mut group, &rules);
    let events: Vec<Box<Event>> = events
        .into_iter()
        .filter_map(|record| match record {
            LogRecord::Event(event) => Some(event),
            LogRecord::Tick { .. } | LogRecord::Rules { .. } | LogRecord::Gap => None,
        })
        .collect();
    let mut ledger = Ledger::new(LedgerConfig::default());
    for event in &events {
        let who = ledger.identify(event, ledger::Likely::default(), &mut Vec::new());
        ledger.observe(who, event, ledger::Likely::default(), Limits::default(), event.time);
    }
    group.bench_function("ledger", |b| {
        b.iter(|| {
            for event in &events {
                let who = ledger.identify(event, ledger::Likely::default(), &mut Vec::new());
                black_box(ledger.observe(who, black_box(event), ledger::Likely::default(), Limits::default(), event.time));
            }
        });
    });
    let who: Vec<_> = events.iter().map(|event| ledger.identify(event, ledger::Likely::default(), &mut Vec::new())).collect();
    let mut learned = Baseline::new(baseline::Config::default());
    let context = |event: &Event| baseline::Context { watermark: event.time, ..baseline::Context::default() };
    for n in 0..WARM {
        let event = estate::steady(n);
        let who = ledger.identify(&event, ledger::Likely::default(), &mut Vec::new());
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
    let observed: Vec<_> =
        events.iter().zip(&who).map(|(event, who)| ledger.observe(*who, event, ledger::Likely::default(), Limits::default(), event.time)).collect();
    let features = baseline::Features { p_value: 1.0, windows: 100, ..baseline::Features::default() };
    let mut evaluator = Evaluator::new(rules, 1024, 1024);
    let mut shapes = keytrail_detect::shape::Shapes::default();
    group.bench_function("rules", |b| {
        b.iter(|| {
            let mut hits = Vec::new();
            let mut groups = Groups::default();
            for (event, observed) in events.iter().zip(&observed) {
                hits.clear();
                let request = std::cell::OnceCell::from(None);
                let o = Observation {
                    event,
                    shape: shapes.of(event),
                    classed: keytrail_detect::action::classify(event.action.as_deref().unwrap_or_default()),
                    request: &request,
                    observed,
                    baseline: Some(&features),
                    floor: None,
                    machine_new: None,
                    declared: keytrail_detect::inventory::Features::default(),
                    windows: None,
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
