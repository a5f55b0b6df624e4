//! The line: from which rank on a judgement is read. It follows the ranks of the estate's own stories, so that a day holds as many as the
//! operator said, whatever the number of identities; and an account that fills with time and is spent by each story told holds it on bad
//! days too.

use keytrail_schemas::Micros;
use serde::{Deserialize, Serialize};

/// One bin a point of rank.
const BINS: usize = 101;
/// What the memory of ranks keeps from one day to the next.
const DAY_DECAY: f64 = 0.9;
/// How many days the assumed ranks weigh.
const PRIOR_DAYS: f64 = 1.0;
/// Below this rank nothing is read while the budget is in use: one weak sign alone.
const RANK_MIN: f64 = 36.0;
/// Whoever has this much of a day's budget in hand reads weaker ones too.
const IDLE_FROM: f64 = 0.5;
/// With a whole day's budget in hand, those that are so many points weaker: an hour of one chance in ten thousand, of which a small estate has one a week. What is below is never read.
const IDLE_POINTS: f64 = 10.0;
/// Below this rank nothing is read of who commands on the floor of a plant: there the same hosts do the same to the same controllers, so that hours, visitors and functions that are a little new
/// come by each day and are work. (After a look: of five plants, some 150 judgements between the two lines were about nothing and none about an attack.)
pub const FLOOR_RANK_MIN: f64 = 45.0;
/// How far the account may be overdrawn, in budgets of a day.
const ACCOUNT_MIN: f64 = -3.0;
/// What facts may use of what comes in: the rest is left for judgements, however many facts there are.
const FACTS_SHARE: f64 = 0.5;
/// How much of that they may have saved up, in budgets of a day.
const FACTS_MAX: f64 = 1.0;
/// Before anything was seen: at this rank the day's budget is assumed to be reached, and each `PRIOR_HALVING` points halve what is above.
const PRIOR_RANK: f64 = 40.0;
const PRIOR_HALVING: f64 = 6.0;

/// Ranks of stories of late, and how much of the budget is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    ranks: Vec<f64>,
    /// Days that the ranks come from.
    days: f64,
    /// Budgets of a day in the account: between [`ACCOUNT_MIN`] and 1.
    account: f64,
    /// What facts may use at present, in budgets of a day: [`FACTS_MAX`] at most; below 0 the last one took more than there was.
    facts: f64,
    at: Option<Micros>,
}

impl Default for Line {
    fn default() -> Self {
        Self { ranks: vec![0.0; BINS], days: 0.0, account: 0.0, facts: 0.0, at: None }
    }
}

impl Line {
    /// Time has passed.
    #[expect(clippy::cast_precision_loss, reason = "a share of a day")]
    pub fn advance(&mut self, now: Micros) {
        let Some(at) = self.at else {
            self.at = Some(now);
            return;
        };
        let days = (now.0 - at.0) as f64 / Micros::DAY as f64;
        // Often enough for an account, and rarely enough to cost nothing.
        if days < 1.0 / 96.0 {
            return;
        }
        self.at = Some(now);
        let kept = DAY_DECAY.powf(days.min(365.0));
        self.ranks.iter_mut().for_each(|count| *count *= kept);
        self.days = self.days * kept + days.min(365.0);
        self.account = (self.account + days).min(1.0);
        self.facts = (self.facts + days * FACTS_SHARE).min(FACTS_MAX);
    }

    /// It is the first day that is watched: what came before was an archive, of whose days nobody knows how many stories they had, and nobody saved a budget up in them.
    pub fn first_day(&mut self) {
        if self.days > 1.0 {
            self.ranks.fill(0.0);
            (self.days, self.account) = (0.0, self.account.min(0.0));
        }
    }

    /// From which rank on a judgement may be read at all: [`RANK_MIN`], and less where little was to be read of late.
    #[must_use]
    pub fn least(&self) -> f64 {
        RANK_MIN - IDLE_POINTS * ((self.account - IDLE_FROM) / (1.0 - IDLE_FROM)).clamp(0.0, 1.0)
    }

    /// A story's rank became `to`; it was `from`, if it had one.
    pub fn moved(&mut self, from: Option<f64>, to: f64) {
        if let Some(count) = from.and_then(|from| self.ranks.get_mut(bin(from))) {
            *count = (*count - 1.0).max(0.0);
        }
        if let Some(count) = self.ranks.get_mut(bin(to)) {
            *count += 1.0;
        }
    }

