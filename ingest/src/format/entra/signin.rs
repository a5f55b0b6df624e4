//! Entra sign-in logs: service principals, managed identities, and people, as diagnostic settings and Microsoft Graph write them.
//!
//! The category tells human and machine apart (`ServicePrincipalSignInLogs`, `ManagedIdentitySignInLogs`); where there is none, a service principal's id
//! without a user's does. An empty address says that the source cannot be assessed, not that it is unknown.
//! A principal's successful sign-in is two events: it authenticated with its credential, and a token was issued whose parent that credential is.
//!
//! Source: Microsoft Graph, "signIn resource type" (beta: `servicePrincipalCredentialKeyId`, `federatedCredentialId`, …) and "Sign-in logs schema".

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::identity::{application, person, tenant_of};
use crate::format::Reject;
use crate::format::join::join;
use crate::format::kit::{Mark, Row, Scene, Shape, fact, fields};

fields! {
    ID = "properties.id|id",
    TIME = "properties.createdDateTime|createdDateTime|time|p_event_time",
    CATEGORY = "category",
    ACTION = "operationName",
    TENANT = "tenantId|properties.tenantId|properties.homeTenantId|homeTenantId|resourceTenantId",
    SCOPE = "resourceId",
    APP = "properties.appId|appId",
    PRINCIPAL = "properties.servicePrincipalId|servicePrincipalId",
    PRINCIPAL_NAME = "properties.servicePrincipalName|servicePrincipalName|identity",
    USER = "properties.userPrincipalName|userPrincipalName",
    USER_ID = "properties.userId|userId",
    CODE = "properties.status.errorCode|status.errorCode|resultType",
    ACCESS = "properties.conditionalAccessStatus|conditionalAccessStatus",
    IP = "properties.ipAddress|callerIpAddress|ipAddress",
    COUNTRY = "properties.location.countryOrRegion|location.countryOrRegion|location",
    ASN = "properties.autonomousSystemNumber|autonomousSystemNumber",
    AGENT = "properties.userAgent|userAgent",
    HOST = "properties.deviceDetail.displayName|deviceDetail.displayName",
    KEY = "properties.servicePrincipalCredentialKeyId|servicePrincipalCredentialKeyId",
    THUMBPRINT = "properties.servicePrincipalCredentialThumbprint|servicePrincipalCredentialThumbprint",
    FEDERATED = "properties.federatedCredentialId|federatedCredentialId",
    METHOD = "properties.clientCredentialType|clientCredentialType",
    TOKEN = "properties.uniqueTokenIdentifier|uniqueTokenIdentifier",
    RESOURCE = "properties.resourceId",
    RESOURCE_GRAPH = "resourceDisplayName",
    RESOURCE_NAME = "properties.resourceDisplayName",
    SESSION = "properties.sessionId|sessionId|properties.correlationId|correlationId",
    INCOMING = "properties.incomingTokenType|incomingTokenType",
    AGENT_KIND = "properties.agent.agentType|agent.agentType",
}

pub(in crate::format) static FORMAT: Shape = Shape {
    name: "entra_signin",
    envelopes: &["records", "value"],
    marks: &[
        (95, &[Mark::Holds("category", "SignInLogs")]),
        (95, &[Mark::Is("operationName", "Sign-in activity"), Mark::Has("properties")]),
        (90, &[Mark::Has("createdDateTime"), Mark::Has("appId"), Mark::Has("status.errorCode")]),
        (85, &[Mark::Has("properties.createdDateTime"), Mark::Has("properties.appId"), Mark::Has("properties.status")]),
    ],
    fields: &FIELDS,
    id: Some(ID),
    who: "properties.servicePrincipalId",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let tenant = row.str(TENANT).or_else(|| row.str(SCOPE).and_then(tenant_of)).unwrap_or(scene.cluster).to_lowercase();
    let mut event = scene.event(time, Activity::Authenticate, row.str(ACTION).unwrap_or("Sign-in activity"));
    let category = row.str(CATEGORY).unwrap_or_default();
    let machine =
        category.starts_with("ServicePrincipal") || category.starts_with("ManagedIdentity") || (row.has(PRINCIPAL) && !row.has(USER_ID) && !row.has(USER));
    if machine {
        let kind = match row.str(AGENT_KIND) {
            Some(kind) if kind != "notAgentic" => IdentityKind::AiAgent,
            _ if category.starts_with("ManagedIdentity") => IdentityKind::Workload,
            _ => IdentityKind::Service,
        };
        application(&mut event, &tenant, row.str(APP), row.str(PRINCIPAL), row.str(PRINCIPAL_NAME), kind);
    } else {
        person(&mut event, &tenant, row.str(USER), row.str(USER_ID).or_else(|| row.str(PRINCIPAL_NAME)));
        event.source_host = row.owned(HOST);
    }
    (event.outcome, event.reason) = outcome(row);
    event.source_ip = row.address(IP);
    event.source_country = row.owned(COUNTRY).filter(|country| country.len() == 2);
    event.source_asn = row.integer(ASN).filter(|asn| *asn > 0);
    event.user_agent = row.owned(AGENT);
    event.session = row.owned(SESSION);
    event.issuer = Some(join(&["entra:", &tenant]));
    destination(&mut event, row, &tenant);
    if machine {
        credential(&mut event, row, category);
    } else {
        event.auth_method = row.owned(INCOMING).filter(|word| word != "none");
    }
    let token = (machine && event.outcome == Outcome::Success).then(|| token(&event, row)).flatten();
    scene.push(event);
    token.into_iter().for_each(|token| scene.push(token));
    Ok(())
}

