//! Google Cloud audit logs: a `LogEntry` whose `protoPayload` is an `AuditLog`, as Cloud Logging, its sinks and `BigQuery` write it.
//! Those of Kubernetes Engine's API (`k8s.io`) are read as `k8s_audit`.
//!
//! Who acted: `…gserviceaccount.com` is a service account, `principal://…/workloadIdentityPools/…` a federated workload, any other address a person. A
//! request that was made through a chain of service accounts (`serviceAccountDelegationInfo`, in the order of the delegation) gives one event per
//! hop: each hop's identity stands behind the next one's as its `credential_parent`.
//! Facts: a service account's key is made, uploaded, disabled, enabled or deleted; a token is generated for one (`GenerateAccessToken` and the like).
//!
//! Source: Google Cloud, "`LogEntry`", "`AuditLog`", and "IAM audit logging", "Service account keys" and "Service Account Credentials API" for the methods.

use keytrail_schemas::{Activity, CredentialKind, Event, Micros, Outcome, Text};

use super::Reject;
use super::join::join;
use super::kit::{Mark, Row, Scene, Shape, fact, fields, time_of};
use crate::json::Value;

mod identity;
mod target;

use identity::Who;

fields! {
    ID = "insertId",
    TIME = "timestamp|protoPayload.requestMetadata.requestAttributes.time|receiveTimestamp|p_event_time",
    METHOD = "protoPayload.methodName|protopayload_auditlog.methodName|methodName",
    SERVICE = "protoPayload.serviceName|protopayload_auditlog.serviceName|serviceName",
    EMAIL = "protoPayload.authenticationInfo.principalEmail|protopayload_auditlog.authenticationInfo.principalEmail",
    SUBJECT = "protoPayload.authenticationInfo.principalSubject|protopayload_auditlog.authenticationInfo.principalSubject",
    KEY = "protoPayload.authenticationInfo.serviceAccountKeyName|protopayload_auditlog.authenticationInfo.serviceAccountKeyName",
    CHAIN = "protoPayload.authenticationInfo.serviceAccountDelegationInfo|protopayload_auditlog.authenticationInfo.serviceAccountDelegationInfo",
    CLIENT = "protoPayload.authenticationInfo.oauthInfo.oauthClientId|protopayload_auditlog.authenticationInfo.oauthInfo.oauthClientId",
    IP = "protoPayload.requestMetadata.callerIp|protoPayload.requestMetadata.callerIP|protopayload_auditlog.requestMetadata.callerIp",
    AGENT = "protoPayload.requestMetadata.callerSuppliedUserAgent|protopayload_auditlog.requestMetadata.callerSuppliedUserAgent",
    NAME = "protoPayload.resourceName|protopayload_auditlog.resourceName",
    CODE = "protoPayload.status.code|protopayload_auditlog.status.code",
    MESSAGE = "protoPayload.status.message|protopayload_auditlog.status.message",
    GRANTS = "protoPayload.authorizationInfo|protopayload_auditlog.authorizationInfo",
    PROJECT = "resource.labels.project_id",
    RESOURCE = "resource.type",
    ACCOUNT = "resource.labels.email_id",
    LOG = "logName",
    REQUEST = "protoPayload.request",
    RESPONSE = "protoPayload.response",
    MAPPED = "protoPayload.metadata.mapped_principal",
    TRACE = "trace",
}

