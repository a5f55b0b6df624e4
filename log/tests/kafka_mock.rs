//! The log on Kafka against the broker that librdkafka brings with it: what readers see, without a JVM.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::path::Path;
use std::time::{Duration, Instant};

use keytrail_log::kafka::{KafkaLog, Options};
use keytrail_log::{Error, EventLog, ToStore};
use keytrail_schemas::{DeadLetter, Event, EventId, Finding, LogRecord, Micros, Table as _, Topic};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    for topic in Topic::ALL {
        cluster.create_topic(topic.as_str(), partitions, 1).unwrap();
    }
    cluster
}

fn options(cluster: &Cluster) -> Options {
    Options { brokers: cluster.bootstrap_servers(), connect_timeout_ms: 1_500, outage_ms_max: 20_000, window_records: 100, ..Options::default() }
}

fn open(cluster: &Cluster, dir: &Path) -> KafkaLog {
    KafkaLog::open(Options { seen_dir: Some(dir.to_path_buf()), ..options(cluster) }).unwrap()
}

fn event(number: u64) -> Box<Event> {
    Box::new(Event {
        event_id: EventId::of_provider("test", "1", &number.to_string(), 0),
        time: Micros(i64::try_from(number).unwrap()),
        ingested_at: Micros(1),
        identity: format!("id{}", number % 7).into(),
        format: "test".into(),
        source: "test".into(),
        raw: Some(format!("record {number}")),
        ..Event::default()
    })
}

fn events(numbers: std::ops::Range<u64>) -> Vec<Box<Event>> {
    numbers.map(event).collect()
}

fn letter(id: &str) -> DeadLetter {
    DeadLetter { dead_letter_id: id.into(), source: "test".into(), format: "test".into(), raw: "what".into(), ..DeadLetter::default() }
}

fn finding(offset: i64, index: i32) -> Finding {
    Finding {
        finding_id: format!("f{offset}-{index}").into(),
        rule: "r".into(),
        identity: "id".into(),
        log_offset: offset,
        rule_index: index,
        ..Finding::default()
    }
}

/// Puts bytes into a topic as a foreign program would.
fn put(cluster: &Cluster, topic: Topic, partition: i32, value: &[u8]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    producer.send(BaseRecord::<str, [u8]>::to(topic.as_str()).partition(partition).payload(value)).unwrap();
    producer.flush(Duration::from_secs(5)).unwrap();
}

fn encoded(number: u64) -> Vec<u8> {
    LogRecord::encode_event(&event(number))
}

/// Every record of a partition from `from` on, with the dead letters of those that cannot be read. Whoever stores them is given the same.
fn read(log: &KafkaLog, partition: i32, from: i64) -> (Vec<LogRecord>, Vec<DeadLetter>) {
    let (records, letters) = read_one_by_one(log, partition, from);
    let (mut events, mut repeated, mut stored_letters, mut next) = (Vec::new(), 0, Vec::new(), from);
    while let Some(ToStore::Columns(run)) = log.read_to_store(partition, next).unwrap() {
        assert_eq!(run.next - next, i64::try_from(run.records).unwrap());
        next = run.next;
        events.extend(Event::from_batch(&run.batch).unwrap());
        repeated += run.repeated;
        stored_letters.extend(run.unreadable);
    }
    assert_eq!(next, from + i64::try_from(records.len()).unwrap());
    let expected = records.iter().filter_map(|record| if let LogRecord::Event(event) = record { Some(&**event) } else { None });
    assert!(events.iter().eq(expected), "the events to be stored are those that detectors read");
    assert_eq!(stored_letters, letters);
    assert_eq!(repeated + letters.len(), records.iter().filter(|record| **record == LogRecord::Gap).count());
    (records, letters)
}

