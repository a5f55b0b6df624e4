//! The log on Kafka against a real broker: order, kills of the producer and of the broker, groups, and what other tools see.
//!
//! The test binary starts itself again as the process that appends: `KEYTRAIL_TEST_PRODUCE` tells it where. Topics are made anew by each test, one
//! test after the other, so a broker that is named with `KEYTRAIL_TEST_KAFKA` loses the keytrail topics that it had.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops where something is not as it should be, and tells its children what to do")]

#[path = "../../tests/kafka/broker.rs"]
mod broker;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use broker::{Broker, Server};
use keytrail_log::kafka::{Change, Group, KafkaLog, Options, topics};
use keytrail_log::{Error, EventLog};
use keytrail_schemas::{DeadLetter, Event, EventId, Finding, LogRecord, Micros, Topic};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

/// One test at a time: they share a broker and its topics.
static TURN: Mutex<()> = Mutex::new(());
static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shared server and the turn; a server of our own ends with the last test that has it or waits for its turn.
fn server(test: &str) -> Option<(Arc<Server>, MutexGuard<'static, ()>)> {
    let server = {
        let mut shared = hold(&SHARED);
        match shared.upgrade() {
            Some(server) => server,
            None => {
                let server = Arc::new(broker::from_environment(test)?);
                *shared = Arc::downgrade(&server);
                server
            }
        }
    };
    Some((server, hold(&TURN)))
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Topics as of now: empty.
fn fresh(address: &str, partitions: i32) -> Options {
    let options = Options { brokers: address.to_owned(), ..Options::default() };
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let names: Vec<&str> = Topic::ALL.into_iter().map(Topic::as_str).collect();
    let _ = block_on(admin.delete_topics(&names, &AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))));
    let spec = topics::Spec { partitions, ..topics::Spec::default() };
    let started = Instant::now();
    loop {
        // A deletion takes a moment to be done everywhere.
        std::thread::sleep(Duration::from_millis(300));
        match topics::apply(&options, &spec) {
            Ok(reports) if reports.iter().all(|report| report.created && report.partitions == partitions) => return options,
            other => assert!(started.elapsed() < Duration::from_secs(60), "{other:?}"),
        }
    }
}

fn event(number: u64) -> Box<Event> {
    let mut noise = [0; 100];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut noise);
    Box::new(Event {
        event_id: EventId::of_provider("test", "1", &number.to_string(), 0),
        time: Micros(i64::try_from(number).unwrap()),
        ingested_at: Micros(1),
        identity: format!("aws:123456789012:role/r{}", number % 101).into(),
        format: "test".into(),
        source: "test".into(),
        action: Some("s3:GetObject".into()),
        raw: Some(format!("{{\"eventName\":\"GetObject\",\"requestID\":\"{}\",\"number\":{number}}}", hex::encode(noise))),
        ..Event::default()
    })
}

fn events(numbers: std::ops::Range<u64>) -> Vec<Box<Event>> {
    numbers.map(event).collect()
}

/// The numbers of the events that a partition's reader sees, with their identities in order.
fn numbers(log: &KafkaLog, partition: i32) -> Vec<u64> {
    let (mut numbers, mut next) = (Vec::new(), log.start(Topic::Events, partition).unwrap());
    while let Some(chunk) = log.read_events(partition, next).unwrap() {
        assert_eq!(chunk.first_offset + i64::try_from(chunk.skip).unwrap(), next);
        for record in &chunk.records[chunk.skip..] {
            if let LogRecord::Event(event) = record {
                assert_eq!((event.log_partition, event.log_offset), (partition, next));
                numbers.push(u64::try_from(event.time.0).unwrap());
            }
            next += 1;
        }
    }
    assert_eq!(next, log.end(Topic::Events, partition).unwrap());
    numbers
}

/// Checks that every event from 0 to `count` is visible once. A loss and a repetition are told apart.
fn check(log: &KafkaLog, count: u64) -> Result<(), String> {
    let mut all: Vec<u64> = (0..log.partitions()).flat_map(|partition| numbers(log, partition)).collect();
    all.sort_unstable();
    if let Some(twice) = all.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("event {} is visible twice", twice[0]));
    }
    (0..count)
        .zip(all.iter().copied().map(Some).chain(std::iter::repeat(None)))
        .try_for_each(|(expected, found)| if found == Some(expected) { Ok(()) } else { Err(format!("event {expected} is lost")) })?;
    if all.len() as u64 == count { Ok(()) } else { Err(format!("{} events, and {count} were expected", all.len())) }
}

