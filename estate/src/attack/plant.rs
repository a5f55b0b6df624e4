//! On the plant floor: somebody commands a PLC who never did, and somebody talks to the broker who should not.

use super::{Planner, Technique};
use crate::clock::{MINUTE, SECOND};
use crate::roster::actor::{Actor, Home, Kind};
use crate::roster::place::PlaceKind;
use crate::roster::rhythm::Rhythm;
use crate::world::{Guise, Touched};

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "modbus_write",
        variant: "new master",
        tactic: "impair-process-control",
        id: "T0855",
        description: "A host that never spoke Modbus reads, then writes registers of a PLC.",
        seen_by: "a master that nobody ever saw; a write",
        source: "FrostyGoop: Dragos, 2024; MITRE ATT&CK for ICS T0855",
        plan: |p, t| master(p, t, false),
    },
    Technique {
        attack: "modbus_write",
        variant: "second master beside the first",
        tactic: "impair-process-control",
        id: "T0855",
        description: "A host that never spoke Modbus writes the registers that the usual master writes, while that one goes on.",
        seen_by: "two masters of one controller at once",
        source: "MITRE ATT&CK for ICS T0830, adversary in the middle",
        plan: |p, t| master(p, t, true),
    },
    Technique {
        attack: "modbus_write",
        variant: "known master that only ever read",
        tactic: "impair-process-control",
        id: "T0836",
        description: "A display station that only ever read registers writes them.",
        seen_by: "a command class that is new to the master",
        source: "Oldsmar, 2021 (a known station); MITRE ATT&CK for ICS T0836",
        plan: |p, t| insider(p, t, &[4, 4, 3, 4, 4, 4, 3, 4, 4]),
    },
    Technique {
        attack: "modbus_diagnostics",
        variant: "listen-only mode",
        tactic: "inhibit-response-function",
        id: "T0814",
        description: "A known master sends diagnostic functions that it never sent: the controller stops answering.",
        seen_by: "a function that is new to the master",
        source: "Modbus application protocol V1.1b3, function 08, sub-function 04; MITRE ATT&CK for ICS T0814",
        plan: |p, t| insider(p, t, &[5, 5, 5]),
    },
    Technique {
        attack: "modbus_scan",
        variant: "unit by unit",
        tactic: "discovery",
        id: "T0846",
        description: "A known master reads from one controller of the plant after the other.",
        seen_by: "many controllers that are new to the master",
        source: "MITRE ATT&CK for ICS T0846; TRITON's reconnaissance",
        plan: scan,
    },
    Technique {
        attack: "rogue_mqtt_client",
        variant: "new client",
        tactic: "initial-access",
        id: "T0848",
        description: "A client id that nobody knows connects to the broker and publishes set points.",
        seen_by: "a client that nobody ever saw; a topic with a stable audience",
        source: "MITRE ATT&CK for ICS T0848, rogue master; OASIS MQTT 5, section 5",
        plan: |p, t| mqtt(p, t, false),
    },
    Technique {
        attack: "rogue_mqtt_client",
        variant: "cloned client id",
        tactic: "impair-process-control",
        id: "T0856",
        description: "Somebody connects with a known sensor's client id from another address and publishes set points.",
        seen_by: "a known client from a second address; a topic that is new to it",
        source: "MQTT 3.1.1, section 3.1.4: a second connection of an id takes the first one's place",
        plan: |p, t| mqtt(p, t, true),
    },
    Technique {
        attack: "mqtt_eavesdropping",
        variant: "every topic",
        tactic: "collection",
        id: "T0801",
        description: "A known client subscribes to every topic of the broker.",
        seen_by: "a destination that is new to the client and wider than all others",
        source: "Lundgren, Light-Weight Protocol! Serious Equipment! Critical Implications!, DEF CON 24",
        plan: eavesdropping,
    },
];

