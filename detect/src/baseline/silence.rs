//! Who is expected by when. One entry per regular identity and per source in a queue ordered by time: hearing of one costs nothing, its
//! entry is moved when it comes up. Nothing is scanned.

use std::collections::BTreeSet;

use keytrail_schemas::{Micros, Text};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::features::Subject;
use super::rate::{Class, Tally, maturity};
use super::rhythm::{Rhythm, bin};

/// Events of a source before its silence means anything.
const SOURCE_EVENTS_MIN: u64 = 100;
/// Days of a source before its silence means anything.
const SOURCE_DAYS_MIN: f64 = 2.0;
/// A source that is not clocklike is watched while its longest gap is below this, in seconds.
const SOURCE_GAP_MAX_SECONDS: f64 = 43_200.0;

/// Someone who is overdue, not yet reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overdue {
    /// Who.
    pub subject: Subject,
    /// Last heard of.
    pub last: Micros,
    /// Expected by.
    pub due: Micros,
    /// Usual gap, in seconds.
    pub usual_seconds: f64,
    /// Longest ordinary gap, in seconds.
    pub longest_seconds: f64,
    /// Gaps that was learned from.
    pub gaps: u32,
    /// Since when it is known.
    pub first: Micros,
    /// −log10 p.
    pub evidence: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Source {
    number: u32,
    first: Micros,
    last: Micros,
    events: u64,
    rhythm: Rhythm,
    watched: bool,
    silent: bool,
}

/// The queue, and the sources.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Silence {
    queue: BTreeSet<(Micros, Subject)>,
    #[serde(with = "crate::sorted::map")]
    sources: FxHashMap<Text, Source>,
    /// Names of the sources by their number, from 1.
    names: Vec<Text>,
    /// Overdue, in the order in which they became so, waiting for company.
    overdue: Vec<Overdue>,
    /// When the first of them was due.
    overdue_since: Option<Micros>,
    /// How often a regular one is overdue, per gap, by log2 of gaps.
    tally: Tally,
}

impl Silence {
    /// An event came through `name`. The source's number; 0 for one that is not watched.
    #[inline]
    pub fn heard(&mut self, name: &Text, time: Micros, config: &Config) -> u32 {
        match self.sources.get_mut(name.as_str()) {
            Some(source) => {
                source.events += 1;
                let gap = time.0 - source.last.0;
                if gap > 0 {
                    source.last = time;
                    if let Some(bin) = bin(gap) {
                        source.rhythm.learn(bin);
                        source.silent = false;
                        source.watched = source.watched || Self::watch(&mut self.queue, name, source);
                    }
                }
                source.number
            }
            None => self.first_heard(name, time, config),
        }
    }

    #[cold]
    fn first_heard(&mut self, name: &Text, time: Micros, config: &Config) -> u32 {
        if self.sources.len() >= config.sources_max {
            return 0;
        }
        self.names.push(name.clone());
        let number = u32::try_from(self.names.len()).unwrap_or(0);
        let mut source = Source { number, first: time, last: time, events: 1, rhythm: Rhythm::default(), watched: true, silent: false };
        source.watched = Self::watch(&mut self.queue, name, &source);
        self.sources.insert(name.clone(), source);
        number
    }

    /// A source comes up in the queue at the time it would be missed, or, while it is too young, a day from now.
    fn watch(queue: &mut BTreeSet<(Micros, Subject)>, name: &Text, source: &Source) -> bool {
        let wait = source.allowed().unwrap_or(Micros::DAY);
        queue.insert((Micros(source.last.0.saturating_add(wait)), Subject::Source(name.clone())))
    }

    /// Expects `subject` by `due`.
    pub fn expect(&mut self, due: Micros, subject: Subject) {
        self.queue.insert((due, subject));
    }

    /// The next one that was due before `now`, taken from the queue.
    pub fn pop(&mut self, now: Micros) -> Option<Subject> {
        if self.queue.first()?.0 >= now {
            return None;
        }
        self.queue.pop_first().map(|(_, subject)| subject)
    }

    /// A gap of a regular one ended in time.
    pub fn kept(&mut self, gaps: u32) {
        self.tally.learn(maturity(gaps), None);
    }

    /// A regular one is overdue: −log10 of how often that happens.
    pub fn missed(&mut self, gaps: u32) -> f64 {
        let rate = self.tally.rate(Class::Identity, maturity(gaps));
        self.tally.learn(maturity(gaps), Some(Class::Identity));
        -rate.log10()
    }

    /// Keeps an overdue one until company has had its time.
    pub fn report(&mut self, overdue: Overdue) {
        self.overdue_since = Some(self.overdue_since.map_or(overdue.due, |since| since.min(overdue.due)));
        self.overdue.push(overdue);
    }

