//! `mqtt_publish.log`: a message published by a client, or delivered to it. Its payload does not pass.
//!
//! Source: Zeek, `policy/protocols/mqtt/main.zeek`.

use keytrail_schemas::{Activity, Outcome, Text};

use super::kind::Kind;
use super::mqtt_connect::client;
use super::row::{OWN, RESP_H, Row};
use super::scene::{Scene, join};
use crate::format::Reject;

const FROM_CLIENT: usize = OWN;
const STATUS: usize = OWN + 1;
const TOPIC: usize = OWN + 2;

pub(super) static KIND: Kind = Kind { path: "mqtt_publish", fields: &["from_client", "status", "topic", "payload"], marks: &["from_client"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let action = if row.flag(FROM_CLIENT) == Some(false) { "mqtt.receive" } else { "mqtt.publish" };
    let mut event = scene.by_client(row, Activity::Use, Text::const_new(action))?;
    client(&mut event, row, scene);
    // `ok` once the quality of service asked for is fulfilled; `incomplete` and the like otherwise.
    let status = row.owned(STATUS);
    event.outcome = if status.as_deref() == Some("ok") { Outcome::Success } else { Outcome::Unknown };
    event.reason = status.filter(|status| status != "ok");
    event.destination = row.text(RESP_H).map(|host| match row.text(TOPIC) {
        Some(topic) => join(&["mqtt:", &host, ":topic/", &topic]),
        None => join(&["mqtt:", &host]),
    });
    event.destination_kind = Some(Text::const_new("topic"));
    scene.push(event);
    Ok(())
}
