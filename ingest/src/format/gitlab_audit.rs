//! GitLab's audit events: `audit_json.log`, and the events that it streams.
//!
//! Who acted is the author. Accounts that GitLab makes for tokens and services (`project_…_bot…`, `group_…_bot…`, `service_account_…`), deploy tokens (author id −2), runners and CI
//! (−3) are machines; any other author is a person. Tokens and keys that are created, rotated and revoked are facts, named by the target's id.
//!
//! Source: GitLab, "Log system: `audit_json.log`", "Audit event types", "Audit event schema" (streaming).

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Said, Scene, Shape, by, fact, fields, small, words};

fields! {
    ID = "id|uuid",
    TIME = "created_at|time",
    CALLER = "event_type|event_name|details.event_name|custom_message|details.custom_message|\"meta.caller_id\"|meta.caller_id",
    CHANGE = "change|details.change",
    ADDED = "add|details.add",
    REMOVED = "remove|details.remove",
    AUTHOR = "author_name|details.author_name|\"meta.user\"|meta.user",
    AUTHOR_ID = "author_id",
    USERNAME = "\"meta.user\"|meta.user|author_username",
    CLASS = "author_class|details.author_class",
    IP = "ip_address|details.ip_address|\"meta.remote_ip\"|meta.remote_ip",
    ENTITY = "entity_type",
    ENTITY_PATH = "entity_path|details.entity_path",
    TARGET = "target_details|details.target_details",
    TARGET_KIND = "target_type|details.target_type",
    TARGET_ID = "target_id|details.target_id",
    WITH = "with|details.with",
    SESSION = "correlation_id",
    FAILED = "failed_login|details.failed_login",
    EXPIRES = "expires_at|details.expires_at",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "gitlab_audit",
    envelopes: &[],
    marks: &[
        (92, &[Mark::Has("author_id"), Mark::Has("entity_type"), Mark::Has("target_type")]),
        (90, &[Mark::Has("author_id"), Mark::Has("entity_id"), Mark::Has("entity_type")]),
        (85, &[Mark::Has("author_id"), Mark::Has("event_type"), Mark::Has("details")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "author_id",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let what = row.text(CALLER).or_else(|| row.text(CHANGE)).or_else(|| row.text(ADDED)).or_else(|| row.text(REMOVED));
    let action = what.map_or_else(|| small(row.str(TARGET_KIND).unwrap_or("audit")), |what| Text::from(what.as_ref()));
    let said = WORDS.said_in(&action);
    let failed = said.has(FAILS) && action.contains("failed");
    // Without an id of its own (audit_json.log), the record is known by its bytes.
    let is_file = row.has(SESSION) || !row.has(TARGET_ID);
    if is_file {
        scene.set_id(None);
    }
    let server = scene.cluster.clone();
    let mut event = scene.event(time, activity(said, row), action);
    who(&mut event, row, &server);
    event.outcome = if row.has(FAILED) || failed { Outcome::Failure } else { Outcome::Success };
    event.reason = row.owned(FAILED);
    event.source_ip = row.address(IP);
    event.session = row.owned(SESSION);
    event.auth_method = row.owned(WITH);
    let target = row.text(ENTITY_PATH).filter(|_| row.str(ENTITY) != Some("User")).or_else(|| row.text(TARGET)).or_else(|| row.text(TARGET_ID));
    if let Some(target) = target {
        let class = small(row.str(ENTITY).filter(|_| row.has(ENTITY_PATH)).or_else(|| row.str(TARGET_KIND)).or_else(|| row.str(ENTITY)).unwrap_or("target"));
        event.destination = Some(join(&["gitlab:", &server, ":", &class, "/", &target]));
        event.destination_kind = Some(class);
    }
    event.destination_service = Some(Text::const_new("gitlab"));
    let told = lifecycle(&event, row, said, &server);
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn who(event: &mut Event, row: &Row<'_>, server: &str) {
    let id = row.integer(AUTHOR_ID);
    let name = row.text(USERNAME).or_else(|| row.text(AUTHOR));
    let Some(name) = name.or_else(|| row.text(AUTHOR_ID)) else { return };
    let is_bot =
        is_machine(&name) || row.str(AUTHOR).is_some_and(is_machine) || row.str(CLASS).is_some_and(|class| class.contains("Token") || class.contains("Ci::"));
    match id {
        Some(-2) => by(event, "gitlab", server, "deploy_token", &name, IdentityKind::Service),
        Some(-3) => by(event, "gitlab", server, "ci", &name, IdentityKind::Workload),
        Some(-1) => by(event, "gitlab", server, "user", &name, IdentityKind::Unknown),
        _ if is_bot => by(event, "gitlab", server, "bot", &name, IdentityKind::Service),
        _ => by(event, "gitlab", server, "user", &name, IdentityKind::Human),
    }
}

/// Names that GitLab gives to accounts of tokens and services.
fn is_machine(name: &str) -> bool {
    let name = name.as_bytes();
    let begins = |word: &[u8]| name.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    (begins(b"project_") || begins(b"group_")) && name.windows(4).any(|part| part.first() == Some(&b'_') && part.eq_ignore_ascii_case(b"_bot"))
        || begins(b"service_account_")
        || name.last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b"-bot"))
}

words! {
    FAILS = ["failed"];
    LOGINS = ["sessionscontroller#create", "sign_in", "signed in", "login", "authenticated"];
    TOKENS = ["access_token", "deploy_token"];
    KEYS = ["ssh_key", "deploy_key"];
    MEMBERS = ["member"];
    ADDS = ["add"];
    LEVELS = ["access_level"];
    PASSWORDS = ["password"];
    ROTATES = ["rotat"];
    REVOKES = ["revok", "destroy", "delet", "remov", "expired"];
    ISSUES = ["creat", "add", "issu"];
}

fn activity(said: Said, row: &Row<'_>) -> Activity {
    if said.has(LOGINS) || row.has(FAILED) {
        Activity::Authenticate
    } else if row.str(ADDED).is_some_and(|added| added.contains("access")) || said.has(MEMBERS) && said.has(ADDS) || said.has(LEVELS) {
        Activity::Grant
    } else {
        Activity::Configure
    }
}

fn lifecycle(event: &Event, row: &Row<'_>, said: Said, server: &str) -> Option<Box<Event>> {
    let class = row.str(TARGET_KIND).unwrap_or_default();
    let kind = match class {
        "PersonalAccessToken" | "ProjectAccessToken" | "GroupAccessToken" | "DeployToken" | "Clusters::AgentToken" => CredentialKind::ApiToken,
        "Key" | "DeployKey" => CredentialKind::SshKey,
        _ if said.has(TOKENS) => CredentialKind::ApiToken,
        _ if said.has(KEYS) => CredentialKind::SshKey,
        _ if said.has(PASSWORDS) => CredentialKind::Password,
        _ => return None,
    };
    if event.outcome != Outcome::Success {
        return None;
    }
    let activity = if said.has(ROTATES) || kind == CredentialKind::Password {
        Activity::Rotate
    } else if said.has(REVOKES) || row.has(REMOVED) {
        Activity::Revoke
    } else if said.has(ISSUES) || row.has(ADDED) {
        Activity::Issue
    } else {
        return None;
    };
    let id = row.text(TARGET_ID).filter(|_| kind != CredentialKind::Password).map(|id| join(&["gitlab:", server, ":", &small(class), "/", &id]));
    let mut told = fact(event, activity, id, kind);
    told.credential_expires_at = row.time(EXPIRES);
    told.issuer = Some(join(&["gitlab:", server]));
    Some(told)
}
