//! Rank: one number from 0 to 100 that orders a queue of findings whatever their kind, as a sum of parts that can be read.
//!
//! The points are data (`weights.yml`, with a reason for each). [`triage`] knows how common a rule is here and what is a habit of an
//! identity; [`line`] says from which rank on a judgement is read, so that a day holds as many as a person can.

pub mod line;
pub mod triage;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use keytrail_schemas::{CredentialState, FindingKind, Severity};
use serde::{Deserialize, Serialize};

use crate::baseline::{Aspect, Novelty};
use crate::rule::{
    Rule,
    observation::{Field, Observation, field},
};

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
    severity: BTreeMap<String, f64>,
    severity_beside_evidence: f64,
    severity_of_judgement: f64,
    young: Young,
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
struct Young {
    share: f64,
    days: f64,
}

impl Young {
    /// What is left of the points of a rule that learns who does such things, after so many days.
    fn share(&self, watched_days: f64) -> f64 {
        self.share + (1.0 - self.share) * (watched_days / self.days).clamp(0.0, 1.0)
    }
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
static ACTION_CLASS: LazyLock<Option<Field>> = LazyLock::new(|| field("action.class"));

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
    why: String,
}

impl Signal {
    fn raise(&mut self, points: f64, why: impl FnOnce() -> String) {
        if points > self.points {
            *self = Self { points, why: why() };
        }
    }
}

impl Signals {
    /// Takes an event that `rule` matched. `kind` is the detection's.
    pub fn take(&mut self, o: &Observation<'_>, rule: &Rule, kind: FindingKind) {
        let weights = &*WEIGHTS;
        let severity = weights.severity.get(rule.severity.as_str()).copied().unwrap_or_default();
        let severity = if is_young(rule, o) { severity * weights.young.share(f64::from(o.observed.watched_days)) } else { severity };
        let p_value = p_value(o, kind);
        match p_value {
            Some(p) => {
                let decades = (-p.max(1e-300).log10() - weights.evidence.from_decades).max(0.0);
                let points = (decades * weights.evidence.per_decade).min(weights.evidence.max) + severity * weights.severity_beside_evidence;
                let (points, on_floor) = if is_old_on_the_floor(o) { (points * weights.floor_nothing_new, ", no command that is new") } else { (points, "") };
                self.evidence.raise(points, || format!("{}: p = {p:.1e}, {}{on_floor}", rule.id, rule.severity));
            }
            None if rule.meta.sign => {
                self.evidence.raise(severity * weights.severity_beside_evidence, || format!("{}: a sign of {} severity", rule.id, rule.severity));
            }
            None if is_young(rule, o) => self.evidence.raise(severity * weights.severity_of_judgement, || {
                format!("{}: of {} severity, where it is not known yet who does such things", rule.id, rule.severity)
            }),
            None if is_judgement(rule) => {
                let share = weights.severity_of_judgement * if is_old_on_the_floor(o) { weights.floor_nothing_new } else { 1.0 };
                self.evidence.raise(severity * share, || format!("{}: a judgement of {} severity", rule.id, rule.severity));
            }
            None => self.evidence.raise(severity, || format!("{}: a fact of {} severity", rule.id, rule.severity)),
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
        if let Some(class) = ACTION_CLASS.and_then(|field| o.value(field))
            && let Some(class) = class.as_str()
            && let Some(points) = weights.act.get(class.as_ref())
        {
            self.act.raise(*points * usual, || format!("{class}: {}", o.event.action.as_deref().unwrap_or_default()));
        }
        let secret = o.event.destination_kind.as_deref().is_some_and(|kind| SECRETS.contains(&kind));
        let production = o.event.environment.as_deref().is_some_and(|environment| environment.to_ascii_lowercase().starts_with("prod"));
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

/// One detection as the rank sees it.
pub struct Sign<'a> {
    /// What its events bring.
    pub signals: &'a Signals,
    /// Its rule.
    pub rule: &'a str,
    /// Its tactic.
    pub tactic: Option<&'a str>,
    /// The hour, since 1970, of what is a surprise: surprises of one hour are one sign. None for facts and policy.
    pub surprise: Option<i64>,
    /// The rule's share of all that rules say here.
    pub share: f64,
    /// Earlier stories of the last thirty days in which it spoke of the same identity.
    pub habit: u32,
}

/// One part of a rank.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// What it is.
    pub part: &'static str,
    /// Its points.
    pub points: f64,
    /// What they are for.
    pub why: String,
}

/// A rank with the parts that it is the sum of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rank {
    /// 0 to 100.
    pub points: f64,
    /// Parts with points, in a fixed order.
    pub parts: Vec<Part>,
}

