//! How fast events go into a log on Kafka and out of it, at the broker that `KEYTRAIL_TEST_KAFKA` names. Its keytrail topics are used as they
//! are, and filled: use a broker that is there for this.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark stops where something is not as it should be")]

use std::time::{Duration, Instant};

use keytrail_log::EventLog as _;
use keytrail_log::kafka::{KafkaLog, Options, topics};
use keytrail_schemas::{Event, EventId, Micros, Topic};

const BATCH: u64 = 4_096;
const BATCHES: u64 = 75;

fn event(run: u64, number: u64) -> Box<Event> {
    let mut noise = [0; 60];
    blake3::Hasher::new().update(&run.to_le_bytes()).update(&number.to_le_bytes()).finalize_xof().fill(&mut noise);
    let noise = hex::encode(noise);
    Box::new(Event {
        event_id: EventId::of_provider("bench", &run.to_string(), &number.to_string(), 0),
        time: Micros(i64::try_from(number).unwrap()),
        ingested_at: Micros(1),
        identity: format!("aws:123456789012:role/service-{}", number % 10_007).into(),
        identity_provider: "aws".into(),
        identity_account: "123456789012".into(),
        action: Some("s3:GetObject".into()),
        destination: Some(format!("aws:s3/bucket-{}", number % 313).into()),
        source_ip: Some("10.1.2.3".into()),
        format: "cloudtrail".into(),
        source: "cloudtrail".into(),
        raw: Some(format!(
            "{{\"eventVersion\":\"1.08\",\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"GetObject\",\"awsRegion\":\"eu-central-1\",\"sourceIPAddress\":\"10.1.2.3\",\
             \"userIdentity\":{{\"type\":\"AssumedRole\",\"accountId\":\"123456789012\"}},\"requestID\":\"{}\",\"eventID\":\"{}\"}}",
            &noise[..32],
            &noise[32..]
        )),
        ..Event::default()
    })
}

fn rate(what: &str, count: u64, bytes: usize, elapsed: Duration) {
    println!(
        "{what}: {:.0} events/s, {:.1} MB/s of encoded records ({count} in {elapsed:.2?})",
        count as f64 / elapsed.as_secs_f64(),
        bytes as f64 / 1e6 / elapsed.as_secs_f64()
    );
}

fn main() {
    let Ok(brokers) = std::env::var("KEYTRAIL_TEST_KAFKA") else {
        println!("skipped: set KEYTRAIL_TEST_KAFKA to a broker's host:port");
        return;
    };
    let options = Options { brokers, ..Options::default() };
    topics::apply(&options, &topics::Spec::default()).unwrap();
    let run = u64::from(std::process::id());
    for (number, compression) in ["lz4", "zstd", "none"].into_iter().enumerate() {
        let run = run * 10 + number as u64;
        let dir = tempfile::tempdir().unwrap();
        let log = KafkaLog::open(Options { compression: compression.into(), seen_dir: Some(dir.path().into()), ..options.clone() }).unwrap();
        let partitions = log.partitions();
        let from: Vec<i64> = (0..partitions).map(|partition| log.end(Topic::Events, partition).unwrap()).collect();
        let batches: Vec<Vec<Box<Event>>> = (0..BATCHES).map(|batch| (batch * BATCH..(batch + 1) * BATCH).map(|n| event(run, n)).collect()).collect();
        let bytes: usize = batches.iter().flatten().map(|event| keytrail_schemas::LogRecord::encode_event(event).len()).sum();
        let started = Instant::now();
        for batch in batches {
            log.append(batch, Vec::new()).unwrap();
        }
        rate(&format!("append, {compression}"), BATCHES * BATCH, bytes, started.elapsed());
        let reader = KafkaLog::open(Options { window_records: 262_144, ..options.clone() }).unwrap();
        let started = Instant::now();
        let mut read = 0;
        let mut first = None;
        for (partition, mut next) in (0..partitions).zip(from) {
            while let Some(chunk) = reader.read_events(partition, next).unwrap() {
                first.get_or_insert_with(|| started.elapsed());
                read += chunk.records.len() as u64;
                next = chunk.first_offset + i64::try_from(chunk.records.len()).unwrap();
            }
        }
        assert!(read >= BATCHES * BATCH);
        println!("  the first run came after {:.2?}, the window before it included", first.unwrap_or_default());
        rate(&format!("read, {compression}"), read, bytes, started.elapsed() - first.unwrap_or_default());
    }
}
