//! The score as text for a person, and as rows for a program.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::matching::{span, why_missed};
use super::{Alert, Label, Score, metric, ratio};

/// A named number.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Row {
    /// Whose: `keytrail`, or a comparator.
    pub detector: String,
    /// What was measured.
    pub metric: String,
    /// The number.
    pub value: f64,
    /// For a person.
    pub detail: String,
}

/// Every number of a score.
pub fn rows(detector: &str, score: &Score, alerts: &[Alert]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut push = |metric: &str, value: f64, detail: String| rows.push(Row { detector: detector.to_owned(), metric: metric.to_owned(), value, detail });
    let attacks = score.outcomes.len();
    push("attacks", attacks as f64, String::new());
    push("findings", alerts.len() as f64, String::new());
    push("recall", score.recall(), format!("{} of {attacks}", score.found()));
    push(
        "recall_with_evidence",
        ratio(score.found_with_evidence(), attacks),
        format!("{} of {attacks}: one of the attack's own events is in the evidence", score.found_with_evidence()),
    );
    push("precision", score.precision(), format!("{} of {} are about an attack", alerts.len() - score.unmatched_total(), alerts.len()));
    push("average_precision", score.average_precision, String::from("of the queue, best first; an attack that nothing tells of counts as 0"));
    let scores: Vec<_> = alerts.iter().map(|alert| alert.score.unwrap_or(f64::NEG_INFINITY)).collect();
    let truth: Vec<_> = score.tells.iter().map(|labels| !labels.is_empty()).collect();
    push("ranking_area_under_curve", metric::area_under_curve(&scores, &truth), String::from("a finding about an attack scores above one about none"));
    push("ranking_average_precision", metric::average_precision(&scores, &truth), String::from("of findings, missed attacks left out"));
    push("without_score", alerts.iter().filter(|alert| alert.score.is_none()).count() as f64, String::from("findings that come last for want of a score"));
    for (k, recall) in &score.recall_in_top {
        push(&format!("recall_in_top_{k}_a_day"), *recall, String::new());
    }
    push("findings_a_day", alerts.len() as f64 / score.days, String::new());
    push("unmatched_a_day", score.unmatched_total() as f64 / score.days, String::new());
    let delays = score.delays();
    for (name, share) in [("median", 0.5), ("p90", 0.9)] {
        if let Some(delay) = metric::quantile(&delays, share) {
            push(&format!("time_to_detect_{name}_s"), delay as f64 / 1e6, span(delay));
        }
    }
    rows
}

/// One line an attack kind, then what was missed and why, then what was read in vain.
pub fn attacks(score: &Score, labels: &[Label], alerts: &[Alert]) -> String {
    let mut out = String::new();
    let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, label) in labels.iter().enumerate() {
        kinds.entry(&label.attack).or_default().push(index);
    }
    // Writing to a string does not fail.
    let _ = writeln!(out, "{:<29} {:>7} {:>9} {:>9}  first told by", "attack", "found", "evidence", "after");
    for (kind, of) in &kinds {
        let found: Vec<_> = of.iter().filter_map(|i| score.outcomes[*i].first).collect();
        let evidence = of.iter().filter(|i| score.outcomes[**i].with_evidence.is_some()).count();
        let mut delays: Vec<_> = found.iter().map(|(_, delay)| *delay).collect();
        delays.sort_unstable();
        let after = metric::quantile(&delays, 0.5).map_or_else(|| String::from("-"), span);
        let title = found.first().and_then(|(alert, _)| alerts.get(*alert)).map_or("-", |alert| alert.title.as_str());
        let _ = writeln!(out, "{kind:<29} {:>3} / {:<2}{evidence:>9} {after:>10}  {}", found.len(), of.len(), clip(title, 80));
    }
    let _ = writeln!(out, "{:<29} {:>3} / {:<2}{:>9}", "all", score.found(), labels.len(), score.found_with_evidence());
    let missed: Vec<_> = score.outcomes.iter().filter(|outcome| outcome.first.is_none()).filter_map(|outcome| labels.get(outcome.label)).collect();
    if !missed.is_empty() {
        let _ = writeln!(out, "\nmissed");
    }
    for label in missed {
        let variant = if label.variant.is_empty() { String::new() } else { format!(" ({})", label.variant) };
        let start = label.start.to_rfc3339();
        let who = label.identities.first().map_or("?", String::as_str);
        let _ = writeln!(out, "  {} {}{variant} on {who}: {}", start.get(..16).unwrap_or_default(), label.attack, why_missed(label, alerts));
    }
    out
}

/// What was read in vain, by rule.
pub fn in_vain(score: &Score, alerts: &[Alert], lines: usize) -> String {
    let mut out = String::new();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for alert in alerts {
        *kinds.entry(&alert.kind).or_insert(0) += 1;
    }
    let split: Vec<_> = kinds.iter().filter(|(kind, _)| !kind.is_empty()).map(|(kind, n)| format!("{:.1} {kind}", *n as f64 / score.days)).collect();
    let _ = writeln!(
        out,
        "{:.1} findings a day ({}); {} of {} are about no attack, {:.1} a day",
        alerts.len() as f64 / score.days,
        split.join(", "),
        score.unmatched_total(),
        alerts.len(),
        score.unmatched_total() as f64 / score.days
    );
    let mut rules: Vec<_> = score.unmatched.iter().collect();
    rules.sort_by_key(|(rule, (count, _))| (std::cmp::Reverse(*count), rule.as_str()));
    for (rule, (count, decoys)) in rules.into_iter().take(lines) {
        let on: Vec<_> = decoys.iter().map(|(what, n)| format!("{n} {}", what.replace('_', " "))).collect();
        let _ = writeln!(out, "  {count:>4} {rule}{}", if on.is_empty() { String::new() } else { format!(" (of these {})", on.join(", ")) });
    }
    out
}

/// The queue as a person reads it, best first: rank, when, who, what; and, for those who know, what it really was.
pub fn queue(score: &Score, labels: &[Label], alerts: &[Alert], lines: usize) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{:>4}  {:>5}  {:<16} {:<46} {:<60} in truth", "", "rank", "when", "who", "what");
    for (place, index) in score.queue.iter().take(lines).enumerate() {
        let Some(alert) = alerts.get(*index) else { continue };
        let truth: Vec<_> = score.tells.get(*index).into_iter().flatten().filter_map(|label| labels.get(*label)).map(|label| label.attack.as_str()).collect();
        let rank = alert.score.map_or_else(|| String::from("-"), |rank| format!("{rank:.1}"));
        let when = alert.time.to_rfc3339();
        let more = if alert.parts.len() > 1 { format!(" (+{})", alert.parts.len() - 1) } else { String::new() };
        let _ = writeln!(
            out,
            "{:>4}  {rank:>5}  {:<16} {:<46} {:<60} {}",
            place + 1,
            when.get(..16).unwrap_or_default().replace('T', " "),
            clip(alert.identities.first().map_or("", String::as_str), 46),
            clip(&format!("{}{more}", alert.title), 60),
            if truth.is_empty() { String::from("nothing") } else { truth.join(", ") }
        );
    }
    out
}

fn clip(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars { text.to_owned() } else { text.chars().take(chars - 1).chain(['…']).collect() }
}
