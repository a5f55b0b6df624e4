//! Words for a person: what happened in which order, why, against what, how old the credential is, what could not be judged, and what to ask next.

use std::fmt::Write as _;

use keytrail_schemas::{CredentialState, Detection, Finding, FindingKind, Micros, Text};
use serde::{Deserialize, Serialize};

use super::Surroundings;
use crate::{
    baseline::{Aspect, Dimension, DimensionState, Subject},
    ledger::CHAIN_MAX,
    rule::{
        Hit, Rule,
        observation::{Field, Observation, field},
    },
};

/// Time before and after a finding that its questions ask about.
const AROUND_US: i64 = Micros::HOUR;

/// Detections that a paragraph names, and reasons that it gives.
const STEPS_TOLD: usize = 12;
const REASONS_TOLD: usize = 8;

/// What the rule that leads a finding says for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Advice {
    falsepositives: Vec<String>,
    runbook: Option<String>,
    questions: Vec<String>,
}

impl Advice {
    pub(super) fn of(rule: &Rule) -> Self {
        Self { falsepositives: rule.falsepositives.clone(), runbook: rule.meta.runbook.clone(), questions: rule.meta.questions.clone() }
    }
}

/// Why a rule fired: its own sentence with the values filled in, or its title.
pub(super) fn reason(rule: &Rule, hit: &Hit, o: &Observation<'_>) -> String {
    let Some(template) = &rule.meta.reason else { return rule.title.to_string() };
    let mut text = String::with_capacity(template.len() + 32);
    let mut rest = template.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        if name == "count" {
            let _ = write!(text, "{}", hit.correlated.as_ref().map_or(1, |(count, _)| *count));
        } else if name == "observed" {
            let strongest = o.baseline.map_or(&[][..], |baseline| &baseline.dimensions).iter().filter(|dimension| dimension.evidence > 0.0);
            let words: Vec<&str> = strongest.take(3).map(|dimension| dimension.observed.as_str()).collect();
            text.push_str(if words.is_empty() { "much at once" } else { "" });
            text.push_str(&words.join(", "));
        } else if let Some((aspect, is_expected)) = seen(name) {
            let dimension = o.baseline.and_then(|baseline| baseline.dimensions.iter().find(|dimension| dimension.aspect == aspect));
            text.push_str(dimension.map_or("what is not known", |dimension| if is_expected { &dimension.expected } else { &dimension.observed }));
        } else {
            text.push_str(&field(name).and_then(|field| value(field, o)).unwrap_or_else(|| "unknown".to_owned()));
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The aspect that `observed.ASPECT` or `expected.ASPECT` names, and whether it asks what was expected.
pub(crate) fn seen(name: &str) -> Option<(Aspect, bool)> {
    let (side, aspect) = name.split_once('.').filter(|(side, _)| matches!(*side, "observed" | "expected"))?;
    Some((Aspect::ALL.into_iter().find(|known| known.name() == aspect)?, side == "expected"))
}

fn value(field: Field, o: &Observation<'_>) -> Option<String> {
    Some(match o.value(field)? {
        rsigma_eval::EventValue::Float(n) => number(n),
        rsigma_eval::EventValue::Array(parts) => {
            parts.iter().filter_map(|part| part.as_str().map(std::borrow::Cow::into_owned)).collect::<Vec<_>>().join(" ← ")
        }
        other => other.as_str()?.into_owned(),
    })
}

/// As many digits as a person reads.
fn number(n: f64) -> String {
    if n.abs() >= 100.0 || n.fract() == 0.0 {
        format!("{n:.0}")
    } else if n.abs() >= 1.0 {
        format!("{n:.1}")
    } else {
        format!("{n:.2}")
    }
}

/// The baseline's dimensions with evidence, one line each.
pub(super) fn dimensions(o: &Observation<'_>) -> Vec<Text> {
    let line = |d: &Dimension| {
        Text::from(format!("{}: observed {}, expected {} (learned from {}; evidence {:.1})", d.aspect.name(), d.observed, d.expected, d.learned, d.evidence))
    };
    let mut lines: Vec<Text> = o.baseline.map(|baseline| baseline.dimensions.iter().map(line).collect()).unwrap_or_default();
    if let Some(incident) = o.baseline.and_then(|baseline| baseline.incident.as_ref()) {
        lines.push(format!("{} identities share one cause: {}", incident.members.len(), incident.cause).into());
    }
    if let Some(absence) = o.absence {
        lines.push(
            format!(
                "expected {} (learned from {}), last heard of {}, due {}",
                absence.expected,
                absence.learned,
                absence.last_seen.to_rfc3339(),
                absence.due.to_rfc3339()
            )
            .into(),
        );
    }
    lines
}

/// What could not be judged, and why.
pub(super) fn not_assessable(o: &Observation<'_>, around: &Surroundings<'_>) -> Vec<Text> {
    let mut lines = Vec::new();
    if o.absence.is_none() {
        let facts = &o.observed.credential;
        if o.event.credential.is_none() {
            lines.push("credential: the record names none".into());
        } else if !facts.age_is_exact {
            lines.push("credential age: it was never seen issued, so its age is at least what is stated".into());
        }
        if o.late {
            lines.push("baselines: the event came later than is allowed for, and was judged by facts alone".into());
        }
    }
    let who = match o.absence.map(|absence| &absence.subject) {
        Some(Subject::Identity(who)) => Some(*who),
        Some(Subject::Source(_)) => None,
        None => Some(o.observed.who),
    };
    for dimension in who.map(|who| around.baseline.describe(who)).unwrap_or_default() {
        match dimension.state {
            DimensionState::Assessed => {}
            DimensionState::Learning => lines.push(format!("{}: still learning", dimension.aspect.name()).into()),
            DimensionState::NotAssessable(why) => lines.push(format!("{}: {why}", dimension.aspect.name()).into()),
        }
    }
    lines
}

/// The credential's age and standing, for the paragraph.
pub(super) fn credential(o: &Observation<'_>) -> Option<String> {
    if o.absence.is_some() {
        return None;
    }
    o.event.credential.as_ref()?;
    let facts = &o.observed.credential;
    let mut text = match (facts.age_days, facts.age_is_exact) {
        (Some(age), true) => format!("was {} old", span(age)),
        (Some(age), false) => format!("was at least {} old (it was never seen issued)", span(age)),
        (None, _) => "is of unknown age".to_owned(),
    };
    match facts.state {
        CredentialState::Revoked => {
            let _ = write!(text, ", and had been revoked {} before", span(facts.revoked_minutes.unwrap_or_default() / 1440.0));
        }
        CredentialState::Expired => {
            let _ = write!(text, ", and had expired {} before", span(facts.expired_hours.unwrap_or_default() / 24.0));
        }
        CredentialState::Superseded => {
            let _ = write!(text, ", and its successor had been issued {} before", span(facts.overlap_hours.unwrap_or_default() / 24.0));
        }
        CredentialState::Active => text.push_str(" and in force as far as is known"),
        CredentialState::Unknown => {}
    }
    if let Some(idle) = facts.idle_days.filter(|idle| *idle >= 1.0) {
        let _ = write!(text, "; its last use was {} earlier", span(idle));
    }
    Some(text)
}

fn span(days: f64) -> String {
    let (n, unit) = match days {
        d if d >= 2.0 => (d, "days"),
        d if d >= 2.0 / 24.0 => (d * 24.0, "hours"),
        d if d >= 2.0 / 1440.0 => (d * 1440.0, "minutes"),
        d => (d * 86_400.0, "seconds"),
    };
    format!("{n:.0} {unit}")
}

/// One paragraph for a person; `led` is the detection that leads.
pub(super) fn paragraph(finding: &Finding, led: &Detection, advice: &Advice, credential: Option<&str>) -> String {
    let mut text = format!("{}. ", finding.title);
    if finding.kind == FindingKind::Absence {
        let (last, due) = (led.first_event_time.to_rfc3339(), led.last_event_time.to_rfc3339());
        let _ = write!(text, "{} was last heard of at {last}, and was due by {due}. ", finding.identity);
    } else {
        let _ = write!(text, "At {} {} ({})", led.first_event_time.to_rfc3339(), finding.identity, finding.identity_kind);
        if let Some(action) = &finding.action {
            let _ = write!(text, " did {action}");
        }
        if let Some(destination) = &finding.destination {
            let _ = write!(text, " on {destination}");
        }
        if let Some(protocol) = &finding.protocol {
            let _ = write!(text, " over {protocol}");
        }
        if let Some(source) = &finding.source_ip {
            let _ = write!(text, " from {source}");
        }
        text.push_str(". ");
    }
    if let (Some(id), Some(words)) = (&finding.credential, credential) {
        let _ = write!(text, "The credential {id} {words}");
        if !finding.credential_lineage.is_empty() {
            let chain: Vec<&str> = finding.credential_lineage.iter().take(CHAIN_MAX).map(Text::as_str).collect();
            let _ = write!(text, "; it was obtained with {}", chain.join(", itself obtained with "));
        }
        text.push_str(". ");
    }
    in_order(&mut text, finding);
    if !finding.reasons.is_empty() {
        let reasons: Vec<&str> = finding.reasons.iter().take(REASONS_TOLD).map(Text::as_str).collect();
        let _ = write!(text, "Why: {}. ", reasons.join("; "));
    }
    if let Some(p) = finding.p_value {
        let _ = write!(text, "As much surprise is expected in {} of normal windows. ", share(p));
    }
    if finding.count > 1 {
        let _ = write!(text, "{} events are folded into this finding, the last at {}. ", finding.count, finding.last_event_time.to_rfc3339());
    }
    if !finding.members.is_empty() {
        let _ = write!(text, "It concerns {} further identities. ", finding.members.len());
    }
    if !advice.falsepositives.is_empty() {
        let _ = write!(text, "It is nothing when: {}. ", advice.falsepositives.join("; "));
    }
    if !finding.not_assessable.is_empty() {
        let _ = write!(text, "Not assessable: {}. ", finding.not_assessable.join("; "));
    }
    if let Some(runbook) = &advice.runbook {
        let _ = write!(text, "What to do: {}", runbook.trim());
    }
    text.trim_end().to_owned()
}

/// The detections in order of time, where there are several: which tactics, and what was done.
fn in_order(text: &mut String, finding: &Finding) {
    if finding.detections.len() < 2 {
        return;
    }
    let _ = write!(text, "In order");
    if let Some(tactics) = finding.tactics.as_ref().filter(|tactics| tactics.len() > 1) {
        let _ = write!(text, " ({})", tactics.join(" → "));
    }
    for (place, detection) in finding.detections.iter().take(STEPS_TOLD).enumerate() {
        let _ = write!(text, "{} {} {}", if place == 0 { ":" } else { ";" }, detection.first_event_time.to_rfc3339(), detection.title);
        if let Some(action) = &detection.action {
            let _ = write!(text, " ({action})");
        }
    }
    if finding.detections.len() > STEPS_TOLD {
        let _ = write!(text, "; and {} more", finding.detections.len() - STEPS_TOLD);
    }
    text.push_str(". ");
}

fn share(p: f64) -> String {
    if p >= 0.001 { format!("{:.1} %", p * 100.0) } else { format!("1 in {:.0}", (1.0 / p.max(1e-12)).round()) }
}

/// Ready commands.
pub(super) fn questions(finding: &Finding, advice: &Advice) -> Vec<Text> {
    let since = Micros((finding.first_event_time.0 - AROUND_US).max(0)).to_rfc3339();
    let until = Micros(finding.last_event_time.0 + AROUND_US).to_rfc3339();
    let identity = quoted(&finding.identity);
    let mut questions = vec![format!("keytrail explain {}", finding.finding_id)];
    if finding.kind == FindingKind::Absence && finding.identity.starts_with("source:") {
        questions.push(format!("keytrail coverage --since {since} --until {until}"));
    } else {
        questions.push(format!("keytrail touched {identity} --since {since} --until {until}"));
        questions.push(format!("keytrail timeline {identity} --since {since} --until {until}"));
    }
    if let Some(credential) = &finding.credential {
        questions.push(format!("keytrail lineage {}", quoted(credential)));
    }
    if let Some(destination) = &finding.destination {
        questions.push(format!("keytrail who-touched {} --since {since} --until {until}", quoted(destination)));
    }
    let fill = |template: &String| {
        let mut text = template.clone();
        let values = [
            ("{identity}", Some(identity.clone())),
            ("{credential}", finding.credential.as_deref().map(quoted)),
            ("{destination}", finding.destination.as_deref().map(quoted)),
            ("{source_ip}", finding.source_ip.as_deref().map(quoted)),
            ("{since}", Some(since.clone())),
            ("{until}", Some(until.clone())),
            ("{finding}", Some(finding.finding_id.to_string())),
            ("{rule}", Some(finding.rule.to_string())),
        ];
        for (name, value) in values {
            if text.contains(name) {
                text = text.replace(name, &value?);
            }
        }
        Some(text)
    };
    questions.extend(advice.questions.iter().filter_map(fill));
    let mut distinct: Vec<Text> = Vec::new();
    for question in questions.into_iter().map(Text::from) {
        if !distinct.contains(&question) {
            distinct.push(question);
        }
    }
    distinct
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The features that the rule saw.
pub(super) fn features(o: &Observation<'_>, hit: &Hit) -> serde_json::Map<String, serde_json::Value> {
    let mut features = o.features();
    if let Some((count, _)) = &hit.correlated {
        features.insert("correlation.count".to_owned(), (*count).into());
    }
    features
}
