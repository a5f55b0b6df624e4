//! Second oracles: gitleaks and detect-secrets over an export of everything that was written, from the corpus and from the real logs. Each kind
//! of hit that remains is judged here, and in docs/redaction.md; any other fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::chance::Chance;
use super::corpus::Corpus;
use super::written::{self, Written};
use crate::estate::Home;
use crate::kafka::setting;

/// Lines of text, as scanners take them: what is binary is looked at in its unpacked form.
fn export(all: &[Written], folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (index, part) in all.iter().enumerate().filter(|(_, part)| std::str::from_utf8(&part.bytes).is_ok()) {
        let name: String = part.at.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect();
        std::fs::write(folder.join(format!("{index:04}-{name}.txt")), &part.bytes).unwrap();
    }
}

/// A hit: who found it, by which rule, and what.
struct Hit {
    by: &'static str,
    rule: String,
    text: String,
}

fn gitleaks(program: &str, folder: &Path, home: &Home) -> Vec<Hit> {
    let report = home.path().join("gitleaks.json");
    let output =
        Command::new(program).args(["dir", "--no-banner", "--exit-code", "0", "-f", "json", "-r"]).arg(&report).arg(folder).output().expect("gitleaks runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let hits: Vec<Value> = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    hits.iter().map(|hit| Hit { by: "gitleaks", rule: hit["RuleID"].as_str().unwrap().to_owned(), text: hit["Match"].as_str().unwrap().to_owned() }).collect()
}

fn detect_secrets(program: &str, folder: &Path) -> Vec<Hit> {
    let output = Command::new(program).args(["scan", "--all-files", "--no-verify", "."]).current_dir(folder).output().expect("detect-secrets runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut hits = Vec::new();
    for (file, found) in report["results"].as_object().unwrap() {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for hit in found.as_array().unwrap() {
            let line = usize::try_from(hit["line_number"].as_u64().unwrap()).unwrap();
            hits.push(Hit {
                by: "detect-secrets",
                rule: hit["type"].as_str().unwrap().to_owned(),
                text: lines.get(line - 1).copied().unwrap_or_default().to_owned(),
            });
        }
    }
    hits
}

/// Kinds of hits that are no secrets: who found it, the rule, what the hit holds ("" for every one), and why.
const JUDGED: &[(&str, &str, &str, &str)] = &[
    ("gitleaks", "aws-access-token", "", "an access key's id is a name"),
    ("detect-secrets", "AWS Access Key", "", "an access key's id is a name"),
    ("gitleaks", "generic-api-key", "hmac:", "a fingerprint, in the place of a secret"),
    ("gitleaks", "generic-api-key", "keytrailCommit\":\"", "the name of a commit of the lake"),
    ("gitleaks", "generic-api-key", "credential\":\"", "what a credential is known by: a certificate's fingerprint or serial, a key's or token's public id"),
    ("gitleaks", "generic-api-key", "credential_parent\":\"", "the same, of the credential before"),
    ("gitleaks", "generic-api-key", "credential hmac-sha256:", "the HMAC that Vault writes instead of an accessor"),
    (
        "detect-secrets",
        "Base64 High Entropy String",
        "\"credential\":\"",
        "Entra's unique token identifier: a UUID in base64, under which other logs name the token",
    ),
    ("detect-secrets", "Base64 High Entropy String", "{\"add\":{\"path\"", "the same, among a data file's smallest and largest values"),
    ("detect-secrets", "Secret Keyword", "hmac:", "a fingerprint, in the place of a secret"),
    ("detect-secrets", "Hex High Entropy String", "", "a fingerprint, an id or a hash: all that is hex in what keytrail writes"),
];

fn judge(hits: &[Hit], what: &str) {
    let mut counts: BTreeMap<(&str, &str, &str), (usize, &str)> = BTreeMap::new();
    for hit in hits {
        let judged = JUDGED.iter().find(|(by, rule, holds, _)| *by == hit.by && *rule == hit.rule && hit.text.contains(holds));
        counts.entry((hit.by, &hit.rule, judged.map_or("NOT JUDGED", |(_, _, _, why)| why))).or_insert((0, &hit.text)).0 += 1;
    }
    for ((by, rule, why), (count, example)) in &counts {
        println!("{what}: {by}: {rule}: {count} hits: {why}; e.g. {}", example.chars().take(300).collect::<String>());
    }
    for hit in hits.iter().filter(|hit| !JUDGED.iter().any(|(by, rule, holds, _)| *by == hit.by && *rule == hit.rule && hit.text.contains(holds))) {
        println!("STRANGE {what}: {}: {}: {}", hit.by, hit.rule, hit.text.chars().take(600).collect::<String>());
    }
    let strange = counts.keys().filter(|(_, _, why)| *why == "NOT JUDGED").count();
    assert_eq!(strange, 0, "{what}: kinds of hits that nobody has judged");
}

fn scan(home: &Home, all: &[Written], what: &str) {
    let folder: PathBuf = home.path().join(format!("export-{what}"));
    export(all, &folder);
    let mut hits = Vec::new();
    let (first, second) = (setting("KEYTRAIL_GITLEAKS"), setting("KEYTRAIL_DETECT_SECRETS"));
    hits.extend(first.iter().flat_map(|program| gitleaks(program, &folder, home)));
    hits.extend(second.iter().flat_map(|program| detect_secrets(program, &folder)));
    judge(&hits, what);
}

fn are_there() -> bool {
    let there = setting("KEYTRAIL_GITLEAKS").is_some() || setting("KEYTRAIL_DETECT_SECRETS").is_some();
    if !there {
        println!("SKIPPED: KEYTRAIL_GITLEAKS and KEYTRAIL_DETECT_SECRETS name no scanners; .ci/scan installs them");
    }
    there
}

#[test]
fn scanners_find_no_secret_in_what_the_corpus_left() {
    if !are_there() {
        return;
    }
    let corpus = Corpus::new(&mut Chance::new("scanners_find_no_secret_in_what_the_corpus_left"));
    let home = Home::new();
    for (format, paths) in corpus.write(&home) {
        let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        home.ingest(&[&["--format", format], paths.as_slice()].concat());
    }
    scan(&home, &written::folder(&home.data()).0, "corpus");
}

#[test]
fn scanners_find_no_secret_in_what_real_logs_left() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.exists() {
        println!("SKIPPED: no real logs at {}", data.display());
        return;
    }
    if !are_there() {
        return;
    }
    let home = Home::new();
    let formats = keytrail_ingest::format::auto::all().iter().map(|format| format.name()).filter(|format| data.join(format).is_dir());
    for format in formats.chain(["auto"]) {
        let path = if format == "auto" { data.clone() } else { data.join(format) };
        home.ingest(&["--format", format, path.to_str().unwrap()]);
    }
    scan(&home, &written::folder(&home.data()).0, "real-logs");
}
