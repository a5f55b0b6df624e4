//! What is normal for an identity: windows of one hour, scored anew with each event that brings something and learned once, when
//! they close. It computes evidence; rules decide on it.
//!
//! One idea per file. Names become small numbers ([`value`], [`generalise`], [`address`]); an identity remembers which it has met
//! ([`seen`], [`hours`], [`rhythm`], [`habit`], [`profile`]); how often such identities meet something new is learned as a rate ([`rate`],
//! [`group`], [`audience`], [`overlap`]); counts have distributions ([`count`], [`share`], [`tail`]). A window ([`window`]) collects
//! the evidence ([`judge`]), shared causes are told apart ([`incident`]), the sum becomes a probability ([`calibration`]), and the
//! day's budget a threshold ([`budget`]). Silence is in [`silence`]. No training phase, no labels, no clock.

pub mod address;
mod aspect;
pub mod audience;
pub mod budget;
pub mod calibration;
mod client;
mod config;
pub mod count;
mod crowding;
mod describe;
mod estate;
pub mod facet;
mod features;
pub mod generalise;
pub mod group;
pub mod habit;
pub mod hours;
pub mod incident;
mod judge;
pub(crate) mod kept;
mod learn;
pub mod overlap;
mod profile;
pub mod rate;
mod reach;
pub mod rhythm;
pub mod seen;
pub mod share;
pub mod silence;
pub mod tail;
#[cfg(test)]
mod tests;
pub mod value;
mod window;

use std::collections::BTreeMap;

use keytrail_schemas::{Event, Micros, Outcome, Text};

pub use aspect::{Aspect, Novelty, Score};
pub use config::Config;
pub use features::{Absence, Context, Dimension, DimensionState, Features, Incident, Subject};

use crate::{IdentityIx, shape::Shape};
use estate::Estate;
use facet::Facet;
pub use habit::Habit;
pub use judge::is_act;
use judge::{Brought, Case, Verdict};
use profile::{Gap, Profile};
use rate::Class;
use silence::{Overdue, Silence};
pub use value::Peeked;
use value::{Resolved, Side};
use window::Window;

/// The baselines of one partition.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    config: Config,
    estate: Estate,
    profiles: Vec<Option<Box<Profile>>>,
    /// Identities with an open window, by hour, in the order in which they opened it.
    closing: BTreeMap<u32, Vec<IdentityIx>>,
    /// Windows of earlier hours are closed.
    closed_before: u32,
    silence: Silence,
    uid: u32,
    /// Closed windows, whose memory is used again.
    spare: Vec<Window>,
}

