//! The scan of a table over which newer rows lie: the lake's rows without those that are covered, and the newer ones beside them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, BooleanArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
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
    let known_by = known_by(table.name);
    let keys = known_by.iter().map(|column| schema.index_of(column)).collect::<Result<Vec<_>, _>>()?;
    let mut read = projection.clone();
    read.extend(keys.into_iter().filter(|key| !projection.contains(key)));
    let predicate = scan.predicate.clone().filter(|_| scan.exact);
    // A limit counts rows that may be covered.
    let files = files_plan(table, set, runtime, FileScan { projection: Some(read), limit: None, ..scan })?;
    let uncovered = FilterExec::try_new(uncovered(overlay.clone(), known_by, &files.schema())?, files)?;
    let under = projected(Arc::new(uncovered), &(0..projection.len()).collect::<Vec<_>>())?;
    let mut over: Arc<dyn ExecutionPlan> = MemorySourceConfig::try_new_exec(&[vec![overlay.rows.clone()]], schema, None)?;
    if let Some(predicate) = predicate {
        over = Arc::new(FilterExec::try_new(predicate, over)?);
    }
    UnionExec::try_new(vec![under, projected(over, &projection)?])
}

/// The columns by which a row is known: its name and partition, and its revision where it has revisions.
const fn known_by(table: TableName) -> &'static [&'static str] {
    match table {
        TableName::Credentials => &["credential", "log_partition"],
        TableName::Findings => &["finding_id", "log_partition", "revision"],
        TableName::Detections => &["detection_id", "log_partition", "revision"],
        _ => &["identity", "log_partition"],
    }
}

/// Whether there is no row in place of a row of the lake.
fn uncovered(overlay: Arc<Overlay>, known_by: &[&str], schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    let newest = move |arguments: &[ColumnarValue]| {
        let columns = ColumnarValue::values_to_arrays(arguments)?;
        let [names, partitions, revisions @ ..] = columns.as_slice() else { return datafusion::common::internal_err!("two columns were asked for") };
        let (names, partitions) = (names.as_string::<i32>(), partitions.as_primitive::<Int32Type>());
        let revisions = revisions.first().map(|revisions| revisions.as_primitive::<Int64Type>());
        let revision = |row: usize| revisions.map_or(0, |revisions| revisions.value(row));
        let newest: BooleanArray =
            names.iter().zip(partitions).enumerate().map(|(row, (name, partition))| Some(!overlay.covers(name?, partition?, revision(row)))).collect();
        Ok(ColumnarValue::Array(Arc::new(newest) as ArrayRef))
    };
    let types = [DataType::Utf8, DataType::Int32, DataType::Int64].into_iter().take(known_by.len()).collect();
    let function = create_udf("is_newest", types, DataType::Boolean, Volatility::Volatile, Arc::new(newest));
    let call = function.call(known_by.iter().map(|column| ident(*column)).collect());
    create_physical_expr(&call, &DFSchema::try_from(schema.clone())?, &Default::default(), &Default::default())
}

fn projected(plan: Arc<dyn ExecutionPlan>, columns: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let column = |index: &usize| (Arc::new(Column::new(schema.field(*index).name(), *index)) as Arc<dyn PhysicalExpr>, schema.field(*index).name().clone());
    Ok(Arc::new(ProjectionExec::try_new(columns.iter().map(column).collect::<Vec<_>>(), plan)?))
}
