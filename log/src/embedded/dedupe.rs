//! Which ids the log has seen: exact within a horizon, in bounded memory, and read back from the store when the log is opened.
//!
//! Ids are stored in *segments* of some 4,096, oldest first; a segment's ids land in the same atomic batch as the records that
//! they name. In memory each id takes one 8-byte slot: 44 bits of the id's hash and 20 bits of its segment's number. A slot that agrees
//! is checked against the segment itself, so the answer is exact; segments are kept in a small cache, so that a file delivered
//! again costs one read per segment and not one per record.
//!
//! The horizon: segments are dropped, oldest first, when there are more than [`Horizon::ids_max`] ids, or when a segment's
//! newest record was ingested more than [`Horizon::days`] before the newest of all. An id that was dropped is new again.
//!
//! An id may have been given by whoever wrote the record, who may count or mean ill: where one stands in the tables is decided by a keyed hash.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};

use keytrail_schemas::Micros;
use rustc_hash::{FxHashMap, FxHashSet};

/// A 128-bit id.
pub type Id = [u8; 16];

/// How far back ids are known.
#[derive(Debug, Clone, Copy)]
pub struct Horizon {
    /// The most ids that are known. Each takes 8 bytes of memory in tables that are between three eighths and three quarters full.
    pub ids_max: u64,
    /// How many days of ingest time are known.
    pub days: u32,
}

/// A segment closes when it holds this many ids.
const SEGMENT_IDS: u64 = 4_096;
/// The number of live segments stays below what 20 bits tell apart.
const SEGMENTS_MAX: usize = (1 << 20) - 2;
/// Ids of segments that were read back, kept for the next look: 1 Mi ids are 16 MiB.
const CACHE_IDS_MAX: usize = 1 << 20;

/// Reads a segment's ids from the store.
pub trait Load {
    /// The ids of segment `number`.
    fn load(&self, number: u64) -> Result<Vec<Id>, super::super::Error>;
}

/// The ids that are known.
#[derive(Debug)]
pub struct Index {
    horizon: Horizon,
    keyed: RandomState,
    shards: Vec<Shard>,
    segments: VecDeque<Segment>,
    ids: u64,
    newest: Micros,
    open: FxHashSet<Id>,
    cache: FxHashMap<u64, FxHashSet<Id>>,
    cached: VecDeque<u64>,
    cached_ids: usize,
}

/// One segment.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// Its number, from 1, always rising.
    pub number: u64,
    /// How many parts it has in the store.
    pub parts: u32,
    ids: u64,
    newest: Micros,
}

impl Index {
    /// An index that knows no id.
    pub fn new(horizon: Horizon) -> Self {
        Self {
            horizon,
            keyed: RandomState::new(),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            segments: VecDeque::new(),
            ids: 0,
            newest: Micros(0),
            open: FxHashSet::default(),
            cache: FxHashMap::default(),
            cached: VecDeque::new(),
            cached_ids: 0,
        }
    }

    /// How many ids are known.
    pub fn len(&self) -> u64 {
        self.ids
    }

