//! A credential was rotated, its owner uses the successor, and somebody still uses the old one, which nobody withdrew.

use super::super::clock::{HOUR, MINUTE};
use super::super::cloudtrail::KeyChange;
use super::super::estate::ACCOUNTS;
use super::super::estate::actor::{Credential, Held, Kind};
use super::super::world::{Guise, Touched};
use super::{ANY, DAYS, Kit, OFFICE, Planner, is_busy};

const KIT: Kit = Kit {
    attack: "old_key_after_rotation",
    variant: "access key",
    technique: "T1078.004",
    description: "The key was rotated and the owner moved to the new one; the old one was never withdrawn, and days later somebody uses it with the same client from the provider's address space.",
};
const CERTIFICATE: Kit = Kit {
    attack: "old_key_after_rotation",
    variant: "certificate",
    technique: "T1649",
    description: "The client certificate was renewed; days later the old one, still valid, is used from another host.",
};

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(3.0) {
        let certificate = n % 3 == 2;
        let kind = if certificate { Kind::Mtls } else { Kind::AwsUser };
        let Some(victim) = planner.victim(|a| a.kind == kind && is_busy(a)) else { continue };
        let at = planner.moment(if n % 2 == 0 { OFFICE } else { ANY }, false);
        let span = planner.world.end - planner.world.start;
        let rotated = (at - (3 * DAYS + planner.chance.range(0, 4 * DAYS)).min(span / 4)).max(planner.world.start + HOUR);
        let address = if certificate { format!("10.50.251.{}", 10 + planner.chance.below(200)) } else { planner.provider_address() };
        let label = planner.label(if certificate { &CERTIFICATE } else { &KIT }, victim, at);
        if certificate {
            planner.world.labels[label].also.push(address.clone());
        }
        planner.script.then(rotated, move |world, time| {
            let actor = &mut world.actors[victim];
            if let Some(old) = actor.hold() {
                world.pocket.insert(label, old);
            }
            let actor = &mut world.actors[victim];
            let account = ACCOUNTS[usize::from(actor.account)].id;
            if certificate {
                actor.credential = Credential::Certificate(actor.new_certificate(time, 90));
                return;
            }
            let key = actor.new_key(account);
            world.key_change(victim, KeyChange::Create, &key.id, time);
            if let Credential::Keys(keys) = &mut world.actors[victim].credential {
                keys.push(key);
            }
        });
        let habits = planner.world.actors[victim].habits.clone();
        planner.burst(label, at, 10, 3 * MINUTE, move |world, n, time| {
            let held: Option<Held> = world.pocket.get(&label).cloned();
            let Some(habit) = habits.get(n % habits.len().max(1)) else { return Touched { time, id: String::new(), credential: None } };
            world.touch(victim, habit.place, habit.act, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
        });
    }
}
