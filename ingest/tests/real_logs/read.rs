//! Reads files into records and records into drafts, and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keytrail_ingest::format::{Context, Disposition, Draft, Format, Parser, Reject};
use keytrail_ingest::redact::Redactor;
use serde_json::Value;

/// The folder of logs, if it is here.
pub fn folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not here", path.display());
    None
}

pub fn context() -> Context {
    Context { redactor: Redactor::new(&[7; 32]), level: keytrail_ingest::redact::Level::Safe, cluster: "test".into(), depth_max: 128, file_name: String::new() }
}

/// The files under a folder, in order of their paths.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect();
    found.sort();
    found
}

/// The records of a file: concatenated JSON values, arrays opened, envelopes of the format opened, labels around test data taken away.
pub fn records(format: &dyn Format, path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let labelled = path.extension().is_some_and(|e| e == "jsonl");
    let mut records = Vec::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        let mut value = value.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if labelled {
            value = value["log"].take();
        }
        let list = match &mut value {
            Value::Array(items) => Some(std::mem::take(items)),
            Value::Object(map) => format.envelopes().iter().find_map(|key| match map.get_mut(*key) {
                Some(Value::Array(items)) => Some(std::mem::take(items)),
                _ => None,
            }),
            _ => None,
        };
        match list {
            Some(items) => records.extend(items),
            None => records.push(value),
        }
    }
    records
}

/// What became of the records.
#[derive(Default)]
pub struct Tally {
    pub records: usize,
    pub control: usize,
    pub events: usize,
    pub identities: BTreeSet<String>,
    pub credentials: BTreeSet<String>,
    pub activities: BTreeMap<&'static str, usize>,
    pub rejects: BTreeMap<(&'static str, String), usize>,
}

impl Tally {
    /// Parses one record and counts it.
    pub fn parse(&mut self, parser: &mut dyn Parser, record: &[u8]) -> Result<Vec<Draft>, Reject> {
        let mut out = Vec::new();
        self.records += 1;
        match parser.record(record, self.records as u64, &mut out) {
            Ok(disposition) => {
                assert_eq!(disposition == Disposition::Yielded, !out.is_empty());
                self.control += usize::from(disposition == Disposition::Control);
                for draft in &out {
                    let event = &draft.event;
                    self.events += 1;
                    assert!(!event.identity.is_empty() && event.time.0 > 0 && event.raw.is_some());
                    self.identities.insert(event.identity.to_string());
                    self.credentials.extend(event.credential.as_ref().map(ToString::to_string));
                    *self.activities.entry(event.activity.as_str()).or_default() += 1;
                }
                Ok(out)
            }
            Err(reject) => {
                assert!(out.is_empty());
                *self.rejects.entry((reject.reason.as_str(), reject.message.chars().take(90).collect())).or_default() += 1;
                Err(reject)
            }
        }
    }

    /// Prints a line of the table, and the reasons for dead letters.
    pub fn print(&self, name: &str) {
        let dead: usize = self.rejects.values().sum();
        println!(
            "{name:<44} {:>5} records {:>5} events {:>4} identities {:>4} credentials {:>3} control {:>3} dead letters  {:?}",
            self.records,
            self.events,
            self.identities.len(),
            self.credentials.len(),
            self.control,
            dead,
            self.activities
        );
        for ((reason, message), count) in &self.rejects {
            println!("    {count} × {reason}: {message}");
        }
    }
}