impl Rank {
    /// The parts as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.parts).unwrap_or_default()
    }
}

/// The rank of a story of these detections.
#[must_use]
pub fn of(signs: &[Sign<'_>]) -> Rank {
    let weights = &*WEIGHTS;
    // The evidence of a rule that is common here, or a habit of this identity, is worth less: the best is what is left.
    let discounted = signs.iter().map(|sign| (sign.signals.evidence.points + rarity(sign) - habit(sign), sign));
    let Some((found, best)) = discounted.reduce(|best, next| if next.0 > best.0 { next } else { best }) else { return Rank::default() };
    let mut parts = vec![Part { part: "base", points: weights.base, why: String::new() }];
    let mut add = |part, points: f64, why: String| {
        let points = tenth(points);
        if points != 0.0 {
            parts.push(Part { part, points, why });
        }
    };
    add("evidence", best.signals.evidence.points, best.signals.evidence.why.clone());
    add("rarity", rarity(best), format!("{} is {:.0} % of what is seen here", best.rule, best.share * 100.0));
    add("habit", -habit(best), format!("{} spoke of the same identity {} times in the last 30 days", best.rule, best.habit));
    // What could be done counts as far as there is evidence that anything is wrong.
    let doubt = (found / weights.whole_from).clamp(0.0, 1.0);
    for (part, of, share) in
        [("act", (|s: &Signals| &s.act) as fn(&Signals) -> &Signal, doubt), ("touched", |s| &s.touched, doubt), ("credential", |s| &s.credential, 1.0)]
    {
        if let Some(signal) = signs.iter().map(|sign| of(sign.signals)).reduce(|best, next| if next.points > best.points { next } else { best }) {
            add(part, signal.points * share, signal.why.clone());
        }
    }
    let distinct = |names: Vec<&str>| {
        let mut distinct: Vec<String> = Vec::new();
        for name in names {
            if !distinct.iter().any(|known| known == name) {
                distinct.push(name.to_owned());
            }
        }
        distinct
    };
    // A sign alone is no step of a chain.
    let certain = signs.iter().filter(|sign| sign.surprise.is_none() && sign.signals.evidence.points >= weights.chain.evidence_min);
    let tactics = distinct(certain.filter_map(|sign| sign.tactic).collect());
    add("chain", (beyond_first(tactics.len()) * weights.chain.per_tactic).min(weights.chain.max), tactics.join(" → "));
    let (mut seen, mut rules) = (Vec::new(), Vec::new());
    for sign in signs {
        let what = (sign.surprise, if sign.surprise.is_some() { "" } else { sign.rule });
        if !seen.contains(&what) {
            seen.push(what);
            rules.push(sign.rule);
        }
    }
    add("signs", (beyond_first(seen.len()) * weights.signs.per_sign).min(weights.signs.max), distinct(rules).join(", "));
    let points = tenth(parts.iter().map(|part| part.points).sum::<f64>().clamp(0.0, 100.0));
    Rank { points, parts }
}

fn rarity(sign: &Sign<'_>) -> f64 {
    let weights = &WEIGHTS.rarity;
    let points = ((weights.from_share / sign.share.max(1e-6)).log2() * weights.per_doubling).clamp(-weights.off_max, weights.on_max);
    if points < 0.0 { points * of_surprise(sign, weights.of_surprise) } else { points }
}

fn habit(sign: &Sign<'_>) -> f64 {
    (f64::from(sign.habit) * WEIGHTS.habit.per_time).min(WEIGHTS.habit.max) * of_surprise(sign, WEIGHTS.habit.of_surprise)
}

/// What is calibrated on the estate's own history has its rarity in its p-value already.
const fn of_surprise(sign: &Sign<'_>, share: f64) -> f64 {
    if sign.surprise.is_some() { share } else { 1.0 }
}

#[expect(clippy::cast_precision_loss, reason = "there are few detections in a story")]
fn beyond_first(count: usize) -> f64 {
    count.saturating_sub(1) as f64
}

/// Rounded to a tenth: what a person reads, and what survives JSON.
fn tenth(points: f64) -> f64 {
    (points * 10.0).round() / 10.0
}

/// Whether a rule that learns who does such things judges an estate in which that is not known yet: what it says is a judgement then.
#[must_use]
pub fn is_young(rule: &Rule, o: &Observation<'_>) -> bool {
    rule.meta.learns && rule.severity < Severity::Critical && f64::from(o.observed.watched_days) < WEIGHTS.young.days
}

/// Whether a rule makes judgements, which have a budget, or states facts, which always pass.
#[must_use]
pub fn is_judgement(rule: &Rule) -> bool {
    rule.meta.budgeted.unwrap_or(rule.meta.kind != FindingKind::Policy || rule.severity < Severity::High)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(evidence: f64) -> Signals {
        Signals { evidence: Signal { points: evidence, why: "w".to_owned() }, ..Signals::default() }
    }

    fn sign<'a>(signals: &'a Signals, rule: &'a str, tactic: Option<&'a str>) -> Sign<'a> {
        Sign { signals, rule, tactic, surprise: None, share: 0.05, habit: 0 }
    }

    #[test]
    fn a_rank_is_the_sum_of_its_parts() {
        let (a, b) = (signals(30.0), signals(12.0));
        let rank = of(&[sign(&a, "one", Some("discovery")), sign(&b, "two", Some("impact")), sign(&b, "two", None)]);
        assert_eq!(rank.points, tenth(rank.parts.iter().map(|part| part.points).sum()));
        assert_eq!(rank.points, 10.0 + 30.0 + 6.0 + 3.0);
        assert!(of(&[sign(&a, "one", None)]).points < rank.points);
        assert_eq!(of(&[]).points, 0.0);
    }

    #[test]
    fn surprises_of_one_hour_are_one_sign_and_no_chain() {
        let a = signals(20.0);
        let at = |hour, rule, tactic| Sign { surprise: Some(hour), ..sign(&a, rule, Some(tactic)) };
        assert_eq!(of(&[at(7, "one", "discovery"), at(7, "two", "impact"), at(7, "three", "collection")]).points, 10.0 + 20.0);
        assert_eq!(of(&[at(7, "one", "discovery"), at(9, "one", "impact")]).points, 10.0 + 20.0 + 3.0);
    }

    #[test]
    fn what_is_common_or_a_habit_counts_less_and_another_rule_may_be_the_best_then() {
        let (a, b) = (signals(36.0), signals(20.0));
        let common = Sign { share: 0.05 * 16.0, ..sign(&a, "noisy", None) };
        assert_eq!(of(&[common]).points, 10.0 + 36.0 - 16.0);
        let both = of(&[Sign { habit: 3, ..sign(&a, "noisy", None) }, sign(&b, "rare", None)]);
        assert_eq!(both.points, 10.0 + 20.0 + 3.0);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let high = Signals { act: Signal { points: 500.0, why: String::new() }, ..signals(500.0) };
        assert_eq!(of(&[sign(&high, "r", None)]).points, 100.0);
        let low = Sign { share: 1.0, habit: 9, ..sign(&high, "r", None) };
        assert!((0.0..=100.0).contains(&of(&[low]).points));
    }

    #[test]
    fn every_severity_has_points() {
        for severity in Severity::ALL {
            assert!(WEIGHTS.severity.contains_key(severity.as_str()), "{severity}");
        }
    }
}
