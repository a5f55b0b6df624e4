//! `bacnet_discovery.log`: somebody asks who is there, and devices say their number and vendor.
//!
//! Source: CISA, ICSNPP BACnet parser, `BACnet_Discovery`; ANSI/ASHRAE 135, 16.9 and 16.10.

use keytrail_schemas::Outcome;

use super::super::kind::Kind;
use super::super::row::{OWN, Row, SOURCE_H};
use super::super::scene::{Scene, join};
use super::{action, by_client, command, word};
use crate::format::Reject;

const SERVICE: usize = OWN;
const INSTANCE: usize = OWN + 1;
const VENDOR: usize = OWN + 2;

pub(in super::super) static KIND: Kind =
    Kind { path: "bacnet_discovery", fields: &["pdu_service", "instance_number", "vendor"], marks: &["device_id_number", "device_id_type"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let service = row.text(SERVICE).map(|service| word(&service.replace('-', "_"))).unwrap_or_default();
    let asks = matches!(service.as_str(), "who_is" | "who_has");
    // A question that is broadcast is logged once more, as if the broadcast address had asked.
    if asks && !by_client(row) {
        return Ok(());
    }
    let mut event = command(row, scene, "bacnet", "bacnet", action("bacnet", Some(&service)))?;
    if !asks {
        event.user_agent = row.owned(VENDOR);
        event.destination = row.text(SOURCE_H).map(|host| match row.text(INSTANCE) {
            Some(number) => join(&["bacnet:", &host, "/device/", &number]),
            None => join(&["bacnet:", &host]),
        });
        event.outcome = Outcome::Success;
    }
    scene.push(event);
    Ok(())
}
