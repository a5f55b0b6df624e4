//! The story of one identity, or of one incident: its detections in order, which of them leads, and the finding that tells it.

use keytrail_schemas::{EventId, Finding, FindingKind, Micros, Text};
use serde::{Deserialize, Serialize};

use super::cause::{self, Key};
use super::entry::{Entry, is_quiet};
use super::exact::exact;
use super::{Surroundings, explain};
use crate::baseline::Subject;
use crate::ledger::distinct::hash_of;
use crate::rank::triage::{At, Triage};
use crate::rank::{self, Rank, Scratch, Sign, Standing};
use crate::rule::{Hit, Rule, observation::Observation};

/// Detections of a story. At the bound a new cause folds into the latest detection of its rule, or takes the place of the weakest one.
const DETECTIONS_MAX: usize = 96;
/// Detections of one rule in a story; further causes fold into the latest.
const OF_ONE_RULE_MAX: usize = 16;
/// Ids of events that a finding carries.
pub(super) const EVENT_IDS_MAX: usize = 64;
/// Identities that a finding of an incident or a source carries.
const MEMBERS_MAX: usize = 64;
/// Reasons that a finding carries.
const REASONS_MAX: usize = 24;

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Story {
    /// What is not told by detections alone: ids, members, lineage, features, the time of telling.
    head: Finding,
    entries: Vec<Entry>,
    pub(super) key: Key,
    /// The watermark when it began, or when it was told.
    pub(super) began: Micros,
    pub(super) closes_at: Micros,
    /// For how long it stays open after its last act once it is told, as its most patient rule says. Microseconds.
    pub(super) quiet_us: i64,
    /// Somebody is to read it.
    pub(super) told: bool,
    /// The rank at which the line knows it.
    pub(super) known_rank: Option<f64>,
    rank: Kept,
    advice: explain::Advice,
    credential_words: Option<String>,
    written_count: i64,
    lead: u64,
}

/// A rank, as a snapshot has it: its parts are JSON there, and wherever else somebody reads them. Most ranks are read by nobody.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    points: f64,
    #[serde(serialize_with = "as_json", deserialize_with = "of_json")]
    parts: Parts,
}

#[derive(Debug, Clone)]
enum Parts {
    Json(String),
    Of(Rank),
}

impl Default for Parts {
    fn default() -> Self {
        Self::Json(String::new())
    }
}

impl Parts {
    fn json(&self) -> String {
        match self {
            Self::Json(json) => json.clone(),
            Self::Of(rank) => rank.to_json(),
        }
    }
}

fn as_json<S: serde::Serializer>(parts: &Parts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&parts.json())
}

fn of_json<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Parts, D::Error> {
    String::deserialize(deserializer).map(Parts::Json)
}

/// What a match did to a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    /// It opened a detection.
    Anew,
    /// It is one more of a detection's events.
    Again,
}

impl Story {
    /// The story that an observation begins.
    pub(super) fn begin(o: &Observation<'_>, hit: &Hit, rule: &Rule, key: Key, closes_at: Micros, around: &Surroundings<'_>) -> Self {
        let event = o.event;
        let named = o.absence.is_none() && event.credential.is_some();
        let time = event.time;
        let id = cause::id("keytrail finding id v1", &[rule.id.as_bytes(), event.identity.as_bytes(), &cause::beginning(o)]);
        let head = Finding {
            finding_id: id.into(),
            identity: event.identity.clone(),
            identity_kind: event.identity_kind,
            credential_lineage: event.credential.as_ref().filter(|_| named).map(|credential| around.ledger.parent_chain(credential)).unwrap_or_default(),
            time,
            first_event_time: time,
            last_event_time: time,
            features: serde_json::Value::Object(explain::features(o, hit)).to_string(),
            ..Finding::default()
        };
        Self {
            head,
            entries: Vec::new(),
            key,
            began: around.watermark,
            closes_at,
            quiet_us: 0,
            told: false,
            known_rank: None,
            rank: Kept::default(),
            advice: explain::Advice::default(),
            credential_words: None,
            written_count: 0,
            lead: 0,
        }
    }

