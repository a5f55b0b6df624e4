//! `ldap_search.log`: a search of a directory, by the name that its connection is bound to, else by the client's host.
//!
//! Source: Zeek 6.1 and later, `base/protocols/ldap/main.zeek`.

use keytrail_schemas::{Activity, Outcome, Text};

use super::kind::Kind;
use super::ldap::{bound, touch};
use super::row::{OWN, Row};
use super::scene::Scene;
use crate::format::Reject;

const BASE: usize = OWN;
const RESULT: usize = OWN + 1;

pub(super) static KIND: Kind = Kind { path: "ldap_search", fields: &["base_object", "result"], marks: &["base_object", "deref_aliases"], read };

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let mut event = scene.by_client(row, Activity::Use, Text::const_new("ldap.search"))?;
    bound(&mut event, row, scene);
    event.outcome = match row.text(RESULT).as_deref() {
        Some("success") => Outcome::Success,
        Some("insufficient access rights") => Outcome::Denied,
        Some(_) => Outcome::Failure,
        None => Outcome::Unknown,
    };
    if event.outcome != Outcome::Success {
        event.reason = row.owned(RESULT);
    }
    touch(&mut event, row, row.text(BASE).as_deref());
    scene.push(event);
    Ok(())
}
