//! A file that findings are appended to, one line each.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use super::Target;
use crate::Error;

/// Appends to a file and syncs it.
pub struct File {
    path: String,
}

impl File {
    /// The file at `path`, created when it is not there.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Target for File {
    fn address(&self) -> &str {
        &self.path
    }

    fn deliver(&mut self, lines: &[String]) -> Result<(), Error> {
        let mut text = lines.join("\n");
        text.push('\n');
        let append = || {
            let mut file = std::fs::OpenOptions::new().create(true).read(true).append(true).open(&self.path)?;
            // A delivery that was cut off (a full disk, a kill) comes again whole; what it left stays a line of its own.
            if file.seek(SeekFrom::End(0))? > 0 {
                let mut last = [0];
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    file.write_all(b"\n")?;
                }
            }
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        append().map_err(|source| Error::Delivery { target: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_behind_a_torn_line_begins_on_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        let mut target = File::new(path.to_str().unwrap());
        target.deliver(&["one".to_owned()]).unwrap();
        std::fs::write(&path, "one\ntw").unwrap();
        target.deliver(&["two".to_owned(), "three".to_owned()]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntw\ntwo\nthree\n");
    }
}
