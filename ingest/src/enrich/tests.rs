//! Databases written by `mmdb_writer` (PyPI), which is not ours; `ingest/tests/enrich/make.py` says what is in them.

use super::*;
use keytrail_schemas::Event;

const COUNTRY: &[u8] = include_bytes!("../../tests/enrich/country.mmdb");
const ASN: &[u8] = include_bytes!("../../tests/enrich/asn.mmdb");
const FLAT: &[u8] = include_bytes!("../../tests/enrich/flat.mmdb");

fn quiet(_: &Notice) {}

fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let paths = files.iter().map(|(name, bytes)| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    });
    let paths = paths.collect();
    (dir, paths)
}

fn told(memory: &mut Memory, address: &str) -> (Option<String>, Option<i64>) {
    let mut event = Event { source_ip: Some(address.into()), ..Event::default() };
    memory.complete(&mut event);
    (event.source_country.map(|code| code.to_string()), event.source_asn)
}

#[test]
fn country_and_autonomous_system_come_from_their_databases() {
    let (_dir, paths) = folder(&[("country.mmdb", COUNTRY), ("asn.mmdb", ASN)]);
    let mut memory = Memory::new(&Arc::new(Enrich::open(&paths, Duration::ZERO, quiet).unwrap()));
    let some = |country: &str, asn| (Some(country.to_owned()), asn);
    assert_eq!(told(&mut memory, "192.0.2.7"), some("DE", Some(64_500)));
    assert_eq!(told(&mut memory, "::ffff:192.0.2.7"), some("DE", Some(64_500)), "the same address, written as IPv6");
    assert_eq!(told(&mut memory, "203.0.113.9"), some("BR", None));
    assert_eq!(told(&mut memory, "198.51.100.1"), some("SE", None), "only where it is registered is known");
    assert_eq!(told(&mut memory, "2001:db8::1"), some("FR", Some(64_511)));
    assert_eq!(told(&mut memory, "10.0.0.1"), (None, None));
    assert_eq!(told(&mut memory, "cloudformation.amazonaws.com"), (None, None));
}

#[test]
fn flat_fields_are_understood_and_the_first_database_is_believed() {
    let (_dir, paths) = folder(&[("flat.mmdb", FLAT), ("country.mmdb", COUNTRY)]);
    let mut memory = Memory::new(&Arc::new(Enrich::open(&paths, Duration::ZERO, quiet).unwrap()));
    assert_eq!(told(&mut memory, "192.0.2.7"), (Some("AT".to_owned()), Some(64_502)));
    assert_eq!(told(&mut memory, "203.0.113.9"), (Some("BR".to_owned()), None));
}

#[test]
fn what_a_record_says_itself_stays() {
    let (_dir, paths) = folder(&[("country.mmdb", COUNTRY), ("asn.mmdb", ASN)]);
    let mut memory = Memory::new(&Arc::new(Enrich::open(&paths, Duration::ZERO, quiet).unwrap()));
    let mut event = Event { source_ip: Some("192.0.2.7".into()), source_country: Some("NL".into()), ..Event::default() };
    memory.complete(&mut event);
    assert_eq!((event.source_country.as_deref(), event.source_asn), (Some("NL"), Some(64_500)));
}

#[test]
fn a_changed_database_is_read_anew_and_a_broken_one_is_not_taken() {
    let (dir, paths) = folder(&[("country.mmdb", COUNTRY)]);
    let enrich = Arc::new(Enrich::open(&paths, Duration::ZERO, quiet).unwrap());
    let mut memory = Memory::new(&enrich);
    assert_eq!(told(&mut memory, "192.0.2.7").0.as_deref(), Some("DE"));
    let path = dir.path().join("country.mmdb");
    std::fs::write(&path, b"half of a download").unwrap();
    enrich.look();
    assert_eq!(told(&mut memory, "192.0.2.7").0.as_deref(), Some("DE"), "the one before stays in use");
    std::fs::remove_file(&path).unwrap();
    enrich.look();
    assert_eq!(told(&mut memory, "192.0.2.7").0.as_deref(), Some("DE"));
    std::fs::write(&path, FLAT).unwrap();
    enrich.look();
    assert_eq!(told(&mut memory, "192.0.2.7"), (Some("AT".to_owned()), Some(64_502)));
}

#[test]
fn what_is_no_database_is_refused_by_name() {
    let (_dir, paths) = folder(&[("x.mmdb", b"nothing of the kind")]);
    let error = Enrich::open(&paths, Duration::ZERO, quiet).unwrap_err().to_string();
    assert!(error.contains("x.mmdb") && error.contains("MaxMind's format"), "{error}");
    let error = Enrich::open(&["/nowhere/x.mmdb".to_owned()], Duration::ZERO, quiet).unwrap_err().to_string();
    assert!(error.contains("/nowhere/x.mmdb"), "{error}");
}
