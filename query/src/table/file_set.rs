//! The files of one version of a table with the statistics that its log holds: what pruning decides on.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType};
use chrono::DateTime;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use deltalake::{DeltaTable, DeltaTableError};
use keytrail_schemas::{Fingerprinted, Micros, RolledDays};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::{DAY, TableName};
use crate::Error;

/// What readers of version 3 tables may demand of us: these change nothing about how data files are read.
const READER_FEATURES: [&str; 4] = ["timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "columnMapping"];

/// One version's files.
#[derive(Debug)]
pub(crate) struct FileSet {
    /// The table.
    pub(crate) name: TableName,
    /// The table's version; `None` while the table is not there.
    pub(crate) version: Option<u64>,
    /// The files, in the order of the log.
    pub(crate) files: Vec<File>,
    /// Per day, where the table has days, the fingerprint of its files.
    pub(crate) days: BTreeMap<i64, Fingerprinted>,
    /// Per file, where the table is a roll-up, the days that it was computed from.
    pub(crate) rolled: Vec<Arc<RolledDays>>,
    /// One row per file: `num_records`, `min.COLUMN`, `max.COLUMN`, `null_count.COLUMN`, `partition.COLUMN`.
    pub(super) statistics: Option<RecordBatch>,
}

/// One data file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Where it is, relative to the table.
    pub(crate) meta: ObjectMeta,
    /// Its day, where the table is partitioned by one.
    pub(crate) day: Option<i32>,
    /// Its rows, where the log says so.
    pub(crate) rows: Option<u64>,
}

impl FileSet {
    /// No files.
    pub(crate) const fn empty(name: TableName) -> Self {
        Self { name, version: None, files: Vec::new(), days: BTreeMap::new(), rolled: Vec::new(), statistics: None }
    }

    /// The files of `delta`'s current version.
    pub(crate) fn of(name: TableName, delta: &DeltaTable) -> Result<Self, Error> {
        let lake = |source: DeltaTableError| Error::Lake { table: name.folder(), source: Box::new(source) };
        let state = delta.snapshot().map_err(lake)?;
        refuse_unknown_features(name, state)?;
        let actions = state.add_actions_table(true).map_err(lake)?;
        let column = |wanted: &str| {
            actions.column_by_name(wanted).ok_or_else(|| lake(DeltaTableError::Generic(format!("the log's list of files has no column {wanted}"))))
        };
        let paths = arrow::compute::cast(column("path")?, &DataType::Utf8).map_err(|e| lake(e.into()))?;
        let sizes = arrow::compute::cast(column("size_bytes")?, &DataType::Int64).map_err(|e| lake(e.into()))?;
        let modified = arrow::compute::cast(column("modification_time")?, &DataType::Int64).map_err(|e| lake(e.into()))?;
        let days = actions
            .column_by_name(&format!("partition.{DAY}"))
            .map(|days| arrow::compute::cast(days, &DataType::Date32))
            .transpose()
            .map_err(|e| lake(e.into()))?;
        let rows = actions.column_by_name("num_records").map(|rows| arrow::compute::cast(rows, &DataType::Int64)).transpose().map_err(|e| lake(e.into()))?;
        let mut files = Vec::with_capacity(actions.num_rows());
        for index in 0..actions.num_rows() {
            let path = paths.as_string::<i32>().value(index);
            files.push(File {
                meta: ObjectMeta {
                    location: Path::from_url_path(path).map_err(|e| lake(DeltaTableError::Generic(format!("{path:?} is not a path: {e}"))))?,
                    last_modified: DateTime::from_timestamp_millis(modified.as_primitive::<Int64Type>().value(index)).unwrap_or_default(),
                    size: u64::try_from(sizes.as_primitive::<Int64Type>().value(index)).unwrap_or_default(),
                    e_tag: None,
                    version: None,
                },
                day: days.as_ref().filter(|days| days.is_valid(index)).map(|days| days.as_primitive::<Date32Type>().value(index)),
                rows: rows.as_ref().filter(|rows| rows.is_valid(index)).and_then(|rows| u64::try_from(rows.as_primitive::<Int64Type>().value(index)).ok()),
            });
        }
        let mut of_day: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for file in &files {
            if let Some(day) = file.day {
                of_day.entry(day.into()).or_default().push(file.meta.location.as_ref());
            }
        }
        let days = of_day.into_iter().map(|(day, paths)| (day, Fingerprinted::of(paths))).collect();
        Ok(Self { name, version: Some(state.version()), files, days, rolled: Vec::new(), statistics: Some(actions) })
    }

