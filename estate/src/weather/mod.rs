//! What happens to an estate without anybody meaning harm: deployments, scaling, rotations, launches, moves, an outage, a
//! failover drill, a rollout that gives many a new bucket, maintenance, a month's end. Much of it looks like an attack.

mod administration;
mod breakage;
mod growth;

use std::collections::BTreeSet;

use crate::clock::Micros;

use crate::chance::Chance;
use crate::clock::{self, DAY, HOUR, MINUTE};
use crate::label::Decoy;
use crate::level::Character;
use crate::provider::cloudtrail::KeyChange;
use crate::roster::actor::{Credential, Habit, Home, Kind};
use crate::roster::place::{Place, PlaceKind};
use crate::roster::rhythm::Rhythm;
use crate::roster::{ACCOUNTS, Estate};
use crate::world::{Outage, Script, World};

/// Writes the script of what is benign; `taken` are victims, whose credentials and addresses stay as they are.
pub(crate) fn plan(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, character: &Character) {
    let mut chance = world.chance.fork();
    archive(world, &mut chance);
    deployments(world, script, character.commotion, &mut chance);
    rotations(world, script, taken, character.bad_rotations, &mut chance);
    launches(world, taken, character.commotion, &mut chance);
    moves(world, script, taken, character.commotion, &mut chance);
    growth::merger(world, taken, character.merger, &mut chance);
    growth::previews(world, script, character.previews, &mut chance);
    growth::autoscaling(world, script, taken, character.autoscaled, &mut chance);
    breakage::nat_changes(world, script, taken, character.nat_changes, &mut chance);
    breakage::collectors(world, character.late_deliveries, &mut chance);
    administration::plan(world, script, taken, &mut chance);
    outage(world, &mut chance);
    drill(world, script, &mut chance);
    rollout(world, script, &mut chance);
    maintenance(world, script, &mut chance);
    seasons(world, script);
    reruns(world, script, taken, &mut chance);
    rare(world, script, taken, &mut chance);
    janitor(world, script, taken, &mut chance);
}

fn decoy(world: &mut World, what: &str, actors: &[usize], start: i64, end: i64, description: &str) {
    let identities = actors.iter().map(|i| world.identity(*i)).collect();
    world.decoys.push(Decoy { what: what.to_owned(), identities, start: Micros(start), end: Micros(end), description: description.to_owned() });
}

/// A weekday's office hour within the given share of the period.
fn office_hour(world: &World, share: std::ops::Range<f64>, chance: &mut Chance) -> i64 {
    let span = (world.end - world.start) as f64;
    let (from, to) = (world.start + (span * share.start) as i64, world.start + (span * share.end) as i64);
    let mut at = from;
    for _ in 0..64 {
        at = clock::midnight(chance.range(from, to.max(from + 1))) + chance.range(8 * HOUR, 15 * HOUR);
        if at >= from && at < world.end - 3 * HOUR && !clock::is_weekend(at) {
            return at;
        }
    }
    at.clamp(world.start + HOUR, (world.end - 3 * HOUR).max(world.start + HOUR))
}

/// The trail before the period: when the users' keys were made. Not all of it is kept, so some ages stay "at least".
fn archive(world: &mut World, chance: &mut Chance) {
    for i in 0..world.actors.len() {
        let Credential::Keys(keys) = &world.actors[i].credential else { continue };
        let Some(key) = keys.last().map(|k| k.id.clone()) else { continue };
        let kept = chance.happens(0.7);
        let age = if chance.happens(0.85) { chance.range(5, 88) } else { chance.range(95, 170) };
        if kept && world.actors[i].name != "svc-deploy" {
            world.key_change(i, KeyChange::Create, &key, clock::midnight(world.start) - age * DAY + 9 * HOUR + chance.range(0, 8 * HOUR));
        }
    }
}

