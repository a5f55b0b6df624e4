//! What the formats of clouds, identity providers and forges tell of their fixtures: one line an event, so that a change of meaning shows.

use std::fmt::Write;
use std::path::Path;

use keytrail_ingest::format::{auto, guarded};
use keytrail_schemas::{Event, Micros};

use crate::event::{context, fixture};

/// The formats with a fixture of this kind.
const FORMATS: &[&str] = &[
    "gcp_audit",
    "entra_signin",
    "entra_audit",
    "azure_activity",
    "entra_identity_protection",
    "m365_audit",
    "okta_system",
    "github_audit",
    "auth0",
    "keycloak_events",
    "teleport_audit",
    "gitlab_audit",
    "ping_one",
    "snowflake",
    "cyberark",
    "ocsf",
    "opcua_audit",
];

fn events(format: &str) -> Vec<Event> {
    let mut parser = guarded(auto::by_name(format).unwrap(), &context());
    let mut out = Vec::new();
    for (record, line) in fixture(&format!("{format}/events.ndjson")).iter().zip(1..) {
        let _ = parser.record(record.as_bytes(), line, &mut out).unwrap_or_else(|reject| panic!("{format}:{line}: {reject}"));
    }
    out.into_iter().map(|draft| *draft.event).collect()
}

/// An event in a line: who did what, with which credential, to what, from where.
fn line(event: &Event) -> String {
    let mut line = format!(
        "{} {} {} {} · {} ({})",
        event.time,
        event.activity,
        event.outcome,
        event.action.as_deref().unwrap_or("-"),
        event.identity,
        event.identity_kind
    );
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = write!(line, "\n    {name} {value}");
        }
    };
    let life = [event.credential_issued_at.map(Micros::to_rfc3339), event.credential_expires_at.map(Micros::to_rfc3339)]
        .map(|time| time.unwrap_or_else(|| "?".to_owned()));
    let is_dated = event.credential_issued_at.is_some() || event.credential_expires_at.is_some();
    let credential = event.credential.as_deref().or(is_dated.then_some("?")).map(|id| format!("{id} ({}) {} to {}", event.credential_kind, life[0], life[1]));
    add("credential", credential.as_deref());
    add("parent", event.credential_parent.as_deref());
    add("destination", event.destination.as_deref());
    add("from", event.source_ip.as_deref());
    add("by", event.auth_method.as_deref());
    add("because", event.reason.as_deref());
    line
}

#[test]
fn what_is_told_is_what_happened() {
    for format in FORMATS {
        let told: Vec<_> = events(format).iter().map(line).collect();
        insta::with_settings!({ snapshot_suffix => *format, omit_expression => true }, { insta::assert_snapshot!(told.join("\n")) });
    }
}

/// Whatever auto does is told by the first record of each fixture.
#[test]
fn auto_names_each_format_from_its_first_record_and_from_the_whole() {
    for format in FORMATS {
        let lines = fixture(&format!("{format}/events.ndjson"));
        for sample in [lines[0].clone(), lines.join("\n")] {
            let found = auto::detect(sample.as_bytes()).map(|format| format.name()).map_err(|reject| reject.message);
            assert_eq!(found, Ok(*format), "{sample}");
        }
        // In the envelopes that carriers put around a record.
        if lines[0].starts_with('{') {
            let record: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
            let azure = serde_json::json!({ "records": [record] }).to_string();
            let cloudwatch =
                serde_json::json!({"messageType": "DATA_MESSAGE", "logGroup": "g", "logEvents": [{"id": "1", "timestamp": 1, "message": lines[0]}]})
                    .to_string();
            if *format != "keycloak_events" && *format != "cyberark" {
                for sample in [azure, cloudwatch] {
                    assert_eq!(auto::detect(sample.as_bytes()).map(|format| format.name()).map_err(|reject| reject.message), Ok(*format), "{sample}");
                }
            }
        }
    }
}

/// A record that is cut, empty, of another kind or without a time is refused with a reason, and never panics.
#[test]
fn what_is_no_record_is_refused() {
    for format in FORMATS {
        let lines = fixture(&format!("{format}/events.ndjson"));
        let mut out = Vec::new();
        for record in lines.iter().filter(|line| line.starts_with('{')) {
            let mut parser = guarded(auto::by_name(format).unwrap(), &context());
            for cut in 1..record.len() {
                let _ = parser.record(&record.as_bytes()[..cut], 1, &mut out);
                out.clear();
            }
            assert!(parser.record(&record.as_bytes()[..record.len() / 2], 1, &mut out).is_err(), "{format}: {record}");
        }
        let mut parser = guarded(auto::by_name(format).unwrap(), &context());
        for strange in ["{}", "[]", "{\"a\":1}", "{\"message\":\"{}\"}"] {
            let read = parser.record(strange.as_bytes(), 1, &mut out);
            assert!(
                out.is_empty() && (read.is_err() || read.is_ok_and(|disposition| disposition == keytrail_ingest::format::Disposition::Control)),
                "{format}: {strange}"
            );
        }
    }
}

/// Every list of places exists, says where it comes from, and no two formats share a name.
#[test]
fn every_format_is_documented_with_its_places() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = std::fs::read_to_string(root.join("../docs/formats.md")).unwrap();
    for format in auto::all() {
        let places = std::fs::read_to_string(root.join(format!("data/redact/{}.toml", format.name()))).unwrap();
        assert!(places.contains("Source:"), "{}: where its places are documented", format.name());
        assert!(documented.contains(&format!("\n## `{}`", format.name())), "docs/formats.md has no section for {}", format.name());
    }
    let sections = documented.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
    for section in sections {
        assert!(auto::by_name(section).is_ok(), "docs/formats.md describes {section}, which is not read");
    }
}
