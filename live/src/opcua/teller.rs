//! What is told: records of events and of gaps, numbered, with the position behind them. What a server says of keytrail's own session is left out.

use std::sync::Arc;

use keytrail_schemas::Micros;
use opcua_types::{EventNotificationList, NotificationMessage, StatusChangeNotification, StatusCode, Variant};
use serde_json::{Map, Value, json};

use super::event::{self, Event};
use super::gap::{Gap, Told};
use super::position::Position;
use crate::intake::{Intake, Place};

/// The version of the records' shape.
const VERSION: u32 = 1;

/// A source's voice.
pub struct Teller {
    intake: Arc<dyn Intake>,
    pub position: Position,
    origin: Arc<str>,
    /// The thumbprint of keytrail's own application certificate.
    pub own_thumbprint: String,
    now: fn() -> Micros,
    /// The number of the last message with events in this subscription.
    last_message: u32,
    /// Events that the server keeps between two deliveries.
    queue_events: u64,
    /// Events that came in one go, and when the last of them did.
    burst: (u64, Micros),
    /// Events of keytrail's own that were left out.
    left_out: u64,
}

impl Teller {
    pub fn new(intake: Arc<dyn Intake>, position: Position, url: &str, now: fn() -> Micros) -> Self {
        Self {
            intake,
            position,
            origin: url.into(),
            own_thumbprint: String::new(),
            now,
            last_message: 0,
            queue_events: u64::MAX,
            burst: (0, Micros(0)),
            left_out: 0,
        }
    }

    /// Whether to wait before more is taken from the server.
    pub fn is_full(&self) -> bool {
        self.intake.is_full()
    }

    pub fn now(&self) -> Micros {
        (self.now)()
    }

    /// A subscription stands, in which the server keeps so many events between two deliveries.
    pub fn subscribed(&mut self, queue_events: u32) {
        let now = self.now();
        self.last_message = 0;
        self.queue_events = if queue_events == 0 { u64::MAX } else { queue_events.into() };
        match self.position.gap.take() {
            Some(gap) => self.tell(Told::Resumed(&gap, now).fields()),
            None if self.position.alive.is_none() => self.tell(Told::Subscribed(now).fields()),
            None => {}
        }
        self.alive();
    }

    /// Nothing is heard any more. Where nothing ever was, there is nothing to miss.
    pub fn silent(&mut self, reason: &str) {
        let Some(from) = self.position.alive.filter(|_| self.position.gap.is_none()) else { return };
        let gap = Gap { from, reason: reason.to_owned() };
        self.tell(Told::Silent(&gap).fields());
        self.position.gap = Some(gap);
        self.intake.reached(self.position.write());
    }

    /// Some events since the last message are lost.
    pub fn lost(&mut self, reason: &str) {
        let to = self.now();
        tracing::warn!(server = &*self.origin, reason, "events are lost");
        self.tell(Told::Lost { from: self.position.alive.unwrap_or(to), to, reason }.fields());
    }

    /// The server was heard just now, and everything that it said is told.
    pub fn alive(&mut self) {
        self.position.alive = Some(self.now());
        self.intake.reached(self.position.write());
    }

    /// Tells a message of the server; says how the subscription ended, where it did.
    pub fn message(&mut self, message: NotificationMessage) -> Option<StatusCode> {
        let mut ended = None;
        let data = message.notification_data.unwrap_or_default();
        if !data.is_empty() {
            let number = message.sequence_number;
            // Numbers begin at 1, and again at 1 behind the last one there is.
            let missing = number.saturating_sub(self.last_message.saturating_add(1));
            self.last_message = number;
            if missing > 0 {
                self.lost(&format!("{missing} messages of the server did not arrive"));
            }
        }
        for object in data {
            if let Some(status) = object.inner_as::<StatusChangeNotification>() {
                ended = Some(status.status);
            } else if let Some(list) = object.inner_as::<EventNotificationList>() {
                self.full(list.events.as_ref().map_or(0, Vec::len));
                for one in list.events.iter().flatten() {
                    self.event(one.event_fields.as_deref().unwrap_or_default());
                }
            } else {
                self.lost(&format!("a message of an unknown kind came ({})", object.type_name().unwrap_or("not named")));
            }
        }
        self.alive();
        ended
    }

    /// Some servers let their queue run over and say nothing. As many events in one go as the queue holds may not have been all.
    fn full(&mut self, events: usize) {
        const ONE_GO: i64 = 200_000;
        let now = self.now();
        let before = if now.0 - self.burst.1.0 <= ONE_GO { self.burst.0 } else { 0 };
        let after = before + events as u64;
        self.burst = (after, now);
        if before < self.queue_events && after >= self.queue_events {
            self.lost("the queue of events at the server was full: events may be lost");
        }
    }

    fn event(&mut self, values: &[Variant]) {
        let Event { kind, mut fields } = event::read(values);
        if kind == "EventQueueOverflowEventType" {
            self.lost("the queue of events at the server overflowed: events are lost");
            return;
        }
        if !is_audit(&kind, &fields) {
            return;
        }
        if self.is_own(&kind, &fields) {
            self.left_out += 1;
            if self.left_out == 1 {
                tracing::info!(server = &*self.origin, "what the server says of keytrail's own session is left out");
            }
            return;
        }
        self.position.memory.see(&kind, &mut fields);
        self.tell(fields);
    }

    /// Of keytrail itself: by its session, and where an event knows no session, by its certificate (and only where the server took it).
    fn is_own(&self, kind: &str, fields: &Map<String, Value>) -> bool {
        let text = |field: &str| fields.get(field).and_then(Value::as_str);
        if let Some(session) = text("SessionId") {
            return self.position.own.iter().any(|own| own == session);
        }
        let thumbprint = fields.get("ClientCertificate").and_then(|facts| facts.get("Thumbprint")).and_then(Value::as_str);
        kind == "AuditOpenSecureChannelEventType"
            && fields.get("Status").and_then(Value::as_bool) == Some(true)
            && thumbprint.is_some_and(|thumbprint| thumbprint == self.own_thumbprint)
    }

