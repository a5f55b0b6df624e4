//! `modbus.log`: a Modbus message between a master (the client) and a unit behind a server.
//!
//! Since Zeek 6 each request and each response is a row of its own (`pdu_type`): they are one event, at the time of the request. ICSNPP's
//! `modbus_detailed.log` tells of the same act, at the same time ([`super::plant::modbus_detailed`]), and both give it one id.
//!
//! Source: Zeek, `base/protocols/modbus/main.zeek`; ICSNPP Modbus, `main.zeek` (`ts` is `network_time()` at the request in both).

use keytrail_schemas::{Activity, Micros, Outcome, Text};

use super::answer::Key;
use super::kind::Kind;
use super::row::{OWN, RESP_H, Row, UID};
use super::scene::{Scene, join};
use crate::format::Reject;

const UNIT: usize = OWN;
const FUNCTION: usize = OWN + 1;
const PDU: usize = OWN + 2;
const EXCEPTION: usize = OWN + 3;
const TRANSACTION: usize = OWN + 4;

pub(super) static KIND: Kind = Kind { path: "modbus", fields: &["unit", "func", "pdu_type", "exception", "tid"], marks: &["func"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let function = row.text(FUNCTION);
    let function = function.as_deref().map_or("unknown", |function| function.strip_suffix("_EXCEPTION").unwrap_or(function));
    let (pdu, transaction) = (row.text(PDU), row.text(TRANSACTION));
    let reason = row.owned(EXCEPTION);
    let outcome = if reason.is_some() { Outcome::Failure } else { Outcome::Success };
    let key = transaction.as_deref().map(|transaction| Key {
        log: "modbus",
        connection: row.owned(UID).unwrap_or_default(),
        number: join(&[transaction, "/", function]),
    });
    if pdu.as_deref() == Some("RESP")
        && let Some(key) = &key
        && scene.answer(key, |event| (event.outcome, event.reason) = (outcome, reason.clone()))
    {
        return Ok(());
    }
    let mut event = scene.by_client(row, Activity::Use, join(&["modbus.", function]))?;
    event.reason = reason;
    // A request that stands in a row of its own does not know its answer yet.
    let asks = event.reason.is_none() && pdu.as_deref() == Some("REQ");
    event.outcome = if asks { Outcome::Unknown } else { outcome };
    event.destination = row.text(RESP_H).map(|host| match row.text(UNIT) {
        Some(unit) => join(&["modbus:", &host, "/unit/", &unit]),
        None => join(&["modbus:", &host]),
    });
    event.destination_kind = Some(Text::const_new("plc"));
    event.destination_service = Some(Text::const_new("modbus"));
    event.protocol = Some(Text::const_new("modbus"));
    event.auth_method = Some(Text::const_new("none"));
    let id = scene.memory.modbus.id(row, event.time, transaction.as_deref(), row.text(UNIT).as_deref(), function);
    match key.filter(|_| asks) {
        Some(key) => scene.ask_of(key, event, id),
        // Before Zeek 6, or an answer whose request was not seen.
        None => scene.push_of(event, id),
    }
    Ok(())
}

/// The requests of one moment, so that two that are alike are two.
#[derive(Default)]
pub(super) struct Moment {
    at: Option<Micros>,
    ids: Vec<Text>,
}

/// So many requests of one moment are told apart.
const ALIKE_MAX: usize = 64;

impl Moment {
    /// A name for the request that both logs give it: connection, transaction, unit, function and time. `None` without a transaction.
    pub(super) fn id(&mut self, row: &Row<'_>, at: Micros, transaction: Option<&str>, unit: Option<&str>, function: &str) -> Option<Text> {
        let connection = row.text(UID)?;
        let mut digits = [0; 20];
        let at_text = decimal(at.0, &mut digits);
        let id = join(&["modbus/", &connection, "/", transaction?, "/", unit.unwrap_or_default(), "/", function, "/", at_text]);
        if self.at != Some(at) {
            (self.at, self.ids) = (Some(at), Vec::new());
        }
        let alike = self.ids.iter().filter(|known| **known == id).count();
        if self.ids.len() < ALIKE_MAX {
            self.ids.push(id.clone());
        }
        Some(if alike == 0 { id } else { join(&[&id, "/", decimal(i64::try_from(alike).unwrap_or(i64::MAX), &mut [0; 20])]) })
    }
}

/// A number that is not negative, in digits.
fn decimal(number: i64, digits: &mut [u8; 20]) -> &str {
    let (mut rest, mut from) = (number.unsigned_abs(), digits.len());
    loop {
        from -= 1;
        if let Some(place) = digits.get_mut(from) {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        }
        rest /= 10;
        if rest == 0 || from == 0 {
            break;
        }
    }
    std::str::from_utf8(digits.get(from..).unwrap_or_default()).unwrap_or_default()
}
