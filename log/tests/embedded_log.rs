//! The embedded log: order, contents, duplicates, restarts, retention.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::time::Duration;

use keytrail_log::embedded::{EmbeddedLog, Fsync, Options};
use keytrail_log::{Appended, Error, EventLog, FormatCount};
use keytrail_schemas::{DeadLetter, Event, EventId, Finding, LogRecord, Micros, Reason, Topic};
use proptest::prelude::*;

fn event(number: u64) -> Box<Event> {
    Box::new(Event {
        event_id: EventId::of_provider("test", "1", &number.to_string(), 0),
        time: Micros(1_700_000_000_000_000 + i64::try_from(number).unwrap() * 1_000),
        ingested_at: Micros(1_800_000_000_000_000),
        identity: format!("aws:1:role/r{}", number % 17).into(),
        raw: Some(format!("{{\"n\":{number},\"pad\":\"{}\"}}", "x".repeat(usize::try_from(number % 50).unwrap()))),
        ..Event::default()
    })
}

fn letter(number: u64) -> DeadLetter {
    DeadLetter {
        dead_letter_id: EventId::of_provider("letter", "1", &number.to_string(), 0).to_hex().into(),
        path: "a.json".into(),
        line: i64::try_from(number).unwrap(),
        reason: Reason::NoTime,
        message: "it has no time".into(),
        ..DeadLetter::default()
    }
}

fn options() -> Options {
    Options { fsync: Fsync::Never, ..Options::default() }
}

/// What an append did in all, checked against what it says of each format.
fn totals(appended: &Appended) -> (u64, u64, u64, u64) {
    let sum = |of: fn(&FormatCount) -> u64| appended.formats.iter().map(|(_, count)| of(count)).sum::<u64>();
    assert_eq!(sum(|count| count.stored), appended.stored);
    assert_eq!(sum(|count| count.duplicate), appended.duplicate);
    assert_eq!(sum(|count| count.dead_lettered), appended.dead_lettered + appended.duplicate_dead_letters);
    (appended.stored, appended.duplicate, appended.dead_lettered, appended.duplicate_dead_letters)
}

/// Every record of a partition, read as a consumer does, and checked to be without gaps.
fn read_all(log: &EmbeddedLog, partition: i32) -> Vec<LogRecord> {
    let mut out = Vec::new();
    let mut next = log.start(Topic::Events, partition).unwrap();
    while let Some(chunk) = log.read_events(partition, next).unwrap() {
        assert_eq!(chunk.first_offset + i64::try_from(chunk.skip).unwrap(), next);
        for record in &chunk.records[chunk.skip..] {
            if let LogRecord::Event(event) = record {
                assert_eq!((event.log_partition, event.log_offset), (partition, next));
            }
            out.push(record.clone());
            next += 1;
        }
    }
    assert_eq!(next, log.end(Topic::Events, partition).unwrap());
    out
}

#[test]
fn what_is_appended_is_read_in_order_from_memory_and_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (from_memory, from_disk);
    {
        let log = EmbeddedLog::open(dir.path(), options()).unwrap();
        for batch in 0..20 {
            let appended = log.append((batch * 500..(batch + 1) * 500).map(event).collect(), vec![letter(batch)]).unwrap();
            assert_eq!(totals(&appended), (500, 0, 1, 0));
        }
        log.append_tick(Micros(5)).unwrap();
        from_memory = read_all(&log, 0);
    }
    {
        let log = EmbeddedLog::open(dir.path(), options()).unwrap();
        from_disk = read_all(&log, 0);
        assert_eq!(log.read_dead_letters(0, 0, 100).unwrap().rows.len(), 20);
        assert_eq!(log.read_dead_letters(0, 7, 2).unwrap().rows.iter().map(|(offset, letter)| (*offset, letter.line)).collect::<Vec<_>>(), [(7, 7), (8, 8)]);
        assert_eq!(log.read_dead_letters(0, 20, 2).unwrap().rows, []);
        let again = log.append((0..10_500).map(event).collect(), (0..21).map(letter).collect()).unwrap();
        assert_eq!(totals(&again), (500, 10_000, 1, 20));
        assert_eq!(log.end(Topic::Events, 0).unwrap(), 10_501);
    }
    assert_eq!(from_memory.len(), 10_001);
    assert!(from_memory == from_disk);
    assert_eq!(from_memory[10_000], LogRecord::Tick { time: Micros(5) });
}

#[test]
fn a_sources_position_is_written_with_its_batch_and_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), options()).unwrap();
    assert_eq!(log.source_position("line-7").unwrap(), None);
    log.append_at(vec![event(1)], Vec::new(), Some(("line-7", b"one"))).unwrap();
    log.append_at(Vec::new(), vec![letter(1)], Some(("line-8", b"eight"))).unwrap();
    // Nothing is new, and time has passed: the position goes on alone.
    let again = log.append_at(vec![event(1)], Vec::new(), Some(("line-7", b"two"))).unwrap();
    assert_eq!((again.stored, again.duplicate), (0, 1));
    log.append(vec![event(2)], Vec::new()).unwrap();
    drop(log);
    let log = EmbeddedLog::open(folder.path(), options()).unwrap();
    assert_eq!(log.source_position("line-7").unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(log.source_position("line-8").unwrap().as_deref(), Some(&b"eight"[..]));
    assert!(log.positions().unwrap().is_empty(), "they are no consumers");
}