    /// Bytes of memory that the tables take.
    pub fn table_bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.slots.len() * 8).sum()
    }

    /// Whether `id` is known.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn contains(&mut self, id: &Id, store: &impl Load) -> Result<bool, super::super::Error> {
        if self.open.contains(id) {
            return Ok(true);
        }
        let (shard, tag) = self.place(id);
        let live = self.live();
        let mut probe = Probe::default();
        loop {
            let Some(segment) = self.shards.get(shard).and_then(|shard| shard.next_match(tag, live, &mut probe)) else { return Ok(false) };
            if self.segments.back().is_some_and(|open| open.number == segment) {
                continue; // The open segment's ids were looked at above.
            }
            if let Some(ids) = self.cache.get(&segment) {
                if ids.contains(id) {
                    return Ok(true);
                }
                continue;
            }
            let ids: FxHashSet<Id> = store.load(segment)?.into_iter().collect();
            let found = ids.contains(id);
            self.keep(segment, ids);
            if found {
                return Ok(true);
            }
        }
    }

    /// Where the ids of the next append are to be stored: the segment's number and the number of the part.
    pub fn next_part(&self) -> (u64, u32) {
        match self.segments.back() {
            Some(open) if open.ids < SEGMENT_IDS => (open.number, open.parts),
            Some(full) => (full.number + 1, 0),
            None => (1, 0),
        }
    }

    /// Adds ids that were stored as [`next_part`](Self::next_part) said.
    pub fn add(&mut self, ids: &[Id], ingested_at: Micros) {
        let (number, part) = self.next_part();
        self.add_part(number, part, ids, ingested_at);
    }

    /// Adds a part that was read back from the store; parts come in order.
    pub fn add_part(&mut self, number: u64, part: u32, ids: &[Id], ingested_at: Micros) {
        if self.segments.back().is_none_or(|open| open.number != number) {
            self.open.clear();
            self.segments.push_back(Segment { number, parts: 0, ids: 0, newest: Micros(0) });
        }
        if let Some(open) = self.segments.back_mut() {
            open.parts = part + 1;
            open.ids += ids.len() as u64;
            open.newest = open.newest.max(ingested_at);
        }
        self.newest = self.newest.max(ingested_at);
        self.ids += ids.len() as u64;
        self.open.extend(ids.iter().copied());
        let live = self.live();
        for id in ids {
            let (shard, tag) = self.place(id);
            if let Some(shard) = self.shards.get_mut(shard) {
                shard.insert(tag, number, live);
            }
        }
    }

    /// The oldest segment, if it lies behind the horizon; it is forgotten, and the caller deletes it from the store.
    pub fn pop_expired(&mut self) -> Option<Segment> {
        let oldest = *self.segments.front()?;
        let aged = self.newest.0 - oldest.newest.0 > i64::from(self.horizon.days) * Micros::DAY;
        let crowded = self.ids > self.horizon.ids_max || self.segments.len() > SEGMENTS_MAX;
        if self.segments.len() < 2 || !(aged || crowded) {
            return None;
        }
        self.segments.pop_front();
        self.ids -= oldest.ids;
        if let Some(ids) = self.cache.remove(&oldest.number) {
            self.cached_ids -= ids.len();
            self.cached.retain(|number| *number != oldest.number);
        }
        Some(oldest)
    }

    /// The shard of an id, and its tag: 44 bits in the upper bits of a slot, never all zero.
    fn place(&self, id: &Id) -> (usize, u64) {
        let hash = self.keyed.hash_one(id);
        let shard = usize::try_from(hash & SEGMENT_MASK).unwrap_or(0) % SHARDS;
        (shard, (hash & !SEGMENT_MASK).max(1 << SEGMENT_BITS))
    }

    fn live(&self) -> Live {
        Live { oldest: self.segments.front().map_or(1, |s| s.number), newest: self.segments.back().map_or(0, |s| s.number) }
    }

    fn keep(&mut self, segment: u64, ids: FxHashSet<Id>) {
        self.cached_ids += ids.len();
        self.cache.insert(segment, ids);
        self.cached.push_back(segment);
        while self.cached_ids > CACHE_IDS_MAX && self.cached.len() > 1 {
            let Some(first) = self.cached.pop_front() else { break };
            self.cached_ids -= self.cache.remove(&first).map_or(0, |ids| ids.len());
        }
    }
}

const SHARDS: usize = 64;
const SEGMENT_BITS: u32 = 20;
const SEGMENT_MASK: u64 = (1 << SEGMENT_BITS) - 1;

/// The segments that are live, by number.
#[derive(Debug, Clone, Copy)]
struct Live {
    oldest: u64,
    newest: u64,
}

impl Live {
    /// The whole number of the segment whose lowest 20 bits stand in a slot, if it is live.
    fn resolve(self, slot: u64) -> Option<u64> {
        let behind = self.newest.wrapping_sub(slot) & SEGMENT_MASK;
        let number = self.newest.checked_sub(behind)?;
        (number >= self.oldest && number > 0).then_some(number)
    }
}

#[derive(Debug, Default)]
struct Probe {
    step: usize,
}

/// An open-addressing table of slots; 0 is a free slot, and a slot of a segment that was dropped is free to be taken.
#[derive(Debug, Default)]
struct Shard {
    slots: Vec<u64>,
    taken: usize,
}

impl Shard {
    fn start(&self, tag: u64) -> usize {
        usize::try_from(tag >> SEGMENT_BITS).unwrap_or(0)
    }

    /// The segment of the next slot whose tag agrees; `None` when there is no further one.
    fn next_match(&self, tag: u64, live: Live, probe: &mut Probe) -> Option<u64> {
        let mask = self.slots.len().checked_sub(1)?;
        let start = self.start(tag);
        while probe.step <= mask {
            let slot = *self.slots.get((start + probe.step) & mask)?;
            probe.step += 1;
            if slot == 0 {
                return None;
            }
            if slot & !SEGMENT_MASK == tag
                && let Some(number) = live.resolve(slot)
            {
                return Some(number);
            }
        }
        None
    }

    fn insert(&mut self, tag: u64, segment: u64, live: Live) {
        if self.taken * 4 >= self.slots.len() * 3 {
            self.rebuild(live);
        }
        let slot = tag | (segment & SEGMENT_MASK);
        let mask = self.slots.len() - 1;
        let start = self.start(tag);
        for step in 0..=mask {
            let Some(room) = self.slots.get_mut((start + step) & mask) else { return };
            if *room == 0 {
                self.taken += 1;
            } else if live.resolve(*room).is_some() {
                continue;
            }
            *room = slot;
            return;
        }
    }

