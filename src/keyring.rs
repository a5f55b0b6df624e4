//! The keys of the fingerprints, in `keys/` of the data folder: the current one in `fingerprint.key`, earlier ones under `retired/` by
//! their ids, and in `epochs.ndjson` from when on each was used. Within an epoch equal secrets have equal fingerprints; across epochs they do not.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use keytrail_schemas::{Hash32, Micros};
use serde::{Deserialize, Serialize};

use crate::exit::OutOfReach;

/// A key and the time of its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Names the key without telling it.
    pub key_id: String,
    /// The key, where it is still kept.
    pub key: Option<[u8; 32]>,
    /// From when on it was used, by the time of reading (`ingested_at`).
    pub since: Micros,
    /// Until when; none for the current one.
    pub until: Option<Micros>,
}

/// The beginning of an epoch, as a line of `epochs.ndjson`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Begin {
    key_id: String,
    since: Micros,
}

/// The keys of a data folder.
#[derive(Debug, Clone)]
pub struct Keyring {
    folder: PathBuf,
}

impl Keyring {
    /// Those of this data folder. Nothing is read or written yet.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self { folder: dir.join("keys") }
    }

    fn current_path(&self) -> PathBuf {
        self.folder.join("fingerprint.key")
    }

    fn retired_path(&self, key_id: &str) -> PathBuf {
        self.folder.join("retired").join(format!("{key_id}.key"))
    }

    /// The current key, made from the operating system's randomness where there is none yet.
    ///
    /// # Errors
    /// [`OutOfReach`] when it cannot be read or written, or is not 32 bytes in hex.
    pub fn current(&self) -> anyhow::Result<[u8; 32]> {
        if let Some(key) = read(&self.current_path())? {
            return Ok(key);
        }
        let key = crate::seal::random()?;
        self.begin(&key)?;
        // The first one stays where two processes begin at once.
        match write_new(&self.current_path(), &key) {
            Ok(()) => Ok(key),
            Err(error) => read(&self.current_path())?.ok_or(error),
        }
    }

    /// Every key, oldest first; the current one last.
    ///
    /// # Errors
    /// [`OutOfReach`] when a file of the folder cannot be read.
    pub fn epochs(&self) -> anyhow::Result<Vec<Epoch>> {
        let current = self.current()?;
        let mut begins = self.begins()?;
        // A folder of before there were epochs: its key is as old as its file.
        if begins.last().is_none_or(|begin| begin.key_id != id(&current)) {
            begins.push(Begin { key_id: id(&current), since: written_at(&self.current_path()) });
        }
        let untils: Vec<Option<Micros>> = begins.iter().skip(1).map(|begin| Some(begin.since)).chain([None]).collect();
        let epoch = |(begin, until): (Begin, Option<Micros>)| {
            let key = if until.is_none() { Some(current) } else { read(&self.retired_path(&begin.key_id))? };
            Ok(Epoch { key_id: begin.key_id, key, since: begin.since, until })
        };
        begins.into_iter().zip(untils).map(epoch).collect()
    }

    /// Replaces the current key by `key`. The old one is kept under its id, or forgotten: then nobody can ever tell which secret a
    /// fingerprint of its epoch stood for.
    ///
    /// # Errors
    /// [`OutOfReach`] when the folder cannot be written; the current key is then still the old one.
    pub fn replace(&self, key: &[u8; 32], forget: bool) -> anyhow::Result<()> {
        let old = self.current()?;
        if old == *key {
            return Ok(());
        }
        if self.begins()?.is_empty() {
            self.note(&Begin { key_id: id(&old), since: written_at(&self.current_path()) })?;
        }
        if !forget {
            write(&self.retired_path(&id(&old)), &old)?;
        }
        self.begin(key)?;
        write(&self.current_path(), key)
    }

    /// Keeps a key of an earlier epoch, as an import brings it.
    ///
    /// # Errors
    /// [`OutOfReach`] when the folder cannot be written.
    pub fn keep(&self, key: &[u8; 32]) -> anyhow::Result<()> {
        write(&self.retired_path(&id(key)), key)
    }

    fn begins(&self) -> anyhow::Result<Vec<Begin>> {
        let path = self.folder.join("epochs.ndjson");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&path, &error)),
        };
        let line = |line: &str| serde_json::from_str(line).map_err(|error| OutOfReach(format!("{}: {error}", path.display())).into());
        text.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
    }

    fn begin(&self, key: &[u8; 32]) -> anyhow::Result<()> {
        self.note(&Begin { key_id: id(key), since: crate::clock::now() })
    }

    fn note(&self, begin: &Begin) -> anyhow::Result<()> {
        let path = self.folder.join("epochs.ndjson");
        std::fs::create_dir_all(&self.folder).map_err(|error| failed(&self.folder, &error))?;
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true);
        let line = format!("{}\n", serde_json::to_string(begin)?);
        options.open(&path).and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all())).map_err(|error| failed(&path, &error))
    }
}

