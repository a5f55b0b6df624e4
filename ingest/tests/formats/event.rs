//! Fixtures into events, and events into snapshots.

use std::path::Path;

use keytrail_ingest::format::{Context, Disposition, Draft, Format, Reject, guarded};
use keytrail_ingest::redact::Redactor;
use keytrail_schemas::Event;

pub fn context() -> Context {
    Context { redactor: Redactor::new(&[7; 32]), level: keytrail_ingest::redact::Level::Safe, cluster: "test".into(), depth_max: 128, file_name: String::new() }
}

/// The lines of a fixture.
pub fn fixture(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).lines().map(str::to_owned).collect()
}

/// The drafts of records that are all understood.
pub fn drafts(format: &dyn Format, records: &[String]) -> Vec<Draft> {
    let mut parser = guarded(format, &context());
    let mut out = Vec::new();
    for (record, line) in records.iter().zip(1..) {
        let _ = parser.record(record.as_bytes(), line, &mut out).unwrap_or_else(|reject| panic!("line {line}: {reject}\n{record}"));
    }
    parser.finish(&mut out);
    out
}

/// Why a record is refused.
pub fn refused(format: &dyn Format, record: &str) -> Reject {
    let mut out = Vec::new();
    let outcome = guarded(format, &context()).record(record.as_bytes(), 1, &mut out);
    assert!(out.is_empty());
    match outcome {
        Ok(Disposition::Partly(mut rejected)) => rejected.remove(0).reject,
        outcome => outcome.expect_err(record),
    }
}

/// What a snapshot shows of drafts: a line for where each came from, and its fields that are not empty, but for `raw`.
pub fn shown(drafts: &[Draft]) -> String {
    let mut text = String::new();
    for draft in drafts {
        text.push_str(&format!("# line {} part {} {}\n", draft.line, draft.part, draft.provider_id.as_deref().unwrap_or("-")));
        let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(Event { raw: None, ..(*draft.event).clone() }) else { unreachable!() };
        for column in <Event as keytrail_schemas::Table>::COLUMNS {
            let hidden = ["event_id", "ingested_at", "source", "raw_hash", "log_partition", "log_offset", "format", "identity_provider"];
            if let Some(value) = fields.get(column.name).filter(|v| !v.is_null() && **v != "" && !hidden.contains(&column.name)) {
                text.push_str(&format!("{}: {}\n", column.name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            }
        }
        text.push('\n');
    }
    text
}
