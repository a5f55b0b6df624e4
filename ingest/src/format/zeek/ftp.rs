//! `ftp.log`: commands of an FTP session's user. The password does not pass.
//!
//! Source: Zeek, `base/protocols/ftp/main.zeek`.

use keytrail_schemas::{Activity, CredentialKind, IdentityKind, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, RESP_H, Row};
use super::scene::{Scene, join, name_identity, server};
use crate::format::Reject;

const USER: usize = OWN;
const COMMAND: usize = OWN + 2;
const REPLY: usize = OWN + 3;
const MESSAGE: usize = OWN + 4;

pub(super) static KIND: Kind =
    Kind { path: "ftp", fields: &["user", "password", "command", "reply_code", "reply_msg"], marks: &["reply_code", "data_channel.passive"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let command = row.text(COMMAND);
    let command = command.as_deref().unwrap_or("unknown");
    let login = matches!(command, "USER" | "PASS");
    let mut event = scene.by_client(row, if login { Activity::Authenticate } else { Activity::Use }, join(&["ftp.", command]))?;
    if let (Some(user), Some(host)) = (row.text(USER).filter(|user| user != "<unknown>"), row.text(RESP_H)) {
        name_identity(&mut event, "ftp", &host, "user", &user, IdentityKind::Unknown);
    }
    // RFC 959: 2xx done, 3xx more is wanted, 4xx and 5xx refused; 530 and 532 for want of an account.
    event.outcome = match row.integer(REPLY) {
        Some(530 | 532) => Outcome::Denied,
        Some(400..=599) => Outcome::Failure,
        Some(200..=299) => Outcome::Success,
        _ => Outcome::Unknown,
    };
    if matches!(event.outcome, Outcome::Denied | Outcome::Failure) {
        event.reason = row.owned(MESSAGE);
    }
    event.destination = server(row, "host", None);
    event.destination_kind = Some(Text::const_new("host"));
    event.destination_service = Some(Text::const_new("ftp"));
    event.protocol = Some(Text::const_new("ftp"));
    event.credential_kind = CredentialKind::Password;
    event.auth_method = Some(Text::const_new("password"));
    scene.push(event);
    Ok(())
}
