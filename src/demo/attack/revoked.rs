//! A credential was withdrawn, and somebody uses it all the same: mostly in vain, sometimes because the withdrawal did not
//! take effect everywhere.

use super::super::clock::{HOUR, MINUTE};
use super::super::cloudtrail::{Failure, KeyChange};
use super::super::estate::ACCOUNTS;
use super::super::estate::actor::{Credential, Held, Kind};
use super::super::world::{Guise, Touched};
use super::{ANY, DAYS, Kit, Planner, is_busy};

const KIT: Kit = Kit { attack: "revoked_credential", variant: "", technique: "T1078", description: "" };

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(4.0) {
        let (variant, description, kind, failure) = match n % 4 {
            0 => (
                "access key, refused",
                "An access key was set inactive after a leak; its finder tries it the next day and is refused.",
                Kind::AwsUser,
                Some(Failure::Withdrawn),
            ),
            1 => ("Vault token, still works", "A Vault token was revoked; a performance standby that lags behind goes on accepting it.", Kind::AppRole, None),
            2 => ("access key, still works", "An access key was deleted; for some minutes part of the provider goes on accepting it.", Kind::AwsUser, None),
            _ => (
                "Vault token, refused",
                "A Vault token was revoked; its finder tries it and is refused. The audit log names no identity then, only the token's HMAC.",
                Kind::AppRole,
                Some(Failure::Withdrawn),
            ),
        };
        let Some(victim) = planner.victim(|a| a.kind == kind && is_busy(a)) else { continue };
        let at = planner.moment(ANY, false);
        let label = planner.label(&Kit { variant, description, ..KIT }, victim, at);
        let address = if kind == Kind::AppRole { planner.world.actors[victim].address() } else { planner.provider_address() };
        let lead = match (kind, failure) {
            (Kind::AwsUser, Some(_)) => 20 * HOUR + planner.chance.range(0, DAYS),
            (Kind::AwsUser, None) => 4 * MINUTE,
            _ => 40 * MINUTE,
        };
        let withdrawn = (at - lead).max(planner.world.start + HOUR);
        let change = if n % 4 == 2 { KeyChange::Delete } else { KeyChange::Deactivate };
        planner.script.then(withdrawn, move |world, time| {
            let here = world.actors[victim].address();
            world.freshen(victim, time, &here);
            let Some(held) = world.actors[victim].hold() else { return };
            let account = ACCOUNTS[usize::from(world.actors[victim].account)].id;
            match &held {
                Held::Key(old) => {
                    let key = world.actors[victim].new_key(account);
                    world.key_change(victim, KeyChange::Create, &key.id, time - 2 * MINUTE);
                    world.key_change(victim, change, &old.id, time);
                    if let Credential::Keys(keys) = &mut world.actors[victim].credential {
                        keys.push(key);
                    }
                }
                Held::Token(old) => {
                    world.revoke_token(victim, old, time);
                    if let Credential::Token { token, .. } = &mut world.actors[victim].credential {
                        *token = None;
                    }
                }
                _ => {}
            }
            world.pocket.insert(label, held);
        });
        let habits = planner.world.actors[victim].habits.clone();
        planner.burst(label, at, 6, MINUTE, move |world, n, time| {
            let held = world.pocket.get(&label).cloned();
            let Some(habit) = habits.get(n % habits.len().max(1)) else { return Touched { time, id: String::new(), credential: None } };
            world.touch(victim, habit.place, habit.act, time, Guise { address: Some(&address), held: held.as_ref(), failure, ..Guise::default() })
        });
    }
}
