//! What a rule sees: the event's columns and the features computed for it, under the names that rules use. Nothing is copied, and no
//! JSON is built.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::LazyLock;

use keytrail_schemas::{Activity, CredentialKind, CredentialState, Event, IdentityKind, Outcome, SourceClass};
use rsigma_eval::EventValue;
use rustc_hash::FxHashMap;

use crate::{
    action::{
        Class, Classed, Command,
        request::{self, Request},
    },
    baseline::{self, Aspect, Novelty},
    floor, inventory,
    ledger::{Ledger, Observed},
    rule::window::{Window, Windows},
    shape::Shape,
};

/// One event with all that is known of it.
#[derive(Clone, Copy)]
pub struct Observation<'a> {
    /// The event.
    pub event: &'a Event,
    /// The class of its action.
    pub classed: Classed,
    /// The event's shape.
    pub shape: Shape,
    /// What its request asked for: read from its record once a rule asks.
    pub request: &'a OnceCell<Option<Request>>,
    /// The ledger's answer.
    pub observed: &'a Observed,
    /// The baseline's; `None` for a late event.
    pub baseline: Option<&'a baseline::Features>,
    /// The plant floor's; `None` where the event is no command.
    pub floor: Option<floor::Features>,
    /// Whether a lease gives a commander's address to a machine that never had it; `None` where the event is no such lease.
    pub machine_new: Option<bool>,
    /// The inventory's.
    pub declared: inventory::Features,
    /// The declared windows.
    pub windows: Option<&'a Windows>,
    /// For chains of parents.
    pub ledger: Option<&'a Ledger>,
    /// Behind the watermark by more than is allowed.
    pub late: bool,
    /// Something that did not happen: the event then only carries its subject.
    pub absence: Option<&'a baseline::Absence>,
}

/// A number that rules can compare.
pub type Number = fn(&Observation<'_>) -> Option<f64>;
/// A fact that is true, false, or not known.
pub type Flag = fn(&Observation<'_>) -> Option<bool>;

/// One of a closed list of words: its number there.
pub type Word = fn(&Observation<'_>) -> usize;

/// How the values of a text field are remembered.
#[derive(Clone, Copy)]
pub enum Texts {
    /// One of a closed list of words: its number there.
    Word(&'static [&'static str], Word),
    /// Few distinct values: what rules say of each is remembered.
    Few(for<'a> fn(&Observation<'a>) -> Option<&'a str>),
    /// Many distinct values.
    Many(for<'a> fn(&Observation<'a>) -> Option<&'a str>),
}

/// A field by its place in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// In [`NUMBERS`].
    Number(usize),
    /// In [`FLAGS`].
    Flag(usize),
    /// In [`TEXTS`].
    Text(usize),
    /// `time`, as RFC 3339.
    Time,
    /// `credential.parent_chain`, a list.
    ParentChain,
}

/// Every field by its name: rules ask by name, many times an event.
static BY_NAME: LazyLock<FxHashMap<&'static str, Field>> = LazyLock::new(|| {
    let numbers = NUMBERS.iter().enumerate().map(|(at, (name, _))| (*name, Field::Number(at)));
    let flags = FLAGS.iter().enumerate().map(|(at, (name, _))| (*name, Field::Flag(at)));
    let texts = TEXTS.iter().enumerate().map(|(at, (name, _))| (*name, Field::Text(at)));
    numbers.chain(flags).chain(texts).chain([("time", Field::Time), ("credential.parent_chain", Field::ParentChain)]).collect()
});

/// The field of a name.
#[must_use]
pub fn field(name: &str) -> Option<Field> {
    BY_NAME.get(name).copied()
}

/// The names of all fields, for messages and documentation.
pub fn field_names() -> impl Iterator<Item = &'static str> {
    ["time", "credential.parent_chain"]
        .into_iter()
        .chain(NUMBERS.iter().map(|(name, _)| *name))
        .chain(FLAGS.iter().map(|(name, _)| *name))
        .chain(TEXTS.iter().map(|(name, _)| *name))
}

fn evidence(o: &Observation<'_>, aspect: Aspect) -> Option<f64> {
    o.baseline.map(|b| f64::from(b.score(aspect).evidence))
}

fn habit(o: &Observation<'_>) -> Option<baseline::Habit> {
    o.baseline.and_then(|b| b.habit)
}

fn novelty(o: &Observation<'_>, aspect: Aspect) -> usize {
    o.baseline.map_or(Novelty::NotAssessable as usize, |b| b.score(aspect).novelty as usize)
}

