//! Small files that many names are looked up in: those of a writer's commits, before compaction and roll-up have taken them up. Looking each new name up
//! in each of them costs far more than reading one whole. So a file that was looked into a few times is read once and kept in bounded memory,
//! counted by key; a name's touches in all of them are then a sum over numbers.
//!
//! Files never change, so that what is kept of one holds for as long as the table names it. What does not fit into the memory is looked up in its file.

mod digest;
mod symbol;

use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::error::ArrowError;
use keytrail_schemas::Micros;
use object_store::path::Path;
use rustc_hash::{FxHashMap, FxHashSet};

use super::look_up::{LOOKED_UP, schema};
use super::run::KEY_COLUMNS;
use super::touches::Order;
use super::{FileSet, TableName};
use digest::Digest;
use symbol::{NONE, Symbols};

/// Files of more rows are not read whole.
const FILE_ROWS_MAX: u64 = 1 << 17;
/// A file is read whole when it is to be looked into for so many names.
const LOOKS: u8 = 3;
/// Files that are read whole for one question; the others follow with the next.
const FILES_AT_ONCE: usize = 16;
/// What a row may take of memory, before it is known.
const ROW_BYTES: usize = 48;
/// Keys beyond which it is worth looking for those that no file has any more.
const KEYS_MIN: usize = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Recent {
    bytes_max: usize,
    state: RwLock<State>,
    /// Held by who reads files whole: what is read for one is there for all.
    pub(super) reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    symbols: Symbols,
    /// Of `events`, `touches` and `touches_by_destination`.
    tables: [Files; 3],
    digest_bytes: usize,
}

/// What is known of one table's files.
#[derive(Debug, Default)]
struct Files {
    /// The version that they were last held against.
    version: Option<u64>,
    known: FxHashMap<Path, Known>,
}

#[derive(Debug)]
enum Known {
    /// How often it was looked into.
    Looked(u8),
    Whole(Digest),
}

/// A file that is asked for: of which table, and whether only a period of it is meant, which it may lie within.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) table: TableName,
    pub(super) path: &'a Path,
    pub(super) rows: Option<u64>,
    /// `None` where some of its rows are meant and the time does not tell which.
    pub(super) period: Option<(Option<Micros>, Option<Micros>)>,
}

/// What the files came to.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// The touches of the name in the files that are in memory, one per key, in the columns of [`schema`].
    pub(super) touches: Option<RecordBatch>,
    /// The files that are not, by their place.
    pub(super) others: Vec<usize>,
}

struct Total {
    count: i64,
    first: i64,
    last: i64,
    issued: Option<(i64, i64)>,
}

const fn place(table: TableName) -> Option<usize> {
    match table {
        TableName::Events => Some(0),
        TableName::Touches => Some(1),
        TableName::TouchesByDestination => Some(2),
        _ => None,
    }
}

