//! Snapshots of detector state: named by what they hold, written before anything points at them.
//!
//! `_state/P/OFFSET-HASH.snapshot` holds the bytes; the hash is BLAKE3 over partition, offset and bytes, so that neither a torn file
//! nor a renamed one passes for a snapshot. `_state/P/pointer.json` lists the newest first and is replaced atomically. A damaged
//! newest one costs a longer replay and nothing else: the one before it is taken.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use crate::{Error, Lake, Result};

/// Snapshots kept per partition.
const KEPT: usize = 2;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Pointer {
    snapshots: Vec<String>,
}

impl Lake {
    /// Keeps a partition's detector state, which has seen every offset below `next_offset`. Returns once it is durable.
    ///
    /// # Errors
    /// When the store fails; the snapshot before stays in force then.
    pub async fn put_snapshot(&self, partition: i32, next_offset: i64, bytes: Vec<u8>) -> Result<()> {
        let (bytes, name) = tokio::task::spawn_blocking(move || {
            let name = name_of(partition, next_offset, &bytes);
            (bytes, name)
        })
        .await
        .map_err(|e| Error::storage(&self.state_shown, "hash a snapshot", e))?;
        self.state.put(&path(partition, &name), PutPayload::from(bytes)).await.map_err(|e| self.failed("write a snapshot", e))?;

        let mut snapshots = self.listed(partition).await?;
        snapshots.retain(|other| *other != name);
        snapshots.insert(0, name);
        snapshots.truncate(KEPT);
        let pointer = serde_json::to_vec(&Pointer { snapshots: snapshots.clone() }).map_err(|e| Error::encoding(&self.state_shown, "encode the pointer", e))?;
        self.state.put(&pointer_path(partition), PutPayload::from(pointer)).await.map_err(|e| self.failed("write the pointer", e))?;
        self.prune(partition, &snapshots).await
    }

    /// The newest snapshot that is whole: the next offset to read, and the state. `None` when there is none: replay from the start.
    ///
    /// # Errors
    /// When the store fails in another way than by a missing file.
    pub async fn latest_snapshot(&self, partition: i32) -> Result<Option<(i64, Vec<u8>)>> {
        for name in self.listed(partition).await? {
            let Some(bytes) = self.read(&path(partition, &name)).await? else {
                tracing::warn!(partition, snapshot = name, "a snapshot is missing, taking the one before");
                continue;
            };
            let whole = offset_of(&name).filter(|next| name_of(partition, *next, &bytes) == name);
            match whole {
                Some(next) => return Ok(Some((next, bytes))),
                None => tracing::warn!(partition, snapshot = name, "a snapshot is damaged, taking the one before"),
            }
        }
        Ok(None)
    }

    /// The next offset that the newest snapshot of a partition says, without reading the snapshot.
    ///
    /// # Errors
    /// When the store fails in another way than by a missing file.
    pub async fn snapshot_offset(&self, partition: i32) -> Result<Option<i64>> {
        Ok(self.listed(partition).await?.first().and_then(|name| offset_of(name)))
    }

    /// Names of a partition's snapshots, newest first: by the pointer, or by listing where the pointer is damaged.
    async fn listed(&self, partition: i32) -> Result<Vec<String>> {
        if let Some(bytes) = self.read(&pointer_path(partition)).await? {
            match serde_json::from_slice::<Pointer>(&bytes) {
                Ok(pointer) => return Ok(pointer.snapshots),
                Err(error) => tracing::warn!(partition, error = %error, "the snapshots' pointer is damaged, listing them"),
            }
        }
        let mut names = self.names(partition).await?;
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    async fn names(&self, partition: i32) -> Result<Vec<String>> {
        let listed = match self.state.list_with_delimiter(Some(&Path::from(partition.to_string()))).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            other => other.map_err(|e| self.failed("list snapshots", e))?,
        };
        Ok(listed.objects.iter().filter_map(|o| o.location.filename()).filter(|name| offset_of(name).is_some()).map(str::to_owned).collect())
    }

    /// Removes snapshots older than those kept. Newer ones may be another process's, written and not yet pointed at.
    async fn prune(&self, partition: i32, kept: &[String]) -> Result<()> {
        let oldest = kept.iter().filter_map(|name| offset_of(name)).min();
        for name in self.names(partition).await? {
            if !kept.contains(&name) && offset_of(&name) < oldest {
                match self.state.delete(&path(partition, &name)).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(e) => return Err(self.failed("remove an old snapshot", e)),
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.state.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await.map_err(|e| self.failed("read a snapshot", e))?.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read a snapshot", e)),
        }
    }

    pub(crate) fn failed(&self, what: &'static str, source: object_store::Error) -> Error {
        Error::storage(&self.state_shown, what, source)
    }
}

fn path(partition: i32, name: &str) -> Path {
    Path::from_iter([&partition.to_string(), name])
}

fn pointer_path(partition: i32) -> Path {
    path(partition, "pointer.json")
}

fn name_of(partition: i32, next_offset: i64, bytes: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("keytrail detector snapshot v1");
    hasher.update(&partition.to_le_bytes()).update(&next_offset.to_le_bytes()).update(bytes);
    format!("{next_offset:020}-{}.snapshot", hasher.finalize().to_hex())
}

fn offset_of(name: &str) -> Option<i64> {
    name.strip_suffix(".snapshot")?.split_once('-')?.0.parse().ok()
}
