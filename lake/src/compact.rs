//! Compaction: the many small files of a day become few large ones, sorted by (identity, time), cheap to search.
//!
//! Each day is one commit that removes files and adds files and changes no data, so that an interrupted run loses one day's work at
//! most, and a second run finds what is left. Writers go on meanwhile: what they add is not touched. Two compactions of one day do
//! not both succeed. A Delta table's files lie within one partition, hence the widest unit is the day: files of whole weeks or months
//! would need another partitioning.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::kernel::{Action, LogicalFileView};
use deltalake::protocol::DeltaOperation;

use crate::append::FRESH;
use crate::merge::{Merged, Output, merge};
use crate::parquet_file::Layout;
use crate::retention::HELD;
use crate::table_log::{Outcome, Proposal, Relies, TableLog};
use crate::{DAY, Error, Lake, Result, TableName, stats};

/// How the name of a compacted file begins.
const SORTED: &str = "sorted-";
/// What one open input takes: a page of each column, dictionaries, and decoded rows.
const INPUT_BYTES: usize = 8 << 20;
const ATTEMPTS_MAX: u32 = 5;
/// A sorted file this many times as large as what is to be merged stays out of it.
const SIZE_RATIO: u64 = 10;

/// What to compact, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactOptions {
    /// Days (since 1970-01-01, UTC) before this one are closed. By default all but the newest day that the table has.
    pub before_day: Option<i64>,
    /// Compact every day, closed or not, and also where little is to be gained.
    pub all: bool,
    /// The tables to compact.
    pub tables: Vec<TableName>,
    /// A compacted day is taken up again once this many new files came to it, or new ones of a tenth of its size; a table without
    /// days, once this many came.
    pub fresh_files_min: usize,
    /// A day that is not closed is taken up too once so many new files came to it, so that a question need not open thousands; 0 for never.
    pub open_files_min: usize,
    /// A closed day that was never compacted is taken up once it has this many bytes, or as many files: below, reading all of it costs
    /// less than rewriting it.
    pub first_bytes_min: u64,
    /// Memory for open inputs, in bytes; it bounds how many are merged at once. More are merged in several passes.
    pub memory_bytes_max: usize,
    /// Rows of a row group: fewer make point lookups read less, more make scans quicker.
    pub row_group_rows: usize,
    /// Rows of a file; a day with more has several files, which follow one another in order.
    pub file_rows_max: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            before_day: None,
            all: false,
            tables: vec![TableName::Events, TableName::Findings, TableName::Detections, TableName::DeadLetters],
            fresh_files_min: 8,
            open_files_min: 0,
            first_bytes_min: 16 << 20,
            memory_bytes_max: 512 << 20,
            row_group_rows: 1 << 17,
            file_rows_max: 1 << 23,
        }
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompactReport {
    /// Days (or whole tables without days) that were rewritten.
    pub groups: usize,
    /// Files that were replaced.
    pub files_removed: usize,
    /// Files that replaced them.
    pub files_added: usize,
    /// Rows that were rewritten; one that went through several passes counts in each.
    pub rows: u64,
    /// Bytes of the files that were replaced.
    pub bytes_before: u64,
    /// Bytes of the files that replaced them.
    pub bytes_after: u64,
    /// Files left as they are because they do not state the table's order: keytrail did not write them.
    pub files_unsorted: usize,
    /// Days left as they are because other processes changed them meanwhile, again and again.
    pub groups_overtaken: usize,
}

