//! How good is what was found: alerts against labels. Pure: no I/O, no clock.
//!
//! An *alert* is what a person would read: a finding with its detections, or the line of another detector. An attack is *found* when an alert
//! names one of its identities and one of the alert's parts falls into its time; it is found *with its own evidence* when a part holds one of
//! the attack's own events. [`metric`] holds the numbers, [`comparator`] the simple detectors to compare with, [`plot`] the picture.

pub mod alert;
pub mod comparator;
pub mod label;
pub mod matching;
pub mod metric;
pub mod plot;
pub mod report;

use std::collections::{BTreeMap, BTreeSet};

use keytrail_schemas::Micros;

pub use alert::{Alert, Part};
pub use label::{Decoy, Label};

/// How many of each day's best alerts somebody reads.
pub const TOP: [usize; 5] = [1, 2, 3, 5, 10];

/// What became of an attack.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Which label.
    pub label: usize,
    /// The first alert about it (its index), and how long after the attack's first record it told.
    pub first: Option<(usize, i64)>,
    /// The same, of alerts whose evidence holds one of the attack's own events.
    pub with_evidence: Option<(usize, i64)>,
    /// How many alerts there were about it.
    pub alerts: usize,
}

/// The score of a set of alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Every attack, in the labels' order.
    pub outcomes: Vec<Outcome>,
    /// For each alert the attacks that it tells of.
    pub tells: Vec<Vec<usize>>,
    /// The alerts, best first.
    pub queue: Vec<usize>,
    /// Length of the period in days.
    pub days: f64,
    /// Average precision of the queue; see [`queue_average_precision`].
    pub average_precision: f64,
    /// Recall when each day's `k` best alerts are read, for each `k` of [`TOP`].
    pub recall_in_top: Vec<(usize, f64)>,
    /// Alerts that are about no attack, by rule, and how many of those fall on which benign commotion.
    pub unmatched: BTreeMap<String, (usize, BTreeMap<String, usize>)>,
}

impl Score {
    /// Attacks found.
    pub fn found(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.first.is_some()).count()
    }

    /// Attacks found with one of their own events in the evidence.
    pub fn found_with_evidence(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.with_evidence.is_some()).count()
    }

    /// The share of attacks that were found.
    pub fn recall(&self) -> f64 {
        ratio(self.found(), self.outcomes.len())
    }

    /// The share of alerts that tell of an attack.
    pub fn precision(&self) -> f64 {
        ratio(self.tells.len() - self.unmatched_total(), self.tells.len())
    }

    /// Alerts that are about no attack.
    pub fn unmatched_total(&self) -> usize {
        self.tells.iter().filter(|labels| labels.is_empty()).count()
    }

    /// Times from an attack's first record to the first alert about it, sorted.
    pub fn delays(&self) -> Vec<i64> {
        let mut delays: Vec<_> = self.outcomes.iter().filter_map(|outcome| outcome.first.map(|(_, delay)| delay)).collect();
        delays.sort_unstable();
        delays
    }
}

/// `n` of `of`; nothing of nothing is nothing.
pub fn ratio(n: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

/// Compares alerts with what happened between `start` and `end`.
pub fn score(labels: &[Label], decoys: &[Decoy], alerts: &[Alert], start: Micros, end: Micros) -> Score {
    let mut tells = vec![Vec::new(); alerts.len()];
    let mut outcomes: Vec<_> = (0..labels.len()).map(|label| Outcome { label, first: None, with_evidence: None, alerts: 0 }).collect();
    for (index, alert) in alerts.iter().enumerate() {
        for (label, outcome) in labels.iter().zip(&mut outcomes) {
            let Some(told) = matching::told(alert, label) else { continue };
            tells[index].push(outcome.label);
            outcome.alerts += 1;
            earliest(&mut outcome.first, index, told, label);
            if let Some(told) = matching::told_with_evidence(alert, label) {
                earliest(&mut outcome.with_evidence, index, told, label);
            }
        }
    }
    let queue = queue(alerts);
    let unmatched = unmatched(alerts, &tells, decoys);
    let average_precision = queue_average_precision(&queue, &tells, labels.len());
    let recall_in_top = TOP.iter().map(|k| (*k, recall_in_top(*k, &queue, alerts, labels, &tells))).collect();
    Score { outcomes, tells, queue, days: end.days_since(start).max(f64::MIN_POSITIVE), average_precision, recall_in_top, unmatched }
}

fn earliest(slot: &mut Option<(usize, i64)>, index: usize, told: Micros, label: &Label) {
    let delay = (told.0 - label.start.0).max(0);
    if slot.is_none_or(|(_, before)| delay < before) {
        *slot = Some((index, delay));
    }
}

/// Alerts by score, best first; those of one score by severity, then the earlier one first. Without a score an alert comes last.
fn queue(alerts: &[Alert]) -> Vec<usize> {
    let mut queue: Vec<_> = (0..alerts.len()).collect();
    let key = |i: usize| {
        let alert = &alerts[i];
        (alert.score.unwrap_or(f64::NEG_INFINITY), alert.severity)
    };
    queue.sort_by(|a, b| {
        let ((score_a, severity_a), (score_b, severity_b)) = (key(*a), key(*b));
        score_b.total_cmp(&score_a).then(severity_b.cmp(&severity_a)).then(alerts[*a].time.cmp(&alerts[*b].time))
    });
    queue
}

/// Average precision of a queue that is read from its best alert on: the mean over all attacks of the precision at the place where each is
/// first told of; an attack that no alert tells of counts as nothing. A further alert about a known attack is not wrong, but finds nothing.
pub fn queue_average_precision(queue: &[usize], tells: &[Vec<usize>], attacks: usize) -> f64 {
    let (mut known, mut right, mut sum) = (BTreeSet::new(), 0, 0.0);
    for (place, alert) in queue.iter().enumerate() {
        right += usize::from(!tells[*alert].is_empty());
        let new = tells[*alert].iter().filter(|label| known.insert(**label)).count();
        sum += new as f64 * right as f64 / (place + 1) as f64;
    }
    if attacks == 0 { 0.0 } else { sum / attacks as f64 }
}

/// The share of attacks that somebody knows of who reads the `k` best alerts of each day (UTC), on the day on which each is told.
fn recall_in_top(k: usize, queue: &[usize], alerts: &[Alert], labels: &[Label], tells: &[Vec<usize>]) -> f64 {
    let mut read: BTreeMap<i64, usize> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for index in queue {
        let alert = &alerts[*index];
        let told = tells[*index].iter().filter_map(|label| labels.get(*label).and_then(|label| matching::told(alert, label))).min();
        let slot = read.entry(told.unwrap_or(alert.time).day()).or_insert(0);
        if *slot < k {
            *slot += 1;
            known.extend(tells[*index].iter().copied());
        }
    }
    ratio(known.len(), labels.len())
}

fn unmatched(alerts: &[Alert], tells: &[Vec<usize>], decoys: &[Decoy]) -> BTreeMap<String, (usize, BTreeMap<String, usize>)> {
    let mut unmatched: BTreeMap<String, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    for (alert, _) in alerts.iter().zip(tells).filter(|(_, labels)| labels.is_empty()) {
        let (count, on) = unmatched.entry(alert.rule.clone()).or_default();
        *count += 1;
        if let Some(decoy) = decoys.iter().find(|decoy| matching::falls_on(alert, decoy)) {
            *on.entry(decoy.what.clone()).or_insert(0) += 1;
        }
    }
    unmatched
}

#[cfg(test)]
mod score_test;
