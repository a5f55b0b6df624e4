//! Reading columns of one file from its first row to its last, without a planner, on a thread that no question waits on.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetFileReaderFactory as _};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use datafusion::parquet::arrow::{ProjectionMask, parquet_to_arrow_schema};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::TryStreamExt as _;

use super::file_set::File;
use super::look_up::leaves;
use super::{FOOTER_BYTES, LiveTable, footer};

const BATCH_ROWS: usize = 1 << 15;

/// Folds the columns `wanted` of `file`, as far as it has them; `coded` says of which texts it is enough to have each once.
pub(crate) async fn whole<T: Send + 'static>(
    table: &LiveTable,
    file: &File,
    (wanted, coded): (&[&str], &[&str]),
    footers: &Arc<FileMetadataCache>,
    start: T,
    step: impl Fn(&mut T, RecordBatch) -> Result<()> + Send + 'static,
) -> Result<T> {
    let metadata = footer(table, file, footers).await?;
    let parquet = metadata.file_metadata().schema_descr_ptr();
    let leaves = leaves(&parquet, wanted);
    let mut options = ArrowReaderOptions::new();
    if !coded.is_empty() {
        let codes = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let as_read = |field: &Arc<Field>| {
            let is_coded = *field.data_type() == DataType::Utf8 && coded.contains(&field.name().as_str());
            if is_coded { field.as_ref().clone().with_data_type(codes.clone()) } else { field.as_ref().clone() }
        };
        let schema = parquet_to_arrow_schema(&parquet, None)?;
        options = options.with_schema(Arc::new(Schema::new(schema.fields().iter().map(as_read).collect::<Vec<_>>())));
    }
    let known = ArrowReaderMetadata::try_new(metadata, options)?;
    let factory = CachedParquetFileReaderFactory::new(table.store().clone(), footers.clone());
    let reader: Box<dyn AsyncFileReader> =
        factory.create_reader(0, PartitionedFile::new_from_meta(file.meta.clone()), Some(FOOTER_BYTES), &ExecutionPlanMetricsSet::new())?;
    let runtime = tokio::runtime::Handle::current();
    let read = move || {
        runtime.block_on(async {
            let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, known).with_batch_size(BATCH_ROWS);
            let mut stream = builder.with_projection(ProjectionMask::leaves(&parquet, leaves)).build()?;
            let mut folded = start;
            while let Some(batch) = stream.try_next().await? {
                step(&mut folded, batch)?;
            }
            Ok(folded)
        })
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
}
