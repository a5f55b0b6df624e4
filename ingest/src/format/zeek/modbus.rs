//! `modbus.log`: a Modbus message between a master (the client) and a unit behind a server.
//!
//! Source: Zeek, `base/protocols/modbus/main.zeek`. Since Zeek 6 each request and each response is a row of its own (`pdu_type`).

use keytrail_schemas::{Activity, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, RESP_H, Row};
use super::scene::{Scene, join};
use crate::format::Reject;

const UNIT: usize = OWN;
const FUNCTION: usize = OWN + 1;
const PDU: usize = OWN + 2;
const EXCEPTION: usize = OWN + 3;

pub(super) static KIND: Kind = Kind { path: "modbus", fields: &["unit", "func", "pdu_type", "exception"], marks: &["func"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let function = row.text(FUNCTION);
    let function = function.as_deref().map_or("unknown", |function| function.strip_suffix("_EXCEPTION").unwrap_or(function));
    let mut event = scene.by_client(row, Activity::Use, join(&["modbus.", function]))?;
    event.reason = row.owned(EXCEPTION);
    event.outcome = match row.text(PDU).as_deref() {
        _ if event.reason.is_some() => Outcome::Failure,
        // A request that stands in a row of its own does not know its answer yet.
        Some("REQ") => Outcome::Unknown,
        _ => Outcome::Success,
    };
    event.destination = row.text(RESP_H).map(|host| match row.text(UNIT) {
        Some(unit) => join(&["modbus:", &host, "/unit/", &unit]),
        None => join(&["modbus:", &host]),
    });
    event.destination_kind = Some(Text::const_new("plc"));
    event.destination_service = Some(Text::const_new("modbus"));
    event.protocol = Some(Text::const_new("modbus"));
    event.auth_method = Some(Text::const_new("none"));
    scene.push(event);
    Ok(())
}
