//! One table's Delta log: opening or creating it, its files, and the atomic commit.
//!
//! Commits go through deltalake's log store (put-if-absent of the next version). Conflicts are judged here and not by deltalake's
//! `CommitBuilder`, for two reasons: that one replays the table's whole file list for every commit, and it lets two compactions of the
//! same files both succeed, because it overlooks removals that do not change data.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::Schema;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{Action, LogicalFileView, Snapshot, StructType, Transaction, Version};
use deltalake::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, default_logstore};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use url::Url;

use crate::head::Head;
use crate::location::{Location, shown};
use crate::table::DAY;
use crate::{Error, Result, TableName};

const COMMIT_ATTEMPTS_MAX: u32 = 100;
const RETRY_DELAY_MS: u64 = 3;
const FORMAT_PROPERTY: &str = "keytrail.format";
const FORMAT: u32 = 1;
/// Names the commit in its `commitInfo`, so that one whose acknowledgement was lost is recognised as one's own.
const COMMIT_ID: &str = "keytrailCommit";

/// A table's log, and where this process saw it stand.
#[derive(Debug, Clone)]
pub(crate) struct TableLog {
    pub(crate) name: TableName,
    /// The table's path or URL, for people.
    pub(crate) shown: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    log: LogStoreRef,
    head: Arc<Mutex<Head>>,
}

/// What a commit relies on.
#[derive(Debug)]
#[allow(clippy::enum_variant_names, reason = "read as: relies on transactions, on files")]
pub(crate) enum Relies {
    /// appIds stand at these versions (−1: none yet); else the writer is fenced.
    OnTransactions(BTreeMap<String, i64>),
    /// At this version, these files are active; none may be removed by another.
    OnFiles(Version, HashSet<String>),
    /// Since this version, no file was added or removed.
    OnAllFiles(Version),
}

/// A commit to be made.
pub(crate) struct Proposal {
    pub(crate) actions: Vec<Action>,
    pub(crate) operation: DeltaOperation,
    pub(crate) relies: Relies,
    pub(crate) id: String,
}

/// What became of a proposal.
pub(crate) enum Outcome {
    /// It is in the log.
    Committed(Version),
    /// Files that it relied on changed; look again and propose anew.
    Overtaken,
}

impl TableLog {
    /// Opens the table, or creates it where there is none.
    pub(crate) async fn open(location: &Location, name: TableName, checkpoint_commits: u32) -> Result<Self> {
        let url = location.folder(name.as_str())?;
        let (store, path) = (location.within(&url)?, shown(&url));
        let log = default_logstore(store.clone(), location.store.clone(), &url, &StorageConfig::default());
        let exists = || async { log.is_delta_table_location().await.map_err(|e| Error::storage(&path, "look for the table", e)) };
        if !exists().await? {
            // Of two processes that create it at once, one wins, and the other finds it there.
            if let Err(error) = create(&log, name, &url, checkpoint_commits).await
                && !exists().await?
            {
                return Err(Error::storage(&path, "create the table", error));
            }
        }
        let snapshot = Snapshot::try_new(log.as_ref(), None).await.map_err(|e| unreadable(&path, e))?;
        let snapshot =
            if widen(&log, name, &path, &snapshot).await? { Snapshot::try_new(log.as_ref(), None).await.map_err(|e| unreadable(&path, e))? } else { snapshot };
        verify(name, &path, &snapshot)?;
        let head = Head::load(&log, &path).await?;
        Ok(Self { name, shown: path, store, log, head: Arc::new(Mutex::new(head)) })
    }

