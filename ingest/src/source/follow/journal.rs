//! What is known of followed files, kept on disk: lines of JSON, the last one for a path counts; written anew when it has grown to
//! twice what it says. A line that a crash tore is passed over: its file is then read from where the line before it says.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::print::Position;

/// What the journal says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub path: String,
    /// Its size when it was last read to its end; absent while it has not been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it was changed before that, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// Where reading stands, for a file that can be read on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Something of it waits: a line that has not ended, or a record for its counterpart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// It is no longer followed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// The file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl Journal {
    /// Opens it, and says what it holds.
    pub fn open(path: &Path) -> std::io::Result<(Self, Vec<Line>)> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut found = Vec::new();
        let mut ends = true;
        if let Ok(file) = File::open(path) {
            let mut reader = BufReader::new(file);
            let mut text = Vec::new();
            while reader.read_until(b'\n', &mut text)? > 0 {
                ends = text.ends_with(b"\n");
                if let Ok(line) = serde_json::from_slice::<Line>(&text) {
                    found.push(line);
                }
                text.clear();
            }
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if !ends {
            file.write_all(b"\n")?;
        }
        Ok((Self { path: path.to_owned(), file, lines: found.len() }, found))
    }

    /// Adds lines, and forces them onto the disk.
    pub fn append(&mut self, lines: &[Line]) -> std::io::Result<()> {
        self.file.write_all(&encode(lines)?)?;
        self.lines += lines.len();
        self.file.sync_data()
    }

    /// Whether it says much that no longer counts, where so many files are followed.
    pub fn is_stale(&self, files: usize) -> bool {
        self.lines > 2 * files + 10_000
    }

    /// Writes it anew with these lines alone.
    pub fn rewrite(&mut self, lines: &[Line]) -> std::io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&encode(lines)?)?;
        file.sync_data()?;
        std::fs::rename(&new, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.lines = lines.len();
        Ok(())
    }
}

fn encode(lines: &[Line]) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str, bytes: u64) -> Line {
        Line { path: path.into(), bytes: Some(bytes), modified: Some(1), position: None, waits: false, gone: false }
    }

    #[test]
    fn a_torn_line_is_passed_over_and_what_follows_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sources").join("a.ndjson");
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert!(found.is_empty());
        journal.append(&[line("a", 1), line("b", 2)]).unwrap();
        drop(journal);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"path\":\"c").unwrap();
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, [line("a", 1), line("b", 2)]);
        journal.append(&[line("a", 3)]).unwrap();
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, [line("a", 1), line("b", 2), line("a", 3)]);
        journal.rewrite(&[line("b", 2)]).unwrap();
        journal.append(&[line("d", 4)]).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, [line("b", 2), line("d", 4)]);
    }
}
