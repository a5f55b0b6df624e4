//! OCSF 1.0 to 1.5, any class in which an identity does something: Identity & Access Management (3xxx) and Application Activity (6xxx), as exporters,
//! Amazon Security Lake and keytrail itself write them (as JSON). Findings, network, system and discovery classes say nothing about a machine identity
//! unless they name an actor's user, and are read then only if they are of these categories.
//!
//! Who acted is the actor's user, else the user, else the service. AWS names become what `cloudtrail` makes of them, Kubernetes names what `k8s_audit` makes, so that both roads lead to
//! one identity; keytrail's own export comes back as it was. A user's type (`System`, `Service`, …) tells a machine, as do AWS roles and services.
//!
//! Source: OCSF, "Schema browser" 1.0.0 to 1.5.0; AWS, "Open Cybersecurity Schema Framework in Security Lake".

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, fact, fields, small};
use crate::json::Value;

mod identity;

fields! {
    ID = "metadata.uid|metadata.original_event_uid",
    TIME = "time|time_dt|start_time",
    CLASS = "class_uid",
    CATEGORY = "category_uid",
    ACTIVITY = "activity_id",
    ACTIVITY_NAME = "activity_name|activity",
    OPERATION = "api.operation|metadata.event_code",
    SERVICE = "api.service.name|service.name|dst_endpoint.svc_name",
    STATUS = "status_id",
    STATUS_NAME = "status",
    REASON = "status_detail|status_code|api.response.error|api.response.message",
    ERROR = "api.response.error|api.response.code",
    PRODUCT = "metadata.product.name",
    VENDOR = "metadata.product.vendor_name",
    PROVIDER = "cloud.provider",
    ACCOUNT = "cloud.account.uid|cloud.account_uid|actor.user.account.uid|actor.user.account_uid",
    USER_UID = "actor.user.uid|actor.user.uuid|actor.idp.uid",
    USER_NAME = "actor.user.name|actor.user.email_addr",
    USER_KIND = "actor.user.type",
    USER_CREDENTIAL = "actor.user.credential_uid|actor.session.credential_uid|user.credential_uid",
    SUBJECT_UID = "user.uid|user.uuid",
    SUBJECT_NAME = "user.name|user.email_addr",
    SUBJECT_KIND = "user.type",
    INVOKED = "actor.invoked_by|actor.app_name|actor.process.name",
    SESSION = "session.uid|actor.session.uid",
    SESSION_CREATED = "session.created_time|actor.session.created_time|actor.session.created_time_dt|session.created_time_dt",
    SESSION_EXPIRES = "session.expiration_time|actor.session.expiration_time",
    SESSION_ISSUER = "session.issuer|actor.session.issuer",
    TOKEN = "authentication_token.uid|session.token.uid",
    PROTOCOL = "auth_protocol",
    IP = "src_endpoint.ip",
    HOST = "src_endpoint.hostname|src_endpoint.name",
    COUNTRY = "src_endpoint.location.country",
    ASN = "src_endpoint.autonomous_system.number",
    AGENT = "http_request.user_agent",
    RESOURCES = "resources|resource",
    DESTINATION = "dst_endpoint.hostname|dst_endpoint.name|dst_endpoint.ip|dst_endpoint.svc_name",
    ENTITY = "entity",
    GROUP = "group.name",
    OWN = "unmapped",
    IS_REMOTE_SERVICE = "src_endpoint.svc_name",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "ocsf",
    envelopes: &[],
    marks: &[(95, &[Mark::Has("class_uid"), Mark::Has("metadata.version")]), (88, &[Mark::Has("class_uid"), Mark::Has("category_uid"), Mark::Has("type_uid")])],
    fields: &FIELDS,
    id: None,
    who: "actor.user",
    read,
};

const IDENTITY_CATEGORY: i64 = 3;
const APPLICATION_CATEGORY: i64 = 6;

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let class = row.integer(CLASS).ok_or_else(|| Reject::malformed("class_uid", "no class_uid: the class of the event is not said"))?;
    if !matches!(row.integer(CATEGORY).unwrap_or(class / 1_000), IDENTITY_CATEGORY | APPLICATION_CATEGORY) {
        return Ok(());
    }
    let time = row.moment(TIME)?;
    scene.set_id(row.text(ID).map(|id| join(&[row.str(PRODUCT).unwrap_or_default(), "/", &id])));
    let action = row.str(OPERATION).or_else(|| row.str(ACTIVITY_NAME)).unwrap_or("event");
    let mut event = scene.event(time, activity(class, row), action);
    let named = identity::own(&mut event, row) || identity::of(&mut event, row, scene.cluster);
    if !named {
        return Err(Reject::no_identity("actor.user", "no actor.user, user or invoking service: nobody is named"));
    }
    event.outcome = match (row.integer(STATUS), row.str(STATUS_NAME)) {
        (Some(1), _) => Outcome::Success,
        (Some(2), _) => failure(row),
        (_, Some(word)) => match super::kit::outcome(word) {
            Some(Outcome::Failure) => failure(row),
            known => known.unwrap_or_default(),
        },
        _ => Outcome::Unknown,
    };
    event.reason = if event.outcome == Outcome::Success { None } else { row.owned(REASON) };
    event.source_ip = row.address(IP);
    event.source_host = row.owned(HOST).or_else(|| row.owned(IS_REMOTE_SERVICE));
    event.source_country = row.owned(COUNTRY).filter(|country| country.len() == 2);
    event.source_asn = row.integer(ASN);
    event.user_agent = row.owned(AGENT);
    event.session = event.session.take().or_else(|| row.owned(SESSION));
    if event.credential.is_none() {
        credential(&mut event, row);
    }
    event.auth_method = event.auth_method.take().or_else(|| row.text(PROTOCOL).map(|protocol| small(&protocol)));
    destination(&mut event, row, class);
    let told = if event.activity == Activity::Issue && event.destination.is_some() { None } else { lifecycle(&event, row, class) };
    scene.push(event);
    told.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

