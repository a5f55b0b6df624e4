//! `bacnet_device_control.log`: a device is told to be silent, to speak again or to restart, with a password or without. The password passes nowhere.
//!
//! Source: CISA, ICSNPP BACnet parser, `BACnet_Device_Control`; ANSI/ASHRAE 135, 16.1 and 16.4.

use keytrail_schemas::{CredentialKind, Text};

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::{Scene, join};
use super::{action, by_client, command, key, settle, word};
use crate::format::Reject;

const INVOKE: usize = OWN;
const SERVICE: usize = OWN + 1;
const STATE: usize = OWN + 2;
const PASSWORD: usize = OWN + 3;
const RESULT: usize = OWN + 4;
const CODE: usize = OWN + 5;

pub(in super::super) static KIND: Kind = Kind {
    path: "bacnet_device_control",
    fields: &["invoke_id", "pdu_service", "device_state", "password", "result", "result_code"],
    marks: &["device_state", "time_duration"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let service = row.text(SERVICE).map(|service| word(&service)).unwrap_or_default();
    let key = key("bdc", row, &join(&[&row.text(INVOKE).unwrap_or_default(), "/", &service]));
    if let Some(result) = row.text(RESULT) {
        let code = row.owned(CODE);
        scene.answer(&key, |event| settle(event, result.eq_ignore_ascii_case("success"), code));
        return Ok(());
    }
    if !row.has(STATE) && !by_client(row) {
        return Ok(());
    }
    let name = match row.text(STATE).map(|state| word(&state)).filter(|state| !state.is_empty()) {
        Some(state) => join(&["bacnet.", &service, ".", &state]),
        None => action("bacnet", Some(&service)),
    };
    let mut event = command(row, scene, "bacnet", "bacnet", name)?;
    if row.text(PASSWORD).is_some() {
        event.auth_method = Some(Text::const_new("password"));
        event.credential_kind = CredentialKind::Password;
    }
    scene.ask(key, event);
    Ok(())
}
