//! A plant by itself: three sites of controllers and of what speaks to them, as Zeek with CISA's ICSNPP parsers logs it. Hard by its nature: nobody
//! comes from outside, every attacker is a host of the plant with functions that the plant uses, in its working hours.
//!
//! [`generate`] makes the acts of the whole period ([`site`] says who there is, [`work`] what is usual and what only looks unusual, [`attack`] who is
//! abused), puts them in order and writes them ([`wire`]). What an attack looks like was chosen from what is public, before a detector was run on it.

mod attack;
mod site;
mod wire;
mod work;

use std::collections::BTreeMap;
use std::path::Path;

pub use attack::{Technique, library};

use crate::chance::Chance;
use crate::clock::{DAY, HOUR, Micros, SECOND};
use crate::error::Error;
use crate::journal::Journal;
use crate::label::{Decoy, Label};
use crate::{Simulation, roster, write_json};
use site::{Controller, Station};
use wire::Function;

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Length of the period in days, 10 to 120.
    pub days: u32,
    /// The seed.
    pub seed: u64,
    /// When the period ends.
    pub end: Micros,
}

impl Default for Options {
    /// 45 days up to 2026-10-31.
    fn default() -> Self {
        Self { days: 45, seed: 7, end: Micros(1_793_404_800 * SECOND) }
    }
}

/// One station asks one thing of one controller.
#[derive(Debug, Clone, Copy)]
struct Act {
    time: i64,
    from: u16,
    to: u16,
    function: Function,
    /// What it answers.
    answer: Answer,
    /// The attack that it belongs to.
    label: Option<u16>,
}

/// What a controller answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Good,
    Refused,
    /// Nothing: it is down, or the sensor did not see it.
    Silent,
}

/// The plant and what happens in it.
struct Plant {
    start: i64,
    end: i64,
    stations: Vec<Station>,
    controllers: Vec<Controller>,
    acts: Vec<Act>,
    labels: Vec<Label>,
    decoys: Vec<Decoy>,
    chance: Chance,
}

impl Plant {
    fn act(&mut self, time: i64, from: usize, to: usize, function: Function) {
        self.answered(time, from, to, function, Answer::Good, None);
    }

    #[expect(clippy::cast_possible_truncation, reason = "a plant has hundreds of hosts")]
    fn answered(&mut self, time: i64, from: usize, to: usize, function: Function, answer: Answer, label: Option<usize>) {
        if time >= self.start && time < self.end {
            self.acts.push(Act { time, from: from as u16, to: to as u16, function, answer, label: label.map(|label| label as u16) });
        }
    }

    /// The name that the logs give a station at a controller.
    fn identity(&self, from: usize, to: usize) -> String {
        let (station, controller) = (&self.stations[from], &self.controllers[to]);
        match (&station.user, controller.protocol) {
            (Some(user), site::Protocol::OpcUa) => format!("opcua:{}:user/{user}", controller.address),
            _ => format!("zeek:{}:host/{}", roster::CLUSTER, station.address),
        }
    }
}

