//! A person works as a service: from the office, with a person's tools, on a person's errands.

use super::{OFFICE, Planner, Technique, is_busy};
use crate::clock::{MINUTE, SECOND};
use crate::level::Level;
use crate::roster::actor::{Agent, Kind};
use crate::roster::place::{Place, PlaceKind};
use crate::world::Guise;

const SOURCE: &str = "OWASP NHI10:2025, human use of NHI";

const fn technique(
    variant: &'static str,
    id: &'static str,
    description: &'static str,
    seen_by: &'static str,
    plan: fn(&mut Planner<'_>, &'static Technique) -> Option<()>,
) -> Technique {
    Technique { attack: "human_use", variant, tactic: "defense-evasion", id, description, seen_by, source: SOURCE, plan }
}

pub(super) const LIBRARY: &[Technique] = &[
    technique(
        "console",
        "T1078.004",
        "Somebody signs in to the console with a service's user and looks around.",
        "a console sign-in of a machine's user; the network that people come from",
        |p, t| errand(p, t, Kind::AwsUser, Agent::new(7, 0), true),
    ),
    technique(
        "kubectl exec",
        "T1609",
        "Somebody uses a service account's token with kubectl from the office: reads secrets and opens a shell in a pod.",
        "the network that people come from; an act that executes",
        |p, t| errand(p, t, Kind::ServiceAccount, Agent::new(8, 1), false),
    ),
    technique(
        "Vault from a browser",
        "T1078",
        "Somebody logs in to Vault with a service's role from the office.",
        "the network that people come from",
        |p, t| errand(p, t, Kind::AppRole, Agent::new(7, 0), false),
    ),
    technique(
        "command line",
        "T1078.004",
        "Somebody uses a service's key with the command line from the office.",
        "the network that people come from; discovery that the service never did",
        |p, t| errand(p, t, Kind::AwsUser, Agent::new(3, 31), false),
    ),
];

fn errand(planner: &mut Planner<'_>, technique: &'static Technique, kind: Kind, agent: Agent, console: bool) -> Option<()> {
    let victim = planner.victim(|a| a.kind == kind && is_busy(a))?;
    let at = planner.moment(OFFICE, true);
    let label = planner.label(technique, victim, at);
    let address = format!("203.0.113.{}", 10 + planner.chance.below(2));
    // At the highest level the person takes the service's own client along: a script of the team's, started by hand.
    let agent = (console || planner.level != Level::Hard).then_some(agent);
    let team = planner.world.actors[victim].team;
    let mut places = match kind {
        Kind::ServiceAccount => planner.world.estate.of(team, PlaceKind::Object),
        Kind::AppRole => planner.world.estate.of(team, PlaceKind::Path),
        _ => vec![planner.world.estate.account_place(planner.world.actors[victim].account)],
    };
    places.retain(|p| !planner.world.estate.place(*p).ephemeral);
    if kind == Kind::ServiceAccount {
        let at = planner.world.estate.teams[team].clone();
        let shell = Place { kind: PlaceKind::Object, team, account: 0, name: String::from("exec/app-0"), at, twin: None, ephemeral: false };
        places.push(planner.world.estate.add(shell));
    }
    if console {
        let here = address.clone();
        planner.script.at(at, Some(label), move |world, time| vec![world.console_login(victim, time, &here)]);
    }
    planner.burst(label, at + 40 * SECOND, 11, MINUTE, move |world, n, time| {
        world.freshen(victim, time, &address);
        let held = world.actors[victim].hold();
        let place = places.get((places.len() + 10 - n) % places.len().max(1)).copied().unwrap_or(0);
        let act = match kind {
            Kind::AwsUser => [3, 4, 1, 0, 5][n % 5],
            Kind::ServiceAccount if world.estate.place(place).name.starts_with("exec/") => 3,
            Kind::ServiceAccount => u8::from(!world.estate.place(place).name.contains('/')),
            _ => u8::from(n == 0),
        };
        let agent = agent.as_ref().map(Agent::text);
        world.touch(victim, place, act, time, Guise { address: Some(&address), agent, held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}
