//! Where a table's log stands: its version and the `txn` actions in force.
//!
//! The head is small and is advanced by reading the commits that others made since, so that an append costs the same whether the
//! table has ten files or a hundred thousand. It does not know the table's files; [`crate::table_log`] loads those where needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use deltalake::kernel::{Action, Version};
use deltalake::logstore::{LogStore, LogStoreRef, get_actions};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Error, Result};

/// Version, and per appId the version of its last transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) transactions: Arc<BTreeMap<String, i64>>,
}

impl Head {
    /// Reads the log from its last checkpoint on.
    pub(crate) async fn load(log: &LogStoreRef, shown: &str) -> Result<Self> {
        let store = log.object_store(None);
        let mut head = Self::default();
        let mut next = 0;
        if let Some(checkpoint) = last_checkpoint(store.as_ref(), shown).await? {
            for part in &checkpoint.parts {
                let bytes = store
                    .get(part)
                    .await
                    .map_err(|e| Error::storage(shown, "read a checkpoint", e))?
                    .bytes()
                    .await
                    .map_err(|e| Error::storage(shown, "read a checkpoint", e))?;
                let transactions = transactions_of(bytes).map_err(|e| Error::encoding(shown, "read a checkpoint", e))?;
                Arc::make_mut(&mut head.transactions).extend(transactions);
            }
            head.version = checkpoint.version;
            next = checkpoint.version + 1;
        }
        head.read_from(next, log, shown, &mut |_, _| {}).await?;
        Ok(head)
    }

    /// Applies the commits made since, showing each action with its version to `each`.
    pub(crate) async fn catch_up(&mut self, log: &LogStoreRef, shown: &str, each: &mut (dyn FnMut(Version, &Action) + Send)) -> Result<()> {
        self.read_from(self.version + 1, log, shown, each).await
    }

    async fn read_from(&mut self, mut next: Version, log: &LogStoreRef, shown: &str, each: &mut (dyn FnMut(Version, &Action) + Send)) -> Result<()> {
        while let Some(bytes) = log.read_commit_entry(next).await.map_err(|e| Error::storage(shown, "read the table's log", e))? {
            for action in get_actions(next, &bytes).map_err(|e| Error::storage(shown, "read the table's log", e))? {
                self.apply(&action);
                each(next, &action);
            }
            self.version = next;
            next += 1;
        }
        Ok(())
    }

    /// Takes over what a commit says of transactions.
    pub(crate) fn apply(&mut self, action: &Action) {
        if let Action::Txn(transaction) = action {
            Arc::make_mut(&mut self.transactions).insert(transaction.app_id.clone(), transaction.version);
        }
    }

    /// Whether the commit that the head stands on is still in the log. When it is not, the log was cleaned behind this process, and
    /// the next version may be long past.
    pub(crate) async fn is_in_log(&self, log: &LogStoreRef, shown: &str) -> Result<bool> {
        match log.object_store(None).head(&commit_path(self.version)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(Error::storage(shown, "read the table's log", e)),
        }
    }
}

fn commit_path(version: Version) -> Path {
    Path::from_iter(["_delta_log", &format!("{version:020}.json")])
}

struct Checkpoint {
    version: Version,
    parts: Vec<Path>,
}

/// The version of the newest complete checkpoint.
pub(crate) async fn newest_checkpoint(store: &dyn ObjectStore, shown: &str) -> Result<Option<Version>> {
    Ok(last_checkpoint(store, shown).await?.map(|checkpoint| checkpoint.version))
}

/// The newest complete checkpoint, found by listing: the hint in `_last_checkpoint` may be missing or old.
async fn last_checkpoint(store: &dyn ObjectStore, shown: &str) -> Result<Option<Checkpoint>> {
    let folder = Path::from("_delta_log");
    let listed = store.list_with_delimiter(Some(&folder)).await.map_err(|e| Error::storage(shown, "list the table's log", e))?;
    // Version → parts expected → paths found.
    let mut found: BTreeMap<Version, BTreeMap<usize, Vec<Path>>> = BTreeMap::new();
    for object in listed.objects {
        if let Some((version, parts)) = object.location.filename().and_then(checkpoint_name) {
            found.entry(version).or_default().entry(parts).or_default().push(object.location);
        }
    }
    let complete = found
        .into_iter()
        .rev()
        .find_map(|(version, kinds)| kinds.into_iter().find(|(parts, paths)| paths.len() >= *parts).map(|(_, parts)| Checkpoint { version, parts }));
    Ok(complete)
}

/// `VERSION.checkpoint.parquet` (one part), `VERSION.checkpoint.UUID.parquet` (one part), `VERSION.checkpoint.I.N.parquet` (N parts).
fn checkpoint_name(name: &str) -> Option<(Version, usize)> {
    let (version, rest) = name.split_once(".checkpoint.")?;
    let version = version.parse().ok()?;
    let rest = rest.strip_suffix("parquet")?;
    match rest.trim_end_matches('.').split_once('.') {
        Some((_, parts)) => Some((version, parts.parse().ok()?)),
        None => Some((version, 1)),
    }
}

fn transactions_of(bytes: bytes::Bytes) -> Result<Vec<(String, i64)>, parquet::errors::ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn"]);
    let mut transactions = Vec::new();
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let Some(column) = batch.column_by_name("txn").and_then(|c| c.as_struct_opt()) else { continue };
        let (Some(ids), Some(versions)) = (column.column_by_name("appId"), column.column_by_name("version").and_then(|c| c.as_primitive_opt::<Int64Type>()))
        else {
            continue;
        };
        let ids = arrow::compute::cast(ids, &arrow::datatypes::DataType::Utf8)?;
        let ids = ids.as_string::<i32>();
        transactions.extend(
            (0..batch.num_rows())
                .filter(|&row| column.is_valid(row) && ids.is_valid(row) && versions.is_valid(row))
                .map(|row| (ids.value(row).to_owned(), versions.value(row))),
        );
    }
    Ok(transactions)
}

#[cfg(test)]
mod tests {
    use super::checkpoint_name;

    #[test]
    fn checkpoints_are_told_by_their_names() {
        assert_eq!(checkpoint_name("00000000000000000100.checkpoint.parquet"), Some((100, 1)));
        assert_eq!(checkpoint_name("00000000000000000100.checkpoint.0000000002.0000000003.parquet"), Some((100, 3)));
        assert_eq!(checkpoint_name("00000000000000000100.json"), None);
        assert_eq!(checkpoint_name("_last_checkpoint"), None);
    }
}
