//! On the internal network, as a sensor sees it: hosts, tickets and certificates where they never were.

use super::{Planner, Technique};
use crate::clock::{HOUR, MINUTE, SECOND};
use crate::level::Level;
use crate::provider::cloudtrail::Failure;
use crate::roster::actor::{Credential, Kind};
use crate::roster::place::PlaceKind;
use crate::world::{Guise, Touched};

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "ssh_lateral",
        variant: "host by host",
        tactic: "lateral-movement",
        id: "T1021.004",
        description: "From the host that runs jobs, somebody logs in to hosts that it never logged in to, one after the other.",
        seen_by: "hosts that are new to the address, several within an hour",
        source: "MITRE ATT&CK T1021.004",
        plan: |p, t| ssh(p, t, false),
    },
    Technique {
        attack: "ssh_guessing",
        variant: "failures, then success",
        tactic: "credential-access",
        id: "T1110.001",
        description: "From the host that runs jobs, logins to another host fail a dozen times, then one succeeds.",
        seen_by: "failures, then success at a host that is new to the address",
        source: "MITRE ATT&CK T1110.001",
        plan: |p, t| ssh(p, t, true),
    },
    Technique {
        attack: "ticket_spray",
        variant: "one host asks for many accounts",
        tactic: "credential-access",
        id: "T1110.003",
        description: "One address fails to get a ticket for one service account after the other, then gets one.",
        seen_by: "one source, many identities, failures",
        source: "MITRE ATT&CK T1110.003; CISA AA24-207A",
        plan: spray,
    },
    Technique {
        attack: "certificate_elsewhere",
        variant: "another server",
        tactic: "lateral-movement",
        id: "T1550",
        description: "A service's certificate and key were copied; from another host of its subnet they open servers that the service never spoke to.",
        seen_by: "a certificate from a second host; servers that are new to it",
        source: "Unencrypted keys in images and repositories: GitGuardian, State of Secrets Sprawl 2025",
        plan: certificate,
    },
    Technique {
        attack: "expired_certificate",
        variant: "accepted",
        tactic: "initial-access",
        id: "T1649",
        description: "A service was moved to a new certificate; weeks later its old one, expired by then, is accepted by a server that does not check.",
        seen_by: "success with a credential that has expired",
        source: "OWASP NHI4:2025, insecure authentication",
        plan: expired,
    },
];

fn ssh(planner: &mut Planner<'_>, technique: &'static Technique, guessing: bool) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::Ssh)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let hosts = planner.unfamiliar_hosts(victim);
    let gap = if planner.level == Level::Hard { 6 * MINUTE } else { MINUTE };
    planner.burst(label, at, if guessing { 13 } else { 6 }, if guessing { 4 * SECOND } else { gap }, move |world, n, time| {
        let Some(place) = hosts.get(if guessing { 0 } else { n % hosts.len().max(1) }) else { return Touched::nothing(time) };
        let failure = (guessing && n < 12).then_some(Failure::Denied);
        world.touch(victim, *place, 0, time, Guise { failure, ..Guise::default() })
    });
    Some(())
}

impl Planner<'_> {
    /// SSH hosts that an actor does not log in to by habit.
    fn unfamiliar_hosts(&self, victim: usize) -> Vec<usize> {
        let habits = &self.world.actors[victim].habits;
        self.world.estate.all(PlaceKind::Host).into_iter().filter(|p| !habits.iter().any(|h| h.place == *p)).take(6).collect()
    }
}

fn spray(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::Kerberos)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = format!("10.10.251.{}", 10 + planner.chance.below(200));
    let others: Vec<_> = planner.world.actors.iter().enumerate().filter(|(i, a)| *i != victim && a.kind == Kind::Kerberos).map(|(i, _)| i).take(15).collect();
    planner.world.labels[label].also.push(address.clone());
    let service = planner.world.estate.all(PlaceKind::Principal).first().copied()?;
    let gap = if planner.level == Level::Hard { 2 * MINUTE } else { 5 * SECOND };
    let times = others.len() + 1;
    planner.burst(label, at, times, gap, move |world, n, time| match others.get(n) {
        Some(other) => world.touch(*other, service, 0, time, Guise { address: Some(&address), failure: Some(Failure::Denied), ..Guise::default() }),
        None => world.touch(victim, service, 0, time, Guise { address: Some(&address), ..Guise::default() }),
    });
    Some(())
}

fn certificate(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::Mtls && super::is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let team = planner.world.actors[victim].team;
    let address = format!("10.50.{}.{}", team % 250, 211 + planner.chance.below(40));
    planner.world.labels[label].also.push(address.clone());
    let servers = planner.unfamiliar(victim, PlaceKind::Server);
    planner.burst(label, at, 8, 2 * MINUTE, move |world, n, time| {
        let Some(place) = servers.get(n % servers.len().clamp(1, 3)) else { return Touched::nothing(time) };
        world.touch(victim, *place, 0, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}

fn expired(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::Mtls && super::is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let start = planner.world.start;
    let moved = start + (at - start) / 3;
    let actor = &mut planner.world.actors[victim];
    // It ends between the move and the attack, at least a day before that.
    let ends = ((moved + at) / 2).min(at - 26 * HOUR);
    let mut old = actor.new_certificate(ends - 90 * super::DAYS, 90);
    old.not_before = ends - 90 * super::DAYS;
    actor.credential = Credential::Certificate(old);
    planner.script.then(moved, move |world, time| {
        let actor = &mut world.actors[victim];
        if let Some(old) = actor.hold() {
            world.pocket.insert(label, old);
        }
        let actor = &mut world.actors[victim];
        actor.credential = Credential::Certificate(actor.new_certificate(time, 90));
    });
    let habits = planner.world.actors[victim].habits.clone();
    let address = planner.world.actors[victim].address();
    planner.burst(label, at, 6, 3 * MINUTE, move |world, n, time| {
        let held = world.pocket.get(&label).cloned();
        let Some(habit) = habits.get(n % habits.len().max(1)) else { return Touched::nothing(time) };
        world.touch(victim, habit.place, habit.act, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}
