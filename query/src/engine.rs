//! What every question runs on: the lake's tables, one DataFusion runtime with its limits, and direct scans for the
//! questions that need no planner.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::parquet::file::statistics::Statistics;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{Expr, SessionConfig};
use futures::TryStreamExt as _;
use keytrail_schemas::Micros;
use object_store::ObjectStore;
use tokio::task::JoinSet;
use url::Url;

use crate::cooperate::CooperativeJoins;
use crate::table::{
    FileScan, FileSet, LakeTable, LiveTable, LookUps, Looked, Means, Order, Reach, TOUCHES_WITHIN, TableName, Touches, TouchesTable, Wanted, Within,
    credentials_of, files_plan, findings_of, footer, scan_plan, store_url, whole,
};
use crate::{Error, LiveLedger, Options};

/// The latest revision of each finding.
pub(crate) const LATEST_FINDINGS: &str = "SELECT * EXCEPT (newest) FROM (SELECT *, row_number() OVER (PARTITION BY finding_id ORDER BY revision DESC, log_offset DESC) AS newest FROM findings_log) WHERE newest = 1";

/// The latest revision of each detection. A record that was stored twice differs in nothing.
pub(crate) const LATEST_DETECTIONS: &str = "SELECT * EXCEPT (newest) FROM (SELECT *, row_number() OVER (PARTITION BY detection_id ORDER BY revision DESC, log_offset DESC) AS newest FROM detections_log) WHERE newest = 1";

/// The tables and the runtime.
pub(crate) struct Engine {
    tables: [Arc<LiveTable>; TableName::ALL.len()],
    /// What touches are read from.
    touches: Touches,
    context: SessionContext,
    task: Arc<TaskContext>,
    options: Options,
    watermark: Mutex<Option<(u64, Option<Micros>)>>,
    /// Who stands behind the names of the estate.
    pub(crate) subjects: crate::machine::Subjects,
    pub(crate) resolved: Mutex<crate::resolve::Cache>,
    covered: Mutex<crate::question::Remembered>,
    pub(crate) covered_before: crate::question::Memo,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens every table under `root`, in the store that the caller brings or the one that the URL names.
    pub(crate) async fn open(root: &Url, store: Option<Arc<dyn ObjectStore>>, options: Options) -> Result<Arc<Self>, Error> {
        let own = |error| crate::error::from_datafusion(error, options.memory_bytes_max);
        let runtime = runtime(&options).map_err(own)?;
        let footers = runtime.cache_manager.get_file_metadata_cache();
        let placed = TableName::ALL.map(|name| LiveTable::at(root, store.as_ref(), name, &footers).map(Arc::new)).into_iter().collect::<Result<Vec<_>, _>>()?;
        let tables: [Arc<LiveTable>; TableName::ALL.len()] = placed
            .try_into()
            .map_err(|_| Error::Location { location: root.to_string(), reason: "not every table was opened; this is a defect of keytrail".to_owned() })?;
        read(&tables, &ASKED_FIRST).await?;
        if ASKED_FIRST.iter().all(|name| of(&tables, *name).files().version.is_none()) && !any_has_log(&tables).await? {
            return Err(Error::NoLake { location: root.to_string() });
        }
        for table in &tables {
            let url = Url::parse(&store_url(table)).map_err(|e| Error::Location { location: store_url(table), reason: e.to_string() })?;
            runtime.register_object_store(&url, table.store().clone());
        }
        let context = SessionContext::new_with_state(state(&options, runtime));
        let look_ups = LookUps::new(&options, footers).map_err(own)?;
        let touches = touches(&tables, options.roll_up, look_ups);
        register_tables(&context, &tables, &touches).await.map_err(own)?;
        context.register_udtf(TOUCHES_WITHIN, Arc::new(Within(touches.clone())));
        let task = context.task_ctx();
        Ok(Arc::new(Self {
            tables,
            touches,
            context,
            task,
            options,
            watermark: Mutex::new(None),
            subjects: Default::default(),
            resolved: Mutex::default(),
            covered: Mutex::default(),
            covered_before: Default::default(),
        }))
    }

