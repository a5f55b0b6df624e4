//! Which rows of a file name whom in columns that the file is not sorted by: twelve bytes for a name and a place. A file's index is made when it is first
//! asked for, by reading those columns once, and kept in bounded memory; files never change.

use std::hash::Hasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, AsArray as _, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use object_store::path::Path;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::file_set::File;
use super::{FileSet, LiveTable, TableName, whole};

/// What an entry takes of memory.
const ENTRY_BYTES: usize = size_of::<u64>() + size_of::<u32>();
/// What a file takes besides.
const FILE_BYTES: usize = 256;
/// What a name takes beside its bytes.
const NAME_BYTES: usize = 96;
/// The tables whose places are numbers of names, and not rows.
const NUMBERED: [TableName; 2] = [TableName::Events, TableName::Touches];

/// Where names stand in one file.
#[derive(Debug, Default, Clone)]
pub(super) struct Index {
    hashes: Vec<u64>,
    places: Vec<u32>,
}

impl Index {
    /// Of pairs in any order.
    pub(super) fn of(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let (hashes, places) = pairs.into_iter().unzip();
        Self { hashes, places }
    }

    /// The places of what has this hash, in order. Another name may have it too: whoever looks reads the row.
    pub(super) fn places(&self, hash: u64) -> &[u32] {
        let from = self.hashes.partition_point(|known| *known < hash);
        let to = self.hashes.get(from..).map_or(from, |rest| from + rest.partition_point(|known| *known == hash));
        self.places.get(from..to).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        FILE_BYTES + self.hashes.len() * ENTRY_BYTES
    }
}

/// The hash of a name in a column; columns whose names are looked for together have one word for all.
pub(super) fn hash(column: &str, name: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(column.as_bytes());
    hasher.write_u8(0xff);
    hasher.write(name.as_bytes());
    hasher.finish()
}

/// Indexes of files, by table.
#[derive(Debug)]
pub(super) struct Indexes {
    bytes_max: usize,
    kept: Mutex<Kept>,
    /// Held by who makes indexes: what is made for one is there for all.
    pub(super) making: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Nothing for a file whose index had no room.
    of: FxHashMap<(&'static str, Path), Option<Arc<Index>>>,
    bytes: usize,
    /// The names that places of touches and of events are numbers of.
    names: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, u32>,
}

impl Kept {
    fn count(&mut self) {
        let names: usize = self.names.iter().map(|name| NAME_BYTES + name.len()).sum();
        self.bytes = names + self.of.values().map(|index| index.as_ref().map_or(FILE_BYTES, |index| index.bytes())).sum::<usize>();
    }
}

impl Indexes {
    /// Keeps up to `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default(), making: tokio::sync::Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file's index, if it was made; nothing within where it had no room.
    #[expect(clippy::option_option, reason = "not made yet, and made but not kept, are two things")]
    pub(super) fn known(&self, table: TableName, path: &Path) -> Option<Option<Arc<Index>>> {
        self.kept().of.get(&(table.folder(), path.clone())).cloned()
    }

    /// Forgets the files of a table that it does not name any more, and then also which files had no room.
    pub(super) fn hold_against(&self, set: &FileSet) {
        let named: FxHashSet<&Path> = set.files.iter().map(|file| &file.meta.location).collect();
        let mut kept = self.kept();
        let before = kept.of.len();
        kept.of.retain(|(table, path), _| *table != set.name.folder() || named.contains(path));
        if kept.of.len() < before {
            kept.of.retain(|_, index| index.is_some());
        }
        let has_numbers = |table: &&'static str| NUMBERED.iter().any(|name| name.folder() == *table);
        if !kept.of.keys().any(|(table, _)| has_numbers(table)) {
            kept.names.clear();
            kept.numbers.clear();
        }
        kept.count();
    }

