//! The acts of one identity: its events as a timeline shows them, without a planner. What was read of a file is kept, as files never change.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use keytrail_schemas::Micros;
use object_store::path::Path;
use rustc_hash::{FxHashMap, FxHashSet};

use super::TableName;
use super::file_set::File;
use super::look_up::{column, rows};
use super::looked::FILES_AT_ONCE;
use super::touches::Touches;

/// The columns of an act, all of them of events.
const ACT: [&str; 11] = ["time", "activity", "outcome", "identity", "credential", "destination", "protocol", "action", "source_ip", "event_id", "reason"];

/// Their schema; nullable throughout.
fn schema() -> SchemaRef {
    let events = TableName::Events.schema();
    Arc::new(Schema::new(ACT.iter().filter_map(|name| Some(events.field_with_name(name).ok()?.clone().with_nullable(true))).collect::<Vec<_>>()))
}

impl Touches {
    /// The acts of `identity` in the files that may hold `[from, to)`, and so also some that lie outside of it; `None` where they are more than
    /// `rows_max`, which is for a plan to stream.
    pub(crate) async fn acts(&self, identity: &str, from: Option<Micros>, to: Option<Micros>, rows_max: usize) -> Result<Option<RecordBatch>> {
        let (events, schema, hot) = (self.events.files(), schema(), &self.look_ups.acts);
        let known = hot.of((), identity);
        let files: Vec<&File> = events.within("time", from, to).into_iter().filter_map(|index| events.files.get(index)).collect();
        let mut missing = Vec::new();
        for file in files.iter().filter(|file| !known.files.contains_key(&file.meta.location)) {
            missing.push(self.acts_in(file, identity, &schema).boxed());
        }
        let is_all_known = missing.is_empty();
        let mut count: usize = files.iter().filter_map(|file| known.files.get(&file.meta.location)).map(|kept| kept.num_rows()).sum();
        let mut read: FxHashMap<Path, Arc<RecordBatch>> = FxHashMap::default();
        let mut reading = stream::iter(missing).buffer_unordered(FILES_AT_ONCE);
        while let Some((path, found)) = reading.try_next().await? {
            count += found.num_rows();
            if count > rows_max {
                return Ok(None);
            }
            read.insert(path, found);
        }
        drop(reading);
        if count > rows_max {
            return Ok(None);
        }
        let found = files.iter().filter_map(|file| {
            let path = &file.meta.location;
            known.files.get(path).or_else(|| read.get(path))
        });
        let acts = concat_batches(&schema, found.map(Arc::as_ref))?;
        if !is_all_known {
            let named: FxHashSet<&Path> = events.files.iter().map(|file| &file.meta.location).collect();
            hot.keep((), identity, read.into_iter().collect(), &named);
        }
        Ok(Some(acts))
    }

    async fn acts_in(&self, file: &File, identity: &str, schema: &SchemaRef) -> Result<(Path, Arc<RecordBatch>)> {
        let found = rows(&self.events, file, ("identity", identity), &ACT, &self.look_ups.footers).await?;
        let columns = schema.fields().iter().map(|field| column(&found, field.name(), field.data_type())).collect::<Result<Vec<_>>>()?;
        Ok((file.meta.location.clone(), Arc::new(RecordBatch::try_new(schema.clone(), columns)?)))
    }
}