/// Every service is deployed now and then: a newer client, new pods.
fn deployments(world: &mut World, script: &mut Script, commotion: f64, chance: &mut Chance) {
    let weeks = ((world.end - world.start) as f64 / (7 * DAY) as f64).max(0.2);
    for i in 0..world.actors.len() {
        if !matches!(world.actors[i].kind, Kind::AwsUser | Kind::AwsRole | Kind::ServiceAccount | Kind::AppRole) {
            continue;
        }
        for _ in 0..chance.about(weeks * 0.8 * commotion) {
            let at = office_hour(world, 0.0..1.0, chance);
            script.then(at, move |world, _| {
                let nodes = world.estate.nodes.len();
                let actor = &mut world.actors[i];
                actor.agent.upgrade();
                if let Credential::Pods(pods) = &actor.credential {
                    let count = (pods.len() + actor.chance.below(2)).clamp(1, 4);
                    actor.credential = Credential::Pods(actor.new_pods(count, nodes));
                }
            });
        }
    }
}

/// Clean rotations: a new key, an hour until it is rolled out, some days until the old one is withdrawn; new certificates.
fn rotations(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, bad: f64, chance: &mut Chance) {
    for i in 0..world.actors.len() {
        let kind = world.actors[i].kind;
        if taken.contains(&i) || !matches!(kind, Kind::AwsUser | Kind::Mtls) || !chance.happens(0.45) {
            continue;
        }
        let at = office_hour(world, 0.05..0.95, chance);
        if kind == Kind::AwsUser && chance.happens(bad) {
            breakage::bad_rotation(world, script, i, at, chance);
            continue;
        }
        decoy(world, "rotation", &[i], at, at + 3 * DAY, "A clean rotation: new credential, then the old one withdrawn.");
        if kind == Kind::Mtls {
            script.then(at, move |world, time| {
                let actor = &mut world.actors[i];
                actor.credential = Credential::Certificate(actor.new_certificate(time, 90));
            });
            continue;
        }
        let withdrawn = at + HOUR + chance.range(4 * HOUR, 2 * DAY);
        script.then(at, move |world, time| {
            let account = ACCOUNTS[usize::from(world.actors[i].account)].id;
            let key = world.actors[i].new_key(account);
            world.key_change(i, KeyChange::Create, &key.id, time);
            if let Credential::Keys(keys) = &mut world.actors[i].credential {
                // In use once it is rolled out: it is put last then.
                keys.insert(0, key);
            }
        });
        script.then(at + HOUR, move |world, _| {
            if let Credential::Keys(keys) = &mut world.actors[i].credential {
                keys.rotate_left(1);
            }
        });
        script.then(withdrawn, move |world, time| {
            let Credential::Keys(keys) = &mut world.actors[i].credential else { return };
            if keys.len() > 1 {
                let old = keys.remove(0);
                world.key_change(i, KeyChange::Deactivate, &old.id, time);
                world.key_change(i, KeyChange::Delete, &old.id, time + 9 * MINUTE);
            }
        });
    }
}

/// Services that start during the period: nothing of theirs is known before.
fn launches(world: &mut World, taken: &BTreeSet<usize>, commotion: f64, chance: &mut Chance) {
    for i in 0..world.actors.len() {
        if taken.contains(&i) || world.actors[i].is_human() || !chance.happens(0.05 * commotion) {
            continue;
        }
        let at = office_hour(world, 0.15..0.9, chance);
        // A launch is an actor whose first run is then; `connected` stays unset, so that all it needs comes then too.
        world.launches.insert(i, at);
        decoy(world, "launch", &[i], at, at + 2 * DAY, "A service goes live.");
    }
}

/// Services that move to another subnet for good.
fn moves(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, commotion: f64, chance: &mut Chance) {
    for i in 0..world.actors.len() {
        let movable = matches!(world.actors[i].kind, Kind::AwsUser | Kind::AwsRole | Kind::AppRole | Kind::Mtls | Kind::Mqtt)
            && matches!(world.actors[i].home, Home::Fixed(_));
        if taken.contains(&i) || !movable || !chance.happens(0.06 * commotion) {
            continue;
        }
        let at = office_hour(world, 0.2..0.95, chance);
        let address = format!("10.{}.{}.{}", 40 + chance.below(3), chance.below(250), 10 + chance.below(200));
        script.then(at, move |world, _| world.actors[i].home = Home::Fixed(vec![address]));
        decoy(world, "move", &[i], at, at + 2 * DAY, "A service moves to another subnet and stays there.");
    }
}