impl Lake {
    /// Compacts closed days of `events`, and the tables without days.
    ///
    /// # Errors
    /// When the store fails. Days committed before the failure stay compacted; the rest is as it was.
    pub async fn compact(&self, options: CompactOptions) -> Result<CompactReport> {
        let mut report = CompactReport::default();
        for &table in &options.tables {
            let log = self.table(table);
            let mut unsorted = BTreeSet::new();
            let mut overtaken: BTreeMap<Option<i64>, u32> = BTreeMap::new();
            // Each round lists anew: one commit outdates the list.
            loop {
                let (version, files) = log.files().await?;
                let given_up: BTreeSet<_> = overtaken.iter().filter(|(_, n)| **n >= ATTEMPTS_MAX).map(|(day, _)| *day).collect();
                let plans = plan(&options, table, files.iter().filter(|f| !unsorted.contains(f.path().as_ref())), &given_up);
                if plans.is_empty() {
                    report.groups_overtaken += given_up.len();
                    break;
                }
                let by_path: BTreeMap<String, &LogicalFileView> = files.iter().map(|f| (f.path().into_owned(), f)).collect();
                for plan in plans {
                    let id = self.next_id();
                    let merged = self.merge(log, &plan, &options, &id).await?;
                    if !merged.unsorted.is_empty() {
                        tracing::warn!(%table, files = merged.unsorted.len(), "files that do not state the table's order are left as they are");
                    }
                    report.files_unsorted += merged.unsorted.len();
                    let inputs: Vec<&LogicalFileView> =
                        plan.inputs.iter().filter(|p| !merged.unsorted.contains(*p)).filter_map(|p| by_path.get(p).copied()).collect();
                    unsorted.extend(merged.unsorted.iter().cloned());
                    if inputs.is_empty() {
                        continue;
                    }
                    let before = inputs.iter().map(|f| u64::try_from(f.size()).unwrap_or_default()).sum::<u64>();
                    let after = merged.files.iter().map(|f| f.bytes).sum::<u64>();
                    let (removed, added, rows) = (inputs.len(), merged.files.len(), merged.rows);
                    let relies = Relies::OnFiles(version, inputs.iter().map(|f| f.path().into_owned()).collect());
                    let actions = inputs.iter().map(|f| Action::Remove(f.remove_action(false))).chain(merged.files.into_iter().map(|f| f.add(false))).collect();
                    let operation = DeltaOperation::Optimize { predicate: None, target_size: i64::try_from(options.file_rows_max).unwrap_or(i64::MAX) };
                    match log.commit(Proposal { actions, operation, relies, id }).await? {
                        Outcome::Committed(version) => {
                            report.groups += usize::from(plan.last_pass);
                            report.files_removed += removed;
                            report.files_added += added;
                            report.rows += rows;
                            report.bytes_before += before;
                            report.bytes_after += after;
                            tracing::info!(%table, day = plan.day.map(stats::day_text), files = removed, rows, bytes_before = before, bytes_after = after, "compacted");
                            self.checkpoint_when_due(log, version).await;
                        }
                        Outcome::Overtaken => *overtaken.entry(plan.day).or_default() += 1,
                    }
                }
            }
        }
        Ok(report)
    }

    /// Merges on a thread of its own: it is nothing but CPU and disk.
    async fn merge(&self, log: &TableLog, plan: &Plan, options: &CompactOptions, id: &str) -> Result<Merged> {
        let (layout, name) = if plan.last_pass {
            (Layout::Sorted { row_group_rows: options.row_group_rows.max(1) }, format!("{SORTED}{id}"))
        } else {
            (Layout::Fresh, format!("{FRESH}{id}"))
        };
        let file_rows_max = if plan.last_pass { options.file_rows_max } else { usize::MAX };
        let output = Output { day: plan.day, layout, name, file_rows_max, note: None };
        let (log, inputs, runtime) = (log.clone(), plan.inputs.clone(), tokio::runtime::Handle::current());
        let shown = log.shown.clone();
        tokio::task::spawn_blocking(move || merge(&runtime, &log, &inputs, &output)).await.map_err(|e| Error::storage(shown, "merge data files", e))?
    }
}

/// Files of one day that are to be merged.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    day: Option<i64>,
    inputs: Vec<String>,
    /// Whether the day is done with it; else there are more files than are merged at once.
    last_pass: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    bytes: u64,
    path: String,
}

impl File {
    /// The compaction that wrote the file; `None` for one that a commit wrote.
    fn run(&self) -> Option<&str> {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.strip_prefix(SORTED).or_else(|| name.strip_prefix(HELD))?.rsplit_once('-').map(|(run, _)| run)
    }
}

fn plan<'a>(options: &CompactOptions, table: TableName, files: impl Iterator<Item = &'a LogicalFileView>, given_up: &BTreeSet<Option<i64>>) -> Vec<Plan> {
    let mut days: BTreeMap<Option<i64>, Vec<File>> = BTreeMap::new();
    for file in files {
        let day = if table.by_day() {
            let Some(day) = file.partition_values_map().get(DAY).cloned().flatten().as_deref().and_then(stats::day_of) else { continue };
            Some(day)
        } else {
            None
        };
        days.entry(day).or_default().push(File { bytes: u64::try_from(file.size()).unwrap_or_default(), path: file.path().into_owned() });
    }
    let newest = days.keys().last().copied().flatten();
    let closed = |day: Option<i64>| options.all || day.is_none_or(|day| options.before_day.or(newest).is_some_and(|before| day < before));
    let crowded = |day: Option<i64>, files: &[File]| {
        options.open_files_min > 0 && !closed(day) && files.iter().filter(|file| file.run().is_none()).count() >= options.open_files_min
    };
    let taken = days.into_iter().filter(|(day, files)| !given_up.contains(day) && (closed(*day) || crowded(*day, files)));
    taken.filter_map(|(day, files)| plan_day(options, day, files)).collect()
}

