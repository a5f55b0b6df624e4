//! One small file, counted by key: its touches in the order of their identity and of their destination, without a text.

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use rustc_hash::FxHashMap;

use super::super::look_up::LOOKED_UP;
use super::super::run::KEY_COLUMNS;
use super::super::touches::Order;
use super::symbol::{Key, NONE, Symbols};

/// Where identity and destination stand in a key.
const IDENTITY: usize = 0;
const DESTINATION: usize = 1;

/// The touches of one key in one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) key: u32,
    pub(super) count: u32,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Digest {
    /// The least and the greatest time of its rows.
    pub(super) span: (i64, i64),
    /// In the order of their identity's number.
    counted: Vec<Counted>,
    /// Identities, and where theirs begin.
    identities: Vec<(u32, u32)>,
    /// [`Self::counted`] in the order of their destination's number, where it may be asked for by that.
    turned: Vec<u32>,
    /// Destinations, and where theirs begin.
    destinations: Vec<(u32, u32)>,
    /// What the latest record says of the time of issue: the time of the record, and the time that it gives.
    issued: FxHashMap<u32, (i64, i64)>,
}

/// How a text column is to be read, so that each text is looked at once.
fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

impl Digest {
    /// Counts the rows of a file of events (whose `count` is absent, and whose `first` and `last` are `time`) or of touches; `None` where a count is too great to be held here.
    pub(super) fn of(batches: &[RecordBatch], symbols: &mut Symbols, orders: &[Order]) -> Result<Option<Self>, ArrowError> {
        let mut at: FxHashMap<u32, usize> = FxHashMap::default();
        let mut all = Self {
            span: (i64::MAX, i64::MIN),
            counted: Vec::new(),
            identities: Vec::new(),
            turned: Vec::new(),
            destinations: Vec::new(),
            issued: FxHashMap::default(),
        };
        for batch in batches {
            let texts = LOOKED_UP.iter().take(KEY_COLUMNS).map(|name| Codes::of(batch.column_by_name(name), symbols)).collect::<Result<Vec<_>, _>>()?;
            let time = |names: [&str; 2]| names.iter().find_map(|name| batch.column_by_name(name)).map(micros).transpose();
            let (Some(first), Some(last)) = (time(["first", "time"])?, time(["last", "time"])?) else {
                return Err(ArrowError::SchemaError("a file without times cannot be counted".to_owned()));
            };
            let (seen, issued) = (time(["issued_seen", "time"])?, time(["issued_at", "credential_issued_at"])?);
            let counts = batch.column_by_name("count").map(|counts| counts.as_primitive::<Int64Type>());
            let mut same: Option<(Key, u32, usize)> = None;
            for row in 0..batch.num_rows() {
                let key: Key = std::array::from_fn(|part| texts.get(part).map_or(NONE, |codes| codes.number(row)));
                // Rows of one key often follow each other.
                let (number, place) = match same {
                    Some((known, number, place)) if known == key => (number, place),
                    _ => {
                        let (number, next) = (symbols.key_number(key), all.counted.len());
                        (number, *at.entry(number).or_insert(next))
                    }
                };
                same = Some((key, number, place));
                let Ok(count) = u32::try_from(counts.map_or(1, |counts| counts.value(row))) else { return Ok(None) };
                let (first, last) = (first.value(row), last.value(row));
                all.span = (all.span.0.min(first), all.span.1.max(last));
                match all.counted.get_mut(place) {
                    Some(known) => {
                        let Some(sum) = known.count.checked_add(count) else { return Ok(None) };
                        *known = Counted { key: known.key, count: sum, first: known.first.min(first), last: known.last.max(last) };
                    }
                    None => all.counted.push(Counted { key: number, count, first, last }),
                }
                if let (Some(seen), Some(issued)) = (&seen, &issued)
                    && seen.is_valid(row)
                    && issued.is_valid(row)
                {
                    let said = (seen.value(row), issued.value(row));
                    all.issued.entry(number).and_modify(|before| *before = said.max(*before)).or_insert(said);
                }
            }
        }
        all.order(symbols, orders);
        Ok(Some(all))
    }

