//! GitHub's audit log, of an organisation or an enterprise, with its Git events.
//!
//! Who acted: an actor that is a bot or an app (`actor_is_bot`, a name that ends in `[bot]`, or a token of an app's own: `programmatic_access_type` "GitHub App
//! server-to-server token") is a machine, as is a deploy key; any other account is a person, also where a token of its acts: GitHub knows no service accounts.
//! The credential is the token by `token_id`, else by `hashed_token`, which is what GitHub itself lets one search by. Tokens, keys and apps that are
//! created, regenerated, revoked and deleted are facts of that credential.
//!
//! Source: GitHub, "Audit log events for your organization" and "… enterprise", "Identifying audit log events performed by an access token".

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, by, fact, fields};

fields! {
    ID = "_document_id",
    TIME = "@timestamp|created_at|at_sign_timestamp|p_event_time",
    ACTION = "action",
    ACTOR = "actor|deploy_key_fingerprint|actor_id",
    BOT = "actor_is_bot",
    IP = "actor_ip",
    COUNTRY = "actor_location.country_code",
    ORG = "org|data.org|business|data.business",
    REPO = "repo|repository|data.repo",
    TEAM = "team|data.team",
    AGENT = "user_agent",
    TOKEN = "token_id",
    HASHED = "hashed_token",
    ACCESS = "programmatic_access_type",
    TRANSPORT = "transport_protocol_name",
    KEY = "deploy_key_fingerprint|data.deploy_key_fingerprint|fingerprint|key",
    APP = "oauth_application_name|oauth_application|application|integration|name",
    APP_ID = "oauth_application_id|application_client_id|integration_id",
    OWNER = "user_programmatic_access_owner|token_owner|user",
    REQUEST = "request_id",
    EXPIRES = "token_expires_at|expires_at",
    REASON = "reason|message",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "github_audit",
    envelopes: &[],
    marks: &[
        (92, &[Mark::Has("action"), Mark::Has("actor"), Mark::Has("_document_id")]),
        (90, &[Mark::Has("action"), Mark::Has("created_at"), Mark::Has("org"), Mark::Lacks("sender")]),
        (88, &[Mark::Has("action"), Mark::Has("actor"), Mark::Has("created_at"), Mark::Lacks("sender")]),
        (85, &[Mark::Has("action"), Mark::Has("actor_location")]),
        (85, &[Mark::Has("action"), Mark::Has("transport_protocol_name")]),
        (80, &[Mark::Holds("action", "."), Mark::Has("actor"), Mark::Has("org")]),
        (70, &[Mark::Holds("action", "."), Mark::Has("actor"), Mark::Has("repo")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "actor",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let action = row.str(ACTION).ok_or_else(|| Reject::malformed("action", "no action: what was done is not said"))?;
    let org = row.items(ORG).find_map(|org| org.as_text().map(Text::from)).unwrap_or_else(|| scene.cluster.clone());
    let mut event = scene.event(time, activity(action), action);
    actor(&mut event, row, &org);
    event.outcome = outcome(action);
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(REASON) };
    event.source_ip = row.address(IP);
    event.source_country = row.owned(COUNTRY).filter(|country| country.len() == 2);
    event.user_agent = row.owned(AGENT);
    event.session = row.owned(REQUEST);
    if let Some(transport) = row.owned(TRANSPORT) {
        event.protocol = Some(if transport == "http" { Text::const_new("https") } else { transport });
    }
    credential(&mut event, row);
    destination(&mut event, row, &org);
    let told = lifecycle(&event, row, action, &org);
    if told.as_ref().is_some_and(|told| told.credential == event.credential) {
        // The token is what it is about, not what it was done with.
        event.credential = None;
        event.credential_kind = CredentialKind::Unknown;
        event.auth_method = None;
    }
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn actor(event: &mut Event, row: &Row<'_>, org: &str) {
    let access = row.str(ACCESS).unwrap_or_default();
    let app_itself = access.contains("server-to-server") || access.contains("installation");
    let Some(name) = row.text(ACTOR) else { return };
    let name = name.as_ref();
    if row.flag(BOT) == Some(true) || name.ends_with("[bot]") || app_itself {
        by(event, "github", org, "app", name.strip_suffix("[bot]").unwrap_or(name), IdentityKind::Service);
    } else if name.starts_with("SHA256:") || matches!(name, "deploy_key" | "deploy-key") {
        by(event, "github", org, "deploy_key", row.str(KEY).unwrap_or(name), IdentityKind::Service);
    } else {
        by(event, "github", org, "user", name, IdentityKind::Human);
    }
}

fn credential(event: &mut Event, row: &Row<'_>) {
    let access = row.str(ACCESS);
    event.credential = row.text(TOKEN).filter(|id| id != "0").map(|id| join(&["github:token/", &id])).or_else(|| row.owned(HASHED));
    event.credential_kind = match access {
        Some(access) if access.contains("ersonal access token") => CredentialKind::ApiToken,
        Some(access) if access.contains("OAuth") || access.contains("App") => CredentialKind::OauthToken,
        _ if event.credential.is_some() => CredentialKind::ApiToken,
        _ => CredentialKind::Unknown,
    };
    event.auth_method = access.map(|access| Text::from(access.to_lowercase().replace(' ', "_")));
    if event.credential.is_none() && event.protocol.as_deref() == Some("ssh") {
        event.credential = row.owned(KEY);
        event.credential_kind = CredentialKind::SshKey;
    }
}

fn destination(event: &mut Event, row: &Row<'_>, org: &str) {
    let (class, name) = if let Some(repo) = row.text(REPO) {
        ("repo", repo)
    } else if let Some(team) = row.text(TEAM) {
        ("team", team)
    } else {
        ("org", org.into())
    };
    event.destination = Some(join(&["github:", class, "/", &name]));
    event.destination_kind = Some(Text::const_new(class));
    event.destination_service = Some(Text::const_new("github"));
}

fn outcome(action: &str) -> Outcome {
    let last = action.rsplit('.').next().unwrap_or(action);
    if ["failed", "failure"].iter().any(|word| last.contains(word)) {
        Outcome::Failure
    } else if ["denied", "rejected", "blocked", "forbidden"].iter().any(|word| last.contains(word)) {
        Outcome::Denied
    } else {
        Outcome::Success
    }
}

fn activity(action: &str) -> Activity {
    let (object, verb) = action.split_once('.').unwrap_or((action, ""));
    match (object, verb) {
        (
            "git"
            | "pull_request"
            | "pull_request_review"
            | "pull_request_review_comment"
            | "issues"
            | "issue_comment"
            | "discussion"
            | "workflows"
            | "packages",
            _,
        ) => Activity::Use,
        ("user" | "org", "login" | "sso_response" | "two_factor_requested" | "failed_login") | ("org", "sso_login") => Activity::Authenticate,
        ("user", "logout") => Activity::End,
        (
            _,
            "add_member"
            | "update_member"
            | "add_repository"
            | "update_repository_permission"
            | "access_granted"
            | "add_collaborator"
            | "permissions_added"
            | "invite_member",
        ) => Activity::Grant,
        (_, "audit_log_export" | "download_zip" | "access" | "view" | "download" | "repositories_accessed" | "sso_response") => Activity::Use,
        ("repo" | "org" | "business", "create" | "rename") => Activity::Use,
        _ => Activity::Configure,
    }
}

/// What the record tells of a token, a key or a secret.
fn lifecycle(event: &Event, row: &Row<'_>, action: &str, org: &str) -> Option<Box<Event>> {
    if event.outcome != Outcome::Success {
        return None;
    }
    let (object, verb) = action.split_once('.')?;
    let kind = match object {
        "personal_access_token" | "oauth_access" | "user_programmatic_access" | "integration_installation_token" => CredentialKind::ApiToken,
        "deploy_key" | "public_key" | "ssh_certificate_authority" => CredentialKind::SshKey,
        "oauth_application" | "integration" if verb.contains("secret") || verb.contains("key") => CredentialKind::Password,
        "hook" | "actions_secret" => return None,
        _ => return None,
    };
    let activity = match verb {
        "access_granted" | "create" | "request_created" | "generate_client_secret" | "add_key" | "generate" => Activity::Issue,
        "regenerate" | "credential_regenerated" | "rotate" | "reset_secret" => Activity::Rotate,
        "access_revoked" | "revoke" | "destroy" | "delete" | "remove" | "remove_client_secret" | "remove_key" | "expired" | "unverify" => Activity::Revoke,
        _ => return None,
    };
    if verb == "request_created" {
        return None;
    }
    let id = match kind {
        CredentialKind::SshKey => row.owned(KEY),
        CredentialKind::Password => row.text(APP_ID).map(|id| join(&["github:app/", &id, "/secret"])),
        _ => event.credential.clone(),
    };
    let mut told = fact(event, activity, id, kind);
    if told.credential == event.credential {
        told.credential_parent = None;
    }
    told.credential_expires_at = row.time(EXPIRES);
    told.issuer = Some(Text::const_new("github"));
    match kind {
        CredentialKind::SshKey if object == "deploy_key" => {
            by(&mut told, "github", org, "deploy_key", row.str(KEY).or_else(|| row.str(REPO))?, IdentityKind::Service)
        }
        CredentialKind::Password => by(&mut told, "github", org, "app", row.text(APP)?.as_ref(), IdentityKind::Service),
        _ => {
            if let Some(owner) = row.text(OWNER) {
                by(&mut told, "github", org, "user", &owner, IdentityKind::Human);
            }
        }
    }
    Some(told)
}