/// The name of a key: what it makes of a fixed text, so that it tells nothing of the key.
#[must_use]
pub fn id(key: &[u8; 32]) -> String {
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), b"keytrail fingerprint key id v1");
    tag.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn failed(path: &Path, error: &std::io::Error) -> anyhow::Error {
    OutOfReach(format!("{}: {error}", path.display())).into()
}

fn written_at(path: &Path) -> Micros {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_micros()).ok()).map_or_else(Micros::default, Micros)
}

fn read(path: &Path) -> anyhow::Result<Option<[u8; 32]>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Hash32::from_hex(text.trim()).map(|key| Some(key.0)).ok_or_else(|| {
            OutOfReach(format!(
                "{}: expected 32 bytes in hex; restore the file from a backup: with another key, fingerprints of the same secret differ",
                path.display()
            ))
            .into()
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Writes a file that its owner alone can read, and that is not there yet.
fn write_new(path: &Path, key: &[u8; 32]) -> anyhow::Result<()> {
    private(path, format!("{}\n", Hash32(*key)).as_bytes()).map_err(|error| failed(path, &error))
}

/// Writes it in the place of what is there, whole or not at all.
fn write(path: &Path, key: &[u8; 32]) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside); // Left by a crash, if it is there.
    write_new(&beside, key)?;
    std::fs::rename(&beside, path).map_err(|error| failed(path, &error))
}

/// Creates a file for its owner alone, and its folder; refuses one that is there.
///
/// # Errors
/// What the file system says.
pub fn private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads a secret that stands alone in a file, without the line's end.
///
/// # Errors
/// When it cannot be read.
pub fn secret_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_key_is_kept_under_its_id_and_its_epoch_ends() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keyring::of(folder.path());
        let first = keys.current().unwrap();
        assert_eq!(keys.current().unwrap(), first);
        keys.replace(&[7; 32], false).unwrap();
        keys.replace(&[8; 32], true).unwrap();
        let epochs = keys.epochs().unwrap();
        assert_eq!(epochs.iter().map(|epoch| epoch.key).collect::<Vec<_>>(), [Some(first), None, Some([8; 32])]);
        assert_eq!(epochs[0].until, Some(epochs[1].since));
        assert_eq!(epochs[2].until, None);
        assert_eq!(epochs[0].key_id, id(&first));
    }

    #[test]
    fn a_folder_of_before_epochs_has_one() {
        let folder = tempfile::tempdir().unwrap();
        write_new(&folder.path().join("keys/fingerprint.key"), &[3; 32]).unwrap();
        let keys = Keyring::of(folder.path());
        assert_eq!(keys.epochs().unwrap().len(), 1);
        assert!(keys.epochs().unwrap()[0].since > Micros(0));
        keys.replace(&[4; 32], false).unwrap();
        assert_eq!(keys.epochs().unwrap().iter().map(|epoch| epoch.key).collect::<Vec<_>>(), [Some([3; 32]), Some([4; 32])]);
    }
}