    /// Takes a match: it opens a detection, or is one more event of one.
    pub(super) fn take(&mut self, o: &Observation<'_>, hit: &Hit, rule: &Rule, triage: &mut Triage, around: &Surroundings<'_>) -> Joined {
        let cause = cause::cause(o, rule);
        if let Some(at) = self.place(cause, rule) {
            if let Some(entry) = self.entries.get_mut(at) {
                entry.take(o, hit, rule);
            }
            return Joined::Again;
        }
        let kind = match rule.meta.kind {
            _ if is_quiet(rule, o) => FindingKind::Posture,
            FindingKind::Statistical if o.baseline.is_some_and(|baseline| baseline.incident.is_some()) => FindingKind::Incident,
            kind => kind,
        };
        // Causes of one rule in one story are one habit.
        let (habit, standing) = match self.entries.iter().find(|entry| entry.detection.rule == rule.id) {
            Some(entry) => (entry.habit, entry.standing),
            None => {
                let a_day = triage.a_day(&rule.id, around.watermark);
                let standing = Standing::of(rule, o, triage.heard(&rule.id), a_day, around.judgements_per_day);
                (triage.spoke(&rule.id, hash_of(&(self.key, rule.id.as_str())), around.watermark), standing)
            }
        };
        let mut entry = Entry::new(o, hit, rule, kind, cause, (habit, standing));
        entry.again = entry.may_be_again(rule, o) && triage.met(hash_of(&(self.key, cause, o.event.credential.as_deref())), around.watermark);
        entry.take(o, hit, rule);
        if self.entries.len() >= DETECTIONS_MAX {
            self.drop_weakest();
        }
        let leads = !entry.quiet && self.leader().is_none_or(|lead| entry.lead() > lead.lead());
        if leads || self.entries.is_empty() {
            self.lead = cause;
            self.advice = explain::Advice::of(rule);
            self.credential_words = explain::credential(o);
            self.head.features = serde_json::Value::Object(explain::features(o, hit)).to_string();
            self.head.protocol = o.event.protocol.clone().filter(|_| o.absence.is_none());
            self.head.credential_age_is_exact = o.observed.credential.age_is_exact;
            if let Some(credential) = o.event.credential.as_ref().filter(|_| o.absence.is_none()) {
                self.head.credential_lineage = around.ledger.parent_chain(credential);
            }
        }
        if let Some(window) = rule.fold_window_us.filter(|_| !rule.meta.posture) {
            self.quiet_us = self.quiet_us.max(window);
        }
        if self.head.not_assessable.is_empty() {
            self.head.not_assessable = explain::not_assessable(o, around);
        }
        self.entries.push(entry);
        Joined::Anew
    }

    /// The detection of a cause, or that takes it in because there are enough of its rule.
    fn place(&self, cause: u64, rule: &Rule) -> Option<usize> {
        if let Some(at) = self.entries.iter().position(|entry| entry.cause == cause) {
            return Some(at);
        }
        let of_rule = || self.entries.iter().enumerate().filter(|(_, entry)| entry.detection.rule == rule.id);
        (of_rule().count() >= OF_ONE_RULE_MAX).then(|| of_rule().next_back().map(|(at, _)| at)).flatten()
    }

