//! Folders of published logs, and the records in their files.

use std::path::{Path, PathBuf};

use keytrail_ingest::format::{Context, Draft, Format, Reject, auto, guarded};
use keytrail_ingest::redact::{Level, Redactor};
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

/// The files under a folder, in order of their paths, without expected documents.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    let mut found: Vec<PathBuf> = files.filter(|path| !path.to_string_lossy().ends_with("-expected.json") && !path.ends_with("sample_event.json")).collect();
    found.sort();
    found
}

/// The records of a file, as text: lines, or the values of a JSON document that spreads over lines; test harnesses' wrapping taken away.
pub fn records(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let name = path.to_string_lossy();
    let value = || serde_json::from_str::<Value>(&text).ok();
    if name.ends_with(".jsonl") {
        return text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).map(|mut record| record["log"].take().to_string()).collect();
    }
    match value() {
        Some(Value::Array(items)) => items.iter().map(Value::to_string).collect(),
        Some(Value::Object(map)) => match map.get("events") {
            Some(Value::Array(items)) if map.len() == 1 => items.iter().map(|item| item.get("json").unwrap_or(item).to_string()).collect(),
            _ => vec![Value::Object(map).to_string()],
        },
        _ if name.ends_with(".ocsf") => {
            serde_json::Deserializer::from_str(&text).into_iter::<Value>().map_while(Result::ok).map(|value| value.to_string()).collect()
        }
        _ => text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect(),
    }
}

pub fn context() -> Context {
    Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "test".into(), depth_max: 128, file_name: String::new() }
}

/// What one record gives, read by the format that `auto` finds for it, else by `own`.
pub fn drafts(own: &'static dyn Format, record: &str) -> (&'static str, Result<Vec<Draft>, Reject>) {
    let format = auto::detect(record.as_bytes()).unwrap_or(own);
    let mut parser = guarded(format, &context());
    let mut out = Vec::new();
    let read = parser.record(record.as_bytes(), 1, &mut out);
    parser.finish(&mut out);
    (format.name(), read.map(|_| out))
}
