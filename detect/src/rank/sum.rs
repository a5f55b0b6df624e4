//! The sum that a rank is: which part brings how many points, and what for. Most ranks are only held against the line, and read by nobody: what a part is for
//! is put into words when somebody asks.

use std::sync::Arc;

use keytrail_schemas::Text;
use serde::{Serialize, Serializer};

use super::triage::Shares;
use super::{Signal, Signals, WEIGHTS};

/// One detection as the rank sees it.
pub struct Sign<'a> {
    /// What its events bring.
    pub signals: &'a Signals,
    /// Its rule.
    pub rule: &'a Text,
    /// A number for the rule, by which it is told from others.
    pub number: u64,
    /// Its tactic.
    pub tactic: Option<&'a Text>,
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
    pub why: Why,
}

/// What the points of a part are for.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// There is nothing to say.
    Itself,
    /// As the detection says it.
    Said(Arc<str>),
    /// A rule's share of what is seen here.
    Share(Text, f64),
    /// How often a rule spoke of the same identity.
    Spoke(Text, u32),
    /// Names in their order, and what stands between them.
    Names(Vec<Text>, &'static str),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Itself => Ok(()),
            Self::Said(text) => f.write_str(text),
            Self::Share(rule, share) => write!(f, "{rule} is {:.0} % of what is seen here", share * 100.0),
            Self::Spoke(rule, times) => write!(f, "{rule} spoke of the same identity {times} times in the last 30 days"),
            Self::Names(names, between) => names.iter().enumerate().try_for_each(|(at, name)| {
                f.write_str(if at == 0 { "" } else { between })?;
                f.write_str(name)
            }),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
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

/// Parts that a rank can have.
const PARTS_MAX: usize = 9;

/// Memory for adding up, used again and again. Places are those of signs.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// Shares that were asked for.
    pub shares: Shares,
    tactics: Vec<usize>,
    seen: Vec<(Option<i64>, u64)>,
    rules: Vec<usize>,
}

