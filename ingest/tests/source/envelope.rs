//! Envelopes that hold many records: one that cannot be understood costs itself alone.

use keytrail_ingest::format::auto;
use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options};
use keytrail_schemas::Reason;

use crate::tiny::{now, read_bytes};

fn options(format: Option<&str>) -> Options {
    let format = format.map_or(Choice::Auto, |name| Choice::Named(auto::by_name(name).unwrap()));
    Options::new("test", format, Redactor::new(&[7; 32]), now)
}

fn audit(n: usize) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"id-{n}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/prod/secrets/db","verb":"get","user":{{"username":"system:serviceaccount:prod:api","groups":["system:serviceaccounts"]}},"sourceIPs":["10.1.1.1"],"objectRef":{{"resource":"secrets","namespace":"prod","name":"db","apiVersion":"v1"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-02T03:04:07.000000Z","stageTimestamp":"2026-01-02T03:04:07.100000Z"}}"#
    )
}

fn trail(n: usize) -> String {
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::123456789012:user/ci","accountId":"123456789012","accessKeyId":"AKIAIOSFODNN7EXAMPLE","userName":"ci"}},"eventTime":"2026-01-02T03:04:05Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"198.51.100.7","requestParameters":{{"bucketName":"b","key":"k"}},"eventID":"id-{n}","recipientAccountId":"123456789012"}}"#
    )
}

fn row(n: usize) -> String {
    format!(r#"{{"ts":1381967744.{n:06},"uid":"C{n}","id.orig_h":"10.0.0.57","id.orig_p":2578,"id.resp_h":"10.0.0.3","id.resp_p":502,"func":"READ_COILS"}}"#)
}

fn cloudwatch(group: &str, messages: &[String]) -> String {
    let events: Vec<_> = messages.iter().zip(0..).map(|(message, id)| serde_json::json!({"id": id.to_string(), "timestamp": 1, "message": message})).collect();
    serde_json::json!({"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": group, "logStream": "s", "logEvents": events}).to_string()
}

/// Fifty records, the eighteenth cut in its middle.
fn fifty(record: fn(usize) -> String) -> Vec<String> {
    let mut records: Vec<String> = (0..50).map(record).collect();
    records[17].truncate(100);
    records
}

#[test]
fn of_fifty_records_in_an_envelope_one_is_cut() {
    let eks = cloudwatch("/aws/eks/prod/cluster", &fifty(audit));
    // Sent to SNS, it is text within an object.
    let sns = serde_json::json!({"Type": "Notification", "Message": cloudwatch("trail", &fifty(trail))}).to_string();
    for (format, envelope, number) in [("k8s_audit", eks, 18), ("cloudtrail", sns, 18)] {
        for chosen in [Some(format), None] {
            let read = read_bytes("a.json", format!("{envelope}\n").as_bytes(), options(chosen));
            assert_eq!((read.events.len(), read.letters.len()), (49, 1), "{format} {chosen:?}: {:?}", read.letters);
            assert!(read.events.iter().all(|event| event.format == format));
            let letter = &read.letters[0];
            assert_eq!((letter.reason, letter.line), (Reason::Truncated, 1), "{letter:?}");
            assert!(letter.raw.len() < 300, "its own bytes and not the envelope's: {letter:?}");
            assert!(letter.message.contains(&format!("record {number} of 50")), "{}", letter.message);
        }
    }
    let read = read_bytes("a.json", cloudwatch("/aws/eks/prod/cluster", &fifty(audit)).as_bytes(), options(None));
    assert!(read.events.iter().all(|event| event.identity_account == "prod"), "the envelope names the cluster");
}

#[test]
fn of_an_array_of_rows_one_is_not_read() {
    let mut rows: Vec<String> = (0..50).map(row).collect();
    rows[17] = r#"{"uid":"C17","id.orig_h":"10.0.0.57","id.resp_h":"10.0.0.3","id.resp_p":502,"func":"READ_COILS"}"#.to_owned();
    let read = read_bytes("modbus.log", format!("[{}]\n", rows.join(",")).as_bytes(), options(Some("zeek")));
    assert_eq!((read.events.len(), read.letters.len()), (49, 1), "{:?}", read.letters);
    assert_eq!((read.letters[0].reason, read.letters[0].field.as_deref()), (Reason::NoTime, Some("ts")));
}

#[test]
fn equal_records_that_are_rejected_are_dead_letters_of_their_own() {
    let mut records = fifty(audit);
    records[20] = records[17].clone();
    let read = read_bytes("a.json", cloudwatch("g", &records).as_bytes(), options(Some("k8s_audit")));
    assert_eq!((read.events.len(), read.letters.len()), (48, 2));
    assert_ne!(read.letters[0].dead_letter_id, read.letters[1].dead_letter_id);
}

#[test]
fn an_envelope_of_another_format_is_that_formats_as_a_whole() {
    // The file is CloudTrail's; the second line carries Kubernetes events, and only the envelope names their cluster.
    let sns = serde_json::json!({"Type": "Notification", "Message": cloudwatch("/aws/eks/prod/cluster", &(0..5).map(audit).collect::<Vec<_>>())});
    let text = format!("{}\n{sns}\n", trail(1));
    let read = read_bytes("a.json", text.as_bytes(), options(None));
    assert_eq!((read.events.len(), read.letters.len()), (6, 0), "{:?}", read.letters);
    assert_eq!(read.events.iter().filter(|event| event.format == "k8s_audit" && event.identity_account == "prod").count(), 5);
}
