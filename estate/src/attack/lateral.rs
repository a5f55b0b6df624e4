//! From role to role: sessions that assume what they never assumed, within an account, across accounts, and around in a circle.

use super::stolen::is_instance;
use super::{PATIENT, Planner, Technique};
use crate::clock::{HOUR, MINUTE, SECOND};
use crate::level::Level;
use crate::roster::actor::{Actor, Credential, Held, Kind, Trust};
use crate::roster::place::PlaceKind;
use crate::world::{Guise, Touched, World};

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "lateral_chain",
        variant: "from the instance itself",
        tactic: "lateral-movement",
        id: "T1550.001",
        description: "From a compromised instance: its role assumes a second role that it never assumed before, that one a third in another account, which reads a bucket.",
        seen_by: "a parent that is new to each role; a chain over two accounts",
        source: "Rhino Security Labs, cross-account privilege escalation; Permiso, LUCR-3, 2023",
        plan: |p, t| chain(p, t, false),
    },
    Technique {
        attack: "lateral_chain",
        variant: "from the provider's address space",
        tactic: "lateral-movement",
        id: "T1550.001",
        description: "The same chain of three roles with a copied session, from an address of the provider that is not the instance's.",
        seen_by: "a parent that is new to each role; one session from two networks",
        source: "Rhino Security Labs, cross-account privilege escalation; Permiso, LUCR-3, 2023",
        plan: |p, t| chain(p, t, true),
    },
    Technique {
        attack: "cross_account",
        variant: "development assumes production",
        tactic: "privilege-escalation",
        id: "T1078.004",
        description: "A role of the development account assumes a role of production, whose trust policy allows it though nobody ever did, and reads a database.",
        seen_by: "another environment; a parent that is new to the role",
        source: "OWASP NHI8:2025, environment isolation; Microsoft, Midnight Blizzard, 2024",
        plan: cross_account,
    },
    Technique {
        attack: "role_juggling",
        variant: "sessions renew each other",
        tactic: "persistence",
        id: "T1550.001",
        description: "Two roles that may assume each other are assumed in turn, every fifty minutes for half a day, so that a stolen session never runs out.",
        seen_by: "a chain of sessions that returns to where it began; a parent that is new to each role",
        source: "Hacking the Cloud, Role chain juggling; Stratus Red Team has it as aws.persistence by the same idea",
        plan: juggle,
    },
];

fn chain(planner: &mut Planner<'_>, technique: &'static Technique, outside: bool) -> Option<()> {
    let first = planner.victim(|a| is_instance(a) && a.account == 0)?;
    let second = planner.victim(|a| a.kind == Kind::AwsRole && a.account == 0)?;
    let third = planner.victim(|a| a.kind == Kind::AwsRole && a.account == 1)?;
    let at = planner.any_moment();
    let label = planner.label(technique, first, at);
    planner.world.labels[label].also = vec![planner.world.identity(second), planner.world.identity(third)];
    let address = if outside { planner.provider_address() } else { planner.world.actors[first].address() };
    let team = planner.world.actors[third].team;
    let bucket = planner.world.estate.of(team, PlaceKind::Bucket).first().copied()?;
    hops(planner, label, at, &address, &[first, second, third]);
    planner.burst(label, at + 7 * MINUTE, 16, 20 * SECOND, move |world, n, time| {
        let held = world.pocket.get(&label).cloned();
        world.touch(third, bucket, if n == 0 { 2 } else { 0 }, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}

/// One role after the other, three minutes apart; the last session is in the pocket then.
fn hops(planner: &mut Planner<'_>, label: usize, at: i64, address: &str, roles: &[usize]) {
    for (n, pair) in roles.windows(2).enumerate() {
        let (from, to, here) = (pair[0], pair[1], address.to_owned());
        planner.script.at(at + n as i64 * 3 * MINUTE, Some(label), move |world, time| {
            let held = if n == 0 {
                world.freshen(from, time, &here);
                world.actors[from].hold()
            } else {
                world.pocket.get(&label).cloned()
            };
            held.map(|held| hop(world, label, (from, to), &held, time, &here)).into_iter().collect()
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

fn is_session(a: &Actor) -> bool {
    a.kind == Kind::AwsRole && matches!(a.credential, Credential::Session { trust: Trust::Ec2 | Trust::Lambda | Trust::WebIdentity, .. })
}

fn cross_account(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let first = planner.victim(|a| is_session(a) && a.account == 2)?;
    let second = planner.victim(|a| is_session(a) && a.account == 0)?;
    let at = planner.any_moment();
    let label = planner.label(technique, first, at);
    planner.world.labels[label].also = vec![planner.world.identity(second)];
    let address = planner.world.actors[first].address();
    let team = planner.world.actors[second].team;
    let database = planner.world.estate.of(team, PlaceKind::Database).first().copied()?;
    hops(planner, label, at, &address, &[first, second]);
    let gap = if planner.level == Level::Easy { 20 * SECOND } else { PATIENT / 2 };
    planner.burst(label, at + 2 * MINUTE, 10, gap, move |world, _, time| {
        let held = world.pocket.get(&label).cloned();
        world.touch(second, database, 0, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}

fn juggle(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let first = planner.victim(|a| is_session(a) && a.account == 0)?;
    let second = planner.victim(|a| is_session(a) && a.account == 0)?;
    let at = planner.any_moment();
    let label = planner.label(technique, first, at);
    planner.world.labels[label].also = vec![planner.world.identity(second)];
    let address = planner.provider_address();
    for n in 0..12 {
        let here = address.clone();
        let (from, to) = if n % 2 == 0 { (first, second) } else { (second, first) };
        planner.script.at(at + n * 50 * MINUTE, Some(label), move |world, time| {
            if n == 0 {
                world.freshen(first, time, &here);
            }
            let held = if n == 0 { world.actors[first].hold() } else { world.pocket.get(&label).cloned() };
            held.map(|held| hop(world, label, (from, to), &held, time, &here)).into_iter().collect()
        });
    }
    Some(())
}
