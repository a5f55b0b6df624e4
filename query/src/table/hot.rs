//! What was looked up lately, kept in bounded memory: per name, its rows in each file. Files never change, so that what is kept of one holds for as
//! long as the table names it; of a file that the table does not name any more it is dropped at the name's next question.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use object_store::path::Path;
use rustc_hash::{FxHashMap, FxHashSet};

/// Rows of one name in one file.
pub(crate) trait Rows {
    /// What they take of memory.
    fn bytes(&self) -> usize;
}

impl Rows for RecordBatch {
    fn bytes(&self) -> usize {
        self.get_array_memory_size()
    }
}

/// A name's rows by file; the files of different tables have no path in common.
#[derive(Debug)]
pub(crate) struct Name<R> {
    pub(crate) files: FxHashMap<Path, Arc<R>>,
}

impl<R> Default for Name<R> {
    fn default() -> Self {
        Self { files: FxHashMap::default() }
    }
}

impl<R> Clone for Name<R> {
    fn clone(&self) -> Self {
        Self { files: self.files.clone() }
    }
}

impl<R: Rows> Name<R> {
    fn bytes(&self) -> usize {
        /// A path, an entry, and what allocators take.
        const EACH: usize = 256;
        EACH + self.files.values().map(|rows| EACH + rows.bytes()).sum::<usize>()
    }
}

/// Names that were asked for lately, and those asked for before: when the first are half of what may be kept, the others go.
#[derive(Debug)]
struct Generations<K, R> {
    young: FxHashMap<(K, String), Arc<Name<R>>>,
    young_bytes: usize,
    old: FxHashMap<(K, String), Arc<Name<R>>>,
}

/// Rows of names of the kinds `K`. See the module.
#[derive(Debug)]
pub(crate) struct Hot<K, R> {
    bytes_max: usize,
    kept: Mutex<Generations<K, R>>,
}

impl<K: Copy + Eq + Hash, R: Rows> Hot<K, R> {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::new(Generations { young: FxHashMap::default(), young_bytes: 0, old: FxHashMap::default() }) }
    }

    /// What is kept of a name.
    pub(crate) fn of(&self, kind: K, name: &str) -> Arc<Name<R>> {
        let key = (kind, name.to_owned());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.young.get(&key) {
            return known.clone();
        }
        let Some(known) = kept.old.remove(&key) else { return Arc::default() };
        self.put(&mut kept, key, known.clone());
        known
    }

    /// Keeps what was read of a name beside what is kept of it, as far as its files are among `named`.
    pub(crate) fn keep(&self, kind: K, name: &str, read: Vec<(Path, Arc<R>)>, named: &FxHashSet<&Path>) {
        let key = (kind, name.to_owned());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name = match kept.young.remove(&key) {
            Some(known) => {
                kept.young_bytes = kept.young_bytes.saturating_sub(known.bytes());
                Arc::unwrap_or_clone(known)
            }
            None => Name::default(),
        };
        name.files.retain(|path, _| named.contains(path));
        name.files.extend(read);
        self.put(&mut kept, key, Arc::new(name));
    }

    fn put(&self, kept: &mut Generations<K, R>, key: (K, String), name: Arc<Name<R>>) {
        let bytes = name.bytes();
        // One that is larger than all that may be kept is read each time.
        if bytes > self.bytes_max / 2 {
            return;
        }
        if kept.young_bytes + bytes > self.bytes_max / 2 {
            kept.old = std::mem::take(&mut kept.young);
            kept.young_bytes = 0;
        }
        kept.young_bytes += bytes;
        kept.young.insert(key, name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::look_up::schema;
    use super::super::run::{Keys, Run};
    use super::super::touches::Order;
    use super::*;

    fn run() -> Arc<Run> {
        Arc::new(Run::of(&RecordBatch::new_empty(schema()), &Keys::new().unwrap()).unwrap())
    }

    #[test]
    fn memory_is_bounded_and_what_is_asked_for_again_stays() {
        let each = Name { files: FxHashMap::from_iter([(Path::from("f"), run())]) }.bytes();
        let hot = Hot::new(each * 20);
        let (path, named) = (Path::from("f"), Path::from("f"));
        let named = FxHashSet::from_iter([&named]);
        let has = |name: &str| !hot.of(Order::Identity, name).files.is_empty();
        for number in 0..100 {
            hot.keep(Order::Identity, &number.to_string(), vec![(path.clone(), run())], &named);
            assert!(has(&number.to_string()) && has("0"), "{number}");
        }
        let kept = (0..100).filter(|number| has(&number.to_string())).count();
        assert!((10..=20).contains(&kept), "{kept}");
        assert!(hot.of(Order::Destination, "0").files.is_empty(), "a destination is no identity");
    }

    #[test]
    fn a_file_that_left_the_table_is_dropped() {
        let hot = Hot::new(1 << 20);
        let [a, b] = ["a", "b"].map(Path::from);
        hot.keep(Order::Identity, "x", vec![(a.clone(), run()), (b.clone(), run())], &FxHashSet::from_iter([&a, &b]));
        hot.keep(Order::Identity, "x", Vec::new(), &FxHashSet::from_iter([&b]));
        assert_eq!(hot.of(Order::Identity, "x").files.keys().collect::<Vec<_>>(), [&b]);
    }
}
