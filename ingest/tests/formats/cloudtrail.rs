//! `CloudTrail`.

use keytrail_ingest::format::{Disposition, cloudtrail::CloudTrail, guarded};
use keytrail_schemas::Reason;
use serde_json::{Value, json};

use super::event::{context, drafts, fixture, refused, shown};

#[test]
fn sessions_are_issued_to_whom_they_belong() {
    let drafts = drafts(&CloudTrail, &fixture("cloudtrail/sessions.ndjson"));
    assert!(drafts.iter().all(|d| !d.event.raw.as_deref().unwrap().contains("IQoJ")));
    insta::assert_snapshot!(shown(&drafts));
}

#[test]
fn keys_and_passwords_live_and_die() {
    let drafts = drafts(&CloudTrail, &fixture("cloudtrail/keys.ndjson"));
    assert!(drafts.iter().all(|d| !d.event.raw.as_deref().unwrap().contains("hunter2")));
    insta::assert_snapshot!(shown(&drafts));
}

#[test]
fn uses_touch_one_thing_each() {
    let drafts = drafts(&CloudTrail, &fixture("cloudtrail/uses.ndjson"));
    assert!(drafts.iter().all(|d| d.event.destination.is_some()));
    insta::assert_snapshot!(shown(&drafts));
}

#[test]
fn every_envelope_gives_the_same_event() {
    let inner = fixture("cloudtrail/uses.ndjson").remove(0);
    let value: Value = serde_json::from_str(&inner).unwrap();
    let plain = drafts(&CloudTrail, std::slice::from_ref(&inner)).remove(0);
    for (name, envelope) in [
        ("Records", json!({"Records": [value]})),
        ("array", json!([value])),
        ("EventBridge", json!({"version": "0", "id": "x", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "account": "1", "detail": value})),
        ("CloudWatch Logs", json!({"messageType": "DATA_MESSAGE", "logGroup": "trail", "logEvents": [{"id": "1", "timestamp": 1, "message": inner}]})),
        ("a CloudWatch Logs event", json!({"id": "1", "timestamp": 1, "message": inner})),
        ("SNS", json!({"Type": "Notification", "MessageId": "m", "Message": inner})),
        ("SNS in SQS", json!({"messageId": "m", "body": json!({"Type": "Notification", "Message": inner}).to_string()})),
        ("LookupEvents", json!({"Events": [{"EventId": "x", "CloudTrailEvent": inner}]})),
    ] {
        let found = drafts(&CloudTrail, &[envelope.to_string()]);
        assert_eq!(found.len(), 1, "{name}");
        let event = keytrail_schemas::Event { raw: plain.event.raw.clone(), ..(*found[0].event).clone() };
        assert_eq!((event, &found[0].provider_id), ((*plain.event).clone(), &plain.provider_id), "{name}");
    }
}

#[test]
fn athena_writes_lower_case_and_strings() {
    let value: Value = serde_json::from_str(&fixture("cloudtrail/keys.ndjson")[0]).unwrap();
    let plain = drafts(&CloudTrail, &[value.to_string()]);
    let mut row = serde_json::Map::new();
    for (key, value) in value.as_object().unwrap() {
        let lowered = match key.as_str() {
            "requestParameters" | "responseElements" => value.to_string().into(),
            "userIdentity" => value.as_object().unwrap().iter().map(|(k, v)| (k.to_lowercase(), v.clone())).collect::<serde_json::Map<_, _>>().into(),
            "eventTime" => value.as_str().unwrap().replace('T', " ").trim_end_matches('Z').into(),
            _ => value.clone(),
        };
        row.insert(key.to_lowercase(), lowered);
    }
    let found = drafts(&CloudTrail, &[Value::Object(row).to_string()]);
    assert_eq!(shown(&found), shown(&plain));
}

#[test]
fn digests_insights_and_control_messages_hold_no_event() {
    let mut out = Vec::new();
    for record in [
        r#"{"awsAccountId":"1","digestStartTime":"2026-01-01T00:00:00Z","digestEndTime":"2026-01-01T01:00:00Z","digestS3Bucket":"b","logFiles":[{"s3Object":"o"}]}"#,
        r#"{"eventVersion":"1.07","eventTime":"2026-01-01T00:00:00Z","eventType":"AwsCloudTrailInsight","eventCategory":"Insight","insightDetails":{"state":"Start"}}"#,
        r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination"}]}"#,
        r#"{"Records":[]}"#,
    ] {
        assert_eq!(guarded(&CloudTrail, &context()).record(record.as_bytes(), 1, &mut out), Ok(Disposition::Control), "{record}");
    }
    assert!(out.is_empty());
}

#[test]
fn what_cannot_be_placed_or_attributed_is_refused() {
    let event =
        |time: Value, user: Value| json!({"eventTime": time, "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "userIdentity": user}).to_string();
    let someone = json!({"type": "Root", "accountId": "1"});
    for (record, reason, field) in [
        (event(Value::Null, someone.clone()), Reason::NoTime, Some("eventTime")),
        (event("30000-01-01T00:00:00Z".into(), someone.clone()), Reason::NoTime, Some("eventTime")),
        (event(7.into(), someone), Reason::NoTime, Some("eventTime")),
        (event("2026-01-01T00:00:00Z".into(), json!({})), Reason::NoIdentity, Some("userIdentity")),
        (event("2026-01-01T00:00:00Z".into(), Value::Null), Reason::NoIdentity, Some("userIdentity")),
        (
            r#"{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-01-01T00:00:00Z","s3":{}}"#.to_owned(),
            Reason::WrongKind,
            None,
        ),
        (r#"{"hello":"world"}"#.to_owned(), Reason::WrongKind, None),
        ("\"text\"".to_owned(), Reason::Malformed, None),
        (r#"{"eventTime":"2026-01-01T00:0"#.to_owned(), Reason::Truncated, None),
    ] {
        let reject = refused(&CloudTrail, &record);
        assert_eq!((reject.reason, reject.field.as_deref()), (reason, field), "{record}: {reject}");
    }
}