impl Baseline {
    /// Nothing learned yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    /// Sets the configuration of a restored baseline: it is not part of the snapshot.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
    }

    /// What an event's destination resolves to, as far as it is known already.
    #[inline]
    #[must_use]
    pub fn peek(&self, event: &Event) -> Option<Peeked> {
        event.destination.as_deref().and_then(|destination| self.estate.values.peek(Facet::Destination, destination))
    }

    /// Looks where an event's address is known.
    #[inline]
    #[must_use]
    pub fn touch_source(&self, event: &Event) -> u32 {
        event.source_ip.as_deref().map_or(0, |address| self.estate.addresses.touch(address))
    }

    /// Looks at what follows from an event's shape.
    #[inline]
    #[must_use]
    pub fn touch_shape(&self, shape: Shape) -> bool {
        self.estate.is_known(shape)
    }

    /// Looks at what an event of `who` will ask for, to have it at hand: at the profile, then (`behind`) where that points to.
    #[inline]
    #[must_use]
    pub fn touch(&self, who: u32, behind: bool) -> u32 {
        self.profile(IdentityIx(who)).map_or(0, |profile| profile.touch_ahead(behind))
    }

    /// Scores one event and takes it into its window. Called with events in the order of the log.
    pub fn observe(&mut self, who: IdentityIx, event: &Event, context: &Context) -> Features {
        let hour = hours::hour_of(event.time);
        if context.late || hour < self.closed_before || !judge::is_act(event) {
            return self.not_judged(who);
        }
        let Self { config, estate, profiles, closing, silence, uid, spare, .. } = self;
        let source = silence.heard(&event.source, event.time, config);
        let Some(profile) = profile_of(profiles, who, uid, estate, event, config) else { return Features::default() };
        let idle_days = profile.idle_days(event.time);
        let (at, mut brought) = profile.enter(hour, who, estate, closing, spare, config);
        let habit = context.class.is_privileged().then(|| profile.habits.meet(context.class, event, hour / 24, config));
        profile.source = source;
        profile.meet_time(event.time, at, silence, &mut brought);
        let values = estate.resolve(event, context, hour / 24, config);
        let new = profile.touch(at, &values, hour);
        profile.meet_values(at, &values, new, event.time, &mut brought, config);
        profile.count(at, event, &mut brought);
        let crowd = closing.get(&hour).map_or(0, |identities| u32::try_from(identities.len()).unwrap_or(u32::MAX));
        let client_family_new = new & Facet::UserAgent.bit() != 0 && event.user_agent.as_deref().is_some_and(|client| !profile.products.knows(client));
        if brought.is_nothing() {
            return Features { habit, client_family_new, ..features(profile, at, &values, new, idle_days, config) };
        }
        let Some(window) = profile.open.get_mut(at) else { return Features::default() };
        let mut window = std::mem::take(window);
        let (routine, profession) = habit.map_or((false, false), |habit| (habit.routine, habit.profession));
        let case = Case { who, event, values: &values, context, crowd, routine, profession };
        let verdict = judge::judge(estate, profile, &mut window, brought, &case, config);
        if let Some(place) = profile.open.get_mut(at) {
            *place = window;
        }
        let mut features = Features { habit, client_family_new, ..features(profile, at, &values, new, idle_days, config) };
        decide(&mut features, estate, profile, at, verdict, config);
        features
    }

    /// The watermark moved: closes windows, and reports who has been silent for too long. Called before `observe`.
    pub fn advance(&mut self, watermark: Micros, out: &mut Vec<Absence>) {
        let judged = Micros(watermark.0.saturating_sub(i64::from(self.config.lateness_allowed_minutes) * Micros::MINUTE));
        let hour = hours::hour_of(judged);
        if hour > self.closed_before {
            self.close_before(hour);
        }
        if self.silence.next_due(&self.config).is_some_and(|due| due < judged) {
            self.find_silent(judged, out);
        }
    }

    /// Every dimension of the identity's current window in words, in the order of [`Aspect::ALL`].
    #[must_use]
    pub fn describe(&self, who: IdentityIx) -> Vec<Dimension> {
        let Some(profile) = self.profile(who) else { return Vec::new() };
        profile.open.last().map_or_else(Vec::new, |window| describe::dimensions(&self.estate, profile, window, &self.config))
    }

    /// Windows learned for the identity.
    #[must_use]
    pub fn windows(&self, who: IdentityIx) -> u64 {
        self.profile(who).map_or(0, |profile| u64::from(profile.windows))
    }

    /// Windows of machines in a day, as far as is known.
    #[must_use]
    pub fn windows_per_day(&self) -> f64 {
        self.estate.budget.windows_per_day()
    }

    /// The p-value at which a window counts as one of the day's findings.
    #[must_use]
    pub fn finding_threshold(&self) -> f64 {
        self.estate.budget.threshold(&self.config)
    }

    /// The registry evicted the identity: drops all that is known of it, so that its number can be used again.
    pub fn forget(&mut self, who: IdentityIx) {
        let Some(profile) = self.profiles.get_mut(who.0 as usize).and_then(Option::take) else { return };
        if let Some(seen) = profile.seen.of(Facet::Destination) {
            let audiences = &mut self.estate.shore_mut(profile.side).audiences;
            seen.values().for_each(|destination| audiences.forget(destination, profile.uid));
        }
    }

    fn profile(&self, who: IdentityIx) -> Option<&Profile> {
        self.profiles.get(who.0 as usize).and_then(|profile| profile.as_deref())
    }

    fn not_judged(&self, who: IdentityIx) -> Features {
        let (windows, learning) = self.profile(who).map_or((0, true), |profile| (profile.windows, profile.is_learning(&self.config)));
        let score = Score { evidence: 0.0, novelty: Novelty::NotAssessable };
        Features { scores: [score; Aspect::COUNT], p_value: 1.0, windows, learning, ..Features::default() }
    }

    fn close_before(&mut self, hour: u32) {
        let Self { config, estate, profiles, closing, silence, spare, .. } = self;
        while let Some(entry) = closing.first_entry().filter(|entry| *entry.key() < hour) {
            let (closed, identities) = entry.remove_entry();
            for (at, who) in identities.iter().copied().enumerate() {
                if at % CLOSED_AHEAD == 0 {
                    touch_ahead(profiles, identities.get(at..).unwrap_or_default());
                }
                let Some(profile) = profiles.get_mut(who.0 as usize).and_then(|profile| profile.as_deref_mut()) else { continue };
                let Some(at) = profile.open.iter().position(|window| window.hour == closed) else { continue };
                let window = profile.open.remove(at);
                learn::learn(estate, profile, &window, config);
                if spare.len() < 64 {
                    spare.push(window);
                }
                if !profile.watched
                    && let Some(period) = profile.rhythm.period()
                {
                    profile.watched = true;
                    silence.expect(Micros(profile.last.0.saturating_add(period.silence_allowed())), Subject::Identity(who));
                }
            }
            estate.incidents.expire(closed, config);
        }
        self.closed_before = hour;
    }

    fn find_silent(&mut self, now: Micros, out: &mut Vec<Absence>) {
        while let Some(subject) = self.silence.pop(now) {
            match subject {
                Subject::Identity(who) => self.check_identity(who, now),
                Subject::Source(name) => self.silence.check_source(&name, now),
            }
        }
        loop {
            let ripe = self.silence.ripe(now, &self.config);
            if ripe.is_empty() {
                return;
            }
            self.report(ripe, out);
        }
    }

    /// An identity came up in the queue: it is moved on, or becomes overdue.
    fn check_identity(&mut self, who: IdentityIx, now: Micros) {
        let Self { profiles, silence, .. } = self;
        let Some(profile) = profiles.get_mut(who.0 as usize).and_then(|profile| profile.as_deref_mut()) else { return };
        if !profile.watched {
            return;
        }
        let Some(period) = profile.rhythm.period() else {
            profile.watched = false;
            return;
        };
        let due = Micros(profile.last.0.saturating_add(period.silence_allowed()));
        if due >= now {
            silence.expect(due, Subject::Identity(who));
            return;
        }
        profile.watched = false;
        let evidence = silence.missed(period.gaps);
        silence.report(Overdue {
            subject: Subject::Identity(who),
            last: profile.last,
            due,
            usual_seconds: period.usual_seconds,
            longest_seconds: period.longest_seconds,
            gaps: period.gaps,
            first: profile.first,
            evidence,
        });
    }

    /// Reports what became due together: a silent source speaks for its identities, and many identities at once are one outage.
    fn report(&self, ripe: Vec<Overdue>, out: &mut Vec<Absence>) {
        let (sources, identities): (Vec<_>, Vec<_>) = ripe.into_iter().partition(|overdue| matches!(overdue.subject, Subject::Source(_)));
        for overdue in sources.into_iter().filter(|overdue| overdue.evidence >= self.config.absence_evidence_min) {
            let members = identities.iter().filter_map(|other| self.of_source(other, &overdue.subject)).take(64).collect();
            out.push(absence(overdue, members));
        }
        let mut alone: Vec<Overdue> =
            identities.into_iter().filter(|overdue| overdue.evidence >= self.config.absence_evidence_min && !self.source_is_silent(&overdue.subject)).collect();
        if alone.len() >= self.config.incident_members_min as usize {
            let members = alone.iter().skip(1).filter_map(|overdue| identity_of(&overdue.subject)).take(64).collect();
            alone.truncate(1);
            out.extend(alone.pop().map(|first| absence(first, members)));
        } else {
            out.extend(alone.into_iter().map(|overdue| absence(overdue, Vec::new())));
        }
    }

    fn of_source(&self, overdue: &Overdue, source: &Subject) -> Option<IdentityIx> {
        let who = identity_of(&overdue.subject)?;
        let Subject::Source(name) = source else { return None };
        (self.silence.number(name) == Some(self.profile(who)?.source)).then_some(who)
    }

    fn source_is_silent(&self, subject: &Subject) -> bool {
        identity_of(subject).and_then(|who| self.profile(who)).is_some_and(|profile| self.silence.is_silent(profile.source))
    }
}

