//! Findings against labels: what was found and how soon, what was missed, and how much an analyst would have had to read.
//! Pure: no I/O, no clock.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use keytrail_estate::{Decoy, Label};
use keytrail_schemas::{Finding, FindingKind, Micros};

/// How far outside of an attack's records a finding's evidence may lie: baselines judge whole hours.
pub const SLACK: i64 = Micros::HOUR;

/// The finding that gave an attack away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its id.
    pub finding_id: String,
    /// Its rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// Microseconds from the attack's first record to the finding; 0 when it was opened with that record.
    pub delay: i64,
}

/// What became of an attack.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The attack.
    pub label: Label,
    /// The first finding about it.
    pub first: Option<Hit>,
    /// How many findings there were about it.
    pub findings: usize,
    /// Why it was missed, as far as findings tell.
    pub why_missed: Option<String>,
}

/// Findings that are about no attack, of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FalseFindings {
    /// How many.
    pub count: usize,
    /// How many of them fall on benign commotion, by what it was.
    pub decoys: BTreeMap<String, usize>,
}

/// The score.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Every attack, in the labels' order.
    pub outcomes: Vec<Outcome>,
    /// Findings that are about no attack, by rule.
    pub false_findings: BTreeMap<String, FalseFindings>,
    /// All findings, by kind.
    pub by_kind: BTreeMap<&'static str, usize>,
    /// Of the first three findings of each day by rank: how many are about an attack, and how many there are.
    pub top_three: (usize, usize),
    /// Attacks that one of them tells of.
    pub found_in_top_three: usize,
    /// Length of the period in days.
    pub days: f64,
}

impl Score {
    /// Attacks found.
    pub fn found(&self) -> usize {
        self.outcomes.iter().filter(|o| o.first.is_some()).count()
    }

    /// All findings.
    pub fn findings(&self) -> usize {
        self.by_kind.values().sum()
    }

    /// Findings that are about no attack.
    pub fn false_total(&self) -> usize {
        self.false_findings.values().map(|f| f.count).sum()
    }

    /// Findings a day that an analyst would have read: all, or those of one kind.
    pub fn per_day(&self, kind: Option<FindingKind>) -> f64 {
        let count = kind.map_or_else(|| self.findings(), |kind| self.by_kind.get(kind.as_str()).copied().unwrap_or(0));
        count as f64 / self.days.max(f64::MIN_POSITIVE)
    }
}

/// Compares findings (any revisions; the highest of each counts) with what happened between `start` and `end`.
///
/// An attack is found when a finding names one of its identities, alone or as a member of an incident, and tells of a detection that began
/// within the attack, by [`SLACK`]. A finding whose detections are not known must itself overlap the attack, and not have been there before.
pub fn score(labels: &[Label], decoys: &[Decoy], findings: &[Finding], start: Micros, end: Micros) -> Score {
    let mut latest: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in findings {
        let slot = latest.entry(&finding.finding_id).or_insert(finding);
        if finding.revision > slot.revision {
            *slot = finding;
        }
    }
    let mut findings: Vec<&Finding> = latest.into_values().collect();
    findings.sort_by(|a, b| (a.time, &a.finding_id).cmp(&(b.time, &b.finding_id)));

    let mut about_an_attack = vec![false; findings.len()];
    let outcomes = labels
        .iter()
        .map(|label| {
            let mut first = None;
            let mut count = 0;
            for (finding, about) in findings.iter().zip(&mut about_an_attack) {
                if tells(finding, label) {
                    *about = true;
                    count += 1;
                    first.get_or_insert_with(|| Hit {
                        finding_id: finding.finding_id.to_string(),
                        rule: finding.rule.to_string(),
                        title: finding.title.to_string(),
                        delay: (told_at(finding, label).0 - label.start.0).max(0),
                    });
                }
            }
            let why_missed = first.is_none().then(|| why(label, &findings));
            Outcome { label: label.clone(), first, findings: count, why_missed }
        })
        .collect();

    let top = top_of_days(&findings, 3);
    let top_three = (top.iter().filter(|at| about_an_attack.get(**at) == Some(&true)).count(), top.len());
    let in_top = |label: &Label| top.iter().filter_map(|at| findings.get(*at)).any(|finding| tells(finding, label));
    let found_in_top_three = labels.iter().filter(|label| in_top(label)).count();
    let mut false_findings: BTreeMap<String, FalseFindings> = BTreeMap::new();
    let mut by_kind = BTreeMap::new();
    for (finding, about) in findings.iter().zip(&about_an_attack) {
        *by_kind.entry(finding.kind.as_str()).or_insert(0) += 1;
        if !about {
            let entry = false_findings.entry(finding.rule.to_string()).or_default();
            entry.count += 1;
            if let Some(decoy) = decoys.iter().find(|decoy| falls_on(finding, decoy)) {
                *entry.decoys.entry(decoy.what.clone()).or_insert(0) += 1;
            }
        }
    }
    Score { outcomes, false_findings, by_kind, top_three, found_in_top_three, days: end.days_since(start) }
}

