//! The embedded log under a killed process, a full disk and a folder that cannot be written.
//!
//! The test binary starts itself again as the process that appends: `KEYTRAIL_TEST_LOG_DIR` tells it so.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use keytrail_log::embedded::{EmbeddedLog, Fsync, Options};
use keytrail_log::{Error, EventLog};
use keytrail_schemas::{Event, EventId, LogRecord, Micros, Topic};

const BATCH: u64 = 100;

fn event(number: u64, padding: usize) -> Box<Event> {
    // Text that does not compress, so that the disk fills.
    let noise = blake3_hex(number, padding);
    Box::new(Event {
        event_id: EventId::of_provider("test", "1", &number.to_string(), 0),
        time: Micros(i64::try_from(number).unwrap()),
        identity: format!("id{}", number % 7).into(),
        raw: Some(noise),
        ..Event::default()
    })
}

fn blake3_hex(number: u64, length: usize) -> String {
    let mut bytes = vec![0; length / 2];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    hex::encode(bytes)
}

fn options() -> Options {
    Options { fsync: Fsync::IntervalMs(20), partitions: Some(2), ..Options::default() }
}

fn batch(number: u64, padding: usize) -> Vec<Box<Event>> {
    (number * BATCH..(number + 1) * BATCH).map(|n| event(n, padding)).collect()
}

/// The other process: appends batches, and says so after each. An old batch is delivered again now and then.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent test tells its child where to write")]
fn child_appends_until_it_is_killed() {
    let Ok(dir) = std::env::var("KEYTRAIL_TEST_LOG_DIR") else { return };
    let padding: usize = std::env::var("KEYTRAIL_TEST_PADDING").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let log = match EmbeddedLog::open(Path::new(&dir), options()) {
        Ok(log) => log,
        Err(error) => {
            println!("refused {error}");
            return;
        }
    };
    let events: i64 = (0..2).map(|partition| log.end(Topic::Events, partition).unwrap()).sum();
    let mut number = u64::try_from(events).unwrap() / BATCH;
    loop {
        if let Err(error) = log.append(batch(number, padding), Vec::new()) {
            println!("refused {error}");
            println!("again {}", log.append(batch(number, padding), Vec::new()).unwrap_err());
            return;
        }
        println!("stored {number}");
        if number % 7 == 6 {
            let again = log.append(batch(number - 3, padding), Vec::new()).unwrap();
            assert_eq!((again.stored, again.duplicate), (0, BATCH));
        }
        number += 1;
    }
}

