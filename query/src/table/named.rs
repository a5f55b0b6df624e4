//! The rows of findings and of the ledger that name somebody, without a planner: by an index of each file where nothing is sorted by the name, and what lies
//! over the lake beside them. A plan has the same rows.

use std::sync::Arc;

use arrow::array::{Array, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use rustc_hash::{FxHashMap, FxHashSet};

use super::file_set::File;
use super::hot::Rows;
use super::index::{Index, hash};
use super::look_up::{column, rows_at};
use super::looked::{FILES_AT_ONCE, LookUps};
use super::{FileSet, LiveTable};
use crate::live::Overlay;

/// The columns of findings that their index has, and under which word.
const OF_FINDINGS: &[(&str, &str)] = &[("identity", "name"), ("members", "name"), ("finding_id", "id")];
/// The same of credentials.
const OF_CREDENTIALS: &[(&str, &str)] = &[("identity", "name"), ("parent", "parent")];

/// The columns of findings that are read.
pub(crate) const FINDING: [&str; 15] = [
    "finding_id",
    "event_ids",
    "time",
    "identity",
    "credential",
    "destination",
    "protocol",
    "rule",
    "source_ip",
    "severity",
    "title",
    "members",
    "revision",
    "log_offset",
    "log_partition",
];
/// The columns of credentials that are read.
pub(crate) const CREDENTIAL: [&str; 13] = [
    "credential",
    "identity",
    "parent",
    "issued_at",
    "issued_is_exact",
    "superseded_at",
    "successor",
    "revoked_at",
    "expires_at",
    "as_of",
    "last_used",
    "log_partition",
    "kind",
];

/// What rows are kept under: the table's folder and the word.
pub(super) type Kind = (&'static str, &'static str);

/// Rows of one file, and where they stand in it.
#[derive(Debug)]
pub(super) struct Found {
    places: Vec<u32>,
    batch: RecordBatch,
}

impl Rows for Found {
    fn bytes(&self) -> usize {
        self.places.len() * size_of::<u32>() + self.batch.get_array_memory_size()
    }
}

/// What is read, and with what.
struct Reading<'a> {
    table: &'a LiveTable,
    set: &'a FileSet,
    schema: SchemaRef,
    look_ups: &'a LookUps,
}

impl Reading<'_> {
    /// The rows of all files that may name `name` under `word`, by file.
    async fn of(&self, indexes: &[Arc<Index>], word: &'static str, name: &str) -> Result<Vec<(usize, Arc<Found>)>> {
        let (hot, kind, sought) = (&self.look_ups.named, (self.table.name.folder(), word), hash(word, name));
        let known = hot.of(kind, name);
        let (mut all, mut missing) = (Vec::new(), Vec::new());
        for (at, (file, index)) in self.set.files.iter().zip(indexes).enumerate() {
            let places = index.places(sought);
            match known.files.get(&file.meta.location) {
                _ if places.is_empty() => {}
                Some(found) => all.push((at, found.clone())),
                None => missing.push(async move { Ok::<_, DataFusionError>((at, Arc::new(self.at(file, places).await?))) }.boxed()),
            }
        }
        if !missing.is_empty() {
            let read: Vec<(usize, Arc<Found>)> = stream::iter(missing).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
            let named: FxHashSet<&Path> = self.set.files.iter().map(|file| &file.meta.location).collect();
            let paths = read.iter().filter_map(|(at, found)| Some((self.set.files.get(*at)?.meta.location.clone(), found.clone())));
            hot.keep(kind, name, paths.collect(), &named);
            all.extend(read);
            all.sort_by_key(|(at, _)| *at);
        }
        Ok(all)
    }

    async fn at(&self, file: &File, places: &[u32]) -> Result<Found> {
        let wanted: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let read = rows_at(self.table, file, places, &wanted, &self.look_ups.footers).await?;
        let columns = self.schema.fields().iter().map(|field| column(&read, field.name(), field.data_type())).collect::<Result<Vec<_>>>()?;
        Ok(Found { places: places.to_vec(), batch: RecordBatch::try_new(self.schema.clone(), columns)? })
    }
}

