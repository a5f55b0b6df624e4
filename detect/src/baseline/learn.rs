//! A window closes: everything in it is learned, once.

use super::config::Config;
use super::estate::{Estate, Shore};
use super::facet::Facet;
use super::profile::{Profile, SETTLED_WINDOWS};
use super::rate::Class;
use super::value::Side;
use super::window::Window;

/// Learns `window`, which the identity has left behind.
pub fn learn(estate: &mut Estate, profile: &mut Profile, window: &Window, config: &Config) {
    learn_scores(estate, profile, window);
    learn_rates(estate, profile, window);
    learn_values(estate, profile, window, config);
    learn_counts(estate, profile, window);
    profile.hours.learn(window.hour);
    profile.windows = profile.windows.saturating_add(1);
    settle(estate, profile, config);
}

/// The window's scores join the history that calibrates the next ones: as they were judged, and not as the last events between two looks would
/// have made them.
fn learn_scores(estate: &mut Estate, profile: &Profile, window: &Window) {
    let failures = match estate.groups.of(profile.group) {
        Some(group) if window.failures > 0 => profile.failures.evidence(window.failures, window.outcomes, &group.failures),
        _ => 0.0,
    };
    let shore = estate.shore_mut(profile.side);
    let Shore { volume, spread, failures: refused, totals, .. } = &mut *shore;
    [volume, spread, refused].into_iter().chain(totals).for_each(|calibration| calibration.advance(window.hour));
    shore.volume.learn(window.volume);
    shore.spread.learn(window.spread);
    shore.failures.learn(failures);
    if let Some(totals) = shore.totals.get_mut(profile.calibration()) {
        totals.learn(window.total_max);
    }
    if profile.side == Side::Machine {
        estate.budget.learn(window.hour);
    }
}

/// How often windows of such an identity meet something new.
fn learn_rates(estate: &mut Estate, profile: &mut Profile, window: &Window) {
    for facet in [Facet::Destination, Facet::Secret] {
        if window.assessed & facet.bit() != 0 && profile.windows > 0 {
            let usual = estate.rate(profile, facet, Class::Identity);
            let reach = if facet == Facet::Secret { &mut profile.secrets } else { &mut profile.reach };
            reach.learn(window.hour, window.met(facet).is_some(), usual);
        }
    }
    for facet in Facet::ALL {
        if window.assessed & facet.bit() == 0 {
            continue;
        }
        let met = window.met(facet);
        let maturity = profile.maturity(facet);
        if let Some(own) = profile.own.of_mut(facet) {
            // The first window of all meets everything for the first time: it says nothing of the identity.
            if profile.windows > 0 {
                own.learn(met, window.hour / 24);
            }
        }
        if let Some(tally) = estate.shore_mut(profile.side).tallies.of_mut(facet) {
            tally.learn(maturity, met);
        }
        if let Some(tally) = estate.groups.of_mut(profile.group).and_then(|group| group.tallies.of_mut(facet)) {
            tally.learn(maturity, met);
        }
    }
}

/// The values themselves, and the audiences of the destinations.
fn learn_values(estate: &mut Estate, profile: &mut Profile, window: &Window, config: &Config) {
    for news in &window.news {
        if news.facet == Facet::UserAgent
            && let Some(client) = estate.values.name(news.value)
        {
            profile.products.learn(client);
        }
        for value in [news.value, news.template] {
            estate.values.learn(value, profile.side);
            if let Some(seen) = profile.seen_mut(news.facet) {
                // A template was not met itself: it must not be counted as a destination of its own.
                let hour = if value == news.value { window.hour } else { window.hour.saturating_sub(1) };
                if value == news.value || !seen.knows(value) {
                    seen.learn(value, hour, config.seen_values_max);
                }
            }
        }
    }
    if let Some(seen) = profile.seen.of(Facet::Destination) {
        let audiences = &mut estate.shore_mut(profile.side).audiences;
        for destination in seen.met_in(window.hour) {
            audiences.learn(destination, profile.uid, window.hour, config);
        }
    }
}

fn learn_counts(estate: &mut Estate, profile: &mut Profile, window: &Window) {
    let Some(group) = estate.groups.of_mut(profile.group) else { return };
    let news = window.new_destinations();
    if news > 0 && profile.windows > 0 {
        group.crowding.learn(news);
    }
    profile.volume.learn(window.hour, window.events, true, &mut group.volume);
    profile.spread.learn(window.hour, window.destinations, false, &mut group.spread);
    profile.failures.learn(window.failures, window.outcomes, &mut group.failures);
}

/// While the identity is young its peer group follows the service it uses most.
fn settle(estate: &mut Estate, profile: &mut Profile, config: &Config) {
    if !profile.windows.is_power_of_two() || profile.windows > SETTLED_WINDOWS {
        return;
    }
    if let Some(key) = &profile.key {
        profile.group = estate.groups.number(key, config);
    }
    if profile.windows == SETTLED_WINDOWS {
        profile.key = None;
    }
}