/// Every number.
pub const NUMBERS: &[(&str, Number)] = &[
    ("source_asn", |o| o.event.source_asn.map(float)),
    ("credential.age_days", |o| o.observed.credential.age_days),
    ("credential.lifetime_days", |o| o.observed.credential.lifetime_days),
    ("credential.remaining_days", |o| o.observed.credential.remaining_days),
    ("credential.idle_days", |o| o.observed.credential.idle_days),
    ("credential.idle_vs_longest", |o| o.observed.credential.idle_vs_longest),
    ("credential.overlap_hours", |o| o.observed.credential.overlap_hours),
    ("credential.age_vs_cadence", |o| o.observed.credential.age_vs_cadence),
    ("credential.rotations", |o| Some(f64::from(o.observed.credential.rotations))),
    ("credential.distinct_sources_24h", |o| Some(f64::from(o.observed.credential.distinct_sources_24h))),
    ("credential.concurrent_sources", |o| Some(f64::from(o.observed.credential.concurrent_sources))),
    ("credential.concurrent_countries", |o| Some(f64::from(o.observed.credential.concurrent_countries))),
    ("credential.issued_then_used_minutes", |o| o.observed.credential.issued_then_used_minutes),
    ("credential.revoked_minutes", |o| o.observed.credential.revoked_minutes),
    ("credential.expired_hours", |o| o.observed.credential.expired_hours),
    ("credential.chain_depth", |o| Some(f64::from(o.observed.credential.chain_depth))),
    ("credential.parents_seen", |o| Some(f64::from(o.observed.credential.parents_seen))),
    ("credential.identities", |o| o.observed.credential.slot.map(|_| f64::from(o.observed.credential.identities))),
    ("credential.uses", |o| o.observed.credential.slot.map(|_| count(o.observed.credential.uses))),
    ("identity.age_days", |o| Some(o.observed.identity.age_days)),
    ("identity.idle_days", |o| o.observed.identity.idle_days),
    ("identity.idle_vs_longest", |o| o.observed.identity.idle_vs_longest),
    ("identity.active_days", |o| Some(f64::from(o.observed.identity.active_days))),
    ("identity.events", |o| Some(count(o.observed.identity.events))),
    ("identity.failure_streak", |o| Some(f64::from(o.observed.identity.failure_streak))),
    ("identity.environment_age_days", |o| o.observed.identity.environment_age_days),
    ("identity.environments", |o| Some(f64::from(o.observed.identity.environments))),
    ("account.newcomers_per_week", |o| o.observed.identity.newcomers_per_week),
    ("account.age_days", |o| Some(o.observed.account_age_days)),
    ("baseline.destination", |o| evidence(o, Aspect::Destination)),
    ("baseline.action", |o| evidence(o, Aspect::Action)),
    ("baseline.network", |o| evidence(o, Aspect::Network)),
    ("baseline.country", |o| evidence(o, Aspect::Country)),
    ("baseline.user_agent", |o| evidence(o, Aspect::UserAgent)),
    ("baseline.protocol", |o| evidence(o, Aspect::Protocol)),
    ("baseline.auth_method", |o| evidence(o, Aspect::AuthMethod)),
    ("baseline.audience", |o| evidence(o, Aspect::Audience)),
    ("baseline.overlap", |o| evidence(o, Aspect::Overlap)),
    ("baseline.schedule", |o| evidence(o, Aspect::Schedule)),
    ("baseline.volume", |o| evidence(o, Aspect::Volume)),
    ("baseline.failure_share", |o| evidence(o, Aspect::FailureShare)),
    ("baseline.spread", |o| evidence(o, Aspect::Spread)),
    ("baseline.total", |o| o.baseline.map(|b| b.total)),
    ("baseline.p_value", |o| o.absence.map(|a| a.p_value).or_else(|| o.baseline.map(|b| b.p_value))),
    ("baseline.windows", |o| o.baseline.map(|b| f64::from(b.windows))),
    ("baseline.events_in_window", |o| o.baseline.map(|b| f64::from(b.events_in_window))),
    ("baseline.failures_in_window", |o| o.baseline.map(|b| f64::from(b.failures_in_window))),
    ("baseline.destinations_in_window", |o| o.baseline.map(|b| f64::from(b.destinations_in_window))),
    ("baseline.off_schedule_minutes", |o| o.baseline.and_then(|b| b.off_schedule_minutes).map(f64::from)),
    ("baseline.hours_away", |o| o.baseline.map(|b| f64::from(b.hours_away))),
    ("baseline.idle_days", |o| o.baseline.and_then(|b| b.idle_days).map(f64::from)),
    ("baseline.incident_members", |o| o.baseline.and_then(|b| b.incident.as_ref()).map(|incident| count(incident.members.len() as u64))),
    ("baseline.action_class_days", |o| habit(o).map(|habit| f64::from(habit.days))),
    ("baseline.action_class_share", |o| habit(o).map(|habit| f64::from(habit.share))),
    ("command.events", |o| o.floor.map(|f| count(f.events))),
    ("command.days", |o| o.floor.map(|f| f64::from(f.days))),
    ("command.days_here", |o| o.floor.map(|f| f64::from(f.days_here))),
    ("command.idle_days", |o| o.floor.and_then(|f| f.idle_days)),
    ("command.share", |o| o.floor.map(|f| f.share)),
    ("command.refused_in_hour", |o| o.floor.map(|f| f64::from(f.refused_in_hour))),
    ("command.burst", |o| o.floor.map(|f| f64::from(f.burst))),
    ("command.burst_times", |o| o.floor.map(|f| f.burst_times)),
    ("controller.age_days", |o| o.floor.map(|f| f.controller_age_days)),
    ("controller.others", |o| o.floor.map(|f| f64::from(f.controller_others))),
    ("controller.kin", |o| o.floor.map(|f| f64::from(f.controller_kin))),
    ("session.age_hours", |o| o.floor.and_then(|f| f.session_hours)),
    ("identity.sites", |o| o.floor.filter(|f| f.sites > 0).map(|f| f64::from(f.sites))),
    ("absence.evidence", |o| o.absence.map(|absence| absence.evidence)),
    ("absence.members", |o| o.absence.map(|absence| count(absence.members.len() as u64))),
];

