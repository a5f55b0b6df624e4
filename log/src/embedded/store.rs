//! The folder and the key-value store in it: created whole or not at all, held by one process, and its errors in plain words.
//!
//! Keyspaces: `events` (partition, first offset → block), `findings` and `dead_letters` (partition, offset → JSON), `ids`
//! (segment, part → ids), `meta` (what the log is, where partitions start, how far consumers are). Numbers in keys are big-endian.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use keytrail_schemas::Topic;

use super::super::Error;

/// The open store.
pub struct Store {
    pub db: Database,
    pub events: Keyspace,
    pub findings: Keyspace,
    pub dead_letters: Keyspace,
    pub ids: Keyspace,
    pub meta: Keyspace,
    pub path: PathBuf,
    pub partitions: i32,
    /// Held until the store is dropped.
    _lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct About {
    layout: u32,
    partitions: i32,
}

const LAYOUT: u32 = 1;
const ABOUT: &str = "about";
/// Memory for blocks of the store itself; decoded records are cached elsewhere.
const BLOCK_CACHE_BYTES: u64 = 16 << 20;

impl Store {
    /// Opens the log in `dir`, creating it where there is none.
    pub fn open(dir: &Path, partitions: Option<i32>) -> Result<Self, Error> {
        if let Some(count) = partitions
            && !(1..=4_096).contains(&count)
        {
            return Err(storage(dir, format!("{count} partitions were asked for: from 1 to 4,096 are possible")));
        }
        std::fs::create_dir_all(dir).map_err(|error| io(dir, &error))?;
        let lock = lock(dir)?;
        let home = dir.join("store");
        if !home.try_exists().map_err(|error| io(dir, &error))? {
            create(dir, &home, partitions.unwrap_or(1))?;
        }
        let fail = |error: fjall::Error| fjall_error(dir, &error);
        let db = database(&home).map_err(fail)?;
        let meta = db.keyspace("meta", small).map_err(fail)?;
        let about = meta.get(ABOUT).map_err(fail)?.ok_or_else(|| storage(dir, "it does not say what it is: this folder was not made by keytrail"))?;
        let about: About = serde_json::from_slice(&about).map_err(|error| storage(dir, format!("its description cannot be read: {error}")))?;
        if about.layout != LAYOUT {
            return Err(storage(dir, format!("it has layout {}, and this keytrail reads layout {LAYOUT}: use a newer keytrail", about.layout)));
        }
        if let Some(wanted) = partitions
            && wanted != about.partitions
        {
            return Err(storage(
                dir,
                format!(
                    "it was created with {} partitions, and {wanted} were asked for: the number is fixed when a log is created; use another folder",
                    about.partitions
                ),
            ));
        }
        Ok(Self {
            events: db.keyspace("events", large).map_err(fail)?,
            findings: db.keyspace("findings", small).map_err(fail)?,
            dead_letters: db.keyspace("dead_letters", small).map_err(fail)?,
            ids: db.keyspace("ids", large).map_err(fail)?,
            meta,
            db,
            path: dir.to_path_buf(),
            partitions: about.partitions,
            _lock: lock,
        })
    }

    /// The keyspace of a topic.
    pub const fn topic(&self, topic: Topic) -> &Keyspace {
        match topic {
            Topic::Events => &self.events,
            Topic::Findings => &self.findings,
            Topic::DeadLetters => &self.dead_letters,
        }
    }

    /// A storage error in plain words.
    pub fn error(&self, error: &fjall::Error) -> Error {
        fjall_error(&self.path, error)
    }
}

/// A record's key.
pub fn record_key(partition: i32, offset: i64) -> [u8; 12] {
    let mut key = [0; 12];
    let (head, tail) = key.split_at_mut(4);
    head.copy_from_slice(&partition.to_be_bytes());
    tail.copy_from_slice(&offset.to_be_bytes());
    key
}

/// The offset in a record's key.
pub fn offset_of(key: &[u8]) -> Option<i64> {
    key.get(4..)?.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes))
}

