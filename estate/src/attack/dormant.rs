//! An account that nobody has used for weeks wakes up.

use super::{DAYS, OFFICE, Planner, Technique, is_busy};
use crate::clock::{self, MINUTE, SECOND};
use crate::provider::cloudtrail::Failure;
use crate::roster::actor::Kind;
use crate::roster::place::PlaceKind;
use crate::roster::rhythm::Rhythm;
use crate::world::Guise;

const SOURCE: &str = "Microsoft, Midnight Blizzard: guidance for responders, 2024 (an old test application); OWASP NHI1:2025, improper offboarding";

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "dormant_account",
        variant: "IAM user",
        tactic: "initial-access",
        id: "T1078.004",
        description: "The service was retired in the first days of the period, its account was not; much later somebody uses it from its old address, for what it used to do and for a bucket that it never opened.",
        seen_by: "idle far beyond the identity's own rhythm; then something new",
        source: SOURCE,
        plan: |planner, technique| retired(planner, technique, Kind::AwsUser, PlaceKind::Bucket),
    },
    Technique {
        attack: "dormant_account",
        variant: "Vault AppRole",
        tactic: "initial-access",
        id: "T1078",
        description: "The service was retired in the first days of the period, its role was not; much later somebody logs in with it and reads its secrets and new ones.",
        seen_by: "idle far beyond the identity's own rhythm; then a path that is new to it",
        source: SOURCE,
        plan: |planner, technique| retired(planner, technique, Kind::AppRole, PlaceKind::Path),
    },
    Technique {
        attack: "dormant_account",
        variant: "IAM user, looking around",
        tactic: "discovery",
        id: "T1580",
        description: "A retired service's user wakes and lists what there is in the account; half of it is refused.",
        seen_by: "idle far beyond its rhythm; discovery that it never did; refusals",
        source: SOURCE,
        plan: |planner, technique| retired(planner, technique, Kind::AwsUser, PlaceKind::Account),
    },
    Technique {
        attack: "rhythm_wakes",
        variant: "daily job, 29 days of silence",
        tactic: "initial-access",
        id: "T1078",
        description: "A job that ran each day was switched off; 29 days later, a day before a fixed line of thirty, somebody uses its identity at its usual hour, from its usual host, for its usual work.",
        seen_by: "a gap of 29 periods in an identity whose longest gap ever was three: its own rhythm and no fixed number of days",
        source: "Fixed lines of 30 or 90 days stand in every provider's guidance (AWS Security Hub IAM.22, CIS 1.12), so an attacker knows them",
        plan: wakes,
    },
];

fn retired(planner: &mut Planner<'_>, technique: &'static Technique, kind: Kind, new: PlaceKind) -> Option<()> {
    let victim = planner.victim(|a| a.kind == kind && is_busy(a))?;
    let span = planner.world.end - planner.world.start;
    planner.world.actors[victim].until = planner.world.start + span / 8;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let places = if new == PlaceKind::Account {
        vec![planner.world.estate.account_place(planner.world.actors[victim].account)]
    } else {
        planner.unfamiliar(victim, new)
    };
    let habits = planner.world.actors[victim].habits.clone();
    planner.burst(label, at, 8, 90 * SECOND + MINUTE, move |world, n, time| {
        let looking = new == PlaceKind::Account;
        let (place, act) = match (habits.get(n / 2 % habits.len().max(1)), places.first()) {
            (Some(habit), _) if n % 2 == 0 && !looking => (habit.place, habit.act),
            (_, Some(place)) => (*place, if looking { n as u8 % 6 } else { 0 }),
            _ => (0, 0),
        };
        let failure = (looking && n > 3).then_some(Failure::Denied);
        world.touch(victim, place, act, time, Guise { failure, ..Guise::default() })
    });
    Some(())
}

fn wakes(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let daily = |a: &crate::roster::actor::Actor| {
        matches!(a.kind, Kind::AwsUser | Kind::AwsRole | Kind::AppRole) && matches!(a.rhythm, Rhythm::Daily { weekdays: false, .. })
    };
    let victim = planner.victim(daily)?;
    let Rhythm::Daily { offset, .. } = planner.world.actors[victim].rhythm else { return None };
    let day = clock::midnight(planner.moment(OFFICE, false));
    let at = day + offset + planner.chance.range(0, 40 * SECOND);
    // Where the period is too short for 29 days after a week of history, the silence is what is left.
    planner.world.actors[victim].until = (at - 29 * DAYS + clock::HOUR).max(planner.world.start + (planner.world.end - planner.world.start) / 6);
    let label = planner.label(technique, victim, at);
    let habits = planner.world.actors[victim].habits.clone();
    let times = habits.iter().map(|h| h.times.ceil() as usize).sum::<usize>().clamp(4, 14);
    let address = planner.world.actors[victim].address();
    planner.burst(label, at, times, 8 * SECOND, move |world, n, time| {
        let Some(habit) = habits.get(n % habits.len().max(1)) else { return crate::world::Touched::nothing(time) };
        world.touch(victim, habit.place, habit.act, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}
