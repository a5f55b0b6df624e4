//! Files that grow: where reading stands in each, so that it goes on from there, also after a restart.
//!
//! A file is known by its content and not by its name: by its first bytes and by those at the position. So a file that was rotated is read
//! on under its new name, one that was truncated or replaced is read from its start, and what merely grew is read from where it ended. A last
//! line that has not ended is left until it ends, or until the file has not changed for so long that it is taken for finished.
//!
//! A position is noted when the log holds everything before it ([`Follow::reached`]) and kept on disk by [`Follow::save`]; it may lag behind,
//! never run ahead. What is read twice by that has the same event ids. What a parser remembers of earlier records stays in memory between
//! two readings; after a restart the last stretch before the position is read again for it, without yielding anything.

mod journal;
mod print;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keytrail_schemas::Micros;
use rustc_hash::FxHashMap;

use super::lane::{Records, Trail};
use journal::{Journal, Line};
pub use print::Position;
pub(super) use print::{Print, stretch};

/// Files whose parsers are kept between two readings; of others the last stretch is read again.
const PARSERS_KEPT_MAX: usize = 1_024;

/// How far each file of a source has been read.
pub struct Follow {
    state: Mutex<State>,
    finished_after: i64,
}

struct State {
    journal: Journal,
    files: BTreeMap<String, Entry>,
    /// Files by the hash of their first bytes, and how many bytes such hashes are made of.
    heads: FxHashMap<String, Vec<String>>,
    head_lengths: BTreeMap<u32, usize>,
    dirty: HashSet<String>,
    kept: usize,
}

#[derive(Default)]
struct Entry {
    seen: Option<(u64, i64)>,
    position: Option<Box<Position>>,
    waits: bool,
    parked: Option<Box<Parked>>,
}

/// A parser between two readings, and where it stands.
pub(super) struct Parked {
    pub position: Position,
    pub records: Records,
    pub trail: Trail,
}

/// How far a file has been read: everything before is in the batches up to the one that says so.
pub struct Reached {
    pub(super) path: String,
    pub(super) position: Option<Position>,
    /// What is known at the file's end: whether something waits, and the parser.
    pub(super) end: Option<(bool, Option<Box<Parked>>)>,
}

impl std::fmt::Debug for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reached").field("path", &self.path).field("position", &self.position).field("end", &self.end.is_some()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked").field("position", &self.position).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("files", &self.state().files.len()).finish_non_exhaustive()
    }
}

/// Where to go on in a file.
pub(super) enum Resume {
    /// At the beginning.
    Fresh,
    /// At this position, with a parser that has to be told what stood before it.
    At(Position),
    /// With the parser of the reading before.
    With(Box<Parked>),
}

/// A file that is to be looked at.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Its path.
    pub path: String,
    /// Its size and time of change as they were found.
    stat: (u64, i64),
}

/// What a look at a source's files came to.
#[derive(Debug, Default)]
pub struct Look {
    /// What is to be read.
    pub changed: Vec<Changed>,
    /// Files that stand where another one stood that had perhaps not been read to its end and is nowhere to be found, each with the
    /// offset up to which that one was read.
    pub lost: Vec<(String, u64)>,
}

