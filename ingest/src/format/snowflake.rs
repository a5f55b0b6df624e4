//! Snowflake's login history and access history (`ACCOUNT_USAGE`), as JSON rows of the views.
//!
//! A login with a key pair, a programmatic access token or a workload's federated token is a machine's; one over SAML or with a second factor is a person's; a password alone tells
//! neither, unless the row has the user's type. A row of the access history gives one event per object that was touched.
//!
//! Source: Snowflake, "`LOGIN_HISTORY` view", "`ACCESS_HISTORY` view", "Types of users".

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, by, fields, small};
use crate::json::Value;

fields! {
    ID = "EVENT_ID|QUERY_ID",
    TIME = "EVENT_TIMESTAMP|QUERY_START_TIME",
    KIND = "EVENT_TYPE",
    USER = "USER_NAME",
    USER_KIND = "USER_TYPE",
    IP = "CLIENT_IP",
    CLIENT = "REPORTED_CLIENT_TYPE",
    VERSION = "REPORTED_CLIENT_VERSION",
    FIRST = "FIRST_AUTHENTICATION_FACTOR",
    SECOND = "SECOND_AUTHENTICATION_FACTOR",
    SUCCESS = "IS_SUCCESS",
    CODE = "ERROR_CODE",
    MESSAGE = "ERROR_MESSAGE",
    CONNECTION = "CONNECTION",
    ACCOUNT = "ACCOUNT_NAME|ORGANIZATION_NAME",
    CREDENTIAL = "FIRST_AUTHENTICATION_FACTOR_ID",
    OBJECTS = "BASE_OBJECTS_ACCESSED|DIRECT_OBJECTS_ACCESSED",
    MODIFIED = "OBJECTS_MODIFIED",
    QUERY = "QUERY_ID",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "snowflake",
    envelopes: &[],
    marks: &[
        (92, &[Mark::Has("EVENT_TIMESTAMP"), Mark::Has("USER_NAME"), Mark::Has("FIRST_AUTHENTICATION_FACTOR")]),
        (90, &[Mark::Has("EVENT_TIMESTAMP"), Mark::Has("USER_NAME"), Mark::Has("IS_SUCCESS")]),
        (92, &[Mark::Has("QUERY_START_TIME"), Mark::Has("USER_NAME"), Mark::Has("DIRECT_OBJECTS_ACCESSED")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "USER_NAME",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let account = row.owned(ACCOUNT).unwrap_or_else(|| scene.cluster.clone());
    let is_access = row.has(QUERY) && !row.has(KIND);
    let (activity, action) = if is_access { (Activity::Use, "query") } else { (Activity::Authenticate, row.str(KIND).unwrap_or("LOGIN")) };
    let mut event = scene.event(time, activity, action);
    if let Some(user) = row.text(USER) {
        by(&mut event, "snowflake", &account, "user", &user, kind(row));
    }
    event.destination_service = Some(Text::const_new("snowflake"));
    if is_access {
        event.outcome = Outcome::Success;
        event.session = row.owned(QUERY);
        return access(&event, row, scene, &account);
    }
    event.outcome = row.outcome(SUCCESS).unwrap_or_default();
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(MESSAGE).or_else(|| row.owned(CODE)) };
    event.source_ip = row.address(IP).filter(|ip| ip != "0.0.0.0");
    event.user_agent = row.text(CLIENT).map(|client| join(&[&client, " ", row.text(VERSION).as_deref().unwrap_or_default()]));
    event.auth_method = row.text(FIRST).map(|factor| small(&factor));
    event.credential = row.owned(CREDENTIAL);
    event.credential_kind = match row.str(FIRST) {
        Some("PASSWORD") => CredentialKind::Password,
        Some("RSA_KEYPAIR") => CredentialKind::Jwt,
        Some("PROGRAMMATIC_ACCESS_TOKEN") => CredentialKind::ApiToken,
        Some(factor) if factor.starts_with("OAUTH") => CredentialKind::OauthToken,
        Some(factor) if factor.starts_with("SAML") => CredentialKind::SamlAssertion,
        Some(factor) if factor.starts_with("WORKLOAD_IDENTITY") => CredentialKind::Jwt,
        _ => CredentialKind::Unknown,
    };
    event.destination =
        Some(row.text(CONNECTION).map_or_else(|| join(&["snowflake:", &account]), |connection| join(&["snowflake:", &account, "/", &connection])));
    event.destination_kind = Some(Text::const_new("database"));
    scene.push(event);
    Ok(())
}

fn kind(row: &Row<'_>) -> IdentityKind {
    match (row.str(USER_KIND), row.str(FIRST)) {
        (Some("SERVICE" | "LEGACY_SERVICE" | "SNOWFLAKE_SERVICE"), _) => IdentityKind::Service,
        (Some("PERSON"), _) => IdentityKind::Human,
        (_, Some("RSA_KEYPAIR" | "PROGRAMMATIC_ACCESS_TOKEN")) => IdentityKind::Service,
        (_, Some(factor)) if factor.starts_with("WORKLOAD_IDENTITY") => IdentityKind::Workload,
        (_, Some(factor)) if factor.starts_with("SAML") || factor == "ID_TOKEN" => IdentityKind::Human,
        _ if row.has(SECOND) => IdentityKind::Human,
        _ => IdentityKind::Unknown,
    }
}

/// One event per object that a query read or changed.
fn access(event: &Event, row: &Row<'_>, scene: &mut Scene<'_>, account: &str) -> Result<(), Reject> {
    const OBJECTS_MAX: usize = 256;
    let mut push = |object: Value<'_>, action: &'static str| {
        let Some(name) = object.str_at(&["objectName"]) else { return };
        let class = object.str_at(&["objectDomain"]).unwrap_or("table").to_lowercase();
        scene.push(Event {
            action: Some(Text::const_new(action)),
            destination: Some(join(&["snowflake:", account, "/", name])),
            destination_kind: Some(Text::from(class)),
            ..event.clone()
        });
    };
    row.items(OBJECTS).take(OBJECTS_MAX).for_each(|object| push(object, "query.read"));
    row.items(MODIFIED).take(OBJECTS_MAX).for_each(|object| push(object, "query.write"));
    Ok(())
}
