//! The answer from what was looked up by name: files whose rows are in order are merged, and rows of one key that stand behind each other are one row
//! of the answer. Nothing is planned, and no text is copied but into the answer.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::interleave;
use futures::FutureExt as _;
use keytrail_schemas::Micros;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{GROUPS_MAX, Of, commands, is_failure, issued};
use crate::engine::Engine;
use crate::question::function::Period;
use crate::question::touched::COLUMNS;
use crate::table::{KEY_COLUMNS, Looked, Order};
use crate::{Error, column};

const IDENTITY: usize = 0;
const DESTINATION: usize = 1;
const CREDENTIAL: usize = 2;
const OUTCOME: usize = 5;

/// What a row of the answer counts.
struct Counted {
    /// A row that has its key: of which of the looked-up, and which.
    at: (usize, usize),
    count: i64,
    first: i64,
    last: i64,
    /// The credential's time of issue, as the latest record that has one says.
    issued: Option<(i64, i64)>,
}

/// The touches of `of` within `period`; `None` where names are not all that is asked for.
pub(super) async fn answer(engine: &Engine, of: &Of, period: Period) -> Result<Option<RecordBatch>, Error> {
    let Some((order, names)) = of.names() else { return Ok(None) };
    let looked = looked(engine, order, names, period).await?;
    let rows = counted(&looked, engine.options().memory_bytes_max)?;
    let text = |at: (usize, usize), column: usize| text(&looked, at, column);
    let without: FxHashSet<String> = rows.iter().filter(|row| row.issued.is_none()).filter_map(|row| text(row.at, CREDENTIAL)).map(str::to_owned).collect();
    let ledger = issued(engine, of, without).await?;
    let other = if order == Order::Identity { DESTINATION } else { IDENTITY };
    let earlier = match period.from {
        Some(_) if !rows.is_empty() => self::looked(engine, order, names, Period { from: None, to: period.from }).await?,
        _ => Vec::new(),
    };
    let before = others(&earlier, other);

    let keys = (0..KEY_COLUMNS).map(|column| gathered(&looked, &rows, column)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let [identity, destination, credential, protocol, action, outcome, kind]: [ArrayRef; KEY_COLUMNS] =
        keys.try_into().map_err(|_| Error::Sql("the columns of touches are not those that were looked up".to_owned()))?;
    let known: Vec<Option<(i64, bool)>> = rows.iter().map(|row| age_since(row, text(row.at, CREDENTIAL), &ledger)).collect();
    let ages = rows.iter().zip(&known).map(|(row, known)| known.map(|(issued, _)| Micros(row.last).days_since(Micros(issued)).max(0.0)));
    let command = commands(&action);
    let failures = rows.iter().map(|row| Some(if is_failure(text(row.at, OUTCOME).unwrap_or_default()) { row.count } else { 0 }));
    let first_ever = rows.iter().map(|row| Some(text(row.at, other).is_none_or(|name| !before.contains(name))));
    let arrays = vec![
        identity,
        destination,
        credential,
        column::number(ages),
        column::flag(known.iter().map(|known| known.map(|(_, exact)| exact))),
        protocol,
        action,
        outcome,
        column::count(rows.iter().map(|row| Some(row.count))),
        column::count(failures),
        column::time(rows.iter().map(|row| Some(row.first))),
        column::time(rows.iter().map(|row| Some(row.last))),
        column::flag(first_ever),
        kind,
        command,
    ];
    column::batch(COLUMNS, arrays).map(Some)
}

fn failed(error: arrow::error::ArrowError) -> Error {
    Error::Execution(Box::new(error.into()))
}

async fn looked(engine: &Engine, order: Order, names: &[String], period: Period) -> Result<Vec<Looked>, Error> {
    let mut each = Vec::with_capacity(names.len());
    for name in names {
        each.push(engine.look_up(order, name, period.from, period.to).boxed());
    }
    Ok(futures::future::try_join_all(each).await?.into_iter().flatten().collect())
}

/// Rows by key, in the order of the answer.
fn counted(looked: &[Looked], memory_bytes_max: usize) -> Result<Vec<Counted>, Error> {
    let mut all: Vec<(u32, u32)> = Vec::new();
    for (number, of) in (0_u32..).zip(looked) {
        let destinations = of.run.batch.column(DESTINATION);
        all.extend(of.rows().filter(|row| destinations.is_valid(*row)).filter_map(|row| Some((number, u32::try_from(row).ok()?))));
    }
    let of = |(number, row): (u32, u32)| looked.get(number as usize).map(|looked| (looked, row as usize));
    let key = |at: (u32, u32)| of(at).map(|(looked, row)| looked.key(row));
    // A stable sort finds that what it is given consists of sorted runs, and merges them.
    all.sort_by(|a, b| key(*a).cmp(&key(*b)));
    let mut rows: Vec<Counted> = Vec::new();
    let mut last_key = None;
    for at in all {
        let Some((looked, row)) = of(at) else { continue };
        let (run, own) = (&looked.run, looked.key(row));
        let (count, first, last, issued) = (run.count.value(row), run.first.value(row), run.last.value(row), run.issued(row));
        match rows.last_mut() {
            Some(same) if last_key.is_some_and(|key| key == own) => {
                same.count += count;
                same.first = same.first.min(first);
                same.last = same.last.max(last);
                same.issued = same.issued.max(issued);
            }
            _ => {
                if rows.len() >= GROUPS_MAX {
                    return Err(Error::MemoryLimit { bytes: memory_bytes_max, detail: format!("the answer has more than {GROUPS_MAX} rows") });
                }
                rows.push(Counted { at: (at.0 as usize, row), count, first, last, issued });
                last_key = Some(own);
            }
        }
    }
    Ok(rows)
}

fn strings(looked: &[Looked], number: usize, column: usize) -> Option<&StringArray> {
    looked.get(number)?.run.batch.columns().get(column)?.as_string_opt::<i32>()
}

fn text(looked: &[Looked], (number, row): (usize, usize), column: usize) -> Option<&str> {
    let strings = strings(looked, number, column)?;
    strings.is_valid(row).then(|| strings.value(row))
}

/// The texts of a column, in the order of the answer.
fn gathered(looked: &[Looked], rows: &[Counted], column: usize) -> Result<ArrayRef, arrow::error::ArrowError> {
    let arrays: Vec<&dyn Array> = (0..looked.len()).filter_map(|number| strings(looked, number, column)).map(|array| array as &dyn Array).collect();
    if arrays.is_empty() {
        return Ok(column::text(std::iter::empty::<Option<&str>>()));
    }
    interleave(&arrays, &rows.iter().map(|row| row.at).collect::<Vec<_>>())
}

/// When a row's credential was issued, and whether a record says so exactly.
fn age_since(row: &Counted, credential: Option<&str>, ledger: &FxHashMap<String, (i64, bool)>) -> Option<(i64, bool)> {
    row.issued.map(|(_, issued)| (issued, true)).or_else(|| ledger.get(credential?).copied())
}

/// The names at the other end.
fn others(looked: &[Looked], other: usize) -> FxHashSet<&str> {
    let mut names = FxHashSet::default();
    for (number, of) in looked.iter().enumerate() {
        names.extend(of.rows().filter_map(|row| text(looked, (number, row), other)));
    }
    names
}
