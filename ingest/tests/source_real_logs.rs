//! Real logs, through the source and its detection of formats. They are not part of the project: where their folder is missing, the test says that it is skipped.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "source/tiny.rs"]
#[expect(dead_code, reason = "shared with the other tests of the source")]
mod tiny;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options};
use keytrail_schemas::Reason;
use tiny::{Read, now, read_paths};

fn read(folder: &str) -> Option<Read> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(folder);
    if !path.is_dir() {
        println!("skipped: {folder} is not there");
        return None;
    }
    Some(read_paths(&[&path], Options::new("test", Choice::Auto, Redactor::new(&[7; 32]), now)))
}

#[test]
fn every_folder_is_read_and_what_is_left_is_said() {
    for (folder, format, least) in [
        ("cloudtrail/elastic", "cloudtrail", 20),
        ("cloudtrail/stratus-attacks", "cloudtrail", 99),
        ("cloudtrail/otrf-attacks", "cloudtrail", 0),
        ("k8s_audit/falco", "k8s_audit", 10),
        ("vault_audit", "vault_audit", 50),
        ("zeek", "zeek", 5_000),
    ] {
        let Some(read) = read(folder) else { continue };
        let identities: BTreeSet<_> = read.events.iter().map(|event| &event.identity).collect();
        let credentials: BTreeSet<_> = read.events.iter().filter_map(|event| event.credential.as_ref()).collect();
        let mut reasons: BTreeMap<(&str, Reason), u32> = BTreeMap::new();
        for letter in &read.letters {
            *reasons.entry((letter.format.as_str(), letter.reason)).or_default() += 1;
        }
        println!(
            "{folder}: {} events, {} identities, {} credentials, {} dead letters {reasons:?}; {:?}",
            read.events.len(),
            identities.len(),
            credentials.len(),
            read.letters.len(),
            read.counts.formats
        );
        let mut shown = BTreeSet::new();
        for letter in read.letters.iter().filter(|letter| !letter.path.contains("-expected.json")) {
            if shown.insert((letter.reason, letter.message.chars().take(60).collect::<String>())) {
                println!(
                    "    {}:{} {} {} | {}",
                    letter.path.rsplit("/data/").next().unwrap_or(&letter.path),
                    letter.line,
                    letter.reason,
                    letter.message,
                    letter.raw.chars().take(80).collect::<String>()
                );
            }
        }
        let own = read.events.iter().filter(|event| event.format == format).count();
        assert!(own >= least, "{folder}: {own}");
        assert!(read.letters.iter().all(|letter| letter.raw.len() <= 16 << 10));
    }
}

#[test]
fn vaults_server_log_is_recognised_and_refused() {
    let Some(read) = read("vault_log") else { return };
    assert_eq!(read.events, []);
    assert!(
        !read.letters.is_empty() && read.letters.iter().all(|letter| letter.reason == Reason::WrongKind || letter.path.ends_with("-expected.json")),
        "{:?}",
        read.letters
    );
}
