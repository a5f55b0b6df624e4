//! `mqtt_subscribe.log`: a client subscribes to topics, or leaves them: one event a topic.
//!
//! Source: Zeek, `policy/protocols/mqtt/main.zeek`.

use keytrail_schemas::{Activity, Text};

use super::kind::Kind;
use super::mqtt_connect::client;
use super::row::{OWN, RESP_H, Row};
use super::scene::{Scene, join, outcome};
use crate::format::Reject;

/// More topics than these are counted in one event, so that a row cannot multiply itself without bound.
const TOPICS_MAX: usize = 16;

const ACTION: usize = OWN;
const TOPICS: usize = OWN + 1;
const ACK: usize = OWN + 2;

pub(super) static KIND: Kind = Kind { path: "mqtt_subscribe", fields: &["action", "topics", "ack"], marks: &["granted_qos_level", "qos_levels"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let leaves = row.text(ACTION).is_some_and(|action| action.ends_with("UNSUBSCRIBE"));
    let mut event = scene.by_client(row, Activity::Use, Text::const_new(if leaves { "mqtt.unsubscribe" } else { "mqtt.subscribe" }))?;
    client(&mut event, row, scene);
    event.outcome = outcome(row.flag(ACK).filter(|acknowledged| *acknowledged));
    event.destination_kind = Some(Text::const_new("topic"));
    let broker = row.text(RESP_H).unwrap_or_default();
    let (mut topics, mut more) = (Vec::new(), 0_usize);
    row.items(TOPICS, |topic| if topics.len() < TOPICS_MAX { topics.push(join(&["mqtt:", &broker, ":topic/", topic])) } else { more += 1 });
    if more > 0 {
        topics.push(join(&["mqtt:", &broker, ":topics/", &more.to_string(), " more"]));
    }
    if topics.is_empty() {
        topics.push(join(&["mqtt:", &broker]));
    }
    for topic in topics {
        event.destination = Some(topic);
        scene.push(event.clone());
    }
    Ok(())
}
