//! A question: planned here, where the lake's log says which files there are, and run by the executors.
//!
//! What is sent is a physical plan that names every file, so that nobody lists a folder or reads the log besides this process, and an answer is of one version of
//! the lake. See docs/decisions/0152.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{Field, SchemaRef};
use ballista_core::config::BALLISTA_CLIENT_GRPC_MAX_MESSAGE_SIZE;
use ballista_core::execution_plans::execute_physical_plan;
use ballista_core::extension::SessionConfigExt as _;
use ballista_core::object_store::{session_config_with_s3_support, session_state_with_s3_support};
use ballista_core::optimizer::ballista_default_optimizer_rules;
use ballista_core::planner::scans_only_information_schema;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::TryStreamExt as _;
use keytrail_query::{Call, Session};

use crate::cli::{Asking, Window};
use crate::failure::Failure;
use crate::output;
use crate::place;
use crate::scheduler::{Executor, Scheduler};
use crate::watch;

/// A lake, and a cluster that reads it.
struct Client {
    session: Session,
    context: SessionContext,
    scheduler: Scheduler,
    /// Those that were there at the start.
    executors: Vec<Executor>,
    /// The name of this process's job.
    job: String,
}

/// Answers a named question.
///
/// # Errors
/// Names that fit nothing or several, what is out of reach, and what the executors could not read.
pub async fn question(name: &str, of: Option<(&str, &str)>, window: &Window, asking: &Asking) -> Result<(), Failure> {
    let client = Client::open(asking).await?;
    let mut given = Vec::new();
    let whole;
    if let Some((kind, text)) = of {
        whole = match kind {
            "destination" => client.session.resolve_destination(text).await?,
            _ => client.session.resolve_identity(text).await?,
        };
        given.push((kind, whole.as_str()));
        given.push(("from", window.since.as_deref().unwrap_or_default()));
        given.push(("to", window.until.as_deref().unwrap_or_default()));
    }
    let call = Call::new(name, given)?;
    let coverage = if asking.quiet { String::new() } else { client.session.coverage_of(&call).await? };
    client.told(&call.to_sql(), asking, &coverage).await
}

/// Answers one SQL statement.
///
/// # Errors
/// As [`question`], and what is no SELECT.
pub async fn sql(statement: &str, asking: &Asking) -> Result<(), Failure> {
    Client::open(asking).await?.told(statement, asking, "").await
}

impl Client {
    async fn open(asking: &Asking) -> Result<Self, Failure> {
        let scheduler = Scheduler::at(&asking.scheduler)?;
        let executors = scheduler.executors().await?;
        let cores = executors.iter().map(|executor| executor.cores).sum();
        let lake = asking.lake.clone().unwrap_or_else(|| asking.dir.join("lake").display().to_string());
        let session = place::session(&lake).await?;
        let job = format!("keytrail {}", ballista_core::ids::new_instance_id());
        let context = context(if asking.partitions > 0 { asking.partitions } else { cores }, &job).map_err(|error| Failure::Other(error.into()))?;
        session.place_in(&context).await?;
        Ok(Self { session, context, scheduler, executors, job })
    }

    /// Runs one statement and writes its rows.
    async fn told(&self, sql: &str, asking: &Asking, coverage: &str) -> Result<(), Failure> {
        let limit = Duration::from_secs(asking.time_limit);
        let ended = tokio::select! {
            answer = self.rows(sql) => answer,
            failure = watch::ended(&self.scheduler, &self.executors, &self.job) => Err(failure),
            () = tokio::time::sleep(limit) => Err(Failure::OutOfReach(format!(
                "the question was stopped after {} s: narrow its period, add executors, or raise --time-limit",
                asking.time_limit
            ))),
            _ = tokio::signal::ctrl_c() => Err(Failure::OutOfReach("the question was stopped".to_owned())),
        };
        match ended {
            Ok((schema, batches)) => {
                self.scheduler.has_all(&self.executors).await?;
                self.scheduler.is_computed_once(&self.job).await?;
                output::write(asking.output, &schema, &batches, coverage)?;
                if !coverage.is_empty() {
                    eprintln!("{coverage}");
                }
                Ok(())
            }
            Err(failure) => {
                self.scheduler.cancel(&self.job).await;
                Err(failure)
            }
        }
    }