    /// How many entries there is room for still.
    pub(super) fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.kept().bytes + FILE_BYTES) / ENTRY_BYTES
    }

    /// Keeps a file's index, and gives it where there was room for it.
    pub(super) fn keep(&self, table: TableName, path: &Path, index: Option<Index>) -> Option<Arc<Index>> {
        let mut kept = self.kept();
        let index = index.filter(|index| kept.bytes + index.bytes() <= self.bytes_max).map(Arc::new);
        kept.bytes += index.as_ref().map_or(FILE_BYTES, |index| index.bytes());
        kept.of.insert((table.folder(), path.clone()), index.clone());
        index
    }

    /// The index of pairs whose places are numbers of these names, with the numbers that names have here; `None` where there is no room for new names.
    pub(super) fn numbered(&self, names: Vec<String>, pairs: impl IntoIterator<Item = (u64, u32)>) -> Option<Index> {
        let mut kept = self.kept();
        let mut numbers = Vec::with_capacity(names.len());
        for name in names {
            if let Some(number) = kept.numbers.get(name.as_str()) {
                numbers.push(*number);
                continue;
            }
            if kept.bytes + NAME_BYTES + name.len() > self.bytes_max {
                return None;
            }
            let (number, name): (u32, Arc<str>) = (u32::try_from(kept.names.len()).ok()?, name.into());
            kept.bytes += NAME_BYTES + name.len();
            kept.names.push(name.clone());
            kept.numbers.insert(name, number);
            numbers.push(number);
        }
        drop(kept);
        Some(Index::of(pairs.into_iter().filter_map(|(hash, number)| Some((hash, *numbers.get(number as usize)?))).collect()))
    }

    /// The name of a number.
    pub(super) fn name(&self, number: u32) -> Option<Arc<str>> {
        self.kept().names.get(number as usize).cloned()
    }

    /// The indexes of all files of a version of `table`: rows by the names in `columns`, each with the word that its names are looked for under. `None`
    /// where they have no room.
    pub(super) async fn rows(
        &self,
        table: &LiveTable,
        set: &FileSet,
        columns: &'static [(&'static str, &'static str)],
        footers: &Arc<FileMetadataCache>,
    ) -> Result<Option<Vec<Arc<Index>>>> {
        let known = |file: &File| self.known(table.name, &file.meta.location);
        let _alone = if set.files.iter().all(|file| known(file).is_some()) { None } else { Some(self.making.lock().await) };
        if _alone.is_some() {
            self.hold_against(set);
        }
        let mut all = Vec::with_capacity(set.files.len());
        for file in &set.files {
            let index = match known(file) {
                Some(known) => known,
                None => {
                    let index = self.rows_of(table, file, columns, footers).await?;
                    self.keep(table.name, &file.meta.location, index)
                }
            };
            let Some(index) = index else { return Ok(None) };
            all.push(index);
        }
        Ok(Some(all))
    }

    /// The index of a file; `None` where it has no room.
    async fn rows_of(
        &self,
        table: &LiveTable,
        file: &File,
        columns: &'static [(&'static str, &'static str)],
        footers: &Arc<FileMetadataCache>,
    ) -> Result<Option<Index>> {
        let (room, wanted): (usize, Vec<&str>) = (self.room(), columns.iter().map(|(column, _)| *column).collect());
        if file.rows.is_some_and(|rows| rows > room as u64) {
            return Ok(None);
        }
        let step = move |(pairs, row): &mut (Vec<(u64, u32)>, u32), batch: RecordBatch| {
            if pairs.len() <= room {
                for (column, word) in columns {
                    add(pairs, *row, &batch, column, word)?;
                }
            }
            *row = row.saturating_add(u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
            Ok(())
        };
        let (pairs, rows) = whole(table, file, (&wanted, &[]), footers, (Vec::new(), 0_u32), step).await?;
        Ok((rows < u32::MAX && pairs.len() <= room).then(|| Index::of(pairs)))
    }
}