fn overlaps(finding: &Finding, start: keytrail_estate::Micros, end: keytrail_estate::Micros) -> bool {
    finding.first_event_time.0 <= end.0 + SLACK && finding.last_event_time.0 >= start.0 - SLACK
}

fn tells(finding: &Finding, label: &Label) -> bool {
    let tells = if finding.detections.is_empty() {
        overlaps(finding, label.start, label.end) && finding.time.0 >= label.start.0 - SLACK
    } else {
        begun_within(finding, label).next().is_some()
    };
    tells && names(finding, label)
}

/// When its detections began that did within the attack.
fn begun_within<'a>(finding: &'a Finding, label: &'a Label) -> impl Iterator<Item = Micros> + 'a {
    let acute = finding.detections.iter().filter(|detection| detection.kind != FindingKind::Posture);
    // Of an absence the last sign of life is the first event, and the time by which it was due the last.
    let begun = acute.map(|d| if d.kind == FindingKind::Absence { d.last_event_time } else { d.first_event_time });
    begun.filter(|time| time.0 >= label.start.0 - SLACK && time.0 <= label.end.0 + SLACK)
}

/// When the finding told of the attack.
fn told_at(finding: &Finding, label: &Label) -> Micros {
    begun_within(finding, label).min().map_or(finding.time, |time| time.max(finding.time))
}

/// The places of the first `count` findings of each day, by rank.
fn top_of_days(findings: &[&Finding], count: usize) -> Vec<usize> {
    let mut days: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, finding) in findings.iter().enumerate() {
        days.entry(finding.time.day()).or_default().push(at);
    }
    let rank = |at: &usize| findings.get(*at).and_then(|finding| finding.score).unwrap_or_default();
    days.into_values()
        .flat_map(|mut day| {
            day.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
            day.truncate(count);
            day
        })
        .collect()
}

fn names(finding: &Finding, label: &Label) -> bool {
    std::iter::once(&label.identity).chain(&label.also).any(|who| std::iter::once(&finding.identity).chain(&finding.members).any(|id| is_same(who, id)))
}

fn falls_on(finding: &Finding, decoy: &Decoy) -> bool {
    overlaps(finding, decoy.start, decoy.end)
        && (decoy.identities.is_empty()
            || decoy.identities.iter().any(|who| is_same(who, &finding.identity) || finding.members.iter().any(|m| is_same(who, m))))
}

/// Whether a label's identity and a finding's are one: equal, or equal but for the cluster, broker or issuer, which some logs do not
/// name and a collector's configuration supplies; a bare address is the same as any identity that is made from it.
fn is_same(label: &str, finding: &str) -> bool {
    if label == finding {
        return true;
    }
    let word = |id: &str| id.split(':').next().unwrap_or_default().to_owned();
    let tail = |id: &str| match word(id).as_str() {
        "k8s" | "vault" | "mqtt" => id.rsplit(':').next().map(str::to_owned),
        "x509" => id.split_once('/').map(|(_, subject)| subject.to_owned()),
        _ => None,
    };
    if word(label) == word(finding) && tail(label).is_some() && tail(label) == tail(finding) {
        return true;
    }
    label.parse::<std::net::IpAddr>().is_ok() && finding.split([':', '/', '@']).any(|part| part == label)
}

/// Why an attack was missed, as far as the findings tell.
fn why(label: &Label, findings: &[&Finding]) -> String {
    let nearest = findings.iter().filter(|f| names(f, label)).min_by_key(|f| (f.time.0 - label.start.0).abs());
    match nearest {
        None => String::from("no finding names this identity at any time"),
        Some(f) if f.time.0 < label.start.0 => format!("\"{}\" was already open {} before", f.title, span(label.start.0 - f.time.0)),
        Some(f) => format!("the nearest finding, \"{}\", came {} later", f.title, span(f.time.0 - label.start.0)),
    }
}

