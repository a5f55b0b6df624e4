//! Named entries with stable numbers, bounded: at the cap a sixteenth is evicted at once, so that eviction costs little per entry.

use std::collections::hash_map::Entry;

use keytrail_schemas::Text;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::distinct::hash_of;
use crate::sorted::joined;

/// What a slab can hold.
pub trait Named {
    /// The name that it is found by.
    fn name(&self) -> &Text;
}

/// Entries by name and by number. The index is not part of a snapshot: [`Slab::of`] builds it again. It holds hashes and no names: these stand in
/// the entries, which whoever finds one is about to look at.
#[derive(Debug, Clone)]
pub struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
    index: FxHashMap<u64, u32>,
    /// Those whose hash another entry has already.
    others: FxHashMap<Text, u32>,
    changed: Changed,
}

/// Which entries were lent to be changed since it was last asked; nothing is noted until somebody asks for the first time.
#[derive(Debug, Clone, Default)]
struct Changed {
    watched: bool,
    slots: Vec<u32>,
    noted: Vec<u64>,
}

impl Changed {
    fn note(&mut self, slot: u32) {
        if !self.watched {
            return;
        }
        let (word, bit) = (slot as usize / 64, 1_u64 << (slot % 64));
        if self.noted.len() <= word {
            self.noted.resize(word + 1, 0);
        }
        if let Some(word) = self.noted.get_mut(word)
            && *word & bit == 0
        {
            *word |= bit;
            self.slots.push(slot);
        }
    }

    fn take(&mut self) -> Vec<u32> {
        self.watched = true;
        for slot in &self.slots {
            if let Some(word) = self.noted.get_mut(*slot as usize / 64) {
                *word = 0;
            }
        }
        std::mem::take(&mut self.slots)
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), index: FxHashMap::default(), others: FxHashMap::default(), changed: Changed::default() }
    }
}

impl<T: Named> Slab<T> {
    /// Of the entries and the free places of another one.
    pub fn of(entries: Vec<Vec<Option<T>>>, free: Vec<u32>) -> Self {
        let mut slab = Self { entries: joined(entries), free, ..Self::default() };
        slab.reindex();
        slab
    }

    /// The places with their entries, in runs.
    pub fn runs(&self, of: usize) -> impl Iterator<Item = &[Option<T>]> {
        self.entries.chunks(of)
    }

    /// The places that are free.
    pub fn free(&self) -> &[u32] {
        &self.free
    }

    /// Builds the index.
    fn reindex(&mut self) {
        self.index = FxHashMap::with_capacity_and_hasher(self.entries.len().saturating_sub(self.free.len()), FxBuildHasher);
        self.others = FxHashMap::default();
        for (entry, slot) in self.entries.iter().zip(0_u32..) {
            if let Some(entry) = entry {
                enter(&mut self.index, &mut self.others, entry.name(), slot);
            }
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The number of `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<u32> {
        if let Some(slot) = self.index.get(&hash_of(name))
            && self.get(*slot).is_some_and(|entry| entry.name() == name)
        {
            return Some(*slot);
        }
        if self.others.is_empty() { None } else { self.others.get(name).copied() }
    }

    /// The number of the entry whose name probably has this hash: to look ahead, and to be held against its name.
    #[inline]
    pub fn probe(&self, hash: u64) -> Option<u32> {
        self.index.get(&hash).copied()
    }

    /// The number of `name`, which probably is `likely`.
    #[inline]
    pub fn find_likely(&self, name: &str, likely: Option<u32>) -> Option<u32> {
        likely.filter(|slot| self.get(*slot).is_some_and(|entry| entry.name() == name)).or_else(|| self.find(name))
    }

    /// Enters `entry` under its name, which must not be there.
    #[expect(clippy::expect_used, reason = "the cap of the configuration is far below 2^32")]
    pub fn insert(&mut self, entry: T) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.entries.get_mut(slot as usize) {
                    *place = Some(entry);
                }
                slot
            }
            None => {
                self.entries.push(Some(entry));
                u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 entries")
            }
        };
        if let Some(entry) = self.entries.get(slot as usize).and_then(Option::as_ref) {
            enter(&mut self.index, &mut self.others, entry.name(), slot);
        }
        self.changed.note(slot);
        slot
    }

    /// The numbers of the entries that may have changed since it was last asked; the first time none.
    pub fn take_changed(&mut self) -> Vec<u32> {
        self.changed.take()
    }

    /// The entry with a number.
    #[must_use]
    pub fn get(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.as_ref()
    }

    /// The same, to change.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.changed.note(slot);
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// All entries in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().zip(0_u32..).filter_map(|(entry, slot)| entry.as_ref().map(|entry| (slot, entry)))
    }

    /// All entries, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().flatten()
    }

    /// Removes the entries of the given numbers.
    pub fn remove(&mut self, slots: &[u32]) {
        for slot in slots {
            if let Some(entry) = self.entries.get_mut(*slot as usize).and_then(Option::take) {
                let hash = hash_of(entry.name().as_str());
                if self.index.get(&hash) == Some(slot) {
                    self.index.remove(&hash);
                } else {
                    self.others.remove(entry.name());
                }
                self.free.push(*slot);
            }
        }
    }

    /// The numbers of the sixteenth of the entries (at least one) with the least rank.
    pub fn least<R: Ord>(&self, rank: impl Fn(&T) -> R) -> Vec<u32> {
        let mut ranked: Vec<(R, u32)> = self.iter().map(|(slot, entry)| (rank(entry), slot)).collect();
        ranked.sort_unstable();
        ranked.truncate((self.len() / 16).max(1));
        ranked.into_iter().map(|(_, slot)| slot).collect()
    }
}

fn enter(index: &mut FxHashMap<u64, u32>, others: &mut FxHashMap<Text, u32>, name: &Text, slot: u32) {
    match index.entry(hash_of(name.as_str())) {
        Entry::Vacant(place) => {
            place.insert(slot);
        }
        Entry::Occupied(_) => {
            others.insert(name.clone(), slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Name(Text);

    impl Named for Name {
        fn name(&self) -> &Text {
            &self.0
        }
    }

    #[test]
    fn names_of_one_hash_are_told_apart() {
        let mut slab = Slab::default();
        let (a, b) = (slab.insert(Name("a".into())), slab.insert(Name("b".into())));
        // As if both had the hash of `a`.
        slab.index.remove(&hash_of("b"));
        slab.others.insert("b".into(), b);
        assert_eq!((slab.find("a"), slab.find("b"), slab.find("c")), (Some(a), Some(b), None));
        slab.remove(&[a]);
        assert_eq!((slab.find("a"), slab.find("b"), slab.len()), (None, Some(b), 1));
        let c = slab.insert(Name("c".into()));
        assert_eq!((c, slab.find("c")), (a, Some(c)), "its number is used again");
        slab.remove(&[b]);
        slab.reindex();
        assert_eq!((slab.find("b"), slab.find("c"), slab.len()), (None, Some(c), 1));
    }
}