fn schema(table: &LiveTable, wanted: &[&str]) -> Result<SchemaRef> {
    let all = table.name.schema();
    let fields = wanted.iter().map(|name| all.field_with_name(name).map(|field| field.clone().with_nullable(true))).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(arrow::datatypes::Schema::new(fields)))
}

/// The overlay's rows in the columns of `schema`.
fn laid(overlay: &Overlay, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| column(&overlay.rows, field.name(), field.data_type())).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// The rows that no newer one stands in place of.
fn uncovered(batch: &RecordBatch, overlay: Option<&Arc<Overlay>>, name: &str, revised: bool) -> Result<RecordBatch> {
    let Some(overlay) = overlay else { return Ok(batch.clone()) };
    let (Some(names), Some(partitions)) = (
        batch.column_by_name(name).and_then(|names| names.as_string_opt::<i32>()),
        batch.column_by_name("log_partition").and_then(|partitions| partitions.as_primitive_opt::<Int32Type>()),
    ) else {
        return datafusion::common::internal_err!("rows have no name or no partition");
    };
    let revisions = batch.column_by_name("revision").filter(|_| revised).and_then(|revisions| revisions.as_primitive_opt::<Int64Type>());
    let stays = |row: usize| !overlay.covers(names.value(row), partitions.value(row), revisions.map_or(0, |revisions| revisions.value(row)));
    let stays: BooleanArray = (0..batch.num_rows()).map(|row| Some(stays(row))).collect();
    Ok(filter_record_batch(batch, &stays)?)
}

/// The rows of the ledger's credentials that have `name` under `word` (`name` for their identity, `parent` for what they were obtained with), in the columns
/// of [`CREDENTIAL`]. `None` where there is no room for an index.
pub(crate) async fn credentials(table: &LiveTable, look_ups: &LookUps, word: &'static str, name: &str) -> Result<Option<Vec<RecordBatch>>> {
    table.ready().await?;
    // What lies over is looked at first: what leaves it afterwards is in the lake's version already.
    let overlay = table.over()?;
    let set = table.files();
    let reading = Reading { table, set: &set, schema: schema(table, &CREDENTIAL)?, look_ups };
    let Some(indexes) = look_ups.indexes.rows(table, &set, OF_CREDENTIALS, &look_ups.footers).await? else { return Ok(None) };
    let column = if word == "parent" { "parent" } else { "identity" };
    let mut all = Vec::new();
    for (_, found) in reading.of(&indexes, word, name).await? {
        all.push(having(&uncovered(&found.batch, overlay.as_ref(), "credential", false)?, column, name)?);
    }
    if let Some(overlay) = &overlay {
        all.push(having(&laid(overlay, &reading.schema)?, column, name)?);
    }
    all.retain(|batch| batch.num_rows() > 0);
    Ok(Some(all))
}

/// The rows whose column is the name.
fn having(batch: &RecordBatch, column: &str, name: &str) -> Result<RecordBatch> {
    let Some(names) = batch.column_by_name(column).and_then(|names| names.as_string_opt::<i32>()) else {
        return datafusion::common::internal_err!("rows have no column {column}");
    };
    let is_sought: BooleanArray = names.iter().map(|known| Some(known == Some(name))).collect();
    Ok(filter_record_batch(batch, &is_sought)?)
}

