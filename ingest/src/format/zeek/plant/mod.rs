//! The plant floor, as CISA's ICSNPP parsers log it: who commanded which controller, with what, and what it answered.
//!
//! | protocol | logs that yield events | logs that are recognised and add nothing to these |
//! |---|---|---|
//! | OPC UA | `opcua_binary`, `_opensecure_channel`, `_get_endpoints`, `_create_session`, `_activate_session`, `_close_session`, `_read`, `_write`, `_browse`, `_create_subscription`, `_create_monitored_items`, `_status_code_detail` (what is bad) | the parts of a service's arguments and results |
//! | S7comm | `s7comm`, `s7comm_plus`, `s7comm_read_szl`, `s7comm_upload_download`, `s7comm_known_devices` | |
//! | CIP, EtherNet/IP | `cip`, `enip`, `cip_identity` | `cip_io`: cyclic process data |
//! | BACnet | `bacnet`, `bacnet_device_control`, `bacnet_discovery` | `bacnet_property`: the objects of what `bacnet` has |
//! | DNP3 | `dnp3_control` | `dnp3_objects`: the objects of what `dnp3` has |
//! | Modbus | `modbus_detailed` | `modbus_mask_write_register`, `modbus_read_write_multiple_registers`, `modbus_read_device_identification` |
//!
//! A request and its answer are one event. An action is the protocol and its function in small letters, `s7comm.write_variable`; which class of
//! command that is, is the detector's data.
//!
//! Source: CISA, ICSNPP parsers (`main.zeek`, `consts.zeek` of each).

pub(super) mod bacnet;
pub(super) mod bacnet_control;
pub(super) mod bacnet_discovery;
pub(super) mod cip;
pub(super) mod cip_identity;
pub(super) mod dnp3_control;
pub(super) mod enip;
pub(super) mod modbus_detailed;
pub(super) mod opcua;
pub(super) mod opcua_activate_session;
pub(super) mod opcua_create_session;
pub(super) mod opcua_service;
pub(super) mod opcua_status;
pub(super) mod s7comm;
pub(super) mod s7comm_plus;
pub(super) mod s7comm_transfer;
#[cfg(test)]
mod tests;

use keytrail_schemas::{Activity, Event, Outcome, Text};

use super::answer::Key;
use super::row::{DESTINATION_H, IS_ORIG, ORIG_H, RESP_H, Row, SOURCE_H, UID};
use super::scene::{Scene, join};
use crate::format::Reject;

/// An event of the row's sender towards its receiver, over `protocol`; the receiver is `<class>:<address>`.
fn command(row: &Row<'_>, scene: &Scene<'_>, protocol: &'static str, class: &str, action: Text) -> Result<Box<Event>, Reject> {
    let sender = if row.has(SOURCE_H) { SOURCE_H } else { ORIG_H };
    let mut event = scene.by_host(row, sender, Activity::Use, action)?;
    event.source_ip = row.owned(sender);
    event.destination = row.text(DESTINATION_H).or_else(|| row.text(RESP_H)).map(|host| join(&[class, ":", &host]));
    event.destination_kind = Some(Text::const_new("plc"));
    event.destination_service = Some(Text::const_new(protocol));
    event.protocol = Some(Text::const_new(protocol));
    event.auth_method = Some(Text::const_new("none"));
    event.outcome = Outcome::Unknown;
    Ok(event)
}

/// Whether the client sent what the row is about; `true` where it does not say.
fn by_client(row: &Row<'_>) -> bool {
    row.flag(IS_ORIG).unwrap_or(true)
}

/// What a request and its answer have in common: the log, the connection, and the number of the exchange within it.
fn key(log: &'static str, row: &Row<'_>, number: &str) -> Key {
    Key { log, connection: row.owned(UID).unwrap_or_default(), number: number.into() }
}

/// A name of the documentation as one word: `PLC Stop` becomes `plc_stop`, `ERROR: read_property` stays apart from it.
fn word(name: &str) -> Text {
    /// Names of more bytes are none of the documentation's.
    const USUAL: usize = 64;
    let name = name.trim();
    let (mut usual, mut great) = ([0; USUAL], Vec::new());
    let out = if name.len() <= USUAL {
        usual.as_mut_slice()
    } else {
        great.resize(name.len(), 0);
        great.as_mut_slice()
    };
    let mut len = 0;
    // What is no letter of ASCII is one place, of however many bytes.
    let mut apart = true;
    for byte in name.bytes() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'-';
        if (plain || !apart)
            && let Some(place) = out.get_mut(len)
        {
            *place = if plain { byte.to_ascii_lowercase() } else { b'_' };
            len += 1;
        }
        apart = !plain;
    }
    std::str::from_utf8(out.get(..len).unwrap_or_default()).unwrap_or_default().trim_end_matches('_').into()
}

/// `<protocol>.<function>` of a name; `unknown` where there is none.
fn action(protocol: &str, name: Option<&str>) -> Text {
    let word = word(name.unwrap_or_default());
    join(&[protocol, ".", if word.is_empty() { "unknown" } else { &word }])
}

/// What an answer's status says: nothing but `good` is a failure, and what names a right that is missing is a denial.
fn settle(event: &mut Event, good: bool, reason: Option<Text>) {
    const DENIALS: [&str; 14] = [
        "password",
        "denied",
        "not_allowed",
        "not allowed",
        "accessdenied",
        "identitytoken",
        "privilege",
        "certificate",
        "securitychecks",
        "notauthorized",
        "authentication",
        "notwritable",
        "notreadable",
        "write-access",
    ];
    event.outcome = match &reason {
        _ if good => Outcome::Success,
        Some(reason) if DENIALS.iter().any(|word| reason.to_ascii_lowercase().contains(word)) => Outcome::Denied,
        _ => Outcome::Failure,
    };
    event.reason = reason.filter(|_| !good);
}