const fn identity_of(subject: &Subject) -> Option<IdentityIx> {
    match subject {
        Subject::Identity(who) => Some(*who),
        Subject::Source(_) => None,
    }
}

fn absence(overdue: Overdue, members: Vec<IdentityIx>) -> Absence {
    let days = overdue.last.days_since(overdue.first).max(0.0);
    Absence {
        expected: Text::from(format!("every {}, at most {}", describe::span(overdue.usual_seconds), describe::span(overdue.longest_seconds))),
        learned: Text::from(format!("{} gaps over {days:.0} days", overdue.gaps)),
        p_value: 10_f64.powf(-overdue.evidence),
        evidence: overdue.evidence,
        last_seen: overdue.last,
        due: overdue.due,
        subject: overdue.subject,
        members,
    }
}

/// Windows that are closed in one go.
const CLOSED_AHEAD: usize = 16;

/// Looks at the profiles whose windows are closed next, all at once: one after the other, each would be waited for.
fn touch_ahead(profiles: &[Option<Box<Profile>>], next: &[IdentityIx]) {
    for behind in [false, true] {
        let profiles = next.iter().take(CLOSED_AHEAD).filter_map(|who| profiles.get(who.0 as usize)?.as_deref());
        std::hint::black_box(profiles.fold(0, |all, profile| all ^ profile.touch_ahead(behind)));
    }
}

