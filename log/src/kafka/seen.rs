//! The local memory of a process that appends: which ids it has written, in a folder, and up to where in the log that memory is complete.
//!
//! *Complete* means: every record that this folder's processes wrote below these offsets has its id here. The offsets (the *intent*) are stored
//! before anything is sent, and move in the same atomic batch as the ids of what was acknowledged. After an unclean stop the log is read from there,
//! and what is found there is added; so nothing is written twice, whatever ended the process. A request that was still in the network when
//! the process died may land after that; readers leave out what it repeats.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use keytrail_schemas::{Micros, Topic};

use super::super::Error;
use super::super::embedded::dedupe::{Horizon, Id, Index, Load};
use super::super::embedded::store::{fjall_error, io, lock, part_key, part_of, storage};
use super::super::embedded::{decode_ids, encode_ids};

/// Offsets by topic and partition.
pub type Offsets = BTreeMap<(Topic, i32), i64>;

/// The store of the ids, and the index over it.
pub struct Seen {
    // Dropped last but one: the lock is held until the store is closed.
    store: Store,
    index: Index,
    /// Up to where the memory is complete.
    intent: Offsets,
    closed_cleanly: bool,
    _lock: File,
}

struct Store {
    db: Database,
    ids: Keyspace,
    meta: Keyspace,
    path: PathBuf,
}

const LAYOUT: u8 = 1;
const ABOUT: &str = "about";
const CLEAN: &str = "clean";
const CACHE_BYTES: u64 = 16 << 20;

impl Seen {
    /// Opens the memory of what was written to `cluster`, below `dir`.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it; [`Error::Storage`] when it cannot be read or written.
    pub fn open(dir: &Path, cluster: &str, horizon: Horizon) -> Result<Self, Error> {
        let path = dir.join(cluster.replace(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-' && sign != '_', "_"));
        std::fs::create_dir_all(&path).map_err(|error| io(&path, &error))?;
        let lock = lock(&path)?;
        let fail = |error: fjall::Error| fjall_error(&path, &error);
        let db = Database::builder(path.join("store")).cache_size(CACHE_BYTES).worker_threads(2).open().map_err(fail)?;
        let ids = db.keyspace("ids", || KeyspaceCreateOptions::default().max_memtable_size(16 << 20)).map_err(fail)?;
        let meta = db.keyspace("meta", || KeyspaceCreateOptions::default().max_memtable_size(4 << 20)).map_err(fail)?;
        match meta.get(ABOUT).map_err(fail)? {
            Some(about) if *about == [LAYOUT] => {}
            Some(_) => return Err(storage(&path, "the memory of written ids was made by a newer keytrail: use that one")),
            None => meta.insert(ABOUT, [LAYOUT]).map_err(fail)?,
        }
        let mut intent = Offsets::new();
        for guard in meta.prefix(INTENT) {
            let (key, value) = guard.into_inner().map_err(fail)?;
            let (place, next) = parse_intent(&key, &value).ok_or_else(|| storage(&path, "an offset in the memory of written ids is damaged"))?;
            intent.insert(place, next);
        }
        let mut index = Index::new(horizon);
        for guard in ids.iter() {
            let (key, value) = guard.into_inner().map_err(fail)?;
            let (segment, part) = part_of(&key).ok_or_else(|| storage(&path, "a key of the index of ids is damaged"))?;
            let (ingested_at, ids) =
                decode_ids(&value).ok_or_else(|| storage(&path, format!("part {part} of segment {segment} of the index of ids is damaged")))?;
            index.add_part(segment, part, ids, ingested_at);
        }
        let closed_cleanly = meta.contains_key(CLEAN).map_err(fail)?;
        Ok(Self { store: Store { db, ids, meta, path: path.clone() }, index, intent, closed_cleanly, _lock: lock })
    }

    /// From where the log must be read before anything is appended: empty when the last process closed the memory, or there was none.
    pub fn incomplete_from(&self) -> Option<&Offsets> {
        (!self.closed_cleanly && !self.intent.is_empty()).then_some(&self.intent)
    }

    /// Up to where the memory is complete.
    pub const fn intent(&self) -> &Offsets {
        &self.intent
    }

    /// The folder, for messages.
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// Whether `id` was written.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn contains(&mut self, id: &Id) -> Result<bool, Error> {
        self.index.contains(id, &self.store)
    }

    /// How many ids are remembered, and the bytes of memory that their tables take.
    pub fn size(&self) -> (u64, usize) {
        (self.index.len(), self.index.table_bytes())
    }

    /// Says, on the disk, that from now on the log may hold what the memory does not, beyond `ends`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&mut self, ends: &Offsets) -> Result<(), Error> {
        let mut batch = self.store.db.batch();
        batch.remove(&self.store.meta, CLEAN);
        self.move_intent(&mut batch, ends);
        self.commit(batch, PersistMode::SyncData)?;
        self.closed_cleanly = false;
        Ok(())
    }

