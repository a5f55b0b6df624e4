//! An identity works at an hour that is not its own, from its own host and with its own client.

use super::{NIGHT, Planner, Technique};
use crate::clock::{self, DAY, HOUR, MINUTE, SECOND};
use crate::roster::actor::{Actor, Kind};
use crate::roster::place::PlaceKind;
use crate::roster::rhythm::Rhythm;
use crate::world::{Guise, Touched};

const SOURCE: &str = "A foothold on the host itself: MITRE ATT&CK T1078.004 procedure examples (APT29, Scattered Spider) work with what the host already is";

const fn night(variant: &'static str, description: &'static str, plan: fn(&mut Planner<'_>, &'static Technique) -> Option<()>) -> Technique {
    Technique {
        attack: "off_hours_destination",
        variant,
        tactic: "collection",
        id: "T1078.004",
        description,
        seen_by: "an hour of the week at which the identity never works, and a destination that is new to it though not to its team",
        source: SOURCE,
        plan,
    }
}

pub(super) const LIBRARY: &[Technique] = &[
    night("table", "A role that only ever works in office hours scans a table of its own team that it never opened, in the middle of the night.", |p, t| {
        own_team(p, t, Kind::AwsRole, PlaceKind::Table)
    }),
    night("Vault secret", "An AppRole that only ever works in office hours reads a secret of its own team that it never read, at night.", |p, t| {
        own_team(p, t, Kind::AppRole, PlaceKind::Path)
    }),
    night("database", "An IAM user that only ever works in office hours queries its own team's database, which it never did, at night.", |p, t| {
        own_team(p, t, Kind::AwsUser, PlaceKind::Database)
    }),
    Technique {
        attack: "clock_job_far_from_its_hours",
        variant: "usual place, usual client",
        tactic: "defense-evasion",
        id: "T1078",
        description: "A job that runs at one hour of the night, each night, is at work at a quite different hour: its usual host, client and destinations, and nothing else than it always does.",
        seen_by: "the schedule alone: minutes from the learned hour, against a scatter of seconds",
        source: SOURCE,
        plan: clock_job,
    },
];

fn own_team(planner: &mut Planner<'_>, technique: &'static Technique, kind: Kind, target: PlaceKind) -> Option<()> {
    let office = |a: &Actor| a.kind == kind && matches!(a.rhythm, Rhythm::Traffic { office, .. } if office >= 1.0);
    let victim = planner.victim(office)?;
    let at = planner.moment(NIGHT, false);
    let label = planner.label(technique, victim, at);
    let places = planner.unfamiliar(victim, target);
    let address = planner.world.actors[victim].address();
    planner.burst(label, at, 10, 2 * MINUTE, move |world, n, time| {
        let Some(place) = places.first() else { return Touched::nothing(time) };
        let act = if target == PlaceKind::Table && n == 0 { 3 } else { 0 };
        world.touch(victim, *place, act, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}

fn clock_job(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let clock_like = |a: &Actor| {
        matches!(a.kind, Kind::AwsUser | Kind::AwsRole | Kind::AppRole | Kind::ServiceAccount) && matches!(a.rhythm, Rhythm::Daily { weekdays: false, .. })
    };
    let victim = planner.victim(clock_like)?;
    let Rhythm::Daily { offset, .. } = planner.world.actors[victim].rhythm else { return None };
    // At least seven hours from its own, on either side.
    let away = planner.chance.range(7 * HOUR, 17 * HOUR);
    let at = clock::midnight(planner.moment(super::ANY, false)) + (offset + away) % DAY;
    let at = at.min(planner.world.end - 2 * HOUR);
    let label = planner.label(technique, victim, at);
    let habits = planner.world.actors[victim].habits.clone();
    let times = habits.iter().map(|h| h.times.ceil() as usize).sum::<usize>().clamp(3, 14);
    let address = planner.world.actors[victim].address();
    planner.burst(label, at, times, 8 * SECOND, move |world, n, time| {
        let Some(habit) = habits.get(n % habits.len().max(1)) else { return Touched::nothing(time) };
        world.touch(victim, habit.place, habit.act, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}
