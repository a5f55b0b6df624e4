//! One controller on the floor: who changes things in it, which classes of commands it was ever given, and whether those who speak to it are known.

use keytrail_schemas::{Event, Micros};

use super::{COMMANDERS_MAX, Features, together::Together};
use crate::{IdentityIx, action::Command};

/// Commanders that were not heard of for so long do not count.
const CURRENT: i64 = 30 * Micros::DAY;
/// For so long somebody who commands is new to a controller.
const NEW: i64 = Micros::DAY;
/// A master that is known for so long is known to its plant.
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
    /// Classes of commands that anybody gave it, as bits.
    given: u16,
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
}

impl Controller {
    pub(super) const fn new(time: Micros) -> Self {
        Self { first: time, last: time, commanders: Vec::new(), given: 0, authenticated: 0, anonymous: 0 }
    }

    /// Takes a command; `masters` says of an identity since when it is known as one that stands long turns and commands.
    pub(super) fn observe(
        &mut self,
        who: IdentityIx,
        event: &Event,
        command: Command,
        refused: bool,
        (together, masters): (&mut Together, impl Fn(u32) -> Option<Micros>),
        features: &mut Features,
    ) {
        let time = event.time;
        self.last = self.last.max(time);
        features.controller_age_days = time.days_since(self.first).max(0.0);
        let current = |commander: &&Commander| commander.who != who.0 && time.0 - commander.last.0 <= CURRENT;
        features.controller_others = u32::try_from(self.commanders.iter().filter(current).count()).unwrap_or(u32::MAX);
        if command.controls() && !refused {
            self.command(who, time, features);
        }
        let bit = 1_u16 << command as u16;
        features.first_of_class = self.given & bit == 0;
        if !refused {
            self.given |= bit;
        }
        // Who connects anew does nothing yet.
        if command != Command::Session {
            features.at_once = self.at_once(who, time, command.controls() && !refused, together, masters);
        }
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
        self.commanders.push(Commander { who: who.0, first: time, last: time, active: time, resumed: time });
    }

    /// Two masters that always relieved each other on what they share: one goes on, and the other one, which came back later, commands beside it. Told of
    /// the later one, for an hour.
    fn at_once(&mut self, who: IdentityIx, time: Micros, controls: bool, together: &mut Together, masters: impl Fn(u32) -> Option<Micros>) -> bool {
        let Some(own) = self.commanders.iter_mut().find(|commander| commander.who == who.0) else { return false };
        if time.0 - own.active.0 > AT_ONCE {
            own.resumed = time;
        }
        let resumed = own.resumed;
        own.active = own.active.max(time);
        if !controls {
            return false;
        }
        let mut told = false;
        for other in self.commanders.iter().filter(|other| other.who != who.0) {
            // The one that came back later commanded since, and the other one acted since: whichever of them that is.
            let here = other.active <= time && time.0 - other.active.0 <= AT_ONCE;
            let beside = here && if resumed > other.resumed { other.active > resumed } else { other.last >= other.resumed };
            let pair = together.meet(who.0, other.who, time, beside);
            let Some(since) = pair.at_once else { continue };
            let known = |who: u32| masters(who).is_some_and(|first| since.0 - first.0 >= KNOWN);
            // Who shares nothing for days never relieved anybody.
            let relieved = since.0 - pair.shared.0 >= KNOWN;
            told |= resumed > other.resumed && time.0 - since.0 <= AT_ONCE && relieved && known(who.0) && known(other.who);
        }
        told
    }

    pub(super) fn forget(&mut self, who: IdentityIx) {
        self.commanders.retain(|commander| commander.who != who.0);
    }
}
