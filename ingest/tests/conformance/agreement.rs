//! Field by field against Elastic's expected documents (ECS): actor, action, outcome, target, time, source address. A disagreement is judged in `judged.toml`, or fails.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use keytrail_ingest::format::auto;
use keytrail_schemas::{Event, Micros, Outcome};
use serde::Deserialize;
use serde_json::Value;

use super::folder::{drafts, files, folder, records};

const FOLDERS: &[(&str, &str)] = &[
    ("gcp_audit/elastic", "gcp_audit"),
    ("entra_signin/elastic", "entra_signin"),
    ("entra_audit/elastic", "entra_audit"),
    ("azure_activity/elastic", "azure_activity"),
    ("entra_identity_protection/elastic", "entra_identity_protection"),
    ("okta_system/elastic", "okta_system"),
    ("github_audit/elastic", "github_audit"),
    ("keycloak_events/elastic", "keycloak_events"),
    ("auth0/elastic", "auth0"),
    ("gitlab_audit/elastic", "gitlab_audit"),
    ("ping_one/elastic", "ping_one"),
    ("cyberark/elastic", "cyberark"),
];

const FIELDS: [&str; 6] = ["actor", "action", "outcome", "target", "time", "source"];

/// The least share of fields that must agree, in thousandths, before judgement.
const AGREE_MIN: usize = 980;

#[derive(Deserialize)]
struct Judged {
    disagreement: Vec<Disagreement>,
}

/// Where we differ on purpose, and why.
#[derive(Deserialize)]
struct Disagreement {
    format: String,
    field: String,
    /// What Elastic has, if the judgement is of one value.
    expected: Option<String>,
    why: String,
}

/// What Elastic's document has for a field, in each of its forms; any of them will do.
fn expected(format: &str, field: &str, document: &Value) -> Vec<String> {
    let paths: &[&str] = match (format, field) {
        (_, "time") => &["/@timestamp"],
        (_, "action") => &["/event/action"],
        (_, "outcome") => &["/event/outcome"],
        (_, "source") => &["/source/ip", "/client/ip"],
        ("gcp_audit", "actor") => &["/client/user/email", "/client/user/id"],
        ("gcp_audit", "target") => &["/gcp/audit/resource_name"],
        ("entra_signin", "actor") => &["/user/id", "/user/name", "/azure/signinlogs/properties/app_id", "/azure/signinlogs/properties/service_principal_id"],
        ("entra_signin", "target") => &["/azure/signinlogs/properties/resource_id", "/azure/signinlogs/properties/resource_display_name"],
        ("entra_audit", "actor") => &[
            "/azure/auditlogs/properties/initiated_by/app/appId",
            "/azure/auditlogs/properties/initiated_by/app/servicePrincipalId",
            "/azure/auditlogs/properties/initiated_by/user/userPrincipalName",
        ],
        ("entra_audit", "target") => &["/azure/auditlogs/properties/target_resources/0/id"],
        ("azure_activity", "actor") => &["/azure/activitylogs/identity/claims/appid", "/azure/activitylogs/identity/authorization/evidence/principal_id"],
        ("entra_identity_protection", "actor") => &["/azure/identityprotection/properties/user_principal_name"],
        ("azure_activity", "target") => &["/azure/resource/id"],
        ("okta_system", "actor") => &["/okta/actor/alternate_id", "/okta/actor/id"],
        ("okta_system", "target") => &["/okta/target/0/id", "/okta/target/1/id", "/okta/target/2/id", "/okta/target/3/id", "/okta/target/0/alternate_id"],
        ("github_audit", "target") => &["/github/repo", "/github/team", "/github/org"],
        ("keycloak_events", "target") => &["/keycloak/admin/resource/path", "/keycloak/admin/resource/Path", "/keycloak/client/id"],
        ("ping_one", "target") => &["/ping_one/audit/resources/0/id"],
        ("cyberark", "actor") => &["/cyberarkpas/audit/issuer"],
        ("cyberark", "target") => &["/cyberarkpas/audit/safe", "/cyberarkpas/audit/target_user"],
        ("gitlab_audit", "target") => &["/gitlab/audit/target_details"],
        (_, "actor") => &["/user/id", "/user/name", "/user/email", "/client/user/id"],
        _ => &[],
    };
    paths
        .iter()
        .filter_map(|path| document.pointer(path))
        .filter_map(|value| value.as_str().map(str::to_owned).or_else(|| value.is_number().then(|| value.to_string())))
        .collect()
}