    /// Whether a story of this rank is read now, with a budget of `per_day`, and if it is at least `least`.
    #[must_use]
    pub fn passes(&self, rank: f64, per_day: f64, least: f64) -> bool {
        if per_day <= 0.0 || rank < least {
            return false;
        }
        match self.margin(per_day) {
            None => true,
            // Ranks are few where rules are: of equals, as many as there is balance for.
            Some(margin) if bin(rank) == margin => self.account >= 0.0,
            Some(margin) => bin(rank) > margin,
        }
    }

    /// The rank at which the budget is reached, counted from above; none where there is too little for it.
    fn margin(&self, per_day: f64) -> Option<usize> {
        // An account in balance lets through what the budget says, a full one four times as much, one overdrawn by a day's budget a quarter, and
        // so on: however much was read, what is worse than all of late still is.
        let allowed = per_day * 4.0_f64.powf(self.account);
        let mut above = 0.0;
        for (rank, count) in self.ranks.iter().enumerate().rev() {
            above += count;
            #[expect(clippy::cast_precision_loss, reason = "at most 100")]
            let assumed = per_day * 0.5_f64.powf((rank as f64 - PRIOR_RANK) / PRIOR_HALVING);
            if (above + assumed * PRIOR_DAYS) / (self.days + PRIOR_DAYS) > allowed {
                return Some(rank);
            }
        }
        None
    }

    /// A story was told because it holds a fact: it was read too, so that fewer judgements are. All facts together are paid with no more than a share of what comes in, lest a
    /// flood of them hides what is judged.
    pub fn spend_fact(&mut self, per_day: f64) {
        if per_day > 0.0 && self.facts > 0.0 {
            self.facts = (self.facts - 1.0 / per_day).max(ACCOUNT_MIN);
            self.spend(per_day);
        }
    }

