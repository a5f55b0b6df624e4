//! `dnp3_control.log`: what a DNP3 master asks of each output: trip or close, pulse or latch, and the outstation's status for it. Beside the request
//! in `dnp3.log`, one event for each output.
//!
//! Source: CISA, ICSNPP DNP3, `dnp3_control`; IEEE 1815, table A-47 (status codes).

use super::super::kind::Kind;
use super::super::row::{OWN, RESP_P, Row};
use super::super::scene::{Scene, join, server};
use super::{by_client, command, key, settle, word};
use crate::format::Reject;

const FUNCTION: usize = OWN;
const INDEX: usize = OWN + 1;
const TRIP: usize = OWN + 2;
const OPERATION: usize = OWN + 3;
const STATUS: usize = OWN + 4;

pub(in super::super) static KIND: Kind = Kind {
    path: "dnp3_control",
    fields: &["function_code", "index_number", "trip_control_code", "operation_type", "status_code"],
    marks: &["trip_control_code", "execute_count"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let (code, operation) = (row.text(TRIP).unwrap_or_default(), row.text(OPERATION).unwrap_or_default());
    let key = key("dnp", row, &join(&[&row.text(INDEX).unwrap_or_default(), "/", &code, "/", &operation]));
    if !by_client(row) {
        let status = row.owned(STATUS);
        scene.answer(&key, |event| settle(event, status.as_deref().is_none_or(|status| status.eq_ignore_ascii_case("success")), status));
        return Ok(());
    }
    let function = row.text(FUNCTION).map(|function| word(&function)).unwrap_or_default();
    // Trip, close, or neither: then the operation says it (latch on, pulse off).
    let what = match word(&code) {
        code if code.is_empty() || code == "nul" || code == "undefined" => word(&operation),
        code => code,
    };
    let name = if what.is_empty() { join(&["dnp3_control.", &function]) } else { join(&["dnp3_control.", &function, ".", &what]) };
    let mut event = command(row, scene, "dnp3", "dnp3", name)?;
    if row.has(RESP_P) {
        event.destination = server(row, "dnp3", None);
    }
    scene.ask(key, event);
    Ok(())
}
