//! Who asked what: a line for every question, whatever door it came through, in files of the data folder that are read as table `queries`.
//!
//! What was asked is kept as it was asked, up to a bound; nothing of an answer, and nothing of a token but its id.

mod table;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use keytrail_schemas::{Column, ColumnType, Micros};

pub use table::table;

/// Bytes of one file; the next is begun beyond.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Files kept; the oldest goes beyond.
const FILES_MAX: usize = 16;
/// Characters of a question that are kept.
const TEXT_CHARS_MAX: usize = 4_096;

/// The columns of table `queries`.
pub const COLUMNS: &[Column] = &[
    column("time", ColumnType::Timestamp, "When it was asked."),
    column("user", ColumnType::Utf8, "Who: the token's name, or the name that was given where no token is asked for."),
    column("token", ColumnType::Utf8, "The token's id, where there was one."),
    column("from_address", ColumnType::Utf8, "From where, for the doors of the network."),
    column("door", ColumnType::Utf8, "cli, http, console, postgres or mcp."),
    column("question", ColumnType::Utf8, "The question's name, or sql."),
    column("text", ColumnType::Utf8, "What was asked, as SQL; its first 4,096 characters."),
    column("outcome", ColumnType::Utf8, "done, failed, refused, or stopped (by its asker, or by a limit)."),
    column("error", ColumnType::Utf8, "Why it was not answered."),
    column("rows", ColumnType::Int64, "Rows that the asker saw."),
    column("milliseconds", ColumnType::Int64, "How long it took until the last of them."),
];

const fn column(name: &'static str, ty: ColumnType, doc: &'static str) -> Column {
    Column { name, ty, nullable: true, words: &[], doc }
}

/// One question that was asked. Each field is the column of its name in [`COLUMNS`].
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the columns are documented")]
pub struct Entry {
    pub time: Micros,
    pub user: String,
    pub token: Option<String>,
    pub from_address: Option<String>,
    pub door: String,
    pub question: String,
    pub text: String,
    pub outcome: String,
    pub error: Option<String>,
    pub rows: i64,
    pub milliseconds: i64,
}

/// Writes entries.
#[derive(Debug, Clone)]
pub struct Record {
    folder: Arc<PathBuf>,
    is_kept: bool,
    file: Arc<Mutex<Option<(File, u64)>>>,
}

impl Record {
    /// The record of a data folder. Where there is no such folder, nothing is written: a lake elsewhere was asked from a place that keeps nothing.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self { folder: Arc::new(folder(dir)), is_kept: dir.exists(), file: Arc::default() }
    }

    /// Writes one entry. What cannot be written is told in the log and not to the asker.
    pub fn write(&self, mut entry: Entry) {
        if !self.is_kept {
            return;
        }
        if entry.text.chars().count() > TEXT_CHARS_MAX {
            entry.text = entry.text.chars().take(TEXT_CHARS_MAX).collect();
        }
        if let Err(error) = self.append(&entry) {
            tracing::error!(%error, folder = %self.folder.display(), "who asked what cannot be written down");
        }
    }

    /// One write per line, so that processes that share the folder do not mix theirs.
    fn append(&self, entry: &Entry) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|(_, bytes)| *bytes > FILE_BYTES_MAX) {
            *open = None;
            self.begin_next()?;
        }
        if open.is_none() {
            fs::create_dir_all(&*self.folder)?;
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.folder.join("queries.ndjson"))?;
            let bytes = file.metadata()?.len();
            *open = Some((file, bytes));
        }
        if let Some((file, bytes)) = open.as_mut() {
            file.write_all(&line)?;
            *bytes += line.len() as u64;
        }
        Ok(())
    }

    /// `queries.ndjson` becomes `queries.1.ndjson`, that one `queries.2.ndjson`, and so on.
    fn begin_next(&self) -> std::io::Result<()> {
        let numbered = |number: usize| self.folder.join(format!("queries.{number}.ndjson"));
        for number in (1..FILES_MAX).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(self.folder.join("queries.ndjson"), numbered(1))
    }
}

/// Where a data folder keeps the record.
fn folder(dir: &Path) -> PathBuf {
    dir.join("access")
}

/// The files of a data folder, oldest first.
fn files(dir: &Path) -> Vec<PathBuf> {
    let folder = folder(dir);
    let numbered = (1..=FILES_MAX).rev().map(|number| folder.join(format!("queries.{number}.ndjson")));
    numbered.chain([folder.join("queries.ndjson")]).filter(|path| path.exists()).collect()
}
