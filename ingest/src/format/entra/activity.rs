//! Azure's activity log and resource logs, as diagnostic settings and the REST API write them.
//!
//! Who acted stands in the claims of the token that was shown: `idtyp` `app`, or `appid` with `appidacr` 1 (secret) or 2 (certificate) and no user's name, is a
//! principal; a `upn` or name is a person. A record that names nobody was caused by the platform where it has no address either; else by that address.
//!
//! Source: Microsoft, "Azure Monitor activity log event schema", "Azure resource logs: common schema"; "Access token claims reference".

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::identity::{application, person};
use crate::format::Reject;
use crate::format::join::join;
use crate::format::kit::{Mark, Row, Scene, Shape, by, fields, outcome, time_of};

fields! {
    ID = "eventDataId|properties.eventDataId",
    TIME = "time|eventTimestamp|TimeGenerated|p_event_time",
    ACTION = "operationName.value|operationName",
    RESOURCE = "resourceId|properties.resourceUri|resourceUri|properties.objectKey",
    RESULT = "resultType|status.value|status|statusCode",
    SIGNATURE = "resultSignature|subStatus.value|statusCode",
    REASON = "resultDescription|properties.statusMessage|statusText",
    IP = "callerIpAddress|httpRequest.clientIpAddress|claims.ipaddr",
    CALLER = "caller|identity.claim.upn",
    TENANT = "tenantId|identity.claims.\"http://schemas.microsoft.com/identity/claims/tenantid\"|claims.\"http://schemas.microsoft.com/identity/claims/tenantid\"",
    APP = "identity.claims.appid|claims.appid|identity.claim.appid|identity.requester.appId",
    APP_AUTH = "identity.claims.appidacr|claims.appidacr",
    TYPE = "identity.claims.idtyp|claims.idtyp",
    OID = "identity.claims.\"http://schemas.microsoft.com/identity/claims/objectidentifier\"|claims.\"http://schemas.microsoft.com/identity/claims/objectidentifier\"|identity.claim.oid|identity.requester.objectId",
    EVIDENCE = "identity.authorization.evidence.principalId|authorization.evidence.principalId",
    EVIDENCE_TYPE = "identity.authorization.evidence.principalType|authorization.evidence.principalType",
    UPN = "identity.claims.\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn\"|claims.\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn\"|identity.claims.\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name\"|claims.\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name\"|identity.requester.upn",
    EMAIL = "identity.claims.\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress\"|claims.\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress\"",
    ISSUED = "identity.claims.iat|claims.iat",
    EXPIRES = "identity.claims.exp|claims.exp",
    TOKEN = "identity.claims.uti|claims.uti|properties.signInActivityId",
    ISSUER = "identity.claims.iss|claims.iss",
    SESSION = "correlationId|properties.correlationId",
    AGENT = "properties.userAgentHeader|properties.clientInfo|properties.userAgent",
    KEY_USE = "identity.type",
    KEY_HASH = "identity.tokenHash",
    MANAGED = "identity.claims.xms_mirid|claims.xms_mirid",
}

