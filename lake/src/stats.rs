//! The statistics of a data file as the Delta log carries them (Delta protocol, "Per-file Statistics"), taken from the Parquet
//! footer. Texts may be cut: the least one downwards, the greatest one upwards.

use keytrail_schemas::{Column, ColumnType, Micros};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value, json};

use crate::TableName;

/// `{"numRecords": …, "minValues": {…}, "maxValues": {…}, "nullCount": {…}}` over the table's pruned columns.
pub(crate) fn of_file(table: TableName, metadata: &ParquetMetaData) -> String {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for column in table.columns().iter().filter(|c| table.pruned_columns().contains(&c.name)) {
        let Some(range) = range_of(column, metadata) else { continue };
        nulls.insert(column.name.to_owned(), range.nulls.into());
        if let (Some(min), Some(max)) = (range.min, range.max)
            && let (Some(min), Some(max)) = (min.to_json(column.ty, false), max.to_json(column.ty, true))
        {
            least.insert(column.name.to_owned(), min);
            greatest.insert(column.name.to_owned(), max);
        }
    }
    json!({"numRecords": metadata.file_metadata().num_rows(), "minValues": least, "maxValues": greatest, "nullCount": nulls}).to_string()
}

#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Bound {
    Int(i64),
    Text(Vec<u8>),
}

#[derive(Debug, Default)]
struct Range {
    min: Option<Bound>,
    max: Option<Bound>,
    nulls: u64,
}

impl Bound {
    /// Timestamps have milliseconds in the log: the least is cut, the greatest goes up to the next one.
    fn to_json(&self, ty: ColumnType, up: bool) -> Option<Value> {
        match (self, ty) {
            (Self::Int(micros), ColumnType::Timestamp) => {
                let millis = if up { micros.checked_add(999)?.div_euclid(1000) } else { micros.div_euclid(1000) };
                Some(chrono::DateTime::from_timestamp_millis(millis)?.to_rfc3339_opts(chrono::SecondsFormat::Millis, true).into())
            }
            (Self::Int(value), _) => Some((*value).into()),
            (Self::Text(bytes), _) => String::from_utf8(bytes.clone()).ok().map(Value::from),
        }
    }
}

/// The range over all row groups; `None` when a row group does not say.
fn range_of(column: &Column, metadata: &ParquetMetaData) -> Option<Range> {
    let index = metadata.file_metadata().schema_descr().columns().iter().position(|c| c.path().string() == column.name)?;
    let mut all = Range::default();
    for group in metadata.row_groups() {
        let statistics = group.columns().get(index)?.statistics()?;
        let nulls = statistics.null_count_opt().unwrap_or(0);
        all.nulls += nulls;
        if i64::try_from(nulls).is_ok_and(|n| n == group.num_rows()) {
            continue;
        }
        let (min, max) = bounds(statistics)?;
        all.min = Some(all.min.map_or_else(|| min.clone(), |m| if min < m { min.clone() } else { m }));
        all.max = Some(all.max.map_or_else(|| max.clone(), |m| if max > m { max.clone() } else { m }));
    }
    Some(all)
}

fn bounds(statistics: &Statistics) -> Option<(Bound, Bound)> {
    match statistics {
        Statistics::Int32(s) => Some((Bound::Int((*s.min_opt()?).into()), Bound::Int((*s.max_opt()?).into()))),
        Statistics::Int64(s) => Some((Bound::Int(*s.min_opt()?), Bound::Int(*s.max_opt()?))),
        Statistics::ByteArray(s) => Some((Bound::Text(s.min_opt()?.data().to_vec()), Bound::Text(s.max_opt()?.data().to_vec()))),
        _ => None,
    }
}

/// The day as a Delta partition value and folder name, `YYYY-MM-DD`.
pub(crate) fn day_text(day: i64) -> String {
    Micros(day.saturating_mul(Micros::DAY)).date()
}

/// The day of a partition value.
pub(crate) fn day_of(text: &str) -> Option<i64> {
    Micros::parse_rfc3339(&format!("{text}T00:00:00Z")).ok().map(Micros::day)
}
