//! The data folder: the embedded log, the lake, and the local key that fingerprints secrets.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::Config;
use crate::exit::OutOfReach;

/// The data folder, created when it is not there.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Opens the folder of this configuration, and creates it where it is missing.
    ///
    /// # Errors
    /// [`OutOfReach`] when it cannot be created or written.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let dir = config.dir.clone();
        std::fs::create_dir_all(&dir)
            .map_err(|error| OutOfReach(format!("data folder {}: {error}: name another with --dir, or make it writable", dir.display())))?;
        Ok(Self { dir })
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

    /// Folder of the forwarders' positions.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.dir.join("outbox")
    }

    /// The key of the fingerprints (HMAC-SHA-256), made from the operating system's randomness the first time.
    ///
    /// # Errors
    /// [`OutOfReach`] when it cannot be read or written, or is not 32 bytes in hex.
    pub fn fingerprint_key(&self) -> anyhow::Result<[u8; 32]> {
        let path = self.dir.join("keys").join("fingerprint.key");
        match std::fs::read_to_string(&path) {
            Ok(text) => keytrail_schemas::Hash32::from_hex(text.trim()).map(|key| key.0).ok_or_else(|| {
                OutOfReach(format!(
                    "{}: expected 32 bytes in hex; restore the file from a backup: with another key, fingerprints of the same secret differ",
                    path.display()
                ))
                .into()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create_key(&path),
            Err(error) => Err(OutOfReach(format!("{}: {error}", path.display())).into()),
        }
    }
}

fn create_key(path: &Path) -> anyhow::Result<[u8; 32]> {
    let failed = |error: std::io::Error| OutOfReach(format!("{}: {error}", path.display()));
    let mut key = [0_u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| std::io::Read::read_exact(&mut random, &mut key))
        .context("reading the operating system's randomness")?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    writeln!(file, "{}", keytrail_schemas::Hash32(key)).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(key)
}
