//! One cause, many identities: a deployment, an outage, a drill. Whoever meets a new value, or the same failure, joins those who met it
//! within a day; evidence is shared out among them, so that a cause is paid for about once however many it touches.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::facet::Facet;
use crate::IdentityIx;

/// Members that are listed, in the order in which they joined.
const LISTED_MAX: usize = 64;
/// Members that are remembered exactly; those who come later count again when they come again.
const REMEMBERED_MAX: usize = 4_096;

/// What is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cause {
    /// A value, by its number; of the hours of [`Facet::HOURS`], the hour of the week; of a gap, its bin.
    Value(Facet, u32),
    /// More than usual, all in the same hour (hours since 1970).
    Burst(u32),
    /// More destinations than usual, all in the same hour.
    Sweep(u32),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shared {
    id: u64,
    first_hour: u32,
    listed: Vec<IdentityIx>,
    /// Sorted.
    remembered: Vec<u32>,
    count: u32,
    evidence: f64,
    opened: bool,
}

/// What joining told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joined {
    /// The highest evidence of a member: a cause counts once.
    pub evidence: f64,
    /// Whether this member made an incident of it.
    pub opened: bool,
}

/// Causes shared within the last day.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Incidents {
    #[serde(with = "crate::sorted::map")]
    shared: FxHashMap<Cause, Shared>,
    by_age: BTreeSet<(u32, Cause)>,
    next: u64,
}

impl Incidents {
    /// `who` (remembered as `uid`) met `cause` in `hour` with that much evidence of its own.
    pub fn join(&mut self, cause: Cause, who: IdentityIx, uid: u32, hour: u32, evidence: f64, slack: u32, config: &Config) -> Joined {
        if self.shared.get(&cause).is_some_and(|shared| hour >= shared.first_hour.saturating_add(config.incident_hours)) {
            self.drop(cause);
        }
        if !self.shared.contains_key(&cause) {
            if self.shared.len() >= config.incidents_max.max(1)
                && let Some((_, oldest)) = self.by_age.first().copied()
            {
                self.drop(oldest);
            }
            self.next += 1;
            self.by_age.insert((hour, cause));
        }
        let id = self.next;
        let shared = self.shared.entry(cause).or_insert_with(|| Shared {
            id,
            first_hour: hour,
            listed: Vec::new(),
            remembered: Vec::new(),
            count: 0,
            evidence: 0.0,
            opened: false,
        });
        let Err(at) = shared.remembered.binary_search(&uid) else { return Joined { evidence: shared.evidence, opened: false } };
        if shared.remembered.len() < REMEMBERED_MAX {
            shared.remembered.insert(at, uid);
        }
        if shared.listed.len() < LISTED_MAX {
            shared.listed.push(who);
        }
        shared.count += 1;
        shared.evidence = shared.evidence.max(evidence);
        let opened = !shared.opened && shared.count >= config.incident_members_min.saturating_add(slack - 1);
        shared.opened |= opened;
        Joined { evidence: shared.evidence, opened }
    }

    /// By how much the evidence of a member is divided: 1 while only a few share the cause.
    #[must_use]
    pub fn divisor(&self, cause: Cause, slack: u32) -> f64 {
        self.shared.get(&cause).map_or(1.0, |shared| divisor(shared.count, slack))
    }

    /// Id, members and their number, once the cause is an incident.
    #[must_use]
    pub fn incident(&self, cause: Cause) -> Option<(u64, &[IdentityIx], u32)> {
        self.shared.get(&cause).filter(|shared| shared.opened).map(|shared| (shared.id, shared.listed.as_slice(), shared.count))
    }

    /// Drops what began too long before `hour` to be joined.
    pub fn expire(&mut self, hour: u32, config: &Config) {
        // One more day: a window of the last hour may still ask for its incident.
        while let Some(&(first, cause)) = self.by_age.first() {
            if first.saturating_add(config.incident_hours).saturating_add(24) > hour {
                break;
            }
            self.drop(cause);
        }
    }

    fn drop(&mut self, cause: Cause) {
        if let Some(shared) = self.shared.remove(&cause) {
            self.by_age.remove(&(shared.first_hour, cause));
        }
    }
}

/// The first `slack` + 1 members keep their evidence, the next shares it with one, and so on.
fn divisor(count: u32, slack: u32) -> f64 {
    f64::from(count.saturating_sub(slack).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSE: Cause = Cause::Value(Facet::Destination, 7);

    fn join(incidents: &mut Incidents, who: u32, hour: u32) -> Joined {
        incidents.join(CAUSE, IdentityIx(who), who, hour, 4.0, 1, &Config::default())
    }

    #[test]
    fn evidence_is_shared_and_an_incident_opens_once() {
        let mut incidents = Incidents::default();
        let opened: Vec<u32> = (0..50).filter(|&who| join(&mut incidents, who, 100 + who / 10).opened).collect();
        assert_eq!(opened, [4], "the fifth member");
        assert_eq!(incidents.divisor(CAUSE, 1), 49.0);
        assert!(!join(&mut incidents, 3, 105).opened);
        let (_, members, count) = incidents.incident(CAUSE).unwrap();
        assert_eq!((members.len(), count, members[0]), (50, 50, IdentityIx(0)));
    }

    #[test]
    fn two_are_no_incident() {
        let mut incidents = Incidents::default();
        join(&mut incidents, 1, 100);
        join(&mut incidents, 2, 100);
        assert_eq!(incidents.divisor(CAUSE, 1), 1.0);
        assert_eq!(incidents.incident(CAUSE), None);
    }

    #[test]
    fn after_a_day_it_is_another_one() {
        let mut incidents = Incidents::default();
        assert_eq!((0..10).filter(|&who| join(&mut incidents, who, 100).opened).count(), 1);
        let first = incidents.incident(CAUSE).unwrap().0;
        assert_eq!((0..10).filter(|&who| join(&mut incidents, who, 124).opened).count(), 1);
        assert_ne!(incidents.incident(CAUSE).unwrap().0, first);
        incidents.expire(400, &Config::default());
        assert!(incidents.shared.is_empty() && incidents.by_age.is_empty());
    }
}
