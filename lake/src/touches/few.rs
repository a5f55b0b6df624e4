//! Days of few events: all of a span is counted in memory, with a number for each text, and both orders come from one count. Where that cannot be (too
//! many touches, a file that is not as expected) the days are streamed instead, which judges them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use keytrail_schemas::{IdentityKind, Micros, Outcome};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;
use rustc_hash::FxHashMap;

use super::fold::{KEY, TIMES};
use crate::{TableName, parquet_file};

/// Rows that are decoded at a time: a fresh file's row group.
const READ_ROWS: usize = 1 << 15;
/// Rows that are handed on at a time.
const BATCH_ROWS: usize = 8192;
/// What a touch takes here: its key twice, its numbers, what a map needs, and where it stands among others.
const TOUCH_BYTES: usize = 384;
/// How often a text is held: in the list of its column, in what finds it there, and in the column that rows are taken from.
const TEXT_COPIES: usize = 3;

// Places of `KEY`'s texts in a key.
const IDENTITY: usize = 0;
const KIND: usize = 1;
const DESTINATION: usize = 2;
const OUTCOME: usize = 8;
/// What else tells touches apart, in the order in which they stand in a file: credential, protocol, action, environment, parent, outcome, kind.
const REST: [usize; 7] = [4, 6, 7, 3, 5, OUTCOME, KIND];

/// The numbers of a touch's texts, each from 1 on and 0 for none, in the order of [`KEY`].
type Key = [u32; 9];

/// The touches of some days.
pub(super) struct Few {
    names: [Names; 9],
    index: FxHashMap<(i64, Key), usize>,
    touches: Vec<Count>,
    memory_bytes_max: usize,
    /// Events that were counted.
    pub(super) events: u64,
}

/// One touch.
struct Count {
    /// Midnight of the day.
    day: i64,
    key: Key,
    count: i64,
    first: i64,
    last: i64,
    /// The time of the latest record that says when the credential was issued, and what it says.
    issued: Option<(i64, i64)>,
}

/// The texts of a column, each once.
#[derive(Default)]
struct Names {
    index: FxHashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
    /// Of all texts together.
    bytes: usize,
}

impl Names {
    /// The number of a text, from 1 on.
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.index.get(text) {
            return *number;
        }
        self.bytes += text.len() + size_of::<Box<str>>();
        self.texts.push(text.into());
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.index.insert(text.into(), number);
        number
    }

    /// For each number, its place in the texts' order; none stays 0.
    fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (1..).take(self.texts.len()).collect();
        order.sort_unstable_by_key(|number| self.texts.get(*number as usize - 1));
        let mut ranks = vec![0; self.texts.len() + 1];
        for (rank, number) in (1..).zip(order) {
            if let Some(place) = ranks.get_mut(number as usize) {
                *place = rank;
            }
        }
        ranks
    }
}

impl Few {
    /// No touches yet, of as many as fit into so many bytes.
    pub(super) fn within(memory_bytes_max: usize) -> Self {
        Self { names: Default::default(), index: FxHashMap::default(), touches: Vec::new(), memory_bytes_max, events: 0 }
    }

    /// Counts a file of a day's events (days since 1970-01-01, UTC). False where it cannot: then nothing of this count is to be used.
    pub(super) fn count(&mut self, day: i64, file: impl ChunkReader + 'static) -> bool {
        let midnight = Micros(day.saturating_mul(Micros::DAY)).0;
        let Some(reader) = numbered(file) else { return false };
        for batch in reader {
            if !batch.is_ok_and(|batch| self.rows(midnight, &batch).is_some()) {
                return false;
            }
        }
        true
    }

