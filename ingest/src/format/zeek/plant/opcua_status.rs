//! `opcua_binary_status_code_detail.log`: what a server answered. Yields the answers that are bad, as failures of the service that they name: a
//! refused login among them.
//!
//! Source: CISA, ICSNPP OPC UA Binary parser, `statuscode-diagnostic-types.zeek`; OPC 10000-4, 7.39 (status codes).

use keytrail_schemas::Event;

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::{Scene, join};
use super::opcua::of_client;
use super::settle;
use crate::format::Reject;

const SERVICE: usize = OWN;
const SEVERITY: usize = OWN + 1;
const SUB_CODE: usize = OWN + 2;
const CODE: usize = OWN + 3;

pub(in super::super) static KIND: Kind = Kind {
    path: "opcua_binary_status_code_detail",
    fields: &["source_str", "severity_str", "sub_code_str", "status_code"],
    marks: &["sub_code_str", "info_type_str"],
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    if row.text(SEVERITY).as_deref() != Some("Severity_Bad") {
        return Ok(());
    }
    let reason = row.owned(SUB_CODE).or_else(|| row.owned(CODE));
    // Polls that come when no subscription is left are how every session ends.
    if reason.as_deref() == Some("BadNoSubscription") {
        return Ok(());
    }
    let service = row.text(SERVICE);
    let service = service.as_deref().filter(|service| *service != "ResponseHeader").unwrap_or("ServiceFault");
    let mut event = of_client(row, scene, &join(&["opcua.", service]))?;
    // The row is the server's; the act that failed was the client's.
    of_the_client(row, scene, &mut event)?;
    settle(&mut event, false, reason);
    scene.push(event);
    Ok(())
}

fn of_the_client(row: &Row<'_>, scene: &Scene<'_>, event: &mut Event) -> Result<(), Reject> {
    let client = scene.by_client(row, event.activity, event.action.clone().unwrap_or_default())?;
    (event.identity, event.identity_kind) = (client.identity, client.identity_kind);
    (event.identity_provider, event.identity_account) = (client.identity_provider, client.identity_account);
    event.source_ip = client.source_ip;
    Ok(())
}
