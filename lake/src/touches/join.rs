//! Many small files of touches become few large ones, so that a question over years opens few; days that hold no more are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::kernel::Action;
use deltalake::protocol::DeltaOperation;
use futures::StreamExt;
use keytrail_schemas::{Micros, RolledDays};

use super::held::{Days, Held, holding};
use super::{RollUpOptions, RollUpReport};
use crate::append::DataFile;
use crate::merge::{Output, open, ordered, write};
use crate::parquet_file::Layout;
use crate::table_log::{Outcome, Proposal, Relies, TableLog};
use crate::{Error, Lake, Result};

/// A file is taken up with smaller ones unless it is this many times as large as all of them: a row is rewritten a logarithmic number of times.
const SIZE_RATIO: u64 = 3;
const ATTEMPTS_MAX: u32 = 5;

impl Lake {
    /// Removes files of touches of which no day holds, and joins the small ones once there are many.
    pub(super) async fn join_touches(&self, log: &TableLog, options: &RollUpOptions, report: &mut RollUpReport) -> Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            let days = Days::load(self.table(crate::TableName::Events)).await?;
            let (version, held) = Held::load(log).await?;
            let mut kept: BTreeMap<usize, RolledDays> = BTreeMap::new();
            for (day, index) in holding(&days, &held) {
                if let Some((_, of)) = held.get(index).and_then(|file| file.days.0.get_key_value(&day)) {
                    kept.entry(index).or_default().0.insert(day, *of);
                }
            }
            let joined = smallest(&held, &kept, options);
            let idle: Vec<usize> = (0..held.len()).filter(|index| !kept.contains_key(index)).collect();
            if joined.is_empty() && idle.is_empty() {
                return Ok(());
            }
            let id = self.next_id();
            let inputs: Vec<(String, RolledDays)> =
                joined.iter().filter_map(|index| Some((held.get(*index)?.path.clone(), kept.get(index)?.clone()))).collect();
            let files = if inputs.is_empty() { Vec::new() } else { merge(log, inputs, options, &id).await? };
            let gone: Vec<&Held> = joined.iter().chain(&idle).filter_map(|index| held.get(*index)).collect();
            let relies = Relies::OnFiles(version, gone.iter().map(|file| file.path.clone()).collect());
            let actions: Vec<Action> =
                gone.iter().map(|file| Action::Remove(file.file.remove_action(false))).chain(files.into_iter().map(|file| file.add(false))).collect();
            let operation = DeltaOperation::Optimize { predicate: None, target_size: i64::try_from(options.file_rows_max).unwrap_or(i64::MAX) };
            if let Outcome::Committed(version) = log.commit(Proposal { actions, operation, relies, id }).await? {
                report.files_joined += joined.len();
                report.files_removed += idle.len();
                self.checkpoint_when_due(log, version).await;
            }
        }
        Ok(())
    }
}

/// The files to join, by their place: none while there are few.
fn smallest(held: &[Held], kept: &BTreeMap<usize, RolledDays>, options: &RollUpOptions) -> Vec<usize> {
    let mut by_size: Vec<(u64, usize)> = kept
        .keys()
        .filter_map(|index| held.get(*index).map(|file| (file, *index)))
        .filter(|(file, _)| file.rows < options.file_rows_max)
        .map(|(file, index)| (file.bytes, index))
        .collect();
    if by_size.len() < options.files_min.max(2) {
        return Vec::new();
    }
    by_size.sort_unstable();
    let (mut taken, mut bytes, mut rows) = (Vec::new(), 0_u64, 0_u64);
    for (size, index) in by_size {
        let more = held.get(index).map_or(0, |file| file.rows);
        if taken.len() >= 2 && (size > bytes.saturating_mul(SIZE_RATIO) || rows + more > options.file_rows_max) {
            break;
        }
        taken.push(index);
        bytes += size;
        rows += more;
    }
    taken
}

/// Merges the days kept of each file into one new file, on a thread of its own.
async fn merge(log: &TableLog, inputs: Vec<(String, RolledDays)>, options: &RollUpOptions, id: &str) -> Result<Vec<DataFile>> {
    let mut days = RolledDays::default();
    inputs.iter().for_each(|(_, kept)| days.0.extend(&kept.0));
    let output = Output {
        day: None,
        layout: Layout::Sorted { row_group_rows: options.row_group_rows },
        name: format!("span-{id}"),
        file_rows_max: usize::MAX,
        note: Some((RolledDays::KEY, days.to_json())),
    };
    let (log, runtime) = (log.clone(), tokio::runtime::Handle::current());
    let shown = log.shown.clone();
    let merged = tokio::task::spawn_blocking(move || {
        let schema = log.name.file_schema();
        let mut streams = Vec::new();
        for (path, kept) in inputs {
            let Some((stream, _)) = open(&runtime, &log, &path, &schema)? else {
                return Err(Error::encoding(format!("{}{path}", log.shown), "join touches", "the file does not state the table's order".to_owned()));
            };
            streams.push(only(stream, kept.0.into_keys().collect()));
        }
        let stream = ordered(&schema, log.name.sort_columns(), streams).map_err(|e| Error::encoding(&log.shown, "join touches", e))?;
        write(&runtime, &log, stream, &output)
    });
    let (files, _) = merged.await.map_err(|e| Error::storage(shown, "join touches", e))??;
    Ok(files)
}

/// The rows of some days.
pub(super) fn only(stream: SendableRecordBatchStream, days: BTreeSet<i64>) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let position = schema.index_of("day");
    let days = Arc::new(days);
    let rows = stream.map(move |batch| {
        let batch = batch?;
        let position = position.as_ref().map_err(|e| DataFusionError::Execution(e.to_string()))?;
        let column = batch.column(*position).as_primitive::<TimestampMicrosecondType>();
        let wanted: BooleanArray = column.iter().map(|day| Some(day.is_some_and(|day| days.contains(&Micros(day).day())))).collect();
        if wanted.true_count() == batch.num_rows() { Ok(batch) } else { Ok(filter_record_batch(&batch, &wanted)?) }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