fn plan_day(options: &CompactOptions, day: Option<i64>, mut files: Vec<File>) -> Option<Plan> {
    let runs: BTreeSet<_> = files.iter().map(File::run).collect();
    if runs.len() == 1 && !runs.contains(&None) {
        return None;
    }
    drop(runs);
    // A late event or two do not make a whole day be rewritten; nor is a table without days ever closed.
    let (fresh, sorted): (Vec<_>, Vec<_>) = files.iter().partition(|f| f.run().is_none());
    let bytes_of = |files: &[&File]| files.iter().map(|f| f.bytes).sum::<u64>();
    let first_time = day.is_some() && sorted.is_empty() && bytes_of(&fresh) >= options.first_bytes_min;
    let much_came = day.is_some() && !fresh.is_empty() && !sorted.is_empty() && bytes_of(&fresh).saturating_mul(SIZE_RATIO) >= bytes_of(&sorted);
    if !(options.all || first_time || much_came || fresh.len() >= options.fresh_files_min.max(1)) {
        return None;
    }
    if !options.all {
        // Sorted files are taken up as long as they are not much larger than all that is smaller: each row is rewritten a logarithmic
        // number of times.
        let mut taken = bytes_of(&fresh);
        let mut by_size = sorted;
        by_size.sort_unstable();
        let mut kept: BTreeSet<String> = fresh.iter().map(|f| f.path.clone()).collect();
        for file in by_size {
            if file.bytes > taken.saturating_mul(SIZE_RATIO) {
                break;
            }
            taken += file.bytes;
            kept.insert(file.path.clone());
        }
        files.retain(|f| kept.contains(&f.path));
    }
    let fan_in = (options.memory_bytes_max / INPUT_BYTES).max(2);
    // The smallest first: large files go through one pass only.
    files.sort_unstable();
    let last_pass = files.len() <= fan_in;
    let inputs = files.into_iter().take(fan_in).map(|f| f.path).collect();
    Some(Plan { day, inputs, last_pass })
}

#[cfg(test)]
mod tests {
    use super::{CompactOptions, File, plan_day};

    fn files(names: &[(&str, u64)]) -> Vec<File> {
        names.iter().map(|(name, bytes)| File { path: format!("day=2026-01-01/{name}"), bytes: *bytes }).collect()
    }

    #[test]
    fn a_day_is_rewritten_once_and_then_when_it_is_worth_it() {
        let options = CompactOptions::default();
        assert_eq!(plan_day(&options, Some(1), files(&[("fresh-a-0.parquet", 10)])), None, "little is read whole");
        assert!(plan_day(&options, Some(1), files(&[("fresh-a-0.parquet", 16 << 20)])).is_some_and(|p| p.last_pass));
        let done = [("sorted-ab-0-0000.parquet", 1000), ("sorted-ab-0-0001.parquet", 1000)];
        assert_eq!(plan_day(&options, Some(1), files(&done)), None);
        let late = [done[0], done[1], ("fresh-b-1.parquet", 10)];
        assert_eq!(plan_day(&options, Some(1), files(&late)), None);
        assert_eq!(plan_day(&CompactOptions { all: true, ..options.clone() }, Some(1), files(&late)).unwrap().inputs.len(), 3);
        assert_eq!(plan_day(&options, Some(1), files(&[done[0], done[1], ("fresh-b-1.parquet", 300)])).unwrap().inputs.len(), 3);
        let many_small: Vec<_> = (0..8).map(|i| File { path: format!("fresh-{i}-0.parquet"), bytes: 1 }).chain(files(&done)).collect();
        assert_eq!(plan_day(&options, Some(1), many_small).unwrap().inputs.len(), 8, "what is large stays");
        assert_eq!(plan_day(&CompactOptions { all: true, ..options }, Some(1), files(&done)), None, "twice is once");
    }

    #[test]
    fn more_files_than_memory_allows_take_several_passes() {
        let options = CompactOptions { first_bytes_min: 0, memory_bytes_max: 3 * super::INPUT_BYTES, ..CompactOptions::default() };
        let many: Vec<_> = (0..7).map(|i| File { path: format!("fresh-{i}-0.parquet"), bytes: 100 - i }).collect();
        let plan = plan_day(&options, Some(1), many).unwrap();
        assert!(!plan.last_pass);
        assert_eq!(plan.inputs, ["fresh-6-0.parquet", "fresh-5-0.parquet", "fresh-4-0.parquet"]);
    }
}