    /// The head as this process last saw it.
    pub(crate) fn head(&self) -> Head {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The head as it stands now.
    pub(crate) async fn refresh(&self) -> Result<Head> {
        let mut head = self.head();
        if !head.is_in_log(&self.log, &self.shown).await? {
            head = Head::load(&self.log, &self.shown).await?;
        }
        head.catch_up(&self.log, &self.shown, &mut |_, _| {}).await?;
        self.keep(&head);
        Ok(head)
    }

    fn keep(&self, head: &Head) {
        let mut kept = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if head.version >= kept.version {
            *kept = head.clone();
        }
    }

    /// Loads the table with all its files.
    pub(crate) async fn load(&self) -> Result<DeltaTable> {
        let mut table = DeltaTable::new(self.log.clone());
        table.load().await.map_err(|e| unreadable(&self.shown, e))?;
        Ok(table)
    }

    /// The version and the active files at it.
    pub(crate) async fn files(&self) -> Result<(Version, Vec<LogicalFileView>)> {
        let table = self.load().await?;
        let state = table.snapshot().map_err(|e| unreadable(&self.shown, e))?;
        Ok((state.version(), state.log_data().iter().collect()))
    }

    /// Makes the proposal the next version of the table. Appends by other appIds are let pass.
    pub(crate) async fn commit(&self, proposal: Proposal) -> Result<Outcome> {
        let Proposal { mut actions, operation, relies, id } = proposal;
        let transactions: Vec<Transaction> =
            actions.extract_if(.., |a| matches!(a, Action::Txn(_))).filter_map(|a| if let Action::Txn(t) = a { Some(t) } else { None }).collect();
        let blind = matches!(relies, Relies::OnTransactions(_));
        let metadata = HashMap::from([(COMMIT_ID.to_owned(), id.clone().into()), ("isBlindAppend".to_owned(), blind.into())]);
        let data = CommitData::new(actions, operation, metadata, transactions);
        let bytes = data.get_bytes().map_err(|e| Error::storage(&self.shown, "encode a commit", e))?;

        let mut head = self.head();
        if !head.is_in_log(&self.log, &self.shown).await? {
            head = Head::load(&self.log, &self.shown).await?;
        }
        if let Relies::OnFiles(version, _) | Relies::OnAllFiles(version) = &relies
            && *version > head.version
        {
            head = self.refresh().await?;
        }
        let seen_from = head.version;
        let mut overtaken = false;
        let mut own = None;
        for attempt in 0..COMMIT_ATTEMPTS_MAX {
            let from = match &relies {
                // The files were listed at an older version than the head: judge what happened between as well.
                Relies::OnFiles(version, _) | Relies::OnAllFiles(version) if attempt == 0 && *version < seen_from => *version,
                _ => head.version,
            };
            let mut reader = Head { version: from, ..head.clone() };
            reader
                .catch_up(&self.log, &self.shown, &mut |version, action| match (action, &relies) {
                    (Action::CommitInfo(info), _) if info.info.get(COMMIT_ID).and_then(|v| v.as_str()) == Some(&id) => own = Some(version),
                    (Action::Metadata(_) | Action::Protocol(_), Relies::OnFiles(..) | Relies::OnAllFiles(_)) => overtaken = true,
                    (Action::Remove(remove), Relies::OnFiles(_, inputs)) if inputs.contains(&remove.path) => overtaken = true,
                    (Action::Add(_) | Action::Remove(_), Relies::OnAllFiles(_)) => overtaken = true,
                    _ => {}
                })
                .await?;
            // The log was cleaned behind the files' version: nobody can say what happened since.
            overtaken |= reader.version < head.version;
            if !overtaken {
                head = reader;
                self.keep(&head);
            }
            if let Some(version) = own {
                return Ok(Outcome::Committed(version));
            }
            if overtaken {
                return Ok(Outcome::Overtaken);
            }
            if let Relies::OnTransactions(expected) = &relies {
                self.fence(&head, expected)?;
            }
            let version = head.version + 1;
            match self.log.write_commit_entry(version, CommitOrBytes::LogBytes(bytes.clone()), Default::default()).await {
                Ok(()) => {
                    head.version = version;
                    data.actions.iter().for_each(|action| head.apply(action));
                    self.keep(&head);
                    return Ok(Outcome::Committed(version));
                }
                Err(TransactionError::VersionAlreadyExists(_)) => {
                    tracing::debug!(table = %self.name, version, attempt, "another writer took the version");
                    tokio::time::sleep(Duration::from_millis(RETRY_DELAY_MS * u64::from(attempt.min(20)))).await;
                }
                Err(error) => return Err(Error::storage(&self.shown, "write a commit", error)),
            }
        }
        Err(Error::Busy { table: self.name, attempts: COMMIT_ATTEMPTS_MAX })
    }

    /// Refuses a writer whose expectations the head does not meet.
    pub(crate) fn fence(&self, head: &Head, expected: &BTreeMap<String, i64>) -> Result<()> {
        for (app_id, &last) in expected {
            let found = head.transactions.get(app_id).copied().unwrap_or(-1);
            if found != last {
                return Err(Error::Fenced { table: self.name, app_id: app_id.clone(), expected: last + 1, found: found + 1 });
            }
        }
        Ok(())
    }

    /// Writes a checkpoint of the log, so that readers need not replay it from the start.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        let table = self.load().await?;
        deltalake::checkpoints::create_checkpoint(&table, None).await.map_err(|e| Error::storage(&self.shown, "write a checkpoint", e))
    }
}

