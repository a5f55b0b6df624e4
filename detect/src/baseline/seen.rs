//! The values that an identity has met: a sorted set of small numbers with a cap, each stamped with the hour it was last met in.

use serde::{Deserialize, Serialize};

/// What a look-up says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Known, and met before in this hour.
    Again,
    /// Known, and met for the first time in this hour.
    FirstThisHour,
    /// Not known.
    New,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    value: u32,
    hour: u32,
}

/// Values met, at most a stated number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen(Vec<Entry>);

impl Seen {
    /// Looks `value` up and stamps it with `hour`.
    #[inline]
    pub fn touch(&mut self, value: u32, hour: u32) -> Touch {
        let Ok(at) = self.0.binary_search_by_key(&value, |entry| entry.value) else { return Touch::New };
        let Some(entry) = self.0.get_mut(at) else { return Touch::New };
        if entry.hour >= hour {
            return Touch::Again;
        }
        entry.hour = hour;
        Touch::FirstThisHour
    }

    /// Looks where a look-up will begin.
    #[inline]
    #[must_use]
    pub fn touch_lightly(&self) -> u32 {
        self.0.get(self.0.len() / 2).map_or(0, |entry| entry.value)
    }

    /// Whether `value` is known.
    #[must_use]
    pub fn knows(&self, value: u32) -> bool {
        self.0.binary_search_by_key(&value, |entry| entry.value).is_ok()
    }

    /// Learns `value`. At `cap` the value met longest ago is forgotten, the smallest of several.
    pub fn learn(&mut self, value: u32, hour: u32, cap: usize) {
        let at = match self.0.binary_search_by_key(&value, |entry| entry.value) {
            Ok(at) => {
                if let Some(entry) = self.0.get_mut(at) {
                    entry.hour = entry.hour.max(hour);
                }
                return;
            }
            Err(at) => at,
        };
        if self.0.len() < cap.max(1) {
            self.0.insert(at, Entry { value, hour });
            return;
        }
        // They are in the order of their values: of several, the first is the smallest.
        let oldest = self.0.iter().map(|entry| entry.hour).min().and_then(|hour| self.0.iter().position(|entry| entry.hour == hour));
        let Some(oldest) = oldest else { return };
        // Those between the place that is given up and the one that is taken move by one.
        let to = if oldest < at { at - 1 } else { at };
        let between = if oldest < at { self.0.get_mut(oldest..at) } else { self.0.get_mut(at..=oldest) };
        if let Some(between) = between {
            if oldest < at { between.rotate_left(1) } else { between.rotate_right(1) }
        }
        if let Some(place) = self.0.get_mut(to) {
            *place = Entry { value, hour };
        }
    }

    /// The values last met in `hour`, in ascending order.
    pub fn met_in(&self, hour: u32) -> impl Iterator<Item = u32> {
        self.0.iter().filter(move |entry| entry.hour == hour).map(|entry| entry.value)
    }

    /// All values, in ascending order.
    pub fn values(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|entry| entry.value)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_stamped_once() {
        let mut seen = Seen::default();
        assert_eq!(seen.touch(7, 1), Touch::New);
        seen.learn(7, 1, 4);
        assert_eq!([seen.touch(7, 1), seen.touch(7, 2), seen.touch(7, 2), seen.touch(7, 1)], [Touch::Again, Touch::FirstThisHour, Touch::Again, Touch::Again]);
        assert_eq!(seen.met_in(2).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn the_value_met_longest_ago_is_forgotten() {
        let mut seen = Seen::default();
        for (value, hour) in [(5, 1), (3, 2), (9, 3)] {
            seen.learn(value, hour, 3);
        }
        assert_eq!(seen.touch(5, 4), Touch::FirstThisHour);
        seen.learn(1, 0, 3);
        assert_eq!(seen.values().collect::<Vec<_>>(), [1, 5, 9]);
    }
}