/// A regional service does not answer for three quarters of an hour.
fn outage(world: &mut World, chance: &mut Chance) {
    let start = office_hour(world, 0.35..0.9, chance);
    let end = start + 45 * MINUTE;
    world.outages.push(Outage { kind: PlaceKind::Table, start, end });
    world.outages.push(Outage { kind: PlaceKind::Queue, start: start + 5 * MINUTE, end });
    let concerned: Vec<_> = (0..world.actors.len())
        .filter(|i| world.actors[*i].habits.iter().any(|h| matches!(world.estate.place(h.place).kind, PlaceKind::Table | PlaceKind::Queue)))
        .collect();
    decoy(world, "outage", &concerned, start, end, "DynamoDB and SQS do not answer; everyone who uses them sees failures.");
}

/// Two teams work from the second site for two hours.
fn drill(world: &mut World, script: &mut Script, chance: &mut Chance) {
    let at = office_hour(world, 0.45..0.95, chance);
    let end = at + 2 * HOUR;
    let teams = world.estate.teams.len();
    let first = chance.below(teams);
    let movable = |kind| matches!(kind, Kind::AwsUser | Kind::AwsRole | Kind::AppRole | Kind::Mtls);
    let members: Vec<_> =
        (0..world.actors.len()).filter(|i| movable(world.actors[*i].kind) && [first, (first + 5) % teams].contains(&world.actors[*i].team)).collect();
    decoy(world, "failover_drill", &members, at, end, "Two teams fail over: other addresses, replica buckets.");
    script.then(at, move |world, _| members.iter().for_each(|i| world.actors[*i].away_until = end));
}

/// A deployment gives many identities a bucket that nobody met before.
fn rollout(world: &mut World, script: &mut Script, chance: &mut Chance) {
    let at = office_hour(world, 0.4..0.9, chance);
    let bucket = world.estate.bucket(0, String::from("example-telemetry-archive-prod"), chance);
    let many: Vec<_> = (0..world.actors.len()).filter(|i| world.actors[*i].kind == Kind::AwsRole && world.actors[*i].account == 0).collect();
    decoy(world, "rollout", &many, at, at + DAY, "A library update makes every role of production write to a new telemetry bucket.");
    for i in many {
        script.then(at + chance.range(0, 50 * MINUTE), move |world, _| world.actors[i].habits.push(Habit { place: bucket, act: 1, times: 1.0, share: 0.7 }));
    }
}

/// On Sunday nights nodes are drained: pods start anew elsewhere, and a person watches over it at an unusual hour.
fn maintenance(world: &mut World, script: &mut Script, chance: &mut Chance) {
    let human = world.actors.iter().position(|a| a.kind == Kind::KubeHuman);
    let mut day = clock::midnight(world.start);
    while day < world.end {
        if clock::weekday(day) == 6 {
            let at = day + HOUR;
            let pods: Vec<_> = (0..world.actors.len()).filter(|i| world.actors[*i].kind == Kind::ServiceAccount && chance.happens(0.35)).collect();
            decoy(world, "maintenance", &pods, at, at + 3 * HOUR, "Nodes are drained; pods start elsewhere; a person works at night.");
            for i in pods {
                script.then(at + chance.range(0, 3 * HOUR), move |world, _| {
                    let nodes = world.estate.nodes.len();
                    let actor = &mut world.actors[i];
                    if let Credential::Pods(pods) = &actor.credential {
                        let count = pods.len();
                        actor.credential = Credential::Pods(actor.new_pods(count, nodes));
                    }
                });
            }
            if let Some(human) = human {
                let namespace = world.estate.teams[chance.below(world.estate.teams.len())].clone();
                let pods = world.estate.add(Place {
                    kind: PlaceKind::Object,
                    team: 0,
                    account: 0,
                    name: String::from("pods"),
                    at: namespace,
                    twin: None,
                    ephemeral: false,
                });
                for n in 0..20 {
                    script.at(at + n * 8 * MINUTE + chance.range(0, 5 * MINUTE), None, move |world, time| {
                        vec![world.touch(human, pods, 1, time, crate::world::Guise::default())]
                    });
                }
            }
        }
        day += DAY;
    }
}

