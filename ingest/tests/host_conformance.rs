//! What Elastic's integrations make of the same records (`*-expected.json`), field by field: time, outcome, user, source address. Each disagreement is judged: those that stand in `JUDGED`
//! are ours to keep, any other is counted. The files are not part of the project; where their folder is missing, the test says that it is skipped.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::path::{Path, PathBuf};

use keytrail_ingest::format::{Context, Draft, Format, auto, guarded};
use keytrail_ingest::redact::{Level, Redactor};
use keytrail_schemas::{Micros, Outcome};
use serde_json::Value;

fn folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not here", path.display());
    None
}

fn format(name: &str) -> &'static dyn Format {
    auto::by_name(name).unwrap()
}

/// Each record by itself, with what is expected of it.
fn read(format: &dyn Format, records: &[String], written: &str) -> Vec<Result<Vec<Draft>, String>> {
    let context = Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "test".into(), depth_max: 128, file_name: String::new() };
    let mut parser = guarded(format, &context);
    parser.dated(Micros::parse_rfc3339(written).unwrap());
    let one = |(record, line): (&String, u64)| {
        let mut out = Vec::new();
        parser.record(record.as_bytes(), line, &mut out).map(|_| out).map_err(|reject| reject.message)
    };
    records.iter().zip(1..).map(one).collect()
}

#[derive(Default)]
struct Report {
    records: usize,
    read: usize,
    nothing: usize,
    refused: usize,
    agree: usize,
    judged: usize,
    disagree: Vec<String>,
}

impl Report {
    fn field(&mut self, of: &str, name: &str, ours: Option<String>, theirs: Option<String>, judged: bool) {
        let Some(theirs) = theirs else { return };
        if ours.as_deref().is_some_and(|ours| ours.eq_ignore_ascii_case(&theirs)) {
            self.agree += 1;
        } else if judged {
            self.judged += 1;
        } else {
            self.disagree.push(format!("{of} {name}: ours {}, theirs {theirs}", ours.as_deref().unwrap_or("-")));
        }
    }

    fn event(&mut self, of: &str, draft: &Draft, expected: &Value, judged: &[&str]) {
        let event = &draft.event;
        let is = |name: &str| judged.contains(&name);
        let time = expected["@timestamp"].as_str().and_then(|time| Micros::parse_rfc3339(time).ok());
        // Elastic keeps milliseconds.
        let ours = Micros(event.time.0 / 1_000 * 1_000);
        self.field(of, "time", Some(ours.to_rfc3339()), time.map(Micros::to_rfc3339), is("time"));
        let outcome = match event.outcome {
            Outcome::Denied => "failure",
            other => other.as_str(),
        };
        self.field(of, "outcome", Some(outcome.to_owned()), expected["event"]["outcome"].as_str().map(str::to_owned), is("outcome"));
        let user = event.identity.rsplit_once('/').map(|(_, name)| name.to_owned());
        self.field(of, "user", user, expected["user"]["name"].as_str().map(|name| name.split('@').next().unwrap().to_owned()), is("user"));
        self.field(of, "source.ip", event.source_ip.as_deref().map(str::to_owned), expected["source"]["ip"].as_str().map(str::to_owned), is("source.ip"));
    }

    /// `torn` records are cut in the files themselves, and rightly refused.
    fn end(self, name: &str, torn: usize) {
        let fields = self.agree + self.judged + self.disagree.len();
        println!(
            "{name}: {} records, {} read, {} say nothing here, {} refused; {fields} fields: {} agree, {} judged ours, {} disagree",
            self.records,
            self.read,
            self.nothing,
            self.refused,
            self.agree,
            self.judged,
            self.disagree.len()
        );
        self.disagree.iter().for_each(|line| println!("    {line}"));
        assert!(self.disagree.len() * 50 <= fields, "{name}: less than 98 % of the fields agree");
        assert!(self.judged * 10 <= fields, "{name}: more than a tenth is a matter of judgement");
        assert_eq!(self.refused, torn, "{name}");
    }
}

