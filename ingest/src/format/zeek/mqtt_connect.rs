//! `mqtt_connect.log`: a client's connection to a broker, by its client id.
//!
//! Source: Zeek, `policy/protocols/mqtt/main.zeek`.

use keytrail_schemas::{Activity, Event, IdentityKind, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, RESP_H, Row, UID};
use super::scene::{Scene, join, name_identity};
use crate::format::Reject;

const CLIENT: usize = OWN;
const STATUS: usize = OWN + 1;
const VERSION: usize = OWN + 2;

pub(super) static KIND: Kind =
    Kind { path: "mqtt_connect", fields: &["client_id", "connect_status", "proto_version", "will_payload"], marks: &["connect_status", "will_topic"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let mut event = scene.by_client(row, Activity::Authenticate, Text::const_new("mqtt.connect"))?;
    if let (Some(uid), Some(client)) = (row.text(UID), row.owned(CLIENT)) {
        scene.memory.mqtt_clients.put(&uid, client);
    }
    client(&mut event, row, scene);
    event.outcome = match row.text(STATUS).as_deref() {
        Some("Connection Accepted") => Outcome::Success,
        Some(status) if status.to_ascii_lowercase().contains("not authorized") => Outcome::Denied,
        Some(_) => Outcome::Failure,
        None => Outcome::Unknown,
    };
    if event.outcome != Outcome::Success {
        event.reason = row.owned(STATUS);
    }
    event.destination = row.text(RESP_H).map(|host| join(&["mqtt:", &host]));
    event.destination_kind = Some(Text::const_new("broker"));
    event.user_agent = row.text(VERSION).map(|version| join(&["mqtt/", &version]));
    scene.push(event);
    Ok(())
}

/// Gives the event what all MQTT rows have: the connection's client id, where it is known, and the protocol.
pub(super) fn client(event: &mut Event, row: &Row<'_>, scene: &Scene<'_>) {
    let known = row.text(UID).and_then(|uid| scene.memory.mqtt_clients.get(&uid));
    if let (Some(client), Some(broker)) = (known, row.text(RESP_H)) {
        name_identity(event, "mqtt", &broker, "client", client, IdentityKind::Device);
    }
    event.protocol = Some(Text::const_new("mqtt"));
    event.destination_service = Some(Text::const_new("mqtt"));
}
