//! `CloudTrail`: Elastic's samples against Elastic's own reading, Stratus Red Team's attacks, Panther's labelled tests.

use keytrail_ingest::format::{Draft, cloudtrail::CloudTrail, guarded};
use keytrail_schemas::{Activity, Micros, Outcome, Reason};
use serde_json::Value;

use super::read::{Tally, context, files, folder, records};

fn drafts(path: &std::path::Path, tally: &mut Tally) -> Vec<Draft> {
    let mut parser = guarded(&CloudTrail, &context());
    records(&CloudTrail, path).iter().filter_map(|record| tally.parse(&mut *parser, record.to_string().as_bytes()).ok()).flatten().collect()
}

#[test]
fn every_file_is_read() {
    let Some(root) = folder("cloudtrail") else { return };
    for part in ["elastic", "stratus-attacks", "panther-labelled"] {
        let mut whole = Tally::default();
        for path in files(&root.join(part)) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains("-expected") || name == "sample_event.json" || !(name.ends_with(".json") || name.ends_with(".log") || name.ends_with(".jsonl")) {
                continue;
            }
            let mut parser = guarded(&CloudTrail, &context());
            for record in records(&CloudTrail, &path) {
                let text = record.to_string();
                match whole.parse(&mut *parser, text.as_bytes()) {
                    Ok(drafts) => drafts.iter().for_each(no_secret),
                    Err(reject) => {
                        // Only what truly has no time, or names nobody, may be refused.
                        let time = record.get("eventTime").or_else(|| record.get("eventtime")).and_then(Value::as_str);
                        let user = record.get("userIdentity").or_else(|| record.get("useridentity"));
                        let nobody = user
                            .is_none_or(|u| u.as_object().is_none_or(|o| o.values().all(|v| v.as_str() == Some("") || v.is_null())) || u["type"] == "Unknown");
                        let timeless = time.and_then(keytrail_ingest::format::utc_time).is_none();
                        assert!((reject.reason == Reason::NoTime && timeless) || (reject.reason == Reason::NoIdentity && nobody), "{name}: {reject}\n{text}");
                    }
                }
            }
        }
        whole.print(&format!("cloudtrail/{part}"));
        assert!(whole.events > 0);
    }
}

fn no_secret(draft: &Draft) {
    let raw = draft.event.raw.as_deref().unwrap();
    let value: Value = serde_json::from_str(raw).unwrap();
    let token = value.pointer("/responseElements/credentials/sessionToken").and_then(Value::as_str);
    // Some were published with the token taken out already.
    assert!(token.is_none_or(|t| t.starts_with("hmac:") || t == "REDACTED" || t.contains("HIDDEN")), "{raw}");
}

#[test]
fn elastic_reads_the_same() {
    let Some(root) = folder("cloudtrail/elastic") else { return };
    let (mut compared, mut insights) = (0, 0);
    for path in files(&root) {
        let name = path.to_string_lossy().into_owned();
        let Some(log) = name.strip_suffix("-expected.json").map(std::path::PathBuf::from) else { continue };
        let expected: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut parser = guarded(&CloudTrail, &context());
        for (record, expected) in records(&CloudTrail, &log).iter().zip(expected["expected"].as_array().unwrap()) {
            let mut out = Vec::new();
            let _ = parser.record(record.to_string().as_bytes(), 1, &mut out).unwrap();
            let Some(draft) = out.first() else {
                assert_eq!(record["eventCategory"], "Insight");
                insights += 1;
                continue;
            };
            let event = &draft.event;
            let text = |path: &str| expected.pointer(path).and_then(Value::as_str);
            assert_eq!(Some(event.time), text("/@timestamp").and_then(|t| Micros::parse_rfc3339(t).ok()), "{name}");
            let action = format!("{}:{}", text("/event/provider").unwrap().split('.').next().unwrap(), text("/event/action").unwrap());
            assert_eq!(event.action.as_deref(), Some(action.as_str()), "{name}");
            assert_eq!(event.source_ip.as_deref(), text("/source/ip"), "{name}");
            assert_eq!(event.user_agent.as_deref(), text("/user_agent/original"), "{name}");
            assert_eq!(event.outcome == Outcome::Success, text("/event/outcome") == Some("success"), "{name}");
            let user = text("/user/name");
            assert!(user.is_none_or(|user| event.identity.ends_with(user)), "{name}: {} is not {user:?}", event.identity);
            compared += 1;
        }
    }
    println!("compared with Elastic's reading: {compared} events, {insights} insight events apart");
    assert!(compared >= 20, "{compared}");
}

#[test]
fn attacks_leave_their_credential_facts() {
    let Some(root) = folder("cloudtrail/stratus-attacks") else { return };
    let mut tally = Tally::default();
    let mut attack = |name: &str| drafts(&root.join(format!("aws.{name}.json")), &mut tally);

    let federation = attack("persistence.sts-federation-token");
    let of = |activity| federation.iter().map(|d| &d.event).find(|e| e.activity == activity).unwrap();
    let (issue, used) =
        (of(Activity::Issue), federation.iter().map(|d| &d.event).find(|e| e.identity.contains("federated-user") && e.activity == Activity::Use).unwrap());
    assert_eq!(issue.identity, "aws:742491224508:federated-user/stratus_red_team");
    assert_eq!(issue.credential.as_deref(), Some("ASIASTJKC5GCM7ZE6LUP"));
    assert_eq!(issue.credential_parent.as_deref(), Some("AKIA6V1GNZTT65XQH36M"));
    assert_eq!(issue.credential_expires_at.unwrap().0 - issue.time.0, 12 * Micros::HOUR);
    assert_eq!(used.identity, issue.identity);
    assert_eq!(used.credential, issue.credential, "the session that was issued is the one that is used");

    let passwords = attack("credential-access.ec2-get-password-data");
    let denied: Vec<_> = passwords.iter().filter(|d| d.event.outcome == Outcome::Denied && d.event.action.as_deref() == Some("ec2:GetPasswordData")).collect();
    assert_eq!(denied.len(), 30);
    assert!(denied.iter().all(|d| d.event.session.as_deref().is_some_and(|s| s.starts_with("aws-go-sdk-")) && d.event.credential_issued_at.is_some()));
    assert!(denied.iter().all(|d| d.event.destination.as_deref().is_some_and(|x| x.starts_with("aws:ec2/instance/i-"))));
    let issued: Vec<_> = passwords.iter().filter(|d| d.event.activity == Activity::Issue).collect();
    assert!(!issued.is_empty() && issued.iter().all(|d| d.part == 1 && d.event.identity.ends_with(":role/stratus-red-team-ec2-get-password-data-role")));

    let secrets = attack("credential-access.secretsmanager-retrieve-secrets");
    let touched: std::collections::BTreeSet<_> =
        secrets.iter().filter(|d| d.event.action.as_deref() == Some("secretsmanager:GetSecretValue")).filter_map(|d| d.event.destination.clone()).collect();
    assert_eq!(touched.len(), 20, "{touched:?}");

    let login = attack("initial-access.console-login-without-mfa");
    assert_eq!((login[0].event.activity, login[0].event.identity_kind.as_str()), (Activity::Authenticate, "human"));

    let backdoor = attack("persistence.iam-create-backdoor-role");
    assert!(backdoor.iter().any(|d| d.event.activity == Activity::Grant && d.event.action.as_deref() == Some("iam:AttachRolePolicy")));
    assert!(backdoor.iter().any(|d| d.event.activity == Activity::Configure && d.event.action.as_deref() == Some("iam:CreateRole")));
    assert!(tally.rejects.is_empty());
}
