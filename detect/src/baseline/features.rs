//! What the baseline is told, and what it answers. Shapes only.

use keytrail_schemas::{Micros, Text};

use super::aspect::{Aspect, Score};
use super::habit::Habit;
use super::value::Peeked;
use crate::{IdentityIx, action::Class, shape::Shape};

/// What the detector knows when it asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// The latest time seen, this event included.
    pub watermark: Micros,
    /// The event is older than lateness allows: it is not judged, and nothing is learned from it.
    pub late: bool,
    /// Age of the credential, where known.
    pub credential_age_days: Option<f64>,
    /// The credential is older than its policy allows.
    pub age_over_policy: bool,
    /// The credential was never used before this event.
    pub first_use: bool,
    /// The class of the action.
    pub class: Class,
    /// The event's shape, where it is known.
    pub shape: Shape,
    /// What the destination resolved to, where it was looked at ahead.
    pub destination: Option<Peeked>,
}

/// Whether a dimension could be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DimensionState {
    /// It was.
    Assessed,
    /// Too little has been seen yet.
    Learning,
    /// The reason in words, such as "the source gives no address".
    NotAssessable(&'static str),
}

/// One dimension in words, for a finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// Which.
    pub aspect: Aspect,
    /// What was seen, such as `vault:secret/data/prod/payments` or `214 events in the hour`.
    pub observed: Text,
    /// What was expected, such as `one of 6 known destinations` or `3 to 40`.
    pub expected: Text,
    /// How long that was learned, such as `312 windows over 26 days`.
    pub learned: Text,
    /// Excess −log10 p.
    pub evidence: f64,
    /// Whether it could be judged.
    pub state: DimensionState,
}

/// Many identities, one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Stable id of the incident within the detector: equal for all its members, never used again.
    pub id: u64,
    /// What they have in common, such as `destination vault:secret/data/shared` or `failure AccessDenied`.
    pub cause: Text,
    /// Its members so far, this one included, in the order in which they joined; at most 64.
    pub members: Vec<IdentityIx>,
    /// How many there are, listed or not.
    pub members_count: u32,
    /// Whether this event made an incident of it: true once per incident, and the one event of it that may exceed the budget.
    pub opened: bool,
}

/// What the baseline says of one event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// Per [`Aspect`], by its number.
    pub scores: [Score; Aspect::COUNT],
    /// Sum of the excess evidence, discounted for incidents and weighed by the credential, −log10 p.
    pub total: f64,
    /// The part of `total` that the age of the credential added: surprise weighs more where the credential is old or overdue.
    pub credential_evidence: f64,
    /// The calibrated probability of as much on normal traffic; 1 when nothing is unusual.
    pub p_value: f64,
    /// Whether the evidence is worth one of the analyst's findings of the day.
    pub exceeds_budget: bool,
    /// Windows learned for the identity.
    pub windows: u32,
    /// Whether the identity is too young to be judged by its own history.
    pub learning: bool,
    /// Events in the window so far, this one included.
    pub events_in_window: u32,
    /// Failed or denied ones among them.
    pub failures_in_window: u32,
    /// Distinct destinations in the window so far.
    pub destinations_in_window: u32,
    /// Minutes between the event and the identity's learned schedule; `None` when it has none.
    pub off_schedule_minutes: Option<f32>,
    /// How many hours of the day lie between the window and the nearest in which the identity was ever at work.
    pub hours_away: u8,
    /// Days since the identity was last seen before this event; `None` at first sight.
    pub idle_days: Option<f32>,
    /// The dimensions with evidence, in words, the strongest first: filled only when `exceeds_budget`, so that the common case
    /// allocates nothing. [`super::Baseline::describe`] gives all of them at any time.
    pub dimensions: Vec<Dimension>,
    /// The incident that the event belongs to.
    pub incident: Option<Incident>,
    /// The client is of a product that the identity never used: another version of one that it uses is not.
    pub client_family_new: bool,
    /// On how many days before the identity did such an act; `None` when the class of its action is not privileged.
    pub habit: Option<Habit>,
}

impl Features {
    /// The score of `aspect`.
    #[must_use]
    pub fn score(&self, aspect: Aspect) -> Score {
        self.scores.get(aspect as usize).copied().unwrap_or_default()
    }
}

/// Something that should have been heard of and was not.
#[derive(Debug, Clone, PartialEq)]
pub struct Absence {
    /// Who or what is silent.
    pub subject: Subject,
    /// When it was last heard of.
    pub last_seen: Micros,
    /// The time by which it should have been heard of: the finding's time.
    pub due: Micros,
    /// What was expected, such as `every 15 min (9 of 10 gaps below 18 min)`.
    pub expected: Text,
    /// How long that was learned.
    pub learned: Text,
    /// −log10 of the probability of so long a silence.
    pub evidence: f64,
    /// The calibrated probability.
    pub p_value: f64,
    /// Other identities that fell silent with it (an outage is one finding), at most 64.
    pub members: Vec<IdentityIx>,
}

/// Whose absence it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Subject {
    /// A regular identity: `baseline.missed_heartbeat`.
    Identity(IdentityIx),
    /// A source, by its configured name: `source.silent`.
    Source(Text),
}