/// A span of time in one unit: `0 s`, `14 min`, `3.2 h`, `6.1 d`.
fn span(micros: i64) -> String {
    let (value, unit) = match micros {
        ..Micros::MINUTE => return format!("{} s", micros / Micros::SECOND),
        Micros::MINUTE..Micros::HOUR => return format!("{} min", micros / Micros::MINUTE),
        Micros::HOUR..Micros::DAY => (Micros::HOUR, "h"),
        _ => (Micros::DAY, "d"),
    };
    format!("{:.1} {unit}", micros as f64 / value as f64)
}

impl Score {
    /// The score as text for a terminal: one line an attack kind, then what was missed, then what was read in vain.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut kinds: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for outcome in &self.outcomes {
            kinds.entry(&outcome.label.attack).or_default().push(outcome);
        }
        // Writing to a string does not fail.
        let _ = writeln!(out, "{:<24} {:>7}  {:>9}  first finding", "attack", "found", "after");
        for (kind, outcomes) in &kinds {
            let found: Vec<_> = outcomes.iter().filter_map(|o| o.first.as_ref()).collect();
            let mut delays: Vec<_> = found.iter().map(|hit| hit.delay).collect();
            delays.sort_unstable();
            let after = delays.get(delays.len() / 2).map_or_else(|| String::from("-"), |d| span(*d));
            let title = found.first().map_or("-", |hit| hit.title.as_str());
            let _ = writeln!(out, "{kind:<24} {:>3} / {:<2} {after:>9}  {}", found.len(), outcomes.len(), clip(title, 90));
        }
        let _ = writeln!(out, "{:<24} {:>3} / {:<2}", "all", self.found(), self.outcomes.len());
        let missed: Vec<_> = self.outcomes.iter().filter(|o| o.first.is_none()).collect();
        if !missed.is_empty() {
            let _ = writeln!(out, "\nmissed");
        }
        for Outcome { label, why_missed, .. } in missed {
            let variant = if label.variant.is_empty() { String::new() } else { format!(" ({})", label.variant) };
            let _ = writeln!(
                out,
                "  {} {}{variant} on {}: {}",
                label.start.to_rfc3339().get(..16).unwrap_or_default(),
                label.attack,
                label.identity,
                why_missed.as_deref().unwrap_or("unknown")
            );
        }
        let kinds = [FindingKind::Policy, FindingKind::Statistical, FindingKind::Incident, FindingKind::Absence];
        let split: Vec<_> = kinds.iter().map(|kind| format!("{:.1} {}", self.per_day(Some(*kind)), kind.as_str())).collect();
        let _ = writeln!(
            out,
            "\nan analyst would have read {:.1} findings a day ({}); {} of {} are about no attack",
            self.per_day(None),
            split.join(", "),
            self.false_total(),
            self.findings()
        );
        let _ = writeln!(
            out,
            "the first three of each day by rank: {} of {} are about an attack, and they tell of {} of {} attacks",
            self.top_three.0,
            self.top_three.1,
            self.found_in_top_three,
            self.outcomes.len()
        );
        let mut rules: Vec<_> = self.false_findings.iter().collect();
        rules.sort_by_key(|(rule, f)| (std::cmp::Reverse(f.count), rule.as_str()));
        for (rule, false_findings) in rules.into_iter().take(8) {
            let decoys: Vec<_> = false_findings.decoys.iter().map(|(what, n)| format!("{n} {}", what.replace('_', " "))).collect();
            let _ = writeln!(
                out,
                "  {:>4} {rule}{}",
                false_findings.count,
                if decoys.is_empty() { String::new() } else { format!(" (of these {})", decoys.join(", ")) }
            );
        }
        out
    }
}

