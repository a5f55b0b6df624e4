//! What a hop of `blast_radius` reads, without a planner: the touches of identities, of whoever used a credential, and of whoever obtained one with it. No file
//! is sorted by credentials, so each has an index of the identities that used one or obtained something with it; their rows say the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use datafusion::error::Result;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use keytrail_schemas::Micros;
use object_store::path::Path;
use rustc_hash::{FxHashMap, FxHashSet};

use super::index::{Index, hash};
use super::look_up::{look_up, schema_of};
use super::looked::{FILES_AT_ONCE, Into, Keep};
use super::touches::{Order, Touches};
use super::{FileSet, whole};

/// Identities whose touches one hop reads; more are for a plan.
const IDENTITIES_MAX: usize = 512;
/// Rows of touches that one hop reads.
const ROWS_MAX: usize = 500_000;
/// The columns that an index is made of.
const INDEXED: [&str; 3] = ["identity", "credential", "credential_parent"];
/// The columns of what is read.
pub(crate) const REACH: [&str; 10] = ["identity", "credential", "credential_parent", "destination", "environment", "outcome", "count", "first", "last", "day"];
const FIRST: usize = 7;
const DAY: usize = 9;

/// Whose touches are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// Of identities.
    Identities(&'a BTreeSet<String>),
    /// Of all who used one of these credentials, or obtained one with them.
    Credentials(&'a BTreeSet<String>),
}

/// The files of one version, each with its index.
pub(crate) struct Reach<'a> {
    touches: &'a Touches,
    sets: [&'a FileSet; 2],
    files: Vec<(Into<'a>, Arc<Index>)>,
}

impl Touches {
    /// Makes ready to follow credentials through the touches of `[from, to)`; `None` where there is no room for the indexes.
    pub(crate) async fn reach<'a>(&'a self, sets: [&'a FileSet; 2], from: Option<Micros>, to: Option<Micros>) -> Result<Option<Reach<'a>>> {
        let [events, rolled] = sets;
        let mut files = Vec::new();
        for into in self.files(events, &self.by_identity, rolled, from, to) {
            let Some(index) = self.index_of(&into, sets).await? else { return Ok(None) };
            files.push((into, index));
        }
        Ok(Some(Reach { touches: self, sets, files }))
    }

    /// The files of events, and those of the roll-up by identity, of the newest versions that are known.
    pub(crate) fn reach_files(&self) -> [Arc<FileSet>; 2] {
        [self.events.files(), self.in_order(Order::Identity).files()]
    }

    async fn index_of(&self, into: &Into<'_>, sets: [&FileSet; 2]) -> Result<Option<Arc<Index>>> {
        let (indexes, table, path) = (&self.look_ups.indexes, into.table.name, &into.file.meta.location);
        if let Some(known) = indexes.known(table, path) {
            return Ok(known);
        }
        let _alone = indexes.making.lock().await;
        if let Some(known) = indexes.known(table, path) {
            return Ok(known);
        }
        sets.iter().for_each(|set| indexes.hold_against(set));
        let room = indexes.room();
        let step = move |made: &mut Made, batch: RecordBatch| {
            if made.pairs.len() <= room {
                made.add(&batch)?;
            }
            Ok(())
        };
        let made = whole(into.table, into.file, (&INDEXED, &INDEXED), &self.look_ups.footers, Made::default(), step).await?;
        let index = (made.pairs.len() <= room).then(|| indexes.numbered(made.names, made.pairs)).flatten();
        Ok(indexes.keep(table, path, index))
    }
}

/// An index while it is made.
#[derive(Default)]
struct Made {
    names: Vec<String>,
    number: FxHashMap<String, u32>,
    /// What stands under a hash, and which of the names.
    pairs: FxHashSet<(u64, u32)>,
}

impl Made {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let coded = |name: &str| batch.column_by_name(name).and_then(|cells| cells.as_dictionary_opt::<Int32Type>());
        let Some(identities) = coded("identity") else { return datafusion::common::internal_err!("a file has no column identity") };
        let names = identities.values().as_string::<i32>();
        let numbers: Vec<u32> = names.iter().map(|name| self.number(name.unwrap_or_default())).collect();
        for (column, word) in [("credential", "credential"), ("credential_parent", "parent")] {
            let Some(cells) = coded(column) else { continue };
            let hashes: Vec<u64> = cells.values().as_string::<i32>().iter().map(|text| hash(word, text.unwrap_or_default())).collect();
            let mut last = None;
            for (who, what) in identities.keys().iter().zip(cells.keys()) {
                let (Some(who), Some(what)) = (who, what) else { continue };
                // Rows of one identity and credential stand together.
                if last.replace((who, what)) != Some((who, what))
                    && let (Some(who), Some(what)) =
                        (usize::try_from(who).ok().and_then(|who| numbers.get(who)), usize::try_from(what).ok().and_then(|what| hashes.get(what)))
                {
                    self.pairs.insert((*what, *who));
                }
            }
        }
        Ok(())
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.number.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.number.insert(name.to_owned(), number);
        number
    }
}

impl Reach<'_> {
    /// The touches of the period of whom is meant, and with credentials also others of theirs; `None` where they are too many.
    pub(crate) async fn of(&self, whose: Whose<'_>) -> Result<Option<Vec<RecordBatch>>> {
        let mut files_of: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
        match whose {
            Whose::Identities(names) => names.iter().for_each(|name| drop(files_of.insert(Arc::from(name.as_str()), (0..self.files.len()).collect()))),
            Whose::Credentials(credentials) => {
                let sought: Vec<u64> = credentials.iter().flat_map(|name| ["credential", "parent"].map(|word| hash(word, name))).collect();
                for (at, (_, index)) in self.files.iter().enumerate() {
                    let who: BTreeSet<u32> = sought.iter().flat_map(|hash| index.places(*hash)).copied().collect();
                    for name in who.into_iter().filter_map(|number| self.touches.look_ups.indexes.name(number)) {
                        files_of.entry(name).or_default().push(at);
                    }
                }
            }
        }
        if files_of.len() > IDENTITIES_MAX {
            return Ok(None);
        }
        let (mut all, mut rows) = (Vec::new(), 0);
        for (name, files) in files_of {
            let found = self.of_one(&name, &files).await?;
            rows += found.iter().map(RecordBatch::num_rows).sum::<usize>();
            if rows > ROWS_MAX {
                return Ok(None);
            }
            all.extend(found);
        }
        Ok(Some(all))
    }

    async fn of_one(&self, name: &str, files: &[usize]) -> Result<Vec<RecordBatch>> {
        let (hot, footers, schema) = (&self.touches.look_ups.reach, &self.touches.look_ups.footers, schema_of(&REACH));
        let known = hot.of((), name);
        let files: Vec<&Into<'_>> = files.iter().filter_map(|at| self.files.get(*at)).map(|(into, _)| into).collect();
        let mut missing = Vec::new();
        for into in files.iter().filter(|into| !known.files.contains_key(&into.file.meta.location)) {
            let schema = &schema;
            let read = async move {
                let found = look_up(into.table, into.file, ("identity", name), schema, footers).await?;
                Ok::<_, datafusion::error::DataFusionError>((into.file.meta.location.clone(), Arc::new(found)))
            };
            missing.push(read.boxed());
        }
        let read: FxHashMap<Path, Arc<RecordBatch>> = stream::iter(missing).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        let mut all = Vec::new();
        for into in files {
            let path = &into.file.meta.location;
            if let Some(found) = known.files.get(path).or_else(|| read.get(path)).filter(|found| found.num_rows() > 0) {
                all.push(meant(found, &into.keep)?);
            }
        }
        if !read.is_empty() {
            let named: FxHashSet<&Path> = self.sets.iter().flat_map(|set| &set.files).map(|file| &file.meta.location).collect();
            hot.keep((), name, read.into_iter().collect(), &named);
        }
        Ok(all)
    }
}

/// The rows that are meant.
fn meant(found: &RecordBatch, keep: &Keep) -> Result<RecordBatch> {
    if matches!(keep, Keep::All) {
        return Ok(found.clone());
    }
    let (day, first) = (found.column(DAY).as_primitive::<TimestampMicrosecondType>(), found.column(FIRST).as_primitive::<TimestampMicrosecondType>());
    let is_meant: BooleanArray = (0..found.num_rows()).map(|row| Some(keep.is_meant(|| day.value(row).div_euclid(Micros::DAY), || first.value(row)))).collect();
    Ok(filter_record_batch(found, &is_meant)?)
}
