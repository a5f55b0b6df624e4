//! Encodes a file column by column, two at a time: a column is gathered and encoded by one thread, so that it does not leave that thread's cache.
//! The bytes are those of [`parquet_file::encode`] for the same rows.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::ArrayRef;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::ParquetError;

use crate::TableName;
use crate::parquet_file::{BATCH_ROWS, Encoded, LONG, Layout, writer};

/// The cells of a column, given by its number, in a range of rows of the file.
pub(crate) trait Cells: Fn(usize, Range<usize>) -> Result<ArrayRef, ArrowError> + Sync {}

impl<F: Fn(usize, Range<usize>) -> Result<ArrayRef, ArrowError> + Sync> Cells for F {}

/// Encodes `rows` rows of `schema`, which has no nested columns, into one file in memory.
pub(crate) fn encode_columns(table: TableName, layout: Layout, schema: &SchemaRef, rows: usize, cells: &impl Cells) -> Result<Encoded, ParquetError> {
    let mut bytes = Vec::with_capacity(1 << 20);
    let (mut file, columns) = writer(table, schema, layout, &mut bytes)?.into_serialized_writer()?;
    let group_rows = layout.row_group_rows();
    for (number, first) in (0..rows).step_by(group_rows).enumerate() {
        let chunks = encode_group(schema, columns.create_column_writers(number)?, first..rows.min(first + group_rows), cells)?;
        let mut group = file.next_row_group()?;
        chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut group))?;
        group.close()?;
    }
    let metadata = file.close()?;
    Ok((bytes, Arc::new(metadata)))
}

/// A column that is still to be encoded.
struct Task<'a> {
    column: usize,
    field: &'a FieldRef,
    writer: ArrowColumnWriter,
}

/// The columns of one row group, in order.
fn encode_group(schema: &SchemaRef, writers: Vec<ArrowColumnWriter>, rows: Range<usize>, cells: &impl Cells) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let tasks = schema.fields().iter().zip(writers).enumerate().map(|(column, (field, writer))| Task { column, field, writer });
    let mut tasks: Vec<Task<'_>> = tasks.collect();
    // The last is taken first: a long column that begins late would be waited for.
    tasks.sort_by_key(|task| LONG.contains(&task.field.name().as_str()));
    let (tasks, done) = (Mutex::new(tasks), Mutex::new(Vec::with_capacity(schema.fields().len())));
    let work = || {
        loop {
            let Some(task) = hold(&tasks).pop() else { return };
            let column = task.column;
            let chunk = encode_column(task, rows.clone(), cells);
            hold(&done).push((column, chunk));
        }
    };
    if rows.len() > BATCH_ROWS {
        std::thread::scope(|scope| {
            scope.spawn(work);
            work();
        });
    } else {
        work();
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(column, _)| *column);
    done.into_iter().map(|(_, chunk)| chunk).collect()
}

fn encode_column(task: Task<'_>, rows: Range<usize>, cells: &impl Cells) -> Result<ArrowColumnChunk, ParquetError> {
    let Task { column, field, mut writer } = task;
    for first in rows.clone().step_by(BATCH_ROWS) {
        let array = cells(column, first..rows.end.min(first + BATCH_ROWS))?;
        compute_leaves(field, &array)?.iter().try_for_each(|leaf| writer.write(leaf))?;
    }
    writer.close()
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
