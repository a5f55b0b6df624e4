//! A credential is copied and used elsewhere while its owner goes on using it.

use super::{ANY, OFFICE, PATIENT, Planner, Technique, is_busy};
use crate::clock::{self, DAY, HOUR, MINUTE, SECOND};
use crate::level::Level;
use crate::provider::cloudtrail::{Failure, KeyChange};
use crate::roster::actor::{Actor, Agent, Credential, Home, Kind, Trust};
use crate::roster::place::PlaceKind;
use crate::world::{Guise, Touched};

/// The variant that the demo is told by; it comes first, and once.
pub(super) const HEADLINE: &str = "old key, new network, new database, at night";

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "stolen_key",
        variant: HEADLINE,
        tactic: "initial-access",
        id: "T1078.004",
        description: "The access key of svc-deploy, made 212 days before and never rotated, is used at 03:12 from a network never seen before on a production database that svc-deploy never touched; its owner goes on deploying in office hours.",
        seen_by: "age of the credential, a network and a destination that are new to the identity, an hour at which it never works",
        source: "Long-lived keys are the first cause of cloud breaches in Datadog's State of Cloud Security 2024 and in Google's Threat Horizons",
        plan: headline,
    },
    Technique {
        attack: "stolen_key",
        variant: "looks around, then reads",
        tactic: "discovery",
        id: "T1087.004",
        description: "An access key leaked; somebody asks who it is, lists roles and policies, then reads what it may read.",
        seen_by: "discovery calls that the identity never made, one of them refused, beside its owner's own work from another address",
        source: "First calls of leaked keys: Unit 42, CloudKeys in the Air (EleKtra-Leak), 2023; Stratus Red Team, aws.discovery",
        plan: looks_around,
    },
    Technique {
        attack: "stolen_key",
        variant: "same client, provider's address space, office hours",
        tactic: "collection",
        id: "T1530",
        description: "An access key leaked; somebody uses it with the same client, from the same provider's address space and in office hours, mostly for what its owner does, and opens a neighbour's bucket.",
        seen_by: "a bucket with a stable audience meets a new visitor; a second network while the first goes on",
        source: "Attackers work from virtual machines at the victim's provider: Mandiant M-Trends 2024, chapter on cloud",
        plan: careful,
    },
    Technique {
        attack: "stolen_key",
        variant: "instance credentials used outside of the instance",
        tactic: "credential-access",
        id: "T1552.005",
        description: "The session of an instance's role was read from its metadata service and is used from outside while the instance goes on.",
        seen_by: "one session from two networks at once",
        source: "Capital One, 2019; GuardDuty's finding InstanceCredentialExfiltration",
        plan: instance_session,
    },
    Technique {
        attack: "stolen_key",
        variant: "pod's token used from elsewhere",
        tactic: "credential-access",
        id: "T1528",
        description: "A pod's bound token was copied and is used from another machine, for the secrets of its own namespace.",
        seen_by: "a token bound to one pod comes from an address that is not the pod's; objects that the account never read",
        source: "Microsoft's threat matrix for Kubernetes, Access container service account; Stratus Red Team, k8s.credential-access.steal-serviceaccount-token",
        plan: pod_token,
    },
    Technique {
        attack: "stolen_key",
        variant: "Vault token used from another host",
        tactic: "credential-access",
        id: "T1528",
        description: "A Vault token was copied from a host's file and is used from another subnet, with the same client, for its own secrets and two more.",
        seen_by: "one token from two hosts at once; two paths that the role never read",
        source: "HashiCorp's production hardening guide on token files and bound CIDRs",
        plan: vault_token,
    },
    Technique {
        attack: "token_replay",
        variant: "web identity token",
        tactic: "lateral-movement",
        id: "T1550.001",
        description: "The token that a pod proves itself to AWS with was copied; somebody trades it for a session of the pod's role, from outside, and works with that.",
        seen_by: "AssumeRoleWithWebIdentity for this role from a new network; two sessions of one workload at once",
        source: "Wiz, Lateral movement risks in the cloud, part 4 (EKS to AWS), 2023",
        plan: web_identity,
    },
];

fn headline(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.name == "svc-deploy")?;
    let world = &mut *planner.world;
    let day = clock::midnight(world.start + (world.end - world.start) / 10 * 7);
    let day = if clock::is_weekend(day) { day - 2 * DAY } else { day };
    let at = (day + 3 * HOUR + 12 * MINUTE + 7 * SECOND).max(world.start + HOUR);
    let database = world.estate.of(0, PlaceKind::Database).first().copied()?;
    let Credential::Keys(keys) = &world.actors[victim].credential else { return None };
    let key = keys.last().map(|k| k.id.clone())?;
    // Made in the late afternoon: 212.4 days before, so that it is 212 however the age is rounded.
    world.key_change(victim, KeyChange::Create, &key, at - 212 * DAY - 9 * HOUR - 31 * MINUTE);
    let label = planner.label(technique, victim, at);
    planner.burst(label, at, 9, 80 * SECOND, move |world, _, time| {
        world.touch(victim, database, 0, time, Guise { address: Some("198.51.100.77"), ..Guise::default() })
    });
    Some(())
}

