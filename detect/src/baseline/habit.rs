//! On how many days an identity did a privileged kind of act to a kind of thing: who gives permissions to roles on most working days is no
//! intruder for doing it once more. Only classes that are privileged are counted, so the common event costs nothing here.
//!
//! Classes that hold much that is unlike (secrets, execution, destruction) are told apart by the act itself and by whether it is done to one thing or to all
//! of them: who reads its own secret each day has no habit of listing everybody's.
//!
//! Days decay with a half-life, acts that failed teach nothing, and the day under way does not count: what is new stays new for its whole first day.

use keytrail_schemas::{Activity, Event, Outcome};
use serde::{Deserialize, Serialize};

use super::config::Config;
use crate::{action::Class, ledger::distinct::hash_of};

/// Days per identity and (class, service, kind of destination).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Habits {
    /// Days on which the identity was active at all.
    active: Days,
    kinds: Vec<(u32, Days)>,
}

/// A decaying number of days, the last one counted whole.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Days {
    day: u32,
    days: f32,
}

/// What is known of an act before the day on which it is done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Habit {
    /// Days on which the identity did the like; those long ago count for less.
    pub days: f32,
    /// Their share of the days on which it did anything.
    pub share: f32,
    /// There are so many that one more is nothing new: [`Config::routine_days_min`].
    pub routine: bool,
    /// It is a routine of a class that is a profession: to whatever it is done, it is nothing new.
    pub profession: bool,
}

impl Days {
    /// The days before `day`.
    fn before(self, day: u32, half_life: f32) -> f32 {
        if self.days == 0.0 || day < self.day {
            return 0.0;
        }
        let whole = if day == self.day { self.days - 1.0 } else { self.days };
        whole * decay(day - self.day, half_life)
    }

    fn count(&mut self, day: u32, half_life: f32) {
        if self.days == 0.0 || day > self.day {
            let days = if self.days == 0.0 { 0.0 } else { self.days * decay(day - self.day, half_life) };
            *self = Self { day, days: days + 1.0 };
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "days")]
fn decay(days: u32, half_life: f32) -> f32 {
    if days == 0 { 1.0 } else { 0.5_f32.powf(days as f32 / half_life) }
}

impl Habits {
    /// The identity is active.
    pub fn active(&mut self, day: u32, config: &Config) {
        self.active.count(day, config.habit_half_life_days);
    }

    /// What is known of the act, which is then learned if it succeeded.
    pub fn meet(&mut self, class: Class, event: &Event, day: u32, config: &Config) -> Habit {
        let key = key(class, event);
        let half_life = config.habit_half_life_days;
        let active = self.active.before(day, half_life);
        let taught = matches!(event.outcome, Outcome::Success | Outcome::Unknown);
        let days = self.days(key, day, half_life, taught, config);
        // Who logs in and renews its own token each day administers nothing by that.
        let own = matches!(event.activity, Activity::Authenticate | Activity::Renew);
        let of_class = if is_profession(class) && !own { self.days(class as u32, day, half_life, taught, config) } else { 0.0 };
        let routine = days >= config.routine_days_min || of_class >= config.profession_days_min;
        Habit { days, profession: routine && is_profession(class), share: if active > 0.0 { (days / active).min(1.0) } else { 0.0 }, routine }
    }

    /// The days before this one of an act, which is then learned if it teaches anything.
    fn days(&mut self, key: u32, day: u32, half_life: f32, taught: bool, config: &Config) -> f32 {
        let known = self.kinds.iter().position(|(known, _)| *known == key);
        let days = known.and_then(|at| self.kinds.get(at)).map_or(0.0, |(_, days)| days.before(day, half_life));
        if taught {
            match known.and_then(|at| self.kinds.get_mut(at)) {
                Some((_, days)) => days.count(day, half_life),
                None => {
                    self.make_room(day, config);
                    self.kinds.push((key, Days { day, days: 1.0 }));
                }
            }
        }
        days
    }

