//! What one name touched, or was touched by, from the roll-up for whole days and from events for the rest, without a planner: the same rows that
//! [`Touches::plan`] would give, from memory where they were asked for before.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::row::Row;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use keytrail_schemas::Micros;
use object_store::path::Path;
use rustc_hash::FxHashSet;

use super::file_set::File;
use super::hot::Hot;
use super::index::Indexes;
use super::look_up::{LOOKED_UP, look_up, schema};
use super::named::{Found, Kind};
use super::recent::{Asked, Recent};
use super::run::{KEY_COLUMNS, Keys, Run};
use super::touches::{Days, Order, Touches, holding, scans};
use super::{FileSet, LiveTable, whole};
use crate::Options;

/// Files of one name that are read side by side.
pub(super) const FILES_AT_ONCE: usize = 8;

/// What looking up needs.
#[derive(Debug)]
pub(crate) struct LookUps {
    hot: Hot<Order, Run>,
    /// Events of an identity, as [`super::acts`] has them.
    pub(super) acts: Hot<(), RecordBatch>,
    /// Rows that name somebody, as [`super::named`] has them.
    pub(super) named: Hot<Kind, Found>,
    pub(super) indexes: Indexes,
    /// Touches of an identity, as [`super::reach`] has them.
    pub(super) reach: Hot<(), RecordBatch>,
    recent: Recent,
    keys: Keys,
    pub(super) footers: Arc<FileMetadataCache>,
}

impl LookUps {
    /// Keeps what the options allow: of rows that were read by name, half are those of touches, a quarter events as timelines show them, and an
    /// eighth each what `blast_radius` follows, and findings and credentials.
    pub(crate) fn new(options: &Options, footers: Arc<FileMetadataCache>) -> Result<Self> {
        let eighth = options.rows_cache_bytes_max / 8;
        Ok(Self {
            hot: Hot::new(eighth * 4),
            acts: Hot::new(eighth * 2),
            named: Hot::new(eighth),
            reach: Hot::new(eighth),
            indexes: Indexes::new(options.index_cache_bytes_max),
            recent: Recent::new(options.recent_cache_bytes_max),
            keys: Keys::new()?,
            footers,
        })
    }
}

/// Rows of one file, and which of them are meant.
#[derive(Debug, Clone)]
pub(crate) struct Looked {
    pub(crate) run: Arc<Run>,
    keep: Keep,
}

/// Which rows of a file are meant.
#[derive(Debug, Clone)]
pub(super) enum Keep {
    All,
    /// Whole days.
    Days(Arc<Days>),
    /// Events of a period.
    Within(Option<Micros>, Option<Micros>),
}

impl Looked {
    /// The rows that are meant, in order of their key.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        (0..self.run.rows()).filter(|row| self.is_meant(*row))
    }

    pub(crate) fn key(&self, row: usize) -> Row<'_> {
        self.run.key(row)
    }

    fn is_meant(&self, row: usize) -> bool {
        self.keep.is_meant(|| self.run.day(row), || self.run.first.value(row))
    }
}

impl Keep {
    /// Whether a row is meant, whose day and time these are.
    pub(super) fn is_meant(&self, day: impl Fn() -> i64, time: impl Fn() -> i64) -> bool {
        match self {
            Self::All => true,
            Self::Days(days) => days.has(day()),
            Self::Within(from, to) => {
                let time = time();
                from.is_none_or(|from| from.0 <= time) && to.is_none_or(|to| time < to.0)
            }
        }
    }
}

/// A file that is looked into.
pub(super) struct Into<'a> {
    pub(super) table: &'a Arc<LiveTable>,
    pub(super) file: &'a File,
    pub(super) keep: Keep,
}

impl Into<'_> {
    fn asked(&self) -> Asked<'_> {
        let period = match self.keep {
            Keep::All => Some((None, None)),
            Keep::Days(_) => None,
            Keep::Within(from, to) => Some((from, to)),
        };
        Asked { table: self.table.name, path: &self.file.meta.location, rows: self.file.rows, period }
    }
}

