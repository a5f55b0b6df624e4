//! What is shared by all identities of a partition: names, peer groups, audiences, incidents, and the history that calibrates scores.
//! Machines and people learn apart.

use std::fmt::Write as _;

use keytrail_schemas::{Event, IdentityKind, Outcome};
use serde::{Deserialize, Serialize};

use super::address::Addresses;
use super::audience::Audiences;
use super::budget::Budget;
use super::calibration::Calibration;
use super::config::Config;
use super::facet::{Facet, PerFacet};
use super::features::Context;
use super::group::Groups;
use super::incident::Incidents;
use super::profile::Profile;
use super::rate::{Class, Tally};
use super::value::{Resolved, Side, Values};
use crate::{
    action,
    shape::{PerShape, Shape},
};

/// How far a total is trusted before there is history: sums of evidence have heavier tails than each part.
const TOTAL_PRIOR_SLOPE: f64 = 0.5;
/// Counts are trusted less than rates: their tails are those of an assumed distribution.
const COUNT_PRIOR_SLOPE: f64 = 0.7;

/// The shared state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Estate {
    /// Names.
    pub values: Values,
    /// Addresses.
    pub addresses: Addresses,
    /// Peer groups, of machines and of people.
    pub groups: Groups,
    /// Causes shared by many.
    pub incidents: Incidents,
    /// Windows per day of machines.
    pub budget: Budget,
    machines: Shore,
    humans: Shore,
    #[serde(skip)]
    scratch: String,
    #[serde(skip)]
    shapes: PerShape<OfShape>,
}

/// The values of an event that follow from its shape, as they stood on a day.
#[derive(Debug, Clone, Copy)]
struct OfShape {
    day: u32,
    standing: (u32, u32),
    action: Resolved,
    country: Resolved,
    user_agent: Resolved,
    protocol: Resolved,
    auth_method: Resolved,
    deed: Resolved,
}

/// What one side has learned, machines or people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shore {
    /// Rates of the new, per facet.
    pub tallies: PerFacet<Tally>,
    /// Who visits what.
    pub audiences: Audiences,
    /// Nominal evidence of volume.
    pub volume: Calibration,
    /// Nominal evidence of destinations per window.
    pub spread: Calibration,
    /// Nominal evidence of failures.
    pub failures: Calibration,
    /// Totals, by maturity.
    pub totals: [Calibration; 4],
}

impl Default for Shore {
    fn default() -> Self {
        let count = || Calibration::new(COUNT_PRIOR_SLOPE);
        Self {
            tallies: PerFacet::default(),
            audiences: Audiences::default(),
            volume: count(),
            spread: count(),
            failures: count(),
            totals: std::array::from_fn(|_| Calibration::new(TOTAL_PRIOR_SLOPE)),
        }
    }
}

impl Estate {
    /// Whether values that follow from a shape are remembered.
    #[inline]
    #[must_use]
    pub fn is_known(&self, shape: Shape) -> bool {
        self.shapes.get(shape).is_some_and(|known| known.day > 0)
    }

    /// What `side` has learned.
    #[must_use]
    pub const fn shore(&self, side: Side) -> &Shore {
        match side {
            Side::Machine => &self.machines,
            Side::Human => &self.humans,
        }
    }

    /// What `side` has learned, to change.
    pub const fn shore_mut(&mut self, side: Side) -> &mut Shore {
        match side {
            Side::Machine => &mut self.machines,
            Side::Human => &mut self.humans,
        }
    }

    /// How often an identity like this meets something new, per window.
    #[must_use]
    pub fn rate(&self, profile: &Profile, facet: Facet, class: Class) -> f64 {
        let maturity = profile.maturity(facet);
        let Some(estate) = self.shore(profile.side).tallies.of(facet) else { return 1.0 };
        let group = self.groups.of(profile.group).and_then(|group| group.tallies.of(facet));
        let pooled = group.map_or_else(|| estate.rate(class, maturity), |group| group.rate_within(estate, class, maturity));
        profile.own.of(facet).copied().unwrap_or_default().rate(class, pooled)
    }

