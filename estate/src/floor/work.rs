//! What a plant does without anybody meaning harm: polls, shifts, recipes, engineering in agreed windows; and what only looks like an attack: masters that
//! change over, a panel that is replaced, a line that is commissioned, a historian that is upgraded everywhere on one day, patch Sundays, an outage.

use super::Plant;
use super::site::{Controller, Protocol, Role, Station};
use super::wire::Function;
use crate::chance::Chance;
use crate::clock::{self, DAY, HOUR, MINUTE, Micros, SECOND};
use crate::label::Decoy;

/// A controller does not answer.
pub struct Outage {
    pub controller: usize,
    pub start: i64,
    pub end: i64,
}

/// The whole period's work; gives the outages.
pub fn plan(plant: &mut Plant) -> Vec<Outage> {
    let commissioned = commissioning(plant);
    for from in 0..plant.stations.len() {
        let mut chance = plant.chance.fork();
        let station = plant.stations[from].clone();
        match station.role {
            Role::Master => masters(plant, from, &commissioned, &mut chance),
            Role::Historian => poll(plant, from, &commissioned, 25 * MINUTE, &mut chance, |c, s| c.site == s.site && c.protocol != Protocol::Bacnet),
            Role::Panel => panel(plant, from, &commissioned, &mut chance),
            Role::Building => building(plant, from, &mut chance),
            Role::Gateway => gateway(plant, from, &mut chance),
            Role::Recipes => recipes(plant, from, &mut chance),
            Role::Client => client(plant, from, &mut chance),
            Role::Engineering | Role::Vendor => windows(plant, from, &mut chance),
        }
    }
    replacements(plant);
    upgrade(plant);
    patches(plant);
    outages(plant)
}

/// The controllers that a station of its role speaks to by right.
pub fn own(plant: &Plant, from: usize) -> Vec<usize> {
    let station = &plant.stations[from];
    let fits = |c: &Controller| {
        c.site == station.site
            && match station.role {
                Role::Panel => c.line == station.line && matches!(c.protocol, Protocol::S7 | Protocol::Cip | Protocol::Modbus),
                Role::Building => c.protocol == Protocol::Bacnet,
                Role::Gateway => c.protocol == Protocol::Dnp3,
                Role::Client => c.protocol == Protocol::OpcUa && c.address.ends_with(&format!(".{}", 10 + station.line % 3)),
                Role::Vendor => c.protocol == Protocol::OpcUa,
                Role::Recipes => matches!(c.protocol, Protocol::S7 | Protocol::Cip) && c.line >= station.line && c.line < station.line + 3,
                Role::Engineering => matches!(c.protocol, Protocol::S7 | Protocol::Cip),
                Role::Master | Role::Historian => true,
            }
    };
    (0..plant.controllers.len()).filter(|to| fits(&plant.controllers[*to])).collect()
}

pub fn decoy(plant: &mut Plant, what: &str, identities: Vec<String>, start: i64, end: i64, description: &str) {
    plant.decoys.push(Decoy { what: what.to_owned(), identities, start: Micros(start), end: Micros(end), description: description.to_owned() });
}

/// One line of each plant starts late: until then nobody can speak to its second controller.
fn commissioning(plant: &mut Plant) -> Vec<(usize, i64)> {
    let days = (plant.end - plant.start) / DAY;
    let mut late = Vec::new();
    for site in 0..3 {
        let line = plant.chance.below(super::site::LINES);
        let at = clock::midnight(plant.start + plant.chance.range(days / 4, days / 2) * DAY) + 9 * HOUR;
        if let Some(to) = plant.controllers.iter().rposition(|c| c.site == site && c.line == line && matches!(c.protocol, Protocol::S7 | Protocol::Cip)) {
            late.push((to, at));
            let identities = (0..plant.stations.len()).filter(|from| plant.stations[*from].site == site).map(|from| plant.identity(from, to)).collect();
            decoy(plant, "commissioning", identities, at - DAY, at + 2 * DAY, "A controller is commissioned: everybody meets it for the first time.");
        }
    }
    late
}

fn since(commissioned: &[(usize, i64)], to: usize) -> i64 {
    commissioned.iter().find(|(late, _)| *late == to).map_or(i64::MIN, |(_, at)| *at)
}

