//! `mysql.log`: logins to a database, and the commands of the connection's user. What a command says is not kept: it may hold data.
//!
//! Source: Zeek, `base/protocols/mysql/main.zeek`.

use keytrail_schemas::{Activity, CredentialKind, IdentityKind, Text};

use super::kind::Kind;
use super::row::{OWN, RESP_H, Row, UID};
use super::scene::{Scene, join, name_identity, outcome, server};
use crate::format::Reject;

const COMMAND: usize = OWN;
const ARGUMENT: usize = OWN + 1;
const SUCCESS: usize = OWN + 2;
const RESPONSE: usize = OWN + 3;

pub(super) static KIND: Kind = Kind { path: "mysql", fields: &["cmd", "arg", "success", "response"], marks: &["cmd"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let command = row.text(COMMAND);
    let command = command.as_deref().unwrap_or("unknown");
    let login = matches!(command, "login" | "connect" | "change_user");
    let mut event = scene.by_client(row, if login { Activity::Authenticate } else { Activity::Use }, join(&["mysql.", command]))?;
    if login && let (Some(uid), Some(user)) = (row.text(UID), row.owned(ARGUMENT)) {
        scene.memory.users.put(&uid, user);
    }
    let user = row.text(UID).and_then(|uid| scene.memory.users.get(&uid).cloned());
    if let (Some(user), Some(host)) = (user, row.text(RESP_H)) {
        name_identity(&mut event, "mysql", &host, "user", &user, IdentityKind::Unknown);
    }
    if command == "quit" {
        event.activity = Activity::End;
    }
    event.outcome = outcome(row.flag(SUCCESS));
    event.reason = row.owned(RESPONSE).filter(|_| row.flag(SUCCESS) == Some(false));
    event.destination = server(row, "mysql", None);
    event.destination_kind = Some(Text::const_new("database"));
    event.destination_service = Some(Text::const_new("mysql"));
    event.protocol = Some(Text::const_new("mysql"));
    if login {
        event.credential_kind = CredentialKind::Password;
    }
    scene.push(event);
    Ok(())
}
