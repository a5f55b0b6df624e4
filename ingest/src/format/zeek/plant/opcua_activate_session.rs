//! `opcua-binary-activate-session.log`: an OPC UA session authenticates: anonymously, by user name, certificate or issued token.
//!
//! Source: CISA, ICSNPP OPC UA Binary parser, `activate-session-types.zeek`.

use keytrail_schemas::{Activity, CredentialKind, IdentityKind, Outcome, Text};

use super::super::kind::Kind;
use super::super::row::{OWN, RESP_H, Row};
use super::super::scene::{Scene, name_identity, server};
use super::{by_client, key};
use crate::format::Reject;

const TOKEN_TYPE: usize = OWN;
const USER: usize = OWN + 1;
const SERVER_NONCE: usize = OWN + 6;

pub(in super::super) static KIND: Kind = Kind {
    path: "opcua_binary_activate_session",
    fields: &["ext_obj_type_id_str", "ext_obj_user_name", "ext_obj_password", "ext_obj_token_data", "client_signature", "user_token_signature", "server_nonce"],
    marks: &["ext_obj_policy_id", "ext_obj_type_id_str", "activate_session_diag_info_link_id"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let key = key("uaa", row, "");
    let answered = row.has(SERVER_NONCE) || !by_client(row);
    if answered && scene.answer(&key, |event| event.outcome = Outcome::Success) {
        return Ok(());
    }
    let mut event = scene.by_client(row, Activity::Authenticate, Text::const_new("opcua.ActivateSession"))?;
    let (method, credential) = match row.text(TOKEN_TYPE).as_deref() {
        Some(token) if token.starts_with("Anonymous") => (Some("anonymous"), CredentialKind::Unknown),
        Some(token) if token.starts_with("UserName") => (Some("password"), CredentialKind::Password),
        Some(token) if token.starts_with("X509") => (Some("x509"), CredentialKind::X509),
        Some(token) if token.starts_with("Issued") => (Some("issued_token"), CredentialKind::Jwt),
        _ => (None, CredentialKind::Unknown),
    };
    if let (Some(user), Some(host)) = (row.text(USER), row.text(RESP_H)) {
        name_identity(&mut event, "opcua", &host, "user", &user, IdentityKind::Unknown);
    }
    event.outcome = if answered { Outcome::Success } else { Outcome::Unknown };
    event.credential_kind = credential;
    event.auth_method = method.map(Text::const_new);
    event.destination = server(row, "opcua", None);
    event.destination_kind = Some(Text::const_new("plc"));
    event.destination_service = Some(Text::const_new("opcua"));
    event.protocol = Some(Text::const_new("opcua"));
    if answered {
        scene.push(event);
    } else {
        scene.ask(key, event);
    }
    Ok(())
}