    fn order(&mut self, symbols: &Symbols, orders: &[Order]) {
        let part = |key: u32, part: usize| symbols.key(key).and_then(|key| key.get(part)).copied().unwrap_or(NONE);
        self.counted.sort_by_key(|counted| part(counted.key, IDENTITY));
        self.counted.shrink_to_fit();
        if orders.contains(&Order::Identity) {
            self.identities = begins(self.counted.iter().map(|counted| part(counted.key, IDENTITY)));
        }
        if orders.contains(&Order::Destination) {
            let of = |place: &u32| self.counted.get(*place as usize).map_or(NONE, |counted| part(counted.key, DESTINATION));
            self.turned = (0..u32::try_from(self.counted.len()).unwrap_or(0)).collect();
            self.turned.sort_by_key(of);
            self.destinations = begins(self.turned.iter().map(of));
        }
    }

    /// The touches of a name.
    pub(super) fn touches(&self, order: Order, name: u32) -> impl Iterator<Item = &Counted> {
        let (names, all) = match order {
            Order::Identity => (&self.identities, self.counted.len()),
            Order::Destination => (&self.destinations, self.turned.len()),
        };
        let range = names.binary_search_by_key(&name, |(name, _)| *name).ok().map(|at| {
            let place = |at: usize| names.get(at).map_or(all, |(_, begin)| *begin as usize);
            place(at)..place(at + 1)
        });
        let places = range.unwrap_or_default();
        places.filter_map(move |place| match order {
            Order::Identity => self.counted.get(place),
            Order::Destination => self.counted.get(*self.turned.get(place)? as usize),
        })
    }

    pub(super) fn issued(&self, key: u32) -> Option<(i64, i64)> {
        self.issued.get(&key).copied()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = u32> {
        self.counted.iter().map(|counted| counted.key)
    }

    pub(super) fn len(&self) -> usize {
        self.counted.len()
    }

    /// Takes new numbers for old ones, whose order is the same.
    pub(super) fn renumber(&mut self, keys: &[u32], texts: &[u32]) {
        let new = |numbers: &[u32], old: u32| numbers.get(old as usize).copied().unwrap_or(NONE);
        self.counted.iter_mut().for_each(|counted| counted.key = new(keys, counted.key));
        for (name, _) in self.identities.iter_mut().chain(&mut self.destinations) {
            *name = new(texts, *name);
        }
        self.issued = self.issued.iter().map(|(key, said)| (new(keys, *key), *said)).collect();
    }

    pub(super) fn bytes(&self) -> usize {
        /// An entry of a hash map of a key and two times.
        const ISSUED: usize = 48;
        const ITSELF: usize = 512;
        let named = self.identities.len() + self.destinations.len();
        ITSELF + self.counted.len() * size_of::<Counted>() + self.turned.len() * 4 + named * 8 + self.issued.len() * ISSUED
    }
}

/// Where runs of one number begin.
fn begins(numbers: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut begins: Vec<(u32, u32)> = Vec::new();
    for (place, number) in (0..).zip(numbers) {
        if begins.last().is_none_or(|(last, _)| *last != number) {
            begins.push((number, place));
        }
    }
    begins.shrink_to_fit();
    begins
}

/// A text column by the numbers of its texts; one that an earlier keytrail did not write has none.
struct Codes {
    codes: Option<DictionaryArray<Int32Type>>,
    numbers: Vec<u32>,
}

impl Codes {
    fn of(column: Option<&ArrayRef>, symbols: &mut Symbols) -> Result<Self, ArrowError> {
        let Some(column) = column else { return Ok(Self { codes: None, numbers: Vec::new() }) };
        let column = if *column.data_type() == text_type() { column.clone() } else { cast(column, &text_type())? };
        let codes = column.as_dictionary::<Int32Type>().clone();
        let texts = codes.values().as_string::<i32>();
        let numbers = texts.iter().map(|text| text.map_or(NONE, |text| symbols.number(text))).collect();
        Ok(Self { codes: Some(codes), numbers })
    }

    fn number(&self, row: usize) -> u32 {
        let code = self.codes.as_ref().filter(|codes| codes.is_valid(row)).and_then(|codes| usize::try_from(codes.keys().value(row)).ok());
        code.and_then(|code| self.numbers.get(code)).copied().unwrap_or(NONE)
    }
}

fn micros(times: &ArrayRef) -> Result<TimestampMicrosecondArray, ArrowError> {
    let wanted = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let times = if *times.data_type() == wanted { times.clone() } else { cast(times, &wanted)? };
    Ok(times.as_primitive::<TimestampMicrosecondType>().clone())
}
