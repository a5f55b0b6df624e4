//! Formats told apart by their contents.

use keytrail_ingest::format::auto;
use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options};
use keytrail_schemas::Reason;

use crate::pack::gzip;
use crate::tiny::{now, read_bytes, read_paths};

fn auto() -> Options {
    Options::new("test", Choice::Auto, Redactor::new(&[7; 32]), now)
}

fn cloudtrail(id: &str, time: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::123456789012:user/ci","accountId":"123456789012","accessKeyId":"AKIAIOSFODNN7EXAMPLE","userName":"ci"}},"eventTime":"{time}","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"198.51.100.7","userAgent":"aws-cli","requestParameters":{{"bucketName":"b","key":"k"}},"responseElements":null,"requestID":"r","eventID":"{id}","readOnly":true,"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"123456789012"}}"#
    )
}

const K8S: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"6f2a","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/prod/secrets/db","verb":"get","user":{"username":"system:serviceaccount:prod:api","uid":"u","groups":["system:serviceaccounts"]},"sourceIPs":["10.1.1.1"],"userAgent":"kubectl","objectRef":{"resource":"secrets","namespace":"prod","name":"db","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:07.000000Z","stageTimestamp":"2026-01-02T03:04:07.100000Z"}"#;

#[test]
fn each_file_gets_the_format_that_it_is_of() {
    let dir = tempfile::tempdir().unwrap();
    let ids = ["a1111111-1111-1111-1111-111111111111", "a2222222-1111-1111-1111-111111111111"];
    let envelope = format!("{{\"Records\":[{},{}]}}", cloudtrail(ids[0], "2026-01-02T03:04:05Z"), cloudtrail(ids[1], "2026-01-02T03:04:09Z"));
    std::fs::write(dir.path().join("1.json.gz"), gzip(envelope.as_bytes())).unwrap();
    std::fs::write(dir.path().join("2.log"), format!("{K8S}\n")).unwrap();
    std::fs::write(dir.path().join("3.txt"), "just words\nand more\n").unwrap();
    std::fs::write(dir.path().join("4.json"), "{\"some\":\"thing\"}\n{\"other\":\"thing\"}\n").unwrap();
    let read = read_paths(&[dir.path()], auto());
    let got: Vec<&str> = read.events.iter().map(|event| event.format.as_str()).collect();
    assert_eq!(got, ["cloudtrail", "k8s_audit", "cloudtrail"], "{:?}", read.letters);
    let letters: Vec<(&str, Reason, i64)> = read.letters.iter().map(|letter| (letter.path.rsplit('/').next().unwrap(), letter.reason, letter.line)).collect();
    assert_eq!(letters, [("3.txt", Reason::UnknownFormat, 0), ("4.json", Reason::UnknownFormat, 0)]);
}

#[test]
fn a_spread_document_that_quotes_a_line_format_is_one_dead_letter() {
    let text = "{\n  \"expected\": [\n    {\"original\": \"{\\\"ts\\\":1.5,\\\"id.orig_h\\\":\\\"10.0.0.1\\\"}\"}\n  ]\n}\n";
    let read = read_bytes("a.json", text.as_bytes(), auto());
    assert_eq!((read.events.len(), read.letters.len()), (0, 1), "{:?}", read.letters);
    assert_eq!((read.letters[0].reason, read.letters[0].line), (Reason::UnknownFormat, 0), "{:?}", read.letters);
}

#[test]
fn a_record_that_is_spread_over_lines_is_read() {
    let text = "{\n  \"ts\": 1767323045.5,\n  \"uid\": \"C1\",\n  \"id.orig_h\": \"10.0.0.1\",\n  \"id.orig_p\": 5,\n  \"id.resp_h\": \"10.0.0.2\",\n  \"id.resp_p\": 443,\n  \"version\": \"TLSv12\",\n  \"established\": true,\n  \"server_name\": \"a.example\"\n}\n";
    let read = read_bytes("ssl.log", text.repeat(2).as_bytes(), auto());
    assert_eq!((read.events.len(), read.letters.len()), (2, 0), "{:?}", read.letters);
}

#[test]
fn what_lies_beside_logs_is_said() {
    for (text, what) in [
        ("                                 Apache License\n                           Version 2.0, January 2004\n", "a licence"),
        ("# Samples\n\nWhat they are:\n\n- one\n- two\n", "Markdown"),
        ("---\ntitle: x\nauthor: y\nfiles:\n  - a\n", "YAML"),
        (
            "{\n  \"expected\": [\n    {\"@timestamp\": \"2026-01-01T00:00:00Z\", \"ecs\": {\"version\": \"8\"}, \"event\": {\"original\": \"x\"}}\n  ]\n}\n",
            "Elastic Common Schema",
        ),
    ] {
        let read = read_bytes("beside", text.as_bytes(), auto());
        assert_eq!((read.events.len(), read.letters.len()), (0, 1), "{text}");
        assert!(read.letters[0].message.contains(what), "{}", read.letters[0].message);
    }
}

#[test]
fn a_strange_first_record_does_not_cost_the_file() {
    let text = format!("{{\"hello\":\"world\"}}\n{}\n", cloudtrail("a1111111-1111-1111-1111-111111111111", "2026-01-02T03:04:05Z"));
    let read = read_bytes("a.json", text.as_bytes(), auto());
    assert_eq!((read.events.len(), read.letters.len()), (1, 1), "{:?}", read.letters);
    assert_eq!(read.letters[0].line, 1);
}

#[test]
fn a_record_of_another_format_is_read_where_it_is_known_for_certain() {
    let text = format!("{}\n{K8S}\n{{\"neither\":1}}\n", cloudtrail("a1111111-1111-1111-1111-111111111111", "2026-01-02T03:04:05Z"));
    let read = read_bytes("a.json", text.as_bytes(), auto());
    let got: Vec<&str> = read.events.iter().map(|event| event.format.as_str()).collect();
    assert_eq!(got, ["cloudtrail", "k8s_audit"], "{:?}", read.letters);
    assert_eq!(read.letters.iter().map(|letter| letter.line).collect::<Vec<_>>(), [3]);
    let mut named = auto();
    named.format = Choice::Named(auto::by_name("cloudtrail").unwrap());
    let read = read_bytes("a.json", text.as_bytes(), named);
    assert_eq!((read.events.len(), read.letters.len()), (1, 2), "a format that was named is not left");
}

#[test]
fn nesting_without_end_and_times_beyond_reason_are_dead_letters() {
    let good = cloudtrail("a1111111-1111-1111-1111-111111111111", "2026-01-02T03:04:05Z");
    let deep = format!("{},\"x\":{}{}}}", good.trim_end_matches('}'), "[".repeat(10_000), "]".repeat(10_000));
    let far = cloudtrail("a3333333-1111-1111-1111-111111111111", "30000-01-02T03:04:05Z");
    let latin = [br#"{"eventVersion":"1.08","eventID":"x","eventTime":"2026-01-02T03:04:05Z","userAgent":""#.as_slice(), b"\xe9\xff", b"\"}"].concat();
    let mut text = format!("{good}\n{deep}\n{far}\n").into_bytes();
    text.extend_from_slice(&latin);
    let mut named = auto();
    named.format = Choice::Named(auto::by_name("cloudtrail").unwrap());
    let read = read_bytes("a.json", &text, named);
    assert_eq!(read.events.len(), 1);
    assert_eq!(read.letters.len(), 3);
    assert_eq!(read.letters[0].reason, Reason::TooDeep);
    assert_eq!(read.letters[1].reason, Reason::NoTime);
    assert_eq!(read.letters[2].reason, Reason::NotUtf8);
}