    /// A second context over the same tables and the same runtime, for SQL from outside.
    pub(crate) async fn sibling_context(&self) -> Result<SessionContext, Error> {
        let context = SessionContext::new_with_state(state(&self.options, self.context.runtime_env()));
        register_tables(&context, &self.tables, &self.touches).await.map_err(|e| self.own(e))?;
        Ok(context)
    }

    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn table(&self, name: TableName) -> &Arc<LiveTable> {
        of(&self.tables, name)
    }

    /// Plans the reading of touches.
    pub(crate) async fn touches_plan(&self, wanted: &Wanted<'_>) -> Result<Arc<dyn ExecutionPlan>, Error> {
        self.touches.in_order(wanted.order).ready().await?;
        let runtime = self.context.runtime_env();
        let means = Means { runtime: &runtime, partitions: self.options.partitions(), parquet: self.task.session_config().options().execution.parquet.clone() };
        self.touches.plan(wanted, &means).map_err(|e| self.own(e))
    }

    /// The touches of one name within `[from, to)`, looked up without a plan.
    pub(crate) async fn look_up(&self, order: Order, name: &str, from: Option<Micros>, to: Option<Micros>) -> Result<Vec<Looked>, Error> {
        self.touches.look_up(order, name, from, to).await.map_err(|e| self.own(e))
    }

    /// Whether anything touched, or was touched by, the name.
    pub(crate) async fn has_touches(&self, order: Order, name: &str) -> Result<bool, Error> {
        self.touches.has(order, name).await.map_err(|e| self.own(e))
    }

