//! The scan of a table over which newer rows lie: the lake's rows without those that are covered, and the newer ones beside them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, BooleanArray};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::ident;

use super::scan::{FileScan, files_plan};
use super::{FileSet, LiveTable, TableName};
use crate::live::Overlay;

/// Plans the scan of the files of `table` under what lies over them.
pub(crate) fn laid_plan(table: &LiveTable, set: &FileSet, runtime: &RuntimeEnv, scan: FileScan, overlay: &Arc<Overlay>) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = table.name.schema();
    let projection = scan.projection.clone().unwrap_or_else(|| (0..schema.fields().len()).collect());
    let name = if table.name == TableName::Credentials { "credential" } else { "identity" };
    let keys = [schema.index_of(name)?, schema.index_of("log_partition")?];
    let mut read = projection.clone();
    read.extend(keys.into_iter().filter(|key| !projection.contains(key)));
    let predicate = scan.predicate.clone().filter(|_| scan.exact);
    // A limit counts rows that may be covered.
    let files = files_plan(table, set, runtime, FileScan { projection: Some(read), limit: None, ..scan })?;
    let uncovered = FilterExec::try_new(uncovered(overlay.clone(), name, &files.schema())?, files)?;
    let under = projected(Arc::new(uncovered), &(0..projection.len()).collect::<Vec<_>>())?;
    let mut over: Arc<dyn ExecutionPlan> = MemorySourceConfig::try_new_exec(&[vec![overlay.rows.clone()]], schema, None)?;
    if let Some(predicate) = predicate {
        over = Arc::new(FilterExec::try_new(predicate, over)?);
    }
    UnionExec::try_new(vec![under, projected(over, &projection)?])
}

/// Whether a row is the newest that there is of its name and partition.
fn uncovered(overlay: Arc<Overlay>, name: &str, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    let newest = move |arguments: &[ColumnarValue]| {
        let columns = ColumnarValue::values_to_arrays(arguments)?;
        let [names, partitions] = columns.as_slice() else { return datafusion::common::internal_err!("two columns were asked for") };
        let (names, partitions) = (names.as_string::<i32>(), partitions.as_primitive::<Int32Type>());
        let newest: BooleanArray = names.iter().zip(partitions).map(|(name, partition)| Some(!overlay.covers(name?, partition?))).collect();
        Ok(ColumnarValue::Array(Arc::new(newest) as ArrayRef))
    };
    let function = create_udf("is_newest", vec![DataType::Utf8, DataType::Int32], DataType::Boolean, Volatility::Volatile, Arc::new(newest));
    let call = function.call(vec![ident(name), ident("log_partition")]);
    create_physical_expr(&call, &DFSchema::try_from(schema.clone())?, &Default::default(), &Default::default())
}

fn projected(plan: Arc<dyn ExecutionPlan>, columns: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let column = |index: &usize| (Arc::new(Column::new(schema.field(*index).name(), *index)) as Arc<dyn PhysicalExpr>, schema.field(*index).name().clone());
    Ok(Arc::new(ProjectionExec::try_new(columns.iter().map(column).collect::<Vec<_>>(), plan)?))
}
