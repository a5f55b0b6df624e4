//! Folds what rules say into detections, and detections into findings.
//!
//! A *detection* is one rule, one scope, one cause ([`cause`]); repeats fold into it ([`entry`]). A *story* ([`story`]) is all that goes on of
//! one identity, one source address or one incident: its detections, whatever their rules. A story is *told*, as a finding, when it holds a
//! fact that always passes, or when its rank reaches the line of the day ([`crate::rank::line`]); until then its detections are kept, can be
//! searched, and add up for a week. Lasting conditions (`posture`) are reasons of what is acute, and are never told alone.
//!
//! What comes later is never less visible because something earlier is open: whatever opens a detection in a story that is told is written
//! at once. Repeats are written at the first additions, at doublings of the count, and when the story closes.

mod cause;
mod entry;
mod exact;
mod explain;
mod story;

use std::collections::{BTreeMap, BTreeSet};

use keytrail_schemas::{Finding, Micros, Text};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{
    baseline::Baseline,
    config::FoldConfig,
    ledger::Ledger,
    rank::{
        Scratch,
        line::{FLOOR_RANK_MIN, Line},
        triage::Triage,
    },
    rule::{Hit, Rules, observation::Observation},
};
use cause::Key;
pub(crate) use explain::seen;
use story::Joined;
pub(crate) use story::Story;

/// Stories of one piece of a snapshot.
const RUN: usize = 512;

/// The stories that go on in one partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Fold {
    /// In a snapshot they are pieces of their own.
    #[serde(skip)]
    stories: BTreeMap<u64, Story>,
    #[serde(with = "crate::sorted::map")]
    by_key: FxHashMap<Key, u64>,
    closing: BTreeSet<(Micros, u64)>,
    next: u64,
    triage: Triage,
    line: Line,
    #[serde(skip)]
    config: FoldConfig,
    #[serde(skip)]
    scratch: Scratch,
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
    /// Judgements a day that somebody reads.
    pub judgements_per_day: f64,
    /// It is about who commands on the floor of a plant.
    pub on_floor: bool,
    /// The partition, and the offset of the record that causes what is written.
    pub place: (i32, i64),
}