    async fn rows(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), Failure> {
        let own = |error: DataFusionError| Failure::Query(self.session.error(error));
        let state = self.context.state();
        let logical = state.create_logical_plan(sql).await.map_err(own)?;
        self.session.verify(&logical)?;
        let is_of_here = match &logical {
            LogicalPlan::Explain(_) | LogicalPlan::DescribeTable(_) => true,
            LogicalPlan::Analyze(_) => {
                return Err(Failure::Usage(
                    "EXPLAIN ANALYZE would run here: EXPLAIN shows the plan, and the scheduler's /api/jobs what each stage did".to_owned(),
                ));
            }
            other => scans_only_information_schema(other).map_err(own)?,
        };
        let plan = state.create_physical_plan(&logical).await.and_then(sendable).map_err(own)?;
        let schema = plan.schema();
        let answer = async {
            let stream = match is_of_here {
                true => execute_stream(plan, self.context.task_ctx())?,
                false => self.sent(plan).await?,
            };
            stream.try_collect::<Vec<_>>().await
        };
        match answer.await {
            Ok(batches) => Ok((schema, batches)),
            // No part of an answer is written where another part is missing.
            Err(error) => Err(self.session.explained(error).await.into()),
        }
    }

    /// Has the cluster run a plan; its rows come once all of it is done.
    async fn sent(&self, plan: Arc<dyn ExecutionPlan>) -> datafusion::error::Result<SendableRecordBatchStream> {
        let config = self.context.copied_config();
        let codec = config.ballista_physical_extension_codec();
        let (url, session) = (self.scheduler.url().to_owned(), ballista_core::ids::new_instance_id());
        execute_physical_plan::<PhysicalPlanNode>(url, &config.ballista_config(), plan, codec.as_ref(), session, config).await
    }
}

/// Leaves that hold their rows, in place of those that make them up: of a union Ballista 55.0 gives each task its own branches and puts a source of another kind
/// for the rest, and waits for ever where the tasks' metrics then differ.
fn sendable(plan: Arc<dyn ExecutionPlan>) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let held = |node: &Arc<dyn ExecutionPlan>, rows: Vec<RecordBatch>| {
        let source: Arc<dyn ExecutionPlan> = MemorySourceConfig::try_new_exec(&[rows], node.schema(), None)?;
        Ok(Transformed::yes(source))
    };
    let sendable = plan.transform_up(|node| {
        if node.is::<EmptyExec>() {
            return held(&node, Vec::new());
        }
        if node.is::<PlaceholderRowExec>() {
            // Nobody reads its columns, but they are what they are declared as.
            let value = |field: &Arc<Field>| match field.is_nullable() {
                true => Ok(new_null_array(field.data_type(), 1)),
                false => ScalarValue::new_default(field.data_type())?.to_array_of_size(1),
            };
            let values = node.schema().fields().iter().map(value).collect::<datafusion::error::Result<Vec<_>>>()?;
            let row = RecordBatch::try_new_with_options(node.schema(), values, &RecordBatchOptions::new().with_row_count(Some(1)))?;
            return held(&node, vec![row]);
        }
        Ok(Transformed::no(node))
    });
    Ok(sendable?.data)
}

/// Where plans are made: as Ballista's own clients make them, and as keytrail reads Parquet.
fn context(partitions: usize, job: &str) -> datafusion::error::Result<SessionContext> {
    let config = session_config_with_s3_support()
        .with_target_partitions(partitions)
        .with_ballista_job_name(job)
        .set_usize(BALLISTA_CLIENT_GRPC_MAX_MESSAGE_SIZE, usize::try_from(crate::cluster::MESSAGE_BYTES_MAX).unwrap_or(usize::MAX))
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
        .set_bool("datafusion.execution.parquet.reorder_filters", true)
        .set_str("datafusion.execution.time_zone", "UTC");
    let state = session_state_with_s3_support(config)?;
    let state = SessionStateBuilder::new_from_existing(state).with_optimizer_rules(ballista_default_optimizer_rules()).build();
    Ok(SessionContext::new_with_state(state))
}
