//! Serialises hash maps and sets in the order of their keys, so that equal state gives equal bytes whatever its history.
//!
//! Use: `#[serde(with = "crate::sorted::map")]` on a `FxHashMap`, `#[serde(with = "crate::sorted::set")]` on a `FxHashSet`.

/// Runs of one sequence as the whole of it.
pub(crate) fn joined<T>(runs: Vec<Vec<T>>) -> Vec<T> {
    let mut all = Vec::with_capacity(runs.iter().map(Vec::len).sum());
    runs.into_iter().for_each(|mut run| all.append(&mut run));
    all
}

/// For `FxHashMap<K, V>`: a sequence of pairs, sorted by key.
pub mod map {
    use rustc_hash::{FxBuildHasher, FxHashMap};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::hash::Hash;

    /// Writes the pairs in the order of their keys.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<K: Serialize + Ord, V: Serialize, S: Serializer>(map: &FxHashMap<K, V>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pairs: Vec<(&K, &V)> = map.iter().collect();
        pairs.sort_unstable_by(|a, b| a.0.cmp(b.0));
        serializer.collect_seq(pairs)
    }

    /// Reads the pairs.
    ///
    /// # Errors
    /// The deserializer's own.
    pub fn deserialize<'de, K: Deserialize<'de> + Eq + Hash, V: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<FxHashMap<K, V>, D::Error> {
        let pairs = Vec::<(K, V)>::deserialize(deserializer)?;
        let mut map = FxHashMap::with_capacity_and_hasher(pairs.len(), FxBuildHasher);
        map.extend(pairs);
        Ok(map)
    }
}

/// For `FxHashSet<K>`: a sorted sequence.
pub mod set {
    use rustc_hash::FxHashSet;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::hash::Hash;

    /// Writes the members in order.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<K: Serialize + Ord, S: Serializer>(set: &FxHashSet<K>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members: Vec<&K> = set.iter().collect();
        members.sort_unstable();
        serializer.collect_seq(members)
    }

    /// Reads the members.
    ///
    /// # Errors
    /// The deserializer's own.
    pub fn deserialize<'de, K: Deserialize<'de> + Eq + Hash, D: Deserializer<'de>>(deserializer: D) -> Result<FxHashSet<K>, D::Error> {
        Ok(Vec::<K>::deserialize(deserializer)?.into_iter().collect())
    }
}