/// The identity's profile, made at its first event.
fn profile_of<'a>(
    profiles: &'a mut Vec<Option<Box<Profile>>>,
    who: IdentityIx,
    uid: &mut u32,
    estate: &mut Estate,
    event: &Event,
    config: &Config,
) -> Option<&'a mut Profile> {
    let at = who.0 as usize;
    if profiles.len() <= at {
        profiles.resize_with(at + 1, || None);
    }
    let profile = profiles.get_mut(at)?.get_or_insert_with(|| {
        *uid += 1;
        let mut key = group::Key::new(event);
        key.count(event);
        let group = estate.groups.number(&key, config);
        Box::new(Profile::new(*uid, event, group, key))
    });
    if let Some(key) = &mut profile.key {
        key.count(event);
    }
    Some(profile)
}

impl Profile {
    #[expect(clippy::cast_possible_truncation, reason = "days fit")]
    fn idle_days(&self, time: Micros) -> Option<f32> {
        (self.windows > 0 || self.open.iter().any(|window| window.events > 0)).then(|| time.days_since(self.last).max(0.0) as f32)
    }

    /// The place of the hour's window among the open ones; opened if need be, and then its hours are judged.
    fn enter(
        &mut self,
        hour: u32,
        who: IdentityIx,
        estate: &Estate,
        closing: &mut BTreeMap<u32, Vec<IdentityIx>>,
        spare: &mut Vec<Window>,
        config: &Config,
    ) -> (usize, Brought) {
        let mut brought = Brought::default();
        if let Some(at) = self.open.iter().rposition(|window| window.hour == hour) {
            return (at, brought);
        }
        let mut window = spare.pop().unwrap_or_default();
        window.reset(hour);
        self.habits.active(hour / 24, config);
        judge::set_marks(estate, self, &mut window);
        closing.entry(hour).or_default().push(who);
        if self.windows > 0 {
            brought.time = self.hours.new_facets(hour);
            let is_new = brought.time & Facet::DayHour.bit() != 0;
            self.hours_away = if is_new { u8::try_from(self.hours.away(hour)).unwrap_or(u8::MAX) } else { 0 };
            Facet::HOURS.into_iter().for_each(|facet| window.assessed |= facet.bit());
        }
        // There is nearly always one, and a window is large: no room for others beside it.
        self.open.reserve_exact(1);
        self.open.push(window);
        (self.open.len() - 1, brought)
    }

    /// Learns the gap before the event, and says whether it is like none before.
    #[inline]
    fn meet_time(&mut self, time: Micros, at: usize, silence: &mut Silence, brought: &mut Brought) {
        let gap = self.gap(time);
        self.last = self.last.max(time);
        if gap == Gap::Burst {
            return;
        }
        if self.watched {
            silence.kept(self.rhythm.total());
        }
        if let Some(window) = self.open.get_mut(at) {
            window.assessed |= Facet::Gap.bit();
            if let (Gap::New(bin), None) = (gap, window.met(Facet::Gap)) {
                brought.gap = Some(bin);
            }
        }
    }

    /// What of the new values the window has not met yet; and whether an old network goes on beside a new one.
    #[inline]
    fn meet_values(&mut self, at: usize, values: &[Resolved; Facet::SEEN], new: u32, time: Micros, brought: &mut Brought, config: &Config) {
        let Self { open, arrivals, windows, .. } = self;
        let Some(window) = open.get_mut(at) else { return };
        let network = values.get(Facet::Narrow as usize).map_or(0, |resolved| resolved.value);
        if network != 0 {
            window.assessed |= Facet::Overlap.bit();
            if new & Facet::Narrow.bit() == 0 {
                brought.overlap = arrivals.overlap(network, time, config);
            } else if *windows > 0 {
                arrivals.arrive(network, time, config);
            }
        }
        if new != 0 && window.news.len() < config.window_news_max {
            for (facet, resolved) in Facet::ALL.into_iter().zip(values) {
                if new & facet.bit() != 0 && window.class_of(facet, resolved.value).is_none() {
                    brought.new |= facet.bit();
                }
            }
        }
    }

