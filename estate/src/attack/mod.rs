//! The attacks: who is abused, when, and how. Each file is one theme with its part of the library. Nothing here writes a record;
//! everything goes through `World::touch` and the like, as the owners' own work does.
//!
//! What an attack looks like was chosen from what is public about real ones, and before any detector was run on it; docs/attacks.md is
//! generated from this library.

mod catalogue;
mod container;
mod dormant;
mod downgrade;
mod evasion;
mod exfiltration;
mod harvest;
mod human;
mod lateral;
mod network;
mod off_hours;
mod persistence;
mod plant;
mod revoked;
mod rotated;
mod stolen;
mod vault;

pub use catalogue::library_as_markdown;

use std::collections::BTreeSet;

use crate::chance::Chance;
use crate::clock::{self, DAY, HOUR, MINUTE, Micros};
use crate::label::Label;
use crate::level::Level;
use crate::roster::PROVIDER;
use crate::roster::actor::{Actor, Agent, Home, Kind};
use crate::roster::place::PlaceKind;
use crate::roster::rhythm::Rhythm;
use crate::technique::{self, Stage};
use crate::world::{Script, Touched, World};

/// The estate: techniques are planned by a [`Planner`].
#[derive(Debug, Clone, Copy)]
pub struct Estate;

impl Stage for Estate {
    type Plan = fn(&mut Planner<'_>, &'static Technique) -> Option<()>;
}

/// One way of abusing an identity of the estate.
pub type Technique = technique::Technique<Estate>;

/// The library, by theme.
pub fn library() -> impl Iterator<Item = &'static Technique> {
    [
        stolen::LIBRARY,
        rotated::LIBRARY,
        revoked::LIBRARY,
        dormant::LIBRARY,
        off_hours::LIBRARY,
        harvest::LIBRARY,
        lateral::LIBRARY,
        persistence::LIBRARY,
        evasion::LIBRARY,
        exfiltration::LIBRARY,
        container::LIBRARY,
        vault::LIBRARY,
        human::LIBRARY,
        downgrade::LIBRARY,
        network::LIBRARY,
        plant::LIBRARY,
    ]
    .into_iter()
    .flatten()
}

/// Chooses victims and moments and writes the script.
pub struct Planner<'a> {
    /// The estate.
    pub world: &'a mut World,
    /// What is to happen.
    pub script: &'a mut Script,
    /// Actors that are taken: an actor is the victim of one attack at most, and nothing else disturbs it.
    pub taken: BTreeSet<usize>,
    /// How careful attackers are.
    level: Level,
    chance: Chance,
}

/// How many attacks there are when nobody says. A real estate sees few; for a measurement that means something there are one and a half a
/// day in the three fifths of the period that have attacks, at most the library once or, from about a thousand identities on, one and a half
/// times. Their number does not follow the estate's size: neither does that of what a person can read.
fn usual_count(identities: usize, days: f64, library: usize) -> usize {
    let by_size = library as f64 * (identities as f64 / 480.0).sqrt().clamp(0.25, 1.5);
    by_size.min(days * 0.6 * 1.5).max(4.0).round() as usize
}

/// Plans the attacks; gives the actors that are concerned. The headline comes first, the others in an order of the seed's choice, so that
/// every kind has the same chance, and each comes once before one comes twice.
pub fn plan(world: &mut World, script: &mut Script, level: Level, wanted: Option<u32>) -> BTreeSet<usize> {
    let mut chance = world.chance.fork();
    let mut order: Vec<&'static Technique> = library().collect();
    for i in (2..order.len()).rev() {
        order.swap(i, 1 + chance.below(i));
    }
    let days = (world.end - world.start) as f64 / DAY as f64;
    let wanted = wanted.map_or_else(|| usual_count(world.actors.len(), days, order.len()), |n| n as usize);
    let mut planner = Planner { world, script, taken: BTreeSet::new(), level, chance };
    let mut planned = 0;
    // What nobody fits is passed over; three rounds are more than enough for what is ever wanted.
    for technique in order.iter().cycle().take(order.len() * 3) {
        if planned == wanted {
            break;
        }
        // The headline is told once.
        if technique.variant == stolen::HEADLINE && planned > 0 {
            continue;
        }
        planned += usize::from((technique.plan)(&mut planner, technique).is_some());
    }
    planner.taken
}

impl Planner<'_> {
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

    /// A moment for an attack that is not about the hour: any, but office hours for attackers that know what looks usual.
    fn any_moment(&mut self) -> i64 {
        match self.level {
            Level::Hard => self.moment(OFFICE, true),
            Level::Normal if self.chance.happens(0.4) => self.moment(OFFICE, true),
            _ => self.moment(ANY, false),
        }
    }

    /// Opens a label.
    fn label(&mut self, technique: &Technique, victim: usize, at: i64) -> usize {
        self.world.labels.push(Label {
            attack: technique.attack.to_owned(),
            variant: technique.variant.to_owned(),
            technique: technique.id.to_owned(),
            identity: self.world.identity(victim),
            also: self.also(victim),
            credential: None,
            start: Micros(at),
            end: Micros(at),
            provider_event_ids: Vec::new(),
            description: technique.description.to_owned(),
        });
        self.world.labels.len() - 1
    }

    /// What else a log may call an actor: MQTT messages and Modbus name an address only.
    fn also(&self, victim: usize) -> Vec<String> {
        let actor = &self.world.actors[victim];
        match (&actor.kind, &actor.home) {
            (Kind::Mqtt | Kind::Modbus | Kind::Ssh | Kind::Mtls, Home::Fixed(addresses)) => addresses.clone(),
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

    /// From where a thief in the cloud works: careless ones from anywhere; careful ones from the provider's address space, and at the
    /// highest level half of them from the victim's own addresses (a foothold in the same network, or behind the same gateway).
    fn thief_address(&mut self, victim: usize) -> String {
        match self.level {
            Level::Easy => self.foreign_address(),
            Level::Normal if self.chance.happens(0.3) => self.foreign_address(),
            Level::Hard if self.chance.happens(0.5) => self.world.actors[victim].address(),
            _ => self.provider_address(),
        }
    }

    /// With which client: another one only where attackers are careless.
    fn thief_client(&self) -> Option<Agent> {
        (self.level == Level::Easy).then(|| Agent::new(1, 41))
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
            // Outside of AWS, places belong to no account.
            let in_reach = !matches!(actor.kind, Kind::AwsUser | Kind::AwsRole | Kind::AwsHuman) || place.account == actor.account;
            in_reach && !place.ephemeral && !place.name.ends_with("-dr") && !actor.habits.iter().any(|h| h.place == *p)
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
