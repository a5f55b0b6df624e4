//! An account that nobody has used for weeks wakes up.

use super::super::clock::{MINUTE, SECOND};
use super::super::cloudtrail::Failure;
use super::super::estate::actor::Kind;
use super::super::estate::place::PlaceKind;
use super::super::world::Guise;
use super::{ANY, Kit, OFFICE, Planner, is_busy};

const KIT: Kit = Kit {
    attack: "dormant_account",
    variant: "",
    technique: "T1078",
    description: "The service was retired in the first days of the period, its account was not; much later somebody uses it from its old address, for what it used to do and for something new.",
};

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(3.0) {
        let (kind, variant, new) = match n % 3 {
            0 => (Kind::AwsUser, "IAM user", PlaceKind::Bucket),
            1 => (Kind::AppRole, "Vault AppRole", PlaceKind::Path),
            _ => (Kind::AwsUser, "IAM user, looking around", PlaceKind::Account),
        };
        let Some(victim) = planner.victim(|a| a.kind == kind && is_busy(a)) else { continue };
        let span = planner.world.end - planner.world.start;
        planner.world.actors[victim].until = planner.world.start + span / 8;
        let at = planner.moment(if n % 2 == 0 { OFFICE } else { ANY }, false);
        let label = planner.label(&Kit { variant, ..KIT }, victim, at);
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
    }
}