    /// Counts the event, and says whether a count passed its mark.
    #[inline]
    fn count(&mut self, at: usize, event: &Event, brought: &mut Brought) {
        let Some(window) = self.open.get_mut(at) else { return };
        window.events = window.events.saturating_add(1);
        window.outcomes = window.outcomes.saturating_add(u32::from(event.outcome != Outcome::Unknown));
        let failed = estate::failed(event);
        window.failures = window.failures.saturating_add(u32::from(failed));
        brought.counts =
            window.events >= window.check_events || window.destinations >= window.check_destinations || (failed && window.failures >= window.check_failures);
    }
}

/// What is said of an event, before it is decided whether it deserves a finding.
#[inline]
fn features(profile: &Profile, at: usize, values: &[Resolved; Facet::SEEN], new: u32, idle_days: Option<f32>, config: &Config) -> Features {
    let Some(window) = profile.open.get(at) else { return Features::default() };
    let learning = profile.is_learning(config);
    let mut features = Features {
        total: window.total,
        credential_evidence: window.total - window.total / window.weight.max(1.0),
        p_value: window.p_value,
        windows: profile.windows,
        learning,
        events_in_window: window.events,
        failures_in_window: window.failures,
        destinations_in_window: window.destinations,
        off_schedule_minutes: profile.off_schedule_minutes,
        hours_away: profile.hours_away,
        idle_days,
        ..Features::default()
    };
    if window.total > 0.0 {
        for (score, evidence) in features.scores.iter_mut().zip(&window.evidence) {
            score.evidence = evidence.shared;
        }
    }
    // From the finest facet to the coarsest, so that the coarsest of a network stands.
    for (facet, resolved) in Facet::ALL.into_iter().zip(values).rev() {
        let novelty = if resolved.value == 0 && matches!(facet, Facet::Deed | Facet::Secret) {
            // Most acts are not privileged: that says nothing of the action, or of what it was done to.
            continue;
        } else if resolved.value == 0 {
            Novelty::NotAssessable
        } else if new & facet.bit() == 0 {
            continue;
        } else if learning {
            Novelty::Learning
        } else {
            match window.class_of(facet, resolved.value) {
                // Another host of a network that is known.
                _ if facet == Facet::Host => Novelty::NewToIdentity,
                Some(Class::Everyone) => Novelty::NewToEveryone,
                _ => Novelty::NewToIdentity,
            }
        };
        if novelty == Novelty::NotAssessable && facet.aspect() == Aspect::Network && facet != Facet::Host {
            continue;
        }
        if let Some(score) = features.scores.get_mut(facet.aspect() as usize) {
            score.novelty = novelty;
        }
    }
    features
}

/// Whether a window that was scored anew deserves one of the day's findings, and the words for it if it does. What an incident explains
/// is spoken for by the incident's one finding: its members are judged by the rest of their evidence.
fn decide(features: &mut Features, estate: &mut Estate, profile: &mut Profile, at: usize, verdict: Verdict, config: &Config) {
    let Some(window) = profile.open.get(at) else { return };
    let opened = verdict.opened.map(|(cause, _)| cause);
    features.incident = describe::incident(estate, window, opened);
    let worth = if let Some((_, evidence)) = verdict.opened {
        features.total = features.total.max(evidence);
        features.p_value = judge::calibrated(estate, profile, features.total);
        features.p_value
    } else if features.incident.is_some() {
        judge::calibrated(estate, profile, judge::unexplained(estate, window))
    } else {
        features.p_value
    };
    features.exceeds_budget = profile.side == Side::Machine && worth <= estate.budget.threshold(config);
    if !features.exceeds_budget {
        return;
    }
    features.dimensions = describe::dimensions(estate, profile, window, config);
    features.dimensions.retain(|dimension| dimension.evidence > 0.0 || dimension.state != DimensionState::Assessed);
    features.dimensions.sort_by(|a, b| b.evidence.total_cmp(&a.evidence));
    if let Some(window) = profile.open.get_mut(at).filter(|window| !window.spent) {
        window.spent = true;
        estate.budget.spend();
    }
}
