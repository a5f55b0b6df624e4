//! `bacnet.log`: every service of BACnet with its answer. Device control and discovery have logs of their own, with more in them.
//!
//! Source: CISA, ICSNPP BACnet parser, `BACnet_Header`; services: ANSI/ASHRAE 135, clauses 13 to 16.

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::{Scene, join};
use super::{action, command, key, settle, word};
use crate::format::Reject;

const TYPE: usize = OWN;
const SERVICE: usize = OWN + 1;
const INVOKE: usize = OWN + 2;
const RESULT: usize = OWN + 3;

pub(in super::super) static KIND: Kind =
    Kind { path: "bacnet", fields: &["pdu_type", "pdu_service", "invoke_id", "result_code"], marks: &["bvlc_function"], read };

/// Services with a log of their own.
const ELSEWHERE: [&str; 7] = ["device_communication_control", "reinitialize_device", "reinitialized_device", "who_is", "i_am", "who_has", "i_have"];
/// What a device tells of itself, to whoever listens: no act on another one.
const TOLD: [&str; 5] =
    ["confirmed_cov_notification", "unconfirmed_cov_notification", "confirmed_event_notification", "unconfirmed_event_notification", "i_am_router_to_network"];

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let service = row.text(SERVICE).map(|service| word(&service)).unwrap_or_default();
    if service.is_empty() || ELSEWHERE.contains(&&*service) || TOLD.contains(&&*service) {
        return Ok(());
    }
    let key = key("bac", row, &join(&[&row.text(INVOKE).unwrap_or_default(), "/", &service]));
    let event = |scene: &Scene<'_>| command(row, scene, "bacnet", "bacnet", action("bacnet", Some(&service)));
    match row.text(TYPE).as_deref() {
        Some("CONFIRMED_REQUEST") => {
            let event = event(scene)?;
            scene.ask(key, event);
        }
        Some("SIMPLE_ACK" | "COMPLEX_ACK") => {
            scene.answer(&key, |event| settle(event, true, None));
        }
        Some("ERROR_PDU" | "REJECT_PDU" | "ABORT_PDU") => {
            let result = row.owned(RESULT);
            scene.answer(&key, |event| settle(event, false, result));
        }
        Some("UNCONFIRMED_REQUEST" | "NPDU") => {
            let event = event(scene)?;
            scene.push(event);
        }
        _ => {}
    }
    Ok(())
}
