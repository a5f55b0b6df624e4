//! `cip.log`: a CIP service on an object of a controller. A Multiple Service Packet is an envelope: what is in it stands in rows of its own.
//!
//! Source: CISA, ICSNPP ENIP/CIP parser, `CIP_Header`; services: The CIP Networks Library, volume 1, appendix A.

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::{Scene, join};
use super::{action, command, key, settle, word};
use crate::format::Reject;

const SEQUENCE: usize = OWN;
const DIRECTION: usize = OWN + 1;
const CODE: usize = OWN + 2;
const SERVICE: usize = OWN + 3;
const STATUS: usize = OWN + 4;

pub(in super::super) static KIND: Kind = Kind {
    path: "cip",
    fields: &["cip_sequence_count", "direction", "cip_service_code", "cip_service", "cip_status"],
    marks: &["cip_service_code", "cip_sequence_count"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let (code, service) = (row.text(CODE).unwrap_or_default(), row.text(SERVICE).unwrap_or_default());
    if code == "0x0a" || code == "0x0A" || service == "Multiple Service Packet" {
        return Ok(());
    }
    let key = key("cip", row, &join(&[&row.text(SEQUENCE).unwrap_or_default(), "/", &code]));
    if row.text(DIRECTION).as_deref() == Some("response") {
        let status = row.owned(STATUS);
        scene.answer(&key, |event| settle(event, status.as_deref().is_none_or(|status| matches!(status, "Success" | "Partial Transfer")), status));
        return Ok(());
    }
    let name = match &*service {
        "" | "unknown" => join(&["service_", &word(&code)]),
        name => word(name),
    };
    let event = command(row, scene, "cip", "cip", action("cip", Some(&name)))?;
    scene.ask(key, event);
    Ok(())
}