    /// The event's values, in the order of [`Facet::ALL`]; a value of 0 stands for one that the event does not carry.
    #[inline]
    pub fn resolve(&mut self, event: &Event, context: &Context, day: u32, config: &Config) -> [Resolved; Facet::SEEN] {
        let named = |values: &mut Values, facet, name: Option<&str>| {
            name.filter(|name| !name.is_empty()).map_or(ABSENT, |name| values.resolve(facet, name, day, config))
        };
        let known = self.shapes.get(context.shape).copied().filter(|known| known.day >= day);
        let standing = self.values.standing();
        // Names are numbered in the order in which they are met.
        let destination = event
            .destination
            .as_deref()
            .filter(|name| !name.is_empty())
            .map_or(ABSENT, |name| self.values.resolve_peeked(Facet::Destination, name, context.destination, day, config));
        let known = known.filter(|known| known.standing == self.values.standing());
        let action = known.map_or_else(|| self.action(event, day, config), |known| known.action);
        let country = known.map_or_else(|| named(&mut self.values, Facet::Country, event.source_country.as_deref()), |known| known.country);
        let asn = event.source_asn.map_or(ABSENT, |asn| self.asn(asn, day, config));
        let user_agent = known.map_or_else(|| named(&mut self.values, Facet::UserAgent, event.user_agent.as_deref()), |known| known.user_agent);
        let secret = match context.class {
            action::Class::Secret if !failed(event) => named(&mut self.values, Facet::Secret, event.destination.as_deref()),
            _ => ABSENT,
        };
        let known = known.filter(|known| known.standing == self.values.standing());
        let protocol = known.map_or_else(|| named(&mut self.values, Facet::Protocol, event.protocol.as_deref()), |known| known.protocol);
        let auth_method = known.map_or_else(|| named(&mut self.values, Facet::AuthMethod, event.auth_method.as_deref()), |known| known.auth_method);
        let address = event.source_ip.as_deref().and_then(|text| self.addresses.resolve(text, day, &mut self.values, config));
        let (wide, narrow, host) = match address {
            Some(address) => (plain(address.wide), plain(address.narrow), plain(address.host)),
            None => (ABSENT, ABSENT, named(&mut self.values, Facet::Host, event.source_host.as_deref())),
        };
        let known = known.filter(|known| known.standing == self.values.standing());
        let deed = known.map_or_else(|| self.deed(event, context.class, day, config), |known| known.deed);
        if known.is_none() && standing == self.values.standing() {
            self.shapes.set(context.shape, OfShape { day, standing, action, country, user_agent, protocol, auth_method, deed });
        }
        [destination, action, country, asn, wide, narrow, host, user_agent, protocol, auth_method, deed, secret]
    }

    #[cold]
    fn action(&mut self, event: &Event, day: u32, config: &Config) -> Resolved {
        let Some(action) = event.action.as_deref().filter(|action| !action.is_empty() || failed(event)) else { return ABSENT };
        if !failed(event) {
            return self.values.resolve(Facet::Action, action, day, config);
        }
        self.scratch.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.scratch, "{action} failed: {}", event.reason.as_deref().unwrap_or(event.outcome.as_str()));
        self.values.resolve(Facet::Action, &self.scratch, day, config)
    }

    fn asn(&mut self, asn: i64, day: u32, config: &Config) -> Resolved {
        self.scratch.clear();
        let _ = write!(self.scratch, "AS{asn}");
        self.values.resolve(Facet::Asn, &self.scratch, day, config)
    }

    #[cold]
    fn deed(&mut self, event: &Event, deed: action::Class, day: u32, config: &Config) -> Resolved {
        // On the plant floor a command is what a permission is elsewhere.
        let commands = event.identity_kind == IdentityKind::Device && deed == action::Class::Write;
        // What was refused was not done: the action, with its reason, says that it was tried.
        if !(deed.is_privileged() || commands) || failed(event) {
            return ABSENT;
        }
        self.scratch.clear();
        let _ = write!(
            self.scratch,
            "{} {} {}",
            deed.as_str(),
            event.destination_service.as_deref().unwrap_or_default(),
            event.destination_kind.as_deref().unwrap_or_default()
        );
        self.values.resolve(Facet::Deed, &self.scratch, day, config)
    }

    /// The number of the event's failure: its reason, and the service that gave it.
    pub fn failure(&mut self, event: &Event, day: u32, config: &Config) -> u32 {
        self.scratch.clear();
        let reason = event.reason.as_deref().unwrap_or(event.outcome.as_str());
        let _ = write!(self.scratch, "{reason}");
        if let Some(service) = &event.destination_service {
            let _ = write!(self.scratch, " from {service}");
        }
        self.values.resolve(Facet::Failure, &self.scratch, day, config).value
    }
}

/// A value that the event does not carry.
const ABSENT: Resolved = plain(0);

const fn plain(value: u32) -> Resolved {
    Resolved { value, template: value }
}

/// Whether the event failed or was denied.
#[must_use]
pub const fn failed(event: &Event) -> bool {
    matches!(event.outcome, Outcome::Failure | Outcome::Denied)
}