    fn rows(&mut self, day: i64, batch: &RecordBatch) -> Option<()> {
        let mut texts = Vec::with_capacity(KEY.len());
        for (name, names) in KEY.iter().zip(&mut self.names) {
            texts.push(match batch.column_by_name(name) {
                // A file of before the column was there.
                None => None,
                Some(column) => Some(Numbered::of(column.as_dictionary_opt()?, names)?),
            });
        }
        let time = |name: &str| batch.column_by_name(name).map(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let [times, issues] = TIMES.map(time);
        let (times, issues) = (
            times??,
            match issues {
                Some(column) => Some(column?),
                None => None,
            },
        );
        if times.null_count() > 0 {
            return None;
        }
        for row in 0..batch.num_rows() {
            let mut key = Key::default();
            for (number, column) in key.iter_mut().zip(&texts) {
                *number = column.as_ref().map_or(0, |column| column.number(row));
            }
            if [IDENTITY, KIND, OUTCOME].iter().any(|place| key.get(*place) == Some(&0)) {
                return None;
            }
            let at = *self.index.entry((day, key)).or_insert(self.touches.len());
            if at == self.touches.len() {
                self.touches.push(Count { day, key, count: 0, first: i64::MAX, last: i64::MIN, issued: None });
            }
            let (time, touch) = (times.value(row), self.touches.get_mut(at)?);
            touch.count += 1;
            touch.first = touch.first.min(time);
            touch.last = touch.last.max(time);
            // Of two records at one time the later issue.
            let issued = issues.filter(|column| column.is_valid(row)).map(|column| (time, column.value(row)));
            touch.issued = touch.issued.max(issued);
        }
        self.events += batch.num_rows() as u64;
        let texts: usize = self.names.iter().map(|names| names.bytes).sum();
        (self.touches.len() * TOUCH_BYTES + texts * TEXT_COPIES <= self.memory_bytes_max).then_some(())
    }

    /// Whether the words of closed vocabularies are words of theirs.
    fn is_spoken(&self) -> bool {
        let [_, kinds, .., outcomes] = &self.names;
        kinds.texts.iter().all(|word| word.parse::<IdentityKind>().is_ok()) && outcomes.texts.iter().all(|word| word.parse::<Outcome>().is_ok())
    }

    /// The touches as rows of [`TableName::Touches`] and of [`TableName::TouchesByDestination`], each in its order. `None` where an event has a word that is none.
    pub(super) fn orders(self, schema: &SchemaRef) -> Option<[SendableRecordBatchStream; 2]> {
        if !self.is_spoken() {
            return None;
        }
        let ranks = self.names.each_ref().map(Names::ranks);
        let mut ordered: Vec<(Order, Count)> = self.touches.into_iter().map(|touch| (Order::of(&touch, &ranks), touch)).collect();
        ordered.sort_unstable_by_key(|(order, _)| *order);
        let mut turned: Vec<u32> = (0..).take(ordered.len()).collect();
        turned.sort_unstable_by_key(|at| ordered.get(*at as usize).map(|(order, _)| (order.destination, order.day, order.identity, order.rest)));
        let texts = self.names.map(|names| StringArray::from_iter_values(&names.texts));
        let made = Arc::new((ordered, texts));
        let as_they_stand: Vec<u32> = (0..).take(turned.len()).collect();
        Some([as_they_stand, turned].map(|order| stream(order, Arc::clone(&made), schema)))
    }
}

/// Touches and the texts of their columns.
type Made = (Vec<(Order, Count)>, [StringArray; 9]);

/// The rows in an order, made as they are asked for.
fn stream(order: Vec<u32>, made: Arc<Made>, schema: &SchemaRef) -> SendableRecordBatchStream {
    let of = Arc::clone(schema);
    let begins: Vec<usize> = (0..order.len()).step_by(BATCH_ROWS).collect();
    let batches = begins.into_iter().map(move |begin| {
        let (ordered, texts) = made.as_ref();
        let rows: Vec<&Count> = order.iter().skip(begin).take(BATCH_ROWS).filter_map(|at| ordered.get(*at as usize)).map(|(_, touch)| touch).collect();
        columns(&rows, texts, &of).map_err(Into::into)
    });
    Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), futures::stream::iter(batches)))
}

/// Where a touch stands among others: ranks of its texts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    identity: u32,
    day: i64,
    /// What is empty comes last here, and first elsewhere.
    destination: u32,
    rest: [u32; 7],
}

impl Order {
    fn of(touch: &Count, ranks: &[Vec<u32>; 9]) -> Self {
        let rank = |place: usize| {
            let (ranks, number) = (ranks.get(place), touch.key.get(place));
            ranks.zip(number).and_then(|(ranks, number)| ranks.get(*number as usize)).copied().unwrap_or(0)
        };
        let destination = Some(rank(DESTINATION)).filter(|rank| *rank > 0).unwrap_or(u32::MAX);
        Self { identity: rank(IDENTITY), day: touch.day, destination, rest: REST.map(rank) }
    }
}

/// A column of a batch whose texts have numbers.
struct Numbered<'a> {
    rows: &'a DictionaryArray<Int32Type>,
    /// The number of each text of the batch.
    numbers: Vec<u32>,
}

