//! SigmaHQ's rules and the real records in ../shared/data, where they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use keytrail_detect::rule::raw::{Given, Program, logsource};
use keytrail_detect::rule::set::{File, Folder, Set};
use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options, Reader};
use keytrail_schemas::{Micros, Severity};
use rsigma_eval::{CompiledDetection, CompiledRule, Event as _, JsonEvent, compile_rule};
use rsigma_parser::SigmaRule;
use serde_json::Value;

/// The formats that are read.
pub const FORMATS: &[&str] = &[
    "cloudtrail",
    "k8s_audit",
    "vault_audit",
    "zeek",
    "keytrail",
    "gcp_audit",
    "entra_signin",
    "entra_audit",
    "azure_activity",
    "entra_identity_protection",
    "m365_audit",
    "okta_system",
    "github_audit",
    "windows_security",
    "sshd",
    "auditd",
];

/// The folder of real data.
pub fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    path.is_dir().then_some(path)
}

/// The corpus, unpacked once for this run.
pub fn unpacked() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(unpack).clone()
}

fn unpack() -> Option<PathBuf> {
    let held = std::fs::read_dir(data()?.join("rules_sigmahq")).ok()?;
    let archive = held.filter_map(|entry| Some(entry.ok()?.path())).find(|path| path.extension().is_some_and(|ending| ending == "gz"))?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sigmahq");
    std::fs::create_dir_all(&folder).ok()?;
    assert!(Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(&folder).status().ok()?.success());
    Some(folder)
}

/// Every file below `folder` with one of these endings, in order.
pub fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = all_files(folder);
    found.retain(|path| endings.iter().any(|ending| path.extension().is_some_and(|e| e == *ending)));
    found
}

/// Every file below `folder`, in order.
pub fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Every rule of the corpus that parses.
pub fn rules(corpus: &Path) -> Vec<SigmaRule> {
    files(corpus, &["yml"]).iter().flat_map(|path| rsigma_parser::parse_sigma_yaml(&std::fs::read_to_string(path).unwrap()).unwrap().rules).collect()
}

/// Every rule that compiles, with the names of the records of its first source.
pub fn compiled(rules: &[SigmaRule]) -> Vec<CompiledRule> {
    let translated = |rule: &SigmaRule| logsource::sources(&rule.logsource).next().map_or_else(|| rule.clone(), |source| source.translated(rule));
    rules.iter().filter_map(|rule| compile_rule(&translated(rule)).ok()).collect()
}

/// Rules compiled together; they are known by their places.
pub fn program(rules: &[CompiledRule]) -> Program {
    let given = rules.iter().enumerate().map(|(number, rule)| Given { number, service: None, rule: rule.clone() });
    Program::new(given, std::iter::empty()).unwrap()
}

/// The corpus as a set.
pub fn set(corpus: &Path) -> Set {
    let file = |path: &PathBuf| File { path: path.strip_prefix(corpus).unwrap().display().to_string(), text: Ok(std::fs::read_to_string(path).unwrap()) };
    let files = files(corpus, &["yml"]).iter().map(file).collect();
    Set { without_builtin: false, folders: vec![Folder { path: "sigmahq".to_owned(), severity_max: Severity::Critical, files }] }
}

/// Every JSON object of every file: records, members of arrays and of `Records`, and what a label stands beside.
pub fn records(data: &Path) -> Vec<(String, String)> {
    let mut records = Vec::new();
    for path in files(data, &["json", "jsonl", "ndjson", "log"]) {
        if path.components().any(|part| ["actions", "ocsf_schema", "rules_sigmahq", "redaction_gitleaks"].iter().any(|name| part.as_os_str() == *name)) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(data).unwrap().display().to_string();
        for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            let Ok(value) = value else { break };
            spread(value, &name, &mut records);
        }
    }
    records
}

/// Records as they are read from every file, at most so many of each format: the format, and what a detector is given of the original.
#[allow(dead_code, reason = "the benchmark shares this file")]
pub fn read(data: &Path, of_one_format_max: usize) -> Vec<(String, String)> {
    let folders = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let skipped = ["actions", "ocsf_schema", "rules_sigmahq", "redaction_gitleaks", "lanl"];
    let mut folders: Vec<String> =
        folders.filter(|path| path.is_dir() && !skipped.iter().any(|name| path.ends_with(name))).map(|path| path.display().to_string()).collect();
    folders.sort();
    let options = Options::new("real", Choice::Auto, Redactor::new(&[7; 32]), || Micros(1));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let events = Reader::open(&folders, options).unwrap().flat_map(|batch| batch.events);
    let records = events.filter_map(|event| Some((event.format.to_string(), event.raw?)));
    let mut kept = |format: &String| {
        let count = counts.entry(format.clone()).or_default();
        *count += 1;
        *count <= of_one_format_max
    };
    records.filter(|(format, _)| kept(format)).collect()
}

fn spread(value: Value, name: &str, records: &mut Vec<(String, String)>) {
    match value {
        Value::Array(members) => members.into_iter().for_each(|member| spread(member, name, records)),
        Value::Object(mut object) => {
            for key in ["Records", "log", "events"] {
                if let Some(inner @ (Value::Array(_) | Value::Object(_))) = object.remove(key) {
                    return spread(inner, name, records);
                }
            }
            records.push((name.to_owned(), Value::Object(object).to_string()));
        }
        _ => {}
    }
}

/// The record with the JSON text of every object or list that the rule names, under the rule's name for it.
pub fn with_texts(rule: &CompiledRule, value: &Value) -> Value {
    let mut texts = value.clone();
    let event = JsonEvent::borrow(value);
    let mut names = Vec::new();
    rule.detections.values().for_each(|detection| fields(detection, &mut names));
    for name in names {
        let Some(held) = event.get_field(&name).map(|held| held.to_json()) else { continue };
        if held.is_object() || held.is_array() {
            texts[&name] = held.to_string().into();
        }
    }
    texts
}

fn fields(detection: &CompiledDetection, names: &mut Vec<String>) {
    match detection {
        CompiledDetection::AllOf(items) => names.extend(items.iter().filter_map(|item| item.field.clone())),
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => parts.iter().for_each(|part| fields(part, names)),
        CompiledDetection::Keywords(_) | CompiledDetection::ArrayMatch { .. } | CompiledDetection::Conditional { .. } => {}
    }
}