#[test]
fn events_come_back_in_order_and_a_second_run_stores_nothing() {
    let Some((server, _turn)) = server("events_come_back_in_order") else { return };
    let (options, dir) = (fresh(server.address(), 3), tempfile::tempdir().unwrap());
    let options = Options { seen_dir: Some(dir.path().into()), statistics_interval_ms: 200, ..options };
    let log = KafkaLog::open(options.clone()).unwrap();
    let started = Instant::now();
    for batch in 0..10 {
        assert_eq!(log.append(events(batch * 5_000..(batch + 1) * 5_000), Vec::new()).unwrap().stored, 5_000);
    }
    println!("appended 50,000 events in {:?}", started.elapsed());
    let started = Instant::now();
    for partition in 0..3 {
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for number in numbers(&log, partition) {
            assert!(last.insert(number % 101, number).is_none_or(|before| before < number), "an identity's events are in order");
        }
        assert!(!last.is_empty(), "each partition has events");
    }
    println!("read 50,000 events in {:?}", started.elapsed());
    check(&log, 50_000).unwrap();
    drop(log);
    let log = KafkaLog::open(options).unwrap();
    for batch in 0..10 {
        let again = log.append(events(batch * 5_000..(batch + 1) * 5_000), Vec::new()).unwrap();
        assert_eq!((again.stored, again.duplicate), (0, 5_000));
    }
    check(&log, 50_000).unwrap();
    let statistics = log.statistics();
    assert!(statistics.received_bytes > 0, "{statistics:?}");
}

#[test]
fn the_checker_notices_a_planted_loss_and_a_planted_repetition() {
    let Some((server, _turn)) = server("the_checker_notices") else { return };
    let log = KafkaLog::open(fresh(server.address(), 2)).unwrap();
    log.append(events(0..10), Vec::new()).unwrap();
    log.append(events(11..20), Vec::new()).unwrap();
    assert_eq!(check(&log, 20), Err("event 10 is lost".into()));
    log.append(vec![event(10), Box::new(Event { event_id: EventId::of_provider("other", "1", "1", 0), ..*event(7) })], Vec::new()).unwrap();
    assert_eq!(check(&log, 20), Err("event 7 is visible twice".into()));
}

