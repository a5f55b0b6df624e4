//! A window's dimensions in words, for a finding.

use keytrail_schemas::Text;

use super::aspect::Aspect;
use super::config::Config;
use super::estate::Estate;
use super::facet::{Facet, one_of_known};
use super::features::{Dimension, DimensionState, Incident};
use super::incident::Cause;
use super::profile::Profile;
use super::rate::Class;
use super::window::{Evidence, Window};

const WEEK: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Every dimension of a window, in the order of [`Aspect::ALL`].
#[must_use]
pub fn dimensions(estate: &Estate, profile: &Profile, window: &Window, config: &Config) -> Vec<Dimension> {
    let days = profile.last.days_since(profile.first).max(0.0);
    let learned = Text::from(format!("{} windows over {days:.0} days", profile.windows));
    Aspect::ALL
        .into_iter()
        .zip(&window.evidence)
        .map(|(aspect, evidence)| {
            let (observed, expected) = words(estate, profile, window, aspect, evidence);
            Dimension {
                aspect,
                observed: Text::from(observed),
                expected: Text::from(expected),
                learned: learned.clone(),
                evidence: f64::from(evidence.shared),
                state: state(profile, window, aspect, config),
            }
        })
        .collect()
}

/// The incident that a window belongs to, if it does.
#[must_use]
pub fn incident(estate: &Estate, window: &Window, opened: Option<Cause>) -> Option<Incident> {
    let causes = opened.into_iter().chain(window.evidence.iter().filter_map(|evidence| evidence.cause));
    causes.into_iter().find_map(|cause| {
        let (id, members, count) = estate.incidents.incident(cause)?;
        Some(Incident { id, cause: Text::from(cause_words(estate, cause)), members: members.to_vec(), members_count: count, opened: opened == Some(cause) })
    })
}

fn state(profile: &Profile, window: &Window, aspect: Aspect, config: &Config) -> DimensionState {
    let assessed = |facets: &[Facet]| facets.iter().any(|facet| window.assessed & facet.bit() != 0);
    let lacking = match aspect {
        Aspect::Destination | Aspect::Audience | Aspect::Spread if !assessed(&[Facet::Destination]) => "the source names no destination",
        Aspect::Action if !assessed(&[Facet::Action]) => "the source names no action",
        Aspect::Network if !assessed(&Facet::NETWORK) => "the source gives no address",
        Aspect::Overlap if !assessed(&[Facet::Narrow]) => "the source gives no address",
        Aspect::Country if !assessed(&[Facet::Country]) => "no country is known for the address",
        Aspect::UserAgent if !assessed(&[Facet::UserAgent]) => "the source names no client",
        Aspect::Protocol if !assessed(&[Facet::Protocol]) => "the source names no protocol",
        Aspect::AuthMethod if !assessed(&[Facet::AuthMethod]) => "the source does not say how it authenticated",
        Aspect::FailureShare if window.outcomes == 0 => "the source does not say how it ended",
        _ => "",
    };
    if !lacking.is_empty() {
        DimensionState::NotAssessable(lacking)
    } else if profile.is_learning(config) {
        DimensionState::Learning
    } else {
        DimensionState::Assessed
    }
}

