//! Identities that come and go: a company that was bought, preview environments, services that an autoscaler makes larger and smaller.

use std::collections::BTreeSet;

use super::{decoy, office_hour};
use crate::chance::Chance;
use crate::clock::{self, DAY, HOUR};
use crate::roster::actor::{Actor, Credential, Home, Kind};
use crate::roster::rhythm::Rhythm;
use crate::world::{Script, World};

/// A company was bought: its services all begin on one day, from a network of their own.
pub(super) fn merger(world: &mut World, taken: &BTreeSet<usize>, share: f64, chance: &mut Chance) {
    let at = office_hour(world, 0.3..0.8, chance);
    let mut joined = Vec::new();
    for i in 0..world.actors.len() {
        if taken.contains(&i) || world.launches.contains_key(&i) || world.actors[i].is_human() || !chance.happens(share) {
            continue;
        }
        let actor = &mut world.actors[i];
        if let (Home::Fixed(addresses), Kind::AwsUser | Kind::AwsRole | Kind::AppRole | Kind::Mtls) = (&mut actor.home, actor.kind) {
            *addresses = vec![format!("172.27.{}.{}", i % 250, 10 + i / 250 % 240)];
        }
        world.launches.insert(i, at + chance.range(0, 6 * HOUR));
        joined.push(i);
    }
    if !joined.is_empty() {
        decoy(world, "merger", &joined, at, at + 3 * DAY, "A company was bought; its services are connected on one day.");
    }
}

/// Preview environments: an account of its own each, modelled on the team's service, gone after two days.
pub(super) fn previews(world: &mut World, script: &mut Script, daily: f64, chance: &mut Chance) {
    let models: Vec<_> = (0..world.actors.len()).filter(|i| world.actors[*i].kind == Kind::ServiceAccount).collect();
    let days = (world.end - world.start) as f64 / DAY as f64;
    let count = (days * daily * world.actors.len() as f64 / 100.0) as usize;
    for n in 0..if models.is_empty() { 0 } else { count } {
        let model = *chance.pick(&models);
        let at = office_hour(world, 0.0..0.97, chance);
        let draws = chance.fork();
        let mut actor = Actor {
            name: format!("preview-{}/{}", 1800 + n, world.actors[model].name.rsplit('/').next().unwrap_or("api")),
            principal: chance.uuid(),
            rhythm: Rhythm::Traffic { interval: 30 * clock::MINUTE, office: 0.7 },
            until: at + 2 * DAY,
            chance: draws,
            ..world.actors[model].clone()
        };
        actor.credential = Credential::Pods(actor.new_pods(1, world.estate.nodes.len()));
        world.actors.push(actor);
        let i = world.actors.len() - 1;
        world.launches.insert(i, at);
        decoy(world, "preview", &[i], at, at + 2 * DAY, "A preview environment: its account lives for two days.");
        // What is gone needs no pods in memory.
        script.then((at + 2 * DAY).min(world.end - 1), move |world, _| world.actors[i].credential = Credential::Unseen);
    }
}

/// An autoscaler gives services more pods in the morning, and takes them away in the evening.
pub(super) fn autoscaling(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, share: f64, chance: &mut Chance) {
    for i in 0..world.actors.len() {
        if taken.contains(&i) || world.actors[i].kind != Kind::ServiceAccount || world.actors[i].until < i64::MAX || !chance.happens(share) {
            continue;
        }
        let (morning, evening) = (7 * HOUR + chance.range(0, 2 * HOUR), 18 * HOUR + chance.range(0, 2 * HOUR));
        scale(world.start, i, script, [(morning, 3), (evening, 0)]);
    }
}

/// Each day the service gets so many pods more than the one that it keeps.
fn scale(start: i64, i: usize, script: &mut Script, times: [(i64, usize); 2]) {
    for (offset, more) in times {
        script.then(clock::midnight(start) + DAY + offset, move |world, time| again(world, i, time, more));
    }
    /// Changes the number of pods; tomorrow is planned by the next call, so that the script holds one act a service and not one a day.
    fn again(world: &mut World, i: usize, time: i64, more: usize) {
        let nodes = world.estate.nodes.len();
        let actor = &mut world.actors[i];
        let kept: Vec<_> = match &actor.credential {
            Credential::Pods(pods) => pods.iter().take(1).cloned().collect(),
            _ => return,
        };
        let added = if clock::is_weekend(time) { 0 } else { more };
        let mut pods = kept;
        pods.extend(actor.new_pods(added, nodes));
        actor.credential = Credential::Pods(pods);
        world.later.push((
            time + DAY,
            Box::new(move |world, time| {
                again(world, i, time, more);
                Vec::new()
            }),
        ));
    }
}
