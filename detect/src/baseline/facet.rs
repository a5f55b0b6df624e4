//! What is remembered of an identity's behaviour: finer than the aspects that are reported, since a network is looked at by host,
//! prefix and ASN, and a time by hour of day, kind of day and week.

use serde::{Deserialize, Serialize};

use super::aspect::Aspect;

/// One thing that a window may meet for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Facet {
    /// What was touched, ephemeral parts of its name left out.
    Destination,
    /// What was done, and the reason where it failed.
    Action,
    /// Country of the source address.
    Country,
    /// Autonomous system of the source address.
    Asn,
    /// /16 of an IPv4 address, /48 of an IPv6 one.
    Wide,
    /// /24 of an IPv4 address, /64 of an IPv6 one.
    Narrow,
    /// The address, or the host's name where there is none.
    Host,
    /// The client's own name.
    UserAgent,
    /// The protocol.
    Protocol,
    /// How it authenticated.
    AuthMethod,
    /// The class of a privileged act, with the service and the kind of thing that it is done to.
    Deed,
    /// What was touched by an act on secrets: whoever reads new buckets all day may never read a new secret.
    Secret,
    /// The reason of a failure, with the service: looked at for incidents alone.
    Failure,
    /// A new network while the old one went on.
    Overlap,
    /// Hour of the day, with the hours beside it.
    DayHour,
    /// Hour of a working day, or of the weekend.
    DayKindHour,
    /// Hour of the week.
    WeekHour,
    /// Time since the identity was last active.
    Gap,
}

impl Facet {
    /// How many there are.
    pub const COUNT: usize = 18;
    /// Those whose values are remembered in a set: the first twelve.
    pub const SEEN: usize = 12;
    /// Those whose values are names: the first thirteen.
    pub const NAMED: usize = 13;
    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Destination,
        Self::Action,
        Self::Country,
        Self::Asn,
        Self::Wide,
        Self::Narrow,
        Self::Host,
        Self::UserAgent,
        Self::Protocol,
        Self::AuthMethod,
        Self::Deed,
        Self::Secret,
        Self::Failure,
        Self::Overlap,
        Self::DayHour,
        Self::DayKindHour,
        Self::WeekHour,
        Self::Gap,
    ];
    /// Those of [`Aspect::Network`], the coarsest first.
    pub const NETWORK: [Self; 4] = [Self::Asn, Self::Wide, Self::Narrow, Self::Host];
    /// The hours of [`Aspect::Schedule`], the coarsest first.
    pub const HOURS: [Self; 3] = [Self::DayHour, Self::DayKindHour, Self::WeekHour];

    /// Its bit in a mask.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u16
    }

    /// The aspect that reports it.
    #[must_use]
    pub const fn aspect(self) -> Aspect {
        match self {
            Self::Destination | Self::Secret => Aspect::Destination,
            Self::Action | Self::Deed => Aspect::Action,
            Self::Country => Aspect::Country,
            Self::Asn | Self::Wide | Self::Narrow | Self::Host => Aspect::Network,
            Self::UserAgent => Aspect::UserAgent,
            Self::Protocol => Aspect::Protocol,
            Self::AuthMethod => Aspect::AuthMethod,
            Self::Failure => Aspect::FailureShare,
            Self::Overlap => Aspect::Overlap,
            Self::DayHour | Self::DayKindHour | Self::WeekHour | Self::Gap => Aspect::Schedule,
        }
    }

    /// What a person calls several of it.
    #[must_use]
    pub const fn nouns(self) -> &'static str {
        match self {
            Self::Destination => "destinations",
            Self::Action => "actions",
            Self::Country => "countries",
            Self::Asn => "autonomous systems",
            Self::Wide => "networks",
            Self::Narrow => "subnets",
            Self::Host => "hosts",
            Self::UserAgent => "clients",
            Self::Protocol => "protocols",
            Self::AuthMethod => "authentication methods",
            Self::Deed => "kinds of privileged acts",
            Self::Secret => "secrets",
            Self::Failure => "failures",
            Self::Overlap => "networks beside the old one",
            Self::DayHour => "hours of the day",
            Self::DayKindHour => "hours of that kind of day",
            Self::WeekHour => "hours of the week",
            Self::Gap => "times since it was last active",
        }
    }

    /// What a person calls it.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Action => "action",
            Self::Country => "country",
            Self::Asn => "autonomous system",
            Self::Wide => "network",
            Self::Narrow => "subnet",
            Self::Host => "host",
            Self::UserAgent => "client",
            Self::Protocol => "protocol",
            Self::AuthMethod => "authentication method",
            Self::Deed => "kind of privileged act",
            Self::Secret => "secret",
            Self::Failure => "failure",
            Self::Overlap => "network beside the old one",
            Self::DayHour => "hour of the day",
            Self::DayKindHour => "hour of that kind of day",
            Self::WeekHour => "hour of the week",
            Self::Gap => "time since it was last active",
        }
    }
}

/// So many of a facet that are known, in words: `one of 3 known countries`.
#[must_use]
pub fn one_of_known(known: usize, facet: Facet) -> String {
    match known {
        0 => format!("no {} is known", facet.noun()),
        1 => format!("the one known {}", facet.noun()),
        _ => format!("one of {known} known {}", facet.nouns()),
    }
}

/// One `T` per facet of the first `N`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct PerFacet<T>([T; Facet::COUNT]);

impl<T: Default> Default for PerFacet<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

impl<T> PerFacet<T> {
    /// That of `facet`.
    #[must_use]
    pub fn of(&self, facet: Facet) -> Option<&T> {
        self.0.get(facet as usize)
    }

    /// That of `facet`, to change.
    pub fn of_mut(&mut self, facet: Facet) -> Option<&mut T> {
        self.0.get_mut(facet as usize)
    }

    /// All of them with their facets.
    pub fn iter(&self) -> impl Iterator<Item = (Facet, &T)> {
        Facet::ALL.into_iter().zip(&self.0)
    }

    /// All of them with their facets, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Facet, &mut T)> {
        Facet::ALL.into_iter().zip(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_are_called_as_people_do() {
        assert_eq!(one_of_known(3, Facet::Country), "one of 3 known countries");
        assert_eq!(one_of_known(1, Facet::Deed), "the one known kind of privileged act");
        assert_eq!(one_of_known(0, Facet::Country), "no country is known");
        assert!(Facet::ALL.iter().all(|facet| !facet.nouns().ends_with("ys") && facet.nouns() != facet.noun()));
    }
}
