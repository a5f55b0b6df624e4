//! Sets of rules beside the snapshots: each under the hash of its bytes, and where in the log each came into force.
//!
//! `_state/rules/HASH.set` holds a set and never changes. `_state/rules/at/P/OFFSET-HASH` says that partition P is judged by it from that
//! offset on. `_state/rules/announced/P` holds the hash that was last put into the partition's log.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::{Error, Lake, Result};

impl Lake {
    /// Keeps a set of rules under its hash, in hex. Returns once it is durable.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_rules(&self, hash: &str, bytes: Vec<u8>) -> Result<()> {
        self.put_object(&set_path(hash), bytes).await
    }

    /// The set of rules with this hash; `None` when it is not here, or is not what its name says.
    ///
    /// # Errors
    /// When the store fails in another way than by a missing file.
    pub async fn rules(&self, hash: &str) -> Result<Option<Vec<u8>>> {
        let bytes = self.read(&set_path(hash)).await?;
        Ok(bytes.filter(|bytes| blake3::hash(bytes).to_hex().as_str() == hash))
    }

    /// The hash that was last put into a partition's log.
    ///
    /// # Errors
    /// When the store fails in another way than by a missing file.
    pub async fn announced_rules(&self, partition: i32) -> Result<Option<String>> {
        Ok(self.read(&announced_path(partition)).await?.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Notes what was put into a partition's log.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_announced_rules(&self, partition: i32, hash: &str) -> Result<()> {
        self.put_object(&announced_path(partition), hash.as_bytes().to_vec()).await
    }

    /// Notes that a partition is judged by the set `hash` from `offset` on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_rules(&self, partition: i32, offset: i64, hash: &str) -> Result<()> {
        let path = Path::from_iter(["rules", "at", &partition.to_string(), &format!("{offset:020}-{hash}")]);
        self.put_object(&path, Vec::new()).await
    }

    /// From which offsets on a partition was judged by which sets, in order.
    ///
    /// # Errors
    /// When the store fails in another way than by a missing folder.
    pub async fn rules_by_offset(&self, partition: i32) -> Result<Vec<(i64, String)>> {
        let listed = match self.state.list_with_delimiter(Some(&Path::from_iter(["rules", "at", &partition.to_string()]))).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            other => other.map_err(|e| self.failed("list rule sets", e))?,
        };
        let place = |name: &str| {
            let (offset, hash) = name.split_once('-')?;
            Some((offset.parse().ok()?, hash.to_owned()))
        };
        let mut places: Vec<(i64, String)> = listed.objects.iter().filter_map(|object| place(object.location.filename()?)).collect();
        places.sort_unstable();
        Ok(places)
    }

    pub(crate) async fn put_object(&self, path: &Path, bytes: Vec<u8>) -> Result<()> {
        self.state.put(path, PutPayload::from(bytes)).await.map(|_| ()).map_err(|e: object_store::Error| -> Error { self.failed("write a rule set", e) })
    }
}

fn set_path(hash: &str) -> Path {
    Path::from_iter(["rules", &format!("{hash}.set")])
}

fn announced_path(partition: i32) -> Path {
    Path::from_iter(["rules", "announced", &partition.to_string()])
}

#[cfg(test)]
mod tests {
    use crate::{Lake, Options};

    #[tokio::test]
    async fn sets_are_kept_by_hash_and_places_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap(), Options::default()).await.unwrap();
        let hash = blake3::hash(b"a set").to_hex().to_string();
        assert_eq!(lake.rules(&hash).await.unwrap(), None);
        lake.put_rules(&hash, b"a set".to_vec()).await.unwrap();
        assert_eq!(lake.rules(&hash).await.unwrap().unwrap(), b"a set");
        lake.put_rules(&hash, b"another".to_vec()).await.unwrap();
        assert_eq!(lake.rules(&hash).await.unwrap(), None, "what is not what its name says is not a set");
        for (offset, name) in [(900, "b"), (7, "a"), (7, "a")] {
            lake.note_rules(3, offset, name).await.unwrap();
        }
        assert_eq!(lake.rules_by_offset(3).await.unwrap(), [(7, "a".to_owned()), (900, "b".to_owned())]);
        assert_eq!(lake.rules_by_offset(4).await.unwrap(), []);
        lake.note_announced_rules(3, "b").await.unwrap();
        assert_eq!(lake.announced_rules(3).await.unwrap().as_deref(), Some("b"));
    }
}