/// A session in the morning, then reads at a beat.
fn poll(plant: &mut Plant, from: usize, commissioned: &[(usize, i64)], beat: i64, chance: &mut Chance, which: fn(&Controller, &Station) -> bool) {
    let station = plant.stations[from].clone();
    for to in (0..plant.controllers.len()).filter(|to| which(&plant.controllers[*to], &station)).collect::<Vec<_>>() {
        let mut at = plant.start.max(since(commissioned, to)) + chance.range(0, beat);
        let mut day = i64::MIN;
        while at < plant.end {
            if at / DAY != day {
                day = at / DAY;
                plant.act(at - 2 * SECOND, from, to, Function::Open);
            }
            plant.act(at, from, to, Function::Read);
            at += beat + chance.range(-beat / 50, beat / 50);
        }
    }
}

/// The first of a site's masters polls and sends set points of the day; they change over every week or two, for a shift or for days.
fn masters(plant: &mut Plant, from: usize, commissioned: &[(usize, i64)], chance: &mut Chance) {
    let station = plant.stations[from].clone();
    let first = station.address.ends_with(".10");
    // Both know the same changes, for both draw them from their site.
    let mut turns = Chance::new(0x7475_726e ^ station.site as u64 ^ plant.start.unsigned_abs());
    let mut spans = Vec::new();
    let (mut at, mut leads) = (plant.start, true);
    while at < plant.end {
        let until = at + if leads { turns.range(5 * DAY, 12 * DAY) } else { turns.range(6 * HOUR, 3 * DAY) };
        if leads == first {
            spans.push((at, until));
        }
        if !leads && first {
            let identities = (0..plant.stations.len()).filter(|s| plant.stations[*s].site == station.site && plant.stations[*s].role == Role::Master);
            let identities = identities.map(|s| plant.identity(s, 0)).collect();
            decoy(plant, "change_over", identities, at, until, "The stand-by master takes over.");
        }
        (at, leads) = (until, !leads);
    }
    for to in own(plant, from) {
        let protocol = plant.controllers[to].protocol;
        if matches!(protocol, Protocol::OpcUa | Protocol::Bacnet) {
            continue;
        }
        let beat = 20 * MINUTE;
        for (begin, end) in &spans {
            let mut at = (*begin).max(since(commissioned, to)) + chance.range(0, beat);
            plant.act(at - 2 * SECOND, from, to, Function::Open);
            while at < *end {
                plant.act(at, from, to, Function::Read);
                if protocol != Protocol::Dnp3 && chance.happens(0.04) {
                    plant.act(at + SECOND, from, to, Function::Write);
                }
                at += beat + chance.range(-20 * SECOND, 20 * SECOND);
            }
        }
    }
}

/// Three shifts on working days, one at the weekend: reads at a beat, set points when the operator wants, more at the beginning of a shift.
fn panel(plant: &mut Plant, from: usize, commissioned: &[(usize, i64)], chance: &mut Chance) {
    let keen = 0.3 + chance.unit() * 0.7;
    for to in own(plant, from) {
        let writes = chance.happens(0.7);
        let beat = 30 * MINUTE;
        let mut at = plant.start.max(since(commissioned, to)) + chance.range(0, beat);
        let mut day = i64::MIN;
        while at < plant.end {
            if at / DAY != day {
                day = at / DAY;
                plant.act(at - 2 * SECOND, from, to, Function::Open);
            }
            plant.act(at, from, to, Function::Read);
            let hour = clock::hour_of_day(at);
            let shift = match (clock::is_weekend(at), hour) {
                (true, h) if (6.0..14.0).contains(&h) => 0.02,
                (true, _) => 0.0,
                (false, h) if (6.0..7.0).contains(&h) || (14.0..15.0).contains(&h) => 0.25,
                (false, h) if (6.0..22.0).contains(&h) => 0.1,
                (false, _) => 0.02,
            };
            if writes && chance.happens(shift * keen) {
                for n in 0..1 + chance.below(3) {
                    plant.act(at + 20 * SECOND * (1 + i64::try_from(n).unwrap_or(0)), from, to, Function::Write);
                }
            }
            at += beat + chance.range(-MINUTE, MINUTE);
        }
    }
}

