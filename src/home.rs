//! The data folder: the embedded log, the lake, and the local key that fingerprints secrets.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use keytrail_ingest::enrich::{Enrich, Notice};
use keytrail_ingest::redact::Redactor;

use crate::config::Config;
use crate::copies::Copies;
use crate::exit::{OutOfReach, Usage};
use crate::keyring::Keyring;

/// The data folder, created when it is not there.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
    /// Opened once for all sources of the process.
    copies: Arc<OnceLock<Option<Arc<Copies>>>>,
    enrich: Arc<OnceLock<Option<Arc<Enrich>>>>,
    /// The key that was current last, and who redacts with it.
    redactor: Arc<Mutex<Option<Keyed>>>,
}

/// A key, and who redacts with it.
type Keyed = ([u8; 32], Redactor);

impl Home {
    /// Opens the folder of this configuration, and creates it where it is missing.
    ///
    /// # Errors
    /// [`OutOfReach`] when it cannot be created or written.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let dir = config.dir.clone();
        std::fs::create_dir_all(&dir)
            .map_err(|error| OutOfReach(format!("data folder {}: {error}: name another with --dir, or make it writable", dir.display())))?;
        Ok(Self { dir, copies: Arc::default(), enrich: Arc::default(), redactor: Arc::default() })
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Folder of the embedded log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Folder of the ids that were appended to Kafka from here.
    #[must_use]
    pub fn seen(&self) -> PathBuf {
        self.dir.join("seen")
    }

    /// Folder of the positions in watched files.
    #[must_use]
    pub fn sources(&self) -> PathBuf {
        self.dir.join("sources")
    }

    /// File of the encrypted copies of dead letters.
    #[must_use]
    pub fn copies(&self) -> PathBuf {
        self.dir.join("dead-letters.sealed")
    }

    /// The encrypted copies, where the configuration asks for them.
    ///
    /// # Errors
    /// When the key or the file cannot be read.
    pub fn opened_copies(&self, config: &Config) -> anyhow::Result<Option<Arc<Copies>>> {
        if let Some(copies) = self.copies.get() {
            return Ok(copies.clone());
        }
        let opened = Copies::open(config, self)?.map(Arc::new);
        Ok(self.copies.get_or_init(|| opened).clone())
    }

    /// The databases of addresses, where the configuration names any.
    ///
    /// # Errors
    /// [`Usage`] when one cannot be used.
    pub fn opened_databases(&self, config: &Config) -> anyhow::Result<Option<Arc<Enrich>>> {
        if let Some(enrich) = self.enrich.get() {
            return Ok(enrich.clone());
        }
        let asked = &config.ingest.enrich;
        let say = |notice: &Notice| match notice {
            Notice::Reloaded(path) => tracing::info!(path, "the database of addresses changed: the new one is in use"),
            Notice::Kept(error) => tracing::warn!("ingest.enrich.databases: {error}; the one that was read before stays in use"),
        };
        let opened = match asked.databases.as_slice() {
            [] => None,
            paths => {
                let enrich = Enrich::open(paths, Duration::from_millis(asked.interval_ms), say);
                Some(Arc::new(enrich.map_err(|error| Usage(format!("ingest.enrich.databases: {error}")))?))
            }
        };
        Ok(self.enrich.get_or_init(|| opened).clone())
    }

    /// Folder of the forwarders' positions.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.dir.join("outbox")
    }

    /// Folder of the certificates with which OPC UA servers are spoken to.
    #[must_use]
    pub fn opcua(&self) -> PathBuf {
        let keys = self.dir.join("keys").join("opcua");
        std::path::absolute(&keys).unwrap_or(keys)
    }

    /// The keys of the fingerprints.
    #[must_use]
    pub fn keyring(&self) -> Keyring {
        Keyring::of(&self.dir)
    }

    /// The key of the fingerprints (HMAC-SHA-256), made from the operating system's randomness the first time.
    ///
    /// # Errors
    /// [`OutOfReach`] when it cannot be read or written, or is not 32 bytes in hex.
    pub fn fingerprint_key(&self) -> anyhow::Result<[u8; 32]> {
        self.keyring().current()
    }

    /// Redacts with the current key. As long as that stays, what was learnt of earlier files stays too.
    ///
    /// # Errors
    /// As [`fingerprint_key`](Self::fingerprint_key).
    pub fn redactor(&self) -> anyhow::Result<Redactor> {
        let key = self.fingerprint_key()?;
        let mut known = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, redactor)) = known.as_ref().filter(|(of, _)| *of == key) {
            return Ok(redactor.clone());
        }
        let redactor = Redactor::new(&key);
        *known = Some((key, redactor.clone()));
        Ok(redactor)
    }
}