/// Every fact.
pub const FLAGS: &[(&str, Flag)] = &[
    ("late", |o| Some(o.late)),
    ("command.controls", |o| o.floor.map(|_| o.classed.command.controls())),
    ("command.first", |o| o.floor.map(|f| f.first)),
    ("command.first_here", |o| o.floor.map(|f| f.first_here)),
    ("command.stranger", |o| o.floor.map(|f| f.stranger)),
    ("controller.first_of_class", |o| o.floor.map(|f| f.first_of_class)),
    ("controller.beside", |o| o.floor.map(|f| f.beside)),
    ("controller.at_once", |o| o.floor.map(|f| f.at_once)),
    ("session.authenticated", |o| o.floor.and_then(|f| f.authenticated)),
    ("session.authenticates_elsewhere", |o| o.floor.map(|f| f.authenticates_elsewhere)),
    ("session.anonymous_unusual", |o| o.floor.map(|f| f.anonymous_unusual)),
    ("action.class_guessed", |o| Some(o.classed.guessed)),
    ("action.privileged", |o| Some(o.classed.class.is_privileged())),
    ("request.public", |o| o.request().map(|request| request.public)),
    ("request.foreign_account", |o| o.request().map(|request| request.foreign_account)),
    ("request.admin", |o| o.request().map(|request| request.admin)),
    ("request.powerful", |o| o.request().map(|request| request.powerful)),
    ("request.host_access", |o| o.request().map(|request| request.host_access)),
    ("request.admin_port", |o| o.request().map(|request| request.admin_port)),
    ("request.on_itself", |o| o.request().map(|request| request.on_itself)),
    ("credential.age_is_exact", |o| o.observed.credential.age_days.map(|_| o.observed.credential.age_is_exact)),
    ("credential.lifetime_over_policy", |o| Some(o.observed.credential.lifetime_over_policy)),
    ("credential.age_over_policy", |o| Some(o.observed.credential.age_over_policy)),
    ("credential.first_use", |o| Some(o.observed.credential.first_use)),
    ("credential.successor_used", |o| Some(o.observed.credential.successor_used)),
    ("credential.parent_is_new", |o| Some(o.observed.credential.parent_is_new)),
    ("identity.machine_new", |o| o.machine_new),
    ("identity.is_new", |o| Some(o.observed.identity.is_new)),
    ("identity.protocol_weaker", |o| Some(o.observed.identity.protocol_weaker)),
    ("identity.method_weaker", |o| Some(o.observed.identity.method_weaker)),
    ("baseline.exceeds_budget", |o| o.baseline.map(|b| b.exceeds_budget)),
    ("baseline.client_family_new", |o| o.baseline.map(|b| b.client_family_new)),
    ("baseline.learning", |o| o.baseline.map(|b| b.learning)),
    ("baseline.incident", |o| o.baseline.map(|b| b.incident.is_some())),
    ("baseline.action_class_first", |o| habit(o).map(|habit| habit.days == 0.0)),
    ("baseline.action_routine", |o| habit(o).map(|habit| habit.routine)),
    ("baseline.missed_heartbeat", |o| Some(o.absence.is_some_and(|absence| matches!(absence.subject, baseline::Subject::Identity(_))))),
    ("source.silent", |o| Some(o.absence.is_some_and(|absence| matches!(absence.subject, baseline::Subject::Source(_))))),
    ("declared.known", |o| Some(o.declared.known)),
    ("declared.owner_missing", |o| Some(o.declared.owner_missing)),
    ("declared.retired", |o| Some(o.declared.retired)),
    ("declared.destination_allowed", |o| o.declared.destination_allowed),
    ("declared.protocol_allowed", |o| o.declared.protocol_allowed),
    ("declared.environment_allowed", |o| o.declared.environment_allowed),
    ("declared.network_allowed", |o| o.declared.network_allowed),
    ("declared.in_window", |o| Some(o.window().is_some())),
    ("declared.hours_allowed", |o| o.declared.hours_allowed),
];