pub(in crate::format) static FORMAT: Shape = Shape {
    name: "azure_activity",
    envelopes: &["records", "value"],
    marks: &[
        (85, &[Mark::Has("resourceId"), Mark::Has("operationName"), Mark::Has("identity.claims"), Mark::Lacks("properties.log")]),
        (
            70,
            &[
                Mark::Has("resourceId"),
                Mark::Has("operationName"),
                Mark::Has("category"),
                Mark::Isnt("operationName", "Sign-in activity"),
                Mark::Lacks("properties.log"),
                Mark::Lacks("properties.initiatedBy"),
                Mark::Isnt("category", "AuditLogs"),
            ],
        ),
        (85, &[Mark::Has("eventTimestamp"), Mark::Has("operationName.value")]),
        (70, &[Mark::Has("resourceId"), Mark::Has("operationName"), Mark::Has("callerIpAddress"), Mark::Lacks("properties.appId")]),
        (70, &[Mark::Has("category"), Mark::Has("operationName"), Mark::Has("callerIpAddress"), Mark::Has("properties.accountName")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "identity.claims",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let action = row.str(ACTION).ok_or_else(|| Reject::malformed("operationName", "no operationName: what was done is not said"))?;
    let resource = row.str(RESOURCE);
    let subscription = resource.and_then(subscription).unwrap_or(scene.cluster).to_lowercase();
    let mut event = scene.event(time, activity(action), action);
    event.source_ip = row.address(IP);
    who(&mut event, row, &subscription);
    event.outcome = result(row);
    event.reason = if matches!(event.outcome, Outcome::Failure | Outcome::Denied) { row.owned(REASON).or_else(|| row.owned(SIGNATURE)) } else { None };
    event.user_agent = row.owned(AGENT);
    event.session = row.owned(SESSION);
    event.issuer = row.owned(ISSUER);
    if let Some(resource) = resource {
        event.destination = Some(join(&["azure:", &resource.to_lowercase()]));
        event.destination_kind = Some(Text::const_new(kind_of(resource)));
        event.destination_service = provider_of(resource).map(|provider| Text::from(provider.to_lowercase()));
    }
    scene.push(event);
    Ok(())
}

fn who(event: &mut Event, row: &Row<'_>, subscription: &str) {
    let tenant = row.str(TENANT).map_or_else(|| subscription.to_owned(), str::to_lowercase);
    let user = row.str(UPN).or_else(|| row.str(EMAIL)).or_else(|| row.str(CALLER).filter(|caller| caller.contains('@')));
    let principal = row.str(OID).or_else(|| row.str(EVIDENCE)).or_else(|| row.str(CALLER).filter(|caller| !caller.contains('@')));
    let machine = row.str(TYPE) == Some("app")
        || row.str(EVIDENCE_TYPE) == Some("ServicePrincipal")
        || (user.is_none() && matches!(row.text(APP_AUTH).as_deref(), Some("1" | "2")))
        || (user.is_none() && row.has(APP));
    let named = if machine {
        let kind = if row.has(MANAGED) { IdentityKind::Workload } else { IdentityKind::Service };
        application(event, &tenant, row.str(APP), principal, None, kind)
    } else {
        person(event, &tenant, user, principal)
    };
    if named {
        event.credential = row.owned(TOKEN);
        event.credential_kind = CredentialKind::OauthToken;
        event.credential_issued_at = row.value(ISSUED).and_then(time_of);
        event.credential_expires_at = row.value(EXPIRES).and_then(time_of);
        event.auth_method = match row.text(APP_AUTH).as_deref() {
            _ if row.has(MANAGED) => Some(Text::const_new("managed_identity")),
            Some("1") => Some(Text::const_new("client_secret")),
            Some("2") => Some(Text::const_new("private_key_jwt")),
            _ => None,
        };
    } else if let Some(address) = event.source_ip.clone() {
        by(event, "azure", subscription, "address", &address, IdentityKind::Unknown);
        // An account's key or a shared access signature names nobody; of it the log has a hash.
        event.credential = row.owned(KEY_HASH);
        event.auth_method = row.owned(KEY_USE);
    } else {
        by(event, "azure", subscription, "platform", "azure", IdentityKind::Service);
    }
}

fn result(row: &Row<'_>) -> Outcome {
    match row.text(RESULT).as_deref() {
        None => Outcome::Unknown,
        Some("Start" | "Started" | "Accept" | "Accepted" | "Active" | "InProgress" | "Updated" | "Resolved") => Outcome::Unknown,
        Some(word) => match word.parse::<u16>() {
            Ok(code @ 100..=599) => of_code(code),
            Ok(_) => Outcome::Unknown,
            Err(_) => match outcome(word) {
                Some(Outcome::Failure)
                    if row.text(SIGNATURE).is_some_and(|signature| matches!(signature.as_ref(), "403" | "401" | "Forbidden" | "Unauthorized")) =>
                {
                    Outcome::Denied
                }
                known => known.unwrap_or_default(),
            },
        },
    }
}

const fn of_code(code: u16) -> Outcome {
    match code {
        401 | 403 => Outcome::Denied,
        400.. => Outcome::Failure,
        _ => Outcome::Success,
    }
}

fn part_after<'a>(resource: &'a str, key: &str) -> Option<&'a str> {
    let mut parts = resource.split('/');
    parts.find(|part| part.eq_ignore_ascii_case(key))?;
    parts.next().filter(|part| !part.is_empty())
}

fn subscription(resource: &str) -> Option<&str> {
    part_after(resource, "subscriptions").or_else(|| part_after(resource, "tenants"))
}

fn provider_of(resource: &str) -> Option<&str> {
    part_after(resource, "providers")
}

fn kind_of(resource: &str) -> &'static str {
    let resource = resource.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| resource.contains(word));
    if any(&["/secrets/", "/secrets"]) {
        "secret"
    } else if any(&["/keys/", "microsoft.keyvault"]) {
        "key"
    } else if any(&["microsoft.storage"]) {
        "bucket"
    } else if any(&["microsoft.sql", "microsoft.documentdb", "microsoft.dbfor"]) {
        "database"
    } else if any(&["virtualmachines"]) {
        "host"
    } else if any(&["microsoft.eventhub", "microsoft.servicebus"]) {
        "topic"
    } else {
        "api"
    }
}

fn activity(action: &str) -> Activity {
    let word = action.to_ascii_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| word.ends_with(end));
    if word.contains("roleassignments/write") || word.contains("elevateaccess") || word.contains("roledefinitions/write") {
        Activity::Grant
    } else if [
        "microsoft.authorization",
        "microsoft.managedidentity",
        "diagnosticsettings",
        "microsoft.keyvault/vaults/accesspolicies",
        "firewallrules",
        "networksecuritygroups",
        "policy",
    ]
    .iter()
    .any(|part| word.contains(part))
        && ends(&["/write", "/delete", "/action"])
        || word.contains("regeneratekey")
    {
        Activity::Configure
    } else {
        Activity::Use
    }
}
