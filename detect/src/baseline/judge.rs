//! Scores a window anew when an event brings something: a value not known, an overlap, a new hour or gap, a count worth another look.
//! Everything here is off the common path.

use keytrail_schemas::Event;

use super::aspect::Aspect;
use super::config::Config;
use super::estate::{Estate, failed};
use super::facet::Facet;
use super::features::Context;
use super::group::Group;
use super::hours::week_hour;
use super::incident::Cause;
use super::profile::Profile;
use super::rate::{Class, excess};
use super::value::Resolved;
use super::window::{News, Window};
use crate::IdentityIx;

/// Least evidence with which an identity joins those who share a cause, −log10 p.
const JOIN_EVIDENCE_MIN: f64 = 1.0;
/// Least evidence of a burst with which an identity joins those who burst in the same hour.
const BURST_EVIDENCE_MIN: f64 = 2.0;
/// What another version of a client that the identity uses counts of another client: releases come with new places and new versions at once, and
/// are one surprise.
const UPDATE_SHARE: f64 = 0.4;
/// What something new counts for in an act that is done by profession.
const ROUTINE_SHARE: f64 = 0.25;
/// So many events above the usual are many; fewer count in part.
const MORE_EVENTS_MIN: f64 = 30.0;
/// The same for destinations.
const MORE_DESTINATIONS_MIN: f64 = 6.0;
/// Days of a credential's age that make surprise count for a tenth more, and again at each doubling.
const AGE_UNIT_DAYS: f64 = 90.0;

/// What an event brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Brought {
    /// Facets whose value is new, and not yet met by the window, as bits.
    pub new: u32,
    /// Hours that are new, as bits.
    pub time: u32,
    /// Bin of a gap that is like none before.
    pub gap: Option<u8>,
    /// The network that an old one overlaps with.
    pub overlap: Option<u32>,
    /// A count passed the mark at which it is judged again.
    pub counts: bool,
}

impl Brought {
    /// The common case.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.new == 0 && self.time == 0 && self.gap.is_none() && self.overlap.is_none() && !self.counts
    }
}

/// What is being judged.
pub struct Case<'a> {
    /// Who.
    pub who: IdentityIx,
    /// The event.
    pub event: &'a Event,
    /// Its values.
    pub values: &'a [Resolved; Facet::SEEN],
    /// What the detector knows.
    pub context: &'a Context,
    /// Windows open in the same hour.
    pub crowd: u32,
    /// The identity does such acts on most days: another of the kind is nothing new.
    pub routine: bool,
    /// It does so by profession: that it does it to something new is nothing new either.
    pub profession: bool,
}

/// The outcome of one look at a window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Verdict {
    /// Evidence of an incident that this event opened: its members' highest.
    pub opened: Option<(Cause, f64)>,
}

/// Takes what the event brought into the window's evidence.
pub fn judge(estate: &mut Estate, profile: &Profile, window: &mut Window, brought: Brought, case: &Case<'_>, config: &Config) -> Verdict {
    let mut raised = Vec::new();
    meet_values(estate, profile, window, brought, case, config, &mut raised);
    meet_network(estate, profile, window, case, &mut raised);
    if let Some(network) = brought.overlap {
        window.meet(Facet::Overlap, Class::Identity);
        raised.push((Aspect::Overlap, excess(estate.rate(profile, Facet::Overlap, Class::Identity)), Some(Cause::Value(Facet::Narrow, network))));
    }
    meet_time(estate, profile, window, brought, &mut raised);
    if profile.windows == 0 {
        // Everything is new to who is new; that a stranger comes to a place which meets none is not.
        raised.retain(|(aspect, ..)| *aspect == Aspect::Audience);
    } else {
        let failure = failed(case.event).then(|| estate.failure(case.event, window.hour / 24, config));
        count(estate, profile, window, failure, &mut raised);
    }
    raised.retain(|(aspect, ..)| !config.aspects_off.contains(aspect));
    let mut verdict = Verdict::default();
    for (aspect, evidence, cause) in raised {
        let rose = if aspect == Aspect::FailureShare {
            window.set(aspect, evidence, cause);
            true
        } else {
            window.raise(aspect, evidence, cause)
        };
        let Some(cause) = cause.filter(|_| rose) else { continue };
        let least = if matches!(cause, Cause::Value(..)) { JOIN_EVIDENCE_MIN } else { BURST_EVIDENCE_MIN };
        if evidence >= least && profile.windows >= config.learning_windows {
            let joined = estate.incidents.join(cause, case.who, profile.uid, window.hour, evidence, slack(cause, case.crowd), config);
            // Those who fail together also try again together: that is the same incident.
            let another =
                window.evidence.iter().any(|evidence| evidence.cause.is_some_and(|other| other != cause && estate.incidents.incident(other).is_some()));
            if joined.opened && !another {
                verdict.opened = Some((cause, joined.evidence));
            }
        }
    }
    window.weight = window.weight.max(weight(case.context));
    total(estate, profile, window, case.crowd);
    verdict
}

