//! Reading files: cutting into records alone, and the whole way to events, plain and compressed. First, what the thread that merges takes of a processor,
//! where every event is another file's turn: the rest is done by the threads that read.
#![allow(missing_docs, reason = "the macros of criterion write functions without documentation")]

use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keytrail_ingest::format::{Context, Disposition, Draft, Format, Framing, Parser, Reject, auto};
use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options, Reader};
use keytrail_schemas::Micros;

/// Understands nothing, so that what is left is the source alone.
struct Nothing(Framing);

static JSON: Nothing = Nothing(Framing::Json);
static LINES: Nothing = Nothing(Framing::Lines);

impl Format for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }
    fn framing(&self) -> Framing {
        self.0
    }
    fn envelopes(&self) -> &'static [&'static str] {
        &["Records"]
    }
    fn sniff(&self, _: &[u8]) -> u8 {
        0
    }
    fn parser(&self, _: &Context) -> Box<dyn Parser> {
        Box::new(Silent)
    }
}

struct Silent;

impl Parser for Silent {
    fn record(&mut self, _: &[u8], _: u64, _: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        Ok(Disposition::Control)
    }
}

fn record(number: u64) -> String {
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"AssumedRole","principalId":"AROA{number}:ci","arn":"arn:aws:sts::123456789012:assumed-role/ci-{}/s{number}","accountId":"123456789012","accessKeyId":"ASIA{number:016}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA","arn":"arn:aws:iam::123456789012:role/ci-{}","accountId":"123456789012","userName":"ci"}},"attributes":{{"creationDate":"2026-01-02T03:00:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-01-02T03:04:05Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"198.51.100.7","userAgent":"[aws-sdk-go/1.44 (go1.20; linux; amd64)]","requestParameters":{{"bucketName":"bucket-{}","key":"path/to/object/{number}"}},"responseElements":null,"requestID":"{number:x}","eventID":"{number:08x}-1111-1111-1111-111111111111","readOnly":true,"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"123456789012"}}"#,
        number % 300,
        number % 300,
        number % 40
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Nanoseconds that this thread was on a processor (Linux; 0 elsewhere).
fn on_processor() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn merge(_: &mut Criterion) {
    const FILES: u64 = 16;
    const EVENTS: u64 = 160_000;
    let (Ok(dir), Ok(cloudtrail)) = (tempfile::tempdir(), auto::by_name("cloudtrail")) else { return };
    for file in 0..FILES {
        let text: String = (0..EVENTS / FILES)
            .map(|n| {
                let number = n * FILES + file;
                let time = format!("2026-01-02T{:02}:{:02}:{:02}Z", number / 3_600 % 24, number / 60 % 60, number % 60);
                record(number).replace("2026-01-02T03:04:05Z", &time) + "\n"
            })
            .collect();
        let _ = std::fs::write(dir.path().join(format!("{file:02}.json")), text);
    }
    let options = Options::new("bench", Choice::Named(cloudtrail), Redactor::new(&[7; 32]), || Micros(1));
    let Ok(reader) = Reader::open(&[dir.path().display().to_string()], options) else { return };
    let before = on_processor();
    let events: u64 = reader.map(|batch| batch.events.len() as u64).sum();
    let each = std::time::Duration::from_nanos((on_processor() - before) / events.max(1));
    println!("source/merge of {FILES} files: the thread that merges takes {each:?} of a processor an event, giving the events' memory back included");
}

fn bench(c: &mut Criterion) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let records: Vec<String> = (0..40_000).map(record).collect();
    let lines = records.join("\n");
    let envelope = format!("{{\"Records\":[{}]}}", records.join(","));
    let mut group = c.benchmark_group("source");
    group.throughput(Throughput::Bytes(lines.len() as u64)).sample_size(10);
    let Ok(cloudtrail) = auto::by_name("cloudtrail") else { return };
    let cases: [(&str, &[u8], Choice, usize); 8] = [
        ("cut lines", lines.as_bytes(), Choice::Named(&LINES), 1),
        ("cut JSON, one a line", lines.as_bytes(), Choice::Named(&JSON), 1),
        ("cut JSON, in an envelope", envelope.as_bytes(), Choice::Named(&JSON), 1),
        ("cut gzip", &gzip(envelope.as_bytes()), Choice::Named(&JSON), 1),
        ("cut zstd", &zstd::encode_all(envelope.as_bytes(), 3).unwrap_or_default(), Choice::Named(&JSON), 1),
        ("cloudtrail, one a line", lines.as_bytes(), Choice::Named(cloudtrail), 1),
        ("cloudtrail, in an envelope", envelope.as_bytes(), Choice::Named(cloudtrail), 1),
        ("cloudtrail, gzip", &gzip(envelope.as_bytes()), Choice::Named(cloudtrail), 1),
    ];
    for (name, bytes, choice, threads) in cases {
        let path = dir.path().join("input");
        if std::fs::write(&path, bytes).is_err() {
            return;
        }
        let paths = [path.display().to_string()];
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut options = Options::new("bench", choice, Redactor::new(&[7; 32]), || Micros(1));
                options.threads = threads;
                Reader::open(&paths, options).map_or(0, |reader| reader.map(|batch| batch.counts.read()).sum::<u64>())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, merge, bench);
criterion_main!(benches);
