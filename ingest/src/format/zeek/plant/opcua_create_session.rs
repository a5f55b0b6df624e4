//! `opcua-binary-create-session.log`: an OPC UA client opens a session, by its application URI. Request and answer are one event.
//!
//! Source: CISA, ICSNPP OPC UA Binary parser, `create-session-types.zeek`.

use keytrail_schemas::{Activity, IdentityKind, Outcome, Text};

use super::super::kind::Kind;
use super::super::row::{OWN, RESP_H, Row};
use super::super::scene::{Scene, name_identity, server};
use super::{by_client, key};
use crate::format::Reject;

const APPLICATION: usize = OWN;
const PRODUCT: usize = OWN + 1;
const TOKEN_STRING: usize = OWN + 3;
const TOKEN_GUID: usize = OWN + 4;
const TOKEN_OPAQUE: usize = OWN + 5;
const TOKEN_NUMERIC: usize = OWN + 6;
const SESSION_NUMERIC: usize = OWN + 9;
const SESSION_GUID: usize = OWN + 10;

pub(in super::super) static KIND: Kind = Kind {
    path: "opcua_binary_create_session",
    fields: &[
        "application_uri",
        "product_uri",
        "session_name",
        "auth_token_string",
        "auth_token_guid",
        "auth_token_opaque",
        "auth_token_numeric",
        "client_nonce",
        "server_nonce",
        "session_id_numeric",
        "session_id_guid",
    ],
    marks: &["req_session_timeout", "revised_session_timeout"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    // The answer carries the session's id; the request does not know it yet.
    let answered = [SESSION_NUMERIC, SESSION_GUID, TOKEN_STRING, TOKEN_GUID, TOKEN_OPAQUE, TOKEN_NUMERIC].into_iter().any(|slot| row.has(slot));
    let key = key("uac", row, "");
    if (answered || !by_client(row)) && scene.answer(&key, |event| event.outcome = Outcome::Success) {
        return Ok(());
    }
    let mut event = scene.by_client(row, Activity::Use, Text::const_new("opcua.CreateSession"))?;
    if let (Some(application), Some(host)) = (row.text(APPLICATION), row.text(RESP_H)) {
        name_identity(&mut event, "opcua", &host, "client", &application, IdentityKind::Device);
    }
    event.outcome = if answered { Outcome::Success } else { Outcome::Unknown };
    event.user_agent = row.owned(PRODUCT);
    event.destination = server(row, "opcua", None);
    event.destination_kind = Some(Text::const_new("plc"));
    event.destination_service = Some(Text::const_new("opcua"));
    event.protocol = Some(Text::const_new("opcua"));
    if answered || !by_client(row) {
        // A connection that was seen from the middle.
        scene.push(event);
    } else {
        scene.ask(key, event);
    }
    Ok(())
}
