//! Rows as the wire has them, column by column: what is the same for a whole column is found out once, and not for each of its cells. Texts, counts,
//! flags and times are written here, in the text format; any other cell is the library's, and so are times that it writes in another way.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion_postgres::arrow_pg::datatypes::encode_recordbatch;
use datafusion_postgres::pgwire::api::results::{FieldFormat, FieldInfo};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use keytrail_schemas::Micros;

/// Rows share a buffer of about so many bytes.
const BUFFER_BYTES: usize = 64 << 10;
/// The times that are written here: of years of four digits.
const TIMES: std::ops::Range<i64> = -30_610_224_000_000_000..253_402_300_800_000_000;

/// A column on its way out.
enum Cells {
    Text(StringArray),
    Count(Int64Array),
    Flag(BooleanArray),
    Time(TimestampMicrosecondArray, Day),
    /// One cell a row, as the library writes it.
    Other(Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send>),
}

/// The day that was written last, and how.
#[derive(Default)]
struct Day {
    number: Option<i64>,
    text: String,
}

/// The rows of a batch.
pub fn rows(fields: &Arc<Vec<FieldInfo>>, batch: RecordBatch) -> impl Iterator<Item = PgWireResult<DataRow>> + Send + use<> {
    let mut columns: Vec<PgWireResult<Cells>> = fields.iter().enumerate().map(|(at, field)| Cells::of(field, &batch, at)).collect();
    let (count, width) = (batch.num_rows(), i16::try_from(columns.len()).unwrap_or(i16::MAX));
    let mut buffer = DataRow::default();
    (0..count).map(move |row| {
        if buffer.data.capacity() < BUFFER_BYTES / 16 {
            buffer.data.reserve(BUFFER_BYTES);
        }
        for cells in &mut columns {
            match cells {
                Ok(cells) => cells.put(row, &mut buffer)?,
                Err(error) => return Err(std::mem::replace(error, PgWireError::QueryCanceled)),
            }
        }
        let mut written = DataRow::default();
        written.data = buffer.data.split();
        written.field_count = width;
        Ok(written)
    })
}

impl Cells {
    fn of(field: &FieldInfo, batch: &RecordBatch, at: usize) -> PgWireResult<Self> {
        let array = batch.column(at);
        if field.format() == FieldFormat::Text {
            match array.data_type() {
                DataType::Utf8 => return Ok(Self::Text(array.as_string::<i32>().clone())),
                DataType::Int64 => return Ok(Self::Count(array.as_primitive::<Int64Type>().clone())),
                DataType::Boolean => return Ok(Self::Flag(array.as_boolean().clone())),
                DataType::Timestamp(TimeUnit::Microsecond, _) if is_written_alike(field, batch, at)? => {
                    return Ok(Self::Time(array.as_primitive::<TimestampMicrosecondType>().clone(), Day::default()));
                }
                _ => {}
            }
        }
        Ok(Self::Other(Box::new(of_library(field, batch, at)?)))
    }

    fn put(&mut self, row: usize, out: &mut DataRow) -> PgWireResult<()> {
        match self {
            Self::Text(texts) => cell(out, texts.is_valid(row), |out| out.data.extend_from_slice(texts.value(row).as_bytes())),
            Self::Count(counts) => cell(out, counts.is_valid(row), |out| {
                let _ = write!(out.data, "{}", counts.value(row));
            }),
            Self::Flag(flags) => cell(out, flags.is_valid(row), |out| out.data.extend_from_slice(if flags.value(row) { b"t" } else { b"f" })),
            Self::Time(times, day) => cell(out, times.is_valid(row), |out| day.put(times.value(row), out)),
            Self::Other(cells) => {
                if let Some(one) = cells.next() {
                    out.data.extend_from_slice(&one?.data);
                }
            }
        }
        Ok(())
    }
}

