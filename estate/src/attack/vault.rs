//! At Vault: a role that only ever reads its secrets administers.

use super::{PATIENT, Planner, Technique, is_busy};
use crate::clock::{HOUR, MINUTE};
use crate::roster::actor::{Held, Kind};
use crate::roster::place::PlaceKind;
use crate::world::{Guise, Touched};

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "policy_write",
        variant: "own policy widened",
        tactic: "privilege-escalation",
        id: "T1098",
        description: "An AppRole rewrites the policy that it has itself, then reads what it could not read before.",
        seen_by: "an act of permissions by an identity that never administers; then paths that are new to it",
        source: "HashiCorp, Vault policies: who may write sys/policies/acl is root by another name",
        plan: policy_write,
    },
    Technique {
        attack: "root_token",
        variant: "token with the policy root",
        tactic: "persistence",
        id: "T1098.001",
        description: "An AppRole with too much makes a token with the policy root and lists mounts and auth methods with it.",
        seen_by: "a token with the policy root is made: a fact, whoever makes it",
        source: "HashiCorp, Vault production hardening: avoid root tokens",
        plan: root_token,
    },
    Technique {
        attack: "unusual_mount",
        variant: "cloud credentials from a secrets engine that it never used",
        tactic: "credential-access",
        id: "T1552",
        description: "An AppRole that only ever read key-values asks the AWS engine for credentials of a deployment role and the PKI for a certificate.",
        seen_by: "mounts that are new to the identity; acts that issue credentials",
        source: "Dynamic engines hand out fresh credentials to whoever may ask: HashiCorp, AWS secrets engine",
        plan: unusual_mount,
    },
    Technique {
        attack: "secret_id_theft",
        variant: "secret id of another role",
        tactic: "credential-access",
        id: "T1528",
        description: "An AppRole makes a secret id for another role, logs in as that one from its own host, and reads its secrets.",
        seen_by: "a credential is issued by an identity that issues none; the other role from a new host",
        source: "HashiCorp, AppRole recommended pattern and practices: whoever may write secret-id may become the role",
        plan: secret_id,
    },
];

fn policy_write(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AppRole && is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let new = planner.unfamiliar(victim, PlaceKind::Path);
    planner.burst(label, at, 6, PATIENT, move |world, n, time| {
        if n == 0 {
            let path = format!("sys/policies/acl/{}", world.actors[victim].name);
            let data = format!(r#"{{"policy":"{}"}}"#, world.chance.hex("hmac-sha256:", 64));
            return world.vault(victim, ("update", &path, &data), time, Guise::default());
        }
        let Some(place) = new.get(n * 7 % new.len().max(1)) else { return Touched::nothing(time) };
        world.touch(victim, *place, 0, time, Guise::default())
    });
    Some(())
}

fn root_token(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AppRole && is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    planner.burst(label, at, 4, MINUTE, move |world, n, time| {
        if n == 0 {
            let (touched, token) = world.vault_token(victim, "root", HOUR, time, Guise::default());
            if let Some(token) = token {
                world.pocket.insert(label, Held::Token(token));
            }
            return touched;
        }
        let held = world.pocket.get(&label).cloned();
        let path = ["sys/mounts", "sys/auth", "sys/policies/acl"][n % 3];
        world.vault(victim, ("read", path, ""), time, Guise { held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}

fn unusual_mount(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AppRole && is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    planner.burst(label, at, 4, PATIENT, move |world, n, time| match n % 2 {
        0 => world.vault(victim, ("read", "aws/creds/deploy-admin", ""), time, Guise::default()),
        _ => {
            let data = format!(r#"{{"common_name":"{}"}}"#, world.chance.hex("hmac-sha256:", 64));
            world.vault(victim, ("update", "pki/issue/services", &data), time, Guise::default())
        }
    });
    Some(())
}

fn secret_id(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let thief = planner.victim(|a| a.kind == Kind::AppRole && is_busy(a))?;
    let other = planner.victim(|a| a.kind == Kind::AppRole)?;
    let at = planner.any_moment();
    let label = planner.label(technique, thief, at);
    planner.world.labels[label].also = vec![planner.world.identity(other)];
    let address = planner.world.actors[thief].address();
    let here = address.clone();
    planner.script.at(at, Some(label), move |world, time| {
        let path = format!("auth/approle/role/{}/secret-id", world.actors[other].name);
        vec![world.vault(thief, ("update", &path, ""), time, Guise { address: Some(&here), ..Guise::default() })]
    });
    let habits = planner.world.actors[other].habits.clone();
    planner.burst(label, at + MINUTE, 8, MINUTE, move |world, n, time| {
        if n == 0 {
            let token = world.vault_login(other, HOUR, time - crate::clock::SECOND, &address);
            world.pocket.insert(label, Held::Token(token));
        }
        let held = world.pocket.get(&label).cloned();
        let Some(habit) = habits.get(n % habits.len().max(1)) else { return Touched::nothing(time) };
        world.touch(other, habit.place, habit.act, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}
