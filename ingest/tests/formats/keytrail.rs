//! keytrail's own events.

use keytrail_ingest::format::{guarded, keytrail::Keytrail};
use keytrail_schemas::{Event, Reason};

use super::event::{context, drafts, fixture, refused, shown};

#[test]
fn events_are_taken_as_they_are_and_completed() {
    let drafts = drafts(&Keytrail, &fixture("keytrail/events.ndjson"));
    assert_eq!(drafts[2].event.event_id.to_hex(), "000102030405060708090a0b0c0d0e0f");
    assert!(!drafts[2].event.raw.as_deref().unwrap().contains("ghp_"));
    insta::assert_snapshot!(shown(&drafts));
}

#[test]
fn what_is_exported_can_be_read_again() {
    let first = drafts(&Keytrail, &fixture("keytrail/events.ndjson"));
    let exported: Vec<String> = first.iter().map(|d| serde_json::to_string(&d.event).unwrap()).collect();
    for (again, first) in drafts(&Keytrail, &exported).iter().zip(&first) {
        assert_eq!(Event { raw: None, ..(*again.event).clone() }, Event { raw: None, ..(*first.event).clone() });
    }
}

#[test]
fn errors_name_the_field_and_what_was_meant() {
    for (record, reason, field, message) in [
        (r#"{"time":"2026-01-01T00:00:00Z","identity":"a","sourceip":"10.0.0.1"}"#, Reason::Malformed, "sourceip", "did you mean source_ip?"),
        (r#"{"time":"2026-01-01T00:00:00Z","identity":"a","colour":"red"}"#, Reason::Malformed, "colour", "unknown field"),
        (r#"{"time":"2026-01-01T00:00:00Z","identity":"a","activity":"using"}"#, Reason::Malformed, "activity", "authenticate, use, issue"),
        (r#"{"time":"2026-01-01T00:00:00Z","identity":"a","outcome":7}"#, Reason::Malformed, "outcome", "must be text"),
        (r#"{"time":"2026-01-01T00:00:00Z","identity":"a","source_asn":"x"}"#, Reason::Malformed, "source_asn", "whole number"),
        (r#"{"time":"2026-01-01T00:00:00Z","identity":"a","event_id":"12"}"#, Reason::Malformed, "event_id", "32 hex digits"),
        (r#"{"time":"yesterday","identity":"a"}"#, Reason::NoTime, "time", "no RFC 3339 time"),
        (r#"{"time":1767225600,"identity":"a"}"#, Reason::NoTime, "time", "RFC 3339"),
        (r#"{"identity":"a"}"#, Reason::NoTime, "time", "no time"),
        (r#"{"time":"2026-01-01T00:00:00Z"}"#, Reason::NoIdentity, "identity", "no identity"),
        (r#"{"time":"2026-01-01T00:00:00Z","identity":""}"#, Reason::NoIdentity, "identity", "no identity"),
        (r#"{"time":"2026-01-01T00:00:00Z","identity":"a","credential_issued_at":"soon"}"#, Reason::Malformed, "credential_issued_at", "RFC 3339"),
    ] {
        let reject = refused(&Keytrail, record);
        assert_eq!((reject.reason, reject.field.as_deref()), (reason, Some(field)), "{record}: {reject}");
        assert!(reject.message.contains(message), "{record}: {reject}");
    }
    let mut out = Vec::new();
    assert!(guarded(&Keytrail, &context()).record(b"[]", 1, &mut out).is_err());
}