fn building(plant: &mut Plant, from: usize, chance: &mut Chance) {
    let reads_only = plant.stations[from].address.ends_with(".51");
    for to in own(plant, from) {
        let mut at = plant.start + chance.range(0, HOUR / 2);
        while at < plant.end {
            plant.act(at, from, to, Function::Read);
            let hour = clock::hour_of_day(at);
            if !reads_only && ((5.0..6.0).contains(&hour) || (18.0..19.0).contains(&hour)) {
                plant.act(at + 5 * SECOND, from, to, Function::Write);
            }
            at += HOUR / 2 + chance.range(-MINUTE, MINUTE);
        }
    }
}

fn gateway(plant: &mut Plant, from: usize, chance: &mut Chance) {
    let switches = plant.stations[from].address.ends_with(".40");
    for to in own(plant, from) {
        let mut at = plant.start + chance.range(0, 15 * MINUTE);
        while at < plant.end {
            plant.act(at, from, to, Function::Read);
            // A switching programme: rare, in the day.
            if switches && !clock::is_weekend(at) && (7.0..17.0).contains(&clock::hour_of_day(at)) && chance.happens(0.004) {
                plant.act(at + 30 * SECOND, from, to, Function::Trip);
            }
            at += 30 * MINUTE + chance.range(-10 * SECOND, 10 * SECOND);
        }
    }
}

fn recipes(plant: &mut Plant, from: usize, chance: &mut Chance) {
    let own = own(plant, from);
    let mut day = clock::midnight(plant.start);
    while day < plant.end {
        for shift in [6, 14, 22] {
            if clock::is_weekend(day) && shift != 6 {
                continue;
            }
            for to in &own {
                let at = day + shift * HOUR - 10 * MINUTE + chance.range(0, 8 * MINUTE);
                plant.act(at - SECOND, from, *to, Function::Open);
                for n in 0..chance.range(4, 12) {
                    plant.act(at + n * 2 * SECOND, from, *to, Function::Write);
                }
                plant.act(at + MINUTE, from, *to, Function::Read);
            }
        }
        day += DAY;
    }
}

/// An OPC UA client: a session a day, reads at a beat; some write, some browse each morning.
fn client(plant: &mut Plant, from: usize, chance: &mut Chance) {
    let (writes, browses) = (chance.happens(0.3), chance.happens(0.4));
    let beat = [15, 30, 60][chance.below(3)] * MINUTE;
    for to in own(plant, from) {
        let mut at = plant.start + chance.range(0, beat);
        let mut day = i64::MIN;
        while at < plant.end {
            if at / DAY != day {
                day = at / DAY;
                plant.act(at - 4 * SECOND, from, to, Function::Open);
                if browses {
                    plant.act(at - 2 * SECOND, from, to, Function::Browse);
                }
            }
            plant.act(at, from, to, Function::Read);
            if writes && !clock::is_weekend(at) && (6.0..18.0).contains(&clock::hour_of_day(at)) && chance.happens(0.1) {
                plant.act(at + 3 * SECOND, from, to, Function::Write);
            }
            at += beat + chance.range(-beat / 40, beat / 40);
        }
    }
}

/// Work in agreed windows of two hours: every fortnight or so, on some controllers.
fn windows(plant: &mut Plant, from: usize, chance: &mut Chance) {
    let station = plant.stations[from].clone();
    let own = own(plant, from);
    let mut day = clock::midnight(plant.start) + chance.range(0, 5) * DAY;
    while day < plant.end && !own.is_empty() {
        if clock::is_weekend(day) {
            day += DAY;
            continue;
        }
        let at = day + chance.range(8, 14) * HOUR;
        let concerned: Vec<usize> = (0..1 + chance.below(3)).map(|_| *chance.pick(&own)).collect();
        decoy(plant, "engineering_window", vec![plant.identity(from, concerned[0])], at, at + 2 * HOUR, "An agreed window of engineering.");
        for (n, to) in concerned.into_iter().enumerate() {
            let mut t = at + i64::try_from(n).unwrap_or(0) * 30 * MINUTE + chance.range(0, 10 * MINUTE);
            let steps: &[Function] = match station.role {
                Role::Vendor => &[Function::Open, Function::Browse, Function::Read, Function::Read, Function::Write, Function::Read],
                _ => &[
                    Function::Open,
                    Function::Identify,
                    Function::Read,
                    Function::Upload,
                    Function::Stop,
                    Function::Download,
                    Function::Start,
                    Function::Read,
                    Function::Write,
                ],
            };
            for step in steps {
                plant.act(t, from, to, *step);
                t += MINUTE + chance.wait(MINUTE);
            }
        }
        day += DAY * chance.range(4, 12);
    }
}