#[test]
fn duplicates_within_one_batch_are_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path(), options()).unwrap();
    let appended = log.append([1, 2, 1, 3, 2].map(event).to_vec(), [4, 4].map(letter).to_vec()).unwrap();
    assert_eq!(totals(&appended), (3, 2, 1, 1));
    assert_eq!(totals(&log.append(vec![event(3)], vec![letter(4)]).unwrap()), (0, 1, 0, 1));
    assert_eq!(read_all(&log, 0).len(), 3);
}

#[test]
fn one_identity_is_in_one_partition() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path(), Options { partitions: Some(4), ..options() }).unwrap();
    log.append((0..5_000).map(event).collect(), Vec::new()).unwrap();
    let mut home = std::collections::BTreeMap::new();
    let mut count = 0;
    for partition in 0..4 {
        for record in read_all(&log, partition) {
            let LogRecord::Event(event) = record else { panic!("a tick that nobody appended") };
            assert_eq!(*home.entry(event.identity.clone()).or_insert(partition), partition);
            count += 1;
        }
    }
    assert_eq!((count, home.len()), (5_000, 17));
    assert!(home.values().collect::<std::collections::BTreeSet<_>>().len() > 1);
    drop(log);
    let error = EmbeddedLog::open(dir.path(), Options { partitions: Some(3), ..options() }).unwrap_err().to_string();
    assert!(error.contains("created with 4 partitions"), "{error}");
    assert_eq!(EmbeddedLog::open(dir.path(), options()).unwrap().partitions(), 4);
}

#[test]
fn findings_keep_their_order_and_their_last_coordinates() {
    let dir = tempfile::tempdir().unwrap();
    let finding = |offset, index| Finding {
        finding_id: format!("f{offset}").into(),
        log_offset: offset,
        rule_index: index,
        title: "a title".into(),
        ..Finding::default()
    };
    {
        let log = EmbeddedLog::open(dir.path(), options()).unwrap();
        assert_eq!(log.last_finding(0).unwrap(), None);
        assert_eq!(log.append_findings(0, &[]).unwrap(), 0);
        assert_eq!(log.append_findings(0, &[finding(3, 0), finding(3, 1)]).unwrap(), 2);
        assert_eq!(log.append_findings(0, &[finding(9, 0)]).unwrap(), 3);
        assert!(log.append_findings(1, &[finding(9, 0)]).is_err());
    }
    let log = EmbeddedLog::open(dir.path(), options()).unwrap();
    assert_eq!(log.last_finding(0).unwrap(), Some((9, 0)));
    assert_eq!(log.read_findings(0, 1, 10).unwrap().rows, [(1, finding(3, 1)), (2, finding(9, 0))]);
}

#[test]
fn a_second_opener_is_refused_at_once_and_welcome_later() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path(), options()).unwrap();
    let error = EmbeddedLog::open(dir.path(), options()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(log);
    EmbeddedLog::open(dir.path(), options()).unwrap();
}

#[test]
fn a_creation_that_was_cut_short_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("store.unfinished/keyspaces")).unwrap();
    std::fs::write(dir.path().join("store.unfinished/0.jnl"), b"half").unwrap();
    let log = EmbeddedLog::open(dir.path(), options()).unwrap();
    log.append(vec![event(1)], Vec::new()).unwrap();
}

#[test]
fn retention_removes_whole_blocks_and_says_where_the_log_starts() {
    let dir = tempfile::tempdir().unwrap();
    {
        let log = EmbeddedLog::open(dir.path(), Options { tail_bytes_max: 0, ..options() }).unwrap();
        for batch in 0..10 {
            log.append((batch * 100..(batch + 1) * 100).map(event).collect(), vec![letter(batch)]).unwrap();
        }
        assert_eq!(log.trim(Topic::Events, 0, 250).unwrap(), 200);
        assert_eq!(log.trim(Topic::Events, 0, 100).unwrap(), 200);
        assert_eq!(log.trim(Topic::DeadLetters, 0, 4).unwrap(), 4);
    }
    let log = EmbeddedLog::open(dir.path(), options()).unwrap();
    assert_eq!(log.start(Topic::Events, 0).unwrap(), 200);
    assert!(matches!(log.read_events(0, 199), Err(Error::Truncated { start: 200, from: 199, .. })));
    assert!(matches!(log.read_dead_letters(0, 3, 1), Err(Error::Truncated { start: 4, .. })));
    assert_eq!(read_all(&log, 0).len(), 800);
    assert_eq!(log.trim(Topic::Events, 0, i64::MAX).unwrap(), 1_000);
    drop(log);
    let log = EmbeddedLog::open(dir.path(), options()).unwrap();
    assert_eq!((log.start(Topic::Events, 0).unwrap(), log.end(Topic::Events, 0).unwrap()), (1_000, 1_000));
    assert!(log.read_events(0, 1_000).unwrap().is_none());
    let appended = log.append(vec![event(5), event(5_000)], Vec::new()).unwrap();
    assert_eq!(totals(&appended), (1, 1, 0, 0), "what was trimmed is still known");
    assert_eq!(log.end(Topic::Events, 0).unwrap(), 1_001);
}

