//! Snapshots of small logs, and what must hold for every log.

use keytrail_schemas::{Event, Reason};
use proptest::prelude::*;

use super::Zeek;
use crate::format::{Context, Disposition, Draft, Format, Reject, guarded};
use crate::redact::Redactor;

const CONCATENATED: &str = include_str!("../../../fixtures/zeek/concatenated.log");
const STREAM: &str = include_str!("../../../fixtures/zeek/stream.json");

type Answers = Vec<Result<Disposition, Reject>>;

fn read_as(file_name: &str, log: &[u8]) -> (Vec<Draft>, Answers) {
    let context =
        Context { redactor: Redactor::new(&[7; 32]), level: crate::redact::Level::Safe, cluster: "lab".into(), depth_max: 16, file_name: file_name.to_owned() };
    let mut parser = guarded(&Zeek, &context);
    let mut out = Vec::new();
    let answers = (1..).zip(log.split(|b| *b == b'\n')).map(|(line, record)| parser.record(record, line, &mut out)).collect();
    parser.finish(&mut out);
    (out, answers)
}

fn events(log: &str) -> Vec<serde_json::Value> {
    let (drafts, answers) = read_as("all.log", log.as_bytes());
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    drafts.iter().map(crate::format::shown::shown).collect()
}

#[test]
fn tsv_logs_become_events() {
    insta::assert_json_snapshot!(events(CONCATENATED));
}

#[test]
fn json_logs_become_events() {
    insta::assert_json_snapshot!(events(STREAM));
}

#[test]
fn no_secret_passes() {
    for log in [CONCATENATED, STREAM] {
        assert!(log.contains("hunter2"));
        for draft in read_as("all.log", log.as_bytes()).0 {
            let shown = format!("{:?}", draft.event);
            assert!(!shown.contains("hunter2") && !shown.contains("c0ffee") && !shown.contains("21.5\""), "{shown}");
        }
    }
}

#[test]
fn an_array_reads_like_lines() {
    let lines: Vec<&str> = STREAM.lines().collect();
    let drafts = read_as("all.log", STREAM.as_bytes()).0;
    let by_line: Vec<Event> = drafts.iter().map(|draft| without_raw((*draft.event).clone())).collect();
    // The last row is wrapped by an export, which arrays are not.
    let last = lines.len() as u64;
    let unwrapped: Vec<Event> = drafts.into_iter().filter(|draft| draft.line != last).map(|draft| without_raw(*draft.event)).collect();
    let array = format!("[{}]", lines[..lines.len() - 1].join(","));
    let in_one: Vec<Event> = read_as("all.log", array.as_bytes()).0.into_iter().map(|draft| without_raw(*draft.event)).collect();
    assert_eq!(in_one, unwrapped);
    let parts = |log: &str| read_as("all.log", log.as_bytes()).0.iter().map(|draft| draft.part).collect::<Vec<u32>>();
    assert_eq!(parts(&array), parts(&lines[..lines.len() - 1].join("\n")), "each row counts its own events");
    let spread = format!("[\n{}\n]", lines.join(",\n"));
    let (spread, answers) = read_as("all.log", spread.as_bytes());
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(spread.into_iter().map(|draft| without_raw(*draft.event)).collect::<Vec<_>>(), by_line);
}

fn without_raw(event: Event) -> Event {
    Event { raw: None, ..event }
}

