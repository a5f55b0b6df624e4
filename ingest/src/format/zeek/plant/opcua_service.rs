//! `opcua_binary.log`: a row for each message. Read are the services without a log of their own, such as Call and AddNodes, and errors of the
//! transport; polls of a subscription (Publish) are no acts.
//!
//! Source: CISA, ICSNPP OPC UA Binary parser, `OPCUA_Binary::Info`; OPC 10000-6, 7.1 (messages).

use keytrail_schemas::Text;

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::{Scene, join};
use super::opcua::of_client;
use super::settle;
use crate::format::Reject;

const MESSAGE: usize = OWN;
const ERROR: usize = OWN + 1;
const REQUEST: usize = OWN + 2;
const RESPONSE: usize = OWN + 3;

pub(in super::super) static KIND: Kind = Kind {
    path: "opcua_binary",
    fields: &["msg_type", "error", "req_identifier_str", "identifier_str"],
    marks: &["req_hdr_node_id_type", "rcv_buf_size", "snd_buf_size"],
    read,
};

/// Services with a log of their own, and the polls of a subscription.
const ELSEWHERE: [&str; 12] = [
    "OpenSecureChannel",
    "CloseSecureChannel",
    "GetEndpoints",
    "CreateSession",
    "ActivateSession",
    "CloseSession",
    "Read",
    "Write",
    "Browse",
    "BrowseNext",
    "CreateSubscription",
    "CreateMonitoredItems",
];

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    if row.text(MESSAGE).as_deref() == Some("ERR") {
        let mut event = of_client(row, scene, "opcua.Error")?;
        settle(&mut event, false, row.owned(ERROR).or(Some(Text::const_new("Error"))));
        scene.push(event);
        return Ok(());
    }
    // Older parsers have one column for requests and responses.
    let Some(name) = row.text(REQUEST).or_else(|| row.text(RESPONSE)) else { return Ok(()) };
    let Some(service) = name.strip_suffix("Request") else { return Ok(()) };
    if ELSEWHERE.contains(&service) || matches!(service, "Publish" | "Republish" | "DeleteSubscriptions" | "DeleteMonitoredItems") {
        return Ok(());
    }
    let event = of_client(row, scene, &join(&["opcua.", service]))?;
    scene.push(event);
    Ok(())
}
