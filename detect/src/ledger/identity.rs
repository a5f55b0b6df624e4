//! One identity: what the ledger counts of it, its successions of credentials, and its habits of protocol and environment.

use keytrail_schemas::{CredentialKind, Event, IdentityKind, Micros, Outcome, Text};

use super::{distinct::Distinct, strength};
use crate::baseline::is_act;

/// Environments remembered per identity; at the bound a further one is not taken.
const ENVIRONMENTS_MAX: usize = 8;
/// Credentials remembered per succession; at the bound the oldest leaves.
const SUCCESSION_MAX: usize = 9;
/// Failures further apart than this are no streak.
const STREAK_US: i64 = Micros::HOUR;
/// Events by which a habit is one.
const HABIT_EVENTS: u32 = 50;

/// What is known of one identity.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Canonical id.
    pub name: Text,
    /// What kind of actor it is.
    pub kind: IdentityKind,
    /// Its provider.
    pub provider: Text,
    /// Its account.
    pub account: Text,
    /// When its account was first seen, as of its own first event.
    pub account_since: Micros,
    /// How many others a week had appeared in its account of late when it first did, as far as was known.
    pub newcomers_per_week: Option<f64>,
    /// Days on which it acted, the one under way included.
    pub active_days: u32,
    /// First event.
    pub first_seen: Micros,
    /// Last event.
    pub last_seen: Micros,
    /// Last act of its own: what is done to it (a key made, a token withdrawn) wakes nobody.
    pub last_act: Option<Micros>,
    /// Longest time between two acts, in microseconds.
    pub longest_gap_us: i64,
    /// Events.
    pub events: u64,
    /// Failed or denied ones.
    pub failures: u64,
    /// Destinations.
    pub destinations: Distinct,
    /// Credentials first seen with it.
    pub credentials: u64,
    /// Findings opened.
    pub findings: u64,
    /// Refusals in a row, and the time of the last.
    pub streak: (u32, Micros),
    /// What its sessions were obtained with, and how many were.
    pub parents: (Distinct, u32),
    /// Environments touched: events, and when the first was.
    pub environments: Vec<(Text, u64, Micros)>,
    /// How strong its protocols are.
    pub protocols: Habit,
    /// How strong its methods of authentication are.
    pub methods: Habit,
    /// Its successions, by kind of credential.
    pub successions: Vec<Succession>,
}

impl Identity {
    /// An identity that `event` is the first of.
    #[must_use]
    pub fn new(event: &Event, account_since: Micros, newcomers_per_week: Option<f64>) -> Self {
        Self {
            name: event.identity.clone(),
            kind: event.identity_kind,
            provider: event.identity_provider.clone(),
            account: event.identity_account.clone(),
            account_since,
            newcomers_per_week,
            active_days: 0,
            first_seen: event.time,
            last_seen: event.time,
            last_act: None,
            longest_gap_us: 0,
            events: 0,
            failures: 0,
            destinations: Distinct::default(),
            credentials: 0,
            findings: 0,
            streak: (0, Micros(0)),
            parents: (Distinct::default(), 0),
            environments: Vec::new(),
            protocols: Habit::default(),
            methods: Habit::default(),
            successions: Vec::new(),
        }
    }

    /// Looks at what an event will ask for: the identity itself (`behind` false), then what lies behind it.
    #[inline]
    pub fn touch(&self, behind: bool) -> u64 {
        if behind {
            let environment = self.environments.first().map_or(0, |(_, events, _)| *events);
            let succession = self.successions.first().map_or(0, |succession| succession.members.len() as u64);
            return u64::from(self.name.as_bytes().first().copied().unwrap_or_default()) ^ self.destinations.touch() ^ environment ^ succession;
        }
        let lengths = self.environments.len() ^ self.successions.len() ^ self.destinations.len();
        let counts = self.events ^ self.failures ^ u64::from(self.streak.0) ^ u64::from(self.active_days) ^ lengths as u64;
        let times = self.last_seen.0 ^ self.first_seen.0 ^ self.longest_gap_us ^ self.last_act.map_or(0, |act| act.0);
        counts ^ times.unsigned_abs() ^ u64::from(self.protocols.classes[0].0 ^ self.methods.classes[0].0 ^ self.protocols.classes[2].0)
    }

