//! `dhcp.log`: which machine has an address, by a lease that was given or renewed, given back, or refused by its own client because somebody else answers there.
//! The machine is what is touched, `mac:<address>`, so that `touched` of a host says which machines it was, and `who-touched` of a machine which hosts.
//!
//! An answer to INFORM is no lease: the client has its address from elsewhere, and through a relay the row bears the relay's own hardware address.
//!
//! Source: Zeek, `base/protocols/dhcp/main.zeek`; RFC 2131.

use keytrail_schemas::{Activity, IdentityKind, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, Row};
use super::scene::{Scene, join};
use crate::format::Reject;

const CLIENT: usize = OWN;
const SERVER: usize = OWN + 1;
const MAC: usize = OWN + 2;
const HOST_NAME: usize = OWN + 3;
const CLIENT_FQDN: usize = OWN + 4;
const REQUESTED: usize = OWN + 5;
const ASSIGNED: usize = OWN + 6;
const MESSAGES: usize = OWN + 7;

pub(super) static KIND: Kind = Kind {
    path: "dhcp",
    fields: &["client_addr", "server_addr", "mac", "host_name", "client_fqdn", "requested_addr", "assigned_addr", "msg_types"],
    marks: &["assigned_addr", "msg_types", "lease_time", "requested_addr"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let (mut given, mut back, mut declined) = (false, false, false);
    row.items(MESSAGES, |message| match message {
        "ACK" => given = true,
        "RELEASE" => back = true,
        "DECLINE" => declined = true,
        _ => {}
    });
    // It is done to the address, and is no behaviour of its own. The last word of an exchange: who declines an address was given it before, and who gives it back had it.
    let (action, slots, outcome): (_, &[usize], _) = if declined {
        ("dhcp.decline", &[REQUESTED, ASSIGNED, CLIENT], Outcome::Failure)
    } else if back {
        ("dhcp.release", &[CLIENT, ASSIGNED], Outcome::Success)
    } else if given && row.has(ASSIGNED) {
        ("dhcp.lease", &[ASSIGNED], Outcome::Success)
    } else {
        return Ok(());
    };
    let known = |slot: &usize| row.text(*slot).is_some_and(|address| &*address != "0.0.0.0");
    let (Some(slot), Some(machine)) = (slots.iter().copied().find(known), row.text(MAC)) else { return Ok(()) };
    let mut event = scene.by_host(row, slot, Activity::Issue, Text::const_new(action))?;
    event.identity_kind = IdentityKind::Device;
    event.source_ip = row.owned(slot);
    event.source_host = row.owned(HOST_NAME).or_else(|| row.owned(CLIENT_FQDN));
    event.destination = Some(join(&["mac:", &machine.to_ascii_lowercase()]));
    event.destination_kind = Some(Text::const_new("machine"));
    event.destination_service = row.text(SERVER).map(|server| join(&["dhcp:", &server]));
    event.protocol = Some(Text::const_new("dhcp"));
    event.outcome = outcome;
    scene.push(event);
    Ok(())
}
