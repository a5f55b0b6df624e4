//! Merges sorted data files into one sorted run of files, in bounded memory.
//!
//! Inputs are read page by page where the store is a local folder, and as whole files elsewhere; the output leaves in parts.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt, WriteMultipart};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::reader::ChunkReader;

use crate::append::{DataFile, describe, file_path};
use crate::parquet_file::{self, Layout};
use crate::table_log::TableLog;
use crate::{Error, Result, TableName, stats};

/// Rows that are decoded, compared and written at a time.
const MERGE_BATCH_ROWS: usize = 1024;
const PART_BYTES: usize = 8 << 20;
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// What is to be written.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) day: Option<i64>,
    pub(crate) layout: Layout,
    /// How the files' names begin; their number in the run follows.
    pub(crate) name: String,
    /// A file ends at this many rows, and the next one begins.
    pub(crate) file_rows_max: usize,
    /// What stands in the footer beside the schema: a key and its value.
    pub(crate) note: Option<(&'static str, String)>,
}

/// What came of a merge.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) files: Vec<DataFile>,
    pub(crate) rows: u64,
    /// Inputs that do not state the table's order: they stay as they are.
    pub(crate) unsorted: BTreeSet<String>,
}

/// Merges `inputs` (paths within the table) into new files, which no commit names yet. Blocks: to be called off the async threads.
pub(crate) fn merge(runtime: &tokio::runtime::Handle, log: &TableLog, inputs: &[String], output: &Output) -> Result<Merged> {
    let mut merged = Merged::default();
    let schema = log.name.file_schema();
    let mut streams = Vec::new();
    let mut rows_in = 0;
    for path in inputs {
        match open(runtime, log, path, &schema)? {
            Some((stream, rows)) => {
                streams.push(stream);
                rows_in += rows;
            }
            None => {
                merged.unsorted.insert(path.clone());
            }
        }
    }
    if streams.is_empty() {
        return Ok(merged);
    }
    let stream = ordered(&schema, log.name.sort_columns(), streams).map_err(|e| Error::encoding(&log.shown, "merge data files", e))?;
    (merged.files, merged.rows) = write(runtime, log, stream, output)?;
    if merged.rows != rows_in {
        let what = format!("{rows_in} rows were to be merged, and {} came out: nothing was changed", merged.rows);
        return Err(Error::encoding(&log.shown, "merge data files", what));
    }
    Ok(merged)
}

/// Writes a stream of rows in the table's order to files, which no commit names yet, and says how many rows they were.
pub(crate) fn write(runtime: &tokio::runtime::Handle, log: &TableLog, mut stream: SendableRecordBatchStream, output: &Output) -> Result<(Vec<DataFile>, u64)> {
    let (mut files, mut rows) = (Vec::new(), 0);
    let schema = log.name.file_schema();
    let mut current: Option<Writing> = None;
    while let Some(batch) = runtime.block_on(stream.next()) {
        let mut batch = batch.map_err(|e| Error::encoding(&log.shown, "merge data files", e))?;
        while batch.num_rows() > 0 {
            let writing = match current.as_mut() {
                Some(writing) => writing,
                None => current.insert(Writing::begin(runtime, log, &schema, output, files.len())?),
            };
            let take = batch.num_rows().min(output.file_rows_max.max(1) - writing.rows);
            writing.write(runtime, log, &batch.slice(0, take))?;
            rows += take as u64;
            batch = batch.slice(take, batch.num_rows() - take);
            if writing.rows >= output.file_rows_max.max(1) {
                files.extend(current.take().map(|w| w.end(runtime, log, output)).transpose()?);
            }
        }
    }
    files.extend(current.take().map(|w| w.end(runtime, log, output)).transpose()?);
    Ok((files, rows))
}

/// The rows of a file as a stream, and how many they are: of each the columns of `schema`. `None` when they are not in the table's order.
pub(crate) fn open(runtime: &tokio::runtime::Handle, log: &TableLog, path: &str, schema: &SchemaRef) -> Result<Option<(SendableRecordBatchStream, u64)>> {
    let shown = format!("{}{path}", log.shown);
    match read(runtime, log, path)? {
        Bytes::File(file) => decode(log.name, file, schema, &shown),
        Bytes::Whole(bytes) => decode(log.name, bytes, schema, &shown),
    }
}

/// A data file's bytes: read where they are asked for, or all of them.
pub(crate) enum Bytes {
    File(std::fs::File),
    Whole(bytes::Bytes),
}

/// Opens a file where the store is a local folder; elsewhere reads it whole.
pub(crate) fn read(runtime: &tokio::runtime::Handle, log: &TableLog, path: &str) -> Result<Bytes> {
    let failed = |e: object_store::Error| Error::storage(format!("{}{path}", log.shown), "read a data file", e);
    let got = runtime.block_on(log.store.get(&Path::from(path))).map_err(failed)?;
    Ok(match got.payload {
        GetResultPayload::File(file, _) => Bytes::File(file),
        GetResultPayload::Stream(_) => Bytes::Whole(runtime.block_on(got.bytes()).map_err(failed)?),
    })
}

