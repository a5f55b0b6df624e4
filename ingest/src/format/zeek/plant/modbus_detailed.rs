//! `modbus_detailed.log`: as `modbus.log`, with addresses and values: a request and its answer are one row, at the time of the request. Where both are
//! delivered, each act is told twice, under one id: the row that says more stands (`source::twin`). What only this log tells apart, the sub-function of a
//! diagnosis or of an encapsulated interface, has an id of its own, so that it is never taken for something that was said already.
//!
//! Source: CISA, ICSNPP Modbus, `modbus_detailed`.

use super::super::kind::Kind;
use super::super::row::{OWN, RESP_H, Row};
use super::super::scene::{Scene, join};
use super::{command, key, settle};
use crate::format::Reject;

const TRANSACTION: usize = OWN;
const UNIT: usize = OWN + 1;
const FUNCTION: usize = OWN + 2;
const MATCHED: usize = OWN + 3;
const EXCEPTION: usize = OWN + 4;
const MEI: usize = OWN + 5;
const SUBFUNCTION: usize = OWN + 6;

pub(in super::super) static KIND: Kind = Kind {
    path: "modbus_detailed",
    fields: &["tid", "unit", "func", "matched", "exception_code", "mei_type", "request_subfunction_code"],
    marks: &["modbus_detailed_link_id", "request_values", "mei_type"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let function = row.text(FUNCTION);
    let function = function.as_deref().map_or("unknown", |function| function.strip_suffix("_EXCEPTION").unwrap_or(function));
    let detail = row.text(MEI).or_else(|| row.text(SUBFUNCTION)).map(|detail| super::word(&detail)).filter(|detail| !detail.is_empty());
    let action = match detail {
        Some(detail) => join(&["modbus.", function, ".", &detail]),
        None => join(&["modbus.", function]),
    };
    let mut event = command(row, scene, "modbus", "modbus", action)?;
    event.destination = row.text(RESP_H).map(|host| match row.text(UNIT) {
        Some(unit) => join(&["modbus:", &host, "/unit/", &unit]),
        None => join(&["modbus:", &host]),
    });
    let (transaction, unit) = (row.text(TRANSACTION), row.text(UNIT));
    let told = event.action.as_deref().and_then(|action| action.strip_prefix("modbus.")).unwrap_or(function);
    let id = |scene: &mut Scene<'_>| scene.memory.modbus.id(row, event.time, transaction.as_deref(), unit.as_deref(), told);
    let exception = row.owned(EXCEPTION);
    if row.flag(MATCHED).is_some() {
        let id = id(scene);
        settle(&mut event, exception.is_none(), exception);
        scene.push_of(event, id);
        return Ok(());
    }
    // Functions without data are told by two rows, alike but for the time: the first asks and the second answers.
    let key = key("mod", row, &join(&[transaction.as_deref().unwrap_or_default(), "/", function]));
    if !scene.answer(&key, |event| settle(event, exception.is_none(), exception)) {
        let id = id(scene);
        scene.ask_of(key, event, id);
    }
    Ok(())
}
