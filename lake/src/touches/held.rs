//! Which file of touches holds which days, and which of them still hold: a day does where the files that it was computed from are the day's
//! files of `events`.

use std::collections::BTreeMap;

use deltalake::kernel::{LogicalFileView, Version};
use keytrail_schemas::{Fingerprinted, RolledDays};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::file::metadata::ParquetMetaDataReader;

use crate::table_log::TableLog;
use crate::{DAY, Error, Result, stats};

/// Read at a file's end to find its footer.
const TAIL_BYTES: u64 = 64 << 10;

/// The days of `events` at a version: their files, and their files' fingerprint.
#[derive(Debug, Default)]
pub(super) struct Days {
    pub(super) days: BTreeMap<i64, Day>,
}

/// A day of `events`.
#[derive(Debug)]
pub(super) struct Day {
    pub(super) files: Vec<String>,
    pub(super) bytes: u64,
    pub(super) of: Fingerprinted,
}

impl Days {
    /// The days as they stand.
    pub(super) async fn load(events: &TableLog) -> Result<Self> {
        let (_, files) = events.files().await?;
        let mut days: BTreeMap<i64, (Vec<String>, u64)> = BTreeMap::new();
        for file in &files {
            let Some(day) = file.partition_values_map().get(DAY).cloned().flatten().as_deref().and_then(stats::day_of) else { continue };
            let (paths, bytes) = days.entry(day).or_default();
            paths.push(file.path().into_owned());
            *bytes += u64::try_from(file.size()).unwrap_or_default();
        }
        let days = days.into_iter().map(|(day, (files, bytes))| {
            let of = Fingerprinted::of(files.iter().map(String::as_str));
            (day, Day { files, bytes, of })
        });
        Ok(Self { days: days.collect() })
    }

    fn of(&self, day: i64) -> Option<Fingerprinted> {
        self.days.get(&day).map(|day| day.of)
    }
}

/// A file of touches.
pub(super) struct Held {
    pub(super) file: LogicalFileView,
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) days: RolledDays,
}

impl Held {
    /// Every file of a table of touches.
    pub(super) async fn load(log: &TableLog) -> Result<(Version, Vec<Self>)> {
        let (version, files) = log.files().await?;
        let mut held = Vec::with_capacity(files.len());
        for file in files {
            let (path, bytes) = (file.path().into_owned(), u64::try_from(file.size()).unwrap_or_default());
            // A footer that cannot be read says nothing: the file holds no day, and is replaced.
            let (rows, days) = footer(log, &path, bytes).await.unwrap_or_else(|error| {
                tracing::warn!(%error, path, "a file of touches cannot be read: its days are rolled up anew");
                (0, RolledDays::default())
            });
            held.push(Self { file, path, bytes, rows, days });
        }
        held.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((version, held))
    }
}

async fn footer(log: &TableLog, path: &str, bytes: u64) -> Result<(u64, RolledDays)> {
    let shown = format!("{}{path}", log.shown);
    let location = Path::from(path);
    let read = |from: u64| {
        let (location, shown) = (location.clone(), shown.clone());
        async move { log.store.get_range(&location, from..bytes).await.map_err(|e| Error::storage(shown, "read a footer", e)) }
    };
    let failed = |e: parquet::errors::ParquetError| Error::encoding(&shown, "read a footer", e);
    let mut reader = ParquetMetaDataReader::new();
    let tail = read(bytes.saturating_sub(TAIL_BYTES)).await?;
    match reader.try_parse_sized(&tail, bytes) {
        Ok(()) => {}
        Err(parquet::errors::ParquetError::NeedMoreData(needed)) => {
            let tail = read(bytes.saturating_sub(needed as u64)).await?;
            reader.try_parse_sized(&tail, bytes).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    let metadata = reader.finish().map_err(failed)?;
    let note = metadata.file_metadata().key_value_metadata().into_iter().flatten().find(|entry| entry.key == RolledDays::KEY);
    let days = note.and_then(|entry| entry.value.as_deref()).and_then(RolledDays::parse).unwrap_or_default();
    Ok((u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default(), days))
}

/// Per day that holds, the file that is read for it (by its place in `held`): the first of those that hold it.
pub(super) fn holding(days: &Days, held: &[Held]) -> BTreeMap<i64, usize> {
    let mut holding = BTreeMap::new();
    for (index, file) in held.iter().enumerate() {
        for (day, of) in &file.days.0 {
            if days.of(*day) == Some(*of) {
                holding.entry(*day).or_insert(index);
            }
        }
    }
    holding
}
