//! Rank: one number from 0 to 100 that orders a queue of findings whatever their kind, as a sum of parts that can be read.
//!
//! The points are data (`weights.yml`, with a reason for each); [`mod@sum`] adds them up. [`triage`] knows how common a rule is here and what is a habit of an
//! identity; [`line`] says from which rank on a judgement is read, so that a day holds as many as a person can.

pub mod line;
mod sum;
pub mod triage;

pub use sum::{Part, Rank, Scratch, Sign, Why, points};

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use keytrail_schemas::{CredentialState, FindingKind, Severity};
use serde::{Deserialize, Serialize};

use crate::action::Class;
use crate::baseline::{Aspect, Novelty};
use crate::rule::{Rule, observation::Observation};

/// A year, in days.
const YEAR: f64 = 365.0;
/// Names of kinds of destinations that open other doors.
const SECRETS: &[&str] = &["secret", "key", "parameter", "credential"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    base: f64,
    evidence: Evidence,
    floor_nothing_new: f64,
    in_window: InWindow,
    severity: BTreeMap<String, f64>,
    severity_beside_evidence: f64,
    severity_of_judgement: f64,
    young: Young,
    common: Common,
    whole_from: f64,
    routine: f64,
    act: BTreeMap<String, f64>,
    touched: Touched,
    credential: Credential,
    chain: Chain,
    signs: Signs,
    rarity: Rarity,
    habit: Habit,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    from_decades: f64,
    per_decade: f64,
    max: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InWindow {
    done: f64,
    missed: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Young {
    share: f64,
    days: f64,
    unheard_days: f64,
}

impl Young {
    /// What is left of the points of a rule that learns who does such things, after so many days.
    fn share(&self, watched_days: f64) -> f64 {
        self.share + (1.0 - self.share) * (watched_days / self.days).clamp(0.0, 1.0)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    of_budget: f64,
    share: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Touched {
    secret: f64,
    production: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    revoked: f64,
    expired: f64,
    superseded: f64,
    overdue: f64,
    older_than_a_year: f64,
    borrowed: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    evidence_min: f64,
    per_tactic: f64,
    max: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signs {
    per_sign: f64,
    max: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rarity {
    of_surprise: f64,
    from_share: f64,
    per_doubling: f64,
    off_max: f64,
    on_max: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Habit {
    of_surprise: f64,
    per_time: f64,
    max: f64,
}

#[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| yaml_serde::from_str(include_str!("weights.yml")).expect("weights.yml holds"));
/// The points of each class of acts, in the order of the classes; none where it has none.
static ACT: LazyLock<[Option<f64>; Class::ALL.len()]> = LazyLock::new(|| Class::ALL.map(|class| WEIGHTS.act.get(class.as_str()).copied()));
/// The points of each severity, in the order of severities.
static SEVERITY: LazyLock<Vec<f64>> =
    LazyLock::new(|| Severity::ALL.iter().map(|severity| WEIGHTS.severity.get(severity.as_str()).copied().unwrap_or_default()).collect());

/// What one detection brings to the rank: the points of its event, and what they are for. The highest of each counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Signals {
    evidence: Signal,
    act: Signal,
    touched: Signal,
    credential: Signal,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Signal {
    points: f64,
    /// Shared with every rank that is made of it.
    why: Arc<str>,
}

impl Signal {
    fn raise(&mut self, points: f64, why: impl FnOnce() -> String) {
        if points > self.points {
            *self = Self { points, why: why().into() };
        }
    }
}

impl Signals {
    /// Takes an event that `rule` matched. `kind` is the detection's.
    pub fn take(&mut self, o: &Observation<'_>, rule: &Rule, kind: FindingKind, standing: Standing) {
        let weights = &*WEIGHTS;
        let severity = SEVERITY.get(rule.severity as usize).copied().unwrap_or_default();
        let severity = if standing == Standing::Young { severity * weights.young.share(f64::from(o.observed.watched_days)) } else { severity };
        let (points, why): (f64, &dyn Fn() -> String) = match p_value(o, kind) {
            Some(p) => {
                let decades = (-p.max(1e-300).log10() - weights.evidence.from_decades).max(0.0);
                let points = (decades * weights.evidence.per_decade).min(weights.evidence.max) + severity * weights.severity_beside_evidence;
                let (points, on_floor) = if is_old_on_the_floor(o) { (points * weights.floor_nothing_new, ", no command that is new") } else { (points, "") };
                (points, &move || format!("{}: p = {p:.1e}, {}{on_floor}", rule.id, rule.severity))
            }
            None if rule.meta.sign => (severity * weights.severity_beside_evidence, &|| format!("{}: a sign of {} severity", rule.id, rule.severity)),
            None if standing == Standing::Common => {
                (severity * weights.common.share, &|| format!("{}: of {} severity, and said of many here", rule.id, rule.severity))
            }
            None if standing == Standing::Young => (severity * weights.severity_of_judgement, &|| {
                format!("{}: of {} severity, where it is not known yet who does such things", rule.id, rule.severity)
            }),
            None if is_judgement(rule) => {
                let share = weights.severity_of_judgement * if is_old_on_the_floor(o) { weights.floor_nothing_new } else { 1.0 };
                (severity * share, &|| format!("{}: a judgement of {} severity", rule.id, rule.severity))
            }
            None => (severity, &|| format!("{}: a fact of {} severity", rule.id, rule.severity)),
        };
        match o.window() {
            None => self.evidence.raise(points, why),
            Some(window) => {
                let share = if o.absence.is_some() { weights.in_window.missed } else { weights.in_window.done };
                self.evidence.raise(points * share, || format!("{}, within the declared window {:?}", why(), window.name.as_str()));
            }
        }
        if o.absence.is_some() {
            return;
        }
        self.take_act(o, weights);
        self.take_credential(o, weights);
    }

    fn take_act(&mut self, o: &Observation<'_>, weights: &Weights) {
        // What it does to the same things on most days says little of what is going on.
        let known = o.baseline.is_some_and(|baseline| baseline.score(Aspect::Destination).novelty == Novelty::Known);
        let usual = if known && o.is_routine() { weights.routine } else { 1.0 };
        let class = o.classed.class;
        if let Some(points) = ACT.get(class as usize).copied().flatten() {
            self.act.raise(points * usual, || format!("{}: {}", class.as_str(), o.event.action.as_deref().unwrap_or_default()));
        }
        let secret = o.event.destination_kind.as_deref().is_some_and(|kind| SECRETS.contains(&kind));
        let production = o.event.environment.as_deref().is_some_and(|name| name.as_bytes().get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"prod")));
        let points = if secret { weights.touched.secret * usual } else { 0.0 } + if production { weights.touched.production } else { 0.0 };
        self.touched.raise(points, || {
            let what = match (secret, production) {
                (true, true) => "a secret of production",
                (true, false) => "a secret",
                _ => "production",
            };
            format!("{what}: {}", o.event.destination.as_deref().unwrap_or_default())
        });
    }

    fn take_credential(&mut self, o: &Observation<'_>, weights: &Weights) {
        let facts = &o.observed.credential;
        if o.event.credential.is_none() {
            return;
        }
        let mut parts = Vec::new();
        match facts.state {
            CredentialState::Revoked => parts.push((weights.credential.revoked, "revoked")),
            CredentialState::Expired => parts.push((weights.credential.expired, "expired")),
            CredentialState::Superseded => parts.push((weights.credential.superseded, "superseded")),
            CredentialState::Active | CredentialState::Unknown => {}
        }
        if facts.age_over_policy {
            parts.push((weights.credential.overdue, "overdue"));
        }
        if facts.age_days.is_some_and(|age| age >= YEAR) {
            parts.push((weights.credential.older_than_a_year, "older than a year"));
        }
        if facts.chain_depth >= 2 {
            parts.push((weights.credential.borrowed, "obtained through several others"));
        }
        let points = parts.iter().map(|(points, _)| points).sum();
        self.credential.raise(points, || parts.iter().map(|(_, what)| *what).collect::<Vec<_>>().join(", "));
    }
}

/// A command on the floor of a plant of a class that the identity gave before, and that changes nothing in a controller that it never changed.
fn is_old_on_the_floor(o: &Observation<'_>) -> bool {
    o.floor.is_some_and(|floor| !(floor.first || o.classed.command.controls() && floor.first_here))
}

/// The calibrated probability that speaks for a detection of this kind; none for facts.
#[must_use]
pub fn p_value(o: &Observation<'_>, kind: FindingKind) -> Option<f64> {
    match (kind, o.absence) {
        (_, Some(absence)) => Some(absence.p_value),
        (FindingKind::Policy | FindingKind::Posture, None) => None,
        _ => o.baseline.map(|baseline| baseline.p_value),
    }
}

/// How much a rule that states facts is worth here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Standing {
    /// As much as its author says.
    #[default]
    Usual,
    /// It learns who does such things, and that is not known yet: it makes judgements.
    Young,
    /// It speaks of so many that it alone would take up what a person reads: it makes judgements.
    Common,
}

impl Standing {
    /// Of a rule that `heard` says whether it spoke of somebody here before, and of how many a day of late, where `per_day` are read. The worst, and what the operator
    /// declared, are facts however often they come.
    #[must_use]
    pub fn of(rule: &Rule, o: &Observation<'_>, heard: bool, a_day: f64, per_day: f64) -> Self {
        let days = if heard { WEIGHTS.young.days } else { WEIGHTS.young.unheard_days };
        match rule.severity {
            Severity::Critical => Self::Usual,
            _ if rule.meta.learns && f64::from(o.observed.watched_days) < days => Self::Young,
            _ if !is_judgement(rule) && rule.meta.budgeted.is_none() && per_day > 0.0 && a_day > per_day * WEIGHTS.common.of_budget => Self::Common,
            _ => Self::Usual,
        }
    }
}

/// Whether a rule makes judgements, which have a budget, or states facts, which always pass.
#[must_use]
pub fn is_judgement(rule: &Rule) -> bool {
    rule.meta.budgeted.unwrap_or(rule.meta.kind != FindingKind::Policy || rule.severity < Severity::High)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_severity_has_points() {
        for severity in Severity::ALL {
            assert!(WEIGHTS.severity.contains_key(severity.as_str()), "{severity}");
        }
    }
}
