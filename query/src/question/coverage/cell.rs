//! Events per source and hour. Data files never change, so what a file holds is read once and remembered for as long as the
//! table names it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema, TimestampMicrosecondType};
use datafusion::error::DataFusionError;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use keytrail_schemas::Micros;
use rustc_hash::FxHashMap;

use crate::Error;
use crate::engine::Engine;
use crate::question::function::Period;
use crate::question::touch::within;
use crate::table::{FileSet, TableName, read_column};

const COLUMNS: [&str; 4] = ["time", "ingested_at", "source", "format"];
/// Files beyond which nothing more is remembered: some 24 cells of 100 bytes per file and source.
const FILES_MAX: usize = 100_000;

/// The events of one source and format in one hour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) events: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) lag_sum: f64,
    pub(crate) lag_max: i64,
}

/// Cells by (source, format) and hour since the epoch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cells {
    /// What could not be read: periods, as a person reads them.
    pub(crate) unreadable: BTreeSet<String>,
    pub(crate) by_source: BTreeMap<(String, String), BTreeMap<i64, Cell>>,
}

impl Cells {
    /// The hours of one source, over its formats.
    pub(crate) fn hours(&self, source: &str) -> BTreeMap<i64, Cell> {
        let mut all = BTreeMap::new();
        for (_, hours) in self.by_source.iter().filter(|((name, _), _)| name == source) {
            for (hour, cell) in hours {
                merge(&mut all, *hour, *cell);
            }
        }
        all
    }

