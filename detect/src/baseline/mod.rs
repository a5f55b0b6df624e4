//! What is normal for an identity: windows of one hour, scored anew with each event that brings something and learned once, when
//! they close. It computes evidence; rules decide on it.

use keytrail_schemas::{Event, Micros, Text};

use crate::IdentityIx;

/// The aspects of behaviour that are judged, in the order in which they are listed everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Aspect {
    /// What was touched.
    Destination,
    /// What was done, with the reason of a failure.
    Action,
    /// Where it came from: host, /24, /16, ASN.
    Network,
    /// The country that it came from.
    Country,
    /// The client's own name.
    UserAgent,
    /// Over which protocol.
    Protocol,
    /// How it authenticated.
    AuthMethod,
    /// The destination's side: a long and stable set of visitors meets a new one.
    Audience,
    /// A new network while the old one goes on.
    Overlap,
    /// Hour of week, or minutes from the learned schedule.
    Schedule,
    /// Events per window.
    Volume,
    /// Failures among them.
    FailureShare,
    /// Distinct destinations per window.
    Spread,
}

impl Aspect {
    /// How many there are.
    pub const COUNT: usize = 13;
    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Destination,
        Self::Action,
        Self::Network,
        Self::Country,
        Self::UserAgent,
        Self::Protocol,
        Self::AuthMethod,
        Self::Audience,
        Self::Overlap,
        Self::Schedule,
        Self::Volume,
        Self::FailureShare,
        Self::Spread,
    ];

    /// The name that rules and findings use: `baseline.<name>` is its evidence, `baseline.<name>_novelty` its novelty.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Action => "action",
            Self::Network => "network",
            Self::Country => "country",
            Self::UserAgent => "user_agent",
            Self::Protocol => "protocol",
            Self::AuthMethod => "auth_method",
            Self::Audience => "audience",
            Self::Overlap => "overlap",
            Self::Schedule => "schedule",
            Self::Volume => "volume",
            Self::FailureShare => "failure_share",
            Self::Spread => "spread",
        }
    }
}

/// How new this event's value of an aspect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Novelty {
    /// Seen before by this identity.
    #[default]
    Known,
    /// New to the identity, known to its peers.
    NewToIdentity,
    /// New to the identity and to its peers.
    NewToEveryone,
    /// The identity is too young for novelty to mean anything.
    Learning,
    /// The event does not carry the value.
    NotAssessable,
}

impl Novelty {
    /// The word that rules see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::NewToIdentity => "new_to_identity",
            Self::NewToEveryone => "new_to_everyone",
            Self::Learning => "learning",
            Self::NotAssessable => "not_assessable",
        }
    }

    /// New to the identity, whoever else knows it.
    #[must_use]
    pub const fn is_new(self) -> bool {
        matches!(self, Self::NewToIdentity | Self::NewToEveryone)
    }
}

/// One aspect, judged.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Excess evidence of the window so far, −log10 p less what is usual; 0 when there is none.
    pub evidence: f32,
    /// This event's value.
    pub novelty: Novelty,
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
    /// What they have in common, such as `destination vault:secret/data/shared` or `failure AccessDenied on s3:GetObject`.
    pub cause: Text,
    /// Its members so far, this one included, in the order in which they joined; at most 64.
    pub members: Vec<IdentityIx>,
}

/// What the baseline says of one event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// Per [`Aspect`], by its number.
    pub scores: [Score; Aspect::COUNT],
    /// Sum of the excess evidence, discounted for incidents, −log10 p.
    pub total: f64,
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
    /// Days since the identity was last seen before this event; `None` at first sight.
    pub idle_days: Option<f32>,
    /// The dimensions with evidence, in words, the strongest first: filled only when `exceeds_budget`, so that the common case
    /// allocates nothing. [`Baseline::describe`] gives all of them at any time.
    pub dimensions: Vec<Dimension>,
    /// The incident that the event belongs to.
    pub incident: Option<Incident>,
}

impl Features {
    /// The score of `aspect`.
    #[must_use]
    pub fn score(&self, aspect: Aspect) -> Score {
        self.scores.get(aspect as usize).copied().unwrap_or_default()
    }
}

/// What the detector knows when it asks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A regular identity: `baseline.missed_heartbeat`.
    Identity(IdentityIx),
    /// A source, by its configured name: `source.silent`.
    Source(Text),
}

/// Bounds and thresholds.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Statistical findings a day that the operator can read.
    pub findings_per_day: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { findings_per_day: 20.0 }
    }
}

/// The baselines of one partition.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Baseline {
    #[serde(skip)]
    config: Config,
}

impl Baseline {
    /// Nothing learned yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Sets the configuration of a restored baseline: it is not part of the snapshot.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
    }

    /// Scores one event and takes it into its window. Called with events in the order of the log.
    pub fn observe(&mut self, who: IdentityIx, event: &Event, context: &Context) -> Features {
        let _ = (who, event, context, &self.config);
        Features { p_value: 1.0, learning: true, ..Features::default() }
    }

    /// The watermark moved: closes windows, and reports who has been silent for too long. Called before `observe`.
    pub fn advance(&mut self, watermark: Micros, out: &mut Vec<Absence>) {
        let _ = (watermark, out);
    }

    /// Every dimension of the identity's current window in words, in the order of [`Aspect::ALL`].
    #[must_use]
    pub fn describe(&self, who: IdentityIx) -> Vec<Dimension> {
        let _ = who;
        Vec::new()
    }

    /// Windows learned for the identity.
    #[must_use]
    pub fn windows(&self, who: IdentityIx) -> u64 {
        let _ = who;
        0
    }

    /// The registry evicted the identity: drops all that is known of it, so that its number can be used again.
    pub fn forget(&mut self, who: IdentityIx) {
        let _ = who;
    }
}
