//! One controller on the floor: who changes things in it, and whether those who speak to it are known.

use keytrail_schemas::{Event, Micros};

use super::{COMMANDERS_MAX, Features};
use crate::{IdentityIx, action::Command};

/// Commanders that were not heard of for so long do not count.
const CURRENT: i64 = 30 * Micros::DAY;
/// For so long somebody who commands is new to a controller.
const NEW: i64 = Micros::DAY;
/// Who commands for so long is known to.
const KNOWN: i64 = 3 * Micros::DAY;
/// Two that act in turn within so long act at once.
const AT_ONCE: i64 = Micros::HOUR;
/// Authenticated sessions by which it is known that everybody authenticates.
const AUTHENTICATED: u32 = 20;

/// What is known of a controller.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Controller {
    first: Micros,
    pub(super) last: Micros,
    commanders: Vec<Commander>,
    authenticated: u32,
    anonymous: u32,
}

/// Somebody who changes things in it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Commander {
    who: u32,
    first: Micros,
    last: Micros,
    /// Its last act of any class, and the first one after a pause.
    active: Micros,
    resumed: Micros,
    /// Others that it was active at once with, and since when; the latest few.
    with: Vec<(u32, Micros)>,
}

impl Controller {
    pub(super) const fn new(time: Micros) -> Self {
        Self { first: time, last: time, commanders: Vec::new(), authenticated: 0, anonymous: 0 }
    }

    pub(super) fn observe(&mut self, who: IdentityIx, event: &Event, command: Command, refused: bool, features: &mut Features) {
        let time = event.time;
        self.last = self.last.max(time);
        features.controller_age_days = time.days_since(self.first).max(0.0);
        let current = |commander: &&Commander| commander.who != who.0 && time.0 - commander.last.0 <= CURRENT;
        features.controller_others = u32::try_from(self.commanders.iter().filter(current).count()).unwrap_or(u32::MAX);
        if command.controls() && !refused {
            self.command(who, time, features);
        }
        self.at_once(who, time, features);
        if command == Command::Session && !refused {
            match features.authenticated {
                Some(true) => self.authenticated = self.authenticated.saturating_add(1),
                Some(false) if event.auth_method.as_deref() == Some("anonymous") => {
                    features.anonymous_unusual = self.anonymous == 0 && self.authenticated >= AUTHENTICATED;
                    self.anonymous = self.anonymous.saturating_add(1);
                }
                _ => {}
            }
        }
    }

    fn command(&mut self, who: IdentityIx, time: Micros, features: &mut Features) {
        if let Some(at) = self.commanders.iter().position(|commander| commander.who == who.0) {
            let others = |first: Micros| self.commanders.iter().any(|other| other.who != who.0 && other.first < first && other.last > first);
            let first = self.commanders.get(at).map_or(time, |own| own.first);
            features.beside = time.0 - first.0 <= NEW && others(first);
            if let Some(own) = self.commanders.get_mut(at) {
                own.last = own.last.max(time);
            }
            return;
        }
        if self.commanders.len() >= COMMANDERS_MAX {
            let oldest = (0..self.commanders.len()).min_by_key(|at| self.commanders.get(*at).map(|commander| commander.last));
            oldest.map(|at| self.commanders.remove(at));
        }
        self.commanders.push(Commander { who: who.0, first: time, last: time, active: time, resumed: time, with: Vec::new() });
    }

    /// Two commanders that always relieved each other act in turn: the one, the other one, the one again, within an hour. Told of the one that came
    /// later, for an hour.
    fn at_once(&mut self, who: IdentityIx, time: Micros, features: &mut Features) {
        let Some(at) = self.commanders.iter().position(|commander| commander.who == who.0) else { return };
        let Some(own) = self.commanders.get_mut(at) else { return };
        let close = time.0 - own.active.0 <= AT_ONCE;
        if !close {
            own.resumed = time;
        }
        let own = own.clone();
        let known = |commander: &Commander, since: Micros| since.0 - commander.first.0 >= KNOWN;
        for place in (0..self.commanders.len()).filter(|place| *place != at) {
            let Some(other) = self.commanders.get_mut(place) else { continue };
            let since = match own.with.iter().find(|(with, _)| *with == other.who) {
                Some((_, since)) => *since,
                None if close && other.active > own.active && other.active <= time => {
                    join(&mut other.with, who.0, time);
                    let name = other.who;
                    if let Some(own) = self.commanders.get_mut(at) {
                        join(&mut own.with, name, time);
                    }
                    time
                }
                None => continue,
            };
            let Some(other) = self.commanders.get(place) else { continue };
            let is_late = own.resumed > other.resumed && time.0 - since.0 <= AT_ONCE;
            features.at_once |= is_late && known(&own, since) && known(other, since);
        }
        if let Some(own) = self.commanders.get_mut(at) {
            own.active = own.active.max(time);
        }
    }

    pub(super) fn forget(&mut self, who: IdentityIx) {
        self.commanders.retain(|commander| commander.who != who.0);
        self.commanders.iter_mut().for_each(|commander| commander.with.retain(|(with, _)| *with != who.0));
    }
}

/// Remembers somebody, and forgets the oldest.
fn join(with: &mut Vec<(u32, Micros)>, who: u32, time: Micros) {
    if with.len() >= COMMANDERS_MAX {
        with.remove(0);
    }
    with.push((who, time));
}
