//! Which ids stand at the last so many offsets of a partition: a record whose id does was delivered twice. A function of the log alone, so that
//! every reader leaves out the same records, wherever it started.

use std::hash::{BuildHasher as _, RandomState};

use super::super::embedded::dedupe::Id;

/// The ids of the last `records` offsets: a ring of them, and an open-addressing table of positions in the ring.
#[derive(Debug)]
pub struct Window {
    /// Ids may be given by whoever writes records: where one stands is decided by a keyed hash.
    keyed: RandomState,
    ring: Vec<Id>,
    /// Position in the ring + 1; 0 is free. At most half are taken.
    slots: Vec<u32>,
    next: i64,
}

impl Window {
    /// A window over `records` offsets, empty, of which `next` is the next one.
    pub fn new(records: u32, next: i64) -> Self {
        let records = records.clamp(1, 1 << 28) as usize;
        Self { keyed: RandomState::new(), ring: vec![[0; 16]; records], slots: vec![0; (records * 2).next_power_of_two()], next }
    }

    /// Takes the id at `offset`, which must not lie before those that were taken, and says whether it stands in the window before.
    pub fn repeats(&mut self, offset: i64, id: &Id) -> bool {
        let records = i64::try_from(self.ring.len()).unwrap_or(i64::MAX);
        if offset - self.next >= records {
            self.slots.fill(0);
        } else {
            // Offsets without an id: what stood a whole window before them is forgotten.
            for passed in self.next..offset {
                self.remove(self.position(passed));
            }
        }
        self.next = offset + 1;
        let earlier = self.find(id);
        if let Some(position) = earlier {
            self.remove(position);
        }
        let position = self.position(offset);
        self.remove(position);
        if let Some(room) = self.ring.get_mut(position) {
            *room = *id;
        }
        self.insert(id, position);
        earlier.is_some()
    }

    fn position(&self, offset: i64) -> usize {
        usize::try_from(offset.rem_euclid(i64::try_from(self.ring.len()).unwrap_or(i64::MAX))).unwrap_or(0)
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// Where the search for an id begins.
    fn home(&self, id: &Id) -> usize {
        usize::try_from(self.keyed.hash_one(id) >> 20).unwrap_or(0) & self.mask()
    }

    /// The position that stands in a slot.
    fn taken(&self, slot: usize) -> Option<usize> {
        self.slots.get(slot).copied().filter(|number| *number != 0).map(|number| number as usize - 1)
    }

    fn id(&self, position: usize) -> Id {
        self.ring.get(position).copied().unwrap_or_default()
    }

    fn find(&self, id: &Id) -> Option<usize> {
        let mut slot = self.home(id);
        while let Some(position) = self.taken(slot) {
            if self.id(position) == *id {
                return Some(position);
            }
            slot = (slot + 1) & self.mask();
        }
        None
    }

    fn insert(&mut self, id: &Id, position: usize) {
        let mut slot = self.home(id);
        while self.taken(slot).is_some() {
            slot = (slot + 1) & self.mask();
        }
        self.set(slot, u32::try_from(position + 1).unwrap_or(0));
    }

    fn set(&mut self, slot: usize, number: u32) {
        if let Some(room) = self.slots.get_mut(slot) {
            *room = number;
        }
    }

    /// Takes a position out of the table, if it is there, and closes the hole: what could stand nearer to its home moves up.
    fn remove(&mut self, position: usize) {
        let mut hole = self.home(&self.id(position));
        loop {
            match self.taken(hole) {
                None => return,
                Some(found) if found == position => break,
                Some(_) => hole = (hole + 1) & self.mask(),
            }
        }
        let mut slot = hole;
        loop {
            slot = (slot + 1) & self.mask();
            let Some(next) = self.taken(slot) else { break };
            let from_home = slot.wrapping_sub(self.home(&self.id(next))) & self.mask();
            if from_home >= (slot.wrapping_sub(hole) & self.mask()) {
                self.set(hole, u32::try_from(next + 1).unwrap_or(0));
                hole = slot;
            }
        }
        self.set(hole, 0);
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
