//! Entra's directory audit: who changed which principal, and which credentials it was given or lost.
//!
//! A change of an application's secrets, certificates or federated credentials gives one event for who made it and one for each credential that came or
//! went, of the application or principal that owns it. What is new in `newValue` of `KeyDescription` was issued, what is gone from it was revoked.
//! An application that acted is a machine, a user a person.
//!
//! Source: Microsoft Graph, "directoryAudit resource type"; Microsoft Entra, "Audit log activities", Core Directory.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::federated;
use super::identity::{application, person, tenant_of};
use super::key::{self, Key};
use crate::format::Reject;
use crate::format::join::join;
use crate::format::kit::{Mark, Row, Scene, Shape, fact, fields, words};
use crate::json::Value;

fields! {
    ID = "properties.id|id",
    TIME = "properties.activityDateTime|activityDateTime|time|p_event_time",
    ACTION = "properties.activityDisplayName|activityDisplayName|operationName",
    TENANT = "tenantId|properties.tenantId",
    SCOPE = "resourceId",
    RESULT = "properties.result|result|resultType",
    REASON = "properties.resultReason|resultReason|resultDescription",
    APP_ID = "properties.initiatedBy.app.appId|initiatedBy.app.appId",
    APP_PRINCIPAL = "properties.initiatedBy.app.servicePrincipalId|initiatedBy.app.servicePrincipalId",
    APP_NAME = "properties.initiatedBy.app.displayName|initiatedBy.app.displayName",
    USER = "properties.initiatedBy.user.userPrincipalName|initiatedBy.user.userPrincipalName",
    USER_ID = "properties.initiatedBy.user.id|initiatedBy.user.id",
    IDENTITY = "identity",
    IP = "properties.initiatedBy.user.ipAddress|initiatedBy.user.ipAddress|callerIpAddress",
    TARGETS = "properties.targetResources|targetResources",
    DETAILS = "properties.additionalDetails|additionalDetails",
    SERVICE = "properties.loggedByService|loggedByService",
    SESSION = "properties.correlationId|correlationId",
    AGENT = "properties.userAgent|userAgent",
}