    /// At the bound the kind that counts for least is forgotten.
    fn make_room(&mut self, day: u32, config: &Config) {
        if self.kinds.len() < config.habits_max.max(1) {
            return;
        }
        let weight = |days: &Days| days.days * decay(day.saturating_sub(days.day), config.habit_half_life_days);
        let least = self.kinds.iter().enumerate().min_by(|(_, (_, a)), (_, (_, b))| weight(a).total_cmp(&weight(b))).map(|(at, _)| at);
        if let Some(at) = least {
            self.kinds.remove(at);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn key(class: Class, event: &Event) -> u32 {
    let kind = (class as u8, event.destination_service.as_deref(), event.destination_kind.as_deref());
    if is_profession(class) {
        return hash_of(&kind) as u32;
    }
    let of_all = !event.destination.as_deref().is_some_and(|destination| destination.contains('/'));
    hash_of(&(kind, event.action.as_deref(), of_all)) as u32
}

/// Whether who does acts of the class on most days does them by profession, to whatever kind of thing. Who calls functions or reads secrets does not
/// therefore run commands or read others': those classes hold too much that is unlike.
const fn is_profession(class: Class) -> bool {
    matches!(class, Class::Permission | Class::Credential | Class::Share | Class::Logging)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keytrail_schemas::Text;

    fn event(kind: &'static str, outcome: Outcome) -> Event {
        Event { destination_service: Some(Text::const_new("iam")), destination_kind: Some(Text::const_new(kind)), outcome, ..Event::default() }
    }

    fn meet(habits: &mut Habits, kind: &'static str, outcome: Outcome, day: u32) -> Habit {
        let config = Config::default();
        habits.active(day, &config);
        habits.meet(Class::Permission, &event(kind, outcome), day, &config)
    }

    #[test]
    fn what_is_new_stays_new_for_its_first_day() {
        let mut habits = Habits::default();
        for _ in 0..100 {
            assert_eq!(meet(&mut habits, "role", Outcome::Success, 10).days, 0.0);
        }
        assert!(meet(&mut habits, "role", Outcome::Success, 11).days > 0.9);
        assert_eq!(meet(&mut habits, "user", Outcome::Success, 11).days, 0.0, "another kind of thing");
    }

    #[test]
    fn daily_acts_become_a_habit_and_fade() {
        let mut habits = Habits::default();
        for day in 1..=20 {
            meet(&mut habits, "role", Outcome::Success, day);
        }
        let known = meet(&mut habits, "role", Outcome::Success, 21);
        assert!(known.days > 10.0 && known.share > 0.99 && known.routine, "{known:?}");
        let later = meet(&mut habits, "role", Outcome::Success, 421);
        assert!(later.days < 0.01 && !later.routine, "{later:?}");
    }

    #[test]
    fn who_reads_its_own_secret_has_no_habit_of_listing_all() {
        let (mut habits, config) = (Habits::default(), Config::default());
        let mut meet = |action: &'static str, destination: &'static str, day| {
            let event = Event { action: Some(Text::const_new(action)), destination: Some(Text::const_new(destination)), ..event("secret", Outcome::Success) };
            habits.active(day, &config);
            habits.meet(Class::Secret, &event, day, &config)
        };
        for day in 1..=20 {
            meet("secrets.get", "k8s:c:secrets/orders/tls", day);
            meet("secrets.list", "k8s:c:secrets/orders", day);
        }
        assert!(meet("secrets.get", "k8s:c:secrets/orders/db", 21).routine && meet("secrets.list", "k8s:c:secrets/orders", 21).routine);
        assert!(!meet("secrets.list", "k8s:c:secrets", 21).routine, "of every namespace at once");
        assert!(!meet("secrets.watch", "k8s:c:secrets/orders", 21).routine);
    }

    #[test]
    fn who_renews_its_own_token_administers_nothing() {
        let (mut habits, config) = (Habits::default(), Config::default());
        let mut meet = |activity, kind: &'static str, day| {
            habits.active(day, &config);
            habits.meet(Class::Credential, &Event { activity, ..event(kind, Outcome::Success) }, day, &config)
        };
        for day in 1..=20 {
            meet(Activity::Renew, "token", day);
        }
        assert!(meet(Activity::Renew, "token", 21).routine && !meet(Activity::Issue, "secret_id", 21).routine);
        for day in 22..=30 {
            meet(Activity::Issue, "secret_id", day);
        }
        assert!(meet(Activity::Issue, "password", 31).profession);
    }

    #[test]
    fn what_failed_teaches_nothing() {
        let mut habits = Habits::default();
        for day in 1..=20 {
            assert_eq!(meet(&mut habits, "role", Outcome::Denied, day).days, 0.0);
        }
        assert_eq!(meet(&mut habits, "role", Outcome::Success, 21).days, 0.0);
    }

    #[test]
    fn bounded() {
        let config = Config { habits_max: 4, ..Config::default() };
        let mut habits = Habits::default();
        for day in 1..=9 {
            habits.active(day, &config);
            habits.meet(Class::Permission, &event("role", Outcome::Success), day, &config);
        }
        for (at, kind) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
            habits.meet(Class::Secret, &event(kind, Outcome::Success), 10 + u32::try_from(at).unwrap(), &config);
        }
        assert_eq!(habits.kinds.len(), 4);
        assert!(habits.meet(Class::Permission, &event("role", Outcome::Success), 20, &config).days > 2.0, "what counts for most is kept");
    }

    #[test]
    fn time_that_goes_back_is_borne() {
        let mut habits = Habits::default();
        meet(&mut habits, "role", Outcome::Success, 10);
        assert_eq!(meet(&mut habits, "role", Outcome::Success, 3).days, 0.0);
        assert!(meet(&mut habits, "role", Outcome::Success, 11).days > 0.9);
    }
}
