//! Folds what rules say into findings: one finding per cause, written again as its evidence grows.
//!
//! A *case* is an open finding. Rules that fire on one event, or on the same scope (the identity, its credential, a source address,
//! an incident) while a case is open, join it: the most severe rule is the finding, the others are its reasons. Rules that describe
//! a lasting condition (`posture`) never absorb anything; where something acute is open for the same credential they are one of its
//! reasons, and open a case of their own otherwise. Signs, and what its doer does habitually, only ever join.
//!
//! A finding is written when it opens, at each of its first additions, then whenever its count doubles, when it grows more severe
//! or a further rule joins, and when the watermark closes it with additions not yet written.

mod explain;

use std::collections::{BTreeMap, BTreeSet};

use keytrail_schemas::{CredentialState, Finding, FindingKind, IdentityKind, Micros, Text};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{
    baseline::{Baseline, Subject},
    config::FoldConfig,
    ledger::{Ledger, distinct::hash_of},
    rule::{Hit, Rule, Rules, observation::Observation, source::Scope},
};

/// Ids of events that a finding carries.
const EVENT_IDS_MAX: usize = 32;
/// Identities that a finding of an incident or a source carries.
const MEMBERS_MAX: usize = 64;
/// Reasons that a finding carries.
const REASONS_MAX: usize = 24;

/// The open findings of one partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Fold {
    cases: BTreeMap<u64, Case>,
    #[serde(with = "crate::sorted::map")]
    by_key: FxHashMap<Key, u64>,
    closing: BTreeSet<(Micros, u64)>,
    next: u64,
    #[serde(skip)]
    config: FoldConfig,
}

/// What findings have in common, as a kind and a hash.
type Key = (u8, u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Case {
    finding: Finding,
    keys: Vec<Key>,
    /// Rules that joined, the one that leads first.
    rules: Vec<Text>,
    /// What the lead rule says for a person: what it is nothing, and what to do.
    advice: explain::Advice,
    closes_at: Micros,
    written_count: i64,
    /// A rule joined since the finding was written.
    joined: bool,
    /// The credential's age and state in words, at the opening.
    credential_words: Option<String>,
}

/// What the detector lends to the fold for one event.
pub struct Surroundings<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// For lineage and names.
    pub ledger: &'a Ledger,
    /// For dimensions in words.
    pub baseline: &'a Baseline,
    /// The latest time seen.
    pub watermark: Micros,
}