impl<'a> Numbered<'a> {
    fn of(rows: &'a DictionaryArray<Int32Type>, names: &mut Names) -> Option<Self> {
        let texts = rows.values().as_string_opt::<i32>()?;
        let numbers = (0..texts.len()).map(|text| if texts.is_valid(text) { names.number(texts.value(text)) } else { 0 }).collect();
        Some(Self { rows, numbers })
    }

    fn number(&self, row: usize) -> u32 {
        let text = self.rows.is_valid(row).then(|| self.rows.keys().value(row));
        text.and_then(|text| self.numbers.get(usize::try_from(text).ok()?)).copied().unwrap_or(0)
    }
}

/// A reader of the columns that are counted, texts as numbers of the texts that a piece of the file has. `None` where the file states another order than its
/// table's, or cannot be read so.
fn numbered(file: impl ChunkReader + 'static) -> Option<ParquetRecordBatchReader> {
    let found = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).ok()?;
    if !parquet_file::is_sorted(TableName::Events, found.metadata()) {
        return None;
    }
    let keyed = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 if KEY.contains(&field.name().as_str()) => {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))))
        }
        _ => Arc::clone(field),
    };
    let schema = Arc::new(Schema::new(found.schema().fields().iter().map(keyed).collect::<Vec<_>>()));
    let wanted = |field: &&Arc<Field>| KEY.iter().chain(&TIMES).any(|name| field.name() == name);
    let roots: Vec<usize> = schema.fields().iter().enumerate().filter(|(_, field)| wanted(field)).map(|(root, _)| root).collect();
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), ArrowReaderOptions::new().with_schema(schema)).ok()?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    builder.with_projection(mask).with_batch_size(READ_ROWS).build().ok()
}

/// Touches as rows of `schema`.
fn columns(rows: &[&Count], texts: &[StringArray; 9], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let number = |place: usize| -> UInt32Array { rows.iter().map(|touch| touch.key.get(place).and_then(|number| number.checked_sub(1))).collect() };
    let time = |of: &dyn Fn(&Count) -> Option<i64>, field: &Field| -> ArrayRef {
        Arc::new(rows.iter().map(|touch| of(touch)).collect::<TimestampMicrosecondArray>().with_data_type(field.data_type().clone()))
    };
    let column = |field: &Arc<Field>| {
        if let Some((place, texts)) = KEY.iter().position(|name| field.name() == name).and_then(|place| Some((place, texts.get(place)?))) {
            return arrow::compute::take(texts, &number(place), None);
        }
        Ok(match field.name().as_str() {
            "day" => time(&|touch| Some(touch.day), field),
            "first" => time(&|touch| Some(touch.first), field),
            "last" => time(&|touch| Some(touch.last), field),
            "issued_at" => time(&|touch| touch.issued.map(|(_, at)| at), field),
            "issued_seen" => time(&|touch| touch.issued.map(|(seen, _)| seen), field),
            "count" => Arc::new(rows.iter().map(|touch| touch.count).collect::<Int64Array>()),
            other => return Err(ArrowError::SchemaError(format!("nothing counts {other:?}"))),
        })
    };
    RecordBatch::try_new(Arc::clone(schema), schema.fields().iter().map(column).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use keytrail_schemas::{Event, Table as _};

    use super::*;
    use crate::parquet_file::{Layout, writer};

    /// A file of as many events, each of another destination whose name is so long.
    fn file(events: usize, name_bytes: usize) -> bytes::Bytes {
        let one = |number: usize| Event {
            identity: "svc".into(),
            destination: Some(format!("{number:0name_bytes$}").into()),
            time: Micros(number as i64),
            ..Event::default()
        };
        let batch = Event::to_batch(&(0..events).map(one).collect::<Vec<_>>()).unwrap();
        let mut bytes = Vec::new();
        let mut file = writer(TableName::Events, &Event::arrow_schema(), Layout::Fresh, &mut bytes).unwrap();
        file.write(&batch).unwrap();
        file.close().unwrap();
        bytes.into()
    }

    #[test]
    fn the_bound_counts_touches_and_their_texts() {
        let fits = |events, name_bytes| Few::within(1 << 20).count(0, file(events, name_bytes));
        assert!(fits(1_000, 8));
        assert!(!fits(4_000, 8), "too many touches");
        assert!(!fits(10, 40_000), "few, and too much text");
    }

    #[test]
    fn what_is_no_file_of_events_is_not_counted() {
        assert!(!Few::within(1 << 20).count(0, bytes::Bytes::from_static(b"PAR1 and no more")));
    }
}