    fn tell(&mut self, fields: Map<String, Value>) {
        self.position.sequence += 1;
        let mut record = Map::new();
        record.insert("opcua_audit".to_owned(), json!(VERSION));
        record.insert("Server".to_owned(), json!(&*self.origin));
        record.insert("Sequence".to_owned(), json!(self.position.sequence));
        record.insert("Received".to_owned(), json!(self.now().to_rfc3339()));
        record.extend(fields);
        let place = Place { origin: Arc::clone(&self.origin), sequence: self.position.sequence };
        self.intake.feed(serde_json::to_vec(&record).unwrap_or_default(), place);
    }
}

/// Whether it is an audit event: by its type, or by what all of them have, for types of a server's own and servers that do not choose.
fn is_audit(kind: &str, fields: &Map<String, Value>) -> bool {
    kind.contains("Audit") || fields.contains_key("ActionTimeStamp") || fields.contains_key("ClientUserId") || kind.is_empty() && fields.contains_key("Status")
}

#[cfg(test)]
mod tests {
    use opcua_types::{EventFieldList, ExtensionObject, NodeId, ObjectTypeId};

    use super::super::select::FIELDS;
    use super::*;
    use crate::intake::Queue;

    fn now() -> Micros {
        Micros::parse_rfc3339("2026-03-01T08:00:00Z").unwrap()
    }

    fn teller() -> (Teller, Arc<Queue>) {
        let queue = Arc::new(Queue::new(1 << 20));
        (Teller::new(Arc::clone(&queue) as Arc<dyn Intake>, Position::default(), "opc.tcp://plc:4840", now), queue)
    }

    fn event(of: ObjectTypeId, set: &[(&str, Variant)]) -> EventFieldList {
        let value = |name: &str| match name {
            "EventType" => Variant::from(NodeId::from(of)),
            _ => set.iter().find(|(field, _)| *field == name).map_or(Variant::Empty, |(_, value)| value.clone()),
        };
        EventFieldList { client_handle: 1, event_fields: Some(FIELDS.iter().map(|field| value(field.name)).collect()) }
    }

    fn message(number: u32, events: Vec<EventFieldList>) -> NotificationMessage {
        let list = EventNotificationList { events: Some(events) };
        NotificationMessage { sequence_number: number, notification_data: Some(vec![ExtensionObject::from_message(list)]), ..NotificationMessage::default() }
    }

    fn records(queue: &Queue) -> Vec<Value> {
        queue.take(usize::MAX).records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[test]
    fn records_are_numbered_and_the_position_behind_them_goes_on() {
        let (mut teller, queue) = teller();
        teller.subscribed(3);
        teller.message(message(1, vec![event(ObjectTypeId::AuditWriteUpdateEventType, &[("Status", Variant::from(true))])]));
        let taken = queue.take(usize::MAX);
        let position = Position::read(taken.position.as_deref());
        assert_eq!((position.sequence, position.alive, position.gap), (2, Some(now()), None));
        let told: Value = serde_json::from_slice(taken.records.split(|byte| *byte == b'\n').nth(1).unwrap()).unwrap();
        assert_eq!((&told["opcua_audit"], &told["Sequence"], &told["Server"]), (&json!(1), &json!(2), &json!("opc.tcp://plc:4840")));
        assert_eq!(told["EventTypeName"], "AuditWriteUpdateEventType");
    }

    #[test]
    fn a_gap_has_a_beginning_and_an_end() {
        let (mut teller, queue) = teller();
        teller.silent("it was never there");
        assert!(records(&queue).is_empty(), "where nothing ever was heard nothing is missed");
        teller.subscribed(3);
        teller.silent("the server is away");
        teller.silent("it is still away");
        teller.subscribed(3);
        let states: Vec<Value> = records(&queue).iter().map(|record| record["SourceState"].clone()).collect();
        assert_eq!(states, ["subscribed", "silent", "resumed"]);
        assert!(teller.position.gap.is_none());
    }

    #[test]
    fn what_is_lost_is_said() {
        let (mut teller, queue) = teller();
        teller.subscribed(3);
        for number in [2, 3, 6] {
            teller.message(message(number, vec![event(ObjectTypeId::AuditSessionEventType, &[("Status", Variant::from(true))])]));
        }
        teller.message(message(7, vec![event(ObjectTypeId::EventQueueOverflowEventType, &[])]));
        let lost: Vec<Value> = records(&queue).into_iter().filter(|record| record["SourceState"] == "lost").map(|record| record["Reason"].clone()).collect();
        let expected = [
            "1 messages of the server did not arrive",
            "2 messages of the server did not arrive",
            // Three came in one go, and the queue holds three.
            "the queue of events at the server was full: events may be lost",
            "the queue of events at the server overflowed: events are lost",
        ];
        assert_eq!(lost, expected);
    }

    #[test]
    fn its_own_session_is_left_out_and_nobody_elses() {
        let (mut teller, queue) = teller();
        teller.subscribed(0);
        teller.position.remember_own("ns=1;i=7".to_owned());
        let session =
            |id: u32| event(ObjectTypeId::AuditActivateSessionEventType, &[("SessionId", Variant::from(NodeId::new(1, id))), ("Status", Variant::from(true))]);
        teller.message(message(1, vec![session(7), session(8), event(ObjectTypeId::BaseEventType, &[])]));
        let told = records(&queue);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1]["SessionId"], "ns=1;i=8");
    }
}
