//! The attacks: who is abused, when, and how. Each file is one way of abusing an identity, with its variants. Attackers are
//! careful where real ones are: the victim's own client, the provider's address space, office hours. Nothing here writes a
//! record; everything goes through `World::touch` and the like, as the owners' own work does.

mod dormant;
mod downgrade;
mod harvest;
mod headline;
mod human;
mod lateral;
mod off_hours;
mod plant;
mod revoked;
mod rotated;
mod stolen;

use std::collections::BTreeSet;

use keytrail_schemas::Micros;

use super::chance::Chance;
use super::clock::{self, DAY, HOUR, MINUTE};
use super::estate::PROVIDER;
use super::estate::actor::{Actor, Kind};
use super::estate::place::PlaceKind;
use super::estate::rhythm::Rhythm;
use super::label::Label;
use super::world::{Script, Touched, World};

/// What an attack is, for its label.
struct Kit {
    attack: &'static str,
    variant: &'static str,
    technique: &'static str,
    description: &'static str,
}

/// Chooses victims and moments and writes the script.
pub struct Planner<'a> {
    /// The estate.
    pub world: &'a mut World,
    /// What is to happen.
    pub script: &'a mut Script,
    /// Actors that are taken: an actor is the victim of one attack at most, and nothing else disturbs it.
    pub taken: BTreeSet<usize>,
    /// How many attacks of a kind there are, relative to an estate of 300 identities.
    scale: f64,
    chance: Chance,
}

/// Plans every attack; gives the actors that are concerned.
pub fn plan(world: &mut World, script: &mut Script) -> BTreeSet<usize> {
    let chance = world.chance.fork();
    let scale = (world.actors.len() as f64 / 300.0).powf(0.6).clamp(0.3, 6.0);
    let mut planner = Planner { world, script, taken: BTreeSet::new(), scale, chance };
    headline::plan(&mut planner);
    for plan in
        [stolen::plan, rotated::plan, dormant::plan, harvest::plan, lateral::plan, off_hours::plan, downgrade::plan, revoked::plan, human::plan, plant::plan]
    {
        plan(&mut planner);
    }
    planner.taken
}

impl Planner<'_> {
    /// How many of a kind: `usual` at 300 identities.
    fn count(&self, usual: f64) -> usize {
        (usual * self.scale).round().max(1.0) as usize
    }

    /// An actor that fits and is not taken; it is taken then.
    fn victim(&mut self, fits: impl Fn(&Actor) -> bool) -> Option<usize> {
        let fitting: Vec<_> = self.world.actors.iter().enumerate().filter(|(i, a)| !self.taken.contains(i) && fits(a)).map(|(i, _)| i).collect();
        let victim = *(!fitting.is_empty()).then(|| self.chance.pick(&fitting))?;
        self.taken.insert(victim);
        Some(victim)
    }

    /// A moment in the last three fifths of the period, in the given hours of the day (UTC), on a weekday if there is one.
    fn moment(&mut self, hours: std::ops::Range<i64>, weekday: bool) -> i64 {
        let (start, end) = (self.world.start, self.world.end);
        let from = start + (end - start) / 5 * 2;
        let mut found = from;
        for _ in 0..64 {
            let day = clock::midnight(self.chance.range(from, end));
            found = day + self.chance.range(hours.start * HOUR, hours.end * HOUR);
            if found >= from && found < end - 6 * HOUR && !(weekday && clock::is_weekend(found)) {
                return found;
            }
        }
        found.clamp(from, (end - 6 * HOUR).max(from))
    }

    /// Opens a label.
    fn label(&mut self, kit: &Kit, victim: usize, at: i64) -> usize {
        self.world.labels.push(Label {
            attack: kit.attack.to_owned(),
            variant: kit.variant.to_owned(),
            technique: kit.technique.to_owned(),
            identity: self.world.identity(victim),
            also: self.also(victim),
            credential: None,
            start: Micros(at),
            end: Micros(at),
            provider_event_ids: Vec::new(),
            description: kit.description.to_owned(),
        });
        self.world.labels.len() - 1
    }

    /// What else a log may call an actor: MQTT messages and Modbus name an address only.
    fn also(&self, victim: usize) -> Vec<String> {
        let actor = &self.world.actors[victim];
        match (&actor.kind, &actor.home) {
            (Kind::Mqtt | Kind::Modbus | Kind::Ssh | Kind::Mtls, super::estate::actor::Home::Fixed(addresses)) => addresses.clone(),
            _ => Vec::new(),
        }
    }

    /// `times` acts from `start` on, `gap` apart on average; gives the time of the last one.
    fn burst(&mut self, label: usize, start: i64, times: usize, gap: i64, act: impl Fn(&mut World, usize, i64) -> Touched + Clone + 'static) -> i64 {
        let mut at = start;
        for n in 0..times {
            if n > 0 {
                at += gap / 4 + self.chance.wait(gap / 4 * 3).min(gap * 4);
            }
            let act = act.clone();
            self.script.at(at, Some(label), move |world, time| vec![act(world, n, time)]);
        }
        at
    }

    /// An address in the provider's space that the estate does not use.
    fn provider_address(&mut self) -> String {
        let prefix = *self.chance.pick(PROVIDER);
        format!("{prefix}.{}.{}", 230 + self.chance.below(20), 1 + self.chance.below(254))
    }

    /// An address of a network that nobody in the estate uses: those that are reserved for documentation.
    fn foreign_address(&mut self) -> String {
        let net = *self.chance.pick(&["192.0.2", "198.51.100"]);
        format!("{net}.{}", 2 + self.chance.below(250))
    }

    /// Places that an actor does not touch by habit: of its team first, then of others in its account.
    fn unfamiliar(&self, actor: usize, kind: PlaceKind) -> Vec<usize> {
        let actor = &self.world.actors[actor];
        let fits = |p: &usize| {
            let place = self.world.estate.place(*p);
            place.account == actor.account && !place.name.ends_with("-dr") && !actor.habits.iter().any(|h| h.place == *p)
        };
        let mut places: Vec<_> = self.world.estate.all(kind).into_iter().filter(fits).collect();
        places.sort_by_key(|p| self.world.estate.place(*p).team != actor.team);
        places
    }
}

/// Whether an actor is at work all day, so that its owner goes on while an attacker is at it.
const fn is_busy(actor: &Actor) -> bool {
    matches!(actor.rhythm, Rhythm::Every { .. } | Rhythm::Hourly { .. } | Rhythm::Traffic { .. })
}

/// A working day's length, for those who look like the owner.
const OFFICE: std::ops::Range<i64> = 8..15;
/// Any hour.
const ANY: std::ops::Range<i64> = 0..24;
/// When the office is empty.
const NIGHT: std::ops::Range<i64> = 0..4;
/// Between two calls of a person or of a careful script.
const PATIENT: i64 = 4 * MINUTE;
/// A few days.
const DAYS: i64 = DAY;
