//! `enip.log`: sessions and discovery of EtherNet/IP. What is sent within a session stands in `cip.log`.
//!
//! Source: CISA, ICSNPP ENIP/CIP parser, `ENIP`; commands: The CIP Networks Library, volume 2, 2-3.2.

use keytrail_schemas::Activity;

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::Scene;
use super::{action, by_client, command, key, settle, word};
use crate::format::Reject;

pub(in super::super) static KIND: Kind =
    Kind { path: "enip", fields: &["enip_command", "enip_status", "sender_context"], marks: &["enip_command", "enip_command_code"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let name = row.text(OWN).map(|name| word(&name)).unwrap_or_default();
    if matches!(name.as_str(), "send_rr_data" | "send_unit_data" | "nop" | "indicate_status") {
        return Ok(());
    }
    let key = key("enip", row, &name);
    if by_client(row) {
        let mut event = command(row, scene, "cip", "cip", action("enip", Some(&name)))?;
        if name == "unregister_session" {
            // It has no answer.
            event.activity = Activity::End;
            scene.push(event);
        } else {
            scene.ask(key, event);
        }
    } else {
        let status = row.owned(OWN + 1);
        scene.answer(&key, |event| settle(event, status.as_deref().is_none_or(|status| status == "Success"), status));
    }
    Ok(())
}
