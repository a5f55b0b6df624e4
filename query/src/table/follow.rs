//! A table's files after one commit more, read from the commit itself. Whoever follows a writer would otherwise have the log's reader go through all files
//! at every commit. What a commit says besides which files come and go (another schema, another protocol) is left to that reader.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field};
use chrono::DateTime;
use keytrail_schemas::{Fingerprinted, Micros};
use object_store::ObjectMeta;
use object_store::path::Path;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::DAY;
use super::file_set::{File, FileSet};

/// A line of a commit (Delta protocol, "Actions"). Any other action is an error here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    add: Option<Add>,
    remove: Option<Remove>,
    #[serde(rename = "txn")]
    _txn: Option<IgnoredAny>,
    #[serde(rename = "commitInfo")]
    _commit_info: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Add {
    path: String,
    size: i64,
    modification_time: i64,
    #[serde(default)]
    partition_values: HashMap<String, Option<String>>,
    stats: Option<String>,
    deletion_vector: Option<Value>,
}

#[derive(Deserialize)]
struct Remove {
    path: String,
}

/// Statistics of a file as the log has them.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Statistics {
    num_records: Option<i64>,
    min_values: HashMap<String, Value>,
    max_values: HashMap<String, Value>,
    null_count: HashMap<String, Value>,
}

impl FileSet {
    /// The files after the commit that follows; `None` where it says more than which files come and go, or there is nothing yet that it could follow.
    pub(super) fn after(&self, commit: &[u8]) -> Option<Self> {
        let (version, statistics) = (self.version?, self.statistics.as_ref()?);
        // Without files the log's reader has not said what it knows of one.
        if self.files.is_empty() {
            return None;
        }
        let (mut added, mut gone): (FxHashMap<Path, (File, RecordBatch)>, FxHashSet<Path>) = Default::default();
        for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let line: Line = serde_json::from_slice(line).ok()?;
            if let Some(remove) = line.remove {
                gone.insert(Path::from_url_path(&remove.path).ok()?);
            }
            if let Some(add) = line.add {
                let (file, row) = self.added(&add, statistics)?;
                gone.insert(file.meta.location.clone());
                added.insert(file.meta.location.clone(), (file, row));
            }
        }
        let stays: Vec<bool> = self.files.iter().map(|file| !gone.contains(&file.meta.location)).collect();
        let touched: FxHashSet<Option<i32>> =
            self.files.iter().zip(&stays).filter(|(_, stays)| !**stays).map(|(file, _)| file.day).chain(added.values().map(|(file, _)| file.day)).collect();
        let kept =
            if stays.iter().all(|stays| *stays) { statistics.clone() } else { filter_record_batch(statistics, &BooleanArray::from(stays.clone())).ok()? };
        let mut files: Vec<File> = self.files.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(file, _)| file.clone()).collect();
        let mut rows = vec![kept];
        for (file, row) in added.into_values() {
            files.push(file);
            rows.push(row);
        }
        let statistics = concat_batches(&rows.first()?.schema(), &rows).ok()?;
        let mut days = self.days.clone();
        for day in touched.into_iter().flatten() {
            let of_day: Vec<&str> = files.iter().filter(|file| file.day == Some(day)).map(|file| file.meta.location.as_ref()).collect();
            if of_day.is_empty() {
                days.remove(&day.into());
            } else {
                days.insert(day.into(), Fingerprinted::of(of_day));
            }
        }
        Some(Self { name: self.name, version: Some(version + 1), files, days, rolled: Vec::new(), statistics: Some(statistics) })
    }

    /// A file that a commit adds, and the row of statistics that the log's reader would have for it.
    fn added(&self, add: &Add, like: &RecordBatch) -> Option<(File, RecordBatch)> {
        // What is deleted within a file is nothing that is known here.
        if add.deletion_vector.as_ref().is_some_and(|vector| !vector.is_null()) {
            return None;
        }
        let day = match self.name.partition_columns().is_empty() {
            true => None,
            false => {
                let text = add.partition_values.get(DAY)?.as_deref()?;
                Some(i32::try_from(Micros::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()?.day()).ok()?)
            }
        };
        let stats: Statistics = add.stats.as_deref().map(serde_json::from_str).transpose().ok()?.unwrap_or_default();
        let value = |name: &str| -> Option<Value> {
            let of = |prefix: &str, values: &HashMap<String, Value>| values.get(name.strip_prefix(prefix)?).cloned();
            match name {
                "path" => Some(add.path.as_str().into()),
                "size_bytes" => Some(add.size.into()),
                "modification_time" => Some(add.modification_time.into()),
                "num_records" => stats.num_records.map(Value::from),
                _ => of("min.", &stats.min_values).or_else(|| of("max.", &stats.max_values)).or_else(|| of("null_count.", &stats.null_count)).or_else(|| {
                    let text = add.partition_values.get(name.strip_prefix("partition.")?)?;
                    text.as_deref().map(Value::from)
                }),
            }
        };
        let schema = like.schema();
        let cells = schema.fields().iter().map(|field| cell(field, value(field.name()))).collect::<Option<Vec<_>>>()?;
        let row = RecordBatch::try_new(schema, cells).ok()?;
        let meta = ObjectMeta {
            location: Path::from_url_path(&add.path).ok()?,
            last_modified: DateTime::from_timestamp_millis(add.modification_time).unwrap_or_default(),
            size: u64::try_from(add.size).ok()?,
            e_tag: None,
            version: None,
        };
        Some((File { meta, day, rows: stats.num_records.and_then(|rows| u64::try_from(rows).ok()) }, row))
    }
}