#[test]
fn a_tick_counts_for_no_more_than_the_brokers_clock_says() {
    let Some((server, _turn)) = server("a_tick_counts_for_no_more") else { return };
    let log = KafkaLog::open(fresh(server.address(), 1)).unwrap();
    let (past, future) = (Micros(5), Micros(Micros::MAX.0 / 2));
    log.append_tick(past).unwrap();
    log.append_tick(future).unwrap();
    let chunk = log.read_events(0, 0).unwrap().unwrap();
    let times: Vec<Micros> = chunk
        .records
        .iter()
        .map(|record| match record {
            LogRecord::Tick { time } => *time,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times[0], past);
    assert!(past < times[1] && times[1] < future, "{times:?}");
}

const ROUND_EVENTS: u64 = 40_000;

/// The other process: appends all events from 0 on, in batches, and says when it is done.
#[test]
fn child_appends_everything() {
    let (Ok(address), Ok(dir)) = (std::env::var("KEYTRAIL_TEST_PRODUCE"), std::env::var("KEYTRAIL_TEST_SEEN")) else { return };
    let started = Instant::now();
    let log = KafkaLog::open(Options { brokers: address, seen_dir: Some(dir.into()), ..Options::default() }).unwrap();
    println!("open after {:?}", started.elapsed());
    for batch in 0..ROUND_EVENTS / 500 {
        if log.append(events(batch * 500..(batch + 1) * 500), Vec::new()).unwrap().stored > 0 {
            println!("stored {batch}");
        }
    }
    println!("done after {:?}", started.elapsed());
}

fn child(address: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_appends_everything", "--nocapture", "--test-threads=1"])
        .env("KEYTRAIL_TEST_PRODUCE", address)
        .env("KEYTRAIL_TEST_SEEN", dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_producer_killed_at_any_moment_loses_nothing_and_writes_nothing_twice() {
    let Some((server, _turn)) = server("a_producer_killed") else { return };
    let (options, dir) = (fresh(server.address(), 2), tempfile::tempdir().unwrap());
    let ends = || -> i64 {
        let log = KafkaLog::open(options.clone()).unwrap();
        (0..2).map(|partition| log.end(Topic::Events, partition).unwrap()).sum()
    };
    let (mut in_the_middle, mut before) = (0, 0);
    for round in 0_u64..10 {
        let mut running = child(server.address(), dir.path()).spawn().unwrap();
        // Most rounds are killed a moment after some batches, the others wherever they are.
        let lines = BufReader::new(running.stdout.take().unwrap()).lines();
        let mut stored = lines.map_while(Result::ok).filter(|line| line.contains("stored"));
        if round % 4 == 3 {
            std::thread::sleep(Duration::from_millis((round * 7_919) % 600));
        } else {
            stored.nth(usize::try_from(round % 3).unwrap() * 3).unwrap();
            std::thread::sleep(Duration::from_micros((round * 7_919) % 40_000));
        }
        running.kill().unwrap();
        running.wait().unwrap();
        let now = ends();
        println!("round {round}: {now} records");
        in_the_middle += u32::from(now > before && now < ROUND_EVENTS as i64);
        before = now;
    }
    let last = child(server.address(), dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&last.stdout);
    assert!(said.contains("done"), "{said}");
    let log = KafkaLog::open(options.clone()).unwrap();
    check(&log, ROUND_EVENTS).unwrap();
    println!("{in_the_middle} of 10 kills were in the middle; the log holds {} records for {ROUND_EVENTS} events", ends());
    assert!(in_the_middle >= 5, "the child has to get somewhere between kills, and not to the end");
}

#[test]
fn a_broker_killed_in_the_middle_of_an_append_loses_nothing() {
    let _turn = hold(&TURN);
    let Some(mut own) = broker::own_from_environment("a_broker_killed") else { return };
    let (options, dir) = (fresh(&own.address, 2), tempfile::tempdir().unwrap());
    let log = KafkaLog::open(Options { seen_dir: Some(dir.path().into()), ..options }).unwrap();
    let done = AtomicBool::new(false);
    let appended = AtomicI64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in 0..100 {
                log.append(events(batch * 1_000..(batch + 1) * 1_000), Vec::new()).unwrap();
                appended.fetch_add(1_000, Ordering::Relaxed);
            }
            done.store(true, Ordering::Relaxed);
        });
        let interrupt = |own: &mut Broker, how: fn(&mut Broker)| {
            let before = appended.load(Ordering::Relaxed);
            while appended.load(Ordering::Relaxed) < before + 3_000 && !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(!done.load(Ordering::Relaxed), "the broker is to be gone in the middle");
            how(own);
        };
        interrupt(&mut own, |broker| {
            broker.kill();
            broker.up();
        });
        interrupt(&mut own, |broker| {
            broker.freeze();
            std::thread::sleep(Duration::from_secs(3));
            broker.thaw();
        });
        interrupt(&mut own, |broker| {
            broker.stop();
            std::thread::sleep(Duration::from_secs(2));
            broker.up();
        });
    });
    check(&log, 100_000).unwrap();
    // What a reader was in the middle of goes on after the broker is back.
    let mut next = log.read_events(0, 0).unwrap().map_or(0, |chunk| chunk.records.len() as i64);
    own.kill();
    own.up();
    while let Some(chunk) = log.read_events(0, next).unwrap() {
        next = chunk.first_offset + chunk.records.len() as i64;
    }
    assert_eq!(next, log.end(Topic::Events, 0).unwrap());
}