/// Adds the names of a column of texts, or of lists of texts, of rows from `first` on.
fn add(pairs: &mut Vec<(u64, u32)>, first: u32, batch: &RecordBatch, column: &str, word: &str) -> Result<()> {
    let Some(cells) = batch.column_by_name(column) else { return Ok(()) };
    let mut push = |row: usize, text: &str| pairs.push((hash(word, text), first.saturating_add(u32::try_from(row).unwrap_or(u32::MAX))));
    if let Some(lists) = cells.as_list_opt::<i32>() {
        let values = cast(lists.values(), &DataType::Utf8)?;
        let values: &StringArray = values.as_string();
        for (row, ends) in lists.value_offsets().windows(2).enumerate().filter(|(row, _)| lists.is_valid(*row)) {
            let [from, to] = ends else { continue };
            (*from..*to).filter_map(|at| usize::try_from(at).ok()).filter(|at| values.is_valid(*at)).for_each(|at| push(row, values.value(at)));
        }
        return Ok(());
    }
    let texts = cast(cells, &DataType::Utf8)?;
    texts.as_string::<i32>().iter().enumerate().for_each(|(row, text)| {
        if let Some(text) = text {
            push(row, text);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_name_is_found_and_no_other_names() {
        let pairs = (0..1_000_u32).map(|row| (hash("name", &format!("n{}", row % 37)), row)).chain([(hash("other", "n3"), 7)]).collect();
        let index = Index::of(pairs);
        assert_eq!(index.places(hash("name", "n3")).to_vec(), (0..1_000).filter(|row| row % 37 == 3).collect::<Vec<u32>>());
        assert_eq!(index.places(hash("other", "n3")), [7]);
        assert!(index.places(hash("name", "n37")).is_empty() && Index::default().places(0).is_empty());
    }

    #[test]
    fn what_has_no_room_is_not_kept_and_not_tried_again_until_there_may_be_room() {
        let index = Index::of((0..100).map(|row| (u64::from(row), row)).collect());
        let indexes = Indexes::new(index.bytes() * 2 + FILE_BYTES);
        let path = |name: &str| Path::from(name);
        let keep = |name: &str| indexes.keep(TableName::Findings, &path(name), Some(index.clone())).is_some();
        assert!(keep("a") && keep("b") && !keep("c") && indexes.room() == 0);
        assert!(matches!(indexes.known(TableName::Findings, &path("c")), Some(None)) && indexes.known(TableName::Findings, &path("d")).is_none());
        let mut set = FileSet::empty(TableName::Findings);
        indexes.hold_against(&set);
        assert!(indexes.known(TableName::Findings, &path("a")).is_none() && indexes.known(TableName::Findings, &path("c")).is_none() && keep("c"));
        set.name = TableName::Credentials;
        indexes.hold_against(&set);
        assert!(indexes.known(TableName::Findings, &path("c")).is_some(), "another table's files stay");
    }

    #[test]
    fn names_of_two_files_have_the_same_numbers() {
        let indexes = Indexes::new(1 << 20);
        let of = |names: &[&str], pairs: &[(u64, u32)]| indexes.numbered(names.iter().map(|name| (*name).to_owned()).collect(), pairs.to_vec());
        let (a, b) = (of(&["x", "y"], &[(7, 0), (9, 1)]).unwrap(), of(&["y", "z"], &[(9, 0), (9, 1)]).unwrap());
        let names = |index: &Index, hash| index.places(hash).iter().map(|number| indexes.name(*number).unwrap().to_string()).collect::<Vec<_>>();
        assert_eq!((names(&a, 7), names(&a, 9), names(&b, 9)), (vec!["x".to_owned()], vec!["y".to_owned()], vec!["y".to_owned(), "z".to_owned()]));
        let small = Indexes::new(NAME_BYTES + 1);
        assert!(small.numbered(vec!["x".to_owned(), "y".to_owned()], [(1, 0)]).is_none());
    }
}
