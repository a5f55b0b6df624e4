//! Which ids stand at the last so many offsets of a partition: a record whose id does was delivered twice. A function of the log alone, so that
//! every reader leaves out the same records, wherever it started.

use std::hash::{BuildHasher as _, RandomState};

use super::super::embedded::dedupe::Id;

/// The ids of the last `records` offsets: a ring of them, and an open-addressing table of positions in the ring. What a search needs of an id, its hash,
/// stands in the table beside the position: the ring lies elsewhere in memory, and is looked at where hashes are equal alone.
#[derive(Debug)]
pub struct Window {
    /// Ids may be given by whoever writes records: where one stands is decided by a keyed hash.
    keyed: RandomState,
    ring: Vec<Id>,
    /// The hash of each id of the ring.
    hashes: Vec<u32>,
    slots: Vec<Slot>,
    next: i64,
}

/// The hash of an id, and its position in the ring + 1; 0 is free. At most half are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Slot {
    hash: u32,
    number: u32,
}

impl Window {
    /// A window over `records` offsets, empty, of which `next` is the next one.
    pub fn new(records: u32, next: i64) -> Self {
        let records = records.clamp(1, 1 << 28) as usize;
        let slots = vec![Slot::default(); (records * 2).next_power_of_two()];
        Self { keyed: RandomState::new(), ring: vec![[0; 16]; records], hashes: vec![0; records], slots, next }
    }

    /// Takes the id at `offset`, which must not lie before those that were taken, and says whether it stands in the window before.
    pub fn repeats(&mut self, offset: i64, id: &Id) -> bool {
        let records = i64::try_from(self.ring.len()).unwrap_or(i64::MAX);
        if offset - self.next >= records {
            self.slots.fill(Slot::default());
        } else {
            // Offsets without an id: what stood a whole window before them is forgotten.
            for passed in self.next..offset {
                self.remove(self.position(passed));
            }
        }
        self.next = offset + 1;
        let hash = self.hash(id);
        let earlier = self.find(id, hash);
        if let Some(position) = earlier {
            self.remove(position);
        }
        let position = self.position(offset);
        self.remove(position);
        if let (Some(room), Some(hash_room)) = (self.ring.get_mut(position), self.hashes.get_mut(position)) {
            (*room, *hash_room) = (*id, hash);
        }
        self.insert(hash, position);
        earlier.is_some()
    }

    fn position(&self, offset: i64) -> usize {
        usize::try_from(offset.rem_euclid(i64::try_from(self.ring.len()).unwrap_or(i64::MAX))).unwrap_or(0)
    }

    fn hash(&self, id: &Id) -> u32 {
        u32::try_from(self.keyed.hash_one(id) >> 32).unwrap_or(0)
    }

    /// Where a slot stands, counted around the table; the search for an id begins at its hash.
    fn around(&self, slot: usize) -> usize {
        slot & (self.slots.len() - 1)
    }

    /// What stands in a slot, if it is taken.
    fn taken(&self, slot: usize) -> Option<Slot> {
        self.slots.get(slot).copied().filter(|slot| slot.number != 0)
    }

    fn find(&self, id: &Id, hash: u32) -> Option<usize> {
        let mut slot = self.around(hash as usize);
        while let Some(found) = self.taken(slot) {
            let position = found.number as usize - 1;
            if found.hash == hash && self.ring.get(position) == Some(id) {
                return Some(position);
            }
            slot = self.around(slot + 1);
        }
        None
    }

    fn insert(&mut self, hash: u32, position: usize) {
        let mut slot = self.around(hash as usize);
        while self.taken(slot).is_some() {
            slot = self.around(slot + 1);
        }
        self.set(slot, Slot { hash, number: u32::try_from(position + 1).unwrap_or(0) });
    }

    fn set(&mut self, slot: usize, to: Slot) {
        if let Some(room) = self.slots.get_mut(slot) {
            *room = to;
        }
    }

    /// Takes a position out of the table, if it is there, and closes the hole: what could stand nearer to its home moves up.
    fn remove(&mut self, position: usize) {
        let mut hole = self.around(self.hashes.get(position).copied().unwrap_or(0) as usize);
        loop {
            match self.taken(hole) {
                None => return,
                Some(found) if found.number as usize == position + 1 => break,
                Some(_) => hole = self.around(hole + 1),
            }
        }
        let mut slot = hole;
        loop {
            slot = self.around(slot + 1);
            let Some(next) = self.taken(slot) else { break };
            let from_home = self.around(slot.wrapping_sub(next.hash as usize));
            if from_home >= self.around(slot.wrapping_sub(hole)) {
                self.set(hole, next);
                hole = slot;
            }
        }
        self.set(hole, Slot::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u64) -> Id {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
        id
    }

    proptest! {
        #[test]
        fn it_says_what_a_plain_list_says(records in 1_u32..20, steps in prop::collection::vec((1_i64..5, 0_u64..30), 1..300)) {
            let mut window = Window::new(records, 0);
            let mut list: Vec<(i64, u64)> = Vec::new();
            let mut offset = 0;
            for (step, number) in steps {
                offset += step;
                let expected = list.iter().any(|(at, known)| *known == number && *at >= offset - i64::from(records));
                prop_assert_eq!(window.repeats(offset, &id(number)), expected);
                list.push((offset, number));
            }
        }

        #[test]
        fn where_it_started_changes_nothing(numbers in prop::collection::vec(0_u64..40, 60..200), at in 20_usize..60) {
            let mut whole = Window::new(20, 0);
            let mut later = Window::new(20, i64::try_from(at - 20).unwrap());
            for (offset, number) in numbers.iter().enumerate() {
                let seen = whole.repeats(i64::try_from(offset).unwrap(), &id(*number));
                if offset + 20 >= at {
                    let also = later.repeats(i64::try_from(offset).unwrap(), &id(*number));
                    prop_assert!(offset < at || seen == also);
                }
            }
        }
    }
}
