//! Which two identities command the same controller, and which of them were ever active at once on one: whose work overlaps is no news on the next
//! controller, and who always relieved each other on those that they share is.

use keytrail_schemas::Micros;
use rustc_hash::FxHashMap;

use super::make_room;

/// Pairs remembered; at the bound those that began to share longest ago are forgotten.
const MAX: usize = 65_536;

/// What is known of pairs.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Together {
    #[serde(with = "crate::sorted::map")]
    pairs: FxHashMap<u64, Pair>,
}

/// Two that command the same controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Pair {
    /// When they first did.
    pub(super) shared: Micros,
    /// When they were first active at once.
    pub(super) at_once: Option<Micros>,
}

impl Together {
    /// Both command a controller, and are active at once there or not.
    pub(super) fn meet(&mut self, one: u32, other: u32, time: Micros, at_once: bool) -> Pair {
        let key = key(one, other);
        make_room(&mut self.pairs, key, MAX, |pair| pair.shared);
        let pair = self.pairs.entry(key).or_insert(Pair { shared: time, at_once: None });
        if at_once && pair.at_once.is_none() {
            pair.at_once = Some(time);
        }
        *pair
    }

    pub(super) fn forget(&mut self, who: u32) {
        self.pairs.retain(|pair, _| (*pair >> 32) != u64::from(who) && (*pair & u64::from(u32::MAX)) != u64::from(who));
    }
}

fn key(one: u32, other: u32) -> u64 {
    u64::from(one.min(other)) << 32 | u64::from(one.max(other))
}
