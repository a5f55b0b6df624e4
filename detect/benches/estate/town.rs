//! A hard estate side by side with itself, many times over: as many identities as are wanted, with the events of the simulator's.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use keytrail_estate::{Level, Options, generate};
use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Reader};
use keytrail_schemas::{Event, Micros, Text};

/// Identities of one estate.
const IDENTITIES: u32 = 2_000;

/// The copies of one estate, in order of time.
pub struct Town {
    base: Vec<Event>,
    identities: u32,
    copies: u32,
    /// The time of each copy's next event.
    next: BinaryHeap<Reverse<(i64, u32, usize)>>,
}

impl Town {
    /// With so many identities, or a few more; `per_day`: events of an identity in a day.
    pub fn new(wanted: u32, days: u32, per_day: u32) -> Self {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("town");
        let _ = std::fs::remove_dir_all(&folder);
        let events = Some(u64::from(IDENTITIES * days * per_day));
        let options = Options { days, identities: IDENTITIES, events, level: Level::Hard, gzip: false, ..Options::default() };
        let simulation = generate(&options, &folder).unwrap();
        let folders: Vec<String> = simulation.folders.iter().map(|folder| folder.display().to_string()).collect();
        let mut reading = keytrail_ingest::source::Options::new("town", Choice::Auto, Redactor::new(&[7; 32]), || Micros(1));
        reading.cluster = simulation.cluster.into();
        let mut base: Vec<Event> = Reader::open(&folders, reading).unwrap().flat_map(|batch| batch.events).map(|event| *event).collect();
        // The archive is older than all.
        base.retain(|event| event.time.0 >= simulation.start.0);
        base.sort_by_key(|event| event.time);
        let identities = u32::try_from(base.iter().map(|event| &event.identity).collect::<BTreeSet<_>>().len()).unwrap();
        let copies = wanted.div_ceil(identities).max(1);
        let first = base.first().unwrap().time.0;
        let next = (0..copies).map(|copy| Reverse((first + shift(copy), copy, 0))).collect();
        Self { base, identities, copies, next }
    }

    /// How many identities there are.
    pub const fn identities(&self) -> u32 {
        self.identities * self.copies
    }

    /// How many events there are in all.
    pub const fn events(&self) -> usize {
        self.base.len() * self.copies as usize
    }
}

impl Iterator for Town {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let Reverse((time, copy, at)) = self.next.pop()?;
        if let Some(after) = self.base.get(at + 1) {
            self.next.push(Reverse((after.time.0 + shift(copy), copy, at + 1)));
        }
        let mut event = self.base.get(at)?.clone();
        event.time = Micros(time);
        let by = |at: Option<Micros>| at.map(|at| Micros(at.0 + shift(copy)));
        (event.credential_issued_at, event.credential_expires_at) = (by(event.credential_issued_at), by(event.credential_expires_at));
        for name in [&mut event.identity, &mut event.identity_account] {
            rename(name, copy);
        }
        for name in [&mut event.credential, &mut event.credential_parent, &mut event.destination].into_iter().flatten() {
            rename(name, copy);
        }
        Some(event)
    }
}

/// Copies are out of step by up to an hour.
fn shift(copy: u32) -> i64 {
    i64::from(copy.wrapping_mul(2_654_435_761) >> 8) * 3_600_000_000 / (1 << 24)
}

/// Letters alone: they are no number that could be taken for an ephemeral one.
fn rename(name: &mut Text, copy: u32) {
    name.push('.');
    let mut rest = copy;
    loop {
        name.push(char::from(b'a' + u8::try_from(rest % 26).unwrap()));
        rest /= 26;
        if rest == 0 {
            return;
        }
    }
}
