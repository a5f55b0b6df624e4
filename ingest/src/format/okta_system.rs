//! Okta's System Log, as its API and its log streams write it.
//!
//! Who acted is the actor: a client (`PublicClientApp`, a service app) is a machine, `SystemPrincipal` is Okta itself, a user is a person. Okta has no
//! accounts for software: one that is a user like any other counts as a person until the inventory says what it is.
//! A grant of a token, the making and revoking of an API token, and the rotation of a client's secret are facts of a credential, each of its owner.
//!
//! Source: Okta, "System Log API" (`LogEvent`) and "Event types".

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, by, fact, fields, outcome, small, time_of};
use crate::json::Value;

fields! {
    ID = "uuid",
    TIME = "published|p_event_time",
    TYPE = "eventType",
    ACTOR = "actor.alternateId|actorName",
    ACTOR_ID = "actor.id|actorId",
    ACTOR_KIND = "actor.type",
    RESULT = "outcome.result|result",
    REASON = "outcome.reason",
    IP = "client.ipAddress|request.ipChain.0.ip|sourceIP",
    AGENT = "client.userAgent.rawUserAgent|userAgent",
    SESSION = "authenticationContext.externalSessionId",
    METHOD = "authenticationContext.credentialType|authenticationContext.authenticationProvider",
    ISSUER = "authenticationContext.issuer.id|authenticationContext.issuer",
    ASN = "securityContext.asNumber",
    TARGET = "target",
    TRACE = "debugContext.debugData.traceId",
    TOKEN = "transaction.detail.requestApiTokenId",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "okta_system",
    envelopes: &["events"],
    marks: &[
        (95, &[Mark::Has("eventType"), Mark::Has("published"), Mark::Has("outcome.result")]),
        (90, &[Mark::Has("eventType"), Mark::Has("actor.alternateId"), Mark::Has("severity")]),
        (85, &[Mark::Has("eventType"), Mark::Has("legacyEventType")]),
        (70, &[Mark::Has("eventType"), Mark::Has("actorId"), Mark::Has("sourceIP")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "actor",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let kind = row.str(TYPE).ok_or_else(|| Reject::malformed("eventType", "no eventType: what was done is not said"))?;
    let org = scene.cluster.clone();
    let mut event = scene.event(time, activity(kind), kind);
    actor(&mut event, row, &org);
    event.outcome = match row.str(RESULT) {
        Some("CHALLENGE" | "UNANSWERED" | "ABANDONED") | None => Outcome::Unknown,
        Some(word) => outcome(word).unwrap_or_default(),
    };
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(REASON) };
    event.source_ip = row.address(IP);
    event.source_asn = row.integer(ASN);
    event.user_agent = row.owned(AGENT);
    event.session = row.owned(SESSION).filter(|session| session != "unknown");
    event.trace_id = row.owned(TRACE);
    event.auth_method = row.text(METHOD).map(|method| small(&method));
    event.issuer = row.owned(ISSUER);
    if let Some(token) = row.owned(TOKEN) {
        event.credential = Some(token);
        event.credential_kind = CredentialKind::ApiToken;
    }
    event.destination_service = Some(Text::const_new("okta"));
    if let Some(target) = target(row, kind) {
        let class = target.str_at(&["type"]).unwrap_or("target");
        event.destination = target_name(target).map(|name| join(&["okta:", &org, ":", &class.to_lowercase(), "/", name]));
        event.destination_kind = Some(destination_kind(class));
    }
    let facts: Vec<_> = row.items(TARGET).filter_map(|target| credential(&event, target, kind, &org)).collect();
    scene.push(event);
    facts.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn actor(event: &mut Event, row: &Row<'_>, org: &str) {
    let id = row.text(ACTOR_ID);
    let name = row.text(ACTOR).filter(|name| name != "unknown").or_else(|| id.clone());
    let Some(name) = name else { return };
    match row.str(ACTOR_KIND) {
        Some(client) if client.ends_with("ClientApp") || client.contains("Client") || client == "ServiceApp" || client == "App" => {
            by(event, "okta", org, "client", id.as_deref().unwrap_or(&name), IdentityKind::ApiClient);
        }
        Some("SystemPrincipal") => by(event, "okta", org, "system", &name.to_lowercase(), IdentityKind::Service),
        Some("IP address") => by(event, "okta", org, "address", &name, IdentityKind::Unknown),
        Some("Device" | "UDDevice") => by(event, "okta", org, "device", &name, IdentityKind::Device),
        _ => by(event, "okta", org, "user", &name.to_lowercase(), IdentityKind::Human),
    }
}

/// What was touched: of an application's session the application, else the first that is neither a user's copy in it nor a rule.
fn target<'d>(row: &Row<'d>, kind: &str) -> Option<Value<'d>> {
    let of = |class: &str| row.items(TARGET).find(|target| target.str_at(&["type"]) == Some(class));
    let first = || row.items(TARGET).find(|target| target.is_object() && !matches!(target.str_at(&["type"]), Some("AppUser" | "PolicyRule")));
    if kind.starts_with("app") || kind == "user.authentication.sso" { of("AppInstance").or_else(first) } else { first() }.or_else(|| row.items(TARGET).next())
}

fn target_name(target: Value<'_>) -> Option<&str> {
    let named = |key: &str| target.str_at(&[key]).filter(|name| *name != "unknown");
    match target.str_at(&["type"]) {
        Some("User" | "AppUser") => named("alternateId").or_else(|| named("id")),
        _ => named("id").or_else(|| named("alternateId")).or_else(|| named("displayName")),
    }
    .or_else(|| target.as_text())
}

fn destination_kind(class: &str) -> Text {
    match class {
        "AppInstance" | "AppUser" | "PublicClientApp" => Text::const_new("application"),
        "User" => Text::const_new("user"),
        "UserGroup" | "AppGroup" => Text::const_new("group"),
        other => Text::from(other.to_lowercase()),
    }
}

/// What the record says of a credential among its targets.
fn credential(event: &Event, target: Value<'_>, kind: &str, org: &str) -> Option<Box<Event>> {
    if event.outcome != Outcome::Success {
        return None;
    }
    let id = target.str_at(&["id"]).filter(|id| *id != "unknown").map(Text::from);
    let class = target.str_at(&["type"])?;
    let token = |word: &str| class.eq_ignore_ascii_case(word);
    let (activity, credential_kind) = match kind {
        "system.api_token.create" => (Activity::Issue, CredentialKind::ApiToken),
        "system.api_token.revoke" | "system.api_token.disable" => (Activity::Revoke, CredentialKind::ApiToken),
        _ if token("access_token") || token("refresh_token") || token("id_token") || token("code") => {
            let revoked = kind.contains("revoke");
            if !revoked && !kind.contains("token.grant") {
                return None;
            }
            (if revoked { Activity::Revoke } else { Activity::Issue }, CredentialKind::OauthToken)
        }
        _ if kind.starts_with("app.oauth2.credentials.lifecycle") => match kind.rsplit('.').next()? {
            "create" | "activate" => (Activity::Issue, CredentialKind::Password),
            _ => (Activity::Revoke, CredentialKind::Password),
        },
        "user.account.reset_password" | "user.account.update_password" if class == "User" => (Activity::Rotate, CredentialKind::Password),
        _ => return None,
    };
    let mut told = fact(event, activity, id, credential_kind);
    if credential_kind == CredentialKind::Password && class == "User" {
        by(&mut told, "okta", org, "user", &target_name(target)?.to_lowercase(), IdentityKind::Human);
        told.credential = None;
    } else if credential_kind == CredentialKind::Password {
        by(&mut told, "okta", org, "client", target_name(target)?, IdentityKind::ApiClient);
    }
    told.credential_expires_at = target.at(&["detailEntry", "expires"]).and_then(time_of);
    told.issuer = Some(join(&["okta:", org]));
    Some(told)
}

fn activity(kind: &str) -> Activity {
    let last = kind.rsplit('.').next().unwrap_or(kind);
    match kind {
        "user.session.end" | "user.session.clear" => Activity::End,
        "user.session.start" | "user.session.impersonation.initiate" | "policy.evaluate_sign_on" => Activity::Authenticate,
        _ if kind.starts_with("user.authentication.") => Activity::Authenticate,
        _ if kind.contains("token.grant") => Activity::Authenticate,
        _ if kind.contains("privilege") || kind.starts_with("iam.") || kind.starts_with("group.user_membership.add") => match last {
            "revoke" | "remove" | "delete" => Activity::Configure,
            _ => Activity::Grant,
        },
        "application.user_membership.add" => Activity::Grant,
        _ if kind.contains(".lifecycle.") || kind.contains(".mfa.") || kind.starts_with("policy.") || kind.starts_with("zone.") => Activity::Configure,
        _ => match last {
            "add"
            | "create"
            | "update"
            | "delete"
            | "remove"
            | "activate"
            | "deactivate"
            | "enable"
            | "disable"
            | "revoke"
            | "reset_password"
            | "update_password"
            | "deactivated"
            | "config_change_detected"
            | "agent_instance_added" => Activity::Configure,
            _ => Activity::Use,
        },
    }
}