    /// Folds columns of one file of a version that the caller looked at, without a plan.
    pub(crate) async fn whole<T: Send + 'static>(
        &self,
        name: TableName,
        (set, index): (&FileSet, usize),
        wanted: &[&str],
        start: T,
        step: impl Fn(&mut T, RecordBatch) -> Result<(), DataFusionError> + Send + 'static,
    ) -> Result<T, Error> {
        let Some(file) = set.files.get(index) else { return Ok(start) };
        let footers = self.context.runtime_env().cache_manager.get_file_metadata_cache();
        whole(self.table(name), file, (wanted, &[]), &footers, start, step).await.map_err(|e| self.own(e))
    }

    /// [`Touches::acts`].
    pub(crate) async fn acts(&self, identity: &str, from: Option<Micros>, to: Option<Micros>, rows_max: usize) -> Result<Option<RecordBatch>, Error> {
        self.touches.acts(identity, from, to, rows_max).await.map_err(|e| self.own(e))
    }

    /// The latest revisions of the findings that name `identity`, looked up; `None` where that takes more memory than there is for it.
    pub(crate) async fn findings_of(&self, identity: &str) -> Result<Option<Vec<RecordBatch>>, Error> {
        findings_of(self.table(TableName::Findings), &self.touches.look_ups, identity).await.map_err(|e| self.own(e))
    }

    /// The ledger's credentials of an identity (by `name`), or what was obtained with a credential (by `parent`), looked up; `None` as above.
    pub(crate) async fn credentials_of(&self, word: &'static str, name: &str) -> Result<Option<Vec<RecordBatch>>, Error> {
        credentials_of(self.table(TableName::Credentials), &self.touches.look_ups, word, name).await.map_err(|e| self.own(e))
    }

    /// The files that [`Engine::reach`] follows credentials through.
    pub(crate) fn reach_files(&self) -> [Arc<FileSet>; 2] {
        self.touches.reach_files()
    }

    /// [`Touches::reach`].
    pub(crate) async fn reach<'a>(&'a self, sets: [&'a FileSet; 2], from: Option<Micros>, to: Option<Micros>) -> Result<Option<Reach<'a>>, Error> {
        self.touches.reach(sets, from, to).await.map_err(|e| self.own(e))
    }

    /// Lays what is newer than the lake over its tables.
    pub(crate) fn lay(&self, live: &Arc<LiveLedger>) {
        for name in [TableName::Credentials, TableName::Identities, TableName::Findings, TableName::Detections] {
            self.table(name).lay(live);
        }
    }

    /// Reads the logs of these tables, where that was not done yet. (A scan, a look-up and a count of what is covered do it of themselves.)
    pub(crate) async fn ready(&self, names: &[TableName]) -> Result<(), Error> {
        read(&self.tables, names).await
    }

    /// Moves every table whose log was read to its newest version.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        futures::future::try_join_all(self.tables.iter().map(|table| table.refresh())).await?;
        Ok(())
    }

    /// This crate's error for one of DataFusion's.
    pub(crate) fn own(&self, error: DataFusionError) -> Error {
        crate::error::from_datafusion(error, self.options.memory_bytes_max)
    }

    /// The error with the file and the period that could not be read, where a file is why.
    pub(crate) async fn explained(&self, error: Error) -> Error {
        let Error::Execution(source) = error else { return error };
        for table in &self.tables {
            if let Some((file, period, what)) = table.broken_file().await {
                return Error::DataFile { table: table.name.folder(), period, file, what, source };
            }
        }
        Error::Execution(source)
    }

    /// Plans SQL over the base tables, with `$1`, `$2`, … bound to `parameters`, and starts it.
    pub(crate) async fn sql(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<SendableRecordBatchStream, Error> {
        let frame = self.context.sql(sql).await.map_err(|e| self.own(e))?;
        let frame = if parameters.is_empty() { frame } else { frame.with_param_values(parameters).map_err(|e| self.own(e))? };
        frame.execute_stream().await.map_err(|e| self.own(e))
    }

    /// [`Engine::sql`], all of it. The roll-up is an index: where it cannot be read, events are.
    pub(crate) async fn rows(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<Vec<RecordBatch>, Error> {
        match self.rows_once(sql, parameters.clone()).await {
            Err(Error::Execution(error)) if self.touches.distrust() => {
                tracing::warn!(%error, "a question with the roll-up failed: it is asked of the events");
                let again = self.rows_once(sql, parameters).await;
                if again.is_err() {
                    self.touches.trust();
                }
                again
            }
            rows => rows,
        }
    }

    async fn rows_once(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<Vec<RecordBatch>, Error> {
        self.sql(sql, parameters).await?.try_collect().await.map_err(|e| self.own(e))
    }

    /// A scan of `columns` of the rows that pass all `filters` (comparisons of columns with literals of the columns' types): of all files, or of some
    /// of a version that the caller looked at.
    pub(crate) fn scan(
        &self,
        name: TableName,
        columns: &[&str],
        filters: Vec<Expr>,
        files: Option<(&FileSet, Vec<usize>)>,
    ) -> Result<Arc<dyn ExecutionPlan>, Error> {
        self.plan_scan(name, columns, filters, files).map_err(|e| self.own(e))
    }

    /// A scan of all rows that are in the lake, without what is newer.
    pub(crate) fn published(&self, name: TableName, columns: &[&str]) -> Result<Arc<dyn ExecutionPlan>, Error> {
        let (table, schema) = (self.table(name), name.schema());
        let projection = columns.iter().map(|column| schema.index_of(column)).collect::<Result<Vec<_>, _>>().map_err(|e| self.own(e.into()))?;
        let parquet = self.task.session_config().options().execution.parquet.clone();
        let partitions = self.options.partitions();
        let scan = FileScan { projection: Some(projection), predicate: None, exact: false, limit: None, partitions, parquet, files: None };
        files_plan(table, &table.files(), &self.context.runtime_env(), scan).map_err(|e| self.own(e))
    }

    fn plan_scan(
        &self,
        name: TableName,
        columns: &[&str],
        filters: Vec<Expr>,
        files: Option<(&FileSet, Vec<usize>)>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let table = self.table(name);
        let newest = table.files();
        let (set, files) = match files {
            Some((set, files)) => (set, Some(files)),
            None => (newest.as_ref(), None),
        };
        let schema = name.schema();
        let projection = columns.iter().map(|column| schema.index_of(column)).collect::<Result<Vec<_>, _>>()?;
        let predicate = match conjunction(filters) {
            Some(filter) => {
                Some(datafusion::physical_expr::create_physical_expr(&filter, &DFSchema::try_from(schema)?, &Default::default(), &Default::default())?)
            }
            None => None,
        };
        let parquet = self.task.session_config().options().execution.parquet.clone();
        scan_plan(
            table,
            set,
            &self.context.runtime_env(),
            FileScan { projection: Some(projection), predicate, exact: true, limit: None, partitions: self.options.partitions(), parquet, files },
        )
    }

    /// Runs every partition of `plan` on a task of its own, folding its batches, and gives what each came to.
    pub(crate) async fn fold<A, S>(&self, plan: Arc<dyn ExecutionPlan>, start: impl Fn() -> A, step: S) -> Result<Vec<A>, Error>
    where
        A: Send + 'static,
        S: Fn(&mut A, &RecordBatch) -> Result<(), Error> + Clone + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for partition in 0..plan.properties().partitioning.partition_count() {
            let mut stream = plan.execute(partition, self.task.clone()).map_err(|e| self.own(e))?;
            let (mut folded, step, memory_bytes_max) = (start(), step.clone(), self.options.memory_bytes_max);
            tasks.spawn(async move {
                while let Some(batch) = stream.try_next().await.map_err(|e| crate::error::from_datafusion(e, memory_bytes_max))? {
                    step(&mut folded, &batch)?;
                }
                Ok::<_, Error>(folded)
            });
        }
        let mut all = Vec::with_capacity(tasks.len());
        while let Some(joined) = tasks.join_next().await {
            all.push(joined.map_err(|e| Error::Execution(Box::new(DataFusionError::ExecutionJoin(Box::new(e)))))??);
        }
        Ok(all)
    }

    /// Works on what is remembered of files' coverage.
    pub(crate) fn with_remembered<T>(&self, work: impl FnOnce(&mut crate::question::Remembered) -> T) -> T {
        work(&mut self.covered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The greatest event time in the lake; `None` while there are no events.
    pub(crate) async fn watermark(&self) -> Result<Option<Micros>, Error> {
        let files = self.table(TableName::Events).files();
        let Some(version) = files.version else { return Ok(None) };
        if let Some((known, watermark)) = *self.watermark.lock().unwrap_or_else(PoisonError::into_inner)
            && known == version
        {
            return Ok(watermark);
        }
        let newest = files.files_with_latest("time");
        let watermark = match self.latest_of_footers(&files, &newest).await {
            Some(latest) => Some(latest),
            None => self.latest_of_rows(&files, newest).await?,
        };
        *self.watermark.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, watermark));
        Ok(watermark)
    }

    /// The greatest event time of these files as their footers have it; `None` where one does not say.
    async fn latest_of_footers(&self, files: &FileSet, newest: &[usize]) -> Option<Micros> {
        let footers = self.context.runtime_env().cache_manager.get_file_metadata_cache();
        let mut latest = None;
        for file in newest.iter().filter_map(|index| files.files.get(*index)) {
            let metadata = footer(self.table(TableName::Events), file, &footers).await.ok()?;
            let column = metadata.file_metadata().schema_descr().columns().iter().position(|column| column.path().string() == "time")?;
            for group in metadata.row_groups().iter().filter(|group| group.num_rows() > 0) {
                let Some(Statistics::Int64(known)) = group.columns().get(column)?.statistics() else { return None };
                latest = latest.max(Some(*known.max_opt()?));
            }
        }
        latest.map(Micros)
    }

    /// The greatest event time of these files as their rows have it.
    async fn latest_of_rows(&self, files: &FileSet, newest: Vec<usize>) -> Result<Option<Micros>, Error> {
        let plan = self.scan(TableName::Events, &["time"], Vec::new(), Some((files, newest)))?;
        let latest = self
            .fold(
                plan,
                || None,
                |latest: &mut Option<i64>, batch| {
                    *latest = (*latest).max(arrow::compute::max(batch.column(0).as_primitive::<TimestampMicrosecondType>()));
                    Ok(())
                },
            )
            .await?;
        Ok(latest.into_iter().flatten().max().map(Micros))
    }
}

/// The tables that nearly every question reads; the logs of the others are read when they are asked for.
const ASKED_FIRST: [TableName; 4] = [TableName::Events, TableName::Touches, TableName::Credentials, TableName::Identities];

/// Reads logs, on tasks of their own: it is mostly work for a processor.
async fn read(tables: &[Arc<LiveTable>; TableName::ALL.len()], names: &[TableName]) -> Result<(), Error> {
    let mut tasks = JoinSet::new();
    for table in names.iter().map(|name| of(tables, *name)).filter(|table| !table.is_read()) {
        let table = table.clone();
        tasks.spawn(async move { table.ready().await });
    }
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(|e| Error::Execution(Box::new(DataFusionError::ExecutionJoin(Box::new(e)))))??;
    }
    Ok(())
}

