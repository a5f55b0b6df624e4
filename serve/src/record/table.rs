//! Table `queries`: the record's files, read when they are asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{COLUMNS, Entry, files};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

/// Entries in a batch.
const BATCH_ROWS: usize = 4_096;

/// Table `queries` of the data folder `dir`.
///
/// # Errors
/// None that is known: its columns are fixed.
pub fn table(dir: &Path) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let schema: SchemaRef = Arc::new(Schema::new(COLUMNS.iter().map(keytrail_schemas::Column::field).collect::<Vec<_>>()));
    let files = Files { schema: schema.clone(), dir: dir.to_owned() };
    Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(files)])?))
}

#[derive(Debug)]
struct Files {
    schema: SchemaRef,
    dir: PathBuf,
}

impl PartitionStream for Files {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads on a thread of its own, a bounded number of batches ahead.
    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (send, receive) = tokio::sync::mpsc::channel(2);
        let (dir, schema) = (self.dir.clone(), self.schema.clone());
        tokio::task::spawn_blocking(move || {
            let failed = read(&dir, &schema, |batch| send.blocking_send(Ok(batch)).is_ok());
            if let Err(error) = failed {
                let _ = send.blocking_send(Err(error));
            }
        });
        let batches = futures::stream::unfold(receive, |mut receive| async move { receive.recv().await.map(|batch| (batch, receive)) });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}

/// Reads every file, oldest first, until `take` has enough.
fn read(dir: &Path, schema: &SchemaRef, mut take: impl FnMut(arrow::array::RecordBatch) -> bool) -> Result<(), DataFusionError> {
    use std::io::BufRead as _;
    let mut decoder = arrow::json::ReaderBuilder::new(schema.clone()).with_batch_size(BATCH_ROWS).build_decoder()?;
    let mut waiting = Vec::with_capacity(BATCH_ROWS);
    for path in files(dir) {
        let file = std::fs::File::open(&path).map_err(|error| DataFusionError::External(format!("{}: {error}", path.display()).into()))?;
        for line in std::io::BufReader::new(file).split(b'\n') {
            // The last line of a file may be on its way to the disk; a line that was cut off by a crash says nothing.
            let Ok(entry) = serde_json::from_slice::<Entry>(&line?) else { continue };
            waiting.push(entry);
            if waiting.len() == BATCH_ROWS {
                decoder.serialize(&waiting)?;
                waiting.clear();
                if let Some(batch) = decoder.flush()?
                    && !take(batch)
                {
                    return Ok(());
                }
            }
        }
    }
    decoder.serialize(&waiting)?;
    if let Some(batch) = decoder.flush()? {
        take(batch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use keytrail_schemas::Micros;

    use super::super::Record;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::of(folder.path());
        for rows in 0..5_000 {
            record.write(Entry { time: Micros(1_767_225_600_000_000), user: "ann".to_owned(), text: "x".repeat(5_000), rows, ..Entry::default() });
        }
        let path = folder.path().join("access/queries.ndjson");
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"time\": 17");
        std::fs::write(&path, text).unwrap();
        let schema: SchemaRef = Arc::new(Schema::new(COLUMNS.iter().map(keytrail_schemas::Column::field).collect::<Vec<_>>()));
        let mut batches = Vec::new();
        read(folder.path(), &schema, |batch| {
            batches.push(batch);
            true
        })
        .unwrap();
        assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 5_000);
        assert_eq!(files(folder.path()).len(), 1);
    }
}