fn decode(table: TableName, file: impl ChunkReader + 'static, schema: &SchemaRef, shown: &str) -> Result<Option<(SendableRecordBatchStream, u64)>> {
    let failed = |e: ParquetError| Error::encoding(shown, "read a data file", e);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    if !parquet_file::is_sorted(table, builder.metadata()) {
        return Ok(None);
    }
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let wanted: Vec<usize> =
        builder.schema().fields().iter().enumerate().filter(|(_, field)| schema.field_with_name(field.name()).is_ok()).map(|(index, _)| index).collect();
    let columns = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let reader = builder.with_projection(columns).with_batch_size(MERGE_BATCH_ROWS).build().map_err(failed)?;
    let (to, shown) = (schema.clone(), shown.to_owned());
    let batches = reader.map(move |batch| conform(&batch?, &to).map_err(|e| DataFusionError::from(e).context(shown.clone())));
    Ok(Some((Box::pin(RecordBatchStreamAdapter::new(schema.clone(), futures::stream::iter(batches))), rows)))
}

/// The batch with the table's columns in the table's order.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        Some(column) => arrow::compute::cast(column, field.data_type()),
        // A file of before the column was there.
        None if field.is_nullable() => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
        None => Err(arrow::error::ArrowError::SchemaError(format!("the file has no column {:?}", field.name()))),
    });
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)
}

/// Streams of rows in the order of `columns` as one.
pub(crate) fn ordered(schema: &SchemaRef, columns: &[&str], streams: Vec<SendableRecordBatchStream>) -> Result<SendableRecordBatchStream, DataFusionError> {
    let keys = ordering(schema, columns)?;
    // The number of inputs bounds the memory; see `CompactOptions::memory_bytes_max`.
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    StreamingMergeBuilder::new()
        .with_streams(streams)
        .with_schema(schema.clone())
        .with_expressions(&keys)
        .with_metrics(BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0))
        .with_batch_size(MERGE_BATCH_ROWS)
        .with_reservation(MemoryConsumer::new("compaction").register(&pool))
        .with_round_robin_tie_breaker(false)
        .build()
}

/// The order of `columns`, all ascending, what is empty last.
pub(crate) fn ordering(schema: &SchemaRef, columns: &[&str]) -> Result<LexOrdering, DataFusionError> {
    let keys = columns.iter().map(|name| Ok(PhysicalSortExpr::new(col(name, schema)?, arrow::compute::SortOptions { descending: false, nulls_first: false })));
    LexOrdering::new(keys.collect::<Result<Vec<_>, DataFusionError>>()?).ok_or_else(|| DataFusionError::Internal("the table has no order".to_owned()))
}

/// A file being written.
struct Writing {
    path: String,
    writer: ArrowWriter<Vec<u8>>,
    upload: WriteMultipart,
    rows: usize,
    bytes: u64,
}

impl Writing {
    fn begin(runtime: &tokio::runtime::Handle, log: &TableLog, schema: &SchemaRef, output: &Output, number: usize) -> Result<Self> {
        let path = file_path(output.day, &format!("{}-{number:04}.parquet", output.name));
        let upload = runtime
            .block_on(log.store.put_multipart(&Path::from(path.as_str())))
            .map_err(|e| Error::storage(format!("{}{path}", log.shown), "write a data file", e))?;
        let writer = parquet_file::writer(log.name, schema, output.layout, Vec::new()).map_err(|e| Error::encoding(&log.shown, "write a data file", e))?;
        let _inside = runtime.enter();
        Ok(Self { path, writer, upload: WriteMultipart::new_with_chunk_size(upload, PART_BYTES), rows: 0, bytes: 0 })
    }

    fn write(&mut self, runtime: &tokio::runtime::Handle, log: &TableLog, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(|e| Error::encoding(&log.shown, "write a data file", e))?;
        self.rows += batch.num_rows();
        if self.writer.inner().len() >= PART_BYTES {
            self.send(runtime, log)?;
        }
        Ok(())
    }

    /// Hands what was encoded to the store.
    fn send(&mut self, runtime: &tokio::runtime::Handle, log: &TableLog) -> Result<()> {
        let _inside = runtime.enter();
        let bytes = std::mem::take(self.writer.inner_mut());
        self.bytes += bytes.len() as u64;
        self.upload.put(bytes.into());
        runtime
            .block_on(self.upload.wait_for_capacity(PARTS_IN_FLIGHT_MAX))
            .map_err(|e| Error::storage(format!("{}{}", log.shown, self.path), "write a data file", e))
    }

    fn end(mut self, runtime: &tokio::runtime::Handle, log: &TableLog, output: &Output) -> Result<DataFile> {
        if let Some((key, value)) = &output.note {
            self.writer.append_key_value_metadata(KeyValue::new((*key).to_owned(), value.clone()));
        }
        let metadata = self.writer.finish().map_err(|e| Error::encoding(&log.shown, "write a data file", e))?;
        self.send(runtime, log)?;
        let Self { path, upload, bytes, .. } = self;
        runtime.block_on(upload.finish()).map_err(|e| Error::storage(format!("{}{path}", log.shown), "write a data file", e))?;
        runtime.block_on(describe(log, path, output.day, bytes, stats::of_file(log.name, &metadata)))
    }
}
