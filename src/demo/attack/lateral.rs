//! From role to role: a stolen session assumes a second role, which assumes a third in another account, which reads data.

use super::super::clock::{HOUR, MINUTE, SECOND};
use super::super::estate::actor::{Credential, Held, Home, Kind, Trust};
use super::super::estate::place::PlaceKind;
use super::super::world::{Guise, Touched, World};
use super::{ANY, Kit, OFFICE, Planner, is_busy};

const KIT: Kit = Kit {
    attack: "lateral_chain",
    variant: "from the instance itself",
    technique: "T1550.001",
    description: "From a compromised instance: its role assumes a second role that it never assumed before, that one a third in another account, which reads a bucket.",
};

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(3.0) {
        let from_instance = |a: &super::Actor| {
            a.kind == Kind::AwsRole
                && a.account == 0
                && is_busy(a)
                && matches!(a.home, Home::Fixed(_))
                && matches!(a.credential, Credential::Session { trust: Trust::Ec2, .. })
        };
        let Some(first) = planner.victim(from_instance) else { continue };
        let Some(second) = planner.victim(|a| a.kind == Kind::AwsRole && a.account == 0) else { continue };
        let Some(third) = planner.victim(|a| a.kind == Kind::AwsRole && a.account == 1) else { continue };
        let at = planner.moment(if n % 2 == 0 { ANY } else { OFFICE }, false);
        let outside = n % 3 == 2;
        let kit = if outside { Kit { variant: "from the provider's address space", ..KIT } } else { KIT };
        let label = planner.label(&kit, first, at);
        planner.world.labels[label].also = vec![planner.world.identity(second), planner.world.identity(third)];
        let address = if outside { planner.provider_address() } else { planner.world.actors[first].address() };
        let team = planner.world.actors[third].team;
        let Some(bucket) = planner.world.estate.of(team, PlaceKind::Bucket).first().copied() else { continue };
        let here = address.clone();
        planner.script.at(at, Some(label), move |world, time| {
            world.freshen(first, time, &here);
            world.actors[first].hold().map(|held| hop(world, label, (first, second), &held, time, &here)).into_iter().collect()
        });
        let here = address.clone();
        planner.script.at(at + 3 * MINUTE, Some(label), move |world, time| {
            world.pocket.get(&label).cloned().map(|held| hop(world, label, (second, third), &held, time, &here)).into_iter().collect()
        });
        planner.burst(label, at + 4 * MINUTE, 16, 20 * SECOND, move |world, n, time| {
            let held = world.pocket.get(&label).cloned();
            world.touch(third, bucket, if n == 0 { 2 } else { 0 }, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
        });
    }
}

/// The holder of a session assumes another role, and puts its session into the pocket.
fn hop(world: &mut World, label: usize, (from, role): (usize, usize), held: &Held, time: i64, address: &str) -> Touched {
    let caller = if let Held::Key(key) = held { key.user_identity.clone() } else { String::new() };
    let account = world.actors[from].account;
    let agent = world.actors[from].agent.text().to_owned();
    let session = format!("aws-go-sdk-{}", time * 1000);
    let (touched, key) = world.issue(role, time, account, &caller, address, &agent, ("AssumeRole", &session, HOUR));
    world.pocket.insert(label, Held::Key(key));
    Touched { credential: Some(held.id().to_owned()), ..touched }
}