/// What detectors read; offsets are checked.
fn read_one_by_one(log: &KafkaLog, partition: i32, from: i64) -> (Vec<LogRecord>, Vec<DeadLetter>) {
    let (mut records, mut letters, mut next) = (Vec::new(), Vec::new(), from);
    while let Some(chunk) = log.read_events(partition, next).unwrap() {
        assert_eq!(chunk.first_offset + i64::try_from(chunk.skip).unwrap(), next);
        for record in &chunk.records[chunk.skip..] {
            if let LogRecord::Event(event) = record {
                assert_eq!((event.log_partition, event.log_offset), (partition, next));
            }
            next += 1;
            records.push(record.clone());
        }
        letters.extend(chunk.unreadable);
    }
    assert_eq!(next, log.end(Topic::Events, partition).unwrap());
    (records, letters)
}

fn numbers(records: &[LogRecord]) -> Vec<i64> {
    records.iter().filter_map(|record| if let LogRecord::Event(event) = record { Some(event.time.0) } else { None }).collect()
}

#[test]
fn what_is_appended_is_read_in_order_and_nothing_is_written_twice() {
    let (cluster, dir) = (cluster(3), tempfile::tempdir().unwrap());
    let log = open(&cluster, dir.path());
    assert_eq!(log.partitions(), 3);
    let appended = log.append(events(0..1_000), vec![letter("a"), letter("a"), letter("b")]).unwrap();
    assert_eq!((appended.stored, appended.dead_lettered, appended.duplicate_dead_letters), (1_000, 2, 1));
    assert_eq!(appended.formats[0].1.dead_lettered, 3);
    let again = log.append(events(500..1_500), Vec::new()).unwrap();
    assert_eq!((again.stored, again.duplicate), (500, 500));
    log.append_tick(Micros(9)).unwrap();
    drop(log);

    let log = open(&cluster, dir.path());
    assert_eq!(log.remembered().0, 1_502);
    assert_eq!(log.append(events(0..1_500), vec![letter("b")]).unwrap().stored, 0);
    let mut all = Vec::new();
    for partition in 0..3 {
        let (records, letters) = read(&log, partition, 0);
        assert_eq!(records.last(), Some(&LogRecord::Tick { time: Micros(9) }));
        assert!(letters.is_empty());
        let numbers = numbers(&records);
        for identity in 0..7 {
            assert!(numbers.iter().filter(|number| *number % 7 == identity).is_sorted(), "an identity's events are in order");
        }
        // From the middle, again, and beyond the end.
        assert_eq!(read(&log, partition, 10).0, records[10..]);
        assert_eq!(read(&log, partition, 10).0, records[10..]);
        assert!(log.read_events(partition, 100_000).unwrap().is_none());
        all.extend(numbers);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..1_500));
    let letters: usize = (0..3).map(|partition| log.read_dead_letters(partition, 0, 10).unwrap().rows.len()).sum();
    assert_eq!(letters, 2);
}

#[test]
fn an_unclean_stop_is_made_good_from_the_log() {
    let (cluster, dir) = (cluster(2), tempfile::tempdir().unwrap());
    let log = open(&cluster, dir.path());
    log.append(events(0..100), Vec::new()).unwrap();
    drop(log);
    // A copy of the folder as it was while the process ran: the log is ahead of what it remembers.
    let copy = tempfile::tempdir().unwrap();
    let log = open(&cluster, dir.path());
    let status = std::process::Command::new("cp").arg("-r").arg(dir.path()).arg(copy.path().join("seen")).status().unwrap();
    assert!(status.success());
    log.append(events(100..300), vec![letter("x")]).unwrap();
    drop(log);
    let log = open(&cluster, &copy.path().join("seen"));
    let again = log.append(events(0..301), vec![letter("x")]).unwrap();
    assert_eq!((again.stored, again.duplicate, again.dead_lettered), (1, 300, 0));
}

#[test]
fn a_folder_is_held_by_one_process() {
    let (cluster, dir) = (cluster(1), tempfile::tempdir().unwrap());
    let log = open(&cluster, dir.path());
    let second = KafkaLog::open(log.options().clone()).unwrap_err();
    assert!(matches!(second, Error::Locked { .. }), "{second}");
}

