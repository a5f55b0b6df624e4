//! `dnp3.log`: a DNP3 request of a master (the client) with the outstation's reply.
//!
//! Source: Zeek, `base/protocols/dnp3/main.zeek`.

use keytrail_schemas::{Activity, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, Row};
use super::scene::{Scene, join, server};
use crate::format::Reject;

const REQUEST: usize = OWN;
const REPLY: usize = OWN + 1;

pub(super) static KIND: Kind = Kind { path: "dnp3", fields: &["fc_request", "fc_reply"], marks: &["fc_request", "fc_reply"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let (request, reply) = (row.text(REQUEST), row.text(REPLY));
    let function = request.as_deref().or(reply.as_deref()).unwrap_or("unknown");
    let authenticates = function.starts_with("AUTHENTICATE");
    let mut event = scene.by_client(row, if authenticates { Activity::Authenticate } else { Activity::Use }, join(&["dnp3.", function]))?;
    event.outcome = if reply.is_some() { Outcome::Success } else { Outcome::Unknown };
    event.destination = server(row, "dnp3", None);
    event.destination_kind = Some(Text::const_new("plc"));
    event.destination_service = Some(Text::const_new("dnp3"));
    event.protocol = Some(Text::const_new("dnp3"));
    event.auth_method = Some(Text::const_new(if authenticates { "challenge" } else { "none" }));
    scene.push(event);
    Ok(())
}