    /// Takes `event`, and returns the features that concern the identity.
    pub fn observe(&mut self, event: &Event, destination: Option<u64>, destinations_max: usize) -> Features {
        let mut features = Features { is_new: self.events == 0, age_days: event.time.days_since(self.first_seen).max(0.0), ..Features::default() };
        features.active_days = self.active_days;
        features.newcomers_per_week = self.newcomers_per_week;
        if is_act(event) {
            if let Some(last) = self.last_act
                && event.time > last
            {
                let gap = event.time.0 - last.0;
                features.idle_days = Some(event.time.days_since(last));
                features.idle_vs_longest = Some(ratio(gap, self.longest_gap_us));
                self.longest_gap_us = self.longest_gap_us.max(gap);
            }
            if self.last_act.is_none_or(|last| event.time.day() > last.day()) {
                self.active_days = self.active_days.saturating_add(1);
            }
            self.last_act = self.last_act.max(Some(event.time));
        }
        self.events += 1;
        self.first_seen = self.first_seen.min(event.time);
        self.last_seen = self.last_seen.max(event.time);
        if event.identity_kind != IdentityKind::Unknown {
            self.kind = event.identity_kind;
        }
        self.failures += u64::from(refused(event.outcome));
        features.failure_streak = self.streak(event);
        if let Some(hash) = destination {
            self.destinations.insert(hash, destinations_max);
        }
        features.environment_age_days = self.environment(event);
        features.environments = u32::try_from(self.environments.len()).unwrap_or(u32::MAX);
        features.protocol_weaker = self.protocols.observe(event.protocol.as_deref().and_then(strength::of_protocol), event.time);
        features.method_weaker = self.methods.observe(event.auth_method.as_deref().and_then(strength::of_method), event.time);
        features.events = self.events;
        features
    }

    /// Refusals in a row before this event.
    fn streak(&mut self, event: &Event) -> u32 {
        let before = if event.time.0 - self.streak.1.0 <= STREAK_US { self.streak.0 } else { 0 };
        match event.outcome {
            Outcome::Failure | Outcome::Denied => self.streak = (before.saturating_add(1), event.time.max(self.streak.1)),
            Outcome::Success => self.streak.0 = 0,
            Outcome::Unknown => {}
        }
        before
    }

    /// How long the event's environment has been known, in days.
    fn environment(&mut self, event: &Event) -> Option<f64> {
        let environment = event.environment.as_ref()?;
        if let Some((_, events, first)) = self.environments.iter_mut().find(|(name, ..)| name == environment) {
            *events += 1;
            *first = (*first).min(event.time);
            return Some(event.time.days_since(*first));
        }
        if self.environments.len() < ENVIRONMENTS_MAX {
            self.environments.push((environment.clone(), 1, event.time));
        }
        Some(0.0)
    }

    /// The succession of credentials of `kind`, if one has begun.
    #[must_use]
    pub fn known_succession(&self, kind: CredentialKind) -> Option<&Succession> {
        self.successions.iter().find(|succession| succession.kind == kind)
    }

    /// The succession of credentials of `kind`, begun where there is none.
    pub fn succession(&mut self, kind: CredentialKind) -> &mut Succession {
        let at = match self.successions.iter().position(|succession| succession.kind == kind) {
            Some(at) => at,
            None => {
                self.successions.push(Succession { kind, members: Vec::new() });
                self.successions.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "`at` was found or pushed above")]
        &mut self.successions[at]
    }
}