fn outcome(row: &Row<'_>) -> (Outcome, Option<Text>) {
    /// Codes that ask for something more, and do not say that it was refused.
    const ASKED: [i64; 6] = [50058, 50072, 50074, 50076, 50125, 50140];
    let reason = |code: i64| Text::from(code.to_string());
    match row.integer(CODE) {
        Some(0) => (Outcome::Success, None),
        // Blocked by conditional access, or by a role that is not assigned.
        Some(code @ (53000..=53004 | 50105 | 50131 | 530_032)) => (Outcome::Denied, Some(reason(code))),
        Some(code) if ASKED.contains(&code) => (Outcome::Failure, Some(reason(code))),
        Some(code) => (Outcome::Failure, Some(reason(code))),
        None if row.str(ACCESS) == Some("failure") => (Outcome::Denied, Some(Text::const_new("conditionalAccess"))),
        None => (Outcome::Unknown, None),
    }
}

fn destination(event: &mut Event, row: &Row<'_>, tenant: &str) {
    let name = row.text(RESOURCE_NAME).or_else(|| row.text(RESOURCE_GRAPH));
    // At the top of a diagnostic record, resourceId is the tenant; of a Graph record it is the resource.
    let id = row.str(RESOURCE).or_else(|| row.str(SCOPE).filter(|id| !id.starts_with('/')));
    event.destination = id.or(name.as_deref()).map(|id| join(&["entra:", tenant, ":resource/", id]));
    event.destination_kind = event.destination.is_some().then(|| Text::const_new("api"));
    event.destination_service = name.map(|name| Text::from(name.as_ref()));
}

fn credential(event: &mut Event, row: &Row<'_>, category: &str) {
    let method = row.owned(METHOD).filter(|method| method != "none" && method != "unknownFutureValue");
    if let Some(federated) = row.owned(FEDERATED) {
        event.credential = Some(federated);
        event.credential_kind = CredentialKind::Jwt;
        event.auth_method = Some(Text::const_new("federated"));
        return;
    }
    event.credential = row.owned(KEY).filter(|key| key != "00000000-0000-0000-0000-000000000000").or_else(|| row.owned(THUMBPRINT));
    event.credential_kind = match method.as_deref() {
        _ if row.has(THUMBPRINT) => CredentialKind::X509,
        Some("clientAssertion" | "certificate") => CredentialKind::X509,
        Some("clientSecret") => CredentialKind::Password,
        _ => CredentialKind::Unknown,
    };
    event.auth_method = match method.as_deref() {
        Some("clientSecret") => Some(Text::const_new("client_secret")),
        Some("clientAssertion") => Some(Text::const_new("private_key_jwt")),
        Some("federatedIdentityCredential") => Some(Text::const_new("federated")),
        Some(other) => Some(Text::from(other)),
        None if category.starts_with("ManagedIdentity") => Some(Text::const_new("managed_identity")),
        None => None,
    };
}

/// The token that the principal was given.
fn token(event: &Event, row: &Row<'_>) -> Option<Box<Event>> {
    let token = row.owned(TOKEN)?;
    let mut issued = fact(event, Activity::Issue, Some(token), CredentialKind::OauthToken);
    issued.session.clone_from(&event.session);
    Some(issued)
}
