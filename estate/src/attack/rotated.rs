//! A credential was rotated, its owner uses the successor, and somebody still uses the old one, which nobody withdrew.

use super::{DAYS, Planner, Technique, is_busy};
use crate::clock::{HOUR, MINUTE};
use crate::provider::cloudtrail::KeyChange;
use crate::roster::ACCOUNTS;
use crate::roster::actor::{Credential, Held, Kind};
use crate::world::{Guise, Touched};

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "old_key_after_rotation",
        variant: "access key",
        tactic: "persistence",
        id: "T1078.004",
        description: "The key was rotated and the owner moved to the new one; the old one was never withdrawn, and days later somebody uses it with the same client from the provider's address space.",
        seen_by: "use of a superseded credential, days after its successor is in use",
        source: "AWS, IAM user guide, Update access keys: the old key stays valid until somebody deactivates it",
        plan: |planner, technique| old(planner, technique, Kind::AwsUser),
    },
    Technique {
        attack: "old_key_after_rotation",
        variant: "certificate",
        tactic: "credential-access",
        id: "T1649",
        description: "The client certificate was renewed; days later the old one, still valid, is used from another host.",
        seen_by: "use of a superseded certificate, from a host that never spoke for this identity",
        source: "Renewal does not revoke: RFC 5280, section 3.3; smallstep, Good certificates die young",
        plan: |planner, technique| old(planner, technique, Kind::Mtls),
    },
];

fn old(planner: &mut Planner<'_>, technique: &'static Technique, kind: Kind) -> Option<()> {
    let victim = planner.victim(|a| a.kind == kind && is_busy(a))?;
    let at = planner.any_moment();
    let span = planner.world.end - planner.world.start;
    let rotated = (at - (3 * DAYS + planner.chance.range(0, 4 * DAYS)).min(span / 4)).max(planner.world.start + HOUR);
    let certificate = kind == Kind::Mtls;
    let address = if certificate { format!("10.50.251.{}", 10 + planner.chance.below(200)) } else { planner.thief_address(victim) };
    let label = planner.label(technique, victim, at);
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
        let Some(habit) = habits.get(n % habits.len().max(1)) else { return Touched::nothing(time) };
        world.touch(victim, habit.place, habit.act, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}