impl Rank {
    /// Becomes the rank of a story of these detections.
    pub fn take(&mut self, signs: &[Sign<'_>], scratch: &mut Scratch) {
        let Self { points, parts } = self;
        parts.clear();
        parts.reserve_exact(PARTS_MAX);
        *points = sum(signs, scratch, |part, points, why| parts.push(Part { part, points, why: why() }));
    }
}

/// The points of that rank alone.
#[must_use]
pub fn points(signs: &[Sign<'_>], scratch: &mut Scratch) -> f64 {
    sum(signs, scratch, |_, _, _| ())
}

/// Adds up, and gives `each` the parts with points.
fn sum(signs: &[Sign<'_>], scratch: &mut Scratch, mut each: impl FnMut(&'static str, f64, &dyn Fn() -> Why)) -> f64 {
    let weights = &*WEIGHTS;
    // The evidence of a rule that is common here, or a habit of this identity, is worth less: the best is what is left.
    let discounted = signs.iter().map(|sign| (sign.signals.evidence.points + rarity(sign) - habit(sign), sign));
    let Some((found, best)) = discounted.reduce(|best, next| if next.0 > best.0 { next } else { best }) else { return 0.0 };
    let mut total = weights.base;
    each("base", weights.base, &|| Why::Itself);
    let mut add = |part, points: f64, why: &dyn Fn() -> Why| {
        let points = tenth(points);
        if points != 0.0 {
            total += points;
            each(part, points, why);
        }
    };
    add("evidence", best.signals.evidence.points, &|| Why::Said(best.signals.evidence.why.clone()));
    add("rarity", rarity(best), &|| Why::Share(best.rule.clone(), best.share));
    add("habit", -habit(best), &|| Why::Spoke(best.rule.clone(), best.habit));
    // What could be done counts as far as there is evidence that anything is wrong.
    let doubt = (found / weights.whole_from).clamp(0.0, 1.0);
    for (part, of, share) in
        [("act", (|s: &Signals| &s.act) as fn(&Signals) -> &Signal, doubt), ("touched", |s| &s.touched, doubt), ("credential", |s| &s.credential, 1.0)]
    {
        if let Some(signal) = signs.iter().map(|sign| of(sign.signals)).reduce(|best, next| if next.points > best.points { next } else { best }) {
            add(part, signal.points * share, &|| Why::Said(signal.why.clone()));
        }
    }
    // One detection is no chain, and no sign beside others.
    if signs.len() < 2 {
        return tenth(total.clamp(0.0, 100.0));
    }
    // A sign alone is no step of a chain.
    let Scratch { tactics, seen, rules, .. } = scratch;
    tactics.clear();
    seen.clear();
    rules.clear();
    let tactic = |at: usize| signs.get(at).and_then(|sign| sign.tactic);
    for (at, sign) in signs.iter().enumerate() {
        let certain = sign.surprise.is_none() && sign.signals.evidence.points >= weights.chain.evidence_min;
        if certain && sign.tactic.is_some() && !tactics.iter().any(|known| tactic(*known) == sign.tactic) {
            tactics.push(at);
        }
        let what = (sign.surprise, if sign.surprise.is_some() { 0 } else { sign.number });
        if !seen.contains(&what) {
            seen.push(what);
            rules.push(at);
        }
    }
    let chain = (beyond_first(tactics.len()) * weights.chain.per_tactic).min(weights.chain.max);
    add("chain", chain, &|| Why::Names(tactics.iter().filter_map(|at| tactic(*at)).cloned().collect(), " → "));
    let points = (beyond_first(seen.len()) * weights.signs.per_sign).min(weights.signs.max);
    add("signs", points, &|| Why::Names(distinct(rules.iter().filter_map(|at| signs.get(*at)).map(|sign| sign.rule)), ", "));
    tenth(total.clamp(0.0, 100.0))
}

/// Each name once, in the order of its first place.
fn distinct<'a>(names: impl Iterator<Item = &'a Text>) -> Vec<Text> {
    let mut distinct: Vec<Text> = Vec::new();
    for name in names {
        if !distinct.contains(name) {
            distinct.push(name.clone());
        }
    }
    distinct
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::distinct::hash_of;

    fn of(signs: &[Sign<'_>]) -> Rank {
        let (mut rank, mut scratch) = (Rank::default(), Scratch::default());
        rank.take(signs, &mut scratch);
        assert_eq!(points(signs, &mut scratch), rank.points);
        rank
    }

    fn signals(evidence: f64) -> Signals {
        Signals { evidence: Signal { points: evidence, why: "w".into() }, ..Signals::default() }
    }

    /// Names live as long as the test.
    fn named(name: &str) -> &'static Text {
        Box::leak(Box::new(Text::from(name)))
    }

    fn sign<'a>(signals: &'a Signals, rule: &str, tactic: Option<&str>) -> Sign<'a> {
        Sign { signals, rule: named(rule), number: hash_of(rule), tactic: tactic.map(named), surprise: None, share: 0.05, habit: 0 }
    }

    #[test]
    fn a_rank_is_the_sum_of_its_parts() {
        let (a, b) = (signals(30.0), signals(12.0));
        let rank = of(&[sign(&a, "one", Some("discovery")), sign(&b, "two", Some("impact")), sign(&b, "two", None)]);
        let whys: Vec<String> = rank.parts.iter().map(|part| part.why.to_string()).collect();
        assert_eq!(whys, ["", "w", "discovery → impact", "one, two"]);
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
        let high = Signals { act: Signal { points: 500.0, why: "".into() }, ..signals(500.0) };
        assert_eq!(of(&[sign(&high, "r", None)]).points, 100.0);
        let low = Sign { share: 1.0, habit: 9, ..sign(&high, "r", None) };
        assert!((0.0..=100.0).contains(&of(&[low]).points));
    }
}
