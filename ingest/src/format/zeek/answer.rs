//! Requests that wait for their answer: ICSNPP's logs have a row for each, and the outcome stands in the second.
//!
//! Bounded: what waits for longer than half a minute of the log's time, and the oldest beyond the bound, leaves with an unknown outcome. So do requests
//! of a one-sided capture. The same row again within a millisecond is the copy of a mirror port, and no second act.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use keytrail_schemas::{Event, Micros, Text};
use rustc_hash::FxHashMap;

use crate::format::Draft;

/// How many requests wait at most.
const REQUESTS_MAX: usize = 8_192;
/// For how long a request waits, in the log's own time.
const PATIENCE: i64 = 30 * Micros::SECOND;
/// Two copies of a packet lie no further apart.
const COPY: i64 = 1_000;

/// So many answered requests may stand among those that wait before they are looked for.
const ANSWERED_MAX: usize = 256;

/// What a request and its answer have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The log.
    pub(super) log: &'static str,
    pub(super) connection: Text,
    /// The number of the exchange within the connection.
    pub(super) number: Text,
}

/// The requests that wait, by connection and number.
#[derive(Default)]
pub(super) struct Waiting {
    by_key: FxHashMap<Key, Asked>,
    /// Keys in order of arrival, with the turn that tells a stale one (answered) from one that waits.
    order: VecDeque<(Key, u64, Micros)>,
    turn: u64,
    count: usize,
}

/// The requests under one key: mostly it is one.
struct Asked {
    oldest: (u64, Draft),
    others: VecDeque<(u64, Draft)>,
}

impl Asked {
    fn iter(&self) -> impl Iterator<Item = &(u64, Draft)> {
        std::iter::once(&self.oldest).chain(&self.others)
    }
}

impl Waiting {
    /// Lets a request wait, and gives the oldest if that is one too many; `None` when it is the copy of one that waits.
    pub(super) fn put(&mut self, key: Key, mut event: Box<Event>, provider_id: Option<Text>, line: u64, raw: &str) -> Option<Option<Draft>> {
        let time = event.time;
        let is_copy = |(_, draft): &(u64, Draft)| {
            (time.0 - draft.event.time.0).abs() <= COPY
                && draft.event.action == event.action
                && draft.event.raw.as_deref().is_some_and(|kept| behind(kept) == behind(raw))
        };
        let known = self.by_key.entry(key.clone());
        if let Entry::Occupied(known) = &known
            && known.get().iter().any(is_copy)
        {
            return None;
        }
        self.turn += 1;
        self.count += 1;
        event.raw = Some(raw.to_owned());
        let asked = (self.turn, Draft { event, provider_id, part: 0, line });
        match known {
            Entry::Occupied(mut known) => known.get_mut().others.push_back(asked),
            Entry::Vacant(place) => drop(place.insert(Asked { oldest: asked, others: VecDeque::new() })),
        }
        self.order.push_back((key, self.turn, time));
        if self.order.len() > self.count + ANSWERED_MAX {
            self.forget_answered();
        }
        Some(if self.count > REQUESTS_MAX { self.oldest_out() } else { None })
    }

    /// The oldest request under a key.
    pub(super) fn take(&mut self, key: &Key) -> Option<Draft> {
        let asked = self.by_key.get_mut(key)?;
        let (turn, draft) = match asked.others.pop_front() {
            Some(next) => std::mem::replace(&mut asked.oldest, next),
            None => self.by_key.remove(key)?.oldest,
        };
        self.count -= 1;
        if self.order.front().is_some_and(|(_, oldest, _)| *oldest == turn) {
            self.order.pop_front();
        }
        Some(draft)
    }

    /// Those that waited too long.
    pub(super) fn overdue(&mut self, now: Micros) -> Vec<Draft> {
        let mut out = Vec::new();
        while self.order.front().is_some_and(|(_, _, time)| now.0 - time.0 > PATIENCE) {
            if let Some((key, turn, _)) = self.order.pop_front()
                && self.waits(&key, turn)
            {
                out.extend(self.take(&key));
            }
        }
        out
    }

    /// All of them, the oldest first.
    pub(super) fn all(&mut self) -> Vec<Draft> {
        std::iter::from_fn(|| self.oldest_out()).collect()
    }

    /// The line of the oldest request that waits.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.order.iter().find_map(|(key, turn, _)| self.by_key.get(key)?.iter().find(|(own, _)| own == turn).map(|(_, draft)| draft.line))
    }

    fn waits(&self, key: &Key, turn: u64) -> bool {
        self.by_key.get(key).is_some_and(|asked| asked.iter().any(|(own, _)| *own == turn))
    }

    fn forget_answered(&mut self) {
        while self.order.front().is_some_and(|(key, turn, _)| !self.waits(key, *turn)) {
            self.order.pop_front();
        }
    }

    fn oldest_out(&mut self) -> Option<Draft> {
        while let Some((key, turn, _)) = self.order.pop_front() {
            if self.waits(&key, turn) {
                return self.take(&key);
            }
        }
        None
    }
}

/// A TSV row behind its time, which differs between two copies.
fn behind(raw: &str) -> &str {
    raw.split_once('\t').map_or(raw, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: &str) -> Key {
        Key { log: "c", connection: Text::default(), number: number.into() }
    }

    fn event(at: i64, action: &'static str) -> Box<Event> {
        Box::new(Event { time: Micros(at), action: Some(Text::const_new(action)), identity: "h".into(), ..Event::default() })
    }

    #[test]
    fn answers_find_the_oldest_of_their_key() {
        let mut waiting = Waiting::default();
        for (line, at) in [(1, 10), (2, 20_000)] {
            assert!(waiting.put(key("1"), event(at, "a"), None, line, "r").unwrap().is_none());
        }
        assert!(waiting.put(key("2"), event(30_000, "b"), None, 3, "r").unwrap().is_none());
        assert_eq!(waiting.take(&key("1")).unwrap().line, 1);
        assert_eq!(waiting.oldest(), Some(2));
        assert_eq!(waiting.take(&key("1")).unwrap().line, 2);
        assert!(waiting.take(&key("1")).is_none());
        assert_eq!(waiting.all().len(), 1);
        assert_eq!((waiting.count, waiting.oldest()), (0, None));
    }

    #[test]
    fn the_copy_of_a_mirror_port_is_no_second_act() {
        let mut waiting = Waiting::default();
        assert!(waiting.put(key("1"), event(10, "a"), None, 1, "10\tx").is_some());
        assert!(waiting.put(key("1"), event(14, "a"), None, 2, "14\tx").is_none());
        assert!(waiting.put(key("1"), event(14, "a"), None, 3, "14\ty").is_some(), "another object of the same request");
        assert!(waiting.put(key("1"), event(5_000, "a"), None, 4, "5000\tx").is_some(), "later: another act");
    }

    #[test]
    fn one_sided_captures_end_in_unknown_outcomes() {
        let mut waiting = Waiting::default();
        let mut early = 0;
        for i in 0..i64::try_from(REQUESTS_MAX).unwrap() + 5 {
            early += waiting.put(key(&i.to_string()), event(i * 2_000, "a"), None, 1, "r").unwrap().map_or(0, |_| 1);
        }
        assert_eq!((early, waiting.count), (5, REQUESTS_MAX));
        assert_eq!(waiting.overdue(Micros(i64::try_from(REQUESTS_MAX).unwrap() * 2_000 + 2 * PATIENCE)).len(), REQUESTS_MAX);
        assert!(waiting.order.is_empty() && waiting.by_key.is_empty());
    }
}
