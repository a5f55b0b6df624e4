//! Snapshots of a small log, and what must hold for every log.

use keytrail_schemas::{Activity, Outcome, Reason};
use proptest::prelude::*;

use super::{VaultAudit, pending};
use crate::format::{Context, Disposition, Draft, Format, Reject, guarded};
use crate::redact::Redactor;

const LIFECYCLE: &str = include_str!("../../../fixtures/vault_audit/lifecycle.log");

type Answers = Vec<Result<Disposition, Reject>>;

fn read(log: &[u8]) -> (Vec<Draft>, Answers) {
    let context = Context {
        redactor: Redactor::new(&[7; 32]),
        level: crate::redact::Level::Safe,
        cluster: "lab".into(),
        depth_max: 16,
        file_name: "audit.log".to_owned(),
    };
    let mut parser = guarded(&VaultAudit, &context);
    let mut out = Vec::new();
    let answers = (1..).zip(log.split(|b| *b == b'\n')).map(|(line, record)| parser.record(record, line, &mut out)).collect();
    parser.finish(&mut out);
    (out, answers)
}

#[test]
fn entries_become_events() {
    let (drafts, answers) = read(LIFECYCLE.as_bytes());
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    insta::assert_json_snapshot!(drafts.iter().map(crate::format::shown::shown).collect::<Vec<_>>());
}

#[test]
fn no_secret_passes() {
    let secrets = ["hvs.CAES", "hvs.Another", "correct horse", "battery staple", "4711", "99999999-8888"];
    for secret in secrets {
        assert!(LIFECYCLE.contains(secret));
    }
    for draft in read(LIFECYCLE.as_bytes()).0 {
        let shown = format!("{:?}", draft.event);
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
}

#[test]
fn what_vault_has_replaced_stays_as_it_is() {
    let line = LIFECYCLE.lines().find(|line| line.contains("\"type\":\"response\"") && line.contains("pki/issue/web")).unwrap();
    let raw = read(line.as_bytes()).0.remove(0).event.raw;
    assert_eq!(raw.as_deref(), Some(line));
}

#[test]
fn a_prefix_is_skipped() {
    let line = LIFECYCLE.lines().nth(2).unwrap();
    let plain = read(line.as_bytes()).0;
    for prefix in ["@cee: ", "<134>Mar  1 00:00:10 vault-0 vault[812]: ", "  "] {
        let found = read(format!("{prefix}{line}").as_bytes()).0;
        assert_eq!(found.iter().map(|d| &d.event).collect::<Vec<_>>(), plain.iter().map(|d| &d.event).collect::<Vec<_>>());
    }
}

#[test]
fn the_server_log_is_refused_with_advice() {
    for line in [
        r#"{"@level":"info","@message":"revoked lease","@module":"expiration","@timestamp":"2021-07-16T06:33:08.867457Z","lease_id":"auth/token/create/x/1"}"#,
        "2026-03-01T00:00:00.000Z [INFO]  core: post-unseal setup complete",
    ] {
        let reject = read(line.as_bytes()).1.remove(0).unwrap_err();
        assert_eq!(reject.reason, Reason::WrongKind);
        assert!(reject.message.contains("audit enable"), "{reject}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        (r#"{"type":"request"}"#, Reason::Malformed, Some("request")),
        (r#"{"request":{}}"#, Reason::WrongKind, Some("type")),
        (r#"{"type":"panic","request":{}}"#, Reason::WrongKind, Some("type")),
        (r#"{"type":"response","request":{"path":"sys/health"}}"#, Reason::NoTime, Some("time")),
        (r#"{"type":"request","time":"soon","request":{"id":"1"}}"#, Reason::NoTime, Some("time")),
        (r#"{"type":"request","#, Reason::Truncated, None),
        ("hello", Reason::Malformed, None),
    ];
    for (line, reason, field) in cases {
        let reject = read(line.as_bytes()).1.remove(0).unwrap_err();
        assert_eq!((reject.reason, reject.field.as_deref()), (reason, field), "{line}: {reject}");
    }
}

#[test]
fn a_request_without_a_response_is_an_event_of_unknown_outcome() {
    let request = |i: usize| {
        format!(
            r#"{{"type":"request","time":"2026-03-01T00:00:00Z","auth":{{"accessor":"a","display_name":"token-x"}},"request":{{"id":"{i}","operation":"read","path":"secret/data/{i}"}}}}"#
        )
    };
    let count = pending::REQUESTS_MAX + 5;
    let mut log: Vec<String> = (0..count).map(request).collect();
    log.push(request(count - 1).replace("\"request\",\"time\"", "\"response\",\"time\""));
    let context =
        Context { redactor: Redactor::new(&[7; 32]), level: crate::redact::Level::Safe, cluster: "lab".into(), depth_max: 16, file_name: String::new() };
    let mut parser = guarded(&VaultAudit, &context);
    let mut out = Vec::new();
    for (line, record) in (1..).zip(&log) {
        parser.record(record.as_bytes(), line, &mut out).unwrap();
    }
    let evicted: Vec<_> = out.iter().map(|d| d.provider_id.as_deref().unwrap().to_owned()).collect();
    assert_eq!(evicted, ["0#request", "1#request", "2#request", "3#request", "4#request", &(count - 1).to_string()], "the oldest leave first");
    assert!(out[..5].iter().all(|d| d.event.outcome == Outcome::Unknown && d.event.activity == Activity::Use));
    parser.finish(&mut out);
    assert_eq!(out.len(), count, "every request once, in order of arrival");
    assert_eq!((out[6].line, out.last().unwrap().line), (6, count as u64 - 1));
}

#[test]
fn samples_are_recognised() {
    assert_eq!(VaultAudit.sniff(LIFECYCLE.as_bytes()), 95);
    assert_eq!(VaultAudit.sniff(br#"{"@level":"info","@message":"x","@module":"core","@timestamp":"2021-07-16T06:33:08Z"}"#), 20);
    for other in ["", "plain text", r#"{"eventVersion":"1.08"}"#, r#"{"type":"request","url":"/"}"#] {
        assert_eq!(VaultAudit.sniff(other.as_bytes()), 0, "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), json in r#"[\[\]{}",:\\a-z0-9. \n-]{0,300}"#) {
        for log in [&bytes[..], json.as_bytes()] {
            let _ = read(log);
            let _ = VaultAudit.sniff(log);
        }
    }

    #[test]
    fn no_mutation_panics(at in any::<prop::sample::Index>(), len in 0_usize..40, with in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut log = LIFECYCLE.as_bytes().to_vec();
        let at = at.index(log.len());
        let end = (at + len).min(log.len());
        log.splice(at..end, with);
        let (drafts, answers) = read(&log);
        prop_assert!(drafts.len() + answers.len() > 0);
        for draft in drafts {
            prop_assert!(!draft.event.identity.is_empty() && draft.event.raw.is_some());
        }
    }

    #[test]
    fn any_path_and_operation_are_read(path in "[a-z/-]{0,40}", operation in "(read|update|create|delete|list|help)", mount in proptest::option::of("[a-z/]{0,12}")) {
        let mount = mount.map(|mount| format!(r#""mount_point":"{mount}","mount_type":"{mount}","#)).unwrap_or_default();
        let line = format!(r#"{{"type":"response","time":"2026-03-01T00:00:00Z","request":{{{mount}"id":"1","operation":"{operation}","path":"{path}","remote_address":"10.0.0.1"}}}}"#);
        let (drafts, _) = read(line.as_bytes());
        prop_assert_eq!(drafts.len(), 1);
    }
}
