//! Events that a commit appends: columns in the order of the log. A file is made of them by putting row numbers in the table's order and gathering
//! each column by them, so that no event is a value of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, interleave};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use keytrail_schemas::Micros;
use rustc_hash::FxHashMap;

use crate::parquet_file::BATCH_ROWS;
use crate::{Error, Result, TableName};

/// A column whose different texts have more bytes than this is gathered text by text: one array holds no more than 2 GiB.
const TEXT_BYTES_MAX: usize = 1 << 30;

/// Batches of events with one schema.
pub(crate) struct Events<'a> {
    pub(crate) schema: SchemaRef,
    batches: Vec<Keys<'a>>,
    /// The rank of each text among the identities, by its number in its batch.
    ranks: Vec<Vec<u32>>,
    columns: Vec<Column<'a>>,
}

/// What the order and the day of a batch's rows follow from.
struct Keys<'a> {
    identity: &'a [i32],
    identities: &'a StringArray,
    time: &'a [i64],
    partition: &'a [i32],
    offset: &'a [i64],
}

/// A column over all batches.
enum Column<'a> {
    /// It is empty throughout, or of one text, as many are: cells enough for a batch.
    Same(ArrayRef),
    /// Numbers of texts. A batch's numbers count from its base among the texts of all batches.
    Keyed { keys: Vec<&'a Int32Array>, bases: Vec<i32>, texts: ArrayRef },
    /// Another: its array in each batch.
    Plain(Vec<&'a dyn Array>),
}

/// A row: its batch, and where it stands there.
type At = (usize, usize);

impl<'a> Events<'a> {
    /// Looks at `batches`; `None` when there is no row.
    ///
    /// # Errors
    /// [`Error::Batch`] when a batch is none of events, or differs from the others in its columns.
    pub(crate) fn of(batches: &'a [RecordBatch]) -> Result<Option<Self>> {
        let filled: Vec<&RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).collect();
        let Some(schema) = filled.first().map(|batch| batch.schema()) else { return Ok(None) };
        let strange = |message: String| Error::Batch { table: TableName::Events, message };
        if !schema.fields().iter().map(|field| field.name().as_str()).eq(TableName::Events.columns().iter().map(|column| column.name)) {
            return Err(strange("the columns are not those of events".to_owned()));
        }
        if filled.iter().any(|batch| batch.schema_ref() != &schema) {
            return Err(strange("batches of one commit differ in their columns".to_owned()));
        }
        let keys = filled.iter().map(|batch| Keys::of(batch).ok_or_else(|| strange("a column has not the type that events have".to_owned())));
        let batches = keys.collect::<Result<Vec<_>>>()?;
        let columns = (0..schema.fields().len()).map(|column| Column::of(filled.iter().map(|batch| &**batch.column(column)).collect()));
        let columns = columns.collect::<Result<_, ArrowError>>().map_err(|error| strange(error.to_string()))?;
        Ok(Some(Self { ranks: ranks(&batches), batches, columns, schema }))
    }

    /// Log partition and offset of each row.
    pub(crate) fn coordinates(&self) -> impl Iterator<Item = (i32, i64)> {
        self.batches.iter().flat_map(|keys| keys.partition.iter().copied().zip(keys.offset.iter().copied()))
    }

    /// The rows of each day, in the order of the log.
    pub(crate) fn by_day(&self) -> BTreeMap<i64, Vec<At>> {
        let mut days: BTreeMap<i64, Vec<At>> = BTreeMap::new();
        for (number, keys) in self.batches.iter().enumerate() {
            // Neighbours are of one day, mostly.
            let mut row = 0;
            while let Some(time) = keys.time.get(row) {
                let day = Micros(*time).day();
                let end = keys.time.get(row..).unwrap_or_default().iter().position(|time| Micros(*time).day() != day).map_or(keys.time.len(), |at| row + at);
                days.entry(day).or_default().extend((row..end).map(|row| (number, row)));
                row = end;
            }
        }
        days
    }

    /// Rows in the table's order. Numbers are compared instead of identities.
    pub(crate) fn sorted(&self, rows: &[At]) -> Vec<At> {
        let key = |&(batch, row): &At| {
            let keys = self.batches.get(batch)?;
            let rank = *self.ranks.get(batch)?.get(usize::try_from(*keys.identity.get(row)?).ok()?)?;
            Some((rank, *keys.time.get(row)?, *keys.partition.get(row)?, *keys.offset.get(row)?, (batch, row)))
        };
        let mut keyed: Vec<_> = rows.iter().filter_map(key).collect();
        keyed.sort_unstable_by_key(|&(rank, time, partition, offset, _)| (rank, time, partition, offset));
        keyed.into_iter().map(|(.., at)| at).collect()
    }

    /// The cells of a column for so many rows, at most [`BATCH_ROWS`].
    pub(crate) fn cells(&self, column: usize, rows: &[At]) -> Result<ArrayRef, ArrowError> {
        self.columns.get(column).ok_or_else(|| ArrowError::SchemaError(format!("events have no column {column}")))?.cells(rows)
    }
}