#[test]
fn a_log_that_was_cut_is_said() {
    let Some((server, _turn)) = server("a_log_that_was_cut") else { return };
    let (options, dir) = (fresh(server.address(), 1), tempfile::tempdir().unwrap());
    let options = Options { seen_dir: Some(dir.path().into()), ..options };
    let log = KafkaLog::open(options.clone()).unwrap();
    log.append(events(0..1_000), Vec::new()).unwrap();
    assert!(log.read_events(0, 0).unwrap().is_some());
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", server.address()).create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(Topic::Events.as_str(), 0, rdkafka::Offset::Offset(500)).unwrap();
    block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    let other = KafkaLog::open(Options { seen_dir: None, ..options.clone() }).unwrap();
    let error = other.read_events(0, 100).unwrap_err();
    assert!(matches!(error, Error::Truncated { from: 100, start: 500, .. }), "{error}");
    assert_eq!(other.start(Topic::Events, 0).unwrap(), 500);
    assert_eq!(other.read_events(0, 700).unwrap().unwrap().first_offset, 700);
    assert_eq!(numbers(&other, 0).len(), 500);
    drop(log);
    // Made again under the same name: what is remembered does not belong to it.
    fresh(server.address(), 1);
    let error = KafkaLog::open(options).unwrap_err().to_string();
    assert!(error.contains("the topic was made again"), "{error}");
}

#[test]
fn topics_are_made_reported_and_grown() {
    let Some((server, _turn)) = server("topics_are_made") else { return };
    let options = fresh(server.address(), 1);
    let spec = topics::Spec { partitions: 1, ..topics::Spec::default() };
    for report in topics::check(&options).unwrap() {
        assert!(report.exists && report.differences.is_empty(), "{report:?}");
    }
    let more = topics::Spec { partitions: 3, events_retention_ms: 1_000_000, ..spec };
    let reports = topics::apply(&options, &more).unwrap();
    assert!(reports[0].differences.iter().any(|line| line.contains("--grow")), "{reports:?}");
    assert!(reports[0].differences.iter().any(|line| line.contains("retention.ms is 2592000000")), "{reports:?}");
    let log = KafkaLog::open(options.clone()).unwrap();
    let grown = topics::apply(&options, &topics::Spec { grow: true, ..more }).unwrap();
    assert!(grown.iter().all(|report| report.partitions == 3), "{grown:?}");
    assert!(grown[0].notes.iter().any(|line| line.contains("may lie in another partition")), "{grown:?}");
    assert_eq!(log.end(Topic::Events, 2).unwrap(), 0);
    assert_eq!(log.partitions(), 3);
    assert!(log.end(Topic::Events, 3).is_err());
}

#[test]
fn other_tools_read_findings_and_dead_letters() {
    let Some((server, _turn)) = server("other_tools_read") else { return };
    let log = KafkaLog::open(fresh(server.address(), 2)).unwrap();
    let finding =
        Finding { finding_id: "f1".into(), rule: "stale_key".into(), identity: "aws:1:role/ci".into(), log_partition: 1, log_offset: 42, ..Finding::default() };
    assert_eq!(log.append_findings(1, &[finding]).unwrap(), 1);
    let letter = DeadLetter { dead_letter_id: "00ff".into(), source: "cloudtrail".into(), raw: "{".into(), ..DeadLetter::default() };
    log.append(Vec::new(), vec![letter]).unwrap();
    let kcat = |topic: Topic| -> Option<String> {
        let arguments = ["-C", "-q", "-e", "-o", "beginning", "-f", "%p|%k|%h|%s\n", "-b", server.address(), "-t", topic.as_str()];
        match Command::new("kcat").args(arguments).output() {
            Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
            Err(error) => {
                assert!(std::env::var("KEYTRAIL_CI").is_err(), "kcat: {error}");
                println!("skipped: kcat cannot be run: {error}");
                None
            }
        }
    };
    let Some(findings) = kcat(Topic::Findings) else { return };
    let parts: Vec<&str> = findings.trim().splitn(4, '|').collect();
    assert_eq!(parts[..2], ["1", "aws:1:role/ci"]);
    assert_eq!(
        parts[2],
        "keytrail-type=finding,keytrail-schema=1,finding_id=f1,rule=stale_key,severity=low,identity=aws:1:role/ci,coordinates=1/42/0"
            .replace("severity=low", &format!("severity={}", Finding::default().severity.as_str()))
    );
    let json: serde_json::Value = serde_json::from_str(parts[3]).unwrap();
    assert_eq!(json["rule"], "stale_key");
    let letters = kcat(Topic::DeadLetters).unwrap();
    let parts: Vec<&str> = letters.trim().splitn(4, '|').collect();
    assert_eq!(parts[1], "cloudtrail");
    assert_eq!(parts[2], "keytrail-type=dead-letter,keytrail-schema=1,reason=malformed,id=00ff");
    let json: serde_json::Value = serde_json::from_str(parts[3]).unwrap();
    assert_eq!(json["raw"], "{");
}