macro_rules! words_of {
    ($ty:ty) => {{
        const WORDS: [&str; <$ty>::ALL.len()] = {
            let mut words = [""; <$ty>::ALL.len()];
            let mut i = 0;
            while i < words.len() {
                words[i] = <$ty>::ALL[i].as_str();
                i += 1;
            }
            words
        };
        &WORDS
    }};
}

const NOVELTIES: &[&str] =
    &[Novelty::Known.as_str(), Novelty::NewToIdentity.as_str(), Novelty::NewToEveryone.as_str(), Novelty::Learning.as_str(), Novelty::NotAssessable.as_str()];

/// Every text.
pub const TEXTS: &[(&str, Texts)] = &[
    ("activity", Texts::Word(words_of!(Activity), |o| o.event.activity as usize)),
    ("outcome", Texts::Word(words_of!(Outcome), |o| o.event.outcome as usize)),
    ("identity_kind", Texts::Word(words_of!(IdentityKind), |o| o.event.identity_kind as usize)),
    ("credential_kind", Texts::Word(words_of!(CredentialKind), |o| o.event.credential_kind as usize)),
    ("action.class", Texts::Word(words_of!(Class), |o| o.classed.class as usize)),
    ("action.command", Texts::Word(words_of!(Command), |o| o.classed.command as usize)),
    ("session.outlives", Texts::Word(floor::Outlives::WORDS, |o| o.floor.map_or(0, |f| f.outlives as usize))),
    ("credential.state", Texts::Word(words_of!(CredentialState), |o| o.observed.credential.state as usize)),
    ("baseline.destination_novelty", Texts::Word(NOVELTIES, |o| novelty(o, Aspect::Destination))),
    ("baseline.action_novelty", Texts::Word(NOVELTIES, |o| novelty(o, Aspect::Action))),
    ("baseline.network_novelty", Texts::Word(NOVELTIES, |o| novelty(o, Aspect::Network))),
    ("baseline.country_novelty", Texts::Word(NOVELTIES, |o| novelty(o, Aspect::Country))),
    ("baseline.user_agent_novelty", Texts::Word(NOVELTIES, |o| novelty(o, Aspect::UserAgent))),
    ("baseline.protocol_novelty", Texts::Word(NOVELTIES, |o| novelty(o, Aspect::Protocol))),
    ("baseline.auth_method_novelty", Texts::Word(NOVELTIES, |o| novelty(o, Aspect::AuthMethod))),
    ("reason", Texts::Few(|o| o.event.reason.as_deref())),
    ("identity_provider", Texts::Few(|o| Some(&o.event.identity_provider))),
    ("source_class", Texts::Word(words_of!(SourceClass), |o| SourceClass::of(o.event.source_ip.as_deref(), o.event.source_host.as_deref()) as usize)),
    ("source_country", Texts::Few(|o| o.event.source_country.as_deref())),
    ("user_agent", Texts::Few(|o| o.event.user_agent.as_deref())),
    ("destination_kind", Texts::Few(|o| o.event.destination_kind.as_deref())),
    ("destination_service", Texts::Few(|o| o.event.destination_service.as_deref())),
    ("environment", Texts::Few(|o| o.event.environment.as_deref())),
    ("protocol", Texts::Few(|o| o.event.protocol.as_deref())),
    ("auth_method", Texts::Few(|o| o.event.auth_method.as_deref())),
    ("action", Texts::Few(|o| o.event.action.as_deref())),
    ("source", Texts::Few(|o| Some(&o.event.source))),
    ("format", Texts::Few(|o| Some(&o.event.format))),
    ("identity", Texts::Many(|o| Some(&o.event.identity))),
    ("identity_account", Texts::Many(|o| Some(&o.event.identity_account))),
    ("credential", Texts::Many(|o| o.event.credential.as_deref())),
    ("credential_parent", Texts::Many(|o| o.event.credential_parent.as_deref())),
    ("issuer", Texts::Many(|o| o.event.issuer.as_deref())),
    ("source_ip", Texts::Many(|o| o.event.source_ip.as_deref())),
    ("source_host", Texts::Many(|o| o.event.source_host.as_deref())),
    ("destination", Texts::Many(|o| o.event.destination.as_deref())),
    ("session", Texts::Many(|o| o.event.session.as_deref())),
    ("trace_id", Texts::Many(|o| o.event.trace_id.as_deref())),
    ("raw", Texts::Many(|o| o.event.raw.as_deref())),
];