/// A panel breaks, and another one with another address does its work from then on.
fn replacements(plant: &mut Plant) {
    for site in 0..3 {
        for n in 0..2 {
            let panels: Vec<usize> = (0..plant.stations.len())
                .filter(|s| plant.stations[*s].site == site && plant.stations[*s].role == Role::Panel && plant.stations[*s].address.ends_with("4"))
                .collect();
            let Some(old) = panels.get(n * 2).copied() else { continue };
            let days = (plant.end - plant.start) / DAY;
            let at = clock::midnight(plant.start + plant.chance.range(days / 3, days - 3) * DAY) + plant.chance.range(7, 15) * HOUR;
            let new = plant.stations.len();
            let address =
                plant.stations[old].address.rsplit_once('.').map(|(net, last)| format!("{net}.{}", last.parse::<u16>().unwrap_or(0) + 80)).unwrap_or_default();
            let fresh = Station { address, ..plant.stations[old].clone() };
            plant.stations.push(fresh);
            #[expect(clippy::cast_possible_truncation, reason = "a plant has hundreds of hosts")]
            for act in plant.acts.iter_mut().filter(|act| usize::from(act.from) == old && act.time >= at) {
                act.from = new as u16;
            }
            let identities = vec![plant.identity(old, 0), plant.identity(new, 0)];
            decoy(plant, "panel_replaced", identities, at, at + 3 * DAY, "A panel is replaced; the new one has another address.");
        }
    }
}

/// Historians are upgraded at every site on one day: they ask every controller what it is and list its points.
fn upgrade(plant: &mut Plant) {
    let days = (plant.end - plant.start) / DAY;
    let mut day = clock::midnight(plant.start + days * 3 / 5 * DAY);
    while clock::is_weekend(day) {
        day += DAY;
    }
    let historians: Vec<usize> = (0..plant.stations.len()).filter(|s| plant.stations[*s].role == Role::Historian).collect();
    let mut identities = Vec::new();
    for (n, from) in historians.into_iter().enumerate() {
        let mut t = day + 9 * HOUR + i64::try_from(n).unwrap_or(0) * 40 * MINUTE;
        for to in own(plant, from) {
            if plant.controllers[to].protocol == Protocol::Bacnet {
                continue;
            }
            identities.push(plant.identity(from, to));
            for step in [Function::Open, Function::Identify, Function::Browse] {
                plant.act(t, from, to, step);
                t += 4 * SECOND;
            }
        }
    }
    identities.sort();
    identities.dedup();
    decoy(plant, "historian_upgrade", identities, day, day + DAY, "Historians are upgraded at every site on one day.");
}

/// Twice in the period stations are patched on a Sunday: all connect anew.
fn patches(plant: &mut Plant) {
    let mut day = clock::midnight(plant.start);
    let mut sundays = 0;
    while day < plant.end {
        if clock::weekday(day) == 6 {
            sundays += 1;
            if sundays % 3 == 0 {
                for from in 0..plant.stations.len() {
                    if matches!(plant.stations[from].role, Role::Engineering | Role::Vendor) {
                        continue;
                    }
                    let t = day + 10 * HOUR + plant.chance.range(0, 2 * HOUR);
                    for (n, to) in own(plant, from).into_iter().take(6).enumerate() {
                        plant.act(t + i64::try_from(n).unwrap_or(0) * 3 * SECOND, from, to, Function::Open);
                    }
                }
                decoy(plant, "patch_sunday", Vec::new(), day + 10 * HOUR, day + 13 * HOUR, "Stations are patched and connect anew.");
            }
        }
        day += DAY;
    }
}

fn outages(plant: &mut Plant) -> Vec<Outage> {
    let mut outages = Vec::new();
    for _ in 0..4 {
        let controller = plant.chance.below(plant.controllers.len());
        let start = plant.start + plant.chance.range(DAY, plant.end - plant.start - DAY);
        let end = start + plant.chance.range(HOUR, 6 * HOUR);
        decoy(plant, "controller_down", Vec::new(), start, end, "A controller does not answer.");
        outages.push(Outage { controller, start, end });
    }
    outages
}
