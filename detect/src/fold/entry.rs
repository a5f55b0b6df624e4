//! One detection in the making: its own events, first and latest, and what it brings to the rank.

use std::collections::VecDeque;

use keytrail_schemas::{CredentialState, Detection, EventId, FindingKind, Micros, Severity, Text};
use serde::{Deserialize, Serialize};

use super::cause;
use super::exact::exact;
use super::explain;
use crate::baseline::Aspect;
use crate::ledger::distinct::hash_of;
use crate::rank::{self, Signals, Standing};
use crate::rule::{Hit, Rule, observation::Observation};

/// Events that are kept from the beginning, and as many from the end.
pub(super) const EVENTS_KEPT: usize = 8;
/// Lines of the baseline that a detection keeps.
const LINES_MAX: usize = 6;

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) detection: Detection,
    pub(super) cause: u64,
    /// A number for its rule, once it was asked for; 0 before.
    #[serde(skip)]
    number: u64,
    /// A lasting condition, or what its doer does habitually: a reason of what is acute, and nothing on its own.
    pub(super) quiet: bool,
    /// It counts beside others alone, and gives no finding its name while anything else is in it.
    sign: bool,
    /// It does not say what the act was.
    general: bool,
    /// It has a budget; facts have none.
    pub(super) judgement: bool,
    /// The same fact, of the same credential and cause, was told of within the last thirty days, and comes from nowhere new: it goes on.
    pub(super) again: bool,
    /// Earlier stories of the last thirty days in which the rule spoke of the same identity.
    pub(super) habit: u32,
    /// What its rule was worth when it was opened.
    pub(super) standing: Standing,
    pub(super) signals: Signals,
    /// The baseline's dimensions in words.
    pub(super) lines: Vec<Text>,
    first: Vec<(Micros, EventId)>,
    latest: VecDeque<(Micros, EventId)>,
    /// Something came that no record of the topic tells yet.
    pub(super) changed: bool,
}

/// Whether the rule says nothing acute of the observation.
pub(super) fn is_quiet(rule: &Rule, o: &Observation<'_>) -> bool {
    rule.meta.posture || (rule.meta.learns && o.is_routine())
}

impl Entry {
    /// What `hit` opens, of whose habit and youth the story knows; its event is taken by [`Entry::take`].
    pub(super) fn new(o: &Observation<'_>, hit: &Hit, rule: &Rule, kind: FindingKind, cause: u64, (habit, standing): (u32, Standing)) -> Self {
        let event = o.event;
        let facts = &o.observed.credential;
        let acted = o.absence.is_none();
        let named = acted && event.credential.is_some();
        let id = cause::id("keytrail detection id v1", &[rule.id.as_bytes(), event.identity.as_bytes(), &cause.to_le_bytes(), &cause::beginning(o)]);
        let detection = Detection {
            detection_id: id.into(),
            rule: rule.id.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            kind,
            technique: rule.technique.clone(),
            tactic: rule.tactic.clone(),
            identity: event.identity.clone(),
            identity_kind: event.identity_kind,
            credential: event.credential.clone().filter(|_| acted),
            credential_age_days: facts.age_days.filter(|_| named).map(exact),
            credential_state: if named { facts.state } else { CredentialState::Unknown },
            first_event_time: o.absence.map_or(event.time, |absence| absence.last_seen),
            last_event_time: event.time,
            action: event.action.clone().filter(|_| acted),
            destination: event.destination.clone().filter(|_| acted),
            source_ip: event.source_ip.clone().filter(|_| acted),
            reason: explain::reason(rule, hit, o),
            tags: rule.tags.clone(),
            ..Detection::default()
        };
        let mut lines = if matches!(kind, FindingKind::Policy | FindingKind::Posture) { Vec::new() } else { explain::dimensions(o) };
        lines.truncate(LINES_MAX);
        Self {
            detection,
            cause,
            number: 0,
            quiet: is_quiet(rule, o),
            sign: rule.meta.sign,
            general: rule.meta.general,
            judgement: rule.meta.sign || rank::is_judgement(rule) || standing != Standing::Usual,
            again: false,
            habit,
            standing,
            signals: Signals::default(),
            lines,
            first: Vec::new(),
            latest: VecDeque::new(),
            changed: true,
        }
    }

    /// A number for its rule, by which it is told from others.
    pub(super) fn number(&mut self) -> u64 {
        if self.number == 0 {
            self.number = hash_of(self.detection.rule.as_str()).max(1);
        }
        self.number
    }

    /// By what it leads a story, the greater the more.
    pub(super) fn lead(&self) -> impl Ord + use<> {
        (!self.quiet, !self.sign, self.detection.severity, !self.judgement, !self.general)
    }

    /// Whether to say it again each week would tell nothing: a fact below the worst about what is used and not about what is done, from where it always comes.
    pub(super) fn may_be_again(&self, rule: &Rule, o: &Observation<'_>) -> bool {
        let about_an_act = rule.cause.action || rule.cause.destination;
        let elsewhere = o.baseline.is_none_or(|baseline| baseline.score(Aspect::Network).evidence >= 1.0);
        !about_an_act && !self.judgement && !self.quiet && self.detection.severity < Severity::Critical && !elsewhere
    }

    /// Takes an event of the cause.
    pub(super) fn take(&mut self, o: &Observation<'_>, hit: &Hit, rule: &Rule) {
        self.changed = true;
        self.detection.count += 1;
        self.detection.first_event_time = self.detection.first_event_time.min(o.event.time);
        self.detection.last_event_time = self.detection.last_event_time.max(o.event.time);
        self.signals.take(o, rule, self.detection.kind, self.standing);
        if let Some(p) = rank::p_value(o, self.detection.kind) {
            let p = exact(p);
            self.detection.p_value = Some(self.detection.p_value.map_or(p, |known| known.min(p)));
        }
        if let Some((_, events)) = &hit.correlated {
            // The events that were counted, as far as there is room: their times lie between the first and this one.
            events.iter().for_each(|event| self.remember(self.detection.first_event_time.min(o.event.time), *event));
        }
        if o.absence.is_none() {
            self.remember(o.event.time, o.event.event_id);
        }
    }

    fn remember(&mut self, time: Micros, event: EventId) {
        if self.first.iter().any(|(_, known)| *known == event) || self.latest.iter().any(|(_, known)| *known == event) {
            return;
        }
        if self.first.len() < EVENTS_KEPT {
            self.first.push((time, event));
            return;
        }
        if self.latest.len() == EVENTS_KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back((time, event));
    }

    /// Its events with their times, the first one, then the latest one, then the others.
    pub(super) fn events(&self) -> impl Iterator<Item = (Micros, EventId)> + '_ {
        let (head, rest) = self.first.split_at(self.first.len().min(1));
        head.iter().chain(self.latest.iter().rev()).chain(rest).copied()
    }

    /// The detection as a row, as its next revision.
    pub(super) fn write(&mut self, finding: Option<&Text>, score: f64, partition: i32, offset: i64) {
        let mut events: Vec<(Micros, EventId)> = self.events().collect();
        events.sort_by_key(|(time, _)| *time);
        if self.detection.event_ids.is_empty() {
            self.detection.revision = -1;
        }
        self.detection.revision += 1;
        self.detection.event_ids = events.into_iter().map(|(_, event)| Text::from(event.to_hex())).collect();
        self.detection.finding_id = finding.cloned();
        self.detection.score = Some(score);
        self.detection.log_partition = partition;
        self.detection.log_offset = offset;
        self.changed = false;
    }
}
