//! A fact of a credential's life that a record tells beside what was done: an event of its own, keyed to the credential's owner.

use keytrail_schemas::{Activity, CredentialKind, Event, Text};

/// What `event` says of a credential: that it was issued, rotated, renewed or revoked. The owner is the event's own identity until the caller says
/// who it is; what was issued has the credential, or else the identity, that did it as its parent.
pub(crate) fn fact(event: &Event, activity: Activity, credential: Option<Text>, kind: CredentialKind) -> Box<Event> {
    let parent = matches!(activity, Activity::Issue | Activity::Rotate).then(|| event.credential.as_ref().unwrap_or(&event.identity).clone());
    Box::new(Event {
        activity,
        credential,
        credential_kind: kind,
        credential_issued_at: (activity == Activity::Issue).then_some(event.time),
        credential_expires_at: None,
        credential_parent: parent,
        auth_method: None,
        destination: None,
        destination_kind: None,
        destination_service: None,
        session: None,
        // Field by field: a copy of the whole event would be one of what stands above, too.
        event_id: event.event_id,
        time: event.time,
        ingested_at: event.ingested_at,
        outcome: event.outcome,
        reason: event.reason.clone(),
        identity: event.identity.clone(),
        identity_kind: event.identity_kind,
        identity_provider: event.identity_provider.clone(),
        identity_account: event.identity_account.clone(),
        issuer: event.issuer.clone(),
        source_ip: event.source_ip.clone(),
        source_host: event.source_host.clone(),
        source_country: event.source_country.clone(),
        source_asn: event.source_asn,
        user_agent: event.user_agent.clone(),
        environment: event.environment.clone(),
        protocol: event.protocol.clone(),
        action: event.action.clone(),
        trace_id: event.trace_id.clone(),
        source: event.source.clone(),
        format: event.format.clone(),
        raw: event.raw.clone(),
        raw_hash: event.raw_hash,
        log_partition: event.log_partition,
        log_offset: event.log_offset,
    })
}
