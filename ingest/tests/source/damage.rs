//! Bad input: each piece is a dead letter that says what is wrong, and everything else is read.

use std::os::unix::fs::symlink;

use keytrail_ingest::error::Error;
use keytrail_ingest::redact::Level;
use keytrail_ingest::source::Reader;
use keytrail_schemas::{Hash32, Reason};

use crate::tiny::{JSON, LINES, options, read_bytes, read_paths, record};

#[test]
fn what_names_nothing_is_an_error_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().join("a.json");
    std::fs::write(&there, record(1, "a")).unwrap();
    let there = there.display().to_string();
    let open = |paths: &[&str]| Reader::open(&paths.iter().map(ToString::to_string).collect::<Vec<_>>(), options(&JSON)).map(drop);
    assert!(matches!(open(&[&there, "/no/such/file"]), Err(Error::Missing { path }) if path == "/no/such/file"));
    assert!(matches!(open(&[&format!("{}/*.gz", dir.path().display())]), Err(Error::NoMatch { .. })));
    assert!(matches!(open(&[&there, "/no/[x"]), Err(Error::Pattern { .. })));
    assert!(matches!(open(&["-", "-"]), Err(Error::StdinTwice)));
    assert!(matches!(open(&[]), Err(Error::Nothing)));
    assert!(open(&[&format!("{}/*.json", dir.path().display())]).is_ok());
}

#[test]
fn a_rejected_record_keeps_its_place_its_bytes_and_its_reason() {
    let text = format!("{}\n{{\"no\":\"time\"}}\nnonsense\n\n{}\n", record(1, "a"), record(2, "b"));
    for format in [&JSON, &LINES] {
        let read = read_bytes("a.json", text.as_bytes(), options(format));
        assert_eq!(read.who(), ["a", "b"]);
        let [first, second] = read.letters.as_slice() else { panic!("{:?}", read.letters) };
        assert_eq!((first.reason, first.line, first.field.as_deref()), (Reason::NoTime, 2, Some("t")));
        assert!(first.raw.starts_with("{\"no\":\"hmac:") && first.raw.ends_with(":text:4\"}"), "keys and shape are kept: {}", first.raw);
        assert_eq!((second.reason, second.line, second.raw_bytes), (Reason::Malformed, 3, 8));
        assert!(second.raw.starts_with("hmac:") && second.raw.ends_with(":text:8"), "{}", second.raw);
        assert_eq!(first.byte_offset, i64::try_from(record(1, "a").len()).unwrap() + 1);
        assert_eq!(first.raw_hash, Hash32::of(first.raw.as_bytes()));
        assert_eq!(first.format, "tiny");
        assert!(first.path.ends_with("/a.json"));
        let counts = read.counts.formats["tiny"];
        assert_eq!((counts.records, counts.events, counts.dead_letters), (4, 2, 2));
    }
}

#[test]
fn dead_letters_have_the_same_ids_when_the_file_is_read_again_from_elsewhere() {
    let text = format!("nonsense\nnonsense\n{}", record(1, "a"));
    let ids = |name: &str| read_bytes(name, text.as_bytes(), options(&JSON)).letters.iter().map(|letter| letter.dead_letter_id.clone()).collect::<Vec<_>>();
    let first = ids("a.json");
    assert_eq!(first.len(), 2);
    assert_ne!(first[0], first[1], "two equal lines are two dead letters");
    assert_eq!(first, ids("a.json"));
}

#[test]
fn secrets_do_not_pass_into_dead_letters() {
    let jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    let read = read_bytes("a.json", format!("{{\"token\":\"{jwt}\", broken\n").as_bytes(), options(&JSON));
    assert_eq!(read.letters.len(), 1);
    assert!(!read.letters[0].raw.contains("c2lnbmF0dXJl"), "{}", read.letters[0].raw);
    assert!(read.letters[0].raw.contains("hmac:"), "{}", read.letters[0].raw);
}

#[test]
fn files_that_are_no_text_are_one_dead_letter_each() {
    let utf16: Vec<u8> = record(1, "a").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, word) in [
        (utf16.as_slice(), "UTF-16"),
        (&[&[0xff, 0xfe], utf16.as_slice()].concat(), "UTF-16"),
        (b"PAR1\0\0\0\0", "Parquet"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "program"),
        (&[0; 5_000], "binary"),
    ] {
        let read = read_bytes("a.json", bytes, options(&JSON));
        assert_eq!((read.events.len(), read.reasons()), (0, vec![Reason::UnknownFormat]), "{word}");
        assert!(read.letters[0].message.contains(word), "{}", read.letters[0].message);
        assert_eq!((read.letters[0].line, read.letters[0].raw_bytes), (0, i64::try_from(bytes.len()).unwrap()));
    }
    for bytes in [b"".as_slice(), b"\n\n \r\n", b"\xef\xbb\xbf"] {
        let read = read_bytes("a.json", bytes, options(&JSON));
        assert_eq!((read.events.len(), read.letters.len()), (0, 0));
    }
    let marked = read_bytes("a.json", format!("\u{feff}{}\r\n{}\r\n", record(1, "a"), record(2, "b")).as_bytes(), options(&JSON));
    assert_eq!((marked.who(), marked.letters.len()), (vec!["a", "b"], 0));
}

