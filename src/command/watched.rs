//! One watched source of `keytrail run` and `keytrail collect`: which of its files have changed, and how far each has been read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keytrail_ingest::error::Error;
use keytrail_ingest::source::{Follow, Look, Reader};
use keytrail_schemas::Hash32;

use super::ingest;
use crate::clock;
use crate::config::{Config, Source};
use crate::exit::{OutOfReach, Usage};
use crate::home::Home;
use crate::pipeline::Sink;
use crate::telemetry::Telemetry;

/// A source between two looks.
pub struct Watched {
    source: Source,
    follow: Arc<Follow>,
    /// Paths that cannot be read, and why.
    missing: BTreeMap<String, String>,
    pub due: Duration,
}

impl Watched {
    /// Opens what is known of the source's files from earlier.
    pub fn open(config: &Config, home: &Home, source: &Source, sink: &dyn Sink) -> anyhow::Result<Self> {
        // Positions are true of one log and of one source alone.
        let key = Hash32::of(format!("{}\0{}\0{}", config.log.url, source.name, source.cluster).as_bytes()).to_hex();
        let path = home.sources().join(format!("{}.ndjson", key.get(..16).unwrap_or(&key)));
        let failed = |error: std::io::Error| OutOfReach(format!("{}: {error}", path.display()));
        if sink.is_empty()? && path.exists() {
            tracing::warn!(source = source.name, "the log is empty: the source is read from its start");
            std::fs::remove_file(&path).map_err(failed)?;
        }
        let finished_after = i64::try_from(source.finished_after_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
        let follow = Follow::open(&path, finished_after).map_err(failed)?;
        Ok(Self { source: source.clone(), follow, missing: BTreeMap::new(), due: Duration::ZERO })
    }

    /// Fails where a path of the source is not there.
    pub fn is_whole(&self) -> anyhow::Result<()> {
        match self.missing.first_key_value() {
            None => Ok(()),
            Some((_, error)) => Err(Usage(format!("source {:?}: {error}; everything else is read and stored", self.source.name)).into()),
        }
    }

    /// Reads what is new.
    pub fn look(&mut self, config: &Config, telemetry: &Telemetry, home: &Home, sink: &dyn Sink, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
        self.due = Duration::from_millis(self.source.poll_interval_ms);
        let files = self.files();
        let Look { changed, lost } = self.follow.look(&files, clock::now());
        for (path, offset) in lost {
            tracing::warn!(
                source = self.source.name,
                path,
                offset,
                "the file was truncated or replaced, and the one before is not found beside it: what was written to it behind this offset and not read is lost"
            );
        }
        if changed.is_empty() {
            return Ok(());
        }
        let request = ingest::Request {
            paths: Vec::new(),
            format: self.source.format.clone(),
            source: Some(self.source.name.clone()).filter(|name| !name.is_empty()),
            cluster: Some(self.source.cluster.clone()).filter(|name| !name.is_empty()),
            raw: Some(self.source.raw.clone()).filter(|raw| !raw.is_empty()),
        };
        let mut options = ingest::options(config, home, &request)?;
        options.follow = Some(Arc::clone(&self.follow));
        let reader = Reader::of_files(&changed, options)?;
        let counts = ingest::read(telemetry, sink, reader, Some(&self.follow), stop, None)?;
        if !stop.load(Ordering::Acquire) {
            self.follow.read(&changed);
        }
        ingest::save(&self.follow, sink)?;
        for (format, count) in counts {
            tracing::info!(
                source = self.source.name,
                format,
                read = count.read,
                stored = count.stored,
                duplicate = count.duplicate,
                dead_lettered = count.dead_lettered,
                "source read"
            );
        }
        Ok(())
    }

    /// The files of the source. A path that is not there is said once, and again when it has come and gone.
    fn files(&mut self) -> Vec<PathBuf> {
        let (mut files, mut met, mut missing) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        for path in &self.source.paths {
            match keytrail_ingest::source::files(std::slice::from_ref(path)) {
                Ok(found) => files.extend(found.into_iter().filter(|file| met.insert(file.clone()))),
                // A pattern says what may come.
                Err(Error::NoMatch { pattern }) => tracing::debug!(source = self.source.name, pattern, "no file matches"),
                Err(error) => {
                    let error = error.to_string();
                    if !self.missing.contains_key(path) {
                        tracing::warn!(source = self.source.name, "{error}: nothing is read of it until it is there");
                    }
                    missing.insert(path.clone(), error);
                }
            }
        }
        for path in self.missing.keys().filter(|path| !missing.contains_key(*path)) {
            tracing::info!(source = self.source.name, path, "it is there now");
        }
        self.missing = missing;
        files
    }
}