/// A column of one value.
fn cell(field: &Field, value: Option<Value>) -> Option<ArrayRef> {
    let ty = field.data_type();
    let one: ArrayRef = match value {
        None | Some(Value::Null) => return Some(new_null_array(ty, 1)),
        Some(Value::Bool(flag)) => Arc::new(BooleanArray::from(vec![flag])),
        Some(Value::String(text)) => Arc::new(StringArray::from(vec![text])),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(number) => Arc::new(Int64Array::from(vec![number])),
            None => Arc::new(Float64Array::from(vec![number.as_f64()?])),
        },
        Some(_) => return None,
    };
    if one.data_type() == ty {
        return Some(one);
    }
    // A number is a time where the log counts it so; a text of one is read.
    match (one.data_type(), ty) {
        (DataType::Float64, DataType::Int64 | DataType::Int32) => None,
        _ => cast(&one, ty).ok(),
    }
}

#[cfg(test)]
mod tests {
    use keytrail_lake::{CompactOptions, Lake, Options, RollUpOptions};
    use keytrail_schemas::{Event, EventId, Outcome, Text, Topic};

    use super::super::{LiveTable, TableName};
    use super::*;

    /// Events from `from` on, a minute apart; every tenth is of a day before.
    fn events(numbers: std::ops::Range<i64>) -> Vec<Event> {
        let one = |number: i64| Event {
            event_id: EventId::of_provider("test", "", &number.to_string(), 0),
            time: Micros(1_772_323_200_000_123 + number * Micros::MINUTE - if number % 10 == 3 { Micros::DAY } else { 0 }),
            identity: Text::from(format!("k8s:prod:sa/{}", number % 7)),
            destination: (number % 3 > 0).then(|| Text::from("\u{e9}t\u{e9} 100%")),
            outcome: Outcome::Success,
            source: Text::from("test"),
            format: Text::from("keytrail"),
            log_offset: number,
            ..Event::default()
        };
        numbers.map(one).collect()
    }

    /// Everything that is known of a version, in an order that does not depend on the way.
    fn said(set: &FileSet) -> Vec<String> {
        let statistics = set.statistics.as_ref().unwrap();
        let shown = |row: usize| {
            let cell = |column: usize| arrow::util::display::array_value_to_string(statistics.column(column), row).unwrap();
            let cells = statistics.schema().fields().iter().enumerate().map(|(at, field)| format!("{}={}", field.name(), cell(at))).collect::<Vec<_>>();
            format!("{:?} {}", set.files[row], cells.join(" "))
        };
        let mut all: Vec<String> = (0..set.files.len()).map(shown).collect();
        all.sort();
        all.push(format!("{:?} {:?}", set.version, set.days));
        all
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_table_that_is_followed_is_the_table_that_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let url = url::Url::from_directory_path(folder.path()).unwrap();
        let lake = Lake::open(path, Options { checkpoint_commits: 5 }).await.unwrap();
        let commit = async |from: i64, to: i64| {
            lake.commit_events(&events(from..to), &[(Topic::Events, 0, to)]).await.unwrap();
        };
        commit(0, 40).await;
        let footers = datafusion::execution::runtime_env::RuntimeEnv::default().cache_manager.get_file_metadata_cache();
        let open = async |name| {
            let table = LiveTable::at(&url, None, name, &footers).unwrap();
            assert!(table.files().version.is_none(), "nothing is read before it is asked for");
            table.ready().await.unwrap();
            table
        };
        let names = [TableName::Events, TableName::Touches];
        let followers = [open(names[0]).await, open(names[1]).await];
        for round in 0..12_i64 {
            match round {
                3 | 8 => {
                    let options = CompactOptions { first_bytes_min: 0, fresh_files_min: 2, all: round == 8, ..CompactOptions::default() };
                    lake.compact(options).await.unwrap();
                }
                4 | 9 => {
                    lake.roll_up(&RollUpOptions { all: round == 9, files_min: 2, ..RollUpOptions::default() }).await.unwrap();
                }
                // How far was read, and no event.
                5 => {
                    lake.commit_events::<Event>(&[], &[(Topic::Events, 0, 1_000)]).await.unwrap();
                }
                _ => {
                    let from = if round > 5 { 1_000 + round * 100 } else { 40 + round * 100 };
                    commit(from, from + 60).await;
                    if round == 6 {
                        commit(from + 60, from + 90).await;
                    }
                }
            }
            for (name, follower) in names.into_iter().zip(&followers) {
                follower.refresh().await.unwrap();
                let anew = open(name).await;
                let (own, anew) = (follower.files(), anew.files());
                assert_eq!(own.version, anew.version, "{round} {name:?}");
                if anew.version.is_some() {
                    assert_eq!(said(&own), said(&anew), "{round} {name:?}");
                    assert_eq!(own.rolled.len(), anew.rolled.len());
                }
            }
        }
        assert!(followers[0].delta.lock().await.delta.is_none(), "it was followed, and not read anew");
        assert!(followers[0].files().files.len() > 1 && !followers[1].files().files.is_empty());
    }

    #[test]
    fn what_says_more_is_not_followed() {
        let set = FileSet::empty(TableName::Events);
        assert!(set.after(b"").is_none(), "there is nothing to follow");
        let read = |text: &str| serde_json::from_str::<Line>(text).is_ok();
        assert!(read(r#"{"txn":{"appId":"a","version":1}}"#) && read(r#"{"commitInfo":{"anything":[1]}}"#) && read(r#"{"remove":{"path":"a","size":3}}"#));
        assert!(!read(r#"{"metaData":{}}"#) && !read(r#"{"protocol":{}}"#) && !read(r#"{"cdc":{"path":"a"}}"#) && !read("{"));
    }
}