impl Follow {
    /// Opens what is kept at `path`, and makes it where it is missing. A file that has not changed for `finished_after` microseconds is
    /// finished.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, finished_after: i64) -> std::io::Result<Arc<Self>> {
        let (journal, lines) = Journal::open(path)?;
        let mut state = State { journal, files: BTreeMap::new(), heads: FxHashMap::default(), head_lengths: BTreeMap::new(), dirty: HashSet::new(), kept: 0 };
        for line in lines {
            if line.gone {
                state.forget(&line.path);
            } else {
                let seen = line.bytes.zip(line.modified);
                state.place(&line.path, line.position);
                let entry = state.files.entry(line.path).or_default();
                (entry.seen, entry.waits) = (seen, line.waits);
            }
        }
        Ok(Arc::new(Self { state: Mutex::new(state), finished_after }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a file that was changed at `modified` is finished `now`.
    pub(super) fn is_finished(&self, modified: i64, now: Micros) -> bool {
        now.0.saturating_sub(modified) >= self.finished_after
    }

    /// Which of `files` are to be read: those that are new or have changed, those of which something waits and that are finished by now,
    /// and rotated ones beside them that are not among `files` themselves.
    #[must_use]
    pub fn look(&self, files: &[PathBuf], now: Micros) -> Look {
        let listed: HashSet<&Path> = files.iter().map(PathBuf::as_path).collect();
        let mut look = Look::default();
        for path in files {
            let Ok(stat) = stat_of(path) else { continue };
            let name = path.to_string_lossy().into_owned();
            let (is_same, waits, position) = match self.state().files.get(&name) {
                Some(entry) => (entry.seen == Some(stat), entry.waits, entry.position.clone()),
                None => (false, false, None),
            };
            if is_same && !(waits && self.is_finished(stat.1, now)) {
                continue;
            }
            if let Some(position) = position.filter(|_| !is_same)
                && File::open(path).is_ok_and(|file| !position.is_of(&file))
            {
                self.look_for(path, &name, *position, &listed, &mut look);
            }
            look.changed.push(Changed { path: name, stat });
        }
        look
    }

    /// Another file stands at `path`: the one that stood there is looked for, by its content, among what is listed and beside it.
    fn look_for(&self, path: &Path, name: &str, position: Position, listed: &HashSet<&Path>, look: &mut Look) {
        let is_it = |candidate: &Path| candidate != path && File::open(candidate).is_ok_and(|file| position.is_of(&file));
        let beside = siblings(path);
        let found = beside.iter().find(|candidate| is_it(candidate)).cloned();
        let Some(found) = found.or_else(|| listed.iter().find(|candidate| candidate.parent() != path.parent() && is_it(candidate)).map(|p| p.to_path_buf()))
        else {
            look.lost.push((name.to_owned(), position.offset));
            return;
        };
        let new_name = found.to_string_lossy().into_owned();
        self.state().rename(name, &new_name);
        if !listed.contains(found.as_path())
            && let Ok(stat) = stat_of(&found)
        {
            look.changed.push(Changed { path: new_name, stat });
        }
    }

    /// Where to go on in `file`, which stands at `path`.
    pub(super) fn resume(&self, path: &str, file: &File) -> Resume {
        let (own, lengths) = {
            let mut state = self.state();
            let parked = state.files.get_mut(path).and_then(|entry| entry.parked.take());
            state.kept -= usize::from(parked.is_some());
            let position = state.files.get(path).and_then(|entry| entry.position.clone());
            if let Some(parked) = parked.filter(|parked| parked.position.is_of(file)) {
                return Resume::With(parked);
            }
            (position, state.head_lengths.keys().copied().collect::<Vec<_>>())
        };
        if let Some(position) = own.filter(|position| position.is_of(file)) {
            return Resume::At(*position);
        }
        // A file that was renamed or copied: it is known by its first bytes.
        let Ok(head) = stretch(file, 0, lengths.last().copied().unwrap_or_default().into()) else { return Resume::Fresh };
        for length in lengths.into_iter().rev() {
            let Some(bytes) = head.get(..length as usize) else { continue };
            let print = Print::of(0, bytes);
            let state = self.state();
            let others = state.heads.get(&print.hash).into_iter().flatten();
            let mut positions: Vec<Position> =
                others.filter_map(|other| state.files.get(other)?.position.as_deref().cloned()).filter(|position| position.head == print).collect();
            drop(state);
            positions.sort_by_key(|position| std::cmp::Reverse(position.offset));
            if let Some(position) = positions.into_iter().find(|position| position.is_of(file)) {
                return Resume::At(position);
            }
        }
        Resume::Fresh
    }

    /// Notes how far files have been read: to be called when the log holds the batch that says so.
    pub fn reached(&self, reached: Vec<Reached>) {
        let mut state = self.state();
        for Reached { path, position, end } in reached {
            if position.is_some() {
                state.place(&path, position);
            }
            if let Some((waits, parked)) = end {
                let parked = parked.filter(|_| state.kept < PARSERS_KEPT_MAX);
                state.kept += usize::from(parked.is_some());
                let entry = state.files.entry(path.clone()).or_default();
                entry.waits = waits;
                entry.parked = parked;
            }
            state.dirty.insert(path);
        }
    }

    /// Notes that these files have been read to the ends that they had when they were looked at.
    pub fn read(&self, changed: &[Changed]) {
        let mut state = self.state();
        for Changed { path, stat } in changed {
            state.files.entry(path.clone()).or_default().seen = Some(*stat);
            state.dirty.insert(path.clone());
        }
    }

    /// Files of which something waits: a last line that has not ended, or a record for its counterpart.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.state().files.iter().filter(|(_, entry)| entry.waits).map(|(path, _)| path.clone()).collect()
    }

    /// Keeps on disk what was noted. What the log holds must be on its disk before.
    ///
    /// # Errors
    /// When it cannot be written; it is tried again the next time.
    pub fn save(&self) -> std::io::Result<()> {
        let mut state = self.state();
        if state.dirty.is_empty() {
            return Ok(());
        }
        let lines: Vec<Line> = state.dirty.iter().map(|path| line_of(path, state.files.get(path))).collect();
        state.journal.append(&lines)?;
        state.dirty.clear();
        if state.journal.is_stale(state.files.len()) {
            let gone: Vec<String> = state.files.keys().filter(|path| !Path::new(path).exists()).cloned().collect();
            gone.iter().for_each(|path| state.forget(path));
            let lines: Vec<Line> = state.files.iter().map(|(path, entry)| line_of(path, Some(entry))).collect();
            state.journal.rewrite(&lines)?;
        }
        Ok(())
    }
}

impl State {
    fn place(&mut self, path: &str, position: Option<Position>) {
        self.unplace(path);
        if let Some(position) = &position {
            self.heads.entry(position.head.hash.clone()).or_default().push(path.to_owned());
            *self.head_lengths.entry(position.head.bytes).or_default() += 1;
        }
        self.files.entry(path.to_owned()).or_default().position = position.map(Box::new);
    }