type Raised = Vec<(Aspect, f64, Option<Cause>)>;

/// Values other than networks; destinations also ask their audience.
fn meet_values(estate: &mut Estate, profile: &Profile, window: &mut Window, brought: Brought, case: &Case<'_>, config: &Config, raised: &mut Raised) {
    for (facet, resolved) in Facet::ALL.into_iter().zip(case.values) {
        if brought.new & facet.bit() == 0 {
            continue;
        }
        let class = if estate.values.is_known_to(resolved.value, profile.side) { Class::Identity } else { Class::Everyone };
        window.meet(facet, class);
        if window.news.len() < config.window_news_max {
            window.news.push(News { facet, value: resolved.value, template: resolved.template, class });
        }
        if facet.aspect() == Aspect::Network {
            continue;
        }
        let cause = match facet {
            // The same failure of different actions has one cause.
            Facet::Action if failed(case.event) => Cause::Value(Facet::Failure, estate.failure(case.event, window.hour / 24, config)),
            _ => Cause::Value(facet, resolved.value),
        };
        let rate = estate.rate(profile, facet, class);
        if facet == Facet::Secret {
            raised.push((facet.aspect(), excess(rate), Some(cause)));
            if let Some(evidence) = profile.secrets.evidence(window.hour, estate.rate(profile, facet, Class::Identity)) {
                raised.push((facet.aspect(), (evidence - std::f64::consts::LOG10_2).max(0.0), None));
            }
        } else if case.routine && matches!(facet, Facet::Action | Facet::Deed) || case.profession && facet == Facet::Destination {
            window.destinations += u32::from(facet == Facet::Destination);
            raised.push((facet.aspect(), excess(rate) * ROUTINE_SHARE, Some(cause)));
        } else if facet == Facet::Destination {
            // Where each window meets something new, many of it are nothing either.
            let many = || estate.groups.of(profile.group).map_or(0.0, |group| group.crowding.evidence(window.new_destinations()));
            let alone = excess(rate);
            raised.push((facet.aspect(), if alone > 0.0 { alone + many() } else { 0.0 }, Some(cause)));
            let usual = estate.rate(profile, facet, Class::Identity);
            if let Some(evidence) = profile.reach.evidence(window.hour, usual) {
                raised.push((facet.aspect(), (evidence - std::f64::consts::LOG10_2).max(0.0), None));
            }
            window.destinations += 1;
            if let Some(stranger) = estate.shore(profile.side).audiences.stranger(resolved.value, profile.uid) {
                raised.push((Aspect::Audience, excess(stranger.rate), Some(cause)));
            }
        } else {
            let updated = facet == Facet::UserAgent && case.event.user_agent.as_deref().is_some_and(|client| profile.products.knows(client));
            let share = if updated { UPDATE_SHARE } else { 1.0 };
            raised.push((facet.aspect(), excess(rate) * share, Some(cause)));
        }
    }
}

/// A network counts by the coarsest part of it that is new: the rest follows from that.
fn meet_network(estate: &Estate, profile: &Profile, window: &Window, case: &Case<'_>, raised: &mut Raised) {
    for facet in Facet::NETWORK {
        let value = case.values.get(facet as usize).map_or(0, |resolved| resolved.value);
        if let Some(class) = window.class_of(facet, value) {
            raised.push((Aspect::Network, excess(estate.rate(profile, facet, class)), Some(Cause::Value(facet, value))));
            return;
        }
    }
}

/// An hour counts by the coarsest part of it that is new; a gap beside it.
fn meet_time(estate: &Estate, profile: &Profile, window: &mut Window, brought: Brought, raised: &mut Raised) {
    for facet in Facet::HOURS {
        if brought.time & facet.bit() != 0 {
            window.meet(facet, Class::Identity);
        }
    }
    if let Some(facet) = Facet::HOURS.into_iter().find(|facet| brought.time & facet.bit() != 0) {
        raised.push((Aspect::Schedule, excess(estate.rate(profile, facet, Class::Identity)), Some(Cause::Value(facet, week_hour(window.hour)))));
    }
    if let Some(bin) = brought.gap {
        window.meet(Facet::Gap, Class::Identity);
        raised.push((Aspect::Schedule, excess(estate.rate(profile, Facet::Gap, Class::Identity)), Some(Cause::Value(Facet::Gap, u32::from(bin)))));
    }
}

/// Counts that passed their marks; the marks move on by a fifth, so that a burst is judged a few times and not at each event.
fn count(estate: &Estate, profile: &Profile, window: &mut Window, failure: Option<u32>, raised: &mut Raised) {
    let Some(group) = estate.groups.of(profile.group) else { return };
    let shore = estate.shore(profile.side);
    if window.events >= window.check_events {
        window.check_events = next_mark(window.events);
        let nominal = volume(profile, group, window);
        window.volume = window.volume.max(nominal);
        raised.push((Aspect::Volume, excess(shore.volume.p_value(nominal)), Some(Cause::Burst(window.hour))));
    }
    if window.destinations >= window.check_destinations {
        window.check_destinations = next_mark(window.destinations);
        let nominal = spread(profile, group, window);
        window.spread = window.spread.max(nominal);
        raised.push((Aspect::Spread, excess(shore.spread.p_value(nominal)), Some(Cause::Sweep(window.hour))));
    }
    if window.failures >= window.check_failures {
        window.check_failures = next_mark(window.failures);
        let nominal = profile.failures.evidence(window.failures, window.outcomes, &group.failures);
        let cause = failure.map(|number| Cause::Value(Facet::Failure, number));
        raised.push((Aspect::FailureShare, excess(shore.failures.p_value(nominal)), cause));
    }
}

