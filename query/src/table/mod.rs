//! The lake's tables as queries see them: which files each consists of at its newest version, and how they are read.
//!
//! Delta is asked only for the log (versions, files, statistics). Planning and pruning happen here, on the statistics in
//! memory, so that a question costs no log replay.

mod acts;
mod file_set;
mod follow;
mod hot;
mod index;
mod laid;
mod look_up;
mod looked;
mod named;
mod provider;
mod reach;
mod recent;
mod run;
mod scan;
mod touches;
mod whole;

pub(crate) use file_set::FileSet;
pub(crate) use look_up::{column as read_column, footer};
pub(crate) use looked::{LookUps, Looked};
pub(crate) use named::{credentials as credentials_of, findings as findings_of};
pub(crate) use provider::LakeTable;
pub(crate) use reach::{Reach, Whose};
pub(crate) use run::KEY_COLUMNS;
pub(crate) use scan::{FileScan, Placed, files_plan, placed_plan, scan_plan, store_url};
pub(crate) use touches::{Means, Order, TOUCHES_WITHIN, Touches, TouchesTable, Wanted, Within, moment};
pub(crate) use whole::whole;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::StreamExt as _;
use keytrail_schemas::{CredentialRecord, DeadLetter, Detection, Event, Finding, IdentityRecord, RolledDays, Table as _, Touch};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use tokio::task::JoinSet;
use url::Url;

use crate::Error;
use crate::live::{LiveLedger, Overlay};

/// The name of the partition column of `events`: the UTC day of `time`.
pub(crate) const DAY: &str = "day";

/// Read at a file's end when it is first met: most footers with their page indexes, in one request.
pub(crate) const FOOTER_BYTES: usize = 128 << 10;
/// Commits that are followed one by one; who is further behind has the log read anew.
const FOLLOWED_MAX: usize = 64;
/// Footers of the roll-up that are read side by side.
const FOOTERS_AT_ONCE: usize = 16;

/// One of the lake's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableName {
    Events,
    Findings,
    Detections,
    DeadLetters,
    Credentials,
    Identities,
    /// The roll-up, sorted by identity; SQL sees it joined with the events that it does not hold.
    Touches,
    /// The same, sorted by destination.
    TouchesByDestination,
}

impl TableName {
    pub(crate) const ALL: [Self; 8] =
        [Self::Events, Self::Findings, Self::Detections, Self::DeadLetters, Self::Credentials, Self::Identities, Self::Touches, Self::TouchesByDestination];

    /// Its folder in the lake.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Events => Event::NAME,
            Self::Findings => Finding::NAME,
            Self::Detections => Detection::NAME,
            Self::DeadLetters => DeadLetter::NAME,
            Self::Credentials => CredentialRecord::NAME,
            Self::Identities => IdentityRecord::NAME,
            Self::Touches => Touch::NAME,
            Self::TouchesByDestination => "touches_by_destination",
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
            Self::Touches | Self::TouchesByDestination => Touch::arrow_schema(),
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

/// The table as it was last read, and which move it was that read it.
#[derive(Debug, Default)]
struct Moved {
    delta: Option<DeltaTable>,
    number: u64,
}

/// One table, kept at the newest version it was refreshed to.
#[derive(Debug)]
pub(crate) struct LiveTable {
    pub(crate) name: TableName,
    log: LogStoreRef,
    store: Arc<dyn ObjectStore>,
    /// Its folder.
    url: Url,
    /// The log's folder, where it is one of this machine.
    folder: Option<PathBuf>,
    delta: tokio::sync::Mutex<Moved>,
    /// Moves that were begun.
    begun: AtomicU64,
    files: RwLock<Arc<FileSet>>,
    /// Whether the log was read; before, there are no files.
    is_read: AtomicBool,
    footers: Arc<FileMetadataCache>,
    live: OnceLock<Arc<LiveLedger>>,
}

impl LiveTable {
    /// The table `name` under `root`, whose log is read when [`LiveTable::ready`] is asked for.
    pub(crate) fn at(root: &Url, brought: Option<&Arc<dyn ObjectStore>>, name: TableName, footers: &Arc<FileMetadataCache>) -> Result<Self, Error> {
        let mut url = root.clone();
        url.path_segments_mut()
            .map_err(|()| Error::Location { location: root.to_string(), reason: "it has no path".to_owned() })?
            .pop_if_empty()
            .push(name.folder());
        let lake = |source: DeltaTableError| Error::Lake { table: name.folder(), source: Box::new(source) };
        let log = match brought {
            Some(store) => {
                let path = Path::from_url_path(url.path()).map_err(|e| Error::Location { location: root.to_string(), reason: e.to_string() })?;
                let within = Arc::new(object_store::prefix::PrefixStore::new(store.clone(), path));
                default_logstore(within, store.clone(), &url, &StorageConfig::default())
            }
            None => DeltaTableBuilder::from_url(url.clone()).and_then(|builder| builder.build_storage()).map_err(lake)?,
        };
        let store = log.object_store(None);
        let folder = brought.is_none().then(|| url.to_file_path().ok()).flatten().map(|folder| folder.join("_delta_log"));
        let files = RwLock::new(Arc::new(FileSet::empty(name)));
        Ok(Self {
            name,
            log,
            store,
            url,
            folder,
            delta: tokio::sync::Mutex::default(),
            begun: AtomicU64::new(0),
            files,
            is_read: AtomicBool::new(false),
            footers: footers.clone(),
            live: OnceLock::new(),
        })
    }