fn child(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_appends_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env("KEYTRAIL_TEST_LOG_DIR", dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Lines of the child from the last `stored N` on.
fn last_stored(lines: &[String]) -> Option<u64> {
    lines.iter().rev().find_map(|line| line.rsplit_once("stored ").and_then(|(_, number)| number.parse().ok()))
}

/// Every event of the log, checked: offsets without gaps, whole batches, nothing twice. Gives how many batches there are.
fn check(dir: &Path) -> Result<u64, String> {
    let log = EmbeddedLog::open(dir, options()).map_err(|error| error.to_string())?;
    let mut numbers = Vec::new();
    for partition in 0..2 {
        let mut next = 0;
        while let Some(chunk) = log.read_events(partition, next).map_err(|error| error.to_string())? {
            for record in &chunk.records[chunk.skip..] {
                let LogRecord::Event(event) = record else { return Err("a tick".into()) };
                if (event.log_partition, event.log_offset) != (partition, next) {
                    return Err(format!("offset {next} holds the event of {}", event.log_offset));
                }
                numbers.push(u64::try_from(event.time.0).unwrap());
                next += 1;
            }
        }
        if next != log.end(Topic::Events, partition).unwrap() {
            return Err("the end is not where it is said to be".into());
        }
    }
    numbers.sort_unstable();
    if !numbers.iter().copied().eq(0..numbers.len() as u64) {
        return Err("an event is missing, or there twice".into());
    }
    if !(numbers.len() as u64).is_multiple_of(BATCH) {
        return Err("a batch is torn".into());
    }
    Ok(numbers.len() as u64 / BATCH)
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged_and_tears_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut kills = 0;
    let mut batches = 0;
    for round in 0_u64..12 {
        let mut running = child(dir.path()).spawn().unwrap();
        let lines = BufReader::new(running.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(60 + (round * 7_919) % 240));
        running.kill().unwrap();
        running.wait().unwrap();
        let lines = reader.join().unwrap();
        assert!(!lines.iter().any(|line| line.contains("refused")), "{lines:?}");
        let there = check(dir.path()).unwrap();
        if let Some(number) = last_stored(&lines) {
            assert!(there > number, "batch {number} was acknowledged, and there are {there}");
        }
        kills += u64::from(there > batches);
        batches = there;
    }
    println!("{batches} batches over 12 kills");
    assert!(kills >= 6, "the child has to get somewhere between kills");
}

#[test]
fn the_checker_notices_a_planted_loss_a_planted_duplicate_and_a_torn_batch() {
    let plant = |events: Vec<Box<Event>>| {
        let dir = tempfile::tempdir().unwrap();
        EmbeddedLog::open(dir.path(), options()).unwrap().append(events, Vec::new()).unwrap();
        check(dir.path())
    };
    let good: Vec<Box<Event>> = (0..3).flat_map(|number| batch(number, 20)).collect();
    assert_eq!(plant(good.clone()), Ok(3));
    let mut lost = good.clone();
    lost.remove(150);
    assert!(plant(lost).is_err());
    let mut twice = good.clone();
    twice.push(Box::new(Event { event_id: EventId::of_provider("other", "1", "1", 0), ..*event(7, 20) }));
    assert!(plant(twice).is_err());
    assert!(plant(good[..250].to_vec()).is_err());
}

#[test]
fn a_disk_that_is_full_is_said_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("small");
    std::fs::create_dir(&home).unwrap();
    if !Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&home).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("skipped: no file system of a set size can be mounted here; the limit on file sizes stands in for it");
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let acknowledged = fill_up(&mut child(&home.join("log")), "the disk is full");
        assert!(Command::new("mount").args(["-o", "remount,size=200m"]).arg(&home).status().unwrap().success(), "room is made");
        assert!(check(&home.join("log")).unwrap() > acknowledged);
    });
    assert!(Command::new("umount").arg("-l").arg(&home).status().unwrap().success());
    outcome.unwrap();
}

#[test]
fn a_limit_on_file_sizes_is_said_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // The limit is in blocks of 1,024 bytes; the journal is given 64 MiB when it is made.
    let mut shell = Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 66000; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    shell
        .args(["--exact", "child_appends_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env("KEYTRAIL_TEST_LOG_DIR", dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let acknowledged = fill_up(&mut shell, "the largest size that is allowed");
    assert!(check(dir.path()).unwrap() > acknowledged);
}

/// Lets the child append until it is refused; gives the last batch that was acknowledged.
fn fill_up(command: &mut Command, word: &str) -> u64 {
    let mut running = command.env("KEYTRAIL_TEST_PADDING", "20000").spawn().unwrap();
    let lines: Vec<String> = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    running.wait().unwrap();
    let said = lines.iter().find(|line| line.contains("refused")).unwrap_or_else(|| panic!("it was never full: {:?}", lines.last()));
    assert!(said.contains(word), "{said}");
    let again = lines.iter().find(|line| line.starts_with("again")).unwrap();
    assert!(again.contains("nothing is accepted since then"), "{again}");
    last_stored(&lines).unwrap()
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = EmbeddedLog::open(&path, options()).unwrap_err();
        assert!(matches!(error, Error::Storage { .. }) && error.to_string().contains("a file stands where"), "{error}");
    }
    let fixed = dir.path().join("fixed");
    std::fs::create_dir(&fixed).unwrap();
    if !Command::new("mount").args(["-t", "tmpfs", "-o", "ro,size=1m", "tmpfs"]).arg(&fixed).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    {
        println!("skipped: no read-only file system can be mounted here");
        return;
    }
    let error = EmbeddedLog::open(&fixed, options()).map(drop);
    assert!(Command::new("umount").arg("-l").arg(&fixed).status().unwrap().success());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("read-only file system"), "{error}");
}
