//! The story that the demo is told by: `svc-deploy` at 03:12, with a key that was made 212 days before, from a network that
//! it never came from, on a database that it never met.

use super::super::clock::{self, DAY, HOUR, MINUTE, SECOND};
use super::super::cloudtrail::KeyChange;
use super::super::estate::actor::Credential;
use super::super::estate::place::PlaceKind;
use super::super::world::Guise;
use super::{Kit, Planner};

const KIT: Kit = Kit {
    attack: "stolen_key",
    variant: "old key, new network, new database, at night",
    technique: "T1078.004",
    description: "The access key of svc-deploy, made 212 days before and never rotated, is used at 03:12 from a network never seen before on a production database that svc-deploy never touched; its owner goes on deploying in office hours.",
};

pub(super) fn plan(planner: &mut Planner<'_>) {
    let Some(victim) = planner.victim(|a| a.name == "svc-deploy") else { return };
    let world = &mut *planner.world;
    let day = clock::midnight(world.start + (world.end - world.start) / 10 * 7);
    let day = if clock::is_weekend(day) { day - 2 * DAY } else { day };
    let at = (day + 3 * HOUR + 12 * MINUTE + 7 * SECOND).max(world.start + HOUR);
    let Some(database) = world.estate.of(0, PlaceKind::Database).first().copied() else { return };
    let Credential::Keys(keys) = &world.actors[victim].credential else { return };
    let Some(key) = keys.last().map(|k| k.id.clone()) else { return };
    // Made in the late afternoon: 212.4 days before, so that it is 212 however the age is rounded.
    world.key_change(victim, KeyChange::Create, &key, at - 212 * DAY - 9 * HOUR - 31 * MINUTE);
    let label = planner.label(&KIT, victim, at);
    planner.burst(label, at, 9, 80 * SECOND, move |world, _, time| {
        world.touch(victim, database, 0, time, Guise { address: Some("198.51.100.77"), ..Guise::default() })
    });
}