    /// Leaves the dropped segments' slots behind, and doubles the table when the live ones fill more than half of what may be filled.
    fn rebuild(&mut self, live: Live) {
        let kept = self.slots.iter().filter(|slot| **slot != 0 && live.resolve(**slot).is_some()).count();
        let capacity = if kept * 8 > self.slots.len() * 3 || self.slots.is_empty() { (self.slots.len() * 2).max(256) } else { self.slots.len() };
        let old = std::mem::replace(&mut self.slots, vec![0; capacity]);
        self.taken = 0;
        let mask = capacity - 1;
        for slot in old {
            if slot == 0 || live.resolve(slot).is_none() {
                continue;
            }
            let start = self.start(slot);
            for step in 0..=mask {
                if let Some(room) = self.slots.get_mut((start + step) & mask)
                    && *room == 0
                {
                    *room = slot;
                    self.taken += 1;
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashSet};

    #[derive(Default)]
    struct Memory(BTreeMap<u64, Vec<Id>>);

    impl Load for Memory {
        fn load(&self, number: u64) -> Result<Vec<Id>, crate::Error> {
            Ok(self.0.get(&number).cloned().unwrap_or_default())
        }
    }

    fn id(number: u64) -> Id {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
        id
    }

    fn add(index: &mut Index, store: &mut Memory, ids: &[Id], at: Micros) {
        let (segment, _) = index.next_part();
        store.0.entry(segment).or_default().extend(ids);
        index.add(ids, at);
        while let Some(dropped) = index.pop_expired() {
            store.0.remove(&dropped.number);
        }
    }

    /// Whoever gives ids of his own may count.
    #[test]
    fn ids_that_are_counted_up_are_found_in_a_few_steps() {
        for big_endian in [false, true] {
            let mut index = Index::new(Horizon { ids_max: 1 << 20, days: 30 });
            let counted = |number: u128| if big_endian { number.to_be_bytes() } else { number.to_le_bytes() };
            let ids: Vec<Id> = (1..=40_000).map(counted).collect();
            ids.chunks(4_096).for_each(|ids| index.add(ids, Micros(0)));
            let steps = |id: &Id| {
                let ((shard, tag), live, mut probe) = (index.place(id), index.live(), Probe::default());
                while index.shards[shard].next_match(tag, live, &mut probe).is_some() {}
                probe.step
            };
            let longest = ids.iter().map(steps).max().unwrap();
            assert!(longest < 500, "{longest} steps");
        }
    }

    #[test]
    fn every_id_within_the_horizon_is_known_and_no_other() {
        let mut index = Index::new(Horizon { ids_max: 50_000, days: 3_650 });
        let mut store = Memory::default();
        for batch in 0..200_u64 {
            let ids: Vec<Id> = (0..1_000).map(|n| id(batch * 1_000 + n)).collect();
            for id in &ids {
                assert!(!index.contains(id, &store).unwrap());
            }
            add(&mut index, &mut store, &ids, Micros(1));
            assert!(index.len() <= 50_000);
        }
        let known = (0..200_000).filter(|n| index.contains(&id(*n), &store).unwrap()).count() as u64;
        assert_eq!(known, index.len());
        assert!(known > 40_000);
        assert!((150_001..200_000).all(|n| index.contains(&id(n), &store).unwrap() || n < 160_000));
        let stored: HashSet<Id> = store.0.values().flatten().copied().collect();
        assert_eq!(stored.len() as u64, known);
        // Which shards have doubled differs with the key of the hash: a shard that just has is three sixteenths full.
        assert!(index.table_bytes() <= 50_000 * 8 * 16 / 3, "{} bytes", index.table_bytes());
    }

    #[test]
    fn a_tag_that_agrees_is_not_taken_for_the_id() {
        let mut index = Index::new(Horizon { ids_max: 1_000_000, days: 30 });
        let mut store = Memory::default();
        let ids: Vec<Id> = (0..5_000).map(id).collect();
        add(&mut index, &mut store, &ids, Micros(1));
        add(&mut index, &mut store, &[id(9_999_999)], Micros(1)); // the segment before is closed now
        for stranger in (10_000..15_000).map(id) {
            // As if one of the segment's ids had the stranger's shard and tag.
            let ((shard, tag), live) = (index.place(&stranger), index.live());
            index.shards[shard].insert(tag, 1, live);
            assert!(!index.contains(&stranger, &store).unwrap());
        }
        assert!(ids.iter().all(|id| index.contains(id, &store).unwrap()));
    }

    #[test]
    fn segments_age_by_ingest_time() {
        let mut index = Index::new(Horizon { ids_max: 1_000_000, days: 2 });
        let mut store = Memory::default();
        let old: Vec<Id> = (0..SEGMENT_IDS).map(id).collect();
        add(&mut index, &mut store, &old, Micros(0));
        add(&mut index, &mut store, &[id(1_000_000)], Micros(Micros::DAY));
        assert!(index.contains(&old[7], &store).unwrap());
        add(&mut index, &mut store, &[id(1_000_001)], Micros(2 * Micros::DAY + 1));
        assert!(!index.contains(&old[7], &store).unwrap());
        assert!(index.contains(&id(1_000_000), &store).unwrap());
    }
}
