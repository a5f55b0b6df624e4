//! The lake: its place, its tables, and what this writer counts on.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use url::Url;

use crate::location::{Location, shown};
use crate::table_log::TableLog;
use crate::{Error, Result, TableName};

/// The folder of detector snapshots.
pub(crate) const STATE_FOLDER: &str = "_state";

/// How a lake is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A checkpoint of a table's log is written after this many commits, so that readers replay fewer than that.
    pub checkpoint_commits: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { checkpoint_commits: 20 }
    }
}

/// An open lake. Many processes may write to one lake at once: each partition of the log has one writer, and a second one is fenced.
#[derive(Debug)]
pub struct Lake {
    pub(crate) options: Options,
    pub(crate) state: Arc<dyn ObjectStore>,
    /// The snapshots' path or URL, for people.
    pub(crate) state_shown: String,
    url: Url,
    tables: BTreeMap<TableName, TableLog>,
    /// Per table and appId, the last offset that this writer counts on.
    expected: Mutex<BTreeMap<(TableName, String), i64>>,
    instance: u64,
    commits: AtomicU64,
}

impl Lake {
    /// Opens the lake in a folder (plain path or `file://` URL), and creates what is missing.
    ///
    /// # Errors
    /// [`Error::Location`] for a place that this build cannot open; [`Error::ReadOnly`], [`Error::DiskFull`] for one that cannot be
    /// written; [`Error::ForeignTable`], [`Error::NewerTable`] when other tables stand there.
    pub async fn open(url_or_path: &str, options: Options) -> Result<Self> {
        Self::at(Location::open(url_or_path)?, options).await
    }

    /// Opens a lake on a store that the caller brings, rooted where the URL's path starts. The store must support conditional puts,
    /// and acknowledge nothing that is not durable.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub async fn open_with_store(url: &Url, store: Arc<dyn ObjectStore>, options: Options) -> Result<Self> {
        Self::at(Location::with_store(url, store), options).await
    }

    async fn at(location: Location, options: Options) -> Result<Self> {
        let state_url = location.folder(STATE_FOLDER)?;
        let (state, state_shown) = (location.within(&state_url)?, shown(&state_url));
        // Seeded by the operating system: no two writers have the same.
        let instance = std::collections::hash_map::RandomState::new().build_hasher().finish();
        probe(state.as_ref(), &state_shown, instance).await?;
        // All at once: where they are created, each waits for the disk several times.
        let opening = TableName::ALL.map(|name| TableLog::open(&location, name, options.checkpoint_commits));
        let opened = futures::future::join_all(opening).await;
        let tables = TableName::ALL.into_iter().zip(opened).map(|(name, table)| Ok((name, table?))).collect::<Result<BTreeMap<_, _>>>()?;
        Ok(Self { options, state, state_shown, url: location.url, tables, expected: Mutex::default(), instance, commits: AtomicU64::new(0) })
    }

    /// The lake's URL; ends in `/`.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    #[expect(clippy::expect_used, reason = "open() puts every table in")]
    pub(crate) fn table(&self, name: TableName) -> &TableLog {
        self.tables.get(&name).expect("every table is open")
    }

    /// What this writer counts on for an appId.
    pub(crate) fn expected(&self, table: TableName, app_id: &str) -> Option<i64> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).get(&(table, app_id.to_owned())).copied()
    }

    /// Changes what this writer counts on for a table.
    pub(crate) fn expect(&self, table: TableName, change: impl FnOnce(&mut BTreeMap<String, i64>)) {
        let mut all = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_table: BTreeMap<String, i64> = all.iter().filter(|((t, _), _)| *t == table).map(|((_, id), last)| (id.clone(), *last)).collect();
        change(&mut of_table);
        all.retain(|(t, _), _| *t != table);
        all.extend(of_table.into_iter().map(|(id, last)| ((table, id), last)));
    }

    /// An id for a commit that no other commit has.
    pub(crate) fn next_id(&self) -> String {
        format!("{:016x}-{}", self.instance, self.commits.fetch_add(1, Ordering::Relaxed))
    }

    /// Writes a checkpoint when the version asks for one. It serves readers only, so that a failure is told and not returned.
    pub(crate) async fn checkpoint_when_due(&self, log: &TableLog, version: u64) {
        let every = u64::from(self.options.checkpoint_commits.max(1));
        if version > 0
            && version.is_multiple_of(every)
            && let Err(error) = log.checkpoint().await
        {
            tracing::warn!(table = %log.name, version, error = %error, "no checkpoint was written");
        }
    }
}

/// How many writers race for one object in the probe of a store.
const PROBE_WRITERS: usize = 8;

/// Finds out at the start, and not at the first batch, that the lake cannot be written, or that the store would lose commits: of several
/// writers that create the same object at once, one may succeed, and none after it.
async fn probe(state: &dyn ObjectStore, shown: &str, instance: u64) -> Result<()> {
    let path = Path::from(format!("probe-{instance:016x}"));
    let create = || async { state.put_opts(&path, PutPayload::from_static(b"keytrail"), PutMode::Create.into()).await };
    let mut created = 0;
    let racing = futures::future::join_all((0..PROBE_WRITERS).map(|_| create())).await;
    for put in racing.into_iter().chain([create().await]) {
        match put {
            Ok(_) => created += 1,
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
            Err(e) => return Err(Error::storage(shown, "write to the lake", e)),
        }
    }
    state.delete(&path).await.map_err(|e| Error::storage(shown, "write to the lake", e))?;
    if created == 1 {
        return Ok(());
    }
    Err(Error::UnsafeStore { path: shown.to_owned(), message: format!("{created} of {} writers created the same object", PROBE_WRITERS + 1) })
}
