//! A credential is copied and used elsewhere while its owner goes on using it.

use super::super::clock::{MINUTE, SECOND};
use super::super::cloudtrail::Failure;
use super::super::estate::actor::{Agent, Credential, Home, Kind, Trust};
use super::super::estate::place::PlaceKind;
use super::super::world::Guise;
use super::{ANY, Kit, OFFICE, PATIENT, Planner, is_busy};

const fn kit(variant: &'static str, technique: &'static str, description: &'static str) -> Kit {
    Kit { attack: "stolen_key", variant, technique, description }
}

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(5.0) {
        match n % 5 {
            0 => careless_user(planner),
            1 => careful_user(planner),
            2 => instance_session(planner),
            3 => pod_token(planner),
            _ => vault_token(planner),
        }
    }
}

fn careless_user(planner: &mut Planner<'_>) {
    let Some(victim) = planner.victim(|a| a.kind == Kind::AwsUser && is_busy(a)) else { return };
    let at = planner.moment(ANY, false);
    let label = planner.label(
        &kit(
            "another network and another client",
            "T1078.004",
            "An access key leaked; somebody looks around with it from another network and with another client, then reads what it may read.",
        ),
        victim,
        at,
    );
    let address = planner.foreign_address();
    let account = planner.world.estate.account_place(planner.world.actors[victim].account);
    let habits = planner.world.actors[victim].habits.clone();
    let agent = Agent::new(1, 41);
    planner.burst(label, at, 24, 70 * SECOND, move |world, n, time| {
        let (place, act) = match (n, habits.get(n % habits.len().max(1))) {
            (0, _) => (account, 0),
            (1, _) => (account, 3),
            (2, _) | (_, None) => (account, 5),
            (_, Some(habit)) => (habit.place, habit.act),
        };
        let failure = (n == 2).then_some(Failure::Denied);
        world.touch(victim, place, act, time, Guise { address: Some(&address), agent: Some(agent.text()), failure, ..Guise::default() })
    });
}

fn careful_user(planner: &mut Planner<'_>) {
    let Some(victim) = planner.victim(|a| a.kind == Kind::AwsUser && is_busy(a) && matches!(a.home, Home::Fixed(_))) else { return };
    let at = planner.moment(OFFICE, true);
    let label = planner.label(&kit("same client, provider's address space, office hours", "T1078.004", "An access key leaked; somebody uses it with the same client, from the same provider's address space and in office hours, mostly for what its owner does, and opens a neighbour's bucket."), victim, at);
    let address = planner.provider_address();
    let new = planner.unfamiliar(victim, PlaceKind::Bucket);
    let new = new.into_iter().rev().take(2).collect::<Vec<_>>();
    let habits = planner.world.actors[victim].habits.clone();
    planner.burst(label, at, 18, PATIENT, move |world, n, time| {
        let (place, act) = match (n % 4, new.get(n % 2), habits.get(n % habits.len().max(1))) {
            (3, Some(place), _) | (_, Some(place), None) => (*place, 0),
            (_, _, Some(habit)) => (habit.place, habit.act),
            _ => (0, 0),
        };
        world.touch(victim, place, act, time, Guise { address: Some(&address), ..Guise::default() })
    });
}

fn instance_session(planner: &mut Planner<'_>) {
    let Some(victim) = planner.victim(|a| {
        a.kind == Kind::AwsRole && is_busy(a) && matches!(a.home, Home::Fixed(_)) && matches!(a.credential, Credential::Session { trust: Trust::Ec2, .. })
    }) else {
        return;
    };
    let at = planner.moment(ANY, false);
    let label = planner.label(
        &kit(
            "instance credentials used outside of the instance",
            "T1552.005",
            "The session of an instance's role was read from its metadata service and is used from outside while the instance goes on.",
        ),
        victim,
        at,
    );
    let address = if planner.chance.happens(0.5) { planner.provider_address() } else { planner.foreign_address() };
    let habits = planner.world.actors[victim].habits.clone();
    let account = planner.world.estate.account_place(planner.world.actors[victim].account);
    planner.burst(label, at, 15, 2 * MINUTE, move |world, n, time| {
        let (place, act) = habits.get(n % habits.len().max(1)).filter(|_| n > 0).map_or((account, 0), |h| (h.place, h.act));
        world.touch(victim, place, act, time, Guise { address: Some(&address), ..Guise::default() })
    });
}

fn pod_token(planner: &mut Planner<'_>) {
    let Some(victim) = planner.victim(|a| a.kind == Kind::ServiceAccount && is_busy(a)) else { return };
    let at = planner.moment(ANY, false);
    let label = planner.label(
        &kit(
            "pod's token used from elsewhere",
            "T1528",
            "A pod's bound token was copied and is used from another machine, for the secrets of its own namespace.",
        ),
        victim,
        at,
    );
    let node = planner.chance.below(planner.world.estate.nodes.len());
    let address = planner.world.estate.nodes[node].1.clone();
    let team = planner.world.actors[victim].team;
    let objects = planner.world.estate.of(team, PlaceKind::Object);
    planner.burst(label, at, 12, 40 * SECOND, move |world, n, time| {
        world.freshen(victim, time, &address);
        let held = world.actors[victim].hold();
        let place = objects.get((n + 2) % objects.len().max(1)).copied().unwrap_or(0);
        let act = u8::from(!world.estate.place(place).name.contains('/'));
        world.touch(victim, place, act, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
    });
}

fn vault_token(planner: &mut Planner<'_>) {
    let Some(victim) = planner.victim(|a| a.kind == Kind::AppRole && is_busy(a)) else { return };
    let at = planner.moment(OFFICE, true);
    let label = planner.label(
        &kit(
            "Vault token used from another host",
            "T1528",
            "A Vault token was copied from a host's file and is used from another subnet, with the same client, for its own secrets and two more.",
        ),
        victim,
        at,
    );
    let address = format!("10.31.{}.{}", 251 + planner.chance.below(4), 10 + planner.chance.below(200));
    let new = planner.unfamiliar(victim, PlaceKind::Path);
    let habits = planner.world.actors[victim].habits.clone();
    planner.burst(label, at, 9, PATIENT, move |world, n, time| {
        let (place, act) = match (n % 4, new.get(n / 4), habits.get(n % habits.len().max(1))) {
            (3, Some(place), _) => (*place, 0),
            (_, _, Some(habit)) => (habit.place, habit.act),
            _ => (0, 0),
        };
        world.touch(victim, place, act, time, Guise { address: Some(&address), ..Guise::default() })
    });
}
