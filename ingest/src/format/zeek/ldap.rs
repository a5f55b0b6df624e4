//! `ldap.log`: an LDAP message with its answer. A bind authenticates as a distinguished name; later messages of the connection are
//! its. A captured password stands in `argument` and does not pass.
//!
//! Source: Zeek 6.1 and later, `base/protocols/ldap/main.zeek`.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, RESP_H, Row, UID};
use super::scene::{Scene, join, name_identity, server};
use crate::format::Reject;

const OPCODE: usize = OWN;
const RESULT: usize = OWN + 1;
const DIAGNOSTIC: usize = OWN + 2;
const OBJECT: usize = OWN + 3;

pub(super) static KIND: Kind = Kind { path: "ldap", fields: &["opcode", "result", "diagnostic_message", "object", "argument"], marks: &["message_id"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let opcode = row.text(OPCODE).unwrap_or_default();
    let bind = opcode.starts_with("bind");
    let object = row.text(OBJECT);
    let mut event =
        scene.by_client(row, if bind { Activity::Authenticate } else { Activity::Use }, join(&["ldap.", opcode.split(' ').next().unwrap_or_default()]))?;
    if bind && let (Some(uid), Some(name)) = (row.text(UID), object.as_deref()) {
        scene.memory.ldap_binds.put(&uid, Text::from(name));
    }
    bound(&mut event, row, scene);
    event.outcome = match row.text(RESULT).as_deref() {
        Some("success" | "SASL bind in progress" | "referral") => Outcome::Success,
        Some("insufficient access rights") => Outcome::Denied,
        Some(_) => Outcome::Failure,
        None => Outcome::Unknown,
    };
    if event.outcome != Outcome::Success {
        event.reason = row.owned(RESULT).map(|result| row.text(DIAGNOSTIC).map_or_else(|| result.clone(), |said| join(&[&result, ": ", &said])));
    }
    touch(&mut event, row, object.as_deref().filter(|_| !bind));
    if bind {
        event.credential_kind = CredentialKind::Password;
        event.auth_method = opcode.split_once(' ').map(|(_, method)| Text::from(method));
    }
    scene.push(event);
    Ok(())
}

/// Gives the event the name that its connection is bound to.
pub(super) fn bound(event: &mut Event, row: &Row<'_>, scene: &Scene<'_>) {
    let name = row.text(UID).and_then(|uid| scene.memory.ldap_binds.get(&uid));
    if let (Some(name), Some(host)) = (name, row.text(RESP_H)) {
        name_identity(event, "ldap", &host, "dn", name, IdentityKind::Unknown);
    }
}

/// Gives the event its destination: an entry of the directory, or the server.
pub(super) fn touch(event: &mut Event, row: &Row<'_>, entry: Option<&str>) {
    let host = row.text(RESP_H);
    event.destination = match (entry, host) {
        (Some(entry), Some(host)) => Some(join(&["ldap:", &host, "/", entry])),
        _ => server(row, "host", None),
    };
    event.destination_kind = Some(Text::const_new(if entry.is_some() { "directory" } else { "host" }));
    event.destination_service = Some(Text::const_new("ldap"));
    event.protocol = Some(Text::const_new("ldap"));
}