#[test]
fn what_was_delivered_twice_becomes_a_gap_wherever_reading_starts() {
    let cluster = cluster(1);
    let log = KafkaLog::open(options(&cluster)).unwrap();
    log.append(events(0..50), Vec::new()).unwrap();
    log.append(events(20..60), Vec::new()).unwrap(); // nothing is remembered without a folder
    log.append(events(60..200), Vec::new()).unwrap();
    log.append(events(0..10), Vec::new()).unwrap(); // further apart than the window
    let (records, _) = read(&log, 0, 0);
    assert_eq!(records.len(), 240);
    assert!(records[50..80].iter().all(|record| *record == LogRecord::Gap));
    assert!(numbers(&records).into_iter().eq((0..200).chain(0..10)));
    for from in [1, 49, 50, 63, 79, 80, 120, 239] {
        let other = KafkaLog::open(options(&cluster)).unwrap();
        assert_eq!(read(&other, 0, from).0, records[usize::try_from(from).unwrap()..], "from {from}");
    }
}

#[test]
fn a_record_that_cannot_be_understood_becomes_a_gap_and_a_dead_letter() {
    let cluster = cluster(1);
    let log = KafkaLog::open(options(&cluster)).unwrap();
    log.append(events(0..1), Vec::new()).unwrap();
    put(&cluster, Topic::Events, 0, b"not a record");
    put(&cluster, Topic::Events, 0, &encoded(0));
    put(&cluster, Topic::Events, 0, &encoded(1));
    let (records, letters) = read(&log, 0, 0);
    assert_eq!(numbers(&records), [0, 1]);
    assert_eq!(records[1..3], [LogRecord::Gap, LogRecord::Gap]);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].raw, hex::encode(b"not a record"));
    assert!(letters[0].message.contains("keytrail.events/0 offset 1"), "{}", letters[0].message);
    let (_, again) = read(&KafkaLog::open(options(&cluster)).unwrap(), 0, 0);
    assert_eq!(again, letters);
    assert_eq!(log.append(Vec::new(), letters).unwrap().dead_lettered, 1);
    assert_eq!(log.read_dead_letters(0, 0, 10).unwrap().rows.len(), 1);
}

#[test]
fn what_is_to_be_stored_can_be_read_from_within_a_run_again() {
    let cluster = cluster(1);
    let log = KafkaLog::open(options(&cluster)).unwrap();
    log.append(events(0..40), Vec::new()).unwrap();
    put(&cluster, Topic::Events, 0, &LogRecord::encode_tick(Micros(7)));
    put(&cluster, Topic::Events, 0, &encoded(3));
    put(&cluster, Topic::Events, 0, &LogRecord::encode_rules(keytrail_schemas::Hash32::of(b"rules")));
    log.append(events(40..50), Vec::new()).unwrap();
    let read = |from: i64| match log.read_to_store(0, from).unwrap() {
        Some(ToStore::Columns(run)) => (run.next, Event::from_batch(&run.batch).unwrap()),
        other => panic!("{other:?}"),
    };
    let (mut last, mut next) = (0, 0);
    while next < 53 {
        last = next;
        next = read(next).0;
    }
    assert!(log.read_to_store(0, 53).unwrap().is_none());
    // Ticks, rules and what came twice stand at 40 to 42.
    for from in last..53 {
        let (next, events) = read(from);
        assert_eq!(next, 53);
        let expected = (from..53).filter(|offset| !(40..43).contains(offset)).map(|offset| (offset, if offset < 40 { offset } else { offset - 3 }));
        assert!(events.iter().map(|event| (event.log_offset, event.time.0)).eq(expected), "from {from}");
    }
}