/// Features of an identity at an event.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Features {
    /// The event is the first of the identity.
    pub is_new: bool,
    /// Days since its first event.
    pub age_days: f64,
    /// Days since its last act.
    pub idle_days: Option<f64>,
    /// That time, divided by the longest one before.
    pub idle_vs_longest: Option<f64>,
    /// Days on which it had acted before this event.
    pub active_days: u32,
    /// How many others a week had appeared in its account of late when it first did; `None` while that was not known.
    pub newcomers_per_week: Option<f64>,
    /// Events so far, this one included.
    pub events: u64,
    /// Refusals in a row just before.
    pub failure_streak: u32,
    /// Days since it first touched the event's environment.
    pub environment_age_days: Option<f64>,
    /// Environments it touched.
    pub environments: u32,
    /// The protocol is weaker than is its habit.
    pub protocol_weaker: bool,
    /// The method of authentication is weaker than is its habit.
    pub method_weaker: bool,
}

/// Whether the outcome is a failure or a denial.
#[must_use]
pub const fn refused(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failure | Outcome::Denied)
}

/// `gap ÷ longest`, where nothing was longest yet counts as one hour.
#[expect(clippy::cast_precision_loss, reason = "a ratio of spans of time")]
pub fn ratio(gap: i64, longest: i64) -> f64 {
    gap as f64 / longest.max(Micros::HOUR) as f64
}

/// How often each class of strength was met, and when first.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Habit {
    classes: [(u32, Micros); strength::CLASSES],
}

impl Habit {
    /// Takes one, and says whether it is weaker than the habit and new within a day.
    fn observe(&mut self, class: Option<usize>, time: Micros) -> bool {
        let Some(class) = class else { return false };
        let usual = self.classes.iter().enumerate().max_by_key(|(_, (count, _))| *count).map_or((0, 0), |(at, (count, _))| (at, *count));
        let Some((count, first)) = self.classes.get_mut(class) else { return false };
        if *count == 0 {
            *first = time;
        }
        *count = count.saturating_add(1);
        class < usual.0 && usual.1 >= HABIT_EVENTS && time.0 - first.0 < Micros::DAY
    }
}

/// Credentials of one kind in the order of their birth.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Succession {
    kind: CredentialKind,
    members: Vec<(Micros, u32)>,
}

impl Succession {
    /// Enters a credential. Returns its neighbours: (predecessor, successor with its birth).
    pub fn enter(&mut self, born: Micros, slot: u32) -> (Option<u32>, Option<(Micros, u32)>) {
        self.leave(slot);
        let at = self.members.partition_point(|member| *member < (born, slot));
        self.members.insert(at, (born, slot));
        let neighbours = (at.checked_sub(1).and_then(|before| self.members.get(before)).map(|m| m.1), self.members.get(at + 1).copied());
        if self.members.len() > SUCCESSION_MAX {
            self.members.remove(0);
        }
        neighbours
    }

    /// Takes a credential out.
    pub fn leave(&mut self, slot: u32) {
        self.members.retain(|member| member.1 != slot);
    }

    /// Keeps the credentials that `stays` says.
    pub fn retain(&mut self, stays: impl Fn(u32) -> bool) {
        self.members.retain(|member| stays(member.1));
    }

    /// The last one entered, by birth.
    #[must_use]
    pub fn latest(&self) -> Option<(Micros, u32)> {
        self.members.last().copied()
    }

    /// How many rotations are known.
    #[must_use]
    pub fn rotations(&self) -> u32 {
        u32::try_from(self.members.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Median time between rotations, in days, once there are two.
    #[must_use]
    pub fn cadence_days(&self) -> Option<f64> {
        if self.members.len() < 3 {
            return None;
        }
        let mut gaps = [0_i64; SUCCESSION_MAX];
        let mut count = 0;
        for (gap, pair) in gaps.iter_mut().zip(self.members.array_windows::<2>()) {
            *gap = pair[1].0.0 - pair[0].0.0;
            count += 1;
        }
        let gaps = gaps.get_mut(..count)?;
        gaps.sort_unstable();
        gaps.get(count / 2).map(|gap| Micros(*gap).days_since(Micros(0)))
    }
}