pub(crate) static FORMAT: Shape = Shape {
    name: "gcp_audit",
    envelopes: &["entries"],
    marks: &[
        (95, &[Mark::Has("protoPayload.methodName"), Mark::Isnt("protoPayload.serviceName", "k8s.io")]),
        (90, &[Mark::Has("protoPayload.serviceName"), Mark::Isnt("protoPayload.serviceName", "k8s.io")]),
        (90, &[Mark::Has("protopayload_auditlog.methodName"), Mark::Isnt("protopayload_auditlog.serviceName", "k8s.io")]),
    ],
    fields: &FIELDS,
    id: None,
    who: "protoPayload.authenticationInfo.principalEmail",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.moment(TIME)?;
    let method = row.str(METHOD).ok_or_else(|| Reject::malformed("protoPayload.methodName", "no methodName: what was done is not said"))?;
    // Unique within a log, a timestamp and a project.
    scene.set_id(row.str(ID).map(|id| join(&[row.str(LOG).unwrap_or_default(), "/", row.str(TIME).unwrap_or_default(), "/", id])));
    let last = method.rsplit('.').next().unwrap_or(method);
    let project = row.str(PROJECT).map_or_else(|| scene.cluster.clone(), Text::from);
    let mut event = scene.event(time, activity(method, last), method);
    (event.outcome, event.reason) = outcome(row, last);
    event.source_ip = row.address(IP);
    event.user_agent = row.owned(AGENT);
    event.trace_id = row.str(TRACE).and_then(|trace| trace.rsplit('/').next()).map(Text::from);
    event.issuer = row.owned(CLIENT).map(|client| join(&["gcp:oauth_client/", &client]));
    target::of(&mut event, row.str(SERVICE).unwrap_or_default(), row.str(NAME), row.str(RESOURCE), row.str(ACCOUNT));
    let hops = chain(&event, row, &project);
    let through = hops.last().map(|hop| hop.identity.clone());
    Who::of(row.str(EMAIL), row.str(SUBJECT), &project).name(&mut event);
    if let Some(key) = row.str(KEY) {
        event.credential = key.rsplit('/').next().map(Text::from);
        event.credential_kind = CredentialKind::AccessKey;
        event.auth_method = Some(Text::const_new("service_account_key"));
    } else if through.is_some() {
        event.credential_kind = CredentialKind::OauthToken;
        event.auth_method = Some(Text::const_new("impersonation"));
    } else if row.str(SUBJECT).is_some_and(|subject| subject.starts_with("principal")) {
        event.auth_method = Some(Text::const_new("federated"));
    }
    event.credential_parent = through;
    let facts = lifecycle(&event, row, last);
    hops.into_iter().for_each(|hop| scene.push(hop));
    scene.push(event);
    facts.into_iter().for_each(|fact| scene.push(fact));
    Ok(())
}

/// One event for each authority that stands behind the account which made the request, from the first.
fn chain(event: &Event, row: &Row<'_>, project: &str) -> Vec<Event> {
    const HOPS_MAX: usize = 16;
    let mut hops: Vec<Event> = Vec::new();
    for link in row.items(CHAIN).take(HOPS_MAX) {
        let email = link.str_at(&["firstPartyPrincipal", "principalEmail"]);
        let subject = link.str_at(&["principalSubject"]).or_else(|| link.str_at(&["thirdPartyPrincipal", "thirdPartyClaims", "sub"]));
        if email.is_none() && subject.is_none() {
            continue;
        }
        let mut hop = event.clone();
        Who::of(email, subject, project).name(&mut hop);
        hop.auth_method = Some(Text::const_new("impersonation"));
        hop.credential_parent = hops.last().map(|before| before.identity.clone());
        hops.push(hop);
    }
    hops
}

fn outcome(row: &Row<'_>, last: &str) -> (Outcome, Option<Text>) {
    /// google.rpc.Code
    const PERMISSION_DENIED: i64 = 7;
    const UNAUTHENTICATED: i64 = 16;
    let message = row.owned(MESSAGE);
    let refused = row.items(GRANTS).any(|grant| grant.get("granted").and_then(Value::as_bool) == Some(false));
    match row.integer(CODE) {
        Some(PERMISSION_DENIED | UNAUTHENTICATED) => (Outcome::Denied, message.or(Some(Text::const_new("PERMISSION_DENIED")))),
        Some(1..) => (Outcome::Failure, message),
        _ if refused => (Outcome::Denied, message.or(Some(Text::const_new("PERMISSION_DENIED")))),
        _ if last.ends_with("Failure") => (Outcome::Failure, message.or_else(|| Some(Text::from(last)))),
        _ => (Outcome::Success, None),
    }
}