/// The latest revisions of the findings that name `identity` or have it among their members, in the columns of [`FINDING`]. `None` where there is no room
/// for an index.
pub(crate) async fn findings(table: &LiveTable, look_ups: &LookUps, identity: &str) -> Result<Option<Vec<RecordBatch>>> {
    table.ready().await?;
    let overlay = table.over()?;
    let set = table.files();
    let reading = Reading { table, set: &set, schema: schema(table, &FINDING)?, look_ups };
    let Some(indexes) = look_ups.indexes.rows(table, &set, OF_FINDINGS, &look_ups.footers).await? else { return Ok(None) };
    let found = reading.of(&indexes, "name", identity).await?;
    let mut batches = Vec::with_capacity(found.len());
    for (_, found) in &found {
        batches.push(uncovered(&found.batch, overlay.as_ref(), "finding_id", true)?);
    }
    if let Some(overlay) = &overlay {
        batches.push(laid(overlay, &reading.schema)?);
    }
    // A later revision may name others: all revisions of what was found are looked at.
    let ids: FxHashSet<String> = batches.iter().flat_map(|batch| names(batch, identity)).collect();
    let read: FxHashMap<usize, &[u32]> = found.iter().map(|(at, found)| (*at, found.places.as_slice())).collect();
    for (at, (file, index)) in set.files.iter().zip(&indexes).enumerate() {
        let read = read.get(&at).copied().unwrap_or_default();
        let mut places: Vec<u32> = ids.iter().flat_map(|id| index.places(hash("id", id))).copied().filter(|place| read.binary_search(place).is_err()).collect();
        if !places.is_empty() {
            places.sort_unstable();
            places.dedup();
            batches.push(uncovered(&reading.at(file, &places).await?.batch, overlay.as_ref(), "finding_id", true)?);
        }
    }
    latest(&batches, identity).map(Some)
}

/// Whether a finding's row names the identity or has it among its members.
fn is_of(batch: &RecordBatch, row: usize, identity: &str) -> bool {
    let named = batch.column_by_name("identity").and_then(|names| names.as_string_opt::<i32>()).is_some_and(|names| names.value(row) == identity);
    named
        || batch
            .column_by_name("members")
            .and_then(|members| members.as_list_opt::<i32>())
            .filter(|members| members.is_valid(row))
            .is_some_and(|members| members.value(row).as_string_opt::<i32>().is_some_and(|members| members.iter().any(|member| member == Some(identity))))
}

/// The ids of the findings of `identity`.
fn names(batch: &RecordBatch, identity: &str) -> Vec<String> {
    let Some(ids) = batch.column_by_name("finding_id").and_then(|ids| ids.as_string_opt::<i32>()) else { return Vec::new() };
    (0..batch.num_rows()).filter(|row| is_of(batch, *row, identity)).map(|row| ids.value(row).to_owned()).collect()
}

/// Of each finding its latest revision, where that is of `identity`.
fn latest(batches: &[RecordBatch], identity: &str) -> Result<Vec<RecordBatch>> {
    /// Revision and offset in the log; the batch and the row.
    type Newest = ((i64, i64), (usize, usize));
    let mut newest: FxHashMap<&str, Newest> = FxHashMap::default();
    for (at, batch) in batches.iter().enumerate() {
        let number = |name: &str| batch.column_by_name(name).and_then(|numbers| numbers.as_primitive_opt::<Int64Type>());
        let (Some(ids), Some(revisions), Some(offsets)) =
            (batch.column_by_name("finding_id").and_then(|ids| ids.as_string_opt::<i32>()), number("revision"), number("log_offset"))
        else {
            return datafusion::common::internal_err!("findings have no id or no revision");
        };
        for row in 0..batch.num_rows() {
            let rank = (revisions.value(row), offsets.value(row));
            let known = newest.entry(ids.value(row)).or_insert((rank, (at, row)));
            if rank > known.0 {
                *known = (rank, (at, row));
            }
        }
    }
    let wanted: FxHashSet<(usize, usize)> = newest.into_values().map(|(_, at)| at).collect();
    let mut all = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let stays: BooleanArray = (0..batch.num_rows()).map(|row| Some(wanted.contains(&(at, row)) && is_of(batch, row, identity))).collect();
        if stays.true_count() > 0 {
            all.push(filter_record_batch(batch, &stays)?);
        }
    }
    Ok(all)
}
