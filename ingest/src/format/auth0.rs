//! Auth0's tenant logs, as its log streams and its Management API write them.
//!
//! A client that exchanged its own credentials (`seccft`, `feccft`) or called the Management API with a token of its own is a machine:
//! `auth0:<tenant>:client/<client_id>`. Whatever names a user is a person's: `auth0:<tenant>:user/<user_id>`. Successful exchanges issue a token; rotated and
//! deleted client secrets and revoked tokens are facts of the client.
//!
//! Source: Auth0, "Log Event Type Codes" and "Logs" of the Management API.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, by, fact, fields};

mod code;

fields! {
    ID = "log_id|data.log_id|_id",
    TIME = "data.date|date|p_event_time",
    TYPE = "data.type|type",
    DESCRIPTION = "data.description|description",
    CLIENT = "data.client_id|client_id|data.details.qs.client_id|details.qs.client_id|data.details.body.client_id",
    USER = "data.user_id|user_id|data.details.request.auth.user.user_id|details.request.auth.user.user_id",
    USER_NAME = "data.user_name|user_name|data.details.request.auth.user.email|details.request.auth.user.email",
    IP = "data.ip|ip|data.details.request.ip",
    AGENT = "data.user_agent|user_agent",
    AUDIENCE = "data.audience|audience",
    HOST = "data.hostname|hostname",
    TENANT = "data.tenant_name|tenant_name|data.details.body.tenant|data.$event_schema.tenant",
    JTI = "data.details.request.auth.credentials.jti|details.request.auth.credentials.jti|data.details.accessTokenJti",
    METHOD = "data.details.request.method|details.request.method",
    PATH = "data.details.request.path|details.request.path",
    STATUS = "data.details.response.statusCode|details.response.statusCode",
    SESSION = "data.session_id|data.details.session_id|details.session_id",
    STRATEGY = "data.details.request.auth.strategy|data.strategy|strategy",
    CODE = "data.details.error.payload.code|data.details.error.oauthError|data.details.error.type",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "auth0",
    envelopes: &[],
    marks: &[
        (92, &[Mark::Has("data.date"), Mark::Has("data.type"), Mark::Has("data.log_id")]),
        (92, &[Mark::Has("log_id"), Mark::Has("data.type"), Mark::Has("data.date")]),
        (85, &[Mark::Has("data.date"), Mark::Has("data.type"), Mark::Has("data.client_id")]),
        (85, &[Mark::Has("date"), Mark::Has("type"), Mark::Has("log_id")]),
        (82, &[Mark::Has("data.type"), Mark::Has("data.date"), Mark::Has("data.details")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "data.client_id",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let code = row.str(TYPE).ok_or_else(|| Reject::malformed("data.type", "no type: what was done is not said"))?;
    let tenant =
        row.owned(TENANT).or_else(|| row.str(HOST).map(|host| Text::from(host.split('.').next().unwrap_or(host)))).unwrap_or_else(|| scene.cluster.clone());
    let meaning = code::of(code);
    let mut event = scene.event(time, meaning.activity, code);
    event.outcome = match row.integer(STATUS) {
        Some(401 | 403) => Outcome::Denied,
        Some(400..) => Outcome::Failure,
        _ => meaning.outcome,
    };
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(CODE).or_else(|| row.owned(DESCRIPTION)) };
    let client = row.str(CLIENT);
    match (client, row.str(USER).or_else(|| row.str(USER_NAME))) {
        (Some(client), None) => by(&mut event, "auth0", &tenant, "client", client, IdentityKind::ApiClient),
        (Some(client), Some(user)) if meaning.by_client || user.ends_with("@clients") => {
            by(&mut event, "auth0", &tenant, "client", user.strip_suffix("@clients").unwrap_or(client), IdentityKind::ApiClient);
        }
        (_, Some(user)) => by(&mut event, "auth0", &tenant, "user", user, IdentityKind::Human),
        (None, None) => match row.address(IP) {
            Some(address) => by(&mut event, "auth0", &tenant, "address", &address, IdentityKind::Unknown),
            None => by(&mut event, "auth0", &tenant, "system", "auth0", IdentityKind::Service),
        },
    }
    event.source_ip = row.address(IP);
    event.user_agent = row.owned(AGENT);
    event.session = row.owned(SESSION);
    event.auth_method = row.owned(STRATEGY);
    if let Some(jti) = row.owned(JTI) {
        event.credential = Some(jti);
        event.credential_kind = CredentialKind::Jwt;
    }
    event.issuer = Some(join(&["auth0:", &tenant]));
    let is_api = row.has(PATH);
    let destination = if is_api {
        row.str(PATH).map(|path| ("api", Text::from(path.trim_start_matches('/'))))
    } else {
        row.owned(AUDIENCE).map(|audience| ("api", audience))
    };
    if let Some((kind, name)) =
        destination.or_else(|| client.filter(|_| event.identity_kind == IdentityKind::Human).map(|client| ("application", Text::from(client))))
    {
        event.destination = Some(join(&["auth0:", &tenant, ":", kind, "/", &name]));
        event.destination_kind = Some(Text::const_new(kind));
        event.destination_service = Some(Text::const_new("auth0"));
    }
    let told = lifecycle(&event, row, code, &tenant);
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn lifecycle(event: &Event, row: &Row<'_>, code: &str, tenant: &str) -> Option<Box<Event>> {
    if event.outcome != Outcome::Success {
        return None;
    }
    let path = row.str(PATH).unwrap_or_default();
    let method = row.str(METHOD).unwrap_or_default();
    let mut told = match code {
        "seccft" | "seacft" | "serft" | "sepft" | "sede" | "secct" | "seoobft" | "seotpft" | "sercft" => {
            fact(event, Activity::Issue, None, CredentialKind::OauthToken)
        }
        "srrt" | "revoke" => fact(event, Activity::Revoke, None, CredentialKind::OauthToken),
        "scp" | "scpr" => fact(event, Activity::Rotate, None, CredentialKind::Password),
        "sapi" | "mgmt_api_read" if method.eq_ignore_ascii_case("post") && path.contains("/rotate-secret") => {
            fact(event, Activity::Rotate, None, CredentialKind::Password)
        }
        "sapi" if path.contains("/credentials") && path.contains("/clients/") => {
            let activity = if method.eq_ignore_ascii_case("delete") { Activity::Revoke } else { Activity::Issue };
            fact(event, activity, path.split("/credentials/").nth(1).map(Text::from), CredentialKind::Jwt)
        }
        _ => return None,
    };
    if let Some(client) = path.split_once("/clients/").and_then(|(_, rest)| rest.split('/').next()) {
        by(&mut told, "auth0", tenant, "client", client, IdentityKind::ApiClient);
    }
    Some(told)
}