pub(in crate::format) static FORMAT: Shape = Shape {
    name: "entra_audit",
    envelopes: &["records", "value"],
    marks: &[
        (95, &[Mark::Is("category", "AuditLogs")]),
        (92, &[Mark::Has("properties.initiatedBy"), Mark::Has("properties.targetResources")]),
        (90, &[Mark::Has("initiatedBy"), Mark::Has("targetResources"), Mark::Has("activityDateTime")]),
        (85, &[Mark::Has("initiatedBy"), Mark::Has("targetResources")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "properties.initiatedBy",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let action = row.str(ACTION).map(str::trim).ok_or_else(|| Reject::malformed("operationName", "no activityDisplayName: what was done is not said"))?;
    let tenant = row.str(TENANT).or_else(|| row.str(SCOPE).and_then(tenant_of)).unwrap_or(scene.cluster).to_lowercase();
    let mut event = scene.event(time, activity(action), action);
    if !(row.has(USER) || row.has(USER_ID)) || !person(&mut event, &tenant, row.str(USER), row.str(USER_ID)) {
        application(&mut event, &tenant, row.str(APP_ID), row.str(APP_PRINCIPAL), row.str(APP_NAME).or_else(|| row.str(IDENTITY)), IdentityKind::Service);
    }
    event.outcome = row.outcome(RESULT).unwrap_or(Outcome::Unknown);
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(REASON) };
    event.source_ip = row.address(IP);
    event.user_agent = row.owned(AGENT).or_else(|| detail(row, "User-Agent").map(Text::from));
    event.session = row.owned(SESSION);
    event.destination_service = row.owned(SERVICE);
    let target = row.items(TARGETS).next();
    if let Some(target) = target {
        event.destination = id_of(target).map(|id| join(&["entra:", &tenant, ":", &class_of(target), "/", id]));
        event.destination_kind = Some(Text::from(class_of(target)));
    }
    let facts = match target {
        Some(target) if event.outcome == Outcome::Success => facts(&event, target, row, action, &tenant),
        _ => Vec::new(),
    };
    scene.push(event);
    facts.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn id_of(target: Value<'_>) -> Option<&str> {
    target.str_at(&["userPrincipalName"]).or_else(|| target.str_at(&["id"])).or_else(|| target.str_at(&["displayName"]))
}

fn class_of(target: Value<'_>) -> String {
    match target.str_at(&["type"]) {
        Some("ServicePrincipal") => "principal".to_owned(),
        Some("Other") | None => "object".to_owned(),
        Some(class) => class.to_lowercase(),
    }
}

/// What the target's changed properties tell of credentials.
fn facts(event: &Event, target: Value<'_>, row: &Row<'_>, action: &str, tenant: &str) -> Vec<Box<Event>> {
    let mut owner = event.clone();
    let is_app = matches!(target.str_at(&["type"]), Some("ServicePrincipal" | "Application"));
    let mut facts = Vec::new();
    let named = if is_app {
        application(
            &mut owner,
            tenant,
            detail(row, "AppId").or_else(|| property(target, "AppId")),
            target.str_at(&["id"]),
            target.str_at(&["displayName"]),
            IdentityKind::Service,
        )
    } else {
        person(&mut owner, tenant, target.str_at(&["userPrincipalName"]), target.str_at(&["id"]))
    };
    if !named {
        return facts;
    }
    let jwt = |id| Key { id, kind: CredentialKind::Jwt, begins: None, ends: None };
    let mut add = |activity, key: Option<Key>, kind, parent: Option<&Text>| {
        let mut told = fact(event, activity, key.as_ref().map(|key| key.id.clone()), kind);
        told.identity.clone_from(&owner.identity);
        told.identity_kind = owner.identity_kind;
        told.issuer = Some(join(&["entra:", tenant]));
        if let Some(key) = key {
            told.credential_issued_at = key.begins.or(told.credential_issued_at);
            told.credential_expires_at = key.ends;
        }
        if parent.is_some() {
            told.credential_parent = parent.cloned();
        }
        facts.push(told);
    };
    if !is_app {
        let word = action.to_lowercase();
        if word.contains("reset") && word.contains("password") || word.contains("change") && word.contains("password") {
            add(Activity::Rotate, None, CredentialKind::Password, None);
        }
        return facts;
    }
    let properties = target.get("modifiedProperties").into_iter().flat_map(|list| list.items().chain(list.entries().map(|(_, item)| item)));
    for change in properties {
        let name = change.str_at(&["displayName"]).unwrap_or_default();
        let text = |key: &str| change.get(key).map(|value| value.as_str().map_or_else(|| value.to_json(), str::to_owned)).unwrap_or_default();
        if name == "FederatedIdentityCredentials" {
            let (old, new) = (federated::listed(&text("oldValue")), federated::listed(&text("newValue")));
            for one in new.iter().filter(|one| !old.contains(one)) {
                add(Activity::Issue, one.id.clone().map(jwt), CredentialKind::Jwt, Some(&one.subject));
            }
            for one in old.iter().filter(|one| !new.contains(one)) {
                add(Activity::Revoke, one.id.clone().map(jwt), CredentialKind::Jwt, None);
            }
            if old.is_empty() && new.is_empty() {
                let added = action.to_lowercase().starts_with("add");
                add(if added { Activity::Issue } else { Activity::Revoke }, None, CredentialKind::Jwt, None);
            }
        }
        if !matches!(name, "KeyDescription" | "KeyCredentials" | "PasswordCredentials" | "Key Description") {
            continue;
        }
        let (old, new) = (key::listed(&text("oldValue")), key::listed(&text("newValue")));
        for key in new.iter().filter(|key| !old.iter().any(|old| old.id == key.id)) {
            add(Activity::Issue, Some(key.clone()), key.kind, None);
        }
        for key in old.iter().filter(|key| !new.iter().any(|new| new.id == key.id)) {
            add(Activity::Revoke, Some(key.clone()), key.kind, None);
        }
    }
    facts
}

fn property<'d>(target: Value<'d>, name: &str) -> Option<&'d str> {
    let found = target.get("modifiedProperties")?.items().find(|change| change.str_at(&["displayName"]) == Some(name))?;
    found.str_at(&["newValue"]).map(|value| value.trim_matches('"'))
}

fn detail<'d>(row: &Row<'d>, key: &str) -> Option<&'d str> {
    row.items(DETAILS).find(|detail| detail.str_at(&["key"]).is_some_and(|own| own.eq_ignore_ascii_case(key)))?.str_at(&["value"])
}

words! {
    LOGINS = ["sign in", "sign-in"];
    GRANTS = [
        "consent to application",
        "add app role assignment",
        "add delegated permission",
        "add member to role",
        "add eligible member",
        "add member to group",
        "add owner to",
        "oauth2permissiongrant",
    ];
}

fn activity(action: &str) -> Activity {
    let said = WORDS.said_in(action);
    if said.has(LOGINS) {
        Activity::Authenticate
    } else if said.has(GRANTS) {
        Activity::Grant
    } else {
        Activity::Configure
    }
}
