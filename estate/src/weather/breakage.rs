//! What breaks or is done badly without anybody meaning harm: rotations that forget somebody, gateways whose address changes, collectors that stop.

use std::collections::BTreeSet;

use super::{decoy, office_hour};
use crate::chance::Chance;
use crate::clock::{DAY, HOUR, MINUTE};
use crate::journal::{Gap, Stream};
use crate::provider::cloudtrail::KeyChange;
use crate::roster::ACCOUNTS;
use crate::roster::actor::{Credential, Held, Home, Kind};
use crate::world::{Guise, Script, World};

/// A rotation that forgets one consumer: the service moves to the new key, one of its hosts goes on with the old one for days, at the
/// service's own hours and for its own work, until somebody notices and the old key is deleted.
pub(super) fn bad_rotation(world: &mut World, script: &mut Script, i: usize, at: i64, chance: &mut Chance) {
    let until = at + 2 * DAY + chance.range(0, 4 * DAY);
    decoy(world, "bad_rotation", &[i], at, until + DAY, "A rotation that forgot one host, which goes on with the old key for days.");
    script.then(at, move |world, time| {
        let account = ACCOUNTS[usize::from(world.actors[i].account)].id;
        let key = world.actors[i].new_key(account);
        world.key_change(i, KeyChange::Create, &key.id, time);
        if let Credential::Keys(keys) = &mut world.actors[i].credential {
            keys.push(key);
        }
    });
    let habits = world.actors[i].habits.clone();
    let mut time = at + 3 * HOUR;
    while time < until {
        let Some(habit) = habits.get(chance.below(habits.len())).copied() else { break };
        script.then(time, move |world, time| {
            let Credential::Keys(keys) = &world.actors[i].credential else { return };
            let Some(old) = keys.len().checked_sub(2).and_then(|n| keys.get(n)).cloned() else { return };
            world.touch(i, habit.place, habit.act, time, Guise { held: Some(&Held::Key(old)), ..Guise::default() });
        });
        time += 2 * HOUR + chance.range(0, 6 * HOUR);
    }
    script.then(until, move |world, time| {
        let Credential::Keys(keys) = &mut world.actors[i].credential else { return };
        if keys.len() > 1 {
            let old = keys.remove(keys.len() - 2);
            world.key_change(i, KeyChange::Deactivate, &old.id, time);
            world.key_change(i, KeyChange::Delete, &old.id, time + 9 * MINUTE);
        }
    });
}

/// A NAT gateway gets other addresses: everyone behind it comes from a new one, at once.
pub(super) fn nat_changes(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, times: u32, chance: &mut Chance) {
    const PREFIXES: [&str; 3] = ["18.184.", "35.158.", "3.66."];
    for n in 0..(times as usize).min(PREFIXES.len() - 1) {
        let at = office_hour(world, 0.3 + 0.3 * n as f64..0.6 + 0.3 * n as f64, chance);
        let (old, new) = (PREFIXES[n], PREFIXES[n + 1]);
        // Victims stay where they are, so that an attack is the one new network that they have.
        let behind: Vec<_> = (0..world.actors.len())
            .filter(|i| {
                let actor = &world.actors[*i];
                let is_behind = matches!(&actor.home, Home::Fixed(addresses) if addresses.iter().any(|a| a.starts_with(PREFIXES[0])));
                !taken.contains(i) && actor.account == 0 && matches!(actor.kind, Kind::AwsUser | Kind::AwsRole) && is_behind
            })
            .collect();
        if behind.is_empty() {
            continue;
        }
        decoy(world, "nat_change", &behind, at, at + DAY, "A NAT gateway's addresses change for everyone behind it.");
        script.then(at, move |world, _| {
            for i in &behind {
                if let Home::Fixed(addresses) = &mut world.actors[*i].home {
                    addresses.iter_mut().for_each(|address| *address = address.replacen(old, new, 1));
                }
            }
        });
    }
}

/// One of three API servers' log shippers stops for some hours and then delivers what it held back, after newer lines; and early in the
/// period Vault's collector loses two hours for good.
pub(super) fn collectors(world: &mut World, times: u32, chance: &mut Chance) {
    for n in 0..times {
        let from = 0.2 + 0.7 * f64::from(n) / f64::from(times.max(1));
        let start = office_hour(world, from..from + 0.1, chance);
        let end = start + 2 * HOUR + chance.range(0, 3 * HOUR);
        world.journal.gap(Gap { stream: Stream::K8s, start, end, lost: false });
        decoy(world, "late_collector", &[], start, end, "One of three log shippers of the API servers delivers hours late.");
    }
    if times > 0 {
        let start = office_hour(world, 0.1..0.35, chance);
        world.journal.gap(Gap { stream: Stream::Vault, start, end: start + 2 * HOUR, lost: true });
        decoy(world, "lost_collector", &[], start, start + 2 * HOUR, "Two hours of Vault's audit log are lost.");
    }
}