#[test]
fn findings_of_two_detectors_are_read_once() {
    let cluster = cluster(2);
    let (one, two) = (KafkaLog::open(options(&cluster)).unwrap(), KafkaLog::open(options(&cluster)).unwrap());
    assert_eq!(one.last_finding(1).unwrap(), None);
    assert_eq!(one.append_findings(1, &[finding(3, 0), finding(3, 1)]).unwrap(), 2);
    assert_eq!(two.append_findings(1, &[finding(3, 0), finding(3, 1), finding(5, 0)]).unwrap(), 5);
    put(&cluster, Topic::Findings, 1, b"{}");
    put(&cluster, Topic::Findings, 1, b"no JSON");
    assert_eq!(one.append_findings(1, &[finding(5, 0), finding(9, 2)]).unwrap(), 9);
    let coordinates = |log: &KafkaLog, from| {
        let (mut seen, mut next) = (Vec::new(), from);
        loop {
            let read = log.read_findings(1, next, 100).unwrap();
            if read.next == next {
                return (seen, next);
            }
            next = read.next;
            seen.extend(read.rows.iter().map(|(at, finding)| (*at, finding.coordinates())));
        }
    };
    // Repetitions after the last row are come past too: who waits for the end of the log reaches it.
    assert_eq!(two.append_findings(1, &[finding(9, 2)]).unwrap(), 10);
    let all = [(0, (3, 0)), (1, (3, 1)), (4, (5, 0)), (8, (9, 2))];
    assert_eq!(coordinates(&one, 0), (all.to_vec(), 10));
    assert_eq!(coordinates(&two, 5), (all[3..].to_vec(), 10));
    assert_eq!(coordinates(&two, 9), (Vec::new(), 10));
    assert_eq!(two.last_finding(1).unwrap(), Some((9, 2)));
    assert!(two.statistics().unreadable_rows >= 1);
    // One at a time, and what follows.
    let (mut next, mut seen) = (0, Vec::new());
    while let Some((at, finding)) = one.read_findings(1, next, 1).unwrap().rows.pop() {
        seen.push((at, finding.coordinates()));
        next = at + 1;
    }
    assert_eq!(seen, all);
    assert_eq!(one.end(Topic::Findings, 0).unwrap(), 0);
}

#[test]
fn an_event_that_is_too_large_becomes_a_dead_letter() {
    let (cluster, dir) = (cluster(1), tempfile::tempdir().unwrap());
    let log = KafkaLog::open(Options { seen_dir: Some(dir.path().into()), message_bytes_max: 20_000, ..options(&cluster) }).unwrap();
    let large = Box::new(Event { raw: Some("x".repeat(50_000)), ..*event(1) });
    let appended = log.append(vec![event(0), large.clone(), event(2)], Vec::new()).unwrap();
    assert_eq!((appended.stored, appended.dead_lettered), (2, 1));
    let letters = log.read_dead_letters(0, 0, 10).unwrap().rows;
    assert!(letters[0].1.message.contains("50"), "{}", letters[0].1.message);
    assert_eq!(letters[0].1.raw_bytes, 50_000);
    let again = log.append(vec![large], Vec::new()).unwrap();
    assert_eq!((again.dead_lettered, again.duplicate_dead_letters), (0, 1));
}

#[test]
fn waiting_ends_when_something_comes() {
    let cluster = cluster(1);
    let log = KafkaLog::open(options(&cluster)).unwrap();
    let started = Instant::now();
    assert!(!log.wait(Topic::Events, 0, 0, Duration::from_millis(200)));
    assert!(started.elapsed() >= Duration::from_millis(200));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            log.append(events(0..1), Vec::new()).unwrap();
        });
        let started = Instant::now();
        assert!(log.wait(Topic::Events, 0, 0, Duration::from_secs(10)));
        assert!(started.elapsed() < Duration::from_secs(5));
    });
    assert_eq!(read(&log, 0, 0).0.len(), 1);
    assert!(!log.wait(Topic::Findings, 0, 0, Duration::from_millis(50)));
    log.note_position("detect", Topic::Events, 0, 1).unwrap();
}

#[test]
fn what_is_wrong_is_said_in_plain_words() {
    let nobody = Options { brokers: "127.0.0.1:1".into(), connect_timeout_ms: 500, ..Options::default() };
    let error = KafkaLog::open(nobody).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.to_string().contains("no broker answered"), "{error}");
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("keytrail.events", 2, 1).unwrap();
    let error = KafkaLog::open(options(&cluster)).unwrap_err().to_string();
    assert!(error.contains("keytrail.findings") && error.contains("keytrail topics apply"), "{error}");
    cluster.create_topic("keytrail.findings", 2, 1).unwrap();
    cluster.create_topic("keytrail.dead-letters", 3, 1).unwrap();
    let error = KafkaLog::open(options(&cluster)).unwrap_err().to_string();
    assert!(error.contains("different numbers of partitions"), "{error}");
}