#[test]
fn what_cannot_be_read_in_a_folder_is_a_dead_letter() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m.json"), record(1, "a")).unwrap();
    symlink("/no/such/target", dir.path().join("dangling")).unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    symlink(dir.path(), dir.path().join("sub/loop")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap().success());
    let read = read_paths(&[dir.path()], options(&JSON));
    assert_eq!(read.who(), ["a"]);
    assert_eq!(read.reasons(), [Reason::Unreadable; 3]);
    assert!(read.letters.iter().any(|letter| letter.path.ends_with("dangling")));
    assert!(read.letters.iter().any(|letter| letter.path.ends_with("pipe") && letter.message.contains("pipe")));
}

#[test]
fn a_pipe_that_is_named_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text: String = (0..5_000).map(|time| record(time, "a") + "\n").collect();
    let to = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(to, text).unwrap());
    let read = read_paths(&[&pipe], options(&JSON));
    writer.join().unwrap();
    assert_eq!((read.events.len(), read.letters.len()), (5_000, 0));
}

#[test]
fn equal_lines_are_two_events_and_the_same_file_again_is_none() {
    let line = record(5, "a") + "\n";
    let with_parts = "{\"t\":6,\"who\":\"b\",\"parts\":2}\n";
    let text = format!("{line}{with_parts}{line}{with_parts}{}", record(7, "c"));
    let read = read_bytes("a.json", text.as_bytes(), options(&JSON));
    let ids: Vec<_> = read.events.iter().map(|event| event.event_id).collect();
    assert_eq!(ids.len(), 7);
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 7);
    let again = read_bytes("renamed.log", text.as_bytes(), options(&JSON));
    assert_eq!(again.events, read.events);
    let tail = read_bytes("b.json", format!("{line}{}", record(7, "c")).as_bytes(), options(&JSON));
    assert!(tail.events.iter().all(|event| ids.contains(&event.event_id)), "an overlapping delivery brings nothing new");
    let named = read_bytes("c.json", b"{\"t\":1,\"id\":\"x\",\"who\":\"a\"}\n{\"t\":2,\"id\":\"x\",\"who\":\"b\"}", options(&JSON));
    assert_eq!(named.events[0].event_id, named.events[1].event_id, "the provider's own id says what is one event");
}

#[test]
fn what_becomes_of_originals_is_a_choice() {
    let text = record(1, "a");
    let policy = |raw| {
        let mut options = options(&JSON);
        options.raw = raw;
        read_bytes("a.json", text.as_bytes(), options).events.remove(0)
    };
    let (safe, open, hash) = (policy(Level::Safe), policy(Level::Open), policy(Level::Hash));
    assert_eq!((open.raw.as_deref(), open.raw_hash), (Some(text.as_str()), Hash32::of(text.as_bytes())));
    assert!(safe.raw.as_deref().is_some_and(|raw| raw.starts_with("{\"t\":1,") && !raw.contains("\"a\"")), "a format without a list is closed: {:?}", safe.raw);
    assert_eq!((hash.raw, hash.raw_hash), (None, safe.raw_hash));
    assert_eq!(safe.event_id, hash.event_id);
}

#[test]
fn held_and_control_records_are_counted_and_held_events_come_at_the_end() {
    let text = format!("{{\"t\":1,\"who\":\"held\",\"hold\":true}}\n{{\"control\":true}}\n{}\n{{\"t\":3,\"who\":\"held2\",\"hold\":true}}\n", record(2, "a"));
    let read = read_bytes("a.json", text.as_bytes(), options(&JSON));
    assert_eq!(read.who(), ["a", "held", "held2"]);
    let counts = read.counts.formats["tiny"];
    assert_eq!((counts.records, counts.control, counts.held, counts.events, counts.dead_letters), (4, 1, 2, 3, 0));
}

#[test]
fn a_parser_that_panics_costs_its_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.json"), "{\"panic\":1}").unwrap();
    std::fs::write(dir.path().join("b.json"), record(1, "b")).unwrap();
    let read = read_paths(&[dir.path()], options(&JSON));
    assert_eq!((read.who(), read.reasons()), (vec!["b"], vec![Reason::Unreadable]));
    assert!(read.letters[0].message.contains("defect"));
}

#[test]
fn a_time_that_is_none_is_kept_out() {
    let read = read_bytes("a.json", format!("{}\n{}", record(i64::MAX, "z"), record(1, "a")).as_bytes(), options(&JSON));
    assert_eq!((read.who(), read.reasons()), (vec!["a"], vec![Reason::NoTime]));
}
