//! What belongs together: whose story a rule's match is part of, and what one detection of it is about.

use keytrail_schemas::{EventId, FindingKind};

use crate::{
    baseline::Subject,
    ledger::distinct::hash_of,
    rule::{Rule, observation::Observation, source::Scope},
};

/// The kind of story that is a source address's.
pub(super) const SOURCE: u8 = 5;

/// Whose story it is, as a kind and a hash.
pub(super) type Key = (u8, u64);

/// The story that a match is part of: an incident's, a source's, or the identity's.
pub(super) fn story(o: &Observation<'_>, rule: &Rule) -> Key {
    let identity = || (1, hash_of(o.event.identity.as_str()));
    if let Some(absence) = o.absence {
        return match &absence.subject {
            Subject::Source(source) => (2, hash_of(source.as_str())),
            // An outage of many is nobody's own story.
            Subject::Identity(_) if !absence.members.is_empty() => (3, hash_of(&(o.event.identity.as_str(), absence.due.0))),
            Subject::Identity(_) => identity(),
        };
    }
    if rule.meta.kind == FindingKind::Statistical
        && let Some(incident) = o.baseline.and_then(|baseline| baseline.incident.as_ref())
    {
        return (4, incident.id);
    }
    match (rule.meta.scope, &o.event.source_ip) {
        (Scope::Source, Some(source)) => (SOURCE, hash_of(source.as_str())),
        _ => identity(),
    }
}

/// What a detection of `rule` is about: matches of the same fold into it.
pub(super) fn cause(o: &Observation<'_>, rule: &Rule) -> u64 {
    let event = o.event;
    let scope = match rule.meta.scope {
        Scope::Identity => None,
        Scope::Credential => event.credential.as_deref(),
        Scope::Destination => event.destination.as_deref(),
        Scope::Source => event.source_ip.as_deref(),
    };
    let part = |asked: bool, value: Option<&str>| if asked { hash_of(&value) } else { 0 };
    let about = rule.cause;
    hash_of(&(
        rule.id.as_str(),
        scope,
        part(about.action, event.action.as_deref()),
        part(about.destination, event.destination.as_deref()),
        part(about.source, event.source_ip.as_deref()),
        part(about.client, event.user_agent.as_deref()),
    ))
}

/// An id of 32 hex digits, from what makes it one.
pub(super) fn id(context: &'static str, fields: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for field in fields {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    let mut id = [0_u8; 16];
    hasher.finalize_xof().fill(&mut id);
    hex::encode(id)
}

/// The event that something began with, or the time by which it was due.
pub(super) fn beginning(o: &Observation<'_>) -> Vec<u8> {
    let EventId(id) = o.event.event_id;
    o.absence.map_or_else(|| id.to_vec(), |absence| absence.due.0.to_le_bytes().to_vec())
}
