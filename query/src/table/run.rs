//! The rows of one name in one file, in the order in which answers have them: files are merged by it, and nothing is hashed or compared by parts.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{Row, RowConverter, Rows, SortField};
use keytrail_schemas::IdentityKind;

/// The columns that tell rows of an answer apart: the first of [`super::LOOKED_UP`].
pub(crate) const KEY_COLUMNS: usize = 7;
/// Where the identity's kind stands among them.
const KIND: usize = 6;

/// How keys are written so that their bytes sort as the answer does: humans last, then by the columns.
#[derive(Debug)]
pub(crate) struct Keys(RowConverter);

impl Keys {
    pub(crate) fn new() -> Result<Self, ArrowError> {
        let texts = std::iter::repeat_n(DataType::Utf8, KEY_COLUMNS);
        RowConverter::new(std::iter::once(DataType::Boolean).chain(texts).map(SortField::new).collect()).map(Self)
    }

    fn of(&self, batch: &RecordBatch) -> Result<Rows, ArrowError> {
        let human = IdentityKind::Human.as_str();
        let is_human: BooleanArray = batch.column(KIND).as_string::<i32>().iter().map(|kind| Some(kind == Some(human))).collect();
        let mut columns: Vec<ArrayRef> = vec![std::sync::Arc::new(is_human)];
        columns.extend(batch.columns().iter().take(KEY_COLUMNS).cloned());
        self.0.convert_columns(&columns)
    }
}

/// Rows of one name, sorted.
#[derive(Debug)]
pub(crate) struct Run {
    /// In the columns of [`super::LOOKED_UP`].
    pub(crate) batch: RecordBatch,
    keys: Rows,
    day: TimestampMicrosecondArray,
    pub(crate) count: Int64Array,
    pub(crate) first: TimestampMicrosecondArray,
    pub(crate) last: TimestampMicrosecondArray,
    pub(crate) issued_seen: TimestampMicrosecondArray,
    pub(crate) issued_at: TimestampMicrosecondArray,
}

impl Run {
    /// Sorts what was looked up.
    pub(crate) fn of(found: &RecordBatch, keys: &Keys) -> Result<Self, ArrowError> {
        let unsorted = keys.of(found)?;
        let mut order: Vec<u32> = (0..u32::try_from(found.num_rows()).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|row| unsorted.row(*row as usize));
        let batch = take_record_batch(found, &UInt32Array::from(order))?;
        let keys = keys.of(&batch)?;
        let time = |at: usize| batch.column(KEY_COLUMNS + at).as_primitive::<TimestampMicrosecondType>().clone();
        let (day, first, last, issued_seen, issued_at) = (time(0), time(2), time(3), time(4), time(5));
        let count = batch.column(KEY_COLUMNS + 1).as_primitive::<Int64Type>().clone();
        Ok(Self { keys, day, count, first, last, issued_seen, issued_at, batch })
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    pub(crate) fn key(&self, row: usize) -> Row<'_> {
        self.keys.row(row)
    }

    /// The UTC day of a row, since 1970-01-01.
    pub(crate) fn day(&self, row: usize) -> i64 {
        self.day.value(row).div_euclid(keytrail_schemas::Micros::DAY)
    }

    /// Whether a row says when its credential was issued, and what: the time of the record, and the time that it gives.
    pub(crate) fn issued(&self, row: usize) -> Option<(i64, i64)> {
        (self.issued_at.is_valid(row) && self.issued_seen.is_valid(row)).then(|| (self.issued_seen.value(row), self.issued_at.value(row)))
    }
}

impl super::hot::Rows for Run {
    fn bytes(&self) -> usize {
        self.batch.get_array_memory_size() + self.keys.size()
    }
}