#[test]
fn ids_behind_the_horizon_are_forgotten_on_disk_too() {
    let dir = tempfile::tempdir().unwrap();
    let narrow = || Options { dedupe_ids_max: 10_000, ..options() };
    {
        let log = EmbeddedLog::open(dir.path(), narrow()).unwrap();
        for batch in 0..20 {
            log.append((batch * 5_000..(batch + 1) * 5_000).map(event).collect(), Vec::new()).unwrap();
        }
    }
    let log = EmbeddedLog::open(dir.path(), narrow()).unwrap();
    let recent = log.append((95_000..100_000).map(event).collect(), Vec::new()).unwrap();
    assert_eq!(totals(&recent), (0, 5_000, 0, 0));
    let old = log.append((0..5_000).map(event).collect(), Vec::new()).unwrap();
    assert_eq!(totals(&old), (5_000, 0, 0, 0));
}

#[test]
fn a_waiting_reader_wakes_when_something_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path(), options()).unwrap();
    assert!(!log.wait(Topic::Events, 0, 0, Duration::from_millis(20)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(Topic::Events, 0, 2, Duration::from_secs(30)));
        for number in 0..3 {
            std::thread::sleep(Duration::from_millis(10));
            log.append(vec![event(number)], Vec::new()).unwrap();
        }
        assert!(waiting.join().unwrap());
    });
    assert!(log.wait(Topic::Events, 0, 0, Duration::ZERO));
}

#[test]
fn consumers_positions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    {
        let log = EmbeddedLog::open(dir.path(), options()).unwrap();
        log.note_position("detect", Topic::Events, 0, 17).unwrap();
        log.note_position("store", Topic::Findings, 0, 3).unwrap();
        log.note_position("detect", Topic::Events, 0, 18).unwrap();
        assert!(log.note_position("", Topic::Events, 0, 18).is_err());
        assert!(log.note_position("detect", Topic::Events, 9, 18).is_err());
    }
    let log = EmbeddedLog::open(dir.path(), options()).unwrap();
    assert_eq!(log.positions().unwrap(), [("detect".into(), Topic::Events, 0, 18), ("store".into(), Topic::Findings, 0, 3)]);
}

#[test]
fn every_fsync_policy_keeps_what_was_appended() {
    for fsync in [Fsync::EveryAppend, Fsync::IntervalMs(5), Fsync::Never] {
        let dir = tempfile::tempdir().unwrap();
        {
            let log = EmbeddedLog::open(dir.path(), Options { fsync, ..Options::default() }).unwrap();
            for number in 0..20 {
                log.append(vec![event(number)], Vec::new()).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            log.sync().unwrap();
        }
        assert_eq!(read_all(&EmbeddedLog::open(dir.path(), options()).unwrap(), 0).len(), 20, "{fsync:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    /// However the same events are cut into appends, and wherever the process restarts: same offsets, same contents.
    #[test]
    fn batches_and_restarts_change_nothing(
        numbers in prop::collection::vec(0_u64..400, 1..600),
        cuts in prop::collection::vec(1_usize..90, 1..40),
        restarts in prop::collection::vec(any::<bool>(), 40),
        block_records_max in 1_usize..60,
        partitions in 1_i32..4,
    ) {
        let whole = tempfile::tempdir().unwrap();
        let expected: Vec<Vec<LogRecord>> = {
            let log = EmbeddedLog::open(whole.path(), Options { partitions: Some(partitions), ..options() }).unwrap();
            log.append(numbers.iter().map(|n| event(*n)).collect(), Vec::new()).unwrap();
            (0..partitions).map(|partition| read_all(&log, partition)).collect()
        };
        let cut = tempfile::tempdir().unwrap();
        let own = || Options { partitions: Some(partitions), block_records_max, ..options() };
        let mut log = Some(EmbeddedLog::open(cut.path(), own()).unwrap());
        let mut rest = numbers.as_slice();
        let (mut stored, mut duplicate) = (0, 0);
        for (cut_at, restart) in cuts.iter().cycle().zip(restarts.iter().cycle()) {
            let (now, later) = rest.split_at((*cut_at).min(rest.len()));
            rest = later;
            let appended = log.as_ref().unwrap().append(now.iter().map(|n| event(*n)).collect(), Vec::new()).unwrap();
            stored += appended.stored;
            duplicate += appended.duplicate;
            if *restart && rest.len() % 3 == 0 {
                drop(log.take());
                log = Some(EmbeddedLog::open(cut.path(), own()).unwrap());
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(stored + duplicate, numbers.len() as u64);
        let log = log.unwrap();
        for (partition, expected) in (0..).zip(&expected) {
            prop_assert!(&read_all(&log, partition) == expected);
        }
    }
}
