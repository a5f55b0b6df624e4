//! The physical scan of a table's files: which files are left by the log's statistics, how they are shared out over
//! partitions, and what the Parquet reader is told.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::config::{ParquetOptions, TableParquetOptions};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::file_set::File;
use super::laid::laid_plan;
use super::{FOOTER_BYTES, FileSet, LiveTable};

/// What to read of a table.
pub(crate) struct FileScan {
    /// Columns by index; `None` reads all.
    pub(crate) projection: Option<Vec<usize>>,
    /// Rows that are not wanted; files, row groups and pages that hold none are not read.
    pub(crate) predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Whether the reader shall drop every row that fails the predicate (else an operator above does).
    pub(crate) exact: bool,
    /// At most so many rows.
    pub(crate) limit: Option<usize>,
    /// In how many partitions.
    pub(crate) partitions: usize,
    /// How Parquet is read.
    pub(crate) parquet: ParquetOptions,
    /// Only these files, by their position in the file set.
    pub(crate) files: Option<Vec<usize>>,
}

impl FileScan {
    /// What a planner asks of a table with these columns.
    pub(crate) fn asked(session: &dyn Session, schema: &SchemaRef, projection: Option<&Vec<usize>>, filters: &[Expr], limit: Option<usize>) -> Result<Self> {
        let predicate = match conjunction(filters.to_vec()) {
            Some(filter) => Some(session.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?),
            None => None,
        };
        Ok(Self {
            projection: projection.cloned(),
            predicate,
            exact: false,
            limit,
            partitions: session.config().target_partitions(),
            parquet: session.config().options().execution.parquet.clone(),
            files: None,
        })
    }
}

/// Plans the scan over one version of `table`, and over what is newer than the lake, where somebody tells it.
pub(crate) fn scan_plan(table: &LiveTable, set: &FileSet, runtime: &RuntimeEnv, scan: FileScan) -> Result<Arc<dyn ExecutionPlan>> {
    match table.over()? {
        Some(overlay) => laid_plan(table, set, runtime, scan, &overlay),
        None => files_plan(table, set, runtime, scan),
    }
}

/// Plans the scan of the table's files.
pub(crate) fn files_plan(table: &LiveTable, set: &FileSet, runtime: &RuntimeEnv, scan: FileScan) -> Result<Arc<dyn ExecutionPlan>> {
    let url = ObjectStoreUrl::parse(store_url(table))?;
    let store = runtime.object_store(&url)?;
    let reader = Arc::new(CachedParquetFileReaderFactory::new(store, runtime.cache_manager.get_file_metadata_cache()));
    source_plan(set, scan, url, |source| source.with_parquet_file_reader_factory(reader), |path| path.clone())
}

/// Where a table's folder is, for whoever reads it from elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    /// The store: `file:///`, or a bucket.
    pub(crate) store: ObjectStoreUrl,
    /// The table's folder in it.
    pub(crate) folder: Path,
}

/// Plans the scan of files at their own places, with nothing of this process in the plan.
pub(crate) fn placed_plan(at: &Placed, set: &FileSet, scan: FileScan) -> Result<Arc<dyn ExecutionPlan>> {
    source_plan(set, scan, at.store.clone(), |source| source, |path| at.folder.parts().chain(path.parts()).collect())
}

fn source_plan(
    set: &FileSet,
    scan: FileScan,
    url: ObjectStoreUrl,
    read: impl FnOnce(ParquetSource) -> ParquetSource,
    place: impl Fn(&Path) -> Path,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = set.name.schema();
    let files = kept(set, scan.predicate.as_ref(), scan.files)?;
    if files.is_empty() {
        let projected = match &scan.projection {
            Some(projection) => Arc::new(schema.project(projection)?),
            None => schema,
        };
        return Ok(Arc::new(EmptyExec::new(projected)));
    }
    let table_schema = TableSchema::builder(set.name.file_schema()).with_table_partition_cols(set.name.partition_columns()).build();
    let mut source = read(
        ParquetSource::new(table_schema)
            .with_table_parquet_options(TableParquetOptions { global: scan.parquet, ..Default::default() })
            .with_metadata_size_hint(FOOTER_BYTES),
    );
    if scan.exact
        && let Some(predicate) = &scan.predicate
    {
        source = source.with_predicate(predicate.clone()).with_pushdown_filters(true);
    }
    let with_day = !set.name.partition_columns().is_empty();
    let config = FileScanConfigBuilder::new(url, Arc::new(source))
        .with_file_groups(shared_out(&files, scan.partitions, with_day, place))
        .with_limit(if scan.predicate.is_none() || scan.exact { scan.limit } else { None })
        .with_projection_indices(scan.projection)?
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// The store's name within the session's runtime.
pub(crate) fn store_url(table: &LiveTable) -> String {
    format!("keytrail://{}", table.name.folder().replace('_', "-"))
}

/// The files that may hold rows of the predicate.
fn kept<'a>(set: &'a FileSet, predicate: Option<&Arc<dyn PhysicalExpr>>, only: Option<Vec<usize>>) -> Result<Vec<&'a File>> {
    let mut keep = vec![only.is_none(); set.files.len()];
    for index in only.into_iter().flatten() {
        if let Some(keep) = keep.get_mut(index) {
            *keep = true;
        }
    }
    if let Some(predicate) = predicate
        && let Some(pruning) = PruningPredicateBuilder::new().with_file_schema(set.name.schema()).build(predicate.clone())
    {
        for (keep, may_match) in keep.iter_mut().zip(pruning.prune(set)?) {
            *keep &= may_match;
        }
    }
    Ok(set.files.iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect())
}

/// Files in groups of about equal bytes, neighbours together.
fn shared_out(files: &[&File], partitions: usize, with_day: bool, place: impl Fn(&Path) -> Path) -> Vec<FileGroup> {
    let total: u64 = files.iter().map(|file| file.meta.size).sum();
    let share = total.div_ceil(partitions.max(1) as u64).max(1);
    let mut groups: Vec<Vec<PartitionedFile>> = Vec::new();
    let mut filled = 0_u64;
    for file in files {
        let group = usize::try_from(filled / share).unwrap_or_default();
        filled += file.meta.size;
        let mut part = PartitionedFile::new_from_meta(ObjectMeta { location: place(&file.meta.location), ..file.meta.clone() });
        if with_day {
            part.partition_values = vec![ScalarValue::Date32(file.day)];
        }
        if groups.len() <= group {
            groups.push(Vec::new());
        }
        if let Some(last) = groups.last_mut() {
            last.push(part);
        }
    }
    groups.into_iter().map(FileGroup::new).collect()
}