    /// The files whose greatest `column` may be the table's greatest: all within a millisecond (the log's precision) of it,
    /// and those without statistics.
    pub(crate) fn files_with_latest(&self, column: &str) -> Vec<usize> {
        let Some(latest) = self.times(&format!("max.{column}")) else { return (0..self.files.len()).collect() };
        let Some(most) = arrow::compute::max(&latest) else { return (0..self.files.len()).collect() };
        (0..self.files.len()).filter(|&i| latest.is_null(i) || latest.value(i) >= most - 1_000).collect()
    }

    /// The files that may hold rows whose `column` lies in `[from, to)`.
    pub(crate) fn within(&self, column: &str, from: Option<Micros>, to: Option<Micros>) -> Vec<usize> {
        let (least, most) = (self.times(&format!("min.{column}")), self.times(&format!("max.{column}")));
        let known =
            |times: &Option<TimestampMicrosecondArray>, index: usize| times.as_ref().filter(|times| times.is_valid(index)).map(|times| times.value(index));
        let after = |index: usize| known(&most, index).is_none_or(|most| from.is_none_or(|from| most + 999 >= from.0));
        let before = |index: usize| known(&least, index).is_none_or(|least| to.is_none_or(|to| least < to.0));
        (0..self.files.len()).filter(|&index| after(index) && before(index)).collect()
    }

    /// What a file covers, for a person: its day, or the span of its rows' times, or all that may be.
    pub(crate) fn period_of(&self, index: usize) -> String {
        if let Some(day) = self.files.get(index).and_then(|file| file.day) {
            return Micros(i64::from(day).saturating_mul(Micros::DAY)).date();
        }
        let of = |which: &str| {
            ["time", "first_event_time", "ingested_at", "day"]
                .iter()
                .filter_map(|column| self.times(&format!("{which}.{column}")))
                .find_map(|times| times.is_valid(index).then(|| Micros(times.value(index)).to_rfc3339()))
        };
        match (of("min"), of("max")) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "a part of it".to_owned(),
        }
    }

    fn statistic(&self, name: &str) -> Option<ArrayRef> {
        self.statistics.as_ref()?.column_by_name(name).cloned()
    }

    fn times(&self, name: &str) -> Option<TimestampMicrosecondArray> {
        let array = arrow::compute::cast(&self.statistic(name)?, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).ok()?;
        Some(array.as_primitive::<TimestampMicrosecondType>().clone())
    }
}

fn refuse_unknown_features(name: TableName, state: &deltalake::table::state::DeltaTableState) -> Result<(), Error> {
    let unsupported = |feature: String| Error::UnsupportedTable { table: name.folder(), feature };
    let protocol = serde_json::to_value(state.protocol()).unwrap_or_default();
    let features = protocol.get("readerFeatures").and_then(serde_json::Value::as_array).into_iter().flatten().filter_map(serde_json::Value::as_str);
    if let Some(feature) = features.into_iter().find(|feature| !READER_FEATURES.contains(feature)) {
        return Err(unsupported(feature.to_owned()));
    }
    match state.metadata().configuration().get("delta.columnMapping.mode") {
        Some(mode) if mode != "none" => Err(unsupported(format!("columnMapping ({mode})"))),
        _ => Ok(()),
    }
}

/// The log keeps times to the millisecond, cut down: a greatest value may be up to 999 µs more than it says.
fn round_up(array: &ArrayRef) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Some(Arc::new(
            array.as_primitive::<TimestampMicrosecondType>().unary::<_, TimestampMicrosecondType>(|us| us.saturating_add(999)).with_timezone_opt(zone.clone()),
        )),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => Some(Arc::new(
            array
                .as_primitive::<TimestampMillisecondType>()
                .unary::<_, TimestampMicrosecondType>(|ms| ms.saturating_mul(1_000).saturating_add(999))
                .with_timezone_opt(zone.clone()),
        )),
        _ => Some(array.clone()),
    }
}

impl PruningStatistics for FileSet {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.statistic(&format!("partition.{}", column.name)).or_else(|| self.statistic(&format!("min.{}", column.name)))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.statistic(&format!("partition.{}", column.name)).or_else(|| round_up(&self.statistic(&format!("max.{}", column.name))?))
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        arrow::compute::cast(&self.statistic(&format!("null_count.{}", column.name))?, &DataType::UInt64).ok()
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(|file| file.rows).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