#[test]
fn what_is_wrong_is_named() {
    let reject = |file: &str, log: &str| read_as(file, log.as_bytes()).1.pop().unwrap().unwrap_err();
    let header = "#separator \\x09\n#path\tmodbus\n#fields\tts\tid.orig_h\tid.resp_h\tfunc\n";
    let cases = [
        ("1.5\ta\tb\tc", Reason::Malformed, Some("#fields"), "before any #fields"),
        (&format!("{header}1772323200.5\t10.0.0.1\t10.0.0.2"), Reason::Truncated, Some("func"), "3 columns where #fields names 4 (none for func)"),
        (&format!("{header}1772323200.5\t10.0.0.1\t10.0.0.2\tX\tY"), Reason::Malformed, None, "5 columns"),
        (&format!("{header}-\t10.0.0.1\t10.0.0.2\tREAD_COILS"), Reason::NoTime, Some("ts"), "missing or unset"),
        (&format!("{header}soon\t10.0.0.1\t10.0.0.2\tREAD_COILS"), Reason::NoTime, Some("ts"), "ts holds a text of 4 bytes: expected seconds"),
        (&format!("{header}9999999999.5\t10.0.0.1\t10.0.0.2\tREAD_COILS"), Reason::NoTime, Some("ts"), "between 1970 and 2200"),
        (&format!("{header}1772323200.5\t-\t10.0.0.2\tREAD_COILS"), Reason::NoIdentity, Some("id.orig_h"), "modbus.log"),
        ("#separator ab", Reason::Malformed, Some("#separator"), "not one ASCII character"),
        (r#"{"func":"READ_COILS","id.orig_h":"10.0.0.1"}"#, Reason::NoTime, Some("ts"), "missing"),
        (r#"{"hello":"world"}"#, Reason::WrongKind, None, "not a row of a Zeek log"),
        (r#"{"ts":1"#, Reason::Truncated, None, "not JSON"),
        (r#"[1]"#, Reason::WrongKind, None, "no object"),
        (&format!(r#"{{"ts":1,"uid":{}1{}}}"#, "[".repeat(20), "]".repeat(20)), Reason::TooDeep, None, "deeper than 16"),
    ];
    for (log, reason, field, message) in cases {
        let found = reject("all.log", log);
        assert_eq!((found.reason, found.field.as_deref()), (reason, field), "{log}: {found}");
        assert!(found.message.contains(message), "{log}: {found}");
    }
    assert_eq!(read_as("x.log", b"#path\tmodbus\xff").1.pop().unwrap().unwrap_err().reason, Reason::NotUtf8);
}

#[test]
fn the_kind_is_told_by_path_then_file_then_fields() {
    let row = r#"{"ts":1772323200.5,"uid":"C1","id_orig_h":"10.0.0.1","id_resp_h":"10.0.0.2","func":"READ_COILS"}"#;
    let count = |file: &str, row: &str| read_as(file, row.as_bytes()).0.len();
    assert_eq!(count("anything.json", row), 1);
    assert_eq!(count("files.json", row), 1, "a name that means something else does not hide rows");
    assert_eq!(count("modbus.log", &row.replace("\"func\":\"READ_COILS\"", "\"tid\":3")), 1, "a row with no field of its own");
    assert_eq!(count("modbus.log", &row.replace("{\"ts\"", "{\"_path\":\"conn\",\"ts\"")), 0);
}

#[test]
fn topics_do_not_multiply_without_bound() {
    let topics: Vec<String> = (0..1000).map(|i| format!("\"t/{i}\"")).collect();
    let row =
        format!(r#"{{"_path":"mqtt_subscribe","ts":1772323200.5,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","topics":[{}]}}"#, topics.join(","));
    let drafts = read_as("all.log", row.as_bytes()).0;
    assert_eq!(drafts.len(), 17);
    assert_eq!(drafts[16].event.destination.as_deref(), Some("mqtt:10.0.0.2:topics/984 more"));
}

#[test]
fn samples_are_recognised() {
    assert_eq!(Zeek.sniff(CONCATENATED.as_bytes()), 100);
    assert!(Zeek.sniff(STREAM.as_bytes()) >= 90);
    for other in ["", "plain text", r#"{"eventVersion":"1.08","ts":1}"#, r#"{"Records":[]}"#] {
        assert!(Zeek.sniff(other.as_bytes()) <= 30, "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "[#\\ta-z0-9{}\\[\\]\":,._\\-\\\\x\n ]{0,300}") {
        for log in [&bytes[..], text.as_bytes()] {
            let _ = read_as("ssl.log", log);
            let _ = Zeek.sniff(log);
        }
    }

    #[test]
    fn no_mutation_panics(at in any::<prop::sample::Index>(), len in 0_usize..40, with in prop::collection::vec(any::<u8>(), 0..20), stream in any::<bool>()) {
        let mut log = if stream { STREAM } else { CONCATENATED }.as_bytes().to_vec();
        let at = at.index(log.len());
        let end = (at + len).min(log.len());
        log.splice(at..end, with);
        let (drafts, _) = read_as("all.log", &log);
        for draft in drafts {
            prop_assert!(!draft.event.identity.is_empty() && draft.event.time >= keytrail_schemas::Micros::MIN && draft.event.raw.is_some());
        }
    }
}