impl Recent {
    /// Keeps up to `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: RwLock::default(), reading: tokio::sync::Mutex::default() }
    }

    /// Adds up the touches of `name` in those of `files` that are in memory.
    pub(super) fn sum<'a>(&self, order: Order, name: &str, files: impl Iterator<Item = Asked<'a>>) -> Result<Sum, ArrowError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let number = state.symbols.known(name);
        let mut totals: FxHashMap<u32, Total> = FxHashMap::default();
        let mut others = Vec::new();
        for (at, asked) in files.enumerate() {
            let Some(digest) = state.whole(&asked).filter(|digest| asked.is_covered(digest.span)) else {
                others.push(at);
                continue;
            };
            for one in number.into_iter().flat_map(|number| digest.touches(order, number)) {
                let (count, issued) = (i64::from(one.count), digest.issued(one.key));
                totals
                    .entry(one.key)
                    .and_modify(|total| {
                        total.count += count;
                        total.first = total.first.min(one.first);
                        total.last = total.last.max(one.last);
                        total.issued = total.issued.max(issued);
                    })
                    .or_insert(Total { count, first: one.first, last: one.last, issued });
            }
        }
        let touches = if totals.is_empty() { None } else { Some(state.batch(totals)?) };
        Ok(Sum { touches, others })
    }

    /// Whether some of `files` is in memory and has the name.
    pub(super) fn has<'a>(&self, order: Order, name: &str, files: impl Iterator<Item = Asked<'a>>) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(number) = state.symbols.known(name) else { return false };
        files.filter_map(|asked| state.whole(&asked)).any(|digest| digest.touches(order, number).next().is_some())
    }

    /// Notes that a name is to be looked up in these files, and gives those that are to be read whole now, by their place among all.
    pub(super) fn looked_into<'a>(&self, files: impl Iterator<Item = (usize, Asked<'a>)>) -> Vec<usize> {
        let mut files = files.peekable();
        if files.peek().is_none() {
            return Vec::new();
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.bytes_max.saturating_sub(state.bytes());
        let mut due = Vec::new();
        for (at, asked) in files {
            let Some(rows) = asked.rows.filter(|rows| *rows <= FILE_ROWS_MAX && asked.period.is_some()) else { continue };
            let Some(table) = place(asked.table).and_then(|place| state.tables.get_mut(place)) else { continue };
            let known = match table.known.get_mut(asked.path) {
                Some(known) => known,
                None => table.known.entry(asked.path.clone()).or_insert(Known::Looked(0)),
            };
            let Known::Looked(times) = known else { continue };
            *times = times.saturating_add(1);
            let bytes = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(ROW_BYTES);
            if *times >= LOOKS && bytes <= free && due.len() < FILES_AT_ONCE {
                free -= bytes;
                due.push(at);
            }
        }
        due
    }

    /// Whether a file is in memory.
    pub(super) fn is_whole(&self, asked: &Asked<'_>) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).whole(asked).is_some()
    }

    /// Keeps a file that was read whole; one that could not be is looked into for some names more before it is tried again.
    pub(super) fn keep(&self, asked: &Asked<'_>, rows: Option<&[RecordBatch]>) -> Result<(), ArrowError> {
        let Some(at) = place(asked.table) else { return Ok(()) };
        let orders: &[Order] = match asked.table {
            TableName::Touches => &[Order::Identity],
            TableName::TouchesByDestination => &[Order::Destination],
            _ => &[Order::Identity, Order::Destination],
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let digest = rows.map(|rows| Digest::of(rows, &mut state.symbols, orders)).transpose()?.flatten();
        let known = match digest {
            Some(digest) if state.bytes() + digest.bytes() <= self.bytes_max => {
                state.digest_bytes += digest.bytes();
                Known::Whole(digest)
            }
            _ => Known::Looked(0),
        };
        if let Some(files) = state.tables.get_mut(at) {
            files.known.insert(asked.path.clone(), known);
        }
        state.tidy();
        Ok(())
    }

    /// Drops what the table does not name any more.
    pub(super) fn hold_against(&self, set: &FileSet) {
        let Some(at) = place(set.name) else { return };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let Some(files) = state.tables.get_mut(at).filter(|files| files.version < set.version) else { return };
        files.version = set.version;
        let named: FxHashSet<&Path> = set.files.iter().map(|file| &file.meta.location).collect();
        files.known.retain(|path, _| named.contains(path));
        state.digest_bytes = state.digests().map(Digest::bytes).sum();
        state.tidy();
    }
}

impl Asked<'_> {
    /// Whether all of a file of this span is meant.
    fn is_covered(&self, (least, most): (i64, i64)) -> bool {
        self.period.is_some_and(|(from, to)| from.is_none_or(|from| from.0 <= least) && to.is_none_or(|to| most < to.0))
    }
}

impl State {
    fn bytes(&self) -> usize {
        self.symbols.bytes() + self.digest_bytes
    }

    fn whole(&self, asked: &Asked<'_>) -> Option<&Digest> {
        match self.tables.get(place(asked.table)?)?.known.get(asked.path)? {
            Known::Whole(digest) => Some(digest),
            Known::Looked(_) => None,
        }
    }

    fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.tables.iter().flat_map(|table| table.known.values()).filter_map(|known| match known {
            Known::Whole(digest) => Some(digest),
            Known::Looked(_) => None,
        })
    }

    /// Forgets names and keys that no file has any more, once they are more than those that are left can be.
    fn tidy(&mut self) {
        let held: usize = self.digests().map(Digest::len).sum();
        if self.symbols.keys() < KEYS_MIN || self.symbols.keys() < held.saturating_mul(2) {
            return;
        }
        let mut in_use = vec![false; self.symbols.keys()];
        for key in self.digests().flat_map(Digest::keys) {
            if let Some(used) = in_use.get_mut(key as usize) {
                *used = true;
            }
        }
        let (keys, texts) = self.symbols.keep(&in_use);
        for known in self.tables.iter_mut().flat_map(|table| table.known.values_mut()) {
            if let Known::Whole(digest) = known {
                digest.renumber(&keys, &texts);
            }
        }
    }

    /// Totals as rows.
    fn batch(&self, totals: FxHashMap<u32, Total>) -> Result<RecordBatch, ArrowError> {
        let schema = schema();
        let all: Vec<(u32, Total)> = totals.into_iter().collect();
        let times = |of: &dyn Fn(&Total) -> Option<i64>| -> ArrayRef {
            Arc::new(all.iter().map(|(_, total)| of(total)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        let column = |(at, name): (usize, &str)| -> Result<ArrayRef, ArrowError> {
            Ok(match name {
                _ if at < KEY_COLUMNS => {
                    let text = |(key, _): &(u32, Total)| self.symbols.key(*key).and_then(|key| self.symbols.text(key.get(at).copied().unwrap_or(NONE)));
                    Arc::new(all.iter().map(text).collect::<StringArray>())
                }
                "count" => Arc::new(all.iter().map(|(_, total)| total.count).collect::<Int64Array>()),
                "first" => times(&|total| Some(total.first)),
                "last" => times(&|total| Some(total.last)),
                "issued_seen" => times(&|total| total.issued.map(|(seen, _)| seen)),
                "issued_at" => times(&|total| total.issued.map(|(_, issued)| issued)),
                // They are of many days.
                other => new_null_array(schema.field_with_name(other)?.data_type(), all.len()),
            })
        };
        let columns = LOOKED_UP.iter().copied().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(schema, columns)
    }
}
