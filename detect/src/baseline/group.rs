//! Peer groups: identities of one provider, one account (or environment), one kind, that mostly use one service. The key is cheap
//! and settles within an identity's first eight windows; what is learned before stays with the group it was learned for.

use keytrail_schemas::{Event, IdentityKind, Text};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::crowding::Crowding;
use super::facet::PerFacet;
use super::rate::Tally;
use super::{count, share};

/// Services counted per identity while its group is unsettled.
const SERVICES_MAX: usize = 8;

/// What a peer group has learned.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Group {
    /// Rates of the new, per facet.
    pub tallies: PerFacet<Tally>,
    /// Events per window.
    pub volume: count::Pool,
    /// Destinations per window.
    pub spread: count::Pool,
    /// Failures among events.
    pub failures: share::Pool,
    /// New destinations in windows that meet one.
    pub crowding: Crowding,
}

/// The peer groups of one partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Groups {
    #[serde(with = "crate::sorted::map")]
    numbers: FxHashMap<Text, u32>,
    groups: Vec<Group>,
}

/// What decides an identity's group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    provider: Text,
    place: Text,
    kind: IdentityKind,
    /// Services and how many events they had, in the order in which they were met.
    services: Vec<(Text, u32)>,
}

impl Key {
    /// From an identity's first event.
    #[must_use]
    pub fn new(event: &Event) -> Self {
        let place = if event.identity_account.is_empty() { event.environment.clone().unwrap_or_default() } else { event.identity_account.clone() };
        Self { provider: event.identity_provider.clone(), place, kind: event.identity_kind, services: Vec::new() }
    }

    /// Counts the event's service.
    pub fn count(&mut self, event: &Event) {
        let Some(service) = &event.destination_service else { return };
        if let Some((_, events)) = self.services.iter_mut().find(|(name, _)| name == service) {
            *events = events.saturating_add(1);
        } else if self.services.len() < SERVICES_MAX {
            self.services.push((service.clone(), 1));
        }
    }

    fn names(&self) -> [String; 3] {
        let service = self.services.iter().rev().max_by_key(|(_, events)| *events).map_or("", |(name, _)| name.as_str());
        let (provider, place, kind) = (&self.provider, &self.place, self.kind);
        [format!("{provider}|{place}|{kind}|{service}"), format!("{provider}|{kind}"), kind.to_string()]
    }
}

impl Groups {
    /// The group of `key`, made where there is room for it.
    pub fn number(&mut self, key: &Key, config: &Config) -> u32 {
        let names = key.names();
        let room = [config.groups_max, config.groups_max.saturating_mul(2), usize::MAX];
        for (name, room) in names.iter().zip(room) {
            if let Some(&number) = self.numbers.get(name.as_str()) {
                return number;
            }
            if self.groups.len() < room.max(1) {
                let number = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
                self.groups.push(Group::default());
                self.numbers.insert(Text::from(name.as_str()), number);
                return number;
            }
        }
        0
    }

    /// A group by its number.
    #[must_use]
    pub fn of(&self, number: u32) -> Option<&Group> {
        self.groups.get(number as usize)
    }

    /// A group by its number, to change.
    pub fn of_mut(&mut self, number: u32) -> Option<&mut Group> {
        self.groups.get_mut(number as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(account: &str, services: &[&str]) -> Key {
        let event = Event { identity_provider: "aws".into(), identity_account: account.into(), ..Event::default() };
        let mut key = Key::new(&event);
        for service in services {
            key.count(&Event { destination_service: Some((*service).into()), ..event.clone() });
        }
        key
    }

    #[test]
    fn the_dominant_service_decides() {
        let (mut groups, config) = (Groups::default(), Config::default());
        let a = groups.number(&key("1", &["sts", "s3", "s3"]), &config);
        assert_eq!(a, groups.number(&key("1", &["s3"]), &config));
        assert_ne!(a, groups.number(&key("1", &["sts"]), &config));
        assert_ne!(a, groups.number(&key("2", &["s3"]), &config));
    }

    #[test]
    fn at_the_bound_groups_are_coarser() {
        let (mut groups, config) = (Groups::default(), Config { groups_max: 10, ..Config::default() });
        for account in 0..100 {
            groups.number(&key(&account.to_string(), &["s3"]), &config);
        }
        assert_eq!(groups.groups.len(), 11);
    }
}
