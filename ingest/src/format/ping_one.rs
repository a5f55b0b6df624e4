//! PingOne's audit activities, as its API and its webhooks write them.
//!
//! A user among the actors is a person; a client alone (or a worker, a gateway) is a machine: `ping_one:<environment>:client/<id>`. An activity without actors was PingOne's own.
//! Secrets of applications, keys and certificates that were created, rotated or deleted are facts.
//!
//! Source: Ping Identity, "PingOne Platform API: Audit Activities", "Audit reporting events".

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, by, fact, fields, small};
use crate::json::Value;

fields! {
    ID = "id",
    TIME = "recordedAt|createdAt",
    ACTION = "action.type",
    STATUS = "result.status",
    REASON = "result.description",
    ENVIRONMENT = "actors.user.environment.id|actors.client.environment.id|resources.0.environment.id",
    USER = "actors.user.id",
    CLIENT = "actors.client.id",
    CLIENT_KIND = "actors.client.type",
    RESOURCES = "resources",
    SESSION = "correlationId",
    IP = "source.ipAddress|ipAddress",
    AGENT = "source.userAgent|userAgent",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "ping_one",
    envelopes: &["activities"],
    marks: &[(95, &[Mark::Has("recordedAt"), Mark::Has("action.type")]), (90, &[Mark::Has("action.type"), Mark::Has("result.status"), Mark::Has("resources")])],
    fields: &FIELDS,
    id: None,
    who: "actors",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let action = row.str(ACTION).ok_or_else(|| Reject::malformed("action.type", "no action.type: what was done is not said"))?;
    // An activity's id is its own; some exports give several activities one, so the moment and the action count too.
    scene.set_id(row.str(ID).map(|id| join(&[id, "/", &time.0.to_string(), "/", action])));
    let environment = row.owned(ENVIRONMENT).unwrap_or_else(|| scene.cluster.clone());
    let mut event = scene.event(time, activity(action), action);
    if let Some(user) = row.str(USER) {
        by(&mut event, "ping_one", &environment, "user", user, IdentityKind::Human);
    } else if let Some(client) = row.str(CLIENT) {
        by(&mut event, "ping_one", &environment, "client", client, IdentityKind::ApiClient);
        event.auth_method = row.text(CLIENT_KIND).map(|kind| small(&kind));
    } else {
        by(&mut event, "ping_one", &environment, "system", "ping_one", IdentityKind::Service);
    }
    event.session = row.owned(SESSION);
    event.source_ip = row.address(IP);
    event.user_agent = row.owned(AGENT);
    event.outcome = row.outcome(STATUS).unwrap_or(if action.contains("FAIL") { Outcome::Failure } else { Outcome::Unknown });
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(REASON) };
    event.destination_service = Some(Text::const_new("ping_one"));
    let resource = row.items(RESOURCES).next();
    if let Some((resource, id)) = resource.and_then(|resource| Some((resource, resource.str_at(&["id"]).or_else(|| resource.str_at(&["name"]))?))) {
        let class = resource.str_at(&["type"]).unwrap_or("resource").to_lowercase();
        event.destination = Some(join(&["ping_one:", &environment, ":", &class, "/", id]));
        event.destination_kind = Some(Text::from(class));
    }
    let told = resource.and_then(|resource| lifecycle(&event, resource, action, &environment));
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn activity(action: &str) -> Activity {
    let (object, verb) = action.rsplit_once('.').unwrap_or((action, ""));
    match verb {
        "ACCESS_ALLOWED" | "ACCESS_DENIED" | "CHECK_SUCCEEDED" | "CHECK_FAILED" | "SUCCEEDED" => Activity::Authenticate,
        _ if object.contains("SESSION") => {
            if verb == "DELETED" {
                Activity::End
            } else {
                Activity::Authenticate
            }
        }
        _ if object.contains("ROLE_ASSIGNMENT") || object == "GRANT" => {
            if verb == "CREATED" {
                Activity::Grant
            } else {
                Activity::Configure
            }
        }
        "CREATED" | "UPDATED" | "DELETED" | "SET" | "RESET" | "ENABLED" | "DISABLED" | "LOCKED" | "UNLOCKED" | "ROTATED" => Activity::Configure,
        _ => Activity::Use,
    }
}

fn lifecycle(event: &Event, resource: Value<'_>, action: &str, environment: &str) -> Option<Box<Event>> {
    if event.outcome != Outcome::Success {
        return None;
    }
    let (object, verb) = action.rsplit_once('.')?;
    let id = resource.str_at(&["id"])?;
    let (kind, client) = match object {
        "SECRET" | "APPLICATION_SECRET" | "CLIENT_SECRET" => (CredentialKind::Password, true),
        "KEY" | "CERTIFICATE" => (CredentialKind::X509, false),
        "ACCESS_TOKEN" | "TOKEN" | "REFRESH_TOKEN" => (CredentialKind::OauthToken, false),
        "PASSWORD" => (CredentialKind::Password, false),
        _ => return None,
    };
    let activity = match verb {
        "CREATED" | "ISSUED" if kind != CredentialKind::Password || client => Activity::Issue,
        "UPDATED" | "ROTATED" | "RESET" | "SET" | "CHANGED" => Activity::Rotate,
        "DELETED" | "REVOKED" => Activity::Revoke,
        _ => return None,
    };
    let mut told = fact(event, activity, (kind != CredentialKind::Password).then(|| Text::from(id)), kind);
    if client {
        by(&mut told, "ping_one", environment, "client", id, IdentityKind::ApiClient);
    } else if object == "PASSWORD" {
        by(&mut told, "ping_one", environment, "user", id, IdentityKind::Human);
    }
    Some(told)
}
