//! Looking one name up in one file without a planner: the page index says which pages may hold it, and no others are read. What comes out has the
//! columns of touches, whichever of the three tables the file belongs to.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetFileReaderFactory as _};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::arrow_reader::{ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter, RowSelection};
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use datafusion::parquet::arrow::{ProjectionMask, parquet_to_arrow_schema};
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::schema::types::SchemaDescriptor;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::TryStreamExt as _;
use keytrail_schemas::{Micros, Table as _, Touch};

use super::file_set::File;
use super::{FOOTER_BYTES, LiveTable, TableName};

/// Rows of one name in one file that are kept in memory; where there are more, whoever asked streams them.
const ROWS_MAX: usize = 1_000_000;
const BATCH_ROWS: usize = 8_192;

/// The columns of what is looked up.
pub(crate) const LOOKED_UP: [&str; 13] =
    ["identity", "destination", "credential", "protocol", "action", "outcome", "identity_kind", "day", "count", "first", "last", "issued_seen", "issued_at"];

/// Their schema; nullable throughout.
pub(crate) fn schema() -> SchemaRef {
    schema_of(&LOOKED_UP)
}

/// The file's footer and page index, from memory where they were read before.
pub(crate) async fn footer(table: &LiveTable, file: &File, footers: &Arc<FileMetadataCache>) -> Result<Arc<ParquetMetaData>> {
    let reading = DFParquetMetadata::new(table.store().as_ref(), &file.meta).with_metadata_size_hint(Some(FOOTER_BYTES));
    reading.with_file_metadata_cache(Some(footers.clone())).fetch_metadata().await
}

/// The schema of some columns of touches; nullable throughout.
pub(super) fn schema_of(columns: &[&str]) -> SchemaRef {
    let touch = Touch::arrow_schema();
    let field = |name: &&str| touch.field_with_name(name).map(|field| Arc::new(field.clone().with_nullable(true)));
    Arc::new(Schema::new(columns.iter().filter_map(|name| field(name).ok()).collect::<Vec<_>>()))
}

/// The rows of `table`'s `file` whose `column` is `name`, in columns of touches.
pub(crate) async fn look_up(
    table: &LiveTable,
    file: &File,
    (column, name): (&str, &str),
    schema: &SchemaRef,
    footers: &Arc<FileMetadataCache>,
) -> Result<RecordBatch> {
    let mut wanted: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if table.name == TableName::Events {
        wanted.extend(["time", "credential_issued_at"]);
    }
    let found = rows(table, file, (column, name), &wanted, footers).await?;
    if table.name == TableName::Events { of_events(file, &found, schema) } else { ordered(&found, schema) }
}

/// The columns `wanted`, as far as the file has them, of its rows whose column is the name.
pub(super) async fn rows(
    table: &LiveTable,
    file: &File,
    (column, name): (&str, &str),
    wanted: &[&str],
    footers: &Arc<FileMetadataCache>,
) -> Result<RecordBatch> {
    let metadata = footer(table, file, footers).await?;
    let parquet = metadata.file_metadata().schema_descr_ptr();
    let Some(key) = parquet.columns().iter().position(|leaf| leaf.path().string() == column) else {
        return Err(DataFusionError::Execution(format!("{} has no column {column}", file.meta.location)));
    };
    let (groups, selected, total) = pages(&metadata, key, name.as_bytes());
    if groups.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::new(parquet_to_arrow_schema(&parquet, None)?)));
    }
    let only = ProjectionMask::leaves(&parquet, [key]);
    let sought = StringArray::new_scalar(name);
    let is_sought = ArrowPredicateFn::new(only, move |batch: RecordBatch| -> std::result::Result<BooleanArray, arrow::error::ArrowError> {
        arrow::compute::kernels::cmp::eq(&cast(batch.column(0), &DataType::Utf8)?, &sought)
    });
    let builder = builder(table, file, metadata, wanted, footers)?
        .with_row_groups(groups)
        .with_row_selection(RowSelection::from_consecutive_ranges(selected.into_iter(), total))
        .with_row_filter(RowFilter::new(vec![Box::new(is_sought)]));
    all(builder, name, file).await
}

/// The columns `wanted`, as far as the file has them, of the rows that stand at `places`, which are in order.
pub(super) async fn rows_at(table: &LiveTable, file: &File, places: &[u32], wanted: &[&str], footers: &Arc<FileMetadataCache>) -> Result<RecordBatch> {
    let metadata = footer(table, file, footers).await?;
    let total = metadata.row_groups().iter().filter_map(|group| usize::try_from(group.num_rows()).ok()).sum();
    let selected = places.iter().map(|place| *place as usize..*place as usize + 1).filter(|range| range.end <= total);
    let selection = RowSelection::from_consecutive_ranges(selected, total);
    all(builder(table, file, metadata, wanted, footers)?.with_row_selection(selection), "a name", file).await
}

type Builder = ParquetRecordBatchStreamBuilder<Box<dyn AsyncFileReader>>;