/// Simulates a plant and writes its logs below `out_dir`, which is made.
///
/// # Errors
/// When an option is out of its bounds, or a file cannot be written.
pub fn generate(options: &Options, out_dir: &Path) -> Result<Simulation, Error> {
    if !(10..=120).contains(&options.days) {
        return Err(Error::Option(format!("a plant's days must be from 10 to 120, not {}", options.days)));
    }
    let start = options.end.0 - i64::from(options.days) * DAY;
    let mut chance = Chance::new(options.seed ^ 0x706c_616e_7466_6c6f);
    let (stations, controllers) = site::build(&mut chance);
    let mut plant = Plant { start, end: options.end.0, stations, controllers, acts: Vec::new(), labels: Vec::new(), decoys: Vec::new(), chance };
    let outages = work::plan(&mut plant);
    attack::plan(&mut plant);
    let Plant { mut acts, stations, controllers, mut labels, mut decoys, .. } = plant;
    acts.sort_by_key(|act| (act.time, act.from, act.to, act.function.number()));

    let mut journal = Journal::new(out_dir, false)?;
    let mut wires = wire::Wires::new(start);
    let mut hour = start + HOUR;
    for act in &acts {
        while act.time > hour + HOUR / 6 {
            journal.flush(hour)?;
            hour += HOUR;
        }
        let down = outages.iter().any(|outage| outage.controller == usize::from(act.to) && (outage.start..outage.end).contains(&act.time));
        let answer = if down { Answer::Silent } else { act.answer };
        let id = wires.write(&mut journal, act, answer, &stations[usize::from(act.from)], &controllers[usize::from(act.to)]);
        if let Some(label) = act.label.and_then(|label| labels.get_mut(usize::from(label))) {
            label.end.0 = label.end.0.max(act.time);
            if label.provider_event_ids.last() != Some(&id) {
                label.provider_event_ids.push(id);
            }
        }
    }
    journal.flush(options.end.0)?;
    let (files, bytes) = journal.finish()?;
    labels.retain(|label| !label.provider_event_ids.is_empty());
    labels.sort_by(|a, b| (a.start, &a.identity).cmp(&(b.start, &b.identity)));
    decoys.sort_by(|a, b| (a.start, &a.what, &a.identities).cmp(&(b.start, &b.what, &b.identities)));
    let labels_file = out_dir.join("labels.json");
    write_json(&labels_file, &labels)?;
    write_json(&out_dir.join("decoys.json"), &decoys)?;
    let mut records = BTreeMap::new();
    for file in &files {
        *records.entry(file.format).or_insert(0) += file.records;
    }
    let identities = stations.len();
    Ok(Simulation {
        start: Micros(start),
        end: options.end,
        cluster: roster::CLUSTER,
        folders: records.keys().map(|format| out_dir.join(format)).collect(),
        files,
        records,
        bytes,
        waiting_bytes_max: 0,
        identities_benign: identities.saturating_sub(labels.len()),
        labels,
        decoys,
        identities,
        labels_file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_plant_is_whole_and_the_same_each_time() {
        let made = |seed| {
            let folder = tempfile::tempdir().unwrap();
            let simulation = generate(&Options { days: 30, seed, ..Options::default() }, folder.path()).unwrap();
            let labels = std::fs::read_to_string(&simulation.labels_file).unwrap();
            (simulation, labels)
        };
        let (plant, labels) = made(5);
        assert!((150..260).contains(&plant.identities), "{}", plant.identities);
        assert!(plant.records_total() > 200_000, "{}", plant.records_total());
        let done: BTreeSet<_> = plant.labels.iter().map(|label| (label.attack.as_str(), label.variant.as_str())).collect();
        for technique in library() {
            assert!(done.contains(&(technique.attack, technique.variant)), "no {}: {}", technique.attack, technique.variant);
        }
        let victims: BTreeSet<_> = plant.labels.iter().map(|label| &label.identity).collect();
        assert_eq!(victims.len(), plant.labels.len(), "an identity is the victim of two attacks");
        let logs: BTreeSet<_> = plant.files.iter().map(|file| file.path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        for log in ["s7comm", "s7comm_upload_download", "cip", "bacnet", "bacnet_device_control", "dnp3_control", "modbus_detailed", "opcua_binary_write"] {
            assert!(logs.contains(log), "no {log} in {logs:?}");
        }
        assert_eq!(made(5).1, labels);
        assert_ne!(made(6).1, labels);
    }

    #[test]
    fn attackers_are_hosts_of_the_plant_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let plant = generate(&Options { days: 30, ..Options::default() }, folder.path()).unwrap();
        let begin = plant.start.0 + (plant.end.0 - plant.start.0) * 2 / 5;
        for label in &plant.labels {
            let hour = crate::clock::hour_of_day(label.start.0);
            assert!(label.start.0 >= begin && (6.0..20.0).contains(&hour) && !crate::clock::is_weekend(label.start.0), "{label:?}");
            assert!(!label.provider_event_ids.is_empty());
        }
        assert!(generate(&Options { days: 3, ..Options::default() }, folder.path()).is_err());
    }
}
