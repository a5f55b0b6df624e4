//! Kubernetes audit.

use keytrail_ingest::format::{Disposition, guarded, k8s_audit::K8sAudit};
use keytrail_schemas::Reason;

use super::event::{context, drafts, fixture, refused, shown};

#[test]
fn tokens_are_issued_and_never_kept() {
    let records = fixture("k8s_audit/tokens.ndjson");
    assert!(records.iter().filter(|r| r.contains("eyJ")).count() >= 2, "the fixture holds live-format tokens");
    let drafts = drafts(&K8sAudit, &records);
    for draft in &drafts {
        let raw = draft.event.raw.as_deref().unwrap();
        for secret in ["eyJ", "ZXlK", "aHVudGVyMg"] {
            assert!(!raw.contains(secret), "{secret} in {raw}");
        }
    }
    insta::assert_snapshot!(shown(&drafts));
}

#[test]
fn a_token_has_the_same_fingerprint_wherever_it_stands() {
    let drafts = drafts(&K8sAudit, &fixture("k8s_audit/tokens.ndjson"));
    let at = |draft: usize, pointer: &str| {
        serde_json::from_str::<serde_json::Value>(drafts[draft].event.raw.as_deref().unwrap()).unwrap().pointer(pointer).unwrap().clone()
    };
    let issued = at(0, "/responseObject/status/token");
    assert!(issued.as_str().unwrap().starts_with("hmac:"));
    assert_eq!(issued, at(drafts.len() - 1, "/requestObject/spec/token"), "the token that was issued is the one that was reviewed");
}

#[test]
fn uses_of_people_nodes_and_services() {
    insta::assert_snapshot!(shown(&drafts(&K8sAudit, &fixture("k8s_audit/uses.ndjson"))));
}

#[test]
fn gke_writes_another_form() {
    insta::assert_snapshot!(shown(&drafts(&K8sAudit, &fixture("k8s_audit/gke.ndjson"))));
}

#[test]
fn envelopes_name_the_cluster() {
    let drafts = drafts(&K8sAudit, &fixture("k8s_audit/envelopes.ndjson"));
    let identities: Vec<_> = drafts.iter().map(|d| d.event.identity.as_str()).collect();
    assert_eq!(identities, ["k8s:shop-aks:user/aksService", "k8s:shop-eks:user/aksService", "k8s:shop-eks:user/aksService", "k8s:test:user/aksService"]);
}

#[test]
fn stages_before_the_answer_hold_no_event() {
    let mut out = Vec::new();
    for record in fixture("k8s_audit/control.ndjson") {
        assert_eq!(guarded(&K8sAudit, &context()).record(record.as_bytes(), 1, &mut out), Ok(Disposition::Control));
    }
    assert!(out.is_empty());
}

#[test]
fn what_cannot_be_placed_or_attributed_is_refused() {
    for (record, reason) in [
        (r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","verb":"get","user":{"username":"bob"}}"#, Reason::NoTime),
        (
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","verb":"get","stageTimestamp":"2026-01-01T00:00:00Z","user":{"groups":[]}}"#,
            Reason::NoIdentity,
        ),
        (r#"{"kind":"Event","apiVersion":"v1","metadata":{"name":"web.17a"},"involvedObject":{"kind":"Pod"},"reason":"Pulled"}"#, Reason::WrongKind),
        (r#"{"kind":"Pod"}"#, Reason::WrongKind),
        (
            r#"{"protoPayload":{"serviceName":"storage.googleapis.com","methodName":"storage.objects.get"},"timestamp":"2026-01-01T00:00:00Z"}"#,
            Reason::WrongKind,
        ),
        ("[1,2]", Reason::Malformed),
        ("7", Reason::Malformed),
    ] {
        let reject = refused(&K8sAudit, record);
        assert_eq!(reject.reason, reason, "{record}: {reject}");
    }
}