    fn absorb(&mut self, other: &Self, keep: impl Fn(i64) -> bool) {
        self.unreadable.extend(other.unreadable.iter().cloned());
        for (key, hours) in &other.by_source {
            let mut kept = hours.iter().filter(|(hour, _)| keep(**hour)).peekable();
            if kept.peek().is_some() {
                let own = self.by_source.entry(key.clone()).or_default();
                kept.for_each(|(hour, cell)| merge(own, *hour, *cell));
            }
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let [times, read, sources, formats] = batch.columns() else { return Ok(()) };
        let (times, read) = (times.as_primitive::<TimestampMicrosecondType>(), read.as_primitive::<TimestampMicrosecondType>());
        let (sources, formats) = (sources.as_string::<i32>(), formats.as_string::<i32>());
        // Neighbouring rows mostly share source, format and hour: they are counted together before they are looked up.
        let mut row = 0;
        while row < batch.num_rows() {
            let (source, format, hour) = (sources.value(row), formats.value(row), times.value(row).div_euclid(Micros::HOUR));
            let mut cell = one(times.value(row), read.value(row));
            row += 1;
            while row < batch.num_rows() && times.value(row).div_euclid(Micros::HOUR) == hour && sources.value(row) == source && formats.value(row) == format {
                cell.absorb(one(times.value(row), read.value(row)));
                row += 1;
            }
            match self.by_source.iter_mut().find(|((s, f), _)| s == source && f == format) {
                Some((_, hours)) => merge(hours, hour, cell),
                None => {
                    self.by_source.insert((source.to_owned(), format.to_owned()), BTreeMap::from([(hour, cell)]));
                }
            }
        }
        Ok(())
    }
}

impl Cell {
    fn absorb(&mut self, other: Self) {
        self.events += other.events;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.lag_sum += other.lag_sum;
        self.lag_max = self.lag_max.max(other.lag_max);
    }
}

#[expect(clippy::cast_precision_loss, reason = "lags are far below 2^52 microseconds")]
fn one(time: i64, read: i64) -> Cell {
    let lag = (read - time).max(0);
    Cell { events: 1, first: time, last: time, lag_sum: lag as f64, lag_max: lag }
}

fn merge(hours: &mut BTreeMap<i64, Cell>, hour: i64, cell: Cell) {
    hours.entry(hour).and_modify(|known| known.absorb(cell)).or_insert(cell);
}

/// What is remembered of files, by their path.
pub(crate) type Remembered = FxHashMap<String, Arc<Cells>>;

/// The cells of `period`: whole hours from memory, the hours that its bounds cut from the rows themselves.
pub(crate) async fn read(engine: &Engine, period: Period) -> Result<Cells, Error> {
    let bound = |time: Option<Micros>| time.map(|time| (time.0.div_euclid(Micros::HOUR), time.0.rem_euclid(Micros::HOUR) != 0));
    let (from, to) = (bound(period.from), bound(period.to));
    // Whole hours from `from` rounded up to `to` rounded down.
    let whole = |hour: i64| from.is_none_or(|(first, cut)| hour > first || (hour == first && !cut)) && to.is_none_or(|(last, _)| hour < last);
    let mut cells = Cells::default();
    for file in files(engine, period).await? {
        cells.absorb(&file, whole);
    }
    for hour in cut_hours(period, from, to) {
        let plan = engine.scan(TableName::Events, &COLUMNS, within(hour), None)?;
        match engine.fold(plan, Cells::default, Cells::add).await {
            Ok(parts) => parts.iter().for_each(|part| cells.absorb(part, |_| true)),
            // The file is among those of the period, and named there.
            Err(Error::Execution(_)) if !cells.unreadable.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(cells)
}

/// The parts of hours at the period's ends.
fn cut_hours(period: Period, from: Option<(i64, bool)>, to: Option<(i64, bool)>) -> Vec<Period> {
    let start = |hour: i64| Micros(hour * Micros::HOUR);
    match (from, to) {
        (Some((first, true)), Some((last, _))) if first == last => vec![period],
        _ => {
            let head = from.filter(|(_, cut)| *cut).map(|(first, _)| Period { from: period.from, to: Some(start(first + 1)) });
            let tail = to.filter(|(_, cut)| *cut).map(|(last, _)| Period { from: Some(start(last)), to: period.to });
            head.into_iter().chain(tail).collect()
        }
    }
}

/// The cells of every file that may hold events of the period.
async fn files(engine: &Engine, period: Period) -> Result<Vec<Arc<Cells>>, Error> {
    let set = engine.table(TableName::Events).files();
    let wanted = set.within("time", period.from, period.to);
    let path = |index: usize| set.files.get(index).map(|file| file.meta.location.to_string()).unwrap_or_default();
    let (known, missing): (Vec<_>, Vec<_>) =
        engine.with_remembered(|remembered| wanted.iter().map(|&index| (index, remembered.get(&path(index)).cloned())).partition(|(_, cells)| cells.is_some()));
    let reading: Vec<_> = missing.into_iter().map(|(index, _)| read_file(engine, &set, index)).collect();
    let read: Vec<(usize, Arc<Cells>)> = stream::iter(reading).buffer_unordered(engine.options().partitions()).try_collect().await?;
    engine.with_remembered(|remembered| {
        let named: rustc_hash::FxHashSet<String> = set.files.iter().map(|file| file.meta.location.to_string()).collect();
        remembered.retain(|path, _| named.contains(path));
        for (index, cells) in &read {
            if remembered.len() < FILES_MAX && cells.unreadable.is_empty() {
                remembered.insert(path(*index), cells.clone());
            }
        }
    });
    Ok(known.into_iter().filter_map(|(_, cells)| cells).chain(read.into_iter().map(|(_, cells)| cells)).collect())
}

/// The cells of one file. What cannot be read is said, and not remembered: the file may come back.
async fn read_file(engine: &Engine, set: &FileSet, index: usize) -> Result<(usize, Arc<Cells>), Error> {
    let add = |cells: &mut Cells, found: RecordBatch| cells.add(&conformed(&found)?).map_err(|e| DataFusionError::External(Box::new(e)));
    let mut cells = Cells::default();
    match engine.whole(TableName::Events, (set, index), &COLUMNS, Cells::default(), add).await {
        Ok(read) => cells = read,
        Err(Error::Execution(error)) => {
            tracing::warn!(%error, period = %set.period_of(index), "a file of events cannot be read");
            cells.unreadable.insert(set.period_of(index));
        }
        Err(error) => return Err(error),
    }
    Ok((index, Arc::new(cells)))
}

/// The columns as [`Cells::add`] takes them.
fn conformed(found: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
    let schema = TableName::Events.schema();
    let of = |name: &str| Ok(schema.field_with_name(name)?.clone().with_nullable(true));
    let fields = COLUMNS.iter().map(|name| of(name)).collect::<Result<Vec<Field>, DataFusionError>>()?;
    let columns = fields.iter().map(|field| read_column(found, field.name(), field.data_type())).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
