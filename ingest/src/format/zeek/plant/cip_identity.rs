//! `cip_identity.log`: what a device says of itself when it is asked: vendor, product, revision, serial number.
//!
//! Source: CISA, ICSNPP ENIP/CIP parser, `CIP_Identity`.

use keytrail_schemas::Outcome;

use super::super::kind::Kind;
use super::super::row::{OWN, Row, SOURCE_H};
use super::super::scene::{Scene, join};
use super::{action, command};
use crate::format::Reject;

pub(in super::super) static KIND: Kind = Kind {
    path: "cip_identity",
    fields: &["socket_address", "vendor_name", "product_name", "revision", "serial_number"],
    marks: &["product_code", "device_type_name", "encapsulation_version"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let mut event = command(row, scene, "cip", "cip", action("cip", Some("identify")))?;
    // The device speaks; the controller that is named is itself.
    event.destination = row.text(OWN).filter(|address| &**address != "0.0.0.0").or_else(|| row.text(SOURCE_H)).map(|host| join(&["cip:", &host]));
    let text = |slot: usize| row.text(slot).unwrap_or_default();
    event.user_agent = Some(join(&[&text(OWN + 1), " ", &text(OWN + 2), " ", &text(OWN + 3), " serial ", &text(OWN + 4)]));
    event.outcome = Outcome::Success;
    scene.push(event);
    Ok(())
}
