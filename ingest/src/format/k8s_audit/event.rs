//! From a request to its events: one for who made it, one for whom it was made as, one for the service account that a token was issued to.

use keytrail_schemas::{Activity, CredentialKind, Event, Outcome, Text};

use super::request::{Request, User};
use super::{NAME, credential, identity};
use crate::format::{Draft, Reject, ip_address};
use crate::redact::Redactor;

/// Resources whose change gives or takes permissions.
const PERMISSIONS: &[&str] = &["roles", "clusterroles", "rolebindings", "clusterrolebindings"];

/// Resources whose change alters identities or the cluster's own defences.
const SETTINGS: &[&str] = &[
    "serviceaccounts",
    "certificatesigningrequests",
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "networkpolicies",
    "podsecuritypolicies",
    "apiservices",
    "customresourcedefinitions",
    "namespaces",
];

/// Appends the events of `request` to `out`.
pub(super) fn of(request: &Request<'_>, redactor: &Redactor, raw: String, line: u64, out: &mut Vec<Draft>) -> Result<(), Reject> {
    let presented = credential::presented(request, &request.user);
    let mut event = Event {
        time: request.time,
        activity: activity(request),
        outcome: request.outcome,
        reason: request.reason.map(Into::into),
        credential: presented.id,
        credential_kind: presented.kind,
        credential_parent: presented.parent,
        auth_method: presented.auth_method.map(Text::const_new),
        source_host: request.user.extra("authentication.kubernetes.io/node-name").map(Into::into),
        user_agent: request.user_agent.map(Into::into),
        destination: Some(request.object.id(&request.cluster, request.uri)),
        destination_kind: Some(request.object.kind()),
        destination_service: Some(Text::const_new("kubernetes")),
        protocol: Some(Text::const_new("https")),
        action: Some(request.object.action(request.verb)),
        session: request.user.extra("authentication.kubernetes.io/pod-name").or_else(|| request.user.extra("sessionName")).map(Into::into),
        format: Text::const_new(NAME),
        raw: Some(raw),
        ..Event::default()
    };
    if let Some(source) = request.source_ip {
        event.source_ip = ip_address(source);
    }
    name(&mut event, request, &request.user);
    let by = event.credential.clone().unwrap_or_else(|| event.identity.clone());

    let mut events = vec![event];
    if let (Some(user), Some(first)) = (&request.impersonated, events.first()) {
        let mut acted_as = Event {
            credential: None,
            credential_kind: CredentialKind::Unknown,
            credential_parent: Some(by.clone()),
            auth_method: Some(Text::const_new("impersonation")),
            session: None,
            ..first.clone()
        };
        name(&mut acted_as, request, user);
        events.push(acted_as);
    }
    if request.outcome == Outcome::Success
        && let (Some(token), Some(first)) = (credential::token(request, redactor), events.first())
    {
        events.push(Event {
            activity: if token.revoked { Activity::Revoke } else { Activity::Issue },
            identity: token.owner.id,
            identity_kind: token.owner.kind,
            credential: token.id,
            credential_kind: CredentialKind::Jwt,
            credential_issued_at: token.issued_at,
            credential_expires_at: token.expires_at,
            credential_parent: (!token.revoked).then_some(by),
            issuer: token.issuer.or_else(|| Some(compact_str::format_compact!("k8s:{}", request.cluster))),
            destination: None,
            destination_kind: None,
            destination_service: None,
            session: None,
            ..first.clone()
        });
    }
    let provider_id = request.id.map(Text::from);
    out.extend(events.into_iter().zip(0..).map(|(event, part)| Draft { event: Box::new(event), provider_id: provider_id.clone(), part, line }));
    Ok(())
}

fn name(event: &mut Event, request: &Request<'_>, user: &User<'_>) {
    let who = identity::of(&request.cluster, user.name);
    event.identity = who.id;
    event.identity_kind = who.kind;
    event.identity_provider = Text::const_new("k8s");
    event.identity_account.clone_from(&request.cluster);
}

fn activity(request: &Request<'_>) -> Activity {
    let Some(resource) = request.object.resource else { return Activity::Use };
    let writes = matches!(request.verb, "create" | "update" | "patch");
    let removes = matches!(request.verb, "delete" | "deletecollection");
    match (resource, request.object.subresource) {
        ("serviceaccounts", Some("token")) => Activity::Use,
        ("certificatesigningrequests", Some("approval")) if writes => Activity::Grant,
        (_, Some("status")) => Activity::Use,
        _ if PERMISSIONS.contains(&resource) && request.object.group.is_none_or(|group| group == "rbac.authorization.k8s.io") && writes => Activity::Grant,
        _ if PERMISSIONS.contains(&resource) && removes => Activity::Configure,
        _ if SETTINGS.contains(&resource) && (writes || removes) => Activity::Configure,
        _ => Activity::Use,
    }
}