/// A cell with its length before it; -1 stands for none.
fn cell(out: &mut DataRow, is_valid: bool, put: impl FnOnce(&mut DataRow)) {
    let at = out.data.len();
    out.data.extend_from_slice(&(-1_i32).to_be_bytes());
    if !is_valid {
        return;
    }
    put(out);
    let length = i32::try_from(out.data.len() - at - 4).unwrap_or(i32::MAX);
    if let Some(place) = out.data.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// The library's cells of one column.
fn of_library(field: &FieldInfo, batch: &RecordBatch, at: usize) -> PgWireResult<impl Iterator<Item = PgWireResult<DataRow>> + Send + use<>> {
    let column = batch.project(&[at]).map_err(|error| PgWireError::ApiError(Box::new(error)))?;
    Ok(encode_recordbatch(Arc::new(vec![field.clone()]), column))
}

/// Whether the library writes the column's first time as it is written here, which depends on what the client set; and no time is out of range.
fn is_written_alike(field: &FieldInfo, batch: &RecordBatch, at: usize) -> PgWireResult<bool> {
    let array: &ArrayRef = batch.column(at);
    let times = array.as_primitive::<TimestampMicrosecondType>();
    let Some(first) = (0..times.len()).find(|row| times.is_valid(*row)) else { return Ok(false) };
    if !times.iter().flatten().all(|time| TIMES.contains(&time)) {
        return Ok(false);
    }
    let mut own = DataRow::default();
    cell(&mut own, true, |out| Day::default().put(times.value(first), out));
    match of_library(field, &batch.slice(first, 1), at)?.next() {
        Some(theirs) => Ok(theirs?.data == own.data),
        None => Ok(false),
    }
}

impl Day {
    /// `2026-01-31 23:59:59.123456+00`.
    fn put(&mut self, time: i64, out: &mut DataRow) {
        let (day, within) = (time.div_euclid(Micros::DAY), time.rem_euclid(Micros::DAY));
        if self.number != Some(day) {
            self.text = Micros(day.saturating_mul(Micros::DAY)).date();
            self.number = Some(day);
        }
        let mut clock = *b" 00:00:00.000000+00";
        let (seconds, micros) = (within / Micros::SECOND, within % Micros::SECOND);
        [clock[1], clock[2]] = digits(seconds / 3_600);
        [clock[4], clock[5]] = digits(seconds / 60 % 60);
        [clock[7], clock[8]] = digits(seconds % 60);
        [clock[10], clock[11]] = digits(micros / 10_000);
        [clock[12], clock[13]] = digits(micros / 100 % 100);
        [clock[14], clock[15]] = digits(micros % 100);
        out.data.extend_from_slice(self.text.as_bytes());
        out.data.extend_from_slice(&clock);
    }
}

/// Of a number below a hundred.
fn digits(number: i64) -> [u8; 2] {
    let number = u8::try_from(number).unwrap_or_default();
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::array::Float64Array;
    use arrow::datatypes::{Field, Schema};
    use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
    use datafusion_postgres::pgwire::api::portal::Format;
    use datafusion_postgres::pgwire::types::format::FormatOptions;

    use super::*;

    fn batch() -> RecordBatch {
        let times = [Some(0), None, Some(1_772_323_199_999_999), Some(-1), Some(951_782_400_000_001), Some(-30_610_224_000_000_000)];
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Schema::new(vec![
            Field::new("text", DataType::Utf8, true),
            Field::new("count", DataType::Int64, true),
            Field::new("flag", DataType::Boolean, true),
            Field::new("time", zoned, true),
            Field::new("bare", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("number", DataType::Float64, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("\u{e9}\u{1b}\0"), Some("x"), Some("y")])),
            Arc::new(Int64Array::from(vec![Some(0), Some(i64::MIN), None, Some(i64::MAX), Some(-7), Some(10)])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, None, Some(true), Some(true)])),
            Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC")),
            Arc::new(TimestampMicrosecondArray::from(times.to_vec())),
            Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::NAN), Some(1e300), Some(-0.0), Some(41.0)])),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    #[test]
    fn a_row_is_what_the_library_writes() {
        let batch = batch();
        let german = FormatOptions::from_client_metadata(&HashMap::from([("datestyle".to_owned(), "German, DMY".to_owned())]));
        for (format, options) in
            [(Format::UnifiedText, FormatOptions::default()), (Format::UnifiedText, german), (Format::UnifiedBinary, FormatOptions::default())]
        {
            let fields = Arc::new(arrow_schema_to_pg_fields(&batch.schema(), &format, Some(Arc::new(options))).unwrap());
            let theirs: Vec<_> = encode_recordbatch(fields.clone(), batch.clone()).map(|row| row.unwrap()).collect();
            let own: Vec<_> = rows(&fields, batch.clone()).map(|row| row.unwrap()).collect();
            assert_eq!(own, theirs, "{format:?}");
            assert_eq!(rows(&fields, batch.slice(2, 3)).map(|row| row.unwrap()).collect::<Vec<_>>(), theirs[2..5], "a slice");
        }
    }

    /// A batch of any length with a column of each type that a statement can give; a third of its cells is null.
    fn drawn(random: &mut impl FnMut() -> u64) -> RecordBatch {
        let rows = usize::try_from(random() % 40).unwrap();
        let mut numbers = || -> Int64Array {
            let one = |_| (!random().is_multiple_of(3)).then(|| random().cast_signed() >> (random() % 60));
            (0..rows).map(one).collect()
        };
        let cast = |numbers: Int64Array, to: &DataType| arrow::compute::cast(&numbers, to).unwrap();
        // Within the years that every type here knows.
        let seconds = |numbers: &Int64Array| -> Int64Array { numbers.unary(|number| number % 4_000_000_000) };
        let mut columns: Vec<ArrayRef> = Vec::new();
        for to in [DataType::Int8, DataType::Int16, DataType::Int32, DataType::UInt64, DataType::Float32, DataType::Float64, DataType::Boolean] {
            columns.push(cast(numbers(), &to));
        }
        columns.push(Arc::new(numbers()));
        for to in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, DataType::Date32] {
            let drawn = numbers();
            columns.push(if to == DataType::Date32 { cast(drawn.unary(|number| number % 100_000), &DataType::Int32) } else { cast(drawn, &DataType::Utf8) });
            let last = columns.pop().unwrap();
            columns.push(arrow::compute::cast(&last, &to).unwrap());
        }
        for zone in [None, Some("UTC"), Some("+00:00"), Some("+05:30")] {
            for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
                let times = cast(seconds(&numbers()), &DataType::Timestamp(TimeUnit::Second, zone.map(Into::into)));
                columns.push(arrow::compute::cast(&times, &DataType::Timestamp(unit, zone.map(Into::into))).unwrap());
            }
            let micros = seconds(&numbers()).unary::<_, Int64Type>(|number| number * 1_000_003);
            columns.push(cast(micros, &DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))));
        }
        let named = columns.iter().enumerate().map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true));
        RecordBatch::try_new(Arc::new(Schema::new(named.collect::<Vec<_>>())), columns.clone()).unwrap()
    }

    #[test]
    fn whatever_the_types_are_a_row_is_what_the_library_writes() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for round in 0..200 {
            let batch = drawn(&mut random);
            let style = ["ISO, MDY", "German, DMY", "SQL, YMD", "Postgres, MDY"][round % 4];
            let options = FormatOptions::from_client_metadata(&HashMap::from([("datestyle".to_owned(), style.to_owned())]));
            let formats: Vec<i16> = (0..batch.num_columns()).map(|_| i16::from(random().is_multiple_of(2))).collect();
            for format in [Format::UnifiedText, Format::UnifiedBinary, Format::Individual(formats)] {
                let fields = Arc::new(arrow_schema_to_pg_fields(&batch.schema(), &format, Some(Arc::new(options.clone()))).unwrap());
                let theirs: Vec<_> = encode_recordbatch(fields.clone(), batch.clone()).map(|row| row.unwrap()).collect();
                let own: Vec<_> = rows(&fields, batch.clone()).map(|row| row.unwrap()).collect();
                assert_eq!(own, theirs, "round {round}, {format:?}, {style}");
            }
        }
    }

    #[test]
    fn times_are_written_here() {
        let batch = batch();
        let fields = arrow_schema_to_pg_fields(&batch.schema(), &Format::UnifiedText, None).unwrap();
        assert!(matches!(Cells::of(&fields[3], &batch, 3).unwrap(), Cells::Time(..)), "else a test of rows that are equal says nothing");
    }
}