    /// Adds the ids of what was written, and moves the offsets, in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, ids: &[Id], ingested_at: Micros, ends: &Offsets) -> Result<(), Error> {
        let mut batch = self.store.db.batch();
        if !ids.is_empty() {
            let (segment, part) = self.index.next_part();
            batch.insert(&self.store.ids, part_key(segment, part), encode_ids(ingested_at, ids));
        }
        self.move_intent(&mut batch, ends);
        self.commit(batch, PersistMode::Buffer)?;
        if !ids.is_empty() {
            self.index.add(ids, ingested_at);
        }
        self.forget_expired()
    }

    fn move_intent(&mut self, batch: &mut OwnedWriteBatch, ends: &Offsets) {
        for ((topic, partition), end) in ends {
            let known = self.intent.entry((*topic, *partition)).or_insert(*end);
            *known = (*known).max(*end);
            batch.insert(&self.store.meta, intent_key(*topic, *partition), known.to_le_bytes());
        }
    }

    fn forget_expired(&mut self) -> Result<(), Error> {
        let mut batch = self.store.db.batch();
        while let Some(segment) = self.index.pop_expired() {
            for part in 0..segment.parts {
                batch.remove(&self.store.ids, part_key(segment.number, part));
            }
        }
        if batch.is_empty() { Ok(()) } else { self.commit(batch, PersistMode::Buffer) }
    }

    fn commit(&self, batch: OwnedWriteBatch, mode: PersistMode) -> Result<(), Error> {
        batch.durability(Some(mode)).commit().map_err(|error| fjall_error(&self.store.path, &error))
    }

    /// Says that the memory is complete, whatever the log holds beyond the offsets. For a process that has nothing under way.
    pub fn close(self) {
        let mut batch = self.store.db.batch();
        batch.insert(&self.store.meta, CLEAN, [1_u8]);
        if let Err(error) = self.commit(batch, PersistMode::SyncAll) {
            tracing::warn!(%error, "the memory of written ids could not be closed: the next start reads the log's end again");
        }
    }
}

impl Load for Store {
    fn load(&self, number: u64) -> Result<Vec<Id>, Error> {
        let mut out = Vec::new();
        for guard in self.ids.prefix(number.to_be_bytes()) {
            let value = guard.value().map_err(|error| fjall_error(&self.path, &error))?;
            let (_, ids) = decode_ids(&value).ok_or_else(|| storage(&self.path, format!("segment {number} of the index of ids is damaged")))?;
            out.extend_from_slice(ids);
        }
        Ok(out)
    }
}

const INTENT: &str = "intent\0";

fn intent_key(topic: Topic, partition: i32) -> Vec<u8> {
    format!("{INTENT}{topic}\0{partition}").into_bytes()
}

fn parse_intent(key: &[u8], value: &[u8]) -> Option<((Topic, i32), i64)> {
    let (topic, partition) = std::str::from_utf8(key).ok()?.strip_prefix(INTENT)?.split_once('\0')?;
    let topic = Topic::ALL.into_iter().find(|known| known.as_str() == topic)?;
    Some(((topic, partition.parse().ok()?), i64::from_le_bytes(*value.first_chunk::<8>()?)))
}
