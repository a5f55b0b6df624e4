//! Declaring the columns of an answer, and filling them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListBuilder, RecordBatch, RecordBatchOptions, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::compute::SortColumn;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use keytrail_schemas::{Column, ColumnType};

use crate::Error;

/// A column that always has a value.
pub(crate) const fn always(name: &'static str, ty: ColumnType, doc: &'static str) -> Column {
    Column { name, ty, nullable: false, words: &[], doc }
}

/// A column that may be empty.
pub(crate) const fn maybe(name: &'static str, ty: ColumnType, doc: &'static str) -> Column {
    Column { name, ty, nullable: true, words: &[], doc }
}

/// The Arrow schema of declared columns. Fields are nullable throughout, as SQL's planner takes a column that is not to
/// be a promise about every plan beneath.
pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|column| column.field().with_nullable(true)).collect::<Vec<_>>()))
}

/// A batch of the declared columns; arrays are cast to the declared types.
pub(crate) fn batch(columns: &[Column], arrays: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
    let schema = schema(columns);
    let rows = arrays.first().map_or(0, |array| array.len());
    let arrays = arrays
        .into_iter()
        .zip(schema.fields())
        .map(|(array, field)| if array.data_type() == field.data_type() { Ok(array) } else { arrow::compute::cast(&array, field.data_type()) })
        .collect::<Result<Vec<_>, _>>();
    arrays
        .and_then(|arrays| RecordBatch::try_new_with_options(schema, arrays, &RecordBatchOptions::new().with_row_count(Some(rows))))
        .map_err(|e| Error::Execution(Box::new(e.into())))
}

/// `batch`'s columns under the declared names and types, in the declared order.
pub(crate) fn conform(columns: &[Column], given: &RecordBatch) -> Result<RecordBatch, Error> {
    let arrays = columns
        .iter()
        .map(|column| {
            given
                .column_by_name(column.name)
                .cloned()
                .ok_or_else(|| Error::Execution(Box::new(datafusion::error::DataFusionError::Internal(format!("the plan lacks the column {}", column.name)))))
        })
        .collect::<Result<Vec<_>, _>>()?;
    batch(columns, arrays)
}

/// All batches as one of the declared columns, ordered by the columns named.
pub(crate) fn sorted(batches: &[RecordBatch], by: &[&str], columns: &[Column]) -> Result<RecordBatch, Error> {
    let conformed = batches.iter().map(|batch| conform(columns, batch)).collect::<Result<Vec<_>, _>>()?;
    let order = |all: &RecordBatch| {
        let by: Vec<_> = by.iter().filter_map(|name| all.column_by_name(name)).map(|column| SortColumn { values: column.clone(), options: None }).collect();
        let order = arrow::compute::lexsort_to_indices(&by, None)?;
        arrow::compute::take_record_batch(all, &order)
    };
    arrow::compute::concat_batches(&schema(columns), &conformed).and_then(|all| order(&all)).map_err(|e| Error::Execution(Box::new(e.into())))
}

/// A text column.
pub(crate) fn text<T: AsRef<str>>(cells: impl IntoIterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(cells.into_iter().collect::<StringArray>())
}

/// A column of times, microseconds since the epoch.
pub(crate) fn time(cells: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(cells.into_iter().collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// A column of counts.
pub(crate) fn count(cells: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(cells.into_iter().collect::<Int64Array>())
}

/// A column of numbers.
pub(crate) fn number(cells: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(cells.into_iter().collect::<Float64Array>())
}

/// A column of yes and no.
pub(crate) fn flag(cells: impl IntoIterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(cells.into_iter().collect::<BooleanArray>())
}

/// A column of lists of text.
pub(crate) fn list<T: AsRef<str>>(rows: impl IntoIterator<Item = Vec<T>>) -> ArrayRef {
    lists(rows)
}

/// [`list`], of lists that somebody else has.
pub(crate) fn lists(rows: impl IntoIterator<Item = impl IntoIterator<Item = impl AsRef<str>>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, false));
    for row in rows {
        for cell in row {
            builder.values().append_value(cell);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// Every text of a column of a batch, in order.
pub(crate) fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let Some(column) = batch.column_by_name(name) else { return vec![None; batch.num_rows()] };
    match arrow::compute::cast(column, &DataType::Utf8) {
        Ok(column) => column.as_string::<i32>().iter().map(|cell| cell.map(str::to_owned)).collect(),
        Err(_) => vec![None; batch.num_rows()],
    }
}
