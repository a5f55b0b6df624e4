//! One identity on the floor: which commands it gives, to whom, on how many days.

use keytrail_schemas::Micros;

use super::{Features, MACHINES_MAX, PAIRS_MAX};
use crate::action::Command;

/// Who is active for so long without a pause stands a turn, as masters and panels do and engineers in their windows do not.
const TURN: i64 = 3 * Micros::HOUR;
/// A pause ends a turn.
const PAUSE: i64 = Micros::HOUR;
/// Authenticated commands by which it is known that an identity authenticates.
const AUTHENTICATES: u32 = 10;

/// What is known of an identity.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Doer {
    counts: [u64; Command::ALL.len()],
    days: Days,
    authenticated: u32,
    refused: Recent,
    /// Its last command of any class, and the first one after a pause.
    active: Micros,
    resumed: Micros,
    /// It stood a turn.
    turns: bool,
    /// When it first changed something.
    commands_since: Option<Micros>,
    /// Machines that had a lease of its address, the latest last.
    machines: Vec<u64>,
    /// By controller, in order of its hash.
    pairs: Vec<(u64, Pair)>,
}

/// Days, counted once each.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Days {
    day: i64,
    days: u32,
}

/// How many within a span, since its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Recent {
    since: Micros,
    count: u32,
}

/// An identity and a controller.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Pair {
    last: Micros,
    burst: Recent,
    /// The most within a minute before the present one.
    burst_most: u32,
    kinds: [Kind; 4],
    seen: u16,
}

/// A class of commands that change something, to one controller.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Kind {
    days: Days,
    last: Micros,
}

impl Days {
    /// Days before that of `time`, which is counted then.
    const fn meet(&mut self, time: Micros) -> u32 {
        let day = time.0.div_euclid(Micros::DAY);
        if self.days == 0 || day > self.day {
            let before = self.days;
            self.day = day;
            self.days = self.days.saturating_add(1);
            before
        } else {
            self.days - 1
        }
    }
}

impl Recent {
    fn meet(&mut self, time: Micros, span: i64) -> u32 {
        if self.count == 0 || time.0 - self.since.0 > span {
            *self = Self { since: time, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// The place of a class that changes something.
const fn changing(command: Command) -> Option<usize> {
    match command {
        Command::Write => Some(0),
        Command::Operate => Some(1),
        Command::Program => Some(2),
        Command::Mode => Some(3),
        _ => None,
    }
}

impl Doer {
    pub(super) fn new(time: Micros) -> Self {
        Self {
            counts: [0; Command::ALL.len()],
            days: Days { day: time.0.div_euclid(Micros::DAY), days: 0 },
            authenticated: 0,
            refused: Recent::default(),
            active: time,
            resumed: time,
            turns: false,
            commands_since: None,
            machines: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Its address goes to a machine: whether it is one that never had it. The first that is heard of is none.
    pub(super) fn leased(&mut self, machine: u64) -> bool {
        let known = self.machines.iter().position(|known| *known == machine);
        let is_new = known.is_none() && !self.machines.is_empty();
        if let Some(at) = known {
            self.machines.remove(at);
        } else if self.machines.len() == MACHINES_MAX {
            self.machines.remove(0);
        }
        self.machines.push(machine);
        is_new
    }

    pub(super) fn observe(&mut self, time: Micros, command: Command, place: Option<u64>, refused: bool, features: &mut Features) {
        features.events = self.counts.iter().sum();
        if time.0 - self.active.0 > PAUSE {
            self.resumed = time;
        }
        self.active = self.active.max(time);
        self.turns |= self.active.0 - self.resumed.0 >= TURN;
        if command.controls() && !refused && self.commands_since.is_none() {
            self.commands_since = Some(time);
        }
        features.days = self.days.meet(time);
        if let Some(count) = self.counts.get_mut(command as usize) {
            features.first = *count == 0;
            features.share = share(*count, features.events);
            // What was refused is tried, and not done.
            *count += u64::from(!refused);
        }
        if refused {
            features.refused_in_hour = self.refused.meet(time, Micros::HOUR);
        }
        if let Some(place) = place
            && let Some(pair) = self.pair(place, time)
        {
            pair.observe(time, command, refused, features);
        }
    }

    /// Since when it commands, of one that stands turns.
    pub(super) fn master_since(&self) -> Option<Micros> {
        self.commands_since.filter(|_| self.turns)
    }

    pub(super) const fn authenticates(&self) -> bool {
        self.authenticated >= AUTHENTICATES
    }

    pub(super) fn authenticated(&mut self, method: Option<bool>, refused: bool) {
        if method == Some(true) && !refused {
            self.authenticated = self.authenticated.saturating_add(1);
        }
    }

    fn pair(&mut self, place: u64, time: Micros) -> Option<&mut Pair> {
        let at = match self.pairs.binary_search_by_key(&place, |(known, _)| *known) {
            Ok(at) => at,
            Err(_) if self.pairs.len() >= PAIRS_MAX => {
                let oldest = (0..self.pairs.len()).min_by_key(|at| self.pairs.get(*at).map(|(_, pair)| pair.last)).unwrap_or_default();
                self.pairs.remove(oldest);
                let at = self.pairs.partition_point(|(known, _)| *known < place);
                self.pairs.insert(at, (place, Pair { last: time, ..Pair::default() }));
                at
            }
            Err(at) => {
                self.pairs.insert(at, (place, Pair { last: time, ..Pair::default() }));
                at
            }
        };
        self.pairs.get_mut(at).map(|(_, pair)| pair)
    }
}

impl Pair {
    fn observe(&mut self, time: Micros, command: Command, refused: bool, features: &mut Features) {
        self.last = self.last.max(time);
        let bit = 1_u16 << command as u16;
        features.stranger = self.seen == 0;
        features.first_here = self.seen & bit == 0;
        if !refused {
            self.seen |= bit;
        }
        let Some(kind) = changing(command).and_then(|at| self.kinds.get_mut(at)) else { return };
        let before = self.burst.count;
        features.burst = self.burst.meet(time, Micros::MINUTE);
        if features.burst == 1 {
            self.burst_most = self.burst_most.max(before);
        }
        features.burst_times = f64::from(features.burst) / f64::from(self.burst_most.max(1));
        if kind.days.days > 0 {
            features.idle_days = Some(time.days_since(kind.last).max(0.0));
        }
        if refused {
            features.days_here = kind.days.days;
            return;
        }
        kind.last = kind.last.max(time);
        features.days_here = kind.days.meet(time);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
