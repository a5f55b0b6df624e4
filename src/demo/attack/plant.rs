//! On the plant floor: somebody writes to a PLC who never did, and somebody talks to the broker who should not.

use super::super::clock::{MINUTE, SECOND};
use super::super::estate::actor::{Actor, Home, Kind};
use super::super::estate::place::PlaceKind;
use super::super::estate::rhythm::Rhythm;
use super::super::world::Guise;
use super::{ANY, Kit, NIGHT, Planner};

const MODBUS: Kit =
    Kit { attack: "modbus_write", variant: "new master", technique: "T0855", description: "A host that never spoke Modbus writes registers of a PLC." };
const MQTT: Kit = Kit {
    attack: "rogue_mqtt_client",
    variant: "new client",
    technique: "T0848",
    description: "A client id that nobody knows connects to the broker and publishes set points.",
};

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(3.0) {
        modbus(planner, n % 2 == 1);
    }
    for n in 0..planner.count(3.0) {
        mqtt(planner, n % 2 == 1);
    }
}

/// A stranger that is modelled on somebody: same team and places, other name and address, no work of its own.
fn stranger(planner: &mut Planner<'_>, kind: Kind, name: String, address: String) -> Option<usize> {
    let model = planner.world.actors.iter().position(|a| a.kind == kind)?;
    let chance = planner.chance.fork();
    let actor = Actor { name, home: Home::Fixed(vec![address]), rhythm: Rhythm::Idle, habits: Vec::new(), chance, ..planner.world.actors[model].clone() };
    planner.world.actors.push(actor);
    planner.taken.insert(planner.world.actors.len() - 1);
    Some(planner.world.actors.len() - 1)
}

fn modbus(planner: &mut Planner<'_>, insider: bool) {
    let at = planner.moment(if insider { ANY } else { NIGHT }, false);
    let units = planner.world.estate.all(PlaceKind::Unit);
    let unit = *planner.chance.pick(&units);
    let reads_only = |a: &Actor| a.kind == Kind::Modbus && a.habits.iter().all(|h| h.act < 3);
    let (actor, unit, kit) = if insider {
        let Some(actor) = planner.victim(reads_only) else { return };
        let unit = planner.world.actors[actor].habits.first().map_or(unit, |h| h.place);
        let kit = Kit {
            variant: "known master that only ever read",
            technique: "T0836",
            description: "A display station that only ever read registers writes them.",
            ..MODBUS
        };
        (actor, unit, kit)
    } else {
        let address = format!("10.61.{}.{}", planner.chance.below(250), 120 + planner.chance.below(60));
        let Some(actor) = stranger(planner, Kind::Modbus, address.clone(), address) else { return };
        (actor, unit, MODBUS)
    };
    let label = planner.label(&kit, actor, at);
    planner.burst(label, at, 9, 12 * SECOND, move |world, n, time| world.touch(actor, unit, if n < 2 && !insider { 0 } else { 4 }, time, Guise::default()));
}

fn mqtt(planner: &mut Planner<'_>, clone: bool) {
    let at = planner.moment(ANY, false);
    let topics: Vec<_> = planner.world.estate.all(PlaceKind::Topic).into_iter().filter(|p| planner.world.estate.place(*p).name.ends_with("setpoint")).collect();
    let topic = *planner.chance.pick(&topics);
    let address = format!("10.60.{}.{}", planner.chance.below(250), 220 + planner.chance.below(30));
    let (actor, kit) = if clone {
        let Some(actor) = planner.victim(|a| a.kind == Kind::Mqtt) else { return };
        (
            actor,
            Kit {
                variant: "cloned client id",
                description: "Somebody connects with a known sensor's client id from another address and publishes set points.",
                ..MQTT
            },
        )
    } else {
        let name = planner.chance.hex("mqttjs_", 8);
        let Some(actor) = stranger(planner, Kind::Mqtt, name, address.clone()) else { return };
        (actor, MQTT)
    };
    let label = planner.label(&kit, actor, at);
    if clone {
        planner.world.labels[label].also.push(address.clone());
    }
    planner.burst(label, at, 14, MINUTE / 2, move |world, n, time| {
        if n == 0 {
            world.actors[actor].connected = i64::MIN / 2;
        }
        world.touch(actor, topic, 0, time, Guise { address: Some(&address), ..Guise::default() })
    });
}