/// The key of a part of a segment of ids.
pub fn part_key(segment: u64, part: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (head, tail) = key.split_at_mut(8);
    head.copy_from_slice(&segment.to_be_bytes());
    tail.copy_from_slice(&part.to_be_bytes());
    key
}

/// The segment and part in a key.
pub fn part_of(key: &[u8]) -> Option<(u64, u32)> {
    let (segment, part) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*segment), u32::from_be_bytes(*part.first_chunk::<4>()?)))
}

/// Takes the folder for this process, until what is returned is dropped.
pub fn lock(dir: &Path) -> Result<File, Error> {
    let file = File::options().create(true).truncate(false).read(true).write(true).open(dir.join("lock")).map_err(|error| io(dir, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: dir.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(io(dir, &error)),
    }
}

/// Makes the store under another name and renames it when it is whole, so that a crash leaves either none or one that opens.
fn create(dir: &Path, home: &Path, partitions: i32) -> Result<(), Error> {
    let fail = |error: fjall::Error| fjall_error(dir, &error);
    let unfinished = dir.join("store.unfinished");
    if unfinished.try_exists().map_err(|error| io(dir, &error))? {
        std::fs::remove_dir_all(&unfinished).map_err(|error| io(dir, &error))?;
    }
    {
        let db = database(&unfinished).map_err(fail)?;
        for name in ["events", "ids"] {
            db.keyspace(name, large).map_err(fail)?;
        }
        for name in ["findings", "dead_letters"] {
            db.keyspace(name, small).map_err(fail)?;
        }
        let meta = db.keyspace("meta", small).map_err(fail)?;
        let about = serde_json::to_vec(&About { layout: LAYOUT, partitions }).map_err(|error| storage(dir, error.to_string()))?;
        meta.insert(ABOUT, about).map_err(fail)?;
        db.persist(PersistMode::SyncAll).map_err(fail)?;
    }
    std::fs::rename(&unfinished, home).and_then(|()| File::open(dir)?.sync_all()).map_err(|error| io(dir, &error))
}

fn database(home: &Path) -> fjall::Result<Database> {
    // What is large is compressed already, and a journal that is not compressed is cut at a torn end without being expanded first.
    Database::builder(home).cache_size(BLOCK_CACHE_BYTES).journal_compression(CompressionType::None).worker_threads(2).open()
}

fn small() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(16 << 20)
}

/// For keys that only rise and values of kilobytes to megabytes, compressed already: values lie in files of their own, which compaction does not write again.
fn large() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(64 << 20)
        .data_block_compression_policy(CompressionPolicy::disabled())
        .with_kv_separation(Some(KvSeparationOptions::default().compression(CompressionType::None).separation_threshold(4_096)))
}

/// A storage error with these words.
pub fn storage(dir: &Path, message: impl Into<String>) -> Error {
    Error::Storage { path: dir.display().to_string(), message: message.into() }
}

/// An I/O error in plain words, with what to do.
pub fn io(dir: &Path, error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full: make room and start again; everything that was acknowledged is there",
        ErrorKind::FileTooLarge => {
            "a file reached the largest size that is allowed here: raise the limit and start again; everything that was acknowledged is there"
        }
        ErrorKind::ReadOnlyFilesystem => "the folder lies on a read-only file system: use another folder",
        ErrorKind::PermissionDenied => "this user may not write there: use another folder, or change its owner or mode",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "a file stands where the log needs a folder: use another folder",
        _ => return storage(dir, error.to_string()),
    };
    storage(dir, format!("{advice} ({error})"))
}

/// A store's error in plain words, with what to do.
pub fn fjall_error(dir: &Path, error: &fjall::Error) -> Error {
    match error {
        fjall::Error::Locked => Error::Locked { path: dir.display().to_string() },
        fjall::Error::Io(cause) | fjall::Error::Storage(fjall::LsmError::Io(cause)) => io(dir, cause),
        fjall::Error::Poisoned => storage(
            dir,
            "an earlier write failed, and nothing is accepted since then: look for a full or failing disk, and start again; everything that was acknowledged is there",
        ),
        other => storage(dir, format!("{other:?}")),
    }
}
