//! The estate in motion: one loop over runs of actors and scripted acts in order of time. Everyday records come about in `touch`, those
//! of administration in `call`, credentials in `credential`: for owners and attackers alike.

mod call;
mod credential;
mod touch;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::chance::Chance;
use crate::clock::{self, HOUR, MINUTE, SECOND};
use crate::journal::Journal;
use crate::label::{Decoy, Label};
use crate::provider::cloudtrail::Failure;
use crate::roster::actor::{Actor, Credential, Held, Kind};
use crate::roster::place::PlaceKind;
use crate::roster::{ACCOUNTS, CLUSTER, Estate, ISSUER_HASH, PEOPLE_ROLE};

/// How a call differs from what its identity would do by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guise<'a> {
    /// From another address.
    pub address: Option<&'a str>,
    /// With another client.
    pub agent: Option<&'a str>,
    /// With this credential instead of the present one.
    pub held: Option<&'a Held>,
    /// It fails.
    pub failure: Option<Failure>,
    /// With an old protocol or cipher.
    pub weak: bool,
}

/// What a call left in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// When.
    pub time: i64,
    /// The provider's id of the record.
    pub id: String,
    /// The credential, as the log shows it.
    pub credential: Option<String>,
}

impl Touched {
    /// Nothing was left.
    pub const fn nothing(time: i64) -> Self {
        Self { time, id: String::new(), credential: None }
    }
}

/// Something scripted; what it touched is added to the label that it belongs to.
pub type Act = Box<dyn FnOnce(&mut World, i64) -> Vec<Touched>>;

/// What is to happen, besides what actors do by themselves.
#[derive(Default)]
pub struct Script {
    acts: Vec<(i64, Option<usize>, Option<Act>)>,
}

impl Script {
    /// Adds an act, which belongs to a label or to none.
    pub fn at(&mut self, time: i64, label: Option<usize>, act: impl FnOnce(&mut World, i64) -> Vec<Touched> + 'static) {
        self.acts.push((time, label, Some(Box::new(act))));
    }

    /// Adds an act that leaves no trace of its own.
    pub fn then(&mut self, time: i64, act: impl FnOnce(&mut World, i64) + 'static) {
        self.at(time, None, |world, time| {
            act(world, time);
            Vec::new()
        });
    }
}

/// Bytes of records from which on they are written before their hour is over.
const WAITING_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Act(usize),
    Run(usize),
}

/// A service that does not answer for a while.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// Which.
    pub kind: PlaceKind,
    /// From.
    pub start: i64,
    /// To.
    pub end: i64,
}

/// The estate, its actors and its journal.
pub struct World {
    /// The fixed parts.
    pub estate: Estate,
    /// The identities.
    pub actors: Vec<Actor>,
    /// Where records go.
    pub journal: Journal,
    /// Attacks, complete when the loop has ended.
    pub labels: Vec<Label>,
    /// Benign commotion.
    pub decoys: Vec<Decoy>,
    /// Actors that go live during the period, and when.
    pub launches: BTreeMap<usize, i64>,
    /// The `AppRole` whose work is to withdraw tokens.
    pub janitor: Option<usize>,
    /// What attackers hold, by label.
    pub pocket: BTreeMap<usize, Held>,
    /// Outages.
    pub outages: Vec<Outage>,
    /// Acts that an act has planned; the loop takes them over.
    pub later: Vec<(i64, Act)>,
    /// How far the network sensor's clock is ahead.
    pub skew: i64,
    /// When the period begins.
    pub start: i64,
    /// When it ends.
    pub end: i64,
    /// How much busier than its habits say the estate is.
    pub rate: f64,
    /// Draws that belong to no actor.
    pub chance: Chance,
}

impl World {
    /// Lets the period pass.
    pub fn run(&mut self, script: Script) -> Result<(), crate::error::Error> {
        let mut acts = script.acts;
        let mut due: BinaryHeap<Reverse<(i64, Due)>> = BinaryHeap::new();
        for (i, (time, ..)) in acts.iter().enumerate() {
            due.push(Reverse((*time, Due::Act(i))));
        }
        for i in 0..self.actors.len() {
            if let Some(time) = self.next_run(i, self.launches.get(&i).copied().unwrap_or(self.start)) {
                due.push(Reverse((time, Due::Run(i))));
            }
        }
        let mut hour = clock::full_hour(self.start) + HOUR;
        let mut flushed = self.start;
        while let Some(Reverse((time, what))) = due.pop() {
            if time >= self.end {
                break;
            }
            // Logins and token requests are written a little before the call that needs them, so the hour is closed late.
            while time >= hour + MINUTE {
                self.journal.flush(hour)?;
                hour += HOUR;
            }
            // A large estate writes more in an hour than should be kept.
            if self.journal.waiting() > WAITING_BYTES_MAX && time - MINUTE > flushed {
                flushed = time - MINUTE;
                self.journal.flush(flushed)?;
            }
            match what {
                Due::Act(i) => {
                    let Some((_, label, act)) = acts.get_mut(i) else { continue };
                    let (label, act) = (*label, act.take());
                    let touched = act.map(|act| act(self, time)).unwrap_or_default();
                    for (time, act) in self.later.drain(..) {
                        due.push(Reverse((time, Due::Act(acts.len()))));
                        acts.push((time, None, Some(act)));
                    }
                    if let Some(label) = label.and_then(|l| self.labels.get_mut(l)) {
                        note(label, touched);
                    }
                }
                Due::Run(i) => {
                    self.work(i, time);
                    if let Some(next) = self.next_run(i, time) {
                        due.push(Reverse((next, Due::Run(i))));
                    }
                }
            }
        }
        self.journal.flush(self.end)
    }