/// The rank of each identity, for each batch by its number there. Few identities stand behind many events.
fn ranks(batches: &[Keys<'_>]) -> Vec<Vec<u32>> {
    let mut names: Vec<&str> = batches.iter().flat_map(|keys| keys.identities.iter().flatten()).collect();
    names.sort_unstable();
    names.dedup();
    let ranks: FxHashMap<&str, u32> = names.into_iter().zip(0..).collect();
    let of = |name: Option<&str>| name.and_then(|name| ranks.get(name)).copied().unwrap_or_default();
    batches.iter().map(|keys| keys.identities.iter().map(of).collect()).collect()
}

impl<'a> Keys<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let column = |name: &str| batch.column_by_name(name).filter(|column| column.null_count() == 0);
        let identity = column("identity")?.as_dictionary_opt::<Int32Type>()?;
        Some(Self {
            identity: identity.keys().values(),
            identities: identity.values().as_string_opt::<i32>()?,
            time: numbers::<TimestampMicrosecondType>(column("time")?)?,
            partition: numbers::<Int32Type>(column("log_partition")?)?,
            offset: numbers::<Int64Type>(column("log_offset")?)?,
        })
    }
}

fn numbers<T: ArrowPrimitiveType>(column: &ArrayRef) -> Option<&[T::Native]> {
    Some(column.as_primitive_opt::<T>()?.values())
}

/// The text that every row has, where it is one.
fn only_text<'a>(arrays: &[&'a DictionaryArray<Int32Type>]) -> Option<&'a str> {
    let text = |array: &&'a DictionaryArray<Int32Type>| {
        let (first, rest) = array.keys().values().split_first().filter(|_| array.null_count() == 0)?;
        let texts = array.values().as_string_opt::<i32>().filter(|_| rest.iter().all(|key| key == first))?;
        Some(texts.value(usize::try_from(*first).ok()?))
    };
    let (first, rest) = arrays.split_first()?;
    let only = text(first)?;
    rest.iter().all(|array| text(array) == Some(only)).then_some(only)
}

impl<'a> Column<'a> {
    fn of(arrays: Vec<&'a dyn Array>) -> Result<Self, ArrowError> {
        if let Some(array) = arrays.first().filter(|_| arrays.iter().all(|array| array.null_count() == array.len())) {
            return Ok(Self::Same(new_null_array(array.data_type(), BATCH_ROWS)));
        }
        let Some(keyed) = arrays.iter().map(|array| array.as_dictionary_opt::<Int32Type>()).collect::<Option<Vec<_>>>() else { return Ok(Self::Plain(arrays)) };
        if let Some(text) = only_text(&keyed) {
            let keys = Int32Array::from_value(0, BATCH_ROWS);
            return Ok(Self::Same(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(StringArray::from_iter_values([text])))?)));
        }
        let bytes: usize = keyed.iter().map(|array| array.values().get_buffer_memory_size()).sum();
        if bytes > TEXT_BYTES_MAX {
            return Ok(Self::Plain(arrays));
        }
        let lengths = keyed.iter().map(|array| i32::try_from(array.values().len()).unwrap_or(i32::MAX));
        let bases = lengths.scan(0_i32, |next, length| Some(std::mem::replace(next, next.saturating_add(length)))).collect();
        let texts = concat(&keyed.iter().map(|array| &**array.values()).collect::<Vec<_>>())?;
        Ok(Self::Keyed { keys: keyed.iter().map(|array| array.keys()).collect(), bases, texts })
    }

    fn cells(&self, rows: &[At]) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Same(cells) => Ok(cells.slice(0, rows.len())),
            Self::Plain(arrays) => interleave(arrays, rows),
            Self::Keyed { keys, bases, texts } => {
                let number = |&(batch, row): &At| Some(bases.get(batch)? + keys.get(batch)?.values().get(row)?);
                let numbers: Vec<i32> = rows.iter().map(|at| number(at).unwrap_or(-1)).collect();
                let is_there = |at: usize| rows.get(at).is_some_and(|&(batch, row)| keys.get(batch).is_some_and(|keys| keys.is_valid(row)));
                let nulls = keys.iter().any(|keys| keys.null_count() > 0).then(|| NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), is_there)));
                Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::new(numbers.into(), nulls), Arc::clone(texts))?))
            }
        }
    }
}
