//! No secret survives: secrets are planted in every place of every format, new ones in each run, sent through the binary as a user does,
//! and looked for in everything that was written and printed, in clear and in every encoding.

mod agent;
mod broken;
mod chance;
mod check;
mod cloud;
mod cloudtrail;
mod corpus;
mod doors;
mod forge;
mod form;
mod gitleaks;
mod host;
mod k8s_audit;
mod needle;
mod own;
mod place;
mod provider;
mod scanner;
mod sigma;
mod template;
mod vault_audit;
mod written;
mod zeek;

use chance::Chance;
use corpus::Corpus;
use written::Written;

use crate::estate::{Home, finished, stderr};

/// Everything that a command prints, at the most talkative level.
fn printed(home: &Home, arguments: &[&str]) -> Written {
    let mut command = home.command(arguments);
    command.env("KEYTRAIL_LOG_LEVEL", "trace");
    let output = finished(command);
    assert!(output.status.code().is_some(), "keytrail {arguments:?} was killed: {}", stderr(&output));
    Written::new(format!("printed by {arguments:?}"), [output.stdout, output.stderr].concat())
}

/// The questions whose answers are printed.
const ASKED: &[&[&str]] = &[
    &["sql", "select * from events"],
    &["sql", "select * from dead_letters", "--output", "csv"],
    &["sql", "select * from findings_log", "--output", "json"],
    &["identities", "--humans"],
    &["credentials"],
    &["findings"],
    &["detections"],
    &["posture"],
    &["coverage"],
    &["dead-letters", "list"],
    &["dead-letters", "list", "--output", "table"],
    &["config"],
    &["doctor"],
];

#[test]
fn no_planted_secret_is_found_again() {
    let mut chance = Chance::new("no_planted_secret_is_found_again");
    let corpus = Corpus::new(&mut chance);
    assert!(corpus.planted.len() >= 400, "{}", corpus.planted.len());
    corpus.is_found_in_the_input();
    let home = Home::new();
    let mut all = Vec::new();
    for (format, paths) in corpus.write(&home) {
        let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        all.push(printed(&home, &[&["ingest", "--format", format], paths.as_slice()].concat()));
    }
    let stored = home.rows(&["sql", "select format, count(*) as n from events group by 1 order by 1"]);
    let lettered = home.rows(&["sql", "select format, reason, count(*) as n from dead_letters group by 1, 2 order by 1, 2"]);
    println!("stored {stored:?}, dead letters {lettered:?}");
    assert_eq!(stored.len(), corpus.count().len(), "every format gave events");
    all.extend(ASKED.iter().map(|arguments| printed(&home, arguments)));
    let (files, looked) = written::folder(&home.data());
    println!("{looked:?}");
    assert!(looked.parquet_rows > 500 && looked.states > 0 && looked.log_records > 500, "{looked:?}");
    all.extend(files);
    corpus.holds_none(&all, "ingest");
}

/// The test of the test: each encoding, in each kind of file, is found.
#[test]
fn a_planted_leak_is_caught() {
    let mut chance = Chance::new("a_planted_leak_is_caught");
    let corpus = Corpus::new(&mut chance);
    let home = Home::new();
    let records = crate::estate::cloudtrail_lines(300);
    home.ingest(&["--format", "cloudtrail", home.file("events.log", records).to_str().unwrap()]);
    let (clean, _) = written::folder(&home.data());
    assert!(corpus.leaks(&clean).is_empty(), "nothing was planted there");
    doors::planted_leaks(&corpus, &home);
}