/// A member that serves what it is assigned: what it has begun with, and how long a partition that stayed waited between two records.
struct Served {
    begun: BTreeMap<i32, i64>,
    revoked: Vec<(i32, bool)>,
}

fn serve(group: &Group, served: &mut Served, until: impl Fn(&Served) -> bool) {
    let started = Instant::now();
    while !until(served) {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?} {:?}", served.begun, served.revoked);
        for change in group.poll(Duration::from_millis(50)).unwrap() {
            match change {
                Change::Assigned { partition, offset } => {
                    served.begun.insert(partition, offset);
                }
                Change::Revoked { partition, lost, release } => {
                    served.begun.remove(&partition);
                    served.revoked.push((partition, lost));
                    drop(release);
                }
            }
        }
    }
}

fn two_members(address: &str, properties: &[(&str, &str)]) {
    let mut options = fresh(address, 4);
    options.properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let (one, two) = (Arc::new(KafkaLog::open(options.clone()).unwrap()), Arc::new(KafkaLog::open(options).unwrap()));
    one.append(events(0..20_000), Vec::new()).unwrap();
    let resume = |base: i64| -> Arc<dyn Fn(i32) -> Result<i64, String> + Send + Sync> { Arc::new(move |partition| Ok(base + i64::from(partition))) };
    let mut first = Served { begun: BTreeMap::new(), revoked: Vec::new() };
    let mut second = Served { begun: BTreeMap::new(), revoked: Vec::new() };
    let role = format!("test-{}-{}", std::process::id(), properties.len());
    let group_one = Group::join(Arc::clone(&one), Topic::Events, &role, resume(10)).unwrap();
    serve(&group_one, &mut first, |served| served.begun.len() == 4);
    assert!(first.begun.iter().all(|(partition, offset)| *offset == 10 + i64::from(*partition)));
    let group_two = Group::join(Arc::clone(&two), Topic::Events, &role, resume(100)).unwrap();
    let (stop, longest) = (AtomicBool::new(false), AtomicI64::new(0));
    std::thread::scope(|scope| {
        let kept = scope.spawn(|| serve(&group_one, &mut first, |served| served.begun.len() == 2 && served.revoked.len() == 2));
        serve(&group_two, &mut second, |served| served.begun.len() == 2);
        kept.join().unwrap();
    });
    assert!(first.revoked.iter().all(|(_, lost)| !lost), "{:?}", first.revoked);
    assert!(second.begun.iter().all(|(partition, offset)| *offset == 100 + i64::from(*partition)), "{:?}", second.begun);
    // While the first leaves, the second keeps reading what it has.
    let mine = *second.begun.keys().next().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut next, mut last) = (two.end(Topic::Events, mine).unwrap(), Instant::now());
            while !stop.load(Ordering::Relaxed) {
                if two.wait(Topic::Events, mine, next, Duration::from_millis(20))
                    && let Some(chunk) = two.read_events(mine, next).unwrap()
                {
                    next = chunk.first_offset + chunk.records.len() as i64;
                    longest.fetch_max(i64::try_from(last.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
                    last = Instant::now();
                }
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                one.append_tick(Micros(1)).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        std::thread::sleep(Duration::from_millis(500));
        longest.store(0, Ordering::Relaxed);
        for partition in first.begun.keys() {
            one.note_position(&role, Topic::Events, *partition, 77).unwrap();
        }
        drop(group_one);
        serve(&group_two, &mut second, |served| served.begun.len() == 4);
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(second.begun.iter().all(|(partition, offset)| *offset == 100 + i64::from(*partition)));
    assert!(second.revoked.is_empty());
    println!("{properties:?}: the longest pause of a partition that stayed was {} ms", longest.load(Ordering::Relaxed));
    assert!(longest.load(Ordering::Relaxed) < 1_000);
    let (partition, offset) = second.begun.first_key_value().map(|(p, o)| (*p, *o)).unwrap();
    assert_eq!(two.read_events(partition, offset).unwrap().unwrap().first_offset, offset);
}

#[test]
fn when_a_member_leaves_the_other_takes_over_where_it_is_told() {
    let Some((server, _turn)) = server("when_a_member_leaves") else { return };
    two_members(server.address(), &[]);
    two_members(server.address(), &[("group.protocol", "consumer")]);
}