impl Fold {
    /// No stories yet.
    #[must_use]
    pub fn new(config: FoldConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Sets the configuration, which no snapshot holds.
    pub fn configure(&mut self, config: FoldConfig) {
        self.config = config;
    }

    /// The stories by their numbers, in runs, for a snapshot.
    pub(crate) fn runs(&self) -> Vec<Vec<(&u64, &Story)>> {
        let all: Vec<(&u64, &Story)> = self.stories.iter().collect();
        all.chunks(RUN).map(<[_]>::to_vec).collect()
    }

    /// Takes the stories of a snapshot.
    pub(crate) fn fill(&mut self, runs: Vec<Vec<(u64, Story)>>) {
        self.stories = runs.into_iter().flatten().collect();
    }

    /// Stories open at present, told or not.
    #[must_use]
    pub fn open(&self) -> usize {
        self.stories.len()
    }

    /// Closes what the watermark has passed. `place`: partition and offset of the record that moved it.
    pub fn advance(&mut self, watermark: Micros, place: (i32, i64), out: &mut Vec<Finding>) {
        self.line.advance(watermark);
        while let Some((at, number)) = self.closing.first().copied().filter(|(at, _)| *at <= watermark) {
            self.closing.remove(&(at, number));
            self.close(number, watermark, place, out);
        }
    }

    /// It is the first day that is watched.
    pub fn first_day(&mut self) {
        self.line.first_day();
    }

    /// Takes the rules that matched an observation. Returns the identities of findings that are told from here on.
    pub fn add(&mut self, o: &Observation<'_>, hits: &[Hit], around: &Surroundings<'_>, out: &mut Vec<Finding>) -> Vec<Text> {
        // The story and whether it gained a detection, and whether of something acute.
        let mut touched: Vec<(u64, bool, bool)> = Vec::new();
        for hit in hits {
            let Some(rule) = around.rules.get(hit.rule) else { continue };
            let key = cause::story(o, rule);
            let number = match self.by_key.get(&key).copied() {
                Some(number) => number,
                None => self.begin(o, hit, key, around, out),
            };
            let Some(story) = self.stories.get_mut(&number) else { continue };
            let anew = story.take(o, hit, rule, &mut self.triage, around) == Joined::Anew;
            let acute = !entry::is_quiet(rule, o);
            match touched.iter_mut().find(|(known, ..)| *known == number) {
                Some((_, any_anew, any_acute)) => (*any_anew, *any_acute) = (*any_anew || anew, *any_acute || acute),
                None => touched.push((number, anew, acute)),
            }
        }
        touched.into_iter().filter_map(|(number, anew, acute)| self.settle(number, anew, acute, o, around, out)).collect()
    }

    fn begin(&mut self, o: &Observation<'_>, hit: &Hit, key: Key, around: &Surroundings<'_>, out: &mut Vec<Finding>) -> u64 {
        if self.stories.len() >= self.config.open_max
            && let Some((_, number)) = self.closing.pop_first()
        {
            self.close(number, around.watermark, around.place, out);
        }
        let number = self.next;
        self.next += 1;
        // By the watermark and not by the event: one wrong clock keeps no story open for years.
        let closes_at = later(around.watermark, self.config.signs_window_s);
        if let Some(rule) = around.rules.get(hit.rule) {
            self.stories.insert(number, Story::begin(o, hit, rule, key, closes_at, around));
            self.by_key.insert(key, number);
            self.closing.insert((closes_at, number));
        }
        number
    }

    /// Counts the event, ranks the story, decides whether it is told, and writes it when it is time. Returns its identity when it is told from
    /// here on.
    fn settle(&mut self, number: u64, anew: bool, acute: bool, o: &Observation<'_>, around: &Surroundings<'_>, out: &mut Vec<Finding>) -> Option<Text> {
        let Self { stories, triage, line, closing, config, scratch, .. } = self;
        let story = stories.get_mut(&number)?;
        let now = around.watermark;
        story.count(o, around);
        let mut told_now = false;
        if acute {
            if !story.told {
                story.forget(Micros(now.0.saturating_sub(config.signs_window_s.saturating_mul(Micros::SECOND))));
            }
            let rank = story.rank(triage, around.watermark, scratch);
            if !story.told {
                if story.has_fact() {
                    told_now = true;
                    line.spend_fact(around.judgements_per_day);
                } else if !story.is_known() {
                    line.moved(story.known_rank, rank);
                    story.known_rank = Some(rank);
                    // Of a common fact its author says that it is worth reading, however low the many of its kind have brought it.
                    let least = if story.has_common_fact() {
                        0.0
                    } else if around.on_floor {
                        FLOOR_RANK_MIN
                    } else {
                        line.least()
                    };
                    told_now = line.passes(rank, around.judgements_per_day, least);
                    if told_now {
                        line.spend(around.judgements_per_day);
                    }
                }
            }
            if told_now {
                story.tell(o.event.time, now);
                story.rank(triage, around.watermark, scratch);
            }
        }
        // A story that is told goes on while acts follow one another, and no longer than its signs are remembered; another begins then.
        let (window, longest) = (config.window_s.max(story.quiet_us / Micros::SECOND), config.signs_window_s);
        let closes_at = if story.told { later(now, window).min(later(story.began, longest)) } else { later(now, longest) };
        // Lasting conditions come with every event: once a day is often enough.
        let moves = if story.told { acute || told_now } else { closes_at.0 - story.closes_at.0 >= Micros::DAY };
        if moves && closes_at != story.closes_at {
            closing.remove(&(story.closes_at, number));
            story.closes_at = closes_at;
            closing.insert((closes_at, number));
        }
        if anew || told_now || story.is_due(config.revisions_first) {
            out.push(story.written(triage, around.watermark, around.place.0, around.place.1));
        }
        told_now.then(|| story.identity().clone())
    }

    fn close(&mut self, number: u64, now: Micros, place: (i32, i64), out: &mut Vec<Finding>) {
        if let Some(mut story) = self.stories.remove(&number) {
            self.by_key.remove(&story.key);
            if story.has_unwritten() {
                out.push(story.written(&self.triage, now, place.0, place.1));
            }
        }
    }
}

fn later(time: Micros, seconds: i64) -> Micros {
    Micros(time.0.saturating_add(seconds.saturating_mul(Micros::SECOND)))
}
