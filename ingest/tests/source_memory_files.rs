//! Many open files with great records each, in a process of its own so that its memory can be told: originals that wait on disk for their turn come back as they were.
//! How much memory it took is printed and not asserted: the buffers of the open files hold as much again, which the bound on originals does not cover.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "source/tiny.rs"]
#[expect(dead_code, reason = "shared with the other tests of the source")]
mod tiny;

use keytrail_ingest::source::Reader;
use keytrail_schemas::Hash32;
use tiny::{JSON, options};

const FILES: i64 = 24;
const RECORDS: i64 = 2;
const RECORD_BYTES: usize = 2 << 20;

/// The most memory that the process has had since the last call, in MiB (proc(5): `clear_refs`, `VmHWM`).
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    let kib: u64 = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().split(' ').next()?.parse().ok()?;
    Some(kib >> 10)
}

/// Reads the files; says what was read, in order, and how much memory it took.
fn read(paths: &[String], waiting: Option<&std::path::Path>) -> (Vec<(i64, Hash32, usize)>, u64) {
    let mut asked = options(&JSON);
    asked.limits.held_bytes_max = 16 << 20;
    asked.limits.peek_bytes_max = 16 << 20;
    asked.limits.batch_bytes_max = 16 << 20;
    asked.waiting_dir = waiting.map(std::path::Path::to_path_buf);
    peak();
    let mut all = Vec::new();
    for batch in Reader::open(paths, asked).unwrap() {
        assert!(batch.dead_letters.is_empty());
        for event in batch.events {
            let raw = event.raw.unwrap_or_default();
            assert_eq!(Hash32::of(raw.as_bytes()), event.raw_hash, "an original is what it was");
            all.push((event.time.0, event.raw_hash, raw.len()));
        }
    }
    (all, peak().unwrap_or_default())
}

#[test]
fn originals_that_waited_on_disk_come_back_in_order_and_whole() {
    if peak().is_none() {
        println!("skipped: this system does not say how much memory a process took");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("logs");
    std::fs::create_dir(&folder).unwrap();
    // What is neither a secret nor free text is kept as it is.
    let filler = format!("[true{}]", ",true".repeat(RECORD_BYTES / 5));
    for file in 0..FILES {
        let lines: String = (0..RECORDS).map(|n| format!("{{\"t\":{},\"who\":\"f{file}\",\"note\":{filler}}}\n", n * FILES + file)).collect();
        std::fs::write(folder.join(format!("{file:02}.json")), lines).unwrap();
    }
    drop(filler);
    let paths = [folder.display().to_string()];
    let (bounded, small) = read(&paths, Some(dir.path()));
    let (all, great) = read(&paths, None);
    println!("{FILES} open files, records of {} MiB: {small} MiB of memory with a bound of 16 MiB on what waits, {great} MiB without", RECORD_BYTES >> 20);
    assert_eq!(bounded, all, "the bound changes nothing but memory");
    assert_eq!(all.len(), usize::try_from(FILES * RECORDS).unwrap());
    assert!(all.is_sorted_by_key(|(time, ..)| *time));
    assert!(all.iter().all(|(.., bytes)| *bytes >= RECORD_BYTES / 2), "originals are kept: {:?}", all.first());
}
