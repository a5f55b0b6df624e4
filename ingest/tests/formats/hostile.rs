//! Bytes that no provider wrote: no format panics, and what it yields is whole.

use keytrail_ingest::format::{Framing, auto, guarded};
use keytrail_schemas::Reason;
use proptest::prelude::*;

use super::event::{context, fixture};

const FIXTURES: &[&str] = &[
    "cloudtrail/sessions.ndjson",
    "cloudtrail/keys.ndjson",
    "cloudtrail/uses.ndjson",
    "k8s_audit/tokens.ndjson",
    "k8s_audit/uses.ndjson",
    "k8s_audit/gke.ndjson",
    "k8s_audit/envelopes.ndjson",
    "keytrail/events.ndjson",
    "otlp_genai/collector.ndjson",
    "windows_security/events.ndjson",
    "spire/server.ndjson",
    "gcp_audit/events.ndjson",
    "entra_signin/events.ndjson",
    "entra_audit/events.ndjson",
    "entra_identity_protection/events.ndjson",
    "azure_activity/events.ndjson",
    "m365_audit/events.ndjson",
    "okta_system/events.ndjson",
    "github_audit/events.ndjson",
    "auth0/events.ndjson",
    "keycloak_events/events.ndjson",
    "teleport_audit/events.ndjson",
    "gitlab_audit/events.ndjson",
    "ping_one/events.ndjson",
    "snowflake/events.ndjson",
    "cyberark/events.ndjson",
    "ocsf/events.ndjson",
];

fn survives(record: &[u8]) {
    for format in auto::all() {
        let mut out = Vec::new();
        let _ = format.sniff(record);
        let understood = guarded(*format, &context()).record(record, 1, &mut out);
        if understood.is_ok() {
            assert!(out.iter().all(|d| !d.event.identity.is_empty() && d.event.raw.is_some() && d.event.format == format.name()));
        }
    }
    let _ = auto::detect(record);
}

/// Replaces, in a fixture's record, the value at one place by another.
fn mutate(record: &str, place: usize, with: serde_json::Value) -> String {
    // A line of text has no places.
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(record) else { return record.to_owned() };
    let mut pointers = Vec::new();
    let mut open = vec![(String::new(), &value)];
    while let Some((pointer, value)) = open.pop() {
        match value {
            serde_json::Value::Object(map) => open.extend(map.iter().map(|(k, v)| (format!("{pointer}/{}", k.replace('~', "~0").replace('/', "~1")), v))),
            serde_json::Value::Array(items) => open.extend(items.iter().enumerate().map(|(i, v)| (format!("{pointer}/{i}"), v))),
            _ => {}
        }
        pointers.push(pointer);
    }
    let pointer = &pointers[place % pointers.len()];
    *value.pointer_mut(pointer).unwrap() = with;
    value.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn changed_records_do_not_panic(file in 0..FIXTURES.len(), line in any::<prop::sample::Index>(), place in any::<usize>(), with in prop_oneof![
        Just(serde_json::Value::Null), any::<i64>().prop_map(Into::into), any::<f64>().prop_map(|f| serde_json::json!(f)), any::<bool>().prop_map(Into::into), ".{0,12}".prop_map(Into::into),
        Just(serde_json::json!({})), Just(serde_json::json!([])), Just(serde_json::json!([[{}]])), Just("arn:aws:::".into()), Just("arn:aws:iam::1:".into()), Just("é:é/é".into()), Just("{\"".into()),
    ]) {
        let records = fixture(FIXTURES[file]);
        survives(mutate(&records[line.index(records.len())], place, with).as_bytes());
    }

    #[test]
    fn cut_records_do_not_panic(file in 0..FIXTURES.len(), line in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let records = fixture(FIXTURES[file]);
        let mut bytes = records[line.index(records.len())].clone().into_bytes();
        let at = at.index(bytes.len());
        survives(&bytes[..at]);
        bytes[at] = byte;
        survives(&bytes);
    }
}

#[test]
fn nesting_and_size_end_in_a_reason() {
    let deep = format!("{}{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let envelopes = (0..9).fold(fixture("cloudtrail/uses.ndjson").remove(0), |inner, _| serde_json::json!({"Message": inner}).to_string());
    let long = format!(
        r#"{{"eventSource":"{}","eventName":"x","eventTime":"2026-01-01T00:00:00Z","userIdentity":{{"type":"Root","accountId":"1"}}}}"#,
        "x".repeat(8 << 20)
    );
    // A format of lines answers in its own words.
    for format in auto::all().iter().filter(|format| format.framing() == Framing::Json) {
        let mut out = Vec::new();
        let reject = guarded(*format, &context()).record(deep.as_bytes(), 1, &mut out).unwrap_err();
        assert_eq!(reject.reason, Reason::TooDeep);
        let _ = guarded(*format, &context()).record(long.as_bytes(), 1, &mut out);
    }
    let mut out = Vec::new();
    let reject = guarded(auto::by_name("cloudtrail").unwrap(), &context()).record(envelopes.as_bytes(), 1, &mut out).unwrap_err();
    assert!(reject.message.contains("nested too deep"), "{reject}");
}
