//! Many open files with large records each, in a process of its own so that its memory can be told: originals that wait on disk for their turn come back as they were, and what
//! waits, the buffers of the open files included, stays within its bound.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "source/tiny.rs"]
#[expect(dead_code, reason = "shared with the other tests of the source")]
mod tiny;

use keytrail_ingest::source::Reader;
use keytrail_schemas::Hash32;
use tiny::{JSON, options};

/// The program's own: the system's keeps what was given back to it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FILES: i64 = 64;
const RECORDS: i64 = 2;
/// Half of the files have great records, which are read one at a time over all files; the other half such as are just not.
const RECORD_BYTES: [usize; 2] = [2 << 20, 900 << 10];
/// What may wait, in all.
const WAITING_BYTES_MAX: u64 = 16 << 20;
/// Beside it: one great record in its buffer and as its parser has it (twenty times as large, for it is made of words of four letters), records of two threads that are not
/// great, the batch that is handed on, and the tables of so many parsers.
const BESIDE_MIB: u64 = 124;

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
    if waiting.is_some() {
        // As the program divides it.
        asked.limits.under_way_bytes_max = WAITING_BYTES_MAX / 2;
        asked.limits.held_bytes_max = WAITING_BYTES_MAX / 2;
        asked.limits.peek_bytes_max = usize::try_from(WAITING_BYTES_MAX / 4).unwrap();
    }
    asked.limits.batch_bytes_max = 16 << 20;
    asked.threads = 2;
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

/// In a process of its own, whose allocator gives back at once what is not used: what it may keep for a while is not what is asked about.
#[test]
fn what_many_open_files_hold_stays_within_its_bound() {
    let own = std::env::current_exe().unwrap();
    let child = std::process::Command::new(own)
        .args(["--ignored", "--exact", "originals_that_waited_on_disk_come_back_in_order_and_whole", "--nocapture"])
        .env("MIMALLOC_PURGE_DELAY", "0")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&child.stdout));
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
}

#[test]
#[ignore = "the other test runs it, in a process of its own"]
fn originals_that_waited_on_disk_come_back_in_order_and_whole() {
    if peak().is_none() {
        println!("skipped: this system does not say how much memory a process took");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("logs");
    std::fs::create_dir(&folder).unwrap();
    // What is neither a secret nor free text is kept as it is.
    let fillers = RECORD_BYTES.map(|bytes| format!("[true{}]", ",true".repeat(bytes / 5)));
    for (file, filler) in (0..FILES).zip(fillers.iter().cycle()) {
        let lines: String = (0..RECORDS).map(|n| format!("{{\"t\":{},\"who\":\"f{file}\",\"note\":{filler}}}\n", n * FILES + file)).collect();
        std::fs::write(folder.join(format!("{file:02}.json")), lines).unwrap();
    }
    drop(fillers);
    let paths = [folder.display().to_string()];
    let (bounded, small) = read(&paths, Some(dir.path()));
    let (all, great) = read(&paths, None);
    println!(
        "{FILES} open files, records of up to {} MiB: {small} MiB of memory with a bound of {} MiB on what waits, {great} MiB without",
        RECORD_BYTES[0] >> 20,
        WAITING_BYTES_MAX >> 20
    );
    assert!(small <= (WAITING_BYTES_MAX >> 20) + BESIDE_MIB, "{small} MiB");
    assert_eq!(bounded, all, "the bound changes nothing but memory");
    assert_eq!(all.len(), usize::try_from(FILES * RECORDS).unwrap());
    assert!(all.is_sorted_by_key(|(time, ..)| *time));
    assert!(all.iter().all(|(.., bytes)| *bytes >= RECORD_BYTES[1] / 2), "originals are kept: {:?}", all.first());
}
