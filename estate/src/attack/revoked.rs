//! A credential was withdrawn, and somebody uses it all the same: mostly in vain, sometimes because the withdrawal did not
//! take effect everywhere.

use super::{DAYS, Planner, Technique, is_busy};
use crate::clock::{HOUR, MINUTE};
use crate::provider::cloudtrail::{Failure, KeyChange};
use crate::roster::ACCOUNTS;
use crate::roster::actor::{Credential, Held, Kind};
use crate::world::{Guise, Touched};

const SOURCE: &str = "GitGuardian, State of Secrets Sprawl 2025: most leaked secrets are still valid days later, and finders go on trying those that are not";

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "revoked_credential",
        variant: "access key, refused",
        tactic: "initial-access",
        id: "T1078.004",
        description: "An access key was set inactive after a leak; its finder tries it the next day and is refused.",
        seen_by: "a credential that the ledger holds as revoked is tried",
        source: SOURCE,
        plan: |planner, technique| withdrawn(planner, technique, Kind::AwsUser, Some(Failure::Withdrawn), KeyChange::Deactivate),
    },
    Technique {
        attack: "revoked_credential",
        variant: "access key, still works",
        tactic: "initial-access",
        id: "T1078.004",
        description: "An access key was deleted; for some minutes part of the provider goes on accepting it.",
        seen_by: "success with a credential that was deleted before",
        source: "Eventual consistency of IAM: OFFENSAI, Exploiting eventual consistency in AWS IAM, 2025",
        plan: |planner, technique| withdrawn(planner, technique, Kind::AwsUser, None, KeyChange::Delete),
    },
    Technique {
        attack: "revoked_credential",
        variant: "Vault token, still works",
        tactic: "initial-access",
        id: "T1078",
        description: "A Vault token was revoked; a performance standby that lags behind goes on accepting it.",
        seen_by: "success with a token that was revoked before",
        source: "HashiCorp, Vault eventual consistency",
        plan: |planner, technique| withdrawn(planner, technique, Kind::AppRole, None, KeyChange::Deactivate),
    },
    Technique {
        attack: "revoked_credential",
        variant: "Vault token, refused",
        tactic: "initial-access",
        id: "T1078",
        description: "A Vault token was revoked; its finder tries it and is refused. The audit log names no identity then, only the token's HMAC.",
        seen_by: "a token whose HMAC is the revoked one's is tried",
        source: SOURCE,
        plan: |planner, technique| withdrawn(planner, technique, Kind::AppRole, Some(Failure::Withdrawn), KeyChange::Deactivate),
    },
];

fn withdrawn(planner: &mut Planner<'_>, technique: &'static Technique, kind: Kind, failure: Option<Failure>, change: KeyChange) -> Option<()> {
    let victim = planner.victim(|a| a.kind == kind && is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = if kind == Kind::AppRole { planner.world.actors[victim].address() } else { planner.thief_address(victim) };
    if kind == Kind::AppRole && failure.is_some() {
        // The log names no identity then, but the address.
        planner.world.labels[label].also.push(address.clone());
    }
    let lead = match (kind, failure) {
        (Kind::AwsUser, Some(_)) => 20 * HOUR + planner.chance.range(0, DAYS),
        (Kind::AwsUser, None) => 4 * MINUTE,
        _ => 40 * MINUTE,
    };
    let withdrawn = (at - lead).max(planner.world.start + HOUR);
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
        let Some(habit) = habits.get(n % habits.len().max(1)) else { return Touched::nothing(time) };
        world.touch(victim, habit.place, habit.act, time, Guise { address: Some(&address), held: held.as_ref(), failure, ..Guise::default() })
    });
    Some(())
}
