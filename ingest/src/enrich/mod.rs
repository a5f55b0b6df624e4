//! What the operator's own databases know of the address that an event came from: country and autonomous system. It is written into the event as it
//! is read, so that the log holds what was known then: a replay judges by it, and a newer database changes nothing that was read before.

mod database;
mod memory;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use database::Database;
pub(crate) use memory::Memory;

/// Something about a database that the operator should be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It changed, and the new one is in use.
    Reloaded(String),
    /// It changed or went, and the new one cannot be used: the one before stays in use.
    Kept(String),
}

/// A database that cannot be used. (user; a retry helps when the file is mended)
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Unusable {
    /// The file.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// The databases in use, shared by all readers of the process.
pub struct Enrich {
    paths: Vec<PathBuf>,
    interval: Duration,
    say: fn(&Notice),
    used: RwLock<Arc<Vec<Database>>>,
    /// Rises when a database is replaced: what was looked up before is forgotten.
    generation: AtomicU64,
    looked: Mutex<Instant>,
}

impl std::fmt::Debug for Enrich {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrich").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Enrich {
    /// Opens databases in `MaxMind`'s format. Where several know an address, the first one that has a country, and the first one that has an autonomous
    /// system, are believed. At most every `interval` it is looked whether they changed.
    ///
    /// # Errors
    /// [`Unusable`] when a file cannot be read, or is none.
    pub fn open(paths: &[String], interval: Duration, say: fn(&Notice)) -> Result<Self, Unusable> {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let used = paths.iter().map(|path| Database::open(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { paths, interval, say, used: RwLock::new(Arc::new(used)), generation: AtomicU64::new(0), looked: Mutex::new(Instant::now()) })
    }

    /// Looks whether a database changed, where it is time to: a reader does so before each batch that it hands on.
    pub fn look(&self) {
        let Ok(mut looked) = self.looked.try_lock() else { return };
        if looked.elapsed() < self.interval {
            return;
        }
        *looked = Instant::now();
        let used = self.used();
        let mut next: Vec<Database> = Vec::with_capacity(used.len());
        let mut changed = false;
        for (path, before) in self.paths.iter().zip(used.iter()) {
            if before.is_current(path) {
                next.push(before.clone());
                continue;
            }
            match Database::open(path) {
                Ok(database) => {
                    changed = true;
                    next.push(database);
                    (self.say)(&Notice::Reloaded(path.display().to_string()));
                }
                Err(error) => {
                    if before.is_news(path) {
                        (self.say)(&Notice::Kept(error.to_string()));
                    }
                    next.push(before.clone());
                }
            }
        }
        if changed {
            *self.used.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn used(&self) -> Arc<Vec<Database>> {
        Arc::clone(&self.used.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
