//! `keytrail redact --check` over the fixtures of every format: each fingerprint that ingest stores is shown, and nothing is shown as kept that is stored otherwise.

use std::collections::BTreeSet;
use std::path::Path;

use crate::estate::{Home, stderr};

/// The fingerprints in a text.
fn fingerprints(text: &str) -> BTreeSet<String> {
    let pattern = regex::Regex::new("hmac:[0-9a-f]{32}").unwrap();
    pattern.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn what_the_check_shows_is_what_is_stored() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("ingest/fixtures");
    let (mut formats, mut shown_in_all) = (0, 0);
    for folder in std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()) {
        let format = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let home = Home::new();
        let mut shown = String::new();
        for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let output = home.command(&["redact", "--check", file.to_str().unwrap(), "--format", &format, "--output", "ndjson"]).output().unwrap();
            assert!(output.status.success(), "{}: {}", file.display(), stderr(&output));
            assert!(!output.stdout.is_empty(), "{}: no value is shown", file.display());
            shown.push_str(&String::from_utf8(output.stdout).unwrap());
        }
        home.ingest(&["--format", &format, folder.to_str().unwrap()]);
        let stored: BTreeSet<String> =
            home.rows(&["sql", "select raw from events"]).iter().flat_map(|row| fingerprints(row["raw"].as_str().unwrap_or_default())).collect();
        let shown = fingerprints(&shown);
        let hidden: Vec<&String> = stored.difference(&shown).collect();
        assert!(hidden.is_empty(), "{format}: {} of {} fingerprints that are stored are not shown, {hidden:?}", hidden.len(), stored.len());
        formats += 1;
        shown_in_all += stored.len();
    }
    println!("{formats} formats, {shown_in_all} fingerprints");
    assert!(formats >= 29 && shown_in_all > 50, "{formats} formats, {shown_in_all} fingerprints");
}