fn looks_around(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AwsUser && is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = planner.thief_address(victim);
    let client = planner.thief_client();
    let account = planner.world.estate.account_place(planner.world.actors[victim].account);
    let habits = planner.world.actors[victim].habits.clone();
    planner.burst(label, at, 24, 70 * SECOND, move |world, n, time| {
        let (place, act) = match (n, habits.get(n % habits.len().max(1))) {
            (0, _) => (account, 0),
            (1, _) => (account, 4),
            (2, _) | (_, None) => (account, 5),
            (_, Some(habit)) => (habit.place, habit.act),
        };
        let failure = (n == 2).then_some(Failure::Denied);
        world.touch(victim, place, act, time, Guise { address: Some(&address), agent: client.as_ref().map(Agent::text), failure, ..Guise::default() })
    });
    Some(())
}

fn careful(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AwsUser && is_busy(a) && matches!(a.home, Home::Fixed(_)))?;
    let at = planner.moment(OFFICE, true);
    let label = planner.label(technique, victim, at);
    let address = planner.provider_address();
    let new = planner.unfamiliar(victim, PlaceKind::Bucket);
    let new = new.into_iter().rev().take(2).collect::<Vec<_>>();
    let habits = planner.world.actors[victim].habits.clone();
    planner.burst(label, at, 18, PATIENT, move |world, n, time| {
        let (place, act) = match (n % 4, new.get(n % 2), habits.get(n % habits.len().max(1))) {
            (3, Some(place), _) | (_, Some(place), None) => (*place, 0),
            (_, _, Some(habit)) => (habit.place, habit.act),
            _ => return Touched::nothing(time),
        };
        world.touch(victim, place, act, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}

/// A role of an instance with an address of its own.
pub(super) fn is_instance(a: &Actor) -> bool {
    a.kind == Kind::AwsRole && is_busy(a) && matches!(a.home, Home::Fixed(_)) && matches!(a.credential, Credential::Session { trust: Trust::Ec2, .. })
}

fn instance_session(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(is_instance)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = if planner.level == Level::Easy || planner.level == Level::Normal && planner.chance.happens(0.5) {
        planner.foreign_address()
    } else {
        planner.provider_address()
    };
    let habits = planner.world.actors[victim].habits.clone();
    let account = planner.world.estate.account_place(planner.world.actors[victim].account);
    let client = planner.thief_client();
    planner.burst(label, at, 15, 2 * MINUTE, move |world, n, time| {
        let (place, act) = habits.get(n % habits.len().max(1)).filter(|_| n > 0).map_or((account, 0), |h| (h.place, h.act));
        world.touch(victim, place, act, time, Guise { address: Some(&address), agent: client.as_ref().map(Agent::text), ..Guise::default() })
    });
    Some(())
}

fn pod_token(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::ServiceAccount && is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
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
    Some(())
}

fn vault_token(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AppRole && is_busy(a))?;
    let at = planner.moment(OFFICE, true);
    let label = planner.label(technique, victim, at);
    let address = format!("10.31.{}.{}", 251 + planner.chance.below(4), 10 + planner.chance.below(200));
    let new = planner.unfamiliar(victim, PlaceKind::Path);
    let habits = planner.world.actors[victim].habits.clone();
    planner.burst(label, at, 9, PATIENT, move |world, n, time| {
        let (place, act) = match (n % 4, new.get(n / 4), habits.get(n % habits.len().max(1))) {
            (3, Some(place), _) => (*place, 0),
            (_, _, Some(habit)) => (habit.place, habit.act),
            _ => return Touched::nothing(time),
        };
        world.touch(victim, place, act, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}

fn web_identity(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AwsRole && is_busy(a) && matches!(a.credential, Credential::Session { trust: Trust::WebIdentity, .. }))?;
    let at = if planner.level == Level::Hard { planner.moment(OFFICE, true) } else { planner.moment(ANY, false) };
    let label = planner.label(technique, victim, at);
    let address = planner.provider_address();
    let here = address.clone();
    planner.script.at(at, Some(label), move |world, time| {
        let (touched, key) = world.assume(victim, Trust::WebIdentity, time, &here);
        world.pocket.insert(label, crate::roster::actor::Held::Key(key));
        vec![touched]
    });
    let habits = planner.world.actors[victim].habits.clone();
    let new = planner.unfamiliar(victim, PlaceKind::Bucket).last().copied();
    planner.burst(label, at + MINUTE, 12, 2 * MINUTE, move |world, n, time| {
        let held = world.pocket.get(&label).cloned();
        let (place, act) = match (new, habits.get(n % habits.len().max(1))) {
            (Some(place), _) if n % 5 == 4 => (place, 2),
            (_, Some(habit)) => (habit.place, habit.act),
            _ => return Touched::nothing(time),
        };
        world.touch(victim, place, act, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}