fn failure(row: &Row<'_>) -> Outcome {
    let refused = |text: &str| {
        let text = text.to_ascii_lowercase();
        ["denied", "unauthorized", "forbidden", "not authorized"].iter().any(|word| text.contains(word))
    };
    let said = [row.text(ERROR), row.text(REASON)];
    if said.iter().flatten().any(|text| refused(text)) || matches!(row.integer(ERROR), Some(401 | 403)) { Outcome::Denied } else { Outcome::Failure }
}

fn credential(event: &mut Event, row: &Row<'_>) {
    event.credential = row.owned(USER_CREDENTIAL).or_else(|| row.owned(TOKEN));
    event.credential_kind = match event.credential.as_deref() {
        Some(id) if id.starts_with("ASIA") => CredentialKind::Session,
        Some(id) if id.starts_with("AKIA") => CredentialKind::AccessKey,
        Some(_) if row.has(TOKEN) => CredentialKind::OauthToken,
        _ => CredentialKind::Unknown,
    };
    if event.credential.is_some() {
        event.credential_issued_at = row.time(SESSION_CREATED);
        event.credential_expires_at = row.time(SESSION_EXPIRES);
        event.issuer = row.owned(SESSION_ISSUER);
    }
}

fn destination(event: &mut Event, row: &Row<'_>, class: i64) {
    let resource = row.items(RESOURCES).find_map(|resource| Some((resource, name_of(resource)?)));
    let entity = || row.value(ENTITY).and_then(|entity| Some((entity, name_of(entity)?)));
    if let Some((resource, name)) = resource.or_else(entity) {
        event.destination = Some(Text::from(name));
        event.destination_kind = resource.str_at(&["type"]).map(|kind| Text::from(kind.to_lowercase()));
    } else if matches!(class, 3001 | 3005 | 3006) {
        event.destination = row.text(SUBJECT_UID).or_else(|| row.text(SUBJECT_NAME)).or_else(|| row.text(GROUP)).map(|name| Text::from(name.as_ref()));
        event.destination_kind = event.destination.is_some().then(|| Text::const_new("user"));
    } else if let Some(name) = row.owned(DESTINATION).or_else(|| row.owned(SERVICE)) {
        event.destination = Some(name);
        event.destination_kind = Some(Text::const_new("api"));
    }
    event.destination_service = row.owned(SERVICE);
}

fn name_of(value: Value<'_>) -> Option<&str> {
    value.str_at(&["uid"]).or_else(|| value.str_at(&["name"])).or_else(|| value.str_at(&["hostname"]))
}

/// The class and what is done in it; keytrail's own export says it outright.
fn activity(class: i64, row: &Row<'_>) -> Activity {
    if let Some(own) = row.value(OWN).and_then(|own| own.str_at(&["activity"])).and_then(|word| word.parse().ok()) {
        return own;
    }
    // Before 1.0, 3005 was API Activity.
    let is_api =
        row.has(OPERATION) && class == 3005 && row.str(ACTIVITY_NAME).is_some_and(|name| matches!(name, "Create" | "Read" | "Update" | "Delete" | "Other"));
    match (class, row.integer(ACTIVITY).unwrap_or_default()) {
        _ if is_api => Activity::Use,
        (3002, 2) => Activity::End,
        (3002, _) => Activity::Authenticate,
        (3003, _) => Activity::Grant,
        (3005, 1) | (3006, 1 | 3 | 7) => Activity::Grant,
        (3001 | 3004 | 3005 | 3006, _) => Activity::Configure,
        _ => Activity::Use,
    }
}

/// Account Change: 3 password change, 4 password reset, 5 disable, 6 delete; the rest of it changes no credential.
fn lifecycle(event: &Event, row: &Row<'_>, class: i64) -> Option<Box<Event>> {
    if class != 3001 || event.outcome == Outcome::Failure || event.outcome == Outcome::Denied || row.value(OWN).is_some_and(|own| own.get("activity").is_some())
    {
        return None;
    }
    let activity = match row.integer(ACTIVITY)? {
        3 | 4 => Activity::Rotate,
        5 | 6 => Activity::Revoke,
        _ => return None,
    };
    let mut told = fact(event, activity, None, CredentialKind::Password);
    if !identity::subject(&mut told, row, &event.identity_account) {
        told.identity_kind = IdentityKind::Unknown;
    }
    Some(told)
}
