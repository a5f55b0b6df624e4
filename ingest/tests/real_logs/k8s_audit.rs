//! Kubernetes audit: Falco's samples and Panther's labelled tests in the shapes of EKS, AKS and GKE.

use keytrail_ingest::format::{guarded, k8s_audit::K8sAudit};
use keytrail_schemas::{Activity, Outcome, Reason};
use serde_json::Value;

use super::read::{Tally, context, files, folder, records};

#[test]
fn every_file_is_read() {
    let Some(root) = folder("k8s_audit") else { return };
    for part in ["falco", "panther-labelled"] {
        let mut whole = Tally::default();
        for path in files(&root.join(part)) {
            let mut parser = guarded(&K8sAudit, &context());
            for record in records(&K8sAudit, &path) {
                let text = record.to_string();
                match whole.parse(&mut *parser, text.as_bytes()) {
                    Ok(drafts) => {
                        for draft in drafts {
                            let raw = draft.event.raw.unwrap();
                            assert!(!looks_like_a_token(&raw), "{}: {raw}", path.display());
                        }
                    }
                    Err(reject) => {
                        let inner = text.replace("\\\"", "\"");
                        let has = |key: &str| inner.contains(&format!("\"{key}\":\""));
                        let excused = match reject.reason {
                            Reason::NoTime => !["stageTimestamp", "requestReceivedTimestamp", "timestamp"].iter().any(|key| has(key)),
                            Reason::NoIdentity => !has("username") && !has("principalEmail"),
                            // Entries of other Google services, and Falco's file that is no event.
                            Reason::WrongKind => !inner.contains("audit.k8s.io") && !inner.contains("\"methodName\":\"io.k8s."),
                            _ => false,
                        };
                        assert!(excused, "{}: {reject}\n{text}", path.display());
                    }
                }
            }
        }
        whole.print(&format!("k8s_audit/{part}"));
        assert!(whole.events > 0);
    }
}

/// Three parts of base64url, the first beginning with an encoded `{"`.
fn looks_like_a_token(text: &str) -> bool {
    text.match_indices("eyJ")
        .any(|(at, _)| text[at..].split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).next().is_some_and(|run| run.split('.').count() >= 3))
        || text.contains("ZXlKaGJH")
}

/// The same events as they would be with a time, which most of Panther's lack.
#[test]
fn shapes_of_every_cloud_are_understood() {
    let Some(root) = folder("k8s_audit/panther-labelled") else { return };
    let mut whole = Tally::default();
    for path in files(&root) {
        let mut parser = guarded(&K8sAudit, &context());
        for mut record in records(&K8sAudit, &path) {
            timed(&mut record);
            if let Ok(drafts) = whole.parse(&mut *parser, record.to_string().as_bytes()) {
                for draft in drafts {
                    let event = draft.event;
                    assert!(event.activity == Activity::Issue || event.destination.is_some());
                    assert_ne!(event.identity_account, "", "{event:?}");
                    if record["responseStatus"]["code"] == 403 {
                        assert_eq!(event.outcome, Outcome::Denied);
                    }
                }
            }
        }
    }
    whole.print("k8s_audit/panther-labelled, given a time");
    assert!(whole.events >= 90, "{}", whole.events);
}

fn timed(record: &mut Value) {
    const TIME: &str = "2026-01-01T00:00:00Z";
    if let Some(log) = record.pointer("/properties/log").and_then(Value::as_str).and_then(|log| serde_json::from_str::<Value>(log).ok()) {
        let mut log = log;
        timed(&mut log);
        record["properties"]["log"] = log.to_string().into();
    } else if record.get("protoPayload").is_some() {
        record["timestamp"] = TIME.into();
    } else {
        record["stageTimestamp"] = TIME.into();
    }
}
