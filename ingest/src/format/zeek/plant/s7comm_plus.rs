//! `s7comm_plus.log`: S7-1200 and S7-1500 controllers: variables, objects, and what is invoked. Notifications are the controller's own, and no act.
//!
//! Source: CISA, ICSNPP S7COMM parser, `S7comm_Plus::Info`; the functions: `consts.zeek` there.

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::Scene;
use super::{action, command, key, settle};
use crate::format::Reject;

pub(in super::super) static KIND: Kind =
    Kind { path: "s7comm_plus", fields: &["opcode_name", "function_code", "function_name"], marks: &["opcode_name"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let key = key("s7p", row, &row.text(OWN + 1).unwrap_or_default());
    match row.text(OWN).as_deref() {
        Some("Request") => {
            let event = command(row, scene, "s7comm_plus", "s7comm", action("s7comm_plus", row.text(OWN + 2).as_deref()))?;
            scene.ask(key, event);
        }
        Some("Response") => {
            scene.answer(&key, |event| settle(event, true, None));
        }
        _ => {}
    }
    Ok(())
}