async fn any_has_log(tables: &[Arc<LiveTable>; TableName::ALL.len()]) -> Result<bool, Error> {
    for table in tables {
        if table.has_log().await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The table of that name.
const fn of(tables: &[Arc<LiveTable>; TableName::ALL.len()], name: TableName) -> &Arc<LiveTable> {
    let [events, findings, detections, dead_letters, credentials, identities, by_identity, by_destination] = tables;
    match name {
        TableName::Events => events,
        TableName::Findings => findings,
        TableName::Detections => detections,
        TableName::DeadLetters => dead_letters,
        TableName::Credentials => credentials,
        TableName::Identities => identities,
        TableName::Touches => by_identity,
        TableName::TouchesByDestination => by_destination,
    }
}

fn touches(tables: &[Arc<LiveTable>; TableName::ALL.len()], rolled: bool, look_ups: LookUps) -> Touches {
    let table = |name| of(tables, name).clone();
    Touches {
        events: table(TableName::Events),
        by_identity: table(TableName::Touches),
        by_destination: table(TableName::TouchesByDestination),
        rolled,
        distrusted: Arc::default(),
        look_ups: Arc::new(look_ups),
    }
}

fn runtime(options: &Options) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    let consumers = std::num::NonZeroUsize::new(3).unwrap_or(std::num::NonZeroUsize::MIN);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(options.memory_bytes_max), consumers)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_max_temp_directory_size(options.spill_bytes_max))
        .with_metadata_cache_limit(options.metadata_cache_bytes_max)
        .build_arc()
}