fn builder(table: &LiveTable, file: &File, metadata: Arc<ParquetMetaData>, wanted: &[&str], footers: &Arc<FileMetadataCache>) -> Result<Builder> {
    let parquet = metadata.file_metadata().schema_descr_ptr();
    let factory = CachedParquetFileReaderFactory::new(table.store().clone(), footers.clone());
    let reader: Box<dyn AsyncFileReader> =
        factory.create_reader(0, PartitionedFile::new_from_meta(file.meta.clone()), Some(FOOTER_BYTES), &ExecutionPlanMetricsSet::new())?;
    let known = ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new())?;
    let mask = ProjectionMask::leaves(&parquet, leaves(&parquet, wanted));
    Ok(ParquetRecordBatchStreamBuilder::new_with_metadata(reader, known).with_projection(mask).with_batch_size(BATCH_ROWS))
}

/// The leaves of the columns, as far as the file has them; a list's is its element.
pub(super) fn leaves(parquet: &SchemaDescriptor, wanted: &[&str]) -> Vec<usize> {
    let of = |name: &&str| parquet.columns().iter().position(|leaf| leaf.path().parts().first().is_some_and(|part| part == name));
    wanted.iter().filter_map(of).collect()
}

/// All that is read, as one batch.
async fn all(builder: Builder, name: &str, file: &File) -> Result<RecordBatch> {
    let mut stream = builder.build()?;
    let schema = stream.schema().clone();
    let (mut batches, mut count) = (Vec::new(), 0);
    while let Some(batch) = stream.try_next().await? {
        count += batch.num_rows();
        if count > ROWS_MAX {
            return Err(DataFusionError::Execution(format!("{name} has more than {ROWS_MAX} rows in {}", file.meta.location)));
        }
        batches.push(batch);
    }
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    Ok(concat_batches(&schema, &batches)?)
}

/// The row groups that may hold `name`, the ranges of their rows (one group behind the other) whose pages may, and how many rows they have in all.
fn pages(metadata: &ParquetMetaData, key: usize, name: &[u8]) -> (Vec<usize>, Vec<Range<usize>>, usize) {
    let (mut groups, mut selected, mut total) = (Vec::new(), Vec::new(), 0);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if !may_hold(group, key, name) {
            continue;
        }
        let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
        let within = pages_of(metadata, number, key, name, rows).unwrap_or_else(|| std::iter::once(0..rows).collect());
        if within.is_empty() {
            continue;
        }
        groups.push(number);
        selected.extend(within.into_iter().map(|range| range.start + total..range.end + total));
        total += rows;
    }
    (groups, selected, total)
}

fn may_hold(group: &RowGroupMetaData, key: usize, name: &[u8]) -> bool {
    match group.columns().get(key).and_then(|column| column.statistics()) {
        Some(Statistics::ByteArray(known)) => known.min_opt().is_none_or(|min| min.data() <= name) && known.max_opt().is_none_or(|max| name <= max.data()),
        _ => true,
    }
}

/// The rows of the group's pages that may hold `name`; `None` where the file has no page index.
fn pages_of(metadata: &ParquetMetaData, group: usize, key: usize, name: &[u8], rows: usize) -> Option<Vec<Range<usize>>> {
    let ColumnIndexMetaData::BYTE_ARRAY(bounds) = metadata.column_index()?.get(group)?.get(key)? else { return None };
    let pages = metadata.offset_index()?.get(group)?.get(key)?.page_locations();
    let begins = |page: usize| pages.get(page).and_then(|page| usize::try_from(page.first_row_index).ok());
    let mut ranges = Vec::new();
    for page in 0..pages.len() {
        if bounds.is_null_page(page) || bounds.min_value(page).is_some_and(|min| name < min) || bounds.max_value(page).is_some_and(|max| max < name) {
            continue;
        }
        ranges.push(begins(page)?..begins(page + 1).unwrap_or(rows));
    }
    Some(ranges)
}

/// The columns of touches from a file of the roll-up.
fn ordered(found: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| column(found, field.name(), field.data_type())).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// The columns of touches from a file of events, each of which is a touch of one.
fn of_events(file: &File, found: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let (times, issued) = (column(found, "time", &micros)?, column(found, "credential_issued_at", &micros)?);
    let seen = arrow::compute::nullif(&times, &arrow::compute::is_null(&issued)?)?;
    let rows = found.num_rows();
    let day = i64::from(file.day.unwrap_or_default()).saturating_mul(Micros::DAY);
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "count" => Ok(Arc::new(Int64Array::from_value(1, rows)) as ArrayRef),
            "first" | "last" => Ok(times.clone()),
            "issued_at" => Ok(issued.clone()),
            "issued_seen" => Ok(seen.clone()),
            "day" => Ok(Arc::new(TimestampMicrosecondArray::from_value(day, rows).with_timezone("UTC")) as ArrayRef),
            other => column(found, other, field.data_type()),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// A column of what was read; one that an earlier keytrail did not write is empty.
pub(crate) fn column(found: &RecordBatch, name: &str, ty: &DataType) -> Result<ArrayRef> {
    match found.column_by_name(name) {
        Some(column) if column.data_type() == ty => Ok(column.clone()),
        Some(column) => Ok(cast(column, ty)?),
        None => Ok(new_null_array(ty, found.num_rows())),
    }
}
