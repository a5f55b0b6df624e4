//! A record of 200 MB, in a process of its own so that its memory can be measured.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "source/tiny.rs"]
#[expect(dead_code, reason = "shared with the other tests of the source")]
mod tiny;

use std::io::{BufWriter, Write};

use keytrail_schemas::{Hash32, Reason};
use tiny::{JSON, LINES, options, read_paths, record};

#[test]
fn a_line_of_200_mb_is_one_dead_letter_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.json");
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    let (head, tail) = ("{\"t\":1,\"who\":\"", "\"}");
    let piece = vec![b'x'; 1 << 20];
    writeln!(file, "{}", record(1, "before")).unwrap();
    file.write_all(head.as_bytes()).unwrap();
    for _ in 0..200 {
        file.write_all(&piece).unwrap();
    }
    writeln!(file, "{tail}\n{}", record(2, "behind")).unwrap();
    file.flush().unwrap();
    drop(file);
    let length = i64::try_from(head.len() + (200 << 20) + tail.len()).unwrap();
    for format in [&JSON, &LINES] {
        let read = read_paths(&[&path], options(format));
        assert_eq!((read.who(), read.reasons()), (vec!["before", "behind"], vec![Reason::TooLong]));
        let letter = &read.letters[0];
        assert_eq!((letter.line, letter.raw_bytes, letter.raw_hash), (2, length, Hash32::of(letter.raw.as_bytes())));
        assert!(letter.raw.len() <= 16 << 10 && letter.raw.starts_with(head));
    }
    // VmHWM: the most memory that the process has had, in KiB (proc_pid_status(5)).
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        println!("skipped: this system does not say how much memory a process took");
        return;
    };
    let peak: u64 = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.trim().split(' ').next()?.parse().ok()).unwrap();
    println!("at most {} MiB of memory", peak >> 10);
    assert!(peak < 180 << 10, "{peak} KiB");
}
