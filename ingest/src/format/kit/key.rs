//! The keys that are wanted of an object, each with a number: few, known beforehand, and asked for with every key of every record.

/// Keys and their numbers. A slot is found by a key's first and last bytes and its length; where another key stands there, the next slot is looked at.
#[derive(Default)]
pub(super) struct Keys {
    /// A power of two, and none; never more than a quarter are taken.
    slots: Vec<Option<(Box<str>, usize)>>,
    taken: usize,
}

impl Keys {
    pub(super) const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The number of a key.
    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash(key) & mask;
        loop {
            let (known, number) = self.slots.get(at)?.as_ref()?;
            if **known == *key {
                return Some(*number);
            }
            at = (at + 1) & mask;
        }
    }

    /// The number of a key, which is `number` if it has none yet.
    pub(super) fn number(&mut self, key: &str, number: usize) -> usize {
        if let Some(known) = self.get(key) {
            return known;
        }
        self.taken += 1;
        if self.taken * 4 > self.slots.len() {
            let len = (self.taken * 4).next_power_of_two();
            let known = std::mem::replace(&mut self.slots, vec![None; len]);
            known.into_iter().flatten().for_each(|(key, number)| self.put(key, number));
        }
        self.put(key.into(), number);
        number
    }

    fn put(&mut self, key: Box<str>, number: usize) {
        let mask = self.slots.len() - 1;
        let mut at = hash(&key) & mask;
        while self.slots.get(at).is_some_and(Option::is_some) {
            at = (at + 1) & mask;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some((key, number));
        }
    }
}

#[inline]
fn hash(key: &str) -> usize {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes = key.as_bytes();
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last), ..) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        (_, _, Some(first), Some(last)) => (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last))),
        _ => (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ bytes.len() as u64).wrapping_mul(K);
    usize::try_from(mixed >> 40).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Keys;

    proptest! {
        #[test]
        fn keys_have_the_numbers_that_they_were_given_first(
            given in prop::collection::vec("[a-c]{0,3}|(aaaaaaaa)?[ab]{0,3}(bbbbbbbb)?|.{0,12}", 0..40),
            asked in prop::collection::vec("[a-c]{0,3}|(aaaaaaaa)?[ab]{0,3}(bbbbbbbb)?", 0..40),
        ) {
            let (mut keys, mut expected) = (Keys::default(), BTreeMap::new());
            prop_assert!(keys.is_empty());
            for (number, key) in given.iter().enumerate() {
                prop_assert_eq!(keys.number(key, number), *expected.entry(key.as_str()).or_insert(number));
            }
            for key in given.iter().chain(&asked) {
                prop_assert_eq!(keys.get(key), expected.get(key.as_str()).copied(), "{}", key);
            }
            prop_assert_eq!(keys.is_empty(), given.is_empty());
        }
    }
}
