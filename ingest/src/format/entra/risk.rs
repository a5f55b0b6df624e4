//! Entra ID Protection: risky users and service principals, and the detections that made them so.
//!
//! The record is Microsoft's judgement of an identity and not an act of it: an event without a destination, whose action is the operation and whose reason is the kind and level of the risk. Categories of
//! service principals are machines', all others people's.
//!
//! Source: Microsoft Graph, "riskDetection", "riskyUser", "servicePrincipalRiskDetection", "riskyServicePrincipal".

use keytrail_schemas::{Activity, IdentityKind, Micros, Outcome, Text};

use super::identity::{application, person, tenant_of};
use crate::format::join::join;
use crate::format::kit::{Mark, Row, Scene, Shape, fields};
use crate::format::{Reject, utc_time};

fields! {
    ID = "properties.id|id",
    TIME = "properties.detectedDateTime|properties.activityDateTime|properties.riskLastUpdatedDateTime|detectedDateTime|riskLastUpdatedDateTime|time",
    ACTION = "operationName",
    CATEGORY = "category",
    TENANT = "tenantId",
    SCOPE = "resourceId",
    USER = "properties.userPrincipalName|userPrincipalName",
    USER_ID = "properties.userId|userId|properties.id",
    APP = "properties.appId|appId",
    PRINCIPAL = "properties.servicePrincipalId|servicePrincipalId",
    KIND = "properties.riskEventType|riskEventType|properties.riskType",
    LEVEL = "properties.riskLevel|riskLevel",
    STATE = "properties.riskState|riskState",
    IP = "properties.ipAddress|ipAddress",
    COUNTRY = "properties.location.countryOrRegion|location.countryOrRegion",
    SESSION = "properties.requestId|properties.correlationId|correlationId",
    KEYS = "properties.keyIds.0|keyIds.0",
}

pub(in crate::format) static FORMAT: Shape = Shape {
    name: "entra_identity_protection",
    envelopes: &["records", "value"],
    marks: &[
        (95, &[Mark::Has("properties.riskState"), Mark::Holds("category", "Risk")]),
        (90, &[Mark::Has("riskEventType"), Mark::Has("riskState")]),
        (90, &[Mark::Has("riskLastUpdatedDateTime"), Mark::Has("riskState"), Mark::Has("riskLevel")]),
    ],
    fields: &FIELDS,
    id: None,
    who: "properties.userPrincipalName",
    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let time = row.time(TIME).or_else(|| padded(row.str(TIME)?)).map_or_else(|| row.moment(TIME), Ok)?;
    // A risky user's record is written anew whenever its risk changes.
    scene.set_id(row.str(ID).map(|id| join(&[id, "/", &time.0.to_string()])));
    let tenant = row.str(TENANT).or_else(|| row.str(SCOPE).and_then(tenant_of)).unwrap_or(scene.cluster).to_lowercase();
    let mut event = scene.event(time, Activity::Use, row.str(ACTION).unwrap_or("Risk"));
    if row.str(CATEGORY).is_some_and(|category| category.contains("ServicePrincipal")) || (row.has(PRINCIPAL) && !row.has(USER)) {
        application(&mut event, &tenant, row.str(APP), row.str(PRINCIPAL), None, IdentityKind::Service);
    } else {
        person(&mut event, &tenant, row.str(USER), row.str(USER_ID));
    }
    event.outcome = Outcome::Unknown;
    let words: Vec<_> = [KIND, LEVEL, STATE].into_iter().filter_map(|slot| row.str(slot)).collect();
    event.reason = (!words.is_empty()).then(|| Text::from(words.join(".")));
    event.credential = row.owned(KEYS);
    event.source_ip = row.address(IP);
    event.source_country = row.owned(COUNTRY).filter(|country| country.len() == 2);
    event.session = row.owned(SESSION);
    event.issuer = Some(join(&["entra:", &tenant]));
    scene.push(event);
    Ok(())
}

/// `2022-09-09T9:59:27.958Z`: an hour of one digit, as this log has it.
fn padded(text: &str) -> Option<Micros> {
    let (date, clock) = text.split_once('T').filter(|(_, clock)| clock.find(':') == Some(1))?;
    utc_time(&format!("{date}T0{clock}"))
}
