//! A bounded set of hashes: exact up to its cap, a lower bound beyond.

use std::hash::{BuildHasher, Hash};

use rustc_hash::FxBuildHasher;

/// Hash of a value, equal in every run.
pub fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    FxBuildHasher.hash_one(value)
}

/// Hashes in order, at most as many as the cap given with each insertion.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Distinct(Vec<u64>);

impl Distinct {
    /// Adds `hash`; true when it was not there. At the cap a new one is not taken, and still said to be new.
    pub fn insert(&mut self, hash: u64, cap: usize) -> bool {
        match self.0.binary_search(&hash) {
            Ok(_) => false,
            Err(at) => {
                if self.0.len() < cap {
                    self.0.insert(at, hash);
                }
                true
            }
        }
    }

    /// Looks where a look-up will begin.
    #[inline]
    pub fn touch(&self) -> u64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