impl<'a> Observation<'a> {
    /// What its request asked for, where that is looked at.
    fn request(&self) -> Option<Request> {
        *self.request.get_or_init(|| request::read(self.event, self.classed.class))
    }

    /// The text of a field of [`TEXTS`].
    #[must_use]
    pub fn text(&self, at: usize) -> Option<&'a str> {
        match TEXTS.get(at)?.1 {
            Texts::Word(words, word) => words.get(word(self)).copied(),
            Texts::Few(text) | Texts::Many(text) => text(self),
        }
    }

    /// Whether its identity does such acts as a routine.
    #[must_use]
    pub fn is_routine(&self) -> bool {
        habit(self).is_some_and(|habit| habit.routine)
    }

    /// The declared window that speaks of it.
    #[must_use]
    pub fn window(&self) -> Option<&'a Window> {
        let windows = self.windows?;
        if self.absence.is_none() {
            return windows.over(self.event, None);
        }
        let missed = self.ledger.and_then(|ledger| ledger.identity(self.observed.who));
        let environments: Vec<_> = missed.into_iter().flat_map(|identity| &identity.environments).map(|(name, ..)| name).collect();
        windows.over(self.event, Some(&environments))
    }

    /// The value of a field.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<EventValue<'a>> {
        match field {
            Field::Number(at) => NUMBERS.get(at)?.1(self).map(EventValue::Float),
            Field::Flag(at) => FLAGS.get(at)?.1(self).map(EventValue::Bool),
            Field::Text(at) => self.text(at).map(|text| EventValue::Str(Cow::Borrowed(text))),
            Field::Time => Some(EventValue::Str(Cow::Owned(self.event.time.to_rfc3339()))),
            Field::ParentChain => {
                let chain = self.ledger?.parent_chain(self.event.credential.as_deref()?);
                Some(EventValue::Array(chain.into_iter().map(|parent| EventValue::Str(Cow::Owned(parent.into()))).collect()))
            }
        }
    }

    /// All features that have a value, with the event's own texts left out, as a JSON object.
    #[must_use]
    pub fn features(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut features = serde_json::Map::new();
        for (name, number) in NUMBERS {
            if let Some(value) = number(self).filter(|value| *value != 0.0 && value.is_finite()) {
                features.insert((*name).to_owned(), rounded(value).into());
            }
        }
        for (name, flag) in FLAGS {
            if let Some(value) = flag(self).filter(|value| *value || name.starts_with("declared.") && self.declared.known) {
                features.insert((*name).to_owned(), value.into());
            }
        }
        for (at, (name, _)) in TEXTS.iter().enumerate().filter(|(_, (name, _))| name.contains('.')) {
            if let Some(text) = self.text(at).filter(|text| !matches!(*text, "known" | "not_assessable" | "unknown" | "none")) {
                features.insert((*name).to_owned(), text.into());
            }
        }
        features
    }
}

impl rsigma_eval::Event for Observation<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        self.value(field(path)?)
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        (0..TEXTS.len()).any(|at| self.text(at).is_some_and(pred))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        (0..TEXTS.len()).filter_map(|at| self.text(at)).map(Cow::Borrowed).collect()
    }

    fn to_json(&self) -> serde_json::Value {
        field_names().filter_map(|name| Some((name.to_owned(), self.value(field(name)?)?.to_json()))).collect::<serde_json::Map<_, _>>().into()
    }
}

/// Six significant digits are enough for a person, and keep the text short.
fn rounded(value: f64) -> f64 {
    let scale = 10_f64.powi(5 - value.abs().log10().floor().clamp(-12.0, 12.0) as i32);
    (value * scale).round() / scale
}

#[expect(clippy::cast_precision_loss, reason = "counts are compared with thresholds")]
const fn count(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "AS numbers are below 2^32")]
const fn float(n: i64) -> f64 {
    n as f64
}
