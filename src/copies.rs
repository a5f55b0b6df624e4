//! Encrypted copies of dead letters, where `ingest.dead_letter_key` asks for them: one file that grows, a frame for each letter, sealed with
//! the operator's key and bound to the letter's id. Without the key they are nothing to a thief; without the setting there are none.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use keytrail_schemas::{DeadLetter, Hash32};

use crate::config::Config;
use crate::exit::{OutOfReach, Usage};
use crate::home::Home;
use crate::seal;

/// A frame begins with the letter's id in hex and the number of sealed bytes (little-endian).
const ID_BYTES: usize = 32;
const HEAD_BYTES: usize = ID_BYTES + 4;

/// The copies of a data folder.
pub struct Copies {
    path: PathBuf,
    key: [u8; 32],
    bytes_max: u64,
    held: Mutex<Held>,
}

struct Held {
    file: File,
    /// Where each letter's sealed bytes stand, and how many they are.
    frames: Frames,
    bytes: u64,
    full: bool,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Copies {
    /// Opens them, where the configuration asks for copies.
    ///
    /// # Errors
    /// [`Usage`] when the key is none, [`OutOfReach`] when the file cannot be read or written.
    pub fn open(config: &Config, home: &Home) -> anyhow::Result<Option<Self>> {
        if config.ingest.dead_letter_key.is_empty() {
            return Ok(None);
        }
        let named = Path::new(&config.ingest.dead_letter_key);
        let text = std::fs::read_to_string(named).map_err(|error| Usage(format!("ingest.dead_letter_key = {}: {error}", named.display())))?;
        let key = Hash32::from_hex(text.trim())
            .ok_or_else(|| Usage(format!("ingest.dead_letter_key = {}: expected 32 bytes in hex, as `openssl rand -hex 32` writes them", named.display())))?;
        let path = home.copies();
        let failed = |error: std::io::Error| OutOfReach(format!("{}: {error}", path.display()));
        let mut options = std::fs::OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let (frames, bytes) = frames(&file, length).map_err(failed)?;
        // A frame that a crash tore goes, so that the next one stands behind a whole one.
        if bytes < length {
            file.set_len(bytes).map_err(failed)?;
        }
        let held = Held { file, frames, bytes, full: false };
        Ok(Some(Self { path, key: key.0, bytes_max: config.ingest.dead_letter_copies_bytes_max, held: Mutex::new(held) }))
    }

    /// The bytes of the letter of this id, where there is a copy.
    ///
    /// # Errors
    /// [`OutOfReach`] when the file cannot be read, or holds a copy that the key does not open.
    pub fn of(&self, dead_letter_id: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, length)) = held.frames.get(dead_letter_id).copied() else { return Ok(None) };
        let mut sealed = vec![0; length as usize];
        let read = held.file.seek(SeekFrom::Start(at)).and_then(|_| held.file.read_exact(&mut sealed));
        read.map_err(|error| OutOfReach(format!("{}: {error}", self.path.display())))?;
        let plain = seal::open_with_key(&self.key, dead_letter_id.as_bytes(), &sealed);
        Ok(Some(
            plain.ok_or_else(|| OutOfReach(format!("{}: the copy of {dead_letter_id} does not open: another key, or it was changed", self.path.display())))?,
        ))
    }

    fn append(&self, held: &mut Held, id: &str, record: &[u8]) -> anyhow::Result<()> {
        let sealed = seal::with_key(&self.key, id.as_bytes(), record)?;
        let frame = [id.as_bytes(), &u32::try_from(sealed.len())?.to_le_bytes(), &sealed].concat();
        held.file.write_all(&frame)?;
        held.frames.insert(id.to_owned(), (held.bytes + HEAD_BYTES as u64, u32::try_from(sealed.len())?));
        held.bytes += frame.len() as u64;
        Ok(())
    }
}

impl keytrail_ingest::source::Copies for Copies {
    fn keep(&self, letter: &DeadLetter, record: &[u8]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let id = letter.dead_letter_id.as_str();
        if id.len() != ID_BYTES || held.frames.contains_key(id) {
            return;
        }
        if held.bytes + record.len() as u64 > self.bytes_max {
            if !std::mem::replace(&mut held.full, true) {
                tracing::warn!(path = %self.path.display(), bytes_max = self.bytes_max, "no more copies of dead letters: ingest.dead_letter_copies_bytes_max is reached; move the file away once its letters are retried");
            }
            return;
        }
        if let Err(error) = self.append(&mut held, id, record) {
            tracing::warn!(path = %self.path.display(), %error, "a dead letter has no copy");
        }
    }
}

/// Where the sealed bytes of a dead letter stand: offset and length, by the letter's id.
type Frames = HashMap<String, (u64, u32)>;

/// The whole frames in a file of `length` bytes, and where the last one ends.
fn frames(file: &File, length: u64) -> std::io::Result<(Frames, u64)> {
    let (mut found, mut end) = (HashMap::new(), 0);
    let mut reader = BufReader::new(file);
    let mut head = [0; HEAD_BYTES];
    while length - end >= HEAD_BYTES as u64 {
        reader.read_exact(&mut head)?;
        let (id, bytes) = head.split_at(ID_BYTES);
        let bytes = bytes.try_into().map_or(0, u32::from_le_bytes);
        let at = end + HEAD_BYTES as u64;
        if at + u64::from(bytes) > length {
            break;
        }
        found.insert(String::from_utf8_lossy(id).into_owned(), (at, bytes));
        reader.seek_relative(i64::from(bytes))?;
        end = at + u64::from(bytes);
    }
    Ok((found, end))
}

#[cfg(test)]
mod tests {
    use keytrail_ingest::source::Copies as _;

    use super::*;

    #[test]
    fn a_copy_is_read_back_with_its_key_and_a_torn_one_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, format!("{}\n", Hash32([5; 32]))).unwrap();
        let mut config = Config { dir: folder.path().join("data"), ..Config::default() };
        config.ingest.dead_letter_key = key.to_str().unwrap().to_owned();
        let home = Home::open(&config).unwrap();
        let open = || Copies::open(&config, &home).unwrap().unwrap();
        let letter = |id: char| DeadLetter { dead_letter_id: id.to_string().repeat(32).into(), ..DeadLetter::default() };
        let copies = open();
        copies.keep(&letter('a'), b"hunter2, cut");
        copies.keep(&letter('a'), b"again");
        copies.keep(&letter('b'), b"second");
        drop(copies);
        let bytes = std::fs::read(home.copies()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
        std::fs::write(home.copies(), &bytes[..bytes.len() - 3]).unwrap();
        let copies = open();
        assert_eq!(copies.of(&"a".repeat(32)).unwrap().as_deref(), Some(b"hunter2, cut".as_slice()));
        assert_eq!(copies.of(&"b".repeat(32)).unwrap(), None);
        copies.keep(&letter('b'), b"second");
        drop(copies);
        assert_eq!(open().of(&"b".repeat(32)).unwrap().as_deref(), Some(b"second".as_slice()));
        std::fs::write(&key, format!("{}\n", Hash32([6; 32]))).unwrap();
        assert!(open().of(&"a".repeat(32)).unwrap_err().to_string().contains("does not open"));
    }
}