fn words(estate: &Estate, profile: &Profile, window: &Window, aspect: Aspect, evidence: &Evidence) -> (String, String) {
    let group = estate.groups.of(profile.group);
    match aspect {
        Aspect::Volume => {
            let expected = group.map(|group| profile.volume.expected(window.hour, &group.volume));
            (format!("{} events in the hour", window.events), expected.map_or_else(String::new, range))
        }
        Aspect::Spread => {
            let expected = group.map(|group| profile.spread.expected(window.hour, &group.spread));
            (format!("{} destinations in the hour", window.destinations), expected.map_or_else(String::new, range))
        }
        Aspect::FailureShare => {
            let share = group.map_or(0.0, |group| profile.failures.expected(&group.failures));
            (format!("{} of {} failed", window.failures, window.outcomes), format!("{:.1} % fail", share * 100.0))
        }
        Aspect::Audience => match evidence.cause {
            Some(Cause::Value(_, value)) if evidence.own > 0.0 => {
                let stranger = estate.shore(profile.side).audiences.stranger(value, profile.uid);
                let expected = stranger.map_or_else(String::new, |s| {
                    format!("one of its {} visitors ({} visits, a new visitor in one of {:.0})", s.visitors, s.windows, 1.0 / s.rate)
                });
                (format!("a new visitor of {}", name(estate, value)), expected)
            }
            _ => ("a known visitor".into(), String::new()),
        },
        Aspect::Overlap => match evidence.cause {
            Some(Cause::Value(_, value)) if evidence.own > 0.0 => {
                (format!("{} while an older network goes on", name(estate, value)), "one place at a time, or places known".into())
            }
            _ => ("no new network beside an older one".into(), String::new()),
        },
        Aspect::Schedule => {
            let observed = match evidence.cause {
                Some(Cause::Value(facet, slot)) if facet != Facet::Gap && evidence.own > 0.0 => {
                    format!("active on {} at {:02}:00 UTC", WEEK.get((slot / 24) as usize).unwrap_or(&"a day"), slot % 24)
                }
                _ if evidence.own > 0.0 => profile
                    .off_schedule_minutes
                    .map_or_else(|| "active after an unusual pause".into(), |minutes| format!("active {minutes:.0} minutes off its schedule")),
                _ => "active at a usual time".into(),
            };
            let rhythm = profile.rhythm.period().map(|period| format!(", usually every {}", super::describe::span(period.usual_seconds))).unwrap_or_default();
            (observed, format!("{}{rhythm}", one_of_known(profile.hours.known() as usize, Facet::WeekHour)))
        }
        _ => value_words(estate, profile, window, aspect, evidence),
    }
}

fn value_words(estate: &Estate, profile: &Profile, window: &Window, aspect: Aspect, evidence: &Evidence) -> (String, String) {
    let facet = match evidence.cause {
        Some(Cause::Value(facet, _)) if facet.aspect() == aspect => facet,
        _ => Facet::ALL.into_iter().find(|facet| facet.aspect() == aspect).unwrap_or(Facet::Destination),
    };
    let known = profile.seen.of(facet).map_or(0, super::seen::Seen::len);
    let expected = one_of_known(known, facet);
    let news = window.news.iter().rev().find(|news| match evidence.cause {
        Some(Cause::Value(cause, value)) if cause == facet => news.facet == facet && news.value == value,
        _ => news.facet == facet,
    });
    let observed = match news {
        Some(news) => {
            let class = if news.class == Class::Everyone { "new to everyone" } else { "new to the identity" };
            format!("{} ({class})", name(estate, news.value))
        }
        None => format!("a known {}", facet.noun()),
    };
    (observed, expected)
}

fn cause_words(estate: &Estate, cause: Cause) -> String {
    match cause {
        Cause::Value(facet @ (Facet::DayHour | Facet::DayKindHour | Facet::WeekHour), slot) => {
            format!("{}: {} {:02}:00 UTC", facet.noun(), WEEK.get((slot / 24) as usize).unwrap_or(&""), slot % 24)
        }
        Cause::Value(Facet::Gap, _) => "the same unusual pause".into(),
        Cause::Value(facet, value) => format!("{} {}", facet.noun(), name(estate, value)),
        Cause::Burst(_) => "more events than usual, in the same hour".into(),
        Cause::Sweep(_) => "more destinations than usual, in the same hour".into(),
    }
}

fn name(estate: &Estate, value: u32) -> &str {
    estate.values.name(value).map_or("a forgotten value", |name| name.as_str())
}

fn range(expected: super::count::Expected) -> String {
    let (mean, deviation) = (expected.mean_more + 1.0, expected.deviation());
    format!("{:.0} to {:.0}", (mean - 2.0 * deviation).max(1.0), mean + 2.0 * deviation)
}

/// A span of time in words.
#[must_use]
pub fn span(seconds: f64) -> String {
    match seconds {
        s if s < 5_400.0 => format!("{:.0} min", s / 60.0),
        s if s < 129_600.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}