    /// A source came up in the queue: it is moved on, or becomes overdue.
    pub fn check_source(&mut self, name: &Text, now: Micros) {
        let Some(source) = self.sources.get_mut(name) else { return };
        match source.allowed() {
            Some(allowed) if source.last.0 + allowed < now.0 => {
                (source.silent, source.watched) = (true, false);
                let (last, first, gaps) = (source.last, source.first, source.rhythm.total().max(u32::try_from(source.events).unwrap_or(u32::MAX)));
                let (usual, longest) =
                    source.rhythm.period().map_or((60.0, source.rhythm.longest_seconds().max(60.0)), |p| (p.usual_seconds, p.longest_seconds));
                let evidence = self.missed(gaps).max(f64::from(gaps).log10());
                self.report(Overdue {
                    subject: Subject::Source(name.clone()),
                    last,
                    due: Micros(last.0 + allowed),
                    usual_seconds: usual,
                    longest_seconds: longest,
                    gaps,
                    first,
                    evidence,
                });
            }
            Some(allowed) => {
                self.queue.insert((Micros(source.last.0 + allowed), Subject::Source(name.clone())));
            }
            // Too young, or without a rhythm: looked at again when it is heard of after a pause.
            None if source.last.0 + Micros::DAY < now.0 => source.watched = false,
            None => {
                self.queue.insert((Micros(source.last.0 + Micros::DAY), Subject::Source(name.clone())));
            }
        }
    }

    /// The number of a source.
    #[must_use]
    pub fn number(&self, name: &Text) -> Option<u32> {
        self.sources.get(name).map(|source| source.number)
    }

    /// Whether the source of that number is silent now.
    #[must_use]
    pub fn is_silent(&self, number: u32) -> bool {
        let name = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).and_then(|n| self.names.get(n));
        name.and_then(|name| self.sources.get(name)).is_some_and(|source| source.silent)
    }

    /// Those overdue for long enough to be reported, oldest first: all that became due within the time allowed for company.
    pub fn ripe(&mut self, now: Micros, config: &Config) -> Vec<Overdue> {
        let Some(first) = self.overdue_since else { return Vec::new() };
        let until = Micros(first.0 + i64::from(config.absence_coalesce_minutes) * Micros::MINUTE);
        if now <= until {
            return Vec::new();
        }
        let (mut ripe, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.overdue).into_iter().partition(|overdue| overdue.due <= until);
        self.overdue_since = later.iter().map(|overdue| overdue.due).min();
        self.overdue = later;
        ripe.sort_by(|a, b| (a.due, &a.subject).cmp(&(b.due, &b.subject)));
        ripe
    }

    /// When there is next something to do, or `None`.
    #[must_use]
    pub fn next_due(&self, config: &Config) -> Option<Micros> {
        let queued = self.queue.first().map(|(due, _)| *due);
        let waiting = self.overdue_since.map(|since| Micros(since.0 + i64::from(config.absence_coalesce_minutes) * Micros::MINUTE));
        queued.into_iter().chain(waiting).min()
    }
}

impl Source {
    /// How long it may be silent, in microseconds; `None` while that is not known.
    #[expect(clippy::cast_possible_truncation, reason = "a gap is at most a few weeks")]
    fn allowed(&self) -> Option<i64> {
        if self.events < SOURCE_EVENTS_MIN || self.last.days_since(self.first) < SOURCE_DAYS_MIN {
            return None;
        }
        if let Some(period) = self.rhythm.period() {
            return Some(period.silence_allowed());
        }
        let longest = self.rhythm.longest_seconds();
        (longest < SOURCE_GAP_MAX_SECONDS).then(|| 15 * Micros::MINUTE + (2e6 * longest) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = Micros::MINUTE;

    fn run(silence: &mut Silence, now: Micros) -> Vec<Overdue> {
        while let Some(subject) = silence.pop(now) {
            if let Subject::Source(name) = subject {
                silence.check_source(&name, now);
            }
        }
        silence.ripe(now, &Config::default())
    }

    #[test]
    fn a_source_that_never_pauses_is_missed_once() {
        let (mut silence, config, name) = (Silence::default(), Config::default(), Text::from("cloudtrail"));
        let mut told = Vec::new();
        for i in 0..3 * 24 * 120 {
            let now = Micros(i * MINUTE / 2);
            told.extend(run(&mut silence, now));
            silence.heard(&name, now, &config);
        }
        assert!(told.is_empty(), "{told:?}");
        let end = 3 * 24 * 60;
        for minute in end..end + 600 {
            told.extend(run(&mut silence, Micros(minute * MINUTE)));
        }
        assert_eq!(told.len(), 1);
        assert!(told[0].due.0 - told[0].last.0 <= 20 * MINUTE && told[0].evidence > 3.0, "{told:?}");
        assert!(silence.is_silent(1));
        silence.heard(&name, Micros((end + 601) * MINUTE), &config);
        assert!(!silence.is_silent(1));
    }

    #[test]
    fn a_source_of_office_hours_is_not_missed_at_night() {
        let (mut silence, config, name) = (Silence::default(), Config::default(), Text::from("okta"));
        let mut told = Vec::new();
        for i in 0..14 * 24 * 12 {
            let now = Micros(i * 5 * MINUTE);
            told.extend(run(&mut silence, now));
            if (96..204).contains(&(i % 288)) {
                silence.heard(&name, now, &config);
            }
        }
        assert!(told.is_empty(), "{told:?}");
    }
}