fn clip(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars { text.to_owned() } else { text.chars().take(chars - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(attack: &str, identity: &str, start: i64, end: i64) -> Label {
        Label {
            attack: attack.into(),
            variant: String::from("v"),
            technique: String::from("T1078"),
            identity: identity.into(),
            also: Vec::new(),
            credential: None,
            start: keytrail_estate::Micros(start),
            end: keytrail_estate::Micros(end),
            provider_event_ids: vec![String::from("e")],
            description: String::new(),
        }
    }

    fn finding(id: &str, identity: &str, from: i64, to: i64, kind: FindingKind) -> Finding {
        Finding {
            finding_id: id.into(),
            rule: "rule-a".into(),
            title: format!("finding {id}").into(),
            kind,
            identity: identity.into(),
            time: Micros(from),
            first_event_time: Micros(from),
            last_event_time: Micros(to),
            ..Finding::default()
        }
    }

    const H: i64 = Micros::HOUR;
    const AT: i64 = 400 * H;

    #[test]
    fn found_missed_false_and_read() {
        let labels = [
            label("stolen_key", "aws:1:user/a", AT, AT + H),
            label("stolen_key", "aws:1:user/b", AT, AT + H),
            label("secret_harvest", "k8s:prod:sa/ns/x", AT, AT + H),
            label("rogue", "mqtt:broker:client/z", AT, AT + H),
        ];
        let mut incident = finding("4", "aws:1:user/other", AT, AT, FindingKind::Incident);
        incident.members = vec!["k8s:elsewhere:sa/ns/x".into()];
        let mut later = finding("1", "aws:1:user/a", AT + 5 * Micros::MINUTE, AT + H, FindingKind::Policy);
        later.revision = 3;
        later.title = "the last revision".into();
        let findings = [
            finding("1", "aws:1:user/a", AT + 5 * Micros::MINUTE, AT + 6 * Micros::MINUTE, FindingKind::Policy),
            later,
            // It was open long before the attack: no credit.
            finding("2", "aws:1:user/b", AT - 100 * H, AT + 200 * H, FindingKind::Policy),
            finding("3", "aws:1:user/c", AT, AT, FindingKind::Statistical),
            incident,
            // Right identity, wrong week.
            finding("5", "mqtt:broker:client/z", AT + 90 * H, AT + 90 * H, FindingKind::Absence),
        ];
        let decoys = [Decoy {
            what: String::from("launch"),
            identities: vec![String::from("aws:1:user/c")],
            start: keytrail_estate::Micros(AT - H),
            end: keytrail_estate::Micros(AT + H),
            description: String::new(),
        }];
        let score = score(&labels, &decoys, &findings, Micros(0), Micros(10 * Micros::DAY));
        let found: Vec<_> = score.outcomes.iter().map(|o| o.first.as_ref().map(|h| (h.finding_id.as_str(), h.title.as_str(), h.delay))).collect();
        assert_eq!(found, [Some(("1", "the last revision", 5 * Micros::MINUTE)), None, Some(("4", "finding 4", 0)), None]);
        assert_eq!((score.found(), score.findings(), score.false_total()), (2, 5, 3));
        assert_eq!(score.false_findings["rule-a"].decoys, BTreeMap::from([(String::from("launch"), 1)]));
        assert!((score.per_day(None) - 0.5).abs() < 1e-9);
        assert!((score.per_day(Some(FindingKind::Policy)) - 0.2).abs() < 1e-9);
        let text = score.render();
        assert!(text.contains("stolen_key                 1 / 2      5 min  the last revision"), "{text}");
        assert!(text.contains("\"finding 2\" was already open 4.2 d before"), "{text}");
        assert!(text.contains("came 3.8 d later"), "{text}");
        assert!(text.contains("0.5 findings a day (0.2 policy, 0.1 statistical, 0.1 incident, 0.1 absence); 3 of 5 are about no attack"), "{text}");
    }

    #[test]
    fn identities_are_one_whatever_the_collector_calls_the_cluster_and_no_further() {
        assert!(is_same("k8s:prod-eks:sa/orders/api", "k8s:cluster-1:sa/orders/api"));
        assert!(!is_same("k8s:prod-eks:sa/orders/api", "k8s:prod-eks:sa/payments/api"));
        assert!(!is_same("aws:1:user/a", "aws:2:user/a"));
        assert!(is_same("x509:CN=CA/CN=a,O=b", "x509:0badc0de/CN=a,O=b"));
        assert!(!is_same("vault:v:approle/a", "k8s:v:approle/a"));
        assert!(is_same("10.61.0.9", "modbus:10.61.0.9"));
        assert!(!is_same("10.61.0.9", "modbus:10.61.0.90"));
    }
}
