//! The lake's tables as queries see them: which files each consists of at its newest version, and how they are read.
//!
//! Delta is asked only for the log (versions, files, statistics). Planning and pruning happen here, on the statistics in
//! memory, so that a question costs no log replay.

mod file_set;
mod laid;
mod provider;
mod scan;

pub(crate) use file_set::FileSet;
pub(crate) use provider::LakeTable;
pub(crate) use scan::{FileScan, scan_plan, store_url};

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::StreamExt as _;
use keytrail_schemas::{CredentialRecord, DeadLetter, Detection, Event, Finding, IdentityRecord, Table as _};
use object_store::ObjectStore;
use url::Url;

use crate::Error;
use crate::live::{LiveLedger, Overlay};

/// The name of the partition column of `events`: the UTC day of `time`.
pub(crate) const DAY: &str = "day";

/// One of the lake's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableName {
    Events,
    Findings,
    Detections,
    DeadLetters,
    Credentials,
    Identities,
}

impl TableName {
    pub(crate) const ALL: [Self; 6] = [Self::Events, Self::Findings, Self::Detections, Self::DeadLetters, Self::Credentials, Self::Identities];

    /// Its folder in the lake.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Events => Event::NAME,
            Self::Findings => Finding::NAME,
            Self::Detections => Detection::NAME,
            Self::DeadLetters => DeadLetter::NAME,
            Self::Credentials => CredentialRecord::NAME,
            Self::Identities => IdentityRecord::NAME,
        }
    }

    /// The columns that its data files hold.
    pub(crate) fn file_schema(self) -> SchemaRef {
        match self {
            Self::Events => Event::arrow_schema(),
            Self::Findings => Finding::arrow_schema(),
            Self::Detections => Detection::arrow_schema(),
            Self::DeadLetters => DeadLetter::arrow_schema(),
            Self::Credentials => CredentialRecord::arrow_schema(),
            Self::Identities => IdentityRecord::arrow_schema(),
        }
    }

    /// The columns that stand in the log, one value per file.
    pub(crate) fn partition_columns(self) -> Vec<Arc<Field>> {
        match self {
            Self::Events => vec![Arc::new(Field::new(DAY, DataType::Date32, true))],
            _ => Vec::new(),
        }
    }

    /// All columns as SQL sees them.
    pub(crate) fn schema(self) -> SchemaRef {
        let mut fields: Vec<_> = self.file_schema().fields().iter().cloned().collect();
        fields.extend(self.partition_columns());
        Arc::new(Schema::new(fields))
    }
}

/// One table, kept at the newest version it was refreshed to.
#[derive(Debug)]
pub(crate) struct LiveTable {
    pub(crate) name: TableName,
    log: LogStoreRef,
    store: Arc<dyn ObjectStore>,
    delta: tokio::sync::Mutex<Option<DeltaTable>>,
    files: RwLock<Arc<FileSet>>,
    live: OnceLock<Arc<LiveLedger>>,
}

impl LiveTable {
    /// Opens `name` under `root`; a table that is not there yet has no files.
    pub(crate) async fn open(root: &Url, brought: Option<&Arc<dyn ObjectStore>>, name: TableName) -> Result<Self, Error> {
        let mut url = root.clone();
        url.path_segments_mut()
            .map_err(|()| Error::Location { location: root.to_string(), reason: "it has no path".to_owned() })?
            .pop_if_empty()
            .push(name.folder());
        let lake = |source: DeltaTableError| Error::Lake { table: name.folder(), source: Box::new(source) };
        let log = match brought {
            Some(store) => {
                let path =
                    object_store::path::Path::from_url_path(url.path()).map_err(|e| Error::Location { location: root.to_string(), reason: e.to_string() })?;
                let within = Arc::new(object_store::prefix::PrefixStore::new(store.clone(), path));
                default_logstore(within, store.clone(), &url, &StorageConfig::default())
            }
            None => DeltaTableBuilder::from_url(url.clone()).and_then(|builder| builder.build_storage()).map_err(lake)?,
        };
        let store = log.object_store(None);
        let table = Self { name, log, store, delta: tokio::sync::Mutex::new(None), files: RwLock::new(Arc::new(FileSet::empty(name))), live: OnceLock::new() };
        if table.has_log().await? {
            let mut delta = DeltaTable::new(table.log.clone());
            delta.load().await.map_err(lake)?;
            table.publish(&delta)?;
            *table.delta.lock().await = Some(delta);
        }
        Ok(table)
    }

    async fn has_log(&self) -> Result<bool, Error> {
        match self.store.list(Some(&object_store::path::Path::from("_delta_log"))).next().await {
            None | Some(Err(object_store::Error::NotFound { .. })) => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(source)) => Err(Error::Lake { table: self.name.folder(), source: Box::new(source.into()) }),
        }
    }

    /// Lays the rows of `live` over the table's from now on; the first to be named stays.
    pub(crate) fn lay(&self, live: &Arc<LiveLedger>) {
        let _ = self.live.set(live.clone());
    }

    /// What lies over the table now.
    pub(crate) fn over(&self) -> Result<Option<Arc<Overlay>>, arrow::error::ArrowError> {
        self.live.get().map_or(Ok(None), |live| live.over(self.name))
    }

    /// Tells whether its names may be others than before: the lake's version, and how many names were told since.
    pub(crate) fn names(&self) -> (Option<u64>, u64) {
        (self.files().version, self.live.get().map_or(0, |live| live.names(self.name)))
    }

    /// The store that the files' paths are relative to.
    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Whether the table was there when last looked for.
    pub(crate) fn exists(&self) -> bool {
        self.files().version.is_some()
    }

    /// The files of the newest version known.
    pub(crate) fn files(&self) -> Arc<FileSet> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves to the newest version. Where nothing was committed this costs one look for the next commit's file.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        let next = self.files().version.map_or(0, |version| version + 1);
        let commit = object_store::path::Path::from(format!("_delta_log/{next:020}.json"));
        let lake = |source: DeltaTableError| Error::Lake { table: self.name.folder(), source: Box::new(source) };
        match self.store.get_opts(&commit, object_store::GetOptions { head: true, ..Default::default() }).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(source) => return Err(lake(source.into())),
        }
        let mut delta = self.delta.lock().await;
        match delta.as_mut() {
            Some(delta) => {
                delta.update_state().await.map_err(lake)?;
                self.publish(delta)
            }
            None => {
                let mut opened = DeltaTable::new(self.log.clone());
                opened.load().await.map_err(lake)?;
                self.publish(&opened)?;
                *delta = Some(opened);
                Ok(())
            }
        }
    }

    fn publish(&self, delta: &DeltaTable) -> Result<(), Error> {
        let files = Arc::new(FileSet::of(self.name, delta)?);
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
        Ok(())
    }
}