impl Touches {
    /// The touches of `name` within `[from, to)`: first those of the small files that are in memory, then file by file. Files that hold none are left out.
    pub(crate) async fn look_up(&self, order: Order, name: &str, from: Option<Micros>, to: Option<Micros>) -> Result<Vec<Looked>> {
        self.in_order(order).ready().await?;
        let (events, rolled_table) = (self.events.files(), self.in_order(order));
        let rolled = rolled_table.files();
        let files = self.files(&events, rolled_table, &rolled, from, to);
        let (hot, recent) = (&self.look_ups.hot, &self.look_ups.recent);
        let known = hot.of(order, name);
        let asked = || files.iter().map(Into::asked);
        let is_hot = |path: &Path| known.files.contains_key(path);
        let mut sum = recent.sum(order, name, asked())?;
        let new =
            |others: &[usize]| others.iter().filter_map(|at| Some((*at, files.get(*at)?.asked()))).filter(|(_, asked)| !is_hot(asked.path)).collect::<Vec<_>>();
        let due = recent.looked_into(new(&sum.others).into_iter());
        if !due.is_empty() {
            self.read_whole(due.iter().filter_map(|at| files.get(*at)), [&events, &rolled]).await;
            sum = recent.sum(order, name, asked())?;
        }
        let others: Vec<&Into<'_>> = sum.others.iter().filter_map(|at| files.get(*at)).collect();
        let mut missing = Vec::new();
        for into in others.iter().filter(|into| !is_hot(&into.file.meta.location)) {
            missing.push(self.read(into, order, name));
        }
        let read: Vec<(Path, Arc<Run>)> = stream::iter(missing).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        let mut looked = Vec::new();
        if let Some(touches) = &sum.touches {
            looked.push(Looked { run: Arc::new(Run::of(touches, &self.look_ups.keys)?), keep: Keep::All });
        }
        looked.extend(others.into_iter().filter_map(|into| {
            let path = &into.file.meta.location;
            let run = known.files.get(path).or_else(|| read.iter().find(|(of, _)| of == path).map(|(_, run)| run))?;
            (run.rows() > 0).then(|| Looked { run: run.clone(), keep: into.keep.clone() })
        }));
        if !read.is_empty() {
            let named: FxHashSet<&Path> = events.files.iter().chain(&rolled.files).map(|file| &file.meta.location).collect();
            hot.keep(order, name, read, &named);
        }
        Ok(looked)
    }

    /// Whether anything touched, or was touched by, `name`.
    pub(crate) async fn has(&self, order: Order, name: &str) -> Result<bool> {
        self.in_order(order).ready().await?;
        let (events, rolled_table) = (self.events.files(), self.in_order(order));
        let rolled = rolled_table.files();
        let files = self.files(&events, rolled_table, &rolled, None, None);
        // Of a file whose days do not all hold, nothing is said here.
        let asked = files.iter().map(Into::asked).filter(|asked| asked.period.is_some());
        if self.look_ups.recent.has(order, name, asked) {
            return Ok(true);
        }
        Ok(self.look_up(order, name, None, None).await?.iter().any(|looked| looked.run.rows() > 0))
    }

    /// Reads small files into memory, once for all who wait for them. One that cannot be read is looked up in, and says so there.
    async fn read_whole<'a>(&self, files: impl Iterator<Item = &'a Into<'a>>, sets: [&FileSet; 2]) {
        const OF_EVENTS: [&str; 2] = ["time", "credential_issued_at"];
        let recent = &self.look_ups.recent;
        let _alone = recent.reading.lock().await;
        sets.iter().for_each(|set| recent.hold_against(set));
        let coded = LOOKED_UP.get(..KEY_COLUMNS).unwrap_or_default();
        let wanted: Vec<&str> = LOOKED_UP.into_iter().chain(OF_EVENTS).collect();
        for into in files {
            let asked = into.asked();
            if recent.is_whole(&asked) {
                continue;
            }
            let push = |batches: &mut Vec<RecordBatch>, batch| {
                batches.push(batch);
                Ok(())
            };
            let read = whole(into.table, into.file, (&wanted, coded), &self.look_ups.footers, Vec::new(), push).await;
            let kept = match &read {
                Ok(batches) => recent.keep(&asked, Some(batches)),
                Err(error) => {
                    tracing::debug!(%error, file = %asked.path, "a small file could not be read whole");
                    recent.keep(&asked, None)
                }
            };
            if let Err(error) = kept {
                tracing::debug!(%error, file = %asked.path, "a small file could not be counted");
            }
        }
    }

    /// Looks the name up in a file, on a task of its own: what is not in memory takes a processor more time than storage.
    fn read(&self, into: &Into<'_>, order: Order, name: &str) -> impl Future<Output = Result<(Path, Arc<Run>)>> + Send + 'static {
        let (table, file, look_ups, name) = (into.table.clone(), into.file.clone(), self.look_ups.clone(), name.to_owned());
        async move {
            let reading = SpawnedTask::spawn(async move {
                let found = look_up(&table, &file, (order.column(), &name), &schema(), &look_ups.footers).await?;
                Ok((file.meta.location, Arc::new(Run::of(&found, &look_ups.keys)?)))
            });
            reading.join_unwind().await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
        }
    }

    /// The files that hold the period: those of the roll-up for the whole days that they hold, and those of events for the rest.
    pub(super) fn files<'a>(
        &'a self,
        events: &'a FileSet,
        rolled_table: &'a Arc<LiveTable>,
        rolled: &'a FileSet,
        from: Option<Micros>,
        to: Option<Micros>,
    ) -> Vec<Into<'a>> {
        let holding = if self.is_read(true) { holding(events, rolled, from, to) } else { Default::default() };
        let mut files = Vec::new();
        for (days, of) in scans(rolled, &holding) {
            let keep = if days == Days::All { Keep::All } else { Keep::Days(Arc::new(days)) };
            files.extend(of.into_iter().filter_map(|index| Some(Into { table: rolled_table, file: rolled.files.get(index)?, keep: keep.clone() })));
        }
        let is_open = |file: &File| file.day.is_none_or(|day| !holding.contains_key(&i64::from(day)));
        for index in events.within("time", from, to) {
            if let Some(file) = events.files.get(index).filter(|file| is_open(file)) {
                files.push(Into { table: &self.events, file, keep: Keep::Within(from, to) });
            }
        }
        files
    }
}