    fn next_run(&mut self, i: usize, after: i64) -> Option<i64> {
        let rate = self.rate;
        let actor = &mut self.actors[i];
        actor.rhythm.next(after, rate * actor.load, &mut actor.chance).filter(|time| *time < actor.until)
    }

    /// One run of an actor: its habits, one after the other.
    pub fn work(&mut self, i: usize, time: i64) {
        let actor = &mut self.actors[i];
        if time >= actor.until {
            return;
        }
        let away = time < actor.away_until;
        let address = if away { format!("10.90.{}.{}", actor.team % 250, 10 + i % 200) } else { actor.address() };
        if let Credential::Token { each_run: true, token } = &mut actor.credential {
            *token = None;
        }
        let calendar = actor.rhythm.is_calendar();
        let mut at = time;
        let mut h = 0;
        while let Some(habit) = self.actors[i].habits.get(h).copied() {
            h += 1;
            let rate = if calendar { self.rate * self.actors[i].load } else { 1.0 };
            let actor = &mut self.actors[i];
            if !actor.chance.happens(f64::from(habit.share)) {
                continue;
            }
            let times = actor.chance.about(f64::from(habit.times) * rate);
            let place = if away { self.estate.place(habit.place).twin.unwrap_or(habit.place) } else { habit.place };
            for _ in 0..times {
                let actor = &mut self.actors[i];
                at += SECOND / 20 + actor.chance.wait(SECOND + 20 * SECOND / i64::from(times));
                let failure = self.outage(place, at).or_else(|| {
                    let actor = &mut self.actors[i];
                    actor.chance.happens(actor.failing).then_some(Failure::Denied)
                });
                self.touch(i, place, habit.act, at, Guise { address: Some(&address), failure, ..Guise::default() });
            }
        }
    }

    fn outage(&mut self, place: usize, time: i64) -> Option<Failure> {
        let kind = self.estate.place(place).kind;
        let down = self.outages.iter().any(|o| o.kind == kind && (o.start..o.end).contains(&time));
        (down && self.chance.happens(0.8)).then_some(Failure::Unavailable)
    }

    /// The canonical id that keytrail gives an actor.
    pub fn identity(&self, i: usize) -> String {
        let actor = &self.actors[i];
        let account = ACCOUNTS[usize::from(actor.account)].id;
        let name = &actor.name;
        match actor.kind {
            Kind::AwsUser => format!("aws:{account}:user/{name}"),
            Kind::AwsRole => format!("aws:{account}:role/{name}"),
            Kind::AwsHuman => format!("aws:{account}:role/{PEOPLE_ROLE}"),
            Kind::ServiceAccount => format!("k8s:{CLUSTER}:sa/{name}"),
            Kind::KubeHuman => format!("k8s:{CLUSTER}:user/{name}"),
            Kind::AppRole => format!("vault:{CLUSTER}:approle/{name}"),
            Kind::Mtls => format!("x509:{ISSUER_HASH}/{name}"),
            Kind::Mqtt => format!("mqtt:{}:client/{name}", self.estate.broker),
            // These logs name nobody: an address is all that there is.
            Kind::Modbus | Kind::Ssh => format!("zeek:{CLUSTER}:host/{name}"),
            Kind::Kerberos => format!("kerberos:WORKS.EXAMPLE:principal/{}", name.to_lowercase()),
        }
    }
}

/// What a label learns from what was touched.
fn note(label: &mut Label, touched: Vec<Touched>) {
    for Touched { time, id, credential } in touched {
        if label.provider_event_ids.is_empty() || time < label.start.0 {
            label.start.0 = time;
        }
        label.end.0 = label.end.0.max(time);
        label.credential = label.credential.take().or(credential);
        // Messages of one connection share its uid.
        if !id.is_empty() && label.provider_event_ids.last() != Some(&id) {
            label.provider_event_ids.push(id);
        }
    }
}

impl World {
    /// How many records the estate would write over the period at a rate of one.
    pub fn expected(&self) -> f64 {
        let days = (self.end - self.start) as f64 / clock::DAY as f64;
        let daily = |actor: &Actor| {
            let a_run: f64 = actor.habits.iter().map(|h| f64::from(h.times * h.share)).sum();
            // What a record brings with it: responses on the wire, certificates, logins.
            let lines = match actor.kind {
                Kind::Modbus | Kind::Mtls => 2.0,
                _ => 1.0,
            };
            actor.rhythm.runs_per_day(1.0) * a_run * lines
        };
        let living = |i: usize, actor: &Actor| {
            let from = self.launches.get(&i).copied().unwrap_or(self.start);
            (actor.until.min(self.end) - from).max(0) as f64 / (self.end - self.start) as f64
        };
        let total: f64 = self.actors.iter().enumerate().map(|(i, a)| daily(a) * living(i, a)).sum();
        (total * days).max(1.0)
    }
}
