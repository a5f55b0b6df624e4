//! How common a rule is here, and what is a habit of an identity. Until findings are triaged by people, this stands for how often a rule is
//! right: what it says of everybody every week it says of no intruder.

use std::collections::BTreeMap;

use keytrail_schemas::{Micros, Text};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// After how long a story counts half.
const HALF_LIFE_US: f64 = 7.0 * Micros::DAY as f64;
/// Stories of other rules that are assumed before any was seen.
const ASSUMED: f64 = 20.0;
/// How long a habit is remembered after it was last shown.
const HABIT_US: i64 = 30 * Micros::DAY;
/// Habits remembered; at the bound the half not shown for longest is forgotten.
const HABITS_MAX: usize = 200_000;

/// What stories of the past say of rules and identities.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Triage {
    #[serde(with = "crate::sorted::map")]
    rules: FxHashMap<Text, Rate>,
    all: Rate,
    habits: BTreeMap<u64, Habit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Rate {
    weight: f64,
    at: Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Habit {
    last: Micros,
    times: u32,
}

impl Triage {
    /// Whether a rule ever spoke here.
    #[must_use]
    pub fn heard(&self, rule: &Text) -> bool {
        self.rules.contains_key(rule)
    }

    /// In how many stories a day a rule spoke of late.
    #[must_use]
    pub fn a_day(&self, rule: &Text, now: Micros) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a day fit")]
        let half_life_days = HALF_LIFE_US / Micros::DAY as f64;
        self.rules.get(rule).map_or(0.0, |rate| rate.decayed(now)) * std::f64::consts::LN_2 / half_life_days
    }

    /// A rule spoke in a story of `whom` (a hash of identity and rule) for the first time. Returns in how many earlier stories of the last
    /// thirty days it did.
    pub fn spoke(&mut self, rule: &Text, whom: u64, now: Micros) -> u32 {
        let rate = self.rules.entry(rule.clone()).or_insert(Rate { weight: 0.0, at: now });
        rate.add(now);
        self.all.add(now);
        self.count(whom, now)
    }

    /// How often before within thirty days of one another, and once more.
    fn count(&mut self, whom: u64, now: Micros) -> u32 {
        if self.habits.len() >= HABITS_MAX && !self.habits.contains_key(&whom) {
            self.forget(now);
        }
        let habit = self.habits.entry(whom).or_insert(Habit { last: now, times: 0 });
        if now.0.saturating_sub(habit.last.0) > HABIT_US {
            habit.times = 0;
        }
        let before = habit.times;
        habit.times = habit.times.saturating_add(1);
        habit.last = habit.last.max(now);
        before
    }

    /// Whether the same was met within the last thirty days; from here on it was.
    pub fn met(&mut self, what: u64, now: Micros) -> bool {
        self.count(what, now) > 0
    }

    /// The rules' shares of all that rules said of late.
    #[must_use]
    pub fn shares<'a>(&'a self, now: Micros, known: &'a mut Shares) -> At<'a> {
        known.0.clear();
        At { triage: self, now, all: self.all.decayed(now), known }
    }

    fn forget(&mut self, now: Micros) {
        self.habits.retain(|_, habit| now.0.saturating_sub(habit.last.0) <= HABIT_US);
        if self.habits.len() >= HABITS_MAX {
            let mut times: Vec<Micros> = self.habits.values().map(|habit| habit.last).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.habits.retain(|_, habit| habit.last > median);
        }
    }
}

/// Shares by the numbers of rules: a story asks for those of a few rules many times.
#[derive(Debug, Clone, Default)]
pub struct Shares(Vec<(u64, f64)>);

/// Shares at one time.
pub struct At<'a> {
    triage: &'a Triage,
    now: Micros,
    all: f64,
    known: &'a mut Shares,
}

impl At<'_> {
    /// The share of a rule, which `number` tells from others: one in twenty before anything was seen.
    pub fn of(&mut self, rule: &str, number: u64) -> f64 {
        if let Some((_, share)) = self.known.0.iter().find(|(known, _)| *known == number) {
            return *share;
        }
        let own = self.triage.rules.get(rule).map_or(0.0, |rate| rate.decayed(self.now));
        let share = (own + 1.0) / (self.all + ASSUMED);
        self.known.0.push((number, share));
        share
    }
}

impl Rate {
    fn add(&mut self, now: Micros) {
        self.weight = self.decayed(now) + 1.0;
        self.at = self.at.max(now);
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds of a few years fit")]
    fn decayed(self, now: Micros) -> f64 {
        self.weight * 0.5_f64.powf((now.0 - self.at.0).max(0) as f64 / HALF_LIFE_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(triage: &Triage, rule: &str, now: Micros) -> f64 {
        triage.shares(now, &mut Shares::default()).of(rule, 1)
    }

    const fn day(n: i64) -> Micros {
        Micros(n * Micros::DAY)
    }

    #[test]
    fn a_share_is_learned_and_forgotten_and_does_not_depend_on_the_estates_size() {
        let mut triage = Triage::default();
        assert_eq!(share(&triage, "noisy", day(0)), 0.05);
        for n in 0..1_400 {
            let rule = if n % 4 == 0 { "rare" } else { "noisy" };
            triage.spoke(&rule.into(), u64::try_from(n).unwrap(), Micros(n * Micros::DAY / 10));
        }
        let (noisy, rare) = (share(&triage, "noisy", day(140)), share(&triage, "rare", day(140)));
        assert!((0.62..0.75).contains(&noisy) && (0.2..0.25).contains(&rare), "{noisy} {rare}");
        assert!(share(&triage, "noisy", day(300)) < 0.06);
    }

    #[test]
    fn how_many_a_day_a_rule_speaks_of_is_learned_within_weeks() {
        let (mut triage, rule) = (Triage::default(), Text::from("r"));
        assert_eq!(triage.a_day(&rule, day(0)), 0.0);
        for n in 0..120 {
            triage.spoke(&rule, n, Micros(n as i64 * Micros::DAY / 4));
        }
        assert!((3.5..4.2).contains(&triage.a_day(&rule, day(30))), "{}", triage.a_day(&rule, day(30)));
        assert!(triage.a_day(&rule, day(60)) < 0.3);
    }

    #[test]
    fn a_habit_is_what_came_before_within_a_month() {
        let (mut triage, rule) = (Triage::default(), Text::from("r"));
        assert_eq!(
            (triage.spoke(&rule, 1, day(0)), triage.spoke(&rule, 2, day(1)), triage.spoke(&rule, 1, day(7)), triage.spoke(&rule, 1, day(14))),
            (0, 0, 1, 2)
        );
        assert_eq!(triage.spoke(&rule, 1, day(45)), 0, "a month of quiet ends it");
    }

    #[test]
    fn habits_are_bounded() {
        let (mut triage, rule) = (Triage::default(), Text::from("r"));
        for n in 0..HABITS_MAX as u64 + 10 {
            triage.spoke(&rule, n, Micros(n as i64));
        }
        assert!(triage.habits.len() <= HABITS_MAX / 2 + 10);
        assert_eq!(triage.spoke(&rule, HABITS_MAX as u64 + 9, day(1)), 1, "the latest is kept");
    }
}