/// How far the number of a window's events speaks for itself, −log10 p before it is calibrated.
pub fn volume(profile: &Profile, group: &Group, window: &Window) -> f64 {
    profile.volume.expected(window.hour, &group.volume).evidence_of_many(window.events, MORE_EVENTS_MIN)
}

/// The same of its destinations, given its events.
pub fn spread(profile: &Profile, group: &Group, window: &Window) -> f64 {
    let usual = profile.volume.expected(window.hour, &group.volume).mean_more + 1.0;
    profile.spread.expected(window.hour, &group.spread).beside(f64::from(window.events) / usual).evidence_of_many(window.destinations, MORE_DESTINATIONS_MIN)
}

/// Sums the window's evidence, each part shared out among the members of its incident, and calibrates the sum.
pub fn total(estate: &Estate, profile: &Profile, window: &mut Window, crowd: u32) {
    let mut sum = 0.0;
    for evidence in &mut window.evidence {
        let divisor = evidence.cause.map_or(1.0, |cause| estate.incidents.divisor(cause, slack(cause, crowd)));
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for evidence")]
        let shared = (f64::from(evidence.own) / divisor) as f32;
        evidence.shared = shared;
        sum += f64::from(shared);
    }
    window.total = sum * window.weight;
    window.total_max = window.total_max.max(window.total);
    window.p_value = calibrated(estate, profile, window.total);
}

/// The total of a member of an incident without what the incident explains: what it shares with the others, and what follows when many
/// try again at once (more events, odd times, more failures). A place, a client or a network of its own is not explained.
#[must_use]
pub fn unexplained(estate: &Estate, window: &Window) -> f64 {
    let alone = Aspect::ALL.into_iter().zip(&window.evidence).filter(|(aspect, evidence)| {
        let follows = matches!(aspect, Aspect::Volume | Aspect::Spread | Aspect::Schedule | Aspect::FailureShare);
        !follows && evidence.cause.is_none_or(|cause| estate.incidents.incident(cause).is_none())
    });
    window.weight * alone.map(|(_, evidence)| f64::from(evidence.shared)).sum::<f64>()
}

/// The probability of such a total on normal traffic.
#[must_use]
pub fn calibrated(estate: &Estate, profile: &Profile, total: f64) -> f64 {
    estate.shore(profile.side).totals.get(profile.calibration()).map_or(1.0, |calibration| calibration.p_value(total))
}

/// The marks of a window that opens: counts below them are not worth the arithmetic.
pub fn set_marks(estate: &Estate, profile: &Profile, window: &mut Window) {
    let Some(group) = estate.groups.of(profile.group) else { return };
    window.check_events = profile.volume.expected(window.hour, &group.volume).check_from();
    window.check_destinations = profile.spread.expected(window.hour, &group.spread).check_from();
}

/// How many may share a cause before they share its evidence. A hundredth of all burst in any hour by chance.
fn slack(cause: Cause, crowd: u32) -> u32 {
    match cause {
        Cause::Value(..) => 1,
        Cause::Burst(_) | Cause::Sweep(_) => 5 + crowd / 100,
    }
}

fn next_mark(count: u32) -> u32 {
    count.saturating_add((count / 5).max(1))
}

/// By how much the age of a credential multiplies surprise: a tenth per doubling of ninety days, a quarter when overdue, at most doubled.
fn weight(context: &Context) -> f64 {
    let age = context.credential_age_days.map_or(0.0, |days| 0.1 * (days.max(0.0) / AGE_UNIT_DAYS).ln_1p() / std::f64::consts::LN_2);
    (1.0 + age + if context.age_over_policy { 0.25 } else { 0.0 }).min(2.0)
}

/// Whether the identity itself acted: what is merely done to it says nothing of its behaviour.
#[must_use]
pub const fn is_act(event: &Event) -> bool {
    use keytrail_schemas::Activity::{Authenticate, Configure, Grant, Renew, Use};
    matches!(event.activity, Authenticate | Use | Renew | Grant | Configure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_overdue_credential_weighs_surprise_more() {
        let of = |credential_age_days, age_over_policy| weight(&Context { credential_age_days, age_over_policy, ..Context::default() });
        assert_eq!(of(None, false), 1.0);
        assert!((of(Some(90.0), false) - 1.1).abs() < 1e-9);
        assert!((of(Some(270.0), true) - 1.45).abs() < 1e-9);
        assert_eq!(of(Some(1e9), true), 2.0);
    }
}