/// On the last two days of a month the teams that report work thrice as much, and on Mondays half as much again.
fn seasons(world: &mut World, script: &mut Script) {
    let busy: Vec<_> = (0..world.actors.len()).filter(|i| Estate::account_of(world.actors[*i].team) == 1).collect();
    let mut day = clock::midnight(world.start);
    while day < world.end {
        let (tomorrow, next) = (clock::date(day + DAY), clock::date(day + 2 * DAY));
        if next.day == 1 {
            decoy(world, "month_end", &busy, day, day + 2 * DAY, "The reporting teams close the month.");
        }
        let load = match clock::weekday(day) {
            _ if next.day == 1 || tomorrow.day == 1 => 3.0,
            0 => 1.5,
            _ => 1.0,
        };
        let busy = busy.clone();
        script.then(day, move |world, _| busy.iter().for_each(|i| world.actors[*i].load = load));
        day += DAY;
    }
}

/// Somebody on call starts an office-hours job again at night: its usual work at an unusual hour.
fn reruns(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, chance: &mut Chance) {
    let office: Vec<_> = (0..world.actors.len())
        .filter(|i| !taken.contains(i) && !world.actors[*i].is_human() && matches!(world.actors[*i].rhythm, Rhythm::Traffic { office, .. } if office >= 1.0))
        .collect();
    let nights = (world.end - world.start) / (4 * DAY) * (1 + world.actors.len() as i64 / 600);
    for _ in 0..if office.is_empty() { 0 } else { nights } {
        let i = *chance.pick(&office);
        let at = clock::midnight(chance.range(world.start + DAY / 2, world.end)) + chance.range(HOUR, 4 * HOUR);
        script.then(at, move |world, time| world.work(i, time));
        decoy(world, "rerun", &[i], at, at + HOUR, "Somebody on call starts an office-hours job again at night.");
    }
}

/// Jobs that run at the beginning of the period and again weeks later: dormant, and nothing is wrong.
fn rare(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, chance: &mut Chance) {
    let span = world.end - world.start;
    for i in 0..world.actors.len() {
        if taken.contains(&i) || !matches!(world.actors[i].rhythm, Rhythm::Daily { .. } | Rhythm::Weekly { .. }) || !chance.happens(0.06) {
            continue;
        }
        world.actors[i].rhythm = Rhythm::Idle;
        let (first, again) = (world.start + chance.range(HOUR, span / 10), world.start + span / 10 * 8 + chance.range(0, span / 10));
        script.then(first, move |world, time| world.work(i, time));
        script.then(again, move |world, time| world.work(i, time));
        decoy(world, "rare_job", &[i], again, again + HOUR, "A job that runs every few weeks.");
    }
}

/// One Vault role tidies up: every morning it withdraws what the night's batch jobs left behind.
fn janitor(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, chance: &mut Chance) {
    let resident = |i: &usize| world.actors[*i].kind == Kind::AppRole && !taken.contains(i) && !world.launches.contains_key(i);
    world.janitor = (0..world.actors.len()).find(resident);
    let idle: Vec<_> =
        (0..world.actors.len()).filter(|i| !taken.contains(i) && matches!(world.actors[*i].credential, Credential::Token { each_run: true, .. })).collect();
    let mut day = clock::midnight(world.start);
    while day < world.end && !idle.is_empty() {
        for n in 0..2 {
            let i = *chance.pick(&idle);
            script.then(day + 9 * HOUR + n * 7 * MINUTE + chance.range(0, 5 * MINUTE), move |world, time| {
                let Credential::Token { token, .. } = &mut world.actors[i].credential else { return };
                if let Some(token) = token.take() {
                    world.revoke_token(i, &token, time);
                }
            });
        }
        day += DAY;
    }
}