fn activity(method: &str, last: &str) -> Activity {
    let any = |words: &[&str]| words.iter().any(|word| last.eq_ignore_ascii_case(word));
    let writes = ["create", "insert", "update", "patch", "delete", "remove", "set", "disable", "enable", "undelete", "add", "upload"];
    let writes = writes.iter().any(|verb| last.get(..verb.len()).is_some_and(|head| head.eq_ignore_ascii_case(verb)));
    if method.starts_with("google.login.") {
        return if last == "logout" { Activity::End } else { Activity::Authenticate };
    }
    if any(&["ExchangeToken", "AuthorizeUser"]) {
        return Activity::Authenticate;
    }
    if any(&["SetIamPolicy", "SetIAMPolicy", "setIamPermissions", "CreateRole", "UpdateRole", "addGroupMember"]) {
        return Activity::Grant;
    }
    let of_identity = [
        "google.iam.admin.",
        "google.iam.v1",
        "google.admin.",
        "google.logging.v2.Config",
        "ServiceAccount",
        "firewalls",
        "OrgPolicy",
        "WorkloadIdentityPool",
        "google.cloud.kms.",
        "ApiKeys",
        "ServiceUsage",
    ];
    if writes && of_identity.iter().any(|part| method.contains(part)) { Activity::Configure } else { Activity::Use }
}

/// What a record tells of a key or a token of a service account.
fn lifecycle(event: &Event, row: &Row<'_>, last: &str) -> Option<Box<Event>> {
    if event.outcome != Outcome::Success {
        return None;
    }
    let request = |path: &[&str]| row.value(REQUEST).and_then(|request| request.str_at(path));
    let response = |path: &[&str]| row.value(RESPONSE).and_then(|response| response.at(path));
    let key_name = response(&["name"]).and_then(Value::as_text).or_else(|| request(&["name"])).or_else(|| row.str(NAME)).filter(|name| name.contains("/keys/"));
    let key = key_name.and_then(|name| name.rsplit('/').next()).map(Text::from);
    let owner = key_name
        .and_then(account_of)
        .or_else(|| row.str(ACCOUNT))
        .or_else(|| request(&["name"]).and_then(account_of))
        .or_else(|| row.str(NAME).and_then(account_of));
    let (activity, kind) = match last {
        "CreateServiceAccountKey" | "UploadServiceAccountKey" => (Activity::Issue, CredentialKind::AccessKey),
        "DeleteServiceAccountKey" | "DisableServiceAccountKey" => (Activity::Revoke, CredentialKind::AccessKey),
        "EnableServiceAccountKey" => (Activity::Renew, CredentialKind::AccessKey),
        "GenerateAccessToken" => (Activity::Issue, CredentialKind::OauthToken),
        "GenerateIdToken" | "SignJwt" => (Activity::Issue, CredentialKind::Jwt),
        "ExchangeToken" => (Activity::Issue, CredentialKind::OauthToken),
        _ => return None,
    };
    let mut told = fact(event, activity, key.filter(|_| kind == CredentialKind::AccessKey), kind);
    match owner {
        Some(owner) => Who::of(Some(owner), None, &event.identity_account).name(&mut told),
        None if last == "ExchangeToken" => Who::of(None, row.str(MAPPED).or_else(|| row.str(SUBJECT)), &event.identity_account).name(&mut told),
        None => return None,
    }
    told.issuer = Some(Text::const_new("gcp:iam"));
    let moment = |path: &[&str]| response(path).and_then(|value| value.get("seconds").map_or_else(|| time_of(value), time_of));
    told.credential_issued_at = moment(&["valid_after_time"]).or_else(|| moment(&["validAfterTime"])).or(told.credential_issued_at);
    told.credential_expires_at = moment(&["valid_before_time"]).or_else(|| moment(&["validBeforeTime"])).or_else(|| moment(&["expireTime"])).or_else(|| {
        let seconds = request(&["lifetime"])?.strip_suffix('s')?.parse::<i64>().ok()?;
        Micros(event.time.0.checked_add(seconds.checked_mul(Micros::SECOND)?)?).in_range("").ok()
    });
    Some(told)
}

/// The account's address in `projects/-/serviceAccounts/<address>/keys/<key>`.
fn account_of(name: &str) -> Option<&str> {
    name.split_once("serviceAccounts/")?.1.split('/').next().filter(|account| account.contains('@'))
}
