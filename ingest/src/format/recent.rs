//! A map that forgets its oldest entries: what a parser remembers of earlier records, within bounds.

use std::collections::VecDeque;

use keytrail_schemas::Text;
use rustc_hash::FxHashMap;

/// How many entries are kept.
const ENTRIES_MAX: usize = 4_096;
/// A key longer than this is not remembered.
const KEY_BYTES_MAX: usize = 512;

/// At most 4,096 values by key; the oldest is forgotten first, and a key of more than 512 bytes at once.
pub(crate) struct Recent<V> {
    map: FxHashMap<Text, V>,
    order: VecDeque<Text>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { map: FxHashMap::default(), order: VecDeque::new() }
    }
}

impl<V> Recent<V> {
    /// Remembers `value` under `key`, in place of what was there.
    pub(crate) fn put(&mut self, key: &str, value: V) {
        if key.len() > KEY_BYTES_MAX {
            return;
        }
        if let Some(place) = self.map.get_mut(key) {
            *place = value;
            return;
        }
        self.map.insert(Text::from(key), value);
        self.order.push_back(Text::from(key));
        if self.order.len() > ENTRIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }

    /// What is remembered under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.map.get(key)
    }

    /// What is remembered under `key`, to be changed.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.map.get_mut(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = Recent::default();
        for i in 0..=ENTRIES_MAX {
            recent.put(&i.to_string(), i);
            recent.put("1", 7);
        }
        recent.put(&"x".repeat(KEY_BYTES_MAX + 1), 0);
        assert_eq!((recent.get("0"), recent.map.len(), recent.order.len()), (None, ENTRIES_MAX, ENTRIES_MAX));
        assert_eq!(recent.get(&ENTRIES_MAX.to_string()), Some(&ENTRIES_MAX));
    }
}