/// What the event has for a field, to compare with `expected`: whether it is the same.
fn agrees(field: &str, event: &Event, expected: &[String]) -> bool {
    let holds = |own: Option<&str>, word: &str| own.is_some_and(|own| own.to_lowercase().contains(&word.to_lowercase()));
    match field {
        "time" => expected.iter().any(|time| Micros::parse_rfc3339(time).is_ok_and(|time| time.0 / 1_000 == event.time.0 / 1_000)),
        "action" => expected.iter().any(|action| event.action.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(action))),
        "outcome" => expected.iter().any(|word| match event.outcome {
            Outcome::Success => word == "success",
            Outcome::Failure | Outcome::Denied => word == "failure",
            Outcome::Unknown => word == "unknown",
        }),
        "source" => expected.iter().any(|ip| event.source_ip.as_deref() == Some(ip)),
        "actor" => expected.iter().any(|name| holds(Some(&event.identity), name)),
        _ => {
            expected
                .iter()
                .any(|name| holds(event.destination.as_deref(), name) || name.rsplit('/').next().is_some_and(|last| holds(event.destination.as_deref(), last)))
                || event
                    .destination
                    .as_deref()
                    .and_then(|own| own.rsplit('/').next())
                    .is_some_and(|own| expected.iter().any(|name| name.to_lowercase().contains(&own.to_lowercase())))
        }
    }
}

fn document(path: &Path) -> Vec<Value> {
    let expected = format!("{}-expected.json", path.display());
    let Ok(text) = std::fs::read_to_string(expected) else { return Vec::new() };
    serde_json::from_str::<Value>(&text).unwrap()["expected"].as_array().cloned().unwrap_or_default()
}

#[test]
fn events_agree_with_elastics_reading() {
    let judged: Judged = toml::from_str(include_str!("judged.toml")).unwrap();
    let mut report = String::from(
        "| format | documents | actor | action | outcome | target | time | source | agree | judged |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let (mut all, mut agreed, mut unjudged) = (0, 0, Vec::new());
    for (name, format) in FOLDERS {
        let Some(root) = folder(name) else { continue };
        let own = auto::by_name(format).unwrap();
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        let (mut documents, mut known) = (0, 0);
        for path in files(&root) {
            for ((record, document), line) in records(&path).iter().zip(document(&path)).zip(1..) {
                documents += 1;
                let (_, read) = drafts(own, record);
                let read = read.unwrap_or_default();
                // Of several hops the last is the one that the record is about.
                let event = read
                    .iter()
                    .rev()
                    .find(|draft| draft.event.action.is_some() && draft.event.destination.is_some())
                    .or(read.first())
                    .map(|draft| &draft.event);
                let Some(event) = event else { continue };
                for field in FIELDS {
                    let wanted = expected(format, field, &document);
                    if wanted.is_empty() {
                        continue;
                    }
                    let same = agrees(field, event, &wanted);
                    let count = counts.entry(field).or_default();
                    count.0 += usize::from(same);
                    count.1 += 1;
                    if same {
                        continue;
                    }
                    let why = judged.disagreement.iter().find(|judged| {
                        judged.format == *format && judged.field == field && judged.expected.as_ref().is_none_or(|expected| wanted.contains(expected))
                    });
                    match why {
                        Some(why) => {
                            assert!(!why.why.is_empty());
                            known += 1;
                        }
                        None => unjudged.push(format!(
                            "{}:{line} {field}: expected {wanted:?}, have {:?}",
                            path.file_name().unwrap().to_string_lossy(),
                            match field {
                                "time" => Some(event.time.to_rfc3339()),
                                "action" => event.action.as_ref().map(ToString::to_string),
                                "outcome" => Some(event.outcome.to_string()),
                                "source" => event.source_ip.as_ref().map(ToString::to_string),
                                "actor" => Some(event.identity.to_string()),
                                _ => event.destination.as_ref().map(ToString::to_string),
                            }
                        )),
                    }
                }
            }
        }
        let (same, fields) = counts.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let cells: Vec<_> = FIELDS.iter().map(|field| counts.get(field).map_or_else(|| "–".to_owned(), |(same, all)| format!("{same}/{all}"))).collect();
        let _ = writeln!(report, "| {format} | {documents} | {} | {same}/{fields} | {known} |", cells.join(" | "));
        all += fields;
        agreed += same + known;
    }
    println!("{report}");
    if all == 0 {
        return;
    }
    println!("{agreed} of {all} fields agree or differ for a reason that is written down");
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance.md"), &report).unwrap();
    unjudged.iter().for_each(|line| println!("  {line}"));
    assert!(agreed * 1_000 >= all * AGREE_MIN, "{agreed} of {all} fields agree");
}
