//! The test bed: a seeded simulator of an estate of machine identities. It writes raw logs and labels, and knows nothing of who reads them.
//!
//! [`generate`] writes what the estate's systems would have logged over some weeks, each in its provider's own raw format:
//!
//! | folder | format | files |
//! |---|---|---|
//! | `cloudtrail/` | `{"Records":[…]}`, gzip by default | `AWSLogs/ACCOUNT/CloudTrail/REGION/…`, one an hour and account; `archive/`: key creations before the period |
//! | `k8s_audit/` | `audit.k8s.io/v1`, one event a line | one a day |
//! | `vault_audit/` | request and response entries, values as HMACs | one a day |
//! | `zeek/` | TSV: ssl, x509, mqtt_connect, mqtt_publish, mqtt_subscribe, modbus, kerberos, ssh | one folder a day |
//!
//! and beside them `labels.json` (the attacks, [`Label`]) and `decoys.json` (what is benign and looks like one, [`Decoy`]).
//! None of them is for the detector. Three of the formats do not name their cluster or sensor: with [`Simulation::cluster`] as the
//! reader's name for it, identities come out as the labels have them.
//!
//! [`floor`] simulates a plant by itself, in the format of CISA's ICSNPP parsers.
//!
//! `roster` says who there is, `weather` what happens to them, `attack` who is abused, `world` lets time pass, and
//! `provider` knows the formats.
//!
//! The same options give the same bytes. There is no wall clock and no randomness but the seed; memory holds about an hour
//! of the estate's records, and less where that is more than some megabytes.

mod attack;
mod chance;
pub mod clock;
mod error;
pub mod floor;
mod journal;
mod label;
mod level;
mod provider;
mod roster;
mod technique;
mod weather;
mod world;

#[cfg(test)]
mod generate_test;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use attack::{Technique, library, library_as_markdown};
pub use clock::Micros;
pub use error::Error;
pub use journal::Written;
pub use label::{Decoy, Label};
pub use level::Level;

use chance::Chance;
use clock::{DAY, SECOND};
use world::{Script, World};

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Length of the period in days, 1 to 366.
    pub days: u32,
    /// How many identities, 40 to 100,000.
    pub identities: u32,
    /// How many events, about; by default 50 for each identity and day. 1,000 to a billion.
    pub events: Option<u64>,
    /// The seed.
    pub seed: u64,
    /// How hard it is to tell attacks from work.
    pub level: Level,
    /// How many attacks; by default about one and a half a day in the last three fifths of the period, at most the library once or so.
    pub attacks: Option<u32>,
    /// When the period ends.
    pub end: Micros,
    /// Whether `CloudTrail` files are compressed, as the provider's are.
    pub gzip: bool,
}

impl Default for Options {
    /// 30 days up to 2026-10-31, 300 identities.
    fn default() -> Self {
        Self { days: 30, identities: 300, events: None, seed: 7, level: Level::Normal, attacks: None, end: Micros(1_793_404_800 * SECOND), gzip: true }
    }
}

/// 2200-01-01.
const LATEST: Micros = Micros(7_258_118_400 * SECOND);

impl Options {
    fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Option(what));
        if !(1..=366).contains(&self.days) {
            return refuse(format!("days must be from 1 to 366, not {}", self.days));
        }
        if !(40..=100_000).contains(&self.identities) {
            return refuse(format!("identities must be from 40 to 100000, not {}", self.identities));
        }
        if let Some(events) = self.events.filter(|events| !(1_000..=1_000_000_000).contains(events)) {
            return refuse(format!("events must be from 1000 to 1000000000, not {events}"));
        }
        if self.end.0 - i64::from(self.days) * DAY <= 2 * 366 * DAY || self.end > LATEST {
            return refuse(String::from("the period must lie between 1972 and 2200"));
        }
        Ok(())
    }
}

/// What was simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// When the period begins; the archive is older.
    pub start: Micros,
    /// When it ends.
    pub end: Micros,
    /// The name of the cluster or sensor, for formats whose records have none.
    pub cluster: &'static str,
    /// The folders to read, one a format; labels and decoys are beside them.
    pub folders: Vec<PathBuf>,
    /// The files, sorted by path.
    pub files: Vec<Written>,
    /// Records by format; a Vault request and its response are one.
    pub records: BTreeMap<&'static str, u64>,
    /// Bytes of all records before compression.
    pub bytes: u64,
    /// The most bytes of records that waited in memory to be written.
    pub waiting_bytes_max: usize,
    /// The attacks, in order of their start.
    pub labels: Vec<Label>,
    /// What is benign and looks like one.
    pub decoys: Vec<Decoy>,
    /// Identities in the estate, attackers' own ones included.
    pub identities: usize,
    /// Identities that no attack concerns.
    pub identities_benign: usize,
    /// Where `labels.json` is.
    pub labels_file: PathBuf,
}

impl Simulation {
    /// Records of all formats.
    pub fn records_total(&self) -> u64 {
        self.records.values().sum()
    }
}

/// Simulates an estate and writes its logs below `out_dir`, which is made.
///
/// # Errors
/// When an option is out of its bounds, or a file cannot be written.
pub fn generate(options: &Options, out_dir: &Path) -> Result<Simulation, Error> {
    options.check()?;
    let start = options.end.0 - i64::from(options.days) * DAY;

    let mut chance = Chance::new(options.seed ^ 0x6b65_7974_7261_696c);
    let character = options.level.character();
    let (estate, actors) = roster::build(options.identities as usize, start, &character, &mut chance);
    let mut world = World {
        estate,
        actors,
        journal: journal::Journal::new(out_dir, options.gzip)?,
        labels: Vec::new(),
        decoys: Vec::new(),
        launches: BTreeMap::new(),
        janitor: None,
        pocket: BTreeMap::new(),
        outages: Vec::new(),
        later: Vec::new(),
        skew: character.skewed_sensor * SECOND,
        start,
        end: options.end.0,
        rate: 1.0,
        chance,
    };
    let mut script = Script::default();
    let taken = attack::plan(&mut world, &mut script, options.level, options.attacks);
    weather::plan(&mut world, &mut script, &taken, &character);
    let wanted = options.events.unwrap_or(u64::from(options.days) * u64::from(options.identities) * 50);
    world.rate = wanted as f64 / world.expected();
    // The archive lies before the period.
    world.journal.flush(start)?;
    world.run(script)?;
    finish(world, taken.len(), out_dir)
}

fn finish(world: World, abused: usize, out_dir: &Path) -> Result<Simulation, Error> {
    let World { journal, mut labels, mut decoys, actors, start, end, .. } = world;
    let waiting_bytes_max = journal.waiting_bytes_max();
    let (files, bytes) = journal.finish()?;
    // An attack that left no record, because the period was too short for it, did not happen.
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
    let folders = records.keys().map(|format| out_dir.join(format)).collect();
    let identities = actors.len();
    Ok(Simulation {
        start: Micros(start),
        end: Micros(end),
        cluster: roster::CLUSTER,
        folders,
        files,
        records,
        bytes,
        waiting_bytes_max,
        labels,
        decoys,
        identities,
        identities_benign: identities.saturating_sub(abused),
        labels_file,
    })
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::write(path)(error.into()))?;
    std::fs::write(
        path,
        text + "
",
    )
    .map_err(Error::write(path))
}
