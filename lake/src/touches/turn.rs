//! The same touches in order of destination: sorted outside of memory where they are many.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use crate::TableName;
use crate::merge::ordering;

/// `rows` in the order of [`TableName::TouchesByDestination`].
pub(super) fn by_destination(rows: SendableRecordBatchStream, memory_bytes_max: usize) -> Result<SendableRecordBatchStream, DataFusionError> {
    let schema = rows.schema();
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes_max))).build_arc()?;
    let source = Once { schema: schema.clone(), rows: Mutex::new(Some(rows)) };
    let source = StreamingTableExec::try_new(schema.clone(), vec![Arc::new(source)], None, [], false, None)?;
    let sort = SortExec::new(ordering(&schema, TableName::TouchesByDestination.sort_columns())?, Arc::new(source));
    sort.execute(0, Arc::new(TaskContext::default().with_runtime(runtime)))
}

/// A stream that an operator takes once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| Box::pin(datafusion::physical_plan::EmptyRecordBatchStream::new(self.schema.clone())))
    }
}
