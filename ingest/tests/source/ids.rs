//! Event ids: the same record gives the same one wherever and with whatever key it is read, and different ones give different ones.

use keytrail_ingest::format::auto;
use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options};
use keytrail_schemas::EventId;

use crate::tiny::{now, read_bytes, read_paths};

/// One row of Zeek's modbus.log, as it stands in Zeek's documentation.
const ROW: &str = r#"{"ts":1381967744.641998,"uid":"CHhAvVGS1DHFjwGM9","id.orig_h":"10.0.0.57","id.orig_p":2578,"id.resp_h":"10.0.0.3","id.resp_p":502,"func":"READ_HOLDING_REGISTERS"}"#;

fn options(format: &str, key: u8, cluster: &str) -> Options {
    let mut options = Options::new("test", Choice::Named(auto::by_name(format).unwrap()), Redactor::new(&[key; 32]), now);
    options.cluster = cluster.into();
    options
}

fn ids(name: &str, text: &str, options: Options) -> Vec<EventId> {
    let read = read_bytes(name, text.as_bytes(), options);
    assert!(read.letters.is_empty(), "{:?}", read.letters);
    read.events.iter().map(|event| event.event_id).collect()
}

#[test]
fn the_same_row_of_two_sensors_is_two_events() {
    let one = ids("modbus.log", ROW, options("zeek", 7, "plant-a"));
    let other = ids("modbus.log", ROW, options("zeek", 7, "plant-b"));
    assert_eq!(one.len(), 1);
    assert_ne!(one, other);
    assert_eq!(one, ids("modbus.2.log", ROW, options("zeek", 7, "plant-a")), "and of one sensor it is one");
}

#[test]
fn equal_rows_are_counted_in_lines_and_in_an_array_alike() {
    let mut lines = ids("modbus.log", &format!("{ROW}\n{ROW}\n"), options("zeek", 7, "a"));
    let array = ids("modbus.log", &format!("[{ROW},{ROW}]\n"), options("zeek", 7, "a"));
    assert_eq!(lines, array);
    lines.dedup();
    assert_eq!(lines.len(), 2);
}

/// Two data folders have two keys; they must agree on what they hold.
#[test]
fn the_fingerprint_key_does_not_show_in_ids() {
    let text =
        |token: &str, n: u32| format!(r#"{{"time":"2026-01-02T03:04:0{n}Z","identity":"app:billing","user_agent":"curl Authorization: Bearer {token}"}}"#);
    let (one, other) = ("A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0", "Z1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t9");
    let file = format!("{}\n{}\n{}\n", text(one, 1), text(one, 2), text(other, 2));
    let with = |key| read_bytes("a.json", file.as_bytes(), options("keytrail", key, "a"));
    let (first, second) = (with(7), with(8));
    assert_eq!(first.events.len(), 3);
    let of = |read: &crate::tiny::Read| read.events.iter().map(|event| event.event_id).collect::<Vec<_>>();
    assert_eq!(of(&first), of(&second));
    assert_ne!(first.events[0].raw, second.events[0].raw, "the fingerprints themselves differ, or this shows nothing");
    assert!(first.events[0].raw.as_deref().unwrap().contains("hmac:"));
    let mut ids = of(&first);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "records that differ by a secret alone are events of their own");
}

/// The same over every real log that there is, where the folder exists.
#[test]
fn the_fingerprint_key_does_not_show_in_ids_of_real_logs() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        println!("skipped: {} is not there", data.display());
        return;
    }
    let mut checked = 0;
    for folder in ["vault_audit", "k8s_audit", "zeek", "cloudtrail/elastic"] {
        let with = |key: u8| {
            let read = read_paths(&[&data.join(folder)], Options::new("test", Choice::Auto, Redactor::new(&[key; 32]), now));
            read.events.into_iter().map(|event| (event.event_id, event.raw_hash)).collect::<Vec<_>>()
        };
        let (first, second) = (with(7), with(8));
        assert_eq!(first.iter().map(|event| event.0).collect::<Vec<_>>(), second.iter().map(|event| event.0).collect::<Vec<_>>(), "{folder}");
        let differ = first.iter().zip(&second).filter(|(one, other)| one.1 != other.1).count();
        println!("{folder}: {} events, {differ} of them with fingerprints", first.len());
        checked += first.len();
    }
    assert!(checked > 1_000);
}

#[test]
fn a_given_id_is_kept_and_an_exported_event_comes_back_as_itself() {
    let event = r#"{"time":"2026-01-02T03:04:05Z","identity":"app:billing","event_id":"000102030405060708090a0b0c0d0e0f"}"#;
    let read = read_bytes("a.json", event.as_bytes(), options("keytrail", 7, "a"));
    assert_eq!(read.events[0].event_id.to_hex(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!((read.events[0].format.as_str(), read.events[0].raw.as_deref()), ("keytrail", Some(event)));

    let first = read_bytes("modbus.log", format!("{ROW}\n").as_bytes(), options("zeek", 7, "plant-a"));
    let exported = serde_json::to_string(&first.events[0]).unwrap();
    let mut other = options("keytrail", 8, "elsewhere");
    other.source = "another".into();
    let text = format!("{exported}\n");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("export.json"), text).unwrap();
    let reader = keytrail_ingest::source::Reader::open(&[dir.path().display().to_string()], other).unwrap();
    let again: Vec<_> = reader.flat_map(|batch| batch.events).collect();
    assert_eq!(again, first.events);
}
