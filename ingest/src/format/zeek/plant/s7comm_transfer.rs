//! `s7comm_upload_download.log`, `s7comm_read_szl.log`, `s7comm_known_devices.log`: blocks of the program that go up or down, reads of system status lists,
//! and what a controller said of itself.
//!
//! Source: CISA, ICSNPP S7COMM parser, `S7comm::Upload_Download`, `S7comm::Read_SZL` and `S7comm::Known_Device`.

use keytrail_schemas::Activity;

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::{Scene, join};
use super::{action, by_client, command, key, settle};
use crate::format::Reject;

pub(in super::super) static TRANSFER: Kind = Kind {
    path: "s7comm_upload_download",
    fields: &["rosctr", "pdu_reference", "function_name", "function_status"],
    marks: &["blocklength", "destination_filesystem", "function_status"],
    read: transfer,
};
pub(in super::super) static SZL: Kind =
    Kind { path: "s7comm_read_szl", fields: &["method", "pdu_reference", "return_code_name"], marks: &["szl_id", "szl_id_name"], read: szl };
pub(in super::super) static DEVICE: Kind = Kind {
    path: "s7comm_known_devices",
    fields: &["module", "basic_hardware", "basic_firmware", "serial_number", "module_type", "system_name", "module_name", "plant_id", "copyright"],
    marks: &["basic_hardware", "basic_firmware", "serial_number_of_module"],
    read: device,
};

fn transfer(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let key = key("s7t", row, &row.text(OWN + 1).unwrap_or_default());
    if !row.text(OWN).is_some_and(|kind| kind.starts_with("Job")) {
        // 0x00 while it goes on; an error is a code of its own.
        let status = row.owned(OWN + 3);
        let good = status.as_deref().is_none_or(|status| matches!(status, "0x00" | "0x01" | "0"));
        scene.answer(&key, |event| settle(event, good, status));
        return Ok(());
    }
    // In a download the controller fetches block by block: those are the answers to somebody's request, not its own acts.
    if !by_client(row) {
        return Ok(());
    }
    let mut event = command(row, scene, "s7comm", "s7comm", action("s7comm", row.text(OWN + 2).as_deref()))?;
    if event.action.as_deref() == Some("s7comm.request_download") {
        event.activity = Activity::Configure;
    }
    scene.ask(key, event);
    Ok(())
}

fn szl(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let key = key("s7z", row, &row.text(OWN + 1).unwrap_or_default());
    if row.text(OWN).as_deref() == Some("Response") {
        let code = row.owned(OWN + 2);
        scene.answer(&key, |event| settle(event, code.as_deref().is_none_or(|code| code == "Success"), code));
        return Ok(());
    }
    let event = command(row, scene, "s7comm", "s7comm", action("s7comm", Some("read_szl")))?;
    scene.ask(key, event);
    Ok(())
}

/// The controller tells its module, hardware, firmware and serial number: the act is the telling.
fn device(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let mut event = command(row, scene, "s7comm", "s7comm", action("s7comm", Some("identify")))?;
    let described: Vec<_> = (OWN..OWN + 9).filter_map(|slot| row.text(slot)).collect();
    event.user_agent = (!described.is_empty()).then(|| join(&[&described.join(" ")]));
    scene.push(event);
    Ok(())
}
