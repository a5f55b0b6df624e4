//! A fact of a credential's life that a record tells beside what was done: an event of its own, keyed to the credential's owner.

use keytrail_schemas::{Activity, CredentialKind, Event, Text};

/// What `event` says of a credential: that it was issued, rotated, renewed or revoked. The owner is the event's own identity until the caller says
/// who it is; what was issued has the credential, or else the identity, that did it as its parent.
pub(crate) fn fact(event: &Event, activity: Activity, credential: Option<Text>, kind: CredentialKind) -> Event {
    let parent = matches!(activity, Activity::Issue | Activity::Rotate).then(|| event.credential.clone().unwrap_or_else(|| event.identity.clone()));
    Event {
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
        ..event.clone()
    }
}