impl TableLog {
    /// The version of the newest checkpoint.
    pub(crate) async fn last_checkpoint(&self) -> Result<Option<Version>> {
        crate::head::newest_checkpoint(self.log.object_store(None).as_ref(), &self.shown).await
    }

    /// Removes entries of the log that are older than `before` and stand before a checkpoint that is at `keep_from` or earlier; how many.
    pub(crate) async fn trim(&self, keep_from: Version, before: keytrail_schemas::Micros) -> Result<usize> {
        let removed = deltalake::checkpoints::cleanup_expired_logs_for(keep_from, self.log.as_ref(), before.0.div_euclid(1_000), None).await;
        removed.map_err(|e| Error::storage(&self.shown, "shorten the table's log", e))
    }
}

/// Readers of the log need a newer version than this process has, or the store failed.
fn unreadable(path: &str, error: DeltaTableError) -> Error {
    let message = error.to_string();
    if message.to_lowercase().contains("unsupported") {
        Error::NewerTable { path: path.to_owned(), message }
    } else {
        Error::storage(path, "read the table", error)
    }
}

async fn create(log: &LogStoreRef, name: TableName, url: &Url, checkpoint_commits: u32) -> Result<(), DeltaTableError> {
    let schema: StructType = (&name.table_schema()).try_into_kernel().map_err(DeltaTableError::from)?;
    let properties = [
        (FORMAT_PROPERTY.to_owned(), FORMAT.to_string()),
        ("delta.dataSkippingStatsColumns".to_owned(), name.pruned_columns().join(",")),
        ("delta.checkpointInterval".to_owned(), checkpoint_commits.to_string()),
        ("delta.deletedFileRetentionDuration".to_owned(), "interval 1 days".to_owned()),
        ("delta.logRetentionDuration".to_owned(), "interval 7 days".to_owned()),
    ];
    tracing::debug!(table = %name, url = %url, "creating the table");
    deltalake::operations::create::CreateBuilder::new()
        .with_log_store(log.clone())
        .with_table_name(name.as_str())
        .with_comment(format!("keytrail: {name}"))
        .with_save_mode(SaveMode::ErrorIfExists)
        .with_columns(schema.fields().cloned())
        .with_partition_columns(name.by_day().then_some(DAY))
        .with_configuration(properties.map(|(key, value)| (key, Some(value))))
        .with_raise_if_key_not_exists(false)
        .await
        .map(drop)
}