/// Records are read in their own order: `test-auth.log` and its like have no year, so that they are told the one that Elastic's test assumed.
#[test]
fn sshd_agrees_with_elastic() {
    let Some(folder) = folder("sshd/elastic") else { return };
    let mut report = Report::default();
    for name in ["test-auth.log", "test-auth-rhel79.log", "test-secure-rhel7.log"] {
        let lines: Vec<String> = std::fs::read_to_string(folder.join(name)).unwrap().lines().map(str::to_owned).collect();
        let expected: Value = serde_json::from_slice(&std::fs::read(folder.join(format!("{name}-expected.json"))).unwrap()).unwrap();
        let expected = expected["expected"].as_array().unwrap();
        assert_eq!(lines.len(), expected.len());
        for ((line, answer), expected) in lines.iter().zip(read(format("sshd"), &lines, "2023-12-31T00:00:00Z")).zip(expected) {
            report.records += 1;
            let named = expected["user"]["name"].is_string() && expected["event"]["action"].is_string();
            match answer {
                Ok(drafts) if drafts.is_empty() => {
                    report.nothing += 1;
                    assert!(!named, "a login that we do not read: {line}");
                }
                Ok(drafts) => {
                    report.read += 1;
                    report.event(&format!("{name} {:.40}", line), &drafts[0], expected, &[]);
                }
                Err(_) => report.refused += 1,
            }
        }
    }
    report.end("sshd", 0);
}

#[test]
fn auditd_agrees_with_elastic() {
    let Some(folder) = folder("auditd/elastic") else { return };
    let mut report = Report::default();
    for name in ["test-auditd-raw.log", "test-truncated-execve.log"] {
        let lines: Vec<String> = std::fs::read_to_string(folder.join(name)).unwrap().lines().map(str::to_owned).collect();
        let expected: Value = serde_json::from_slice(&std::fs::read(folder.join(format!("{name}-expected.json"))).unwrap()).unwrap();
        let expected = expected["expected"].as_array().unwrap();
        assert_eq!(lines.len(), expected.len());
        for ((line, answer), expected) in lines.iter().zip(read(format("auditd"), &lines, "2026-01-01T00:00:00Z")).zip(expected) {
            report.records += 1;
            match answer {
                Ok(drafts) if drafts.is_empty() => report.nothing += 1,
                Ok(drafts) => {
                    report.read += 1;
                    report.event(&format!("{name} {line:.40}"), &drafts[0], expected, &[]);
                }
                Err(why) => {
                    println!("{name}: {why}");
                    report.refused += 1;
                }
            }
        }
    }
    report.end("auditd", 1);
}

/// Event by event and field, where we see it otherwise and why.
const JUDGED: &[(&str, &[&str], &str)] = &[];

#[test]
fn windows_security_agrees_with_elastic() {
    let Some(folder) = folder("windows_security/elastic") else { return };
    let mut report = Report::default();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| !path.to_string_lossy().contains("expected")).collect();
    files.sort();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let own: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let expected: Value = serde_json::from_slice(&std::fs::read(folder.join(format!("{name}-expected.json"))).unwrap()).unwrap();
        let records: Vec<String> = own["events"].as_array().unwrap().iter().map(Value::to_string).collect();
        let expected = expected["expected"].as_array().unwrap();
        assert_eq!(records.len(), expected.len(), "{name}");
        for (answer, expected) in read(format("windows_security"), &records, "2026-01-01T00:00:00Z").into_iter().zip(expected) {
            report.records += 1;
            let code = expected["event"]["code"].as_str().unwrap_or_default();
            let judged = JUDGED.iter().find(|(known, ..)| *known == code).map_or(&[][..], |(_, fields, _)| fields);
            match answer {
                Ok(drafts) if drafts.is_empty() => report.nothing += 1,
                Ok(drafts) => {
                    report.read += 1;
                    report.event(&format!("{name} {code}"), &drafts[0], expected, judged);
                }
                Err(why) => {
                    println!("{name}: {why}");
                    report.refused += 1;
                }
            }
        }
    }
    report.end("windows_security", 0);
}