fn state(options: &Options, runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(options.partitions()).with_information_schema(true);
    let settings = config.options_mut();
    settings.execution.parquet.pushdown_filters = true;
    settings.execution.parquet.reorder_filters = true;
    settings.execution.parquet.enable_page_index = true;
    settings.execution.parquet.bloom_filter_on_read = true;
    settings.execution.time_zone = Some("UTC".to_owned());
    settings.catalog.default_catalog = "keytrail".to_owned();
    settings.catalog.default_schema = "public".to_owned();
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(CooperativeJoins))
        .build()
}

async fn register_tables(context: &SessionContext, tables: &[Arc<LiveTable>; TableName::ALL.len()], touches: &Touches) -> Result<(), DataFusionError> {
    context.register_udf(crate::source_class::function());
    context.register_table(TableName::Touches.folder(), Arc::new(TouchesTable::new(touches.clone(), None, None)))?;
    for table in tables.iter().filter(|table| !matches!(table.name, TableName::Touches | TableName::TouchesByDestination)) {
        let name = match table.name {
            TableName::Findings => "findings_log",
            TableName::Detections => "detections_log",
            other => other.folder(),
        };
        context.register_table(name, Arc::new(LakeTable::new(table.clone())))?;
    }
    for (name, sql) in [("findings", LATEST_FINDINGS), ("detections", LATEST_DETECTIONS)] {
        let latest = context.state().create_logical_plan(sql).await?;
        context.register_table(name, Arc::new(ViewTable::new(latest, None)))?;
    }
    Ok(())
}
