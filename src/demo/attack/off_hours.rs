//! An identity that works in office hours opens something new in its own team at night, from its own host and client.

use super::super::clock::MINUTE;
use super::super::estate::actor::Kind;
use super::super::estate::place::PlaceKind;
use super::super::estate::rhythm::Rhythm;
use super::super::world::{Guise, Touched};
use super::{Kit, NIGHT, Planner};

const KIT: Kit = Kit {
    attack: "off_hours_destination",
    variant: "",
    technique: "T1078.004",
    description: "An identity that only ever works in office hours opens something of its own team that it never opened, in the middle of the night, from its usual host and with its usual client.",
};

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(3.0) {
        let (kind, target, variant) = match n % 3 {
            0 => (Kind::AwsRole, PlaceKind::Table, "table"),
            1 => (Kind::AppRole, PlaceKind::Path, "Vault secret"),
            _ => (Kind::AwsUser, PlaceKind::Database, "database"),
        };
        let office = |a: &super::Actor| a.kind == kind && matches!(a.rhythm, Rhythm::Traffic { office, .. } if office >= 1.0);
        let Some(victim) = planner.victim(office) else { continue };
        let at = planner.moment(NIGHT, false);
        let label = planner.label(&Kit { variant, ..KIT }, victim, at);
        let places = planner.unfamiliar(victim, target);
        let address = planner.world.actors[victim].address();
        planner.burst(label, at, 10, 2 * MINUTE, move |world, n, time| {
            let Some(place) = places.first() else { return Touched { time, id: String::new(), credential: None } };
            let act = if target == PlaceKind::Table && n == 0 { 3 } else { 0 };
            world.touch(victim, *place, act, time, Guise { address: Some(&address), ..Guise::default() })
        });
    }
}