    fn unplace(&mut self, path: &str) {
        let Some(position) = self.files.get_mut(path).and_then(|entry| entry.position.take()) else { return };
        if let Some(paths) = self.heads.get_mut(&position.head.hash) {
            paths.retain(|other| other != path);
            if paths.is_empty() {
                self.heads.remove(&position.head.hash);
            }
        }
        if let Some(count) = self.head_lengths.get_mut(&position.head.bytes) {
            *count -= 1;
            if *count == 0 {
                self.head_lengths.remove(&position.head.bytes);
            }
        }
    }

    fn forget(&mut self, path: &str) {
        self.unplace(path);
        if let Some(entry) = self.files.remove(path) {
            self.kept -= usize::from(entry.parked.is_some());
        }
    }

    /// The file that stood at `from` stands at `to`.
    fn rename(&mut self, from: &str, to: &str) {
        let Some(entry) = self.files.get_mut(from) else { return };
        let (position, parked, waits) = (entry.position.clone(), entry.parked.take(), entry.waits);
        self.forget(from);
        self.forget(to);
        self.place(to, position.map(|position| *position));
        let entry = self.files.entry(to.to_owned()).or_default();
        (entry.parked, entry.waits) = (parked, waits);
        self.dirty.extend([from.to_owned(), to.to_owned()]);
    }
}

fn line_of(path: &str, entry: Option<&Entry>) -> Line {
    Line {
        path: path.to_owned(),
        bytes: entry.and_then(|entry| entry.seen).map(|seen| seen.0),
        modified: entry.and_then(|entry| entry.seen).map(|seen| seen.1),
        position: entry.and_then(|entry| entry.position.as_deref().cloned()),
        waits: entry.is_some_and(|entry| entry.waits),
        gone: entry.is_none(),
    }
}

fn stat_of(path: &Path) -> std::io::Result<(u64, i64)> {
    let about = std::fs::metadata(path)?;
    let modified = about.modified()?.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Ok((about.len(), modified))
}

/// Files beside `path` that may be what stood there: their names begin with its name, or with what stands before its extension.
fn siblings(path: &Path) -> Vec<PathBuf> {
    /// A folder with more files is not searched further.
    const FILES_MAX: usize = 10_000;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.take(FILES_MAX).filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with(&stem));
    // As it was written, so that a path that was listed is found in the list.
    let beside = |entry: std::fs::DirEntry| path.with_file_name(entry.file_name());
    let mut found: Vec<PathBuf> = entries.map(beside).filter(|candidate| candidate != path && candidate.is_file()).collect();
    found.sort();
    found
}