/// Adds the columns that came to the vocabulary since the table was made, where they may be empty: a lake of an earlier keytrail goes on.
/// Whether there were any. Of two processes that add them at once one wins, and the other finds them there.
async fn widen(log: &LogStoreRef, name: TableName, path: &str, snapshot: &Snapshot) -> Result<bool> {
    let found: Schema = snapshot.schema().as_ref().try_into_arrow().map_err(|e| Error::encoding(path, "read the schema", e))?;
    let expected = name.table_schema();
    let missing: Vec<_> = expected.fields().iter().filter(|field| field.is_nullable() && found.field_with_name(field.name()).is_err()).cloned().collect();
    // A table that lacks more is not one of an earlier keytrail, and is refused as it stands.
    if missing.is_empty() || expected.fields().iter().any(|field| !field.is_nullable() && found.field_with_name(field.name()).is_err()) {
        return Ok(false);
    }
    tracing::info!(table = %name, columns = missing.len(), "adding columns that this version brings");
    let columns: StructType = (&Schema::new(missing)).try_into_kernel().map_err(|e| Error::encoding(path, "write the schema", e))?;
    let mut table = DeltaTable::new(log.clone());
    table.load().await.map_err(|e| unreadable(path, e))?;
    let fields: Vec<_> = columns.fields().cloned().collect();
    if let Err(error) = table.add_columns().with_fields(fields).await {
        tracing::debug!(table = %name, %error, "another process may have added them");
    }
    Ok(true)
}

/// Refuses a table whose columns are not those of the vocabulary. A newer keytrail's additional columns are let be, as long as they
/// may be empty.
fn verify(name: TableName, path: &str, snapshot: &Snapshot) -> Result<()> {
    let format = snapshot.metadata().configuration().get(FORMAT_PROPERTY).and_then(|v| v.parse::<u32>().ok());
    if let Some(format) = format.filter(|f| *f > FORMAT) {
        return Err(Error::NewerTable { path: path.to_owned(), message: format!("its format is {format}, and this one writes {FORMAT}") });
    }
    let properties = snapshot.table_properties();
    if properties.enable_deletion_vectors == Some(true) || properties.enable_row_tracking == Some(true) {
        return Err(Error::NewerTable {
            path: path.to_owned(),
            message: "it has deletion vectors or row tracking enabled, which turn filter pushdown off: disable them".to_owned(),
        });
    }
    let foreign =
        |column: &str, expected: String, found: String| Error::ForeignTable { table: name, path: path.to_owned(), column: column.to_owned(), expected, found };
    // Both through Delta's types, so that only what Delta can tell apart counts.
    let through_delta = |schema: &Schema| -> Result<Schema, arrow::error::ArrowError> {
        let kernel: StructType = schema.try_into_kernel()?;
        (&kernel).try_into_arrow()
    };
    let expected = through_delta(&name.table_schema()).map_err(|e| Error::encoding(path, "read the schema", e))?;
    let found: Schema = snapshot.schema().as_ref().try_into_arrow().map_err(|e| Error::encoding(path, "read the schema", e))?;
    for field in expected.fields() {
        let text = |f: &arrow::datatypes::Field| format!("{}{}", f.data_type(), if f.is_nullable() { " (may be empty)" } else { "" });
        match found.field_with_name(field.name()) {
            Err(_) => return Err(foreign(field.name(), text(field), "missing".to_owned())),
            Ok(other) if other.data_type() != field.data_type() || other.is_nullable() != field.is_nullable() => {
                return Err(foreign(field.name(), text(field), text(other)));
            }
            Ok(_) => {}
        }
    }
    for field in found.fields() {
        if expected.field_with_name(field.name()).is_err() && !field.is_nullable() {
            return Err(foreign(field.name(), "absent".to_owned(), format!("{}, never empty", field.data_type())));
        }
    }
    let partitioned: Vec<_> = snapshot.metadata().partition_columns().to_vec();
    let wanted: &[&str] = if name.by_day() { &[DAY] } else { &[] };
    if partitioned != wanted {
        return Err(foreign(DAY, format!("partitioned by {wanted:?}"), format!("partitioned by {partitioned:?}")));
    }
    Ok(())
}
