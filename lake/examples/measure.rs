//! Measures what storing and compacting cost: `cargo run -p keytrail-lake --example measure -- [EVENTS] [BATCH] [FOLDER]`.
//!
//! Events look like CloudTrail's, with about 1 KB of raw record each. CPU time is that of the whole process, so that other load on the
//! machine does not count.

use std::time::Instant;

use keytrail_lake::{CompactOptions, Lake, Options};
use keytrail_schemas::{Activity, Event, EventId, Hash32, IdentityKind, Micros, Outcome, Topic};

const START: i64 = 1_767_225_600_000_000;

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn event(offset: i64, spacing_us: i64, state: &mut u64) -> Event {
    let (a, b) = (random(state), random(state));
    let who = a % 3000;
    let time = Micros(START + offset * spacing_us);
    let actions = ["GetObject", "PutObject", "ListObjectsV2", "Decrypt", "GetSecretValue", "AssumeRole", "SendMessage", "DescribeInstances"];
    let action = actions[(b % 8) as usize];
    let key = format!("ASIA{:016X}", who * 77_777 + (offset as u64 / 500_000));
    let destination = format!("aws:s3/bucket-{}-{}", who % 400, (b >> 8) % 12);
    let ip = format!("10.{}.{}.{}", who % 7, (b >> 16) % 16, (b >> 24) % 40);
    let raw = format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"AssumedRole","principalId":"AROA{who:016X}:worker-{who}","arn":"arn:aws:sts::123456789012:assumed-role/service-{who}/worker-{who}","accountId":"123456789012","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{who:016X}","arn":"arn:aws:iam::123456789012:role/service-{who}","accountId":"123456789012","userName":"service-{who}"}},"attributes":{{"creationDate":"{}","mfaAuthenticated":"false"}}}}}},"eventTime":"{time}","eventSource":"s3.amazonaws.com","eventName":"{action}","awsRegion":"eu-central-1","sourceIPAddress":"{ip}","userAgent":"aws-sdk-go-v2/1.24.0 os/linux lang/go#1.21.5 md/GOARCH#amd64","requestParameters":{{"bucketName":"{destination}","key":"data/{:x}/part-{:05}.parquet"}},"responseElements":null,"requestID":"{:016X}","eventID":"{:08x}-{:04x}-4{:03x}-{:016x}","readOnly":true,"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"123456789012","eventCategory":"Data"}}"#,
        Micros(START + offset / 10_000 * 10_000 * spacing_us),
        random(state) >> 20,
        b % 100_000,
        random(state),
        a >> 32,
        a & 0xffff,
        b & 0xfff,
        random(state),
    );
    Event {
        event_id: EventId::of_provider("cloudtrail", "123456789012", &a.to_string(), 0),
        time,
        ingested_at: Micros(START + 90 * Micros::DAY + offset / 100),
        activity: Activity::Use,
        outcome: if b % 50 == 0 { Outcome::Denied } else { Outcome::Success },
        reason: (b % 50 == 0).then(|| "AccessDenied".into()),
        identity: format!("aws:123456789012:role/service-{who}").into(),
        identity_kind: IdentityKind::Service,
        identity_provider: "aws".into(),
        identity_account: "123456789012".into(),
        credential: Some(key.into()),
        credential_issued_at: Some(Micros(START)),
        source_ip: Some(ip.into()),
        user_agent: Some("aws-sdk-go-v2/1.24.0 os/linux lang/go#1.21.5 md/GOARCH#amd64".into()),
        destination: Some(destination.into()),
        destination_kind: Some("bucket".into()),
        destination_service: Some("s3".into()),
        protocol: Some("https".into()),
        auth_method: Some("sigv4".into()),
        action: Some(format!("s3:{action}").into()),
        session: Some(format!("worker-{who}").into()),
        source: "measure".into(),
        format: "cloudtrail".into(),
        raw_hash: Hash32::of(raw.as_bytes()),
        raw: Some(raw),
        log_offset: offset,
        ..Event::default()
    }
}

/// User and system time of this process, in seconds (Linux; elsewhere 0).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |n: usize| stat.rsplit(')').next().and_then(|s| s.split_whitespace().nth(n)).and_then(|s| s.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let total: i64 = arguments.next().as_deref().unwrap_or("1000000").parse()?;
    let batch: i64 = arguments.next().as_deref().unwrap_or("100000").parse()?;
    let folder = arguments.next();
    let temporary = tempfile::tempdir()?;
    let place = folder.unwrap_or_else(|| temporary.path().display().to_string());
    // Two days, so that one closes.
    let spacing_us = 2 * Micros::DAY / total.max(1);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let started = Instant::now();
        let lake = Lake::open(&place, Options::default()).await?;
        println!("open                 {:8.3} s", started.elapsed().as_secs_f64());
        let (mut state, mut cpu, mut wall, mut bytes, mut raw_bytes) = (7_u64, 0.0, 0.0, 0_u64, 0_usize);
        for first in (0..total).step_by(usize::try_from(batch)?) {
            let events: Vec<Event> = (first..(first + batch).min(total)).map(|offset| event(offset, spacing_us, &mut state)).collect();
            raw_bytes += events.iter().filter_map(|e| e.raw.as_ref()).map(String::len).sum::<usize>();
            let (cpu_before, started) = (cpu_seconds(), Instant::now());
            let commit = lake.commit_events(&events, &[(Topic::Events, 0, first + events.len() as i64)]).await?;
            cpu += cpu_seconds() - cpu_before;
            wall += started.elapsed().as_secs_f64();
            bytes += commit.bytes;
        }
        let n = total as f64;
        println!("raw record           {:8.1} bytes/event", raw_bytes as f64 / n);
        println!(
            "commit_events        {:8.0} events/s wall, {:8.0} events/s of CPU, {:5.2} us CPU/event, {:6.1} bytes/event",
            n / wall,
            n / cpu,
            cpu / n * 1e6,
            bytes as f64 / n
        );
        let (cpu_before, started) = (cpu_seconds(), Instant::now());
        let report = lake.compact(CompactOptions { all: true, ..CompactOptions::default() }).await?;
        let (cpu, wall) = (cpu_seconds() - cpu_before, started.elapsed().as_secs_f64());
        let rows = report.rows as f64;
        println!(
            "compact              {:8.0} rows/s wall, {:8.0} rows/s of CPU, {:6.1} bytes/event after, {} -> {} files",
            rows / wall,
            rows / cpu,
            report.bytes_after as f64 / rows,
            report.files_removed,
            report.files_added
        );
        Ok(())
    })
}