    /// Reads the log, where nobody did yet: what a process does not ask about costs it nothing. A table that is not there has no files.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        if self.is_read.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut moved = self.delta.lock().await;
        if self.is_read.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.has_log().await? {
            let mut delta = DeltaTable::new(self.log.clone());
            delta.load().await.map_err(|source| Error::Lake { table: self.name.folder(), source: Box::new(source) })?;
            self.publish(&delta).await?;
            moved.delta = Some(delta);
        }
        self.is_read.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Acquire)
    }

    /// Whether there is a table, read or not.
    pub(crate) async fn has_log(&self) -> Result<bool, Error> {
        match self.store.list(Some(&Path::from("_delta_log"))).next().await {
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

    /// Its folder; does not end in `/`.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// The files of the newest version known; none before [`LiveTable::ready`].
    pub(crate) fn files(&self) -> Arc<FileSet> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the version that is known is the newest, as two looks into a folder of this machine say (microseconds, so that no thread is
    /// asked to wait for them); false where it is none, or does not say.
    pub(crate) fn is_newest(&self) -> bool {
        let Some(folder) = &self.folder else { return false };
        let is_there = |version: u64| folder.join(format!("{version:020}.json")).try_exists();
        match self.files().version {
            Some(version) => matches!((is_there(version + 1), is_there(version)), (Ok(false), Ok(true))),
            None => matches!(folder.try_exists(), Ok(false)),
        }
    }

    /// Moves to the newest version. Where nothing was committed this costs two looks: for the next commit's file, and whether the log was
    /// shortened past the version that is known, for then the next one's absence says nothing.
    ///
    /// Of many that ask at once, beside a writer who never rests, one moves and the others have what it found: whoever came before a move began is
    /// content with it, though more was committed since.
    ///
    /// One whose log was not read yet is left: whoever asks for it reads the newest.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        if !self.is_read.load(Ordering::Acquire) || self.is_newest() {
            return Ok(());
        }
        let before = self.begun.load(Ordering::Acquire);
        let mut moved = self.delta.lock().await;
        if moved.number > before || self.is_newest() {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        self.advance(&mut moved.delta).await?;
        moved.number = number;
        Ok(())
    }

    async fn advance(&self, delta: &mut Option<DeltaTable>) -> Result<(), Error> {
        let version = self.files().version;
        let lake = |source: DeltaTableError| Error::Lake { table: self.name.folder(), source: Box::new(source) };
        let follows = self.has_commit(version.map_or(0, |version| version + 1)).await?;
        let is_behind = match version {
            Some(version) if !follows => !self.has_commit(version).await?,
            _ => false,
        };
        // A table that is not there has no first commit; one whose log was shortened has none either.
        if !follows && !is_behind && (version.is_some() || !self.has_log().await?) {
            return Ok(());
        }
        if !is_behind && let Some(files) = self.followed().await? {
            // The log's reader stays behind, and begins anew when it is needed.
            *delta = None;
            self.show(files).await;
            return Ok(());
        }
        match delta.as_mut() {
            Some(delta) if !is_behind => {
                delta.update_state().await.map_err(lake)?;
                self.publish(delta).await
            }
            _ => {
                let mut opened = DeltaTable::new(self.log.clone());
                opened.load().await.map_err(lake)?;
                self.publish(&opened).await?;
                *delta = Some(opened);
                Ok(())
            }
        }
    }

    /// The files of the newest version, where the commits since the version that is known say nothing but which files come and go.
    async fn followed(&self) -> Result<Option<FileSet>, Error> {
        let mut followed: Option<FileSet> = None;
        for _ in 0..FOLLOWED_MAX {
            let known = self.files();
            let from = followed.as_ref().unwrap_or(&known);
            let Some(version) = from.version else { return Ok(None) };
            let commit = Path::from(format!("_delta_log/{:020}.json", version + 1));
            let read = async { self.store.get(&commit).await?.bytes().await };
            match read.await {
                Ok(bytes) => match from.after(&bytes) {
                    Some(next) => followed = Some(next),
                    None => return Ok(None),
                },
                Err(object_store::Error::NotFound { .. }) => return Ok(followed),
                Err(source) => return Err(Error::Lake { table: self.name.folder(), source: Box::new(source.into()) }),
            }
        }
        Ok(None)
    }

    async fn has_commit(&self, version: u64) -> Result<bool, Error> {
        let commit = Path::from(format!("_delta_log/{version:020}.json"));
        match self.store.get_opts(&commit, object_store::GetOptions { head: true, ..Default::default() }).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(Error::Lake { table: self.name.folder(), source: Box::new(source.into()) }),
        }
    }

    async fn publish(&self, delta: &DeltaTable) -> Result<(), Error> {
        self.show(FileSet::of(self.name, delta)?).await;
        Ok(())
    }

    async fn show(&self, mut files: FileSet) {
        if matches!(self.name, TableName::Touches | TableName::TouchesByDestination) {
            files.rolled = self.rolled_days(&files).await;
        }
        let files = Arc::new(files);
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// What the footers of the roll-up's files say of the days that they hold. Files never change: one is read once.
    async fn rolled_days(&self, set: &FileSet) -> Vec<Arc<RolledDays>> {
        let before = self.files();
        let mut known: HashMap<Path, Arc<RolledDays>> = before.files.iter().map(|file| file.meta.location.clone()).zip(before.rolled.iter().cloned()).collect();
        let new = set.files.iter().map(|file| file.meta.clone()).filter(|meta| !known.contains_key(&meta.location)).collect::<Vec<_>>();
        // Reading a footer is mostly work for a processor: on tasks of their own they have all of them.
        for some in new.chunks(FOOTERS_AT_ONCE) {
            let mut tasks = JoinSet::new();
            for meta in some.iter().cloned() {
                let (store, footers, table) = (self.store.clone(), self.footers.clone(), self.name.folder());
                tasks.spawn(async move {
                    let days = rolled_days_of(store.as_ref(), footers, &meta, table).await;
                    (meta.location, Arc::new(days))
                });
            }
            while let Some(read) = tasks.join_next().await {
                known.extend(read.ok());
            }
        }
        set.files.iter().map(|file| known.get(&file.meta.location).cloned().unwrap_or_default()).collect()
    }

    /// A file that is gone, cut, or has no footer, with the period that it covers and what is wrong with it: looked for once something could not
    /// be read.
    pub(crate) async fn broken_file(&self) -> Option<(String, String, String)> {
        let set = self.files();
        for (index, file) in set.files.iter().enumerate() {
            let what = match self.store.head(&file.meta.location).await {
                Err(object_store::Error::NotFound { .. }) => "is gone".to_owned(),
                Err(error) => format!("is out of reach ({error})"),
                Ok(found) if found.size != file.meta.size => format!("has {} bytes and should have {}", found.size, file.meta.size),
                Ok(_) => {
                    let footer = DFParquetMetadata::new(self.store.as_ref(), &file.meta).with_metadata_size_hint(Some(FOOTER_BYTES)).fetch_metadata().await;
                    let Err(error) = footer else { continue };
                    format!("is damaged ({})", error.strip_backtrace())
                }
            };
            return Some((file.meta.location.to_string(), set.period_of(index), what));
        }
        None
    }
}

/// What a file of the roll-up says of its days. One that cannot be read, or does not say, holds no day: its events are read instead. Its footer is kept, for
/// whoever looks a name up in it.
async fn rolled_days_of(store: &dyn ObjectStore, footers: Arc<FileMetadataCache>, meta: &ObjectMeta, table: &str) -> RolledDays {
    let reading = DFParquetMetadata::new(store, meta).with_metadata_size_hint(Some(FOOTER_BYTES)).with_file_metadata_cache(Some(footers));
    let metadata = match reading.fetch_metadata().await {
        Ok(metadata) => metadata,
        Err(error) => {
            tracing::warn!(%error, file = %meta.location, table, "a file of the roll-up cannot be read: events are read instead");
            return RolledDays::default();
        }
    };
    let note = metadata.file_metadata().key_value_metadata().into_iter().flatten().find(|entry| entry.key == RolledDays::KEY);
    note.and_then(|entry| entry.value.as_deref()).and_then(RolledDays::parse).unwrap_or_default()
}
