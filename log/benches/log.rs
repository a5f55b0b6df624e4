//! Appending to the embedded log with duplicates looked for, and reading it back: events of about 1 KB. First, what of an append the thread that calls it
//! takes of a processor, on logs of one partition and of several; the rest is done on the log's own threads.
#![allow(missing_docs, reason = "the macros of criterion write functions without documentation")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use keytrail_log::EventLog;
use keytrail_log::embedded::{EmbeddedLog, Fsync, Options};
use keytrail_schemas::{Event, EventId, Hash32, Micros, Text};

const BATCH: u64 = 8_192;

fn event(number: u64) -> Box<Event> {
    let raw = format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"AssumedRole","principalId":"AROA{number}:ci","arn":"arn:aws:sts::123456789012:assumed-role/ci-{}/s{number}","accountId":"123456789012","accessKeyId":"ASIA{number:016}"}},"eventTime":"2026-01-02T03:04:05Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"198.51.100.{}","userAgent":"[aws-sdk-go/1.44 (go1.20; linux; amd64)]","requestParameters":{{"bucketName":"bucket-{}","key":"path/to/object/{number}","Host":"bucket.s3.eu-central-1.amazonaws.com"}},"responseElements":null,"requestID":"{:x}","eventID":"{:x}","readOnly":true,"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"123456789012"}}"#,
        number % 300,
        number % 250,
        number % 40,
        u128::from(number) << 64 | 0xdead_beef,
        u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    );
    Box::new(Event {
        event_id: EventId::of_provider("cloudtrail", "123456789012", &number.to_string(), 0),
        time: Micros(1_767_322_800_000_000 + i64::try_from(number).unwrap_or(0) * 1_000),
        ingested_at: Micros(1_800_000_000_000_000),
        identity: Text::from(format!("aws:123456789012:role/ci-{}", number % 300)),
        identity_provider: "aws".into(),
        identity_account: "123456789012".into(),
        credential: Some(format!("ASIA{number:016}").into()),
        source_ip: Some("198.51.100.7".into()),
        user_agent: Some("[aws-sdk-go/1.44 (go1.20; linux; amd64)]".into()),
        destination: Some(format!("aws:s3/bucket-{}", number % 40).into()),
        action: Some("s3:GetObject".into()),
        source: "bench".into(),
        format: "cloudtrail".into(),
        raw_hash: Hash32::of(raw.as_bytes()),
        raw: Some(raw),
        ..Event::default()
    })
}

fn open(dir: &std::path::Path) -> Option<EmbeddedLog> {
    EmbeddedLog::open(dir, Options { fsync: Fsync::Never, ..Options::default() }).ok()
}

/// Nanoseconds that this thread was on a processor (Linux; 0 elsewhere).
fn on_processor() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn threads(_: &mut Criterion) {
    const BATCHES: u64 = 40;
    for partitions in [1, 8] {
        let Ok(dir) = tempfile::tempdir() else { return };
        let Ok(log) = EmbeddedLog::open(dir.path(), Options { partitions: Some(partitions), fsync: Fsync::Never, ..Options::default() }) else { return };
        let mut own = 0;
        for batch in 0..BATCHES {
            let events: Vec<Box<Event>> = (batch * BATCH..(batch + 1) * BATCH).map(event).collect();
            let before = on_processor();
            let _ = black_box(log.append(events, Vec::new()));
            own += on_processor() - before;
        }
        let each = std::time::Duration::from_nanos(own / (BATCHES * BATCH));
        println!("embedded log/append new, {partitions} partitions: the thread that appends takes {each:?} of a processor an event");
    }
}

fn bench(c: &mut Criterion) {
    let (Ok(fresh), Ok(filled)) = (tempfile::tempdir(), tempfile::tempdir()) else { return };
    let mut group = c.benchmark_group("embedded log");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    if let Some(log) = open(fresh.path()) {
        let mut number = 0;
        let mut next = || {
            number += BATCH;
            (number - BATCH..number).map(event).collect::<Vec<_>>()
        };
        group.bench_function("append new", |b| b.iter_batched(&mut next, |events| log.append(events, Vec::new()).map(black_box), BatchSize::PerIteration));
        group.bench_function("append duplicates", |b| {
            b.iter_batched(|| (0..BATCH).map(event).collect(), |events| log.append(events, Vec::new()).map(black_box), BatchSize::PerIteration)
        });
    }
    if let Some(log) = open(filled.path()) {
        for batch in 0..16 {
            let _ = log.append((batch * BATCH..(batch + 1) * BATCH).map(event).collect(), Vec::new());
        }
    }
    let Ok(log) = EmbeddedLog::open(filled.path(), Options { cache_bytes_max: 0, ..Options::default() }) else { return };
    let mut from = 0;
    group.bench_function("read back from disk", |b| {
        b.iter(|| {
            for _ in 0..BATCH / 2_048 {
                match log.read_events(0, from) {
                    Ok(Some(chunk)) => from = chunk.first_offset + i64::try_from(black_box(&chunk.records).len()).unwrap_or(0),
                    _ => from = 0,
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, threads, bench);
criterion_main!(benches);