impl Fold {
    /// No findings yet.
    #[must_use]
    pub fn new(config: FoldConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Sets the configuration, which no snapshot holds.
    pub fn configure(&mut self, config: FoldConfig) {
        self.config = config;
    }

    /// Findings open at present.
    #[must_use]
    pub fn open(&self) -> usize {
        self.cases.len()
    }

    /// Closes what the watermark has passed.
    pub fn advance(&mut self, watermark: Micros, out: &mut Vec<Finding>) {
        while let Some((at, number)) = self.closing.first().copied().filter(|(at, _)| *at <= watermark) {
            self.closing.remove(&(at, number));
            self.close(number, out);
        }
    }

    /// Takes the rules that matched an observation. Returns the identities of findings opened.
    pub fn add(&mut self, o: &Observation<'_>, hits: &[Hit], around: &Surroundings<'_>, out: &mut Vec<Finding>) -> Option<Text> {
        let acute = |hit: &&Hit| around.rules.get(hit.rule).is_some_and(|rule| !quiet(rule, o));
        let subject = subject_key(o);
        let lead = hits.iter().filter(acute).max_by_key(|hit| (around.rules.get(hit.rule).map(|rule| rule.severity), std::cmp::Reverse(hit.rule)));
        let Some(lead) = lead else {
            return self.add_posture(o, hits, around, subject, out);
        };
        let key_of = |hit: &Hit| around.rules.get(hit.rule).map(|rule| scope_key(o, rule));
        let primary = key_of(lead)
            .and_then(|key| self.by_key.get(&key).copied())
            .or_else(|| hits.iter().filter(acute).filter_map(key_of).filter_map(|key| self.by_key.get(&key).copied()).min());
        let mut opened = None;
        let (primary, fresh) = match primary {
            Some(number) => (number, false),
            None => {
                let (number, identity) = self.open_case(o, lead, around, out)?;
                opened = Some(identity);
                (number, true)
            }
        };
        // Every case that the event belongs to counts it once.
        let mut touched: Vec<u64> = vec![primary];
        for hit in hits {
            let Some(rule) = around.rules.get(hit.rule) else { continue };
            let number = if quiet(rule, o) {
                primary
            } else {
                let key = scope_key(o, rule);
                match self.by_key.get(&key) {
                    Some(number) => *number,
                    None => {
                        self.alias(key, primary);
                        primary
                    }
                }
            };
            if !touched.contains(&number) {
                touched.push(number);
            }
            self.join(number, o, hit, rule, around);
        }
        if !self.by_key.contains_key(&subject) {
            self.alias(subject, primary);
        }
        for number in touched {
            self.count(number, o, fresh && number == primary, around, out);
        }
        opened
    }

    /// Nothing acute matched.
    fn add_posture(&mut self, o: &Observation<'_>, hits: &[Hit], around: &Surroundings<'_>, subject: Key, out: &mut Vec<Finding>) -> Option<Text> {
        let mut opened = None;
        if let Some(number) = self.by_key.get(&subject).copied() {
            for hit in hits {
                if let Some(rule) = around.rules.get(hit.rule) {
                    self.join(number, o, hit, rule, around);
                }
            }
            if let Some(case) = self.cases.get_mut(&number).filter(|case| case.joined) {
                out.push(case.written());
            }
            return None;
        }
        for hit in hits {
            let Some(rule) = around.rules.get(hit.rule).filter(|rule| rule.meta.posture) else { continue };
            let key = (20, hash_of(&(rule.id.as_str(), subject.1)));
            match self.by_key.get(&key).copied() {
                Some(number) => self.count(number, o, false, around, out),
                None => {
                    if let Some((number, identity)) = self.open_case(o, hit, around, out) {
                        self.alias(key, number);
                        self.join(number, o, hit, rule, around);
                        self.count(number, o, true, around, out);
                        opened = Some(identity);
                    }
                }
            }
        }
        opened
    }

    fn alias(&mut self, key: Key, number: u64) {
        if let Some(case) = self.cases.get_mut(&number) {
            case.keys.push(key);
            self.by_key.insert(key, number);
        }
    }

    fn open_case(&mut self, o: &Observation<'_>, hit: &Hit, around: &Surroundings<'_>, out: &mut Vec<Finding>) -> Option<(u64, Text)> {
        let rule = around.rules.get(hit.rule)?;
        if self.cases.len() >= self.config.open_max
            && let Some((number, closes_at)) = self.cases.first_key_value().map(|(number, case)| (*number, case.closes_at))
        {
            self.closing.remove(&(closes_at, number));
            self.close(number, out);
        }
        let number = self.next;
        self.next += 1;
        let window = rule.fold_window_us.unwrap_or_else(|| self.config.window_s.saturating_mul(Micros::SECOND));
        let closes_at = Micros(around.watermark.max(o.event.time).0.saturating_add(window));
        let finding = opening(o, hit, rule, around);
        let identity = finding.identity.clone();
        let case = Case {
            keys: Vec::new(),
            rules: Vec::new(),
            advice: explain::Advice::of(rule),
            closes_at,
            written_count: 0,
            joined: false,
            credential_words: explain::credential(o),
            finding,
        };
        self.closing.insert((closes_at, number));
        self.cases.insert(number, case);
        Some((number, identity))
    }

    /// A rule joins a case: as its lead when it is more severe, as one of its reasons otherwise.
    fn join(&mut self, number: u64, o: &Observation<'_>, hit: &Hit, rule: &Rule, around: &Surroundings<'_>) {
        let Some(case) = self.cases.get_mut(&number) else { return };
        if case.rules.contains(&rule.id) {
            return;
        }
        let leads = case.rules.is_empty() || (!quiet(rule, o) && rule.severity > case.finding.severity);
        if leads {
            case.rules.insert(0, rule.id.clone());
            case.advice = explain::Advice::of(rule);
            case.finding.rule = rule.id.clone();
            case.finding.title = rule.title.clone();
            case.finding.severity = rule.severity;
            case.finding.kind = kind(o, rule);
        } else {
            case.rules.push(rule.id.clone());
        }
        case.joined = true;
        let add = |finding: &mut Finding, reason: Text| {
            if finding.reasons.len() < REASONS_MAX && !finding.reasons.contains(&reason) {
                finding.reasons.push(reason);
            }
        };
        let reason = explain::reason(rule, hit, o).into();
        if leads && case.finding.reasons.len() < REASONS_MAX {
            case.finding.reasons.insert(0, reason);
        } else {
            add(&mut case.finding, reason);
        }
        if kind(o, rule) != FindingKind::Policy {
            for reason in explain::dimensions(o) {
                add(&mut case.finding, reason);
            }
        }
        for tag in &rule.tags {
            if !case.finding.tags.contains(tag) {
                case.finding.tags.push(tag.clone());
            }
        }
        if kind(o, rule) != FindingKind::Policy
            && let Some(baseline) = o.baseline
        {
            case.finding.score = Some(case.finding.score.map_or(baseline.total, |score| score.max(baseline.total)));
            case.finding.p_value = Some(case.finding.p_value.map_or(baseline.p_value, |p| p.min(baseline.p_value)));
        }
        if let Some(absence) = o.absence {
            case.finding.score = Some(absence.evidence);
            case.finding.p_value = Some(absence.p_value);
        }
        if let Some((_, events)) = &hit.correlated {
            let known = std::mem::take(&mut case.finding.event_ids);
            let ids = events.iter().map(|id| Text::from(id.to_hex()));
            for id in known.into_iter().chain(ids) {
                if case.finding.event_ids.len() < EVENT_IDS_MAX && !case.finding.event_ids.contains(&id) {
                    case.finding.event_ids.push(id);
                }
            }
        }
        if case.finding.not_assessable.is_empty() {
            case.finding.not_assessable = explain::not_assessable(o, around);
        }
    }

    /// Counts an event in a case, and writes the finding when it is time.
    fn count(&mut self, number: u64, o: &Observation<'_>, fresh: bool, around: &Surroundings<'_>, out: &mut Vec<Finding>) {
        let Some(case) = self.cases.get_mut(&number) else { return };
        let finding = &mut case.finding;
        let event = o.event;
        finding.count += 1;
        finding.first_event_time = finding.first_event_time.min(event.time);
        finding.last_event_time = finding.last_event_time.max(event.time);
        if o.absence.is_none() && finding.event_ids.len() < EVENT_IDS_MAX {
            let id = Text::from(event.event_id.to_hex());
            if !finding.event_ids.contains(&id) {
                finding.event_ids.push(id);
            }
        }
        if finding.members.len() < MEMBERS_MAX {
            members(finding, o, around);
        }
        let additions = finding.count - 1;
        let due = additions <= self.config.revisions_first || finding.count.count_ones() == 1;
        if fresh || due || case.joined {
            out.push(case.written());
        }
    }

    fn close(&mut self, number: u64, out: &mut Vec<Finding>) {
        if let Some(mut case) = self.cases.remove(&number) {
            for key in &case.keys {
                self.by_key.remove(key);
            }
            if case.finding.count != case.written_count {
                out.push(case.written());
            }
        }
    }
}

/// Whether the rule says nothing acute of the observation: a lasting condition, a sign, or what its doer does habitually.
fn quiet(rule: &Rule, o: &Observation<'_>) -> bool {
    rule.meta.posture || rule.meta.sign || (rule.meta.learns && o.is_routine())
}

impl Case {
    /// The finding as it stands, as its next revision.
    fn written(&mut self) -> Finding {
        self.joined = false;
        self.written_count = self.finding.count;
        let mut finding = self.finding.clone();
        finding.explanation = explain::paragraph(&finding, &self.advice, self.credential_words.as_deref());
        finding.next_questions = explain::questions(&finding, &self.advice);
        self.finding.revision += 1;
        finding
    }
}

/// The finding that `hit` opens; what joins and counts is added by the caller.
fn opening(o: &Observation<'_>, hit: &Hit, rule: &Rule, around: &Surroundings<'_>) -> Finding {
    let event = o.event;
    let (identity, identity_kind, time) = match o.absence.map(|absence| (&absence.subject, absence.due)) {
        None => (event.identity.clone(), event.identity_kind, event.time),
        Some((Subject::Source(source), due)) => (Text::from(format!("source:{source}")), IdentityKind::Unknown, due),
        Some((Subject::Identity(who), due)) => {
            let identity = around.ledger.identity(*who);
            (identity.map(|identity| identity.name.clone()).unwrap_or_default(), identity.map_or(IdentityKind::Unknown, |identity| identity.kind), due)
        }
    };
    let first_event_time = o.absence.map_or(time, |absence| absence.last_seen);
    let facts = &o.observed.credential;
    let names_one = o.absence.is_none() && event.credential.is_some();
    Finding {
        finding_id: finding_id(rule, &identity, o, time),
        rule: rule.id.clone(),
        title: rule.title.clone(),
        severity: rule.severity,
        kind: kind(o, rule),
        credential: if o.absence.is_none() { event.credential.clone() } else { None },
        credential_age_days: facts.age_days,
        credential_age_is_exact: facts.age_is_exact,
        credential_state: if names_one { facts.state } else { CredentialState::Unknown },
        credential_lineage: event.credential.as_ref().filter(|_| names_one).map(|credential| around.ledger.parent_chain(credential)).unwrap_or_default(),
        time,
        first_event_time,
        last_event_time: time,
        destination: event.destination.clone().filter(|_| o.absence.is_none()),
        action: event.action.clone().filter(|_| o.absence.is_none()),
        protocol: event.protocol.clone().filter(|_| o.absence.is_none()),
        source_ip: event.source_ip.clone().filter(|_| o.absence.is_none()),
        features: serde_json::Value::Object(explain::features(o, hit)).to_string(),
        identity,
        identity_kind,
        ..Finding::default()
    }
}

/// From the rule, the identity, and the event that opened the finding (or the time by which something was due).
fn finding_id(rule: &Rule, identity: &str, o: &Observation<'_>, time: Micros) -> Text {
    let mut hasher = blake3::Hasher::new_derive_key("keytrail finding id v1");
    for field in [rule.id.as_bytes(), identity.as_bytes(), if o.absence.is_some() { &[] } else { &o.event.event_id.0 }] {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    if o.absence.is_some() {
        hasher.update(&time.0.to_le_bytes());
    }
    let mut id = [0_u8; 16];
    hasher.finalize_xof().fill(&mut id);
    hex::encode(id).into()
}

fn members(finding: &mut Finding, o: &Observation<'_>, around: &Surroundings<'_>) {
    let mut add = |name: &Text| {
        if *name != finding.identity && finding.members.len() < MEMBERS_MAX && !finding.members.contains(name) {
            finding.members.push(name.clone());
        }
    };
    let incident = o.baseline.and_then(|baseline| baseline.incident.as_ref()).map(|incident| incident.members.as_slice());
    for who in incident.or(o.absence.map(|absence| absence.members.as_slice())).unwrap_or_default() {
        if let Some(identity) = around.ledger.identity(*who) {
            add(&identity.name);
        }
    }
    if o.absence.is_none() {
        add(&o.event.identity);
    }
}

fn kind(o: &Observation<'_>, rule: &Rule) -> FindingKind {
    match rule.meta.kind {
        FindingKind::Statistical if o.baseline.is_some_and(|baseline| baseline.incident.is_some()) => FindingKind::Incident,
        kind => kind,
    }
}

/// What findings of a rule have in common at this observation.
fn scope_key(o: &Observation<'_>, rule: &Rule) -> Key {
    let event = o.event;
    if let Some(absence) = o.absence {
        return match &absence.subject {
            Subject::Identity(who) => (1, u64::from(who.0)),
            Subject::Source(source) => (2, hash_of(source.as_str())),
        };
    }
    if rule.meta.kind == FindingKind::Statistical
        && let Some(incident) = o.baseline.and_then(|baseline| baseline.incident.as_ref())
    {
        return (3, incident.id);
    }
    let identity = event.identity.as_str();
    match rule.meta.scope {
        Scope::Identity => (4, hash_of(identity)),
        Scope::Credential => match &event.credential {
            Some(credential) => (5, hash_of(&(identity, credential.as_str()))),
            None => (4, hash_of(identity)),
        },
        Scope::Destination => (6, hash_of(&(identity, event.destination.as_deref()))),
        Scope::Source => match &event.source_ip {
            Some(source) => (7, hash_of(&(rule.id.as_str(), source.as_str()))),
            None => (4, hash_of(identity)),
        },
    }
}

/// The identity with its credential: what lasting conditions hang on.
fn subject_key(o: &Observation<'_>) -> Key {
    (10, hash_of(&(o.event.identity.as_str(), o.event.credential.as_deref())))
}