    fn drop_weakest(&mut self) {
        let lead = self.lead;
        let weakest = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.cause != lead)
            .min_by_key(|(_, entry)| (!entry.quiet, entry.detection.severity, entry.detection.last_event_time))
            .map(|(at, _)| at);
        if let Some(at) = weakest {
            self.entries.remove(at);
        }
    }

    /// Weak signs that ended before `before` count no longer.
    pub(super) fn forget(&mut self, before: Micros) {
        if self.entries.iter().any(|entry| !entry.changed && entry.detection.last_event_time < before) {
            self.entries.retain(|entry| entry.changed || entry.detection.last_event_time >= before);
            if !self.entries.iter().any(|entry| entry.cause == self.lead)
                && let Some(lead) = self.entries.iter().max_by_key(|entry| entry.lead())
            {
                self.lead = lead.cause;
            }
        }
    }

    /// Counts an event of the story, once however many rules it matched.
    pub(super) fn count(&mut self, o: &Observation<'_>, around: &Surroundings<'_>) {
        self.head.count += 1;
        if self.head.members.len() < MEMBERS_MAX {
            self.members(o, around);
        }
    }

    fn members(&mut self, o: &Observation<'_>, around: &Surroundings<'_>) {
        let head = &mut self.head;
        let mut add = |name: &Text| {
            if *name != head.identity && head.members.len() < MEMBERS_MAX && !head.members.contains(name) {
                head.members.push(name.clone());
            }
        };
        let incident = o.baseline.and_then(|baseline| baseline.incident.as_ref()).map(|incident| incident.members.as_slice());
        // Of an identity's own story the members of an incident are not part.
        let incident = incident.filter(|_| self.key.0 == 4);
        for who in incident.or(o.absence.map(|absence| absence.members.as_slice())).unwrap_or_default() {
            if let Some(identity) = around.ledger.identity(*who) {
                add(&identity.name);
            }
        }
        if o.absence.is_none() {
            add(&o.event.identity);
            // A log may not say whose a withdrawn token was: the ledger does.
            let owner = o.observed.credential.slot.and_then(|slot| around.ledger.credential(slot)).and_then(|record| around.ledger.identity(record.identity));
            if let Some(owner) = owner {
                add(&owner.name);
            }
            // What one address does to many is the story of the address.
            if self.key.0 == cause::SOURCE
                && let Some(address) = &o.event.source_ip
            {
                add(&Text::from(format!("address:{address}")));
            }
        }
        if let Some(Subject::Source(_)) = o.absence.map(|absence| &absence.subject) {
            head.identity_kind = keytrail_schemas::IdentityKind::Unknown;
        }
    }

    /// Ranks the story anew, and returns the rank. What the rank is made of is kept of a story that is told: of another nobody asks.
    pub(super) fn rank(&mut self, triage: &Triage, now: Micros, scratch: &mut Scratch) -> f64 {
        let mut known = std::mem::take(&mut scratch.shares);
        let mut shares = triage.shares(now, &mut known);
        let signs: Vec<Sign<'_>> = self.entries.iter_mut().filter(|entry| !entry.quiet).map(|entry| sign(entry, &mut shares)).collect();
        let parts = std::mem::take(&mut self.rank.parts);
        self.rank = if self.told {
            let mut rank = match parts {
                Parts::Of(rank) => rank,
                Parts::Json(_) => Rank::default(),
            };
            rank.take(&signs, scratch);
            Kept { points: rank.points, parts: Parts::Of(rank) }
        } else {
            Kept { points: rank::points(&signs, scratch), parts }
        };
        scratch.shares = known;
        self.rank.points
    }

    /// Whether anything but lasting conditions is in it.
    pub(super) fn is_acute(&self) -> bool {
        self.acute().next().is_some()
    }

    /// Whether it holds what would be a fact, were it not said of so many.
    pub(super) fn has_common_fact(&self) -> bool {
        self.acute().any(|entry| entry.standing == Standing::Common)
    }

    /// Whether it holds a fact that is news, which has no budget.
    pub(super) fn has_fact(&self) -> bool {
        self.acute().any(|entry| !entry.judgement && !entry.again)
    }

    /// Whether all that it tells is what was told of the identity before, of rules that state what it is and not how rare that is.
    pub(super) fn is_known(&self) -> bool {
        self.acute().all(|entry| entry.habit > 0 && matches!(entry.detection.kind, FindingKind::Policy | FindingKind::Absence))
    }

    /// From here on somebody is to read it.
    pub(super) fn tell(&mut self, time: Micros, now: Micros) {
        self.told = true;
        self.began = now;
        self.head.time = time;
        // What was written below the line was no finding.
        self.head.revision = 0;
        self.entries.iter_mut().for_each(|entry| entry.changed = true);
    }

    /// Whether its count is one at which it is written though nothing else happened.
    pub(super) fn is_due(&self, revisions_first: i64) -> bool {
        let additions = self.head.count - 1;
        self.head.count.count_ones() == 1 || (self.told && additions <= revisions_first)
    }

    /// Whether something came that was not written yet.
    pub(super) fn has_unwritten(&self) -> bool {
        self.head.count != self.written_count || self.entries.iter().any(|entry| entry.changed)
    }

    /// Whose it is.
    pub(super) fn identity(&self) -> &Text {
        &self.head.identity
    }

    fn acute(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.quiet)
    }

    fn leader(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.cause == self.lead)
    }

    /// The record of the topic, as its next revision: the finding with all its detections, or below the line those that changed.
    pub(super) fn written(&mut self, triage: &Triage, now: Micros, partition: i32, offset: i64) -> Finding {
        self.written_count = self.head.count;
        let mut finding = self.head.clone();
        self.head.revision += 1;
        let id = self.told.then(|| finding.finding_id.clone());
        let mut scratch = Scratch::default();
        let mut known = std::mem::take(&mut scratch.shares);
        let mut shares = triage.shares(now, &mut known);
        let changed = self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.changed);
        let scores: Vec<(usize, f64)> = changed.map(|(at, entry)| (at, rank::points(&[sign(entry, &mut shares)], &mut scratch))).collect();
        for (at, score) in scores {
            if let Some(entry) = self.entries.get_mut(at) {
                entry.write(id.as_ref(), score, partition, offset);
            }
        }
        let Some(lead) = self.leader().or(self.entries.first()) else { return finding };
        let led = &lead.detection;
        finding.rule = led.rule.clone();
        finding.title = led.title.clone();
        finding.severity = led.severity;
        finding.kind = led.kind;
        finding.credential = led.credential.clone();
        finding.credential_age_days = led.credential_age_days;
        finding.credential_state = led.credential_state;
        finding.destination = led.destination.clone();
        finding.action = led.action.clone();
        finding.source_ip = led.source_ip.clone();
        finding.below_line = !self.told;
        if !self.told {
            finding.detections = self.entries.iter().filter(|entry| entry.detection.log_offset == offset).map(|entry| entry.detection.clone()).collect();
            return finding;
        }
        self.fill(&mut finding);
        finding.detections = self.entries.iter().map(|entry| entry.detection.clone()).collect();
        finding.detections.sort_by_key(|detection| detection.first_event_time);
        finding.explanation = explain::paragraph(&finding, led, &self.advice, self.credential_words.as_deref());
        finding.next_questions = explain::questions(&finding, &self.advice);
        finding
    }

    /// What a finding says of all its detections together.
    fn fill(&self, finding: &mut Finding) {
        let counts = |entry: &&Entry| !entry.quiet || !self.is_acute();
        let of = || self.entries.iter().filter(counts);
        finding.first_event_time = of().map(|entry| entry.detection.first_event_time).min().unwrap_or(finding.time);
        finding.last_event_time = of().map(|entry| entry.detection.last_event_time).max().unwrap_or(finding.time);
        finding.event_ids = self.event_ids();
        finding.score = Some(self.rank.points);
        finding.rank_parts = Some(self.rank.parts.json());
        finding.p_value = of().filter_map(|entry| entry.detection.p_value).reduce(f64::min).map(exact);
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| (entry.cause != self.lead, entry.quiet, entry.detection.first_event_time));
        let reasons = entries.iter().map(|entry| Text::from(entry.detection.reason.as_str()));
        let lines = entries.iter().flat_map(|entry| entry.lines.iter().cloned());
        finding.reasons = distinct(reasons.chain(lines), REASONS_MAX);
        finding.tags = distinct(entries.iter().flat_map(|entry| entry.detection.tags.iter().cloned()), usize::MAX);
        let mut by_time: Vec<&Entry> = of().collect();
        by_time.sort_by_key(|entry| entry.detection.first_event_time);
        finding.tactics = Some(distinct(by_time.iter().filter_map(|entry| entry.detection.tactic.clone()), usize::MAX));
        finding.rules = Some(distinct(self.entries.iter().map(|entry| entry.detection.rule.clone()), usize::MAX));
        finding.detections_count = i64::try_from(self.entries.len()).ok();
    }

    /// Events of all detections in turn, each detection's first one before another's second; in order of time.
    fn event_ids(&self) -> Vec<Text> {
        let acute = self.is_acute();
        let mut sources: Vec<_> = self.entries.iter().filter(|entry| !entry.quiet || !acute).map(Entry::events).collect();
        let mut chosen: Vec<(Micros, EventId)> = Vec::new();
        loop {
            let mut any = false;
            for source in &mut sources {
                let Some(event) = source.next() else { continue };
                any = true;
                if chosen.len() < EVENT_IDS_MAX && !chosen.iter().any(|(_, known)| *known == event.1) {
                    chosen.push(event);
                }
            }
            if !any || chosen.len() >= EVENT_IDS_MAX {
                break;
            }
        }
        chosen.sort_by_key(|(time, _)| *time);
        chosen.into_iter().map(|(_, event)| Text::from(event.to_hex())).collect()
    }
}

fn sign<'a>(entry: &'a mut Entry, shares: &mut At<'_>) -> Sign<'a> {
    let number = entry.number();
    Sign {
        number,
        signals: &entry.signals,
        rule: &entry.detection.rule,
        tactic: entry.detection.tactic.as_ref(),
        surprise: matches!(entry.detection.kind, FindingKind::Statistical | FindingKind::Incident)
            .then(|| entry.detection.first_event_time.0.div_euclid(Micros::HOUR)),
        share: shares.of(&entry.detection.rule, number),
        habit: entry.habit,
    }
}

fn distinct(texts: impl Iterator<Item = Text>, max: usize) -> Vec<Text> {
    let mut distinct: Vec<Text> = Vec::new();
    for text in texts {
        if distinct.len() < max && !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    distinct
}