/// A stranger that is modelled on somebody: same team and places, other name and address, no work of its own.
fn stranger(planner: &mut Planner<'_>, kind: Kind, name: String, address: String) -> Option<usize> {
    let model = planner.world.actors.iter().position(|a| a.kind == kind)?;
    let chance = planner.chance.fork();
    let actor = Actor { name, home: Home::Fixed(vec![address]), rhythm: Rhythm::Idle, habits: Vec::new(), chance, ..planner.world.actors[model].clone() };
    planner.world.actors.push(actor);
    planner.taken.insert(planner.world.actors.len() - 1);
    Some(planner.world.actors.len() - 1)
}

fn master(planner: &mut Planner<'_>, technique: &'static Technique, beside: bool) -> Option<()> {
    let at = planner.any_moment();
    let written: Vec<_> =
        planner.world.actors.iter().filter(|a| a.kind == Kind::Modbus).flat_map(|a| a.habits.iter().filter(|h| h.act >= 3).map(|h| h.place)).collect();
    let units = if beside && !written.is_empty() { written } else { planner.world.estate.all(PlaceKind::Unit) };
    let unit = *(!units.is_empty()).then(|| planner.chance.pick(&units))?;
    let address = format!("10.61.{}.{}", planner.chance.below(250), 120 + planner.chance.below(60));
    let actor = stranger(planner, Kind::Modbus, address.clone(), address)?;
    let label = planner.label(technique, actor, at);
    planner.burst(label, at, 9, 12 * SECOND, move |world, n, time| world.touch(actor, unit, if n < 2 { 0 } else { 4 }, time, Guise::default()));
    Some(())
}

/// A master that only ever read.
fn reads_only(a: &Actor) -> bool {
    a.kind == Kind::Modbus && !a.habits.is_empty() && a.habits.iter().all(|h| h.act < 3)
}

fn insider(planner: &mut Planner<'_>, technique: &'static Technique, acts: &'static [u8]) -> Option<()> {
    let actor = planner.victim(reads_only)?;
    let at = planner.any_moment();
    let unit = planner.world.actors[actor].habits.first().map(|h| h.place)?;
    let label = planner.label(technique, actor, at);
    planner
        .burst(label, at, acts.len(), 12 * SECOND, move |world, n, time| world.touch(actor, unit, acts.get(n).copied().unwrap_or(4), time, Guise::default()));
    Some(())
}

fn scan(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let actor = planner.victim(|a| a.kind == Kind::Modbus)?;
    let at = planner.any_moment();
    let label = planner.label(technique, actor, at);
    let habits: Vec<_> = planner.world.actors[actor].habits.iter().map(|h| h.place).collect();
    let mut units = planner.world.estate.all(PlaceKind::Unit);
    units.retain(|p| !habits.contains(p));
    units.truncate(14);
    planner.burst(label, at, units.len(), 8 * SECOND, move |world, n, time| {
        units.get(n).map_or_else(|| Touched::nothing(time), |unit| world.touch(actor, *unit, 0, time, Guise::default()))
    });
    Some(())
}

fn setpoint(planner: &mut Planner<'_>) -> Option<usize> {
    let topics: Vec<_> = planner.world.estate.all(PlaceKind::Topic).into_iter().filter(|p| planner.world.estate.place(*p).name.ends_with("setpoint")).collect();
    (!topics.is_empty()).then(|| *planner.chance.pick(&topics))
}

fn mqtt(planner: &mut Planner<'_>, technique: &'static Technique, clone: bool) -> Option<()> {
    let at = planner.any_moment();
    let topic = setpoint(planner)?;
    let address = format!("10.60.{}.{}", planner.chance.below(250), 220 + planner.chance.below(30));
    let actor = if clone {
        planner.victim(|a| a.kind == Kind::Mqtt)?
    } else {
        let name = planner.chance.hex("mqttjs_", 8);
        stranger(planner, Kind::Mqtt, name, address.clone())?
    };
    let label = planner.label(technique, actor, at);
    if clone {
        planner.world.labels[label].also.push(address.clone());
    }
    planner.burst(label, at, 14, MINUTE / 2, move |world, n, time| {
        if n == 0 {
            world.actors[actor].connected = i64::MIN / 2;
        }
        world.touch(actor, topic, 0, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}

fn eavesdropping(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::Mqtt)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    planner.script.at(at, Some(label), move |world, time| vec![world.mqtt_subscribe(victim, "#", time)]);
    Some(())
}
