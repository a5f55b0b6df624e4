//! `ssh.log`: an SSH session. The user is encrypted, so the client is its host; the server proves itself with its host key, in a
//! second event, so that a changed key shows.
//!
//! Source: Zeek, `base/protocols/ssh/main.zeek`.

use keytrail_schemas::{Activity, CredentialKind, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, Row};
use super::scene::{Scene, join, outcome, server};
use crate::format::Reject;

const SUCCESS: usize = OWN;
const ATTEMPTS: usize = OWN + 1;
const CLIENT: usize = OWN + 2;
const HOST_KEY: usize = OWN + 3;
const VERSION: usize = OWN + 4;
const HOST_KEY_ALG: usize = OWN + 5;

pub(super) static KIND: Kind = Kind {
    path: "ssh",
    fields: &["auth_success", "auth_attempts", "client", "host_key", "version", "host_key_alg"],
    marks: &["auth_attempts", "kex_alg", "host_key_alg", "hasshVersion"],

    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let protocol = row.integer(VERSION).map(|version| if version == 1 { "ssh1" } else { "ssh" }).unwrap_or("ssh");
    let mut event = scene.by_client(row, Activity::Authenticate, Text::const_new("ssh.connect"))?;
    event.outcome = outcome(row.flag(SUCCESS));
    if event.outcome == Outcome::Failure {
        event.reason = row.text(ATTEMPTS).map(|attempts| join(&["authentication attempts: ", &attempts]));
    }
    event.user_agent = row.owned(CLIENT);
    event.destination = server(row, "host", None);
    event.destination_kind = Some(Text::const_new("host"));
    event.destination_service = Some(Text::const_new("ssh"));
    event.protocol = Some(Text::const_new(protocol));
    scene.push(event);

    if let Some(key) = row.owned(HOST_KEY) {
        let mut event = scene.by_server(row, Activity::Authenticate, Text::const_new("ssh.present_host_key"))?;
        event.outcome = Outcome::Unknown;
        event.credential = Some(key);
        event.credential_kind = CredentialKind::SshKey;
        event.protocol = Some(Text::const_new(protocol));
        event.auth_method = row.owned(HOST_KEY_ALG);
        scene.push(event);
    }
    Ok(())
}
