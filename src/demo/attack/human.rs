//! A person works as a service: from the office, with a person's tools, on a person's errands.

use super::super::clock::{MINUTE, SECOND};
use super::super::estate::actor::{Agent, Kind};
use super::super::estate::place::{Place, PlaceKind};
use super::super::world::Guise;
use super::{Kit, OFFICE, Planner, is_busy};

const KIT: Kit = Kit { attack: "human_use", variant: "", technique: "T1078", description: "" };

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(4.0) {
        let (kind, variant, description, agent) = match n % 4 {
            0 => (Kind::AwsUser, "console", "Somebody signs in to the console with a service's user and looks around.", Agent::new(7, 0)),
            1 => (
                Kind::ServiceAccount,
                "kubectl exec",
                "Somebody uses a service account's token with kubectl from the office: reads secrets and opens a shell in a pod.",
                Agent::new(8, 1),
            ),
            2 => (Kind::AppRole, "Vault from a browser", "Somebody logs in to Vault with a service's role from the office.", Agent::new(7, 0)),
            _ => (Kind::AwsUser, "command line", "Somebody uses a service's key with the command line from the office.", Agent::new(3, 31)),
        };
        let Some(victim) = planner.victim(|a| a.kind == kind && is_busy(a)) else { continue };
        let at = planner.moment(OFFICE, true);
        let label = planner.label(&Kit { variant, description, ..KIT }, victim, at);
        let address = format!("203.0.113.{}", 10 + planner.chance.below(2));
        let team = planner.world.actors[victim].team;
        let mut places = match kind {
            Kind::ServiceAccount => planner.world.estate.of(team, PlaceKind::Object),
            Kind::AppRole => planner.world.estate.of(team, PlaceKind::Path),
            _ => vec![planner.world.estate.account_place(planner.world.actors[victim].account)],
        };
        if kind == Kind::ServiceAccount {
            let namespace = planner.world.estate.teams[team].clone();
            let shell =
                planner.world.estate.add(Place { kind: PlaceKind::Object, team, account: 0, name: String::from("exec/app-0"), at: namespace, twin: None });
            places.push(shell);
        }
        if n % 4 == 0 {
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
            world.touch(victim, place, act, time, Guise { address: Some(&address), agent: Some(agent.text()), held: held.as_ref(), ..Guise::default() })
        });
    }
}