    /// A story was told for its rank.
    pub fn spend(&mut self, per_day: f64) {
        if per_day > 0.0 {
            self.account = (self.account - 1.0 / per_day).max(ACCOUNT_MIN);
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is between 0 and 100")]
fn bin(rank: f64) -> usize {
    rank.clamp(0.0, 100.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells the stories of an estate that has `per_day` of them a day, with ranks spread over 20 to 70, beside so many facts a day. Returns how many were told a day
    /// for their rank.
    fn told_beside(facts: usize, per_day: usize, days: usize, bad: impl Fn(usize) -> usize) -> f64 {
        let (mut line, mut told, mut seed) = (Line::default(), 0_usize, 7_u64);
        for day in 0..days {
            let stories = per_day * bad(day);
            for story in 0..stories {
                let now = day as i64 * Micros::DAY + story as i64 * Micros::DAY / stories as i64;
                line.advance(Micros(now));
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let even = (seed >> 40) as f64 / (1_u64 << 24) as f64;
                let rank = 20.0 - 8.0 * (1.0 - even).ln();
                line.moved(None, rank);
                if line.passes(rank, 3.0, line.least()) {
                    line.spend(3.0);
                    told += 1;
                }
                if facts > 0 && story % (stories / facts) == 0 {
                    line.spend_fact(3.0);
                }
            }
        }
        told as f64 / days as f64
    }

    fn told(per_day: usize, days: usize, bad: impl Fn(usize) -> usize) -> f64 {
        told_beside(0, per_day, days, bad)
    }

    #[test]
    fn a_day_holds_its_budget_whatever_the_number_of_stories() {
        // Fewer than twenty such a day hold fewer that are worth reading than could be read.
        for per_day in [20, 40, 200, 2_000, 20_000] {
            let told = told(per_day, 30, |_| 1);
            assert!((2.25..=3.75).contains(&told), "{per_day} stories a day: {told} told");
        }
    }

    #[test]
    fn of_equals_as_many_pass_as_can_be_read() {
        let (mut line, mut told) = (Line::default(), 0);
        for story in 0..3_000 {
            line.advance(Micros(story * Micros::DAY / 100));
            line.moved(None, 45.5);
            if line.passes(45.5, 3.0, RANK_MIN) {
                line.spend(3.0);
                told += 1;
            }
        }
        assert!((68..=113).contains(&told), "{told} in 30 days");
    }

    #[test]
    fn bad_days_are_held_too() {
        let told = told(100, 30, |day| if day % 7 == 5 { 20 } else { 1 });
        assert!((2.25..=3.75).contains(&told), "{told}");
    }

    #[test]
    fn facts_are_read_from_the_same_budget_and_cannot_use_all_of_it() {
        let [none, one, flood] = [0, 1, 100].map(|facts| told_beside(facts, 200, 30, |_| 1));
        assert!((0.8..=1.2).contains(&(none - one)), "a fact a day leaves room for one judgement less: {none} and {one}");
        assert!((1.25..=1.9).contains(&flood), "however many facts, half of the budget is left for judgements: {flood}");
    }

    #[test]
    fn of_a_budget_below_one_a_day_facts_are_paid_too() {
        let (mut line, mut without) = (Line::default(), Line::default());
        for hour in 0..24 * 10 {
            line.advance(Micros(hour * Micros::HOUR));
            without.advance(Micros(hour * Micros::HOUR));
        }
        line.spend_fact(0.4);
        assert!(line.account < without.account - 2.0, "{} and {}", line.account, without.account);
        line.spend_fact(0.4);
        assert!(line.facts < 0.0 && line.account > -2.0, "what facts may use is used up");
    }

    #[test]
    fn an_archive_that_is_read_first_saves_up_nothing_for_the_first_day() {
        let told = |watched: bool| {
            let (mut line, mut told) = (Line::default(), 0);
            for day in 0..300 {
                line.advance(Micros(day * Micros::DAY));
            }
            for story in 0..200 {
                line.advance(Micros(300 * Micros::DAY + story * Micros::DAY / 200));
                if watched {
                    line.first_day();
                }
                let rank = 40.0 + (story * 7 % 30) as f64;
                line.moved(None, rank);
                if line.passes(rank, 3.0, line.least()) {
                    line.spend(3.0);
                    told += 1;
                }
            }
            told
        };
        assert!(told(true) < told(false) && told(true) <= 5, "{} and {}", told(true), told(false));
    }

    #[test]
    fn what_an_archive_came_to_is_no_measure_for_the_days_behind_it() {
        let (mut line, mut fresh) = (Line::default(), Line::default());
        for story in 0..1_000 {
            line.advance(Micros(story * Micros::DAY / 100));
            line.moved(None, 50.0);
        }
        line.first_day();
        fresh.advance(Micros(0));
        assert_eq!(line.margin(3.0), fresh.margin(3.0));
    }

    #[test]
    fn of_a_tiny_budget_a_fact_takes_no_more_than_can_be_overdrawn() {
        let mut line = Line::default();
        line.advance(Micros(0));
        line.advance(Micros(2 * Micros::DAY));
        line.spend_fact(0.01);
        assert_eq!((line.facts, line.account), (ACCOUNT_MIN, ACCOUNT_MIN));
    }

    #[test]
    fn who_has_read_nothing_reads_further_down_and_no_further_than_that() {
        let mut line = Line::default();
        assert_eq!(line.least(), RANK_MIN);
        for hour in 0..48 {
            line.advance(Micros(hour * Micros::HOUR));
        }
        assert_eq!(line.least(), RANK_MIN - IDLE_POINTS);
        assert!(line.passes(RANK_MIN - IDLE_POINTS, 3.0, line.least()) && !line.passes(RANK_MIN - IDLE_POINTS - 0.1, 3.0, line.least()));
        line.spend(3.0);
        assert!(line.least() > RANK_MIN - IDLE_POINTS && line.least() < RANK_MIN);
        line.spend(3.0);
        assert_eq!(line.least(), RANK_MIN);
    }

    #[test]
    fn a_budget_is_no_quota() {
        let mut line = Line::default();
        for hour in 0..24 * 60 {
            line.advance(Micros(hour * Micros::HOUR));
        }
        assert!(!line.passes(RANK_MIN - 0.1, 3.0, RANK_MIN) && line.passes(RANK_MIN, 3.0, RANK_MIN));
        assert!(!line.passes(100.0, 0.0, RANK_MIN));
    }
}
