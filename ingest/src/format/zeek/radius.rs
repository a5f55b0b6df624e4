//! `radius.log`: an authentication that a network device passes on for a user or machine.
//!
//! Source: Zeek, `base/protocols/radius/main.zeek`.

use keytrail_schemas::{Activity, CredentialKind, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, RESP_H, Row};
use super::scene::{Scene, account_kind, name_identity, server};
use crate::format::Reject;

const USER: usize = OWN;
const MAC: usize = OWN + 1;
const RESULT: usize = OWN + 2;
const REPLY: usize = OWN + 3;

pub(super) static KIND: Kind =
    Kind { path: "radius", fields: &["username", "mac", "result", "reply_msg"], marks: &["framed_addr", "connect_info", "tunnel_client"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let mut event = scene.by_client(row, Activity::Authenticate, Text::const_new("radius.authenticate"))?;
    if let (Some(user), Some(host)) = (row.text(USER), row.text(RESP_H)) {
        name_identity(&mut event, "radius", &host, "user", &user, account_kind(&user));
    }
    event.outcome = match row.text(RESULT).as_deref() {
        Some("success") => Outcome::Success,
        Some("failed" | "failure") => Outcome::Failure,
        _ => Outcome::Unknown,
    };
    event.reason = row.owned(REPLY).filter(|_| event.outcome == Outcome::Failure);
    event.source_host = row.owned(MAC);
    event.destination = server(row, "host", None);
    event.destination_kind = Some(Text::const_new("host"));
    event.destination_service = Some(Text::const_new("radius"));
    event.credential_kind = CredentialKind::Password;
    event.protocol = Some(Text::const_new("radius"));
    scene.push(event);
    Ok(())
}
