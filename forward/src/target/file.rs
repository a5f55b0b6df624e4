//! A file that findings are appended to, one line each.

use std::io::Write as _;

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
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        append().map_err(|source| Error::Delivery { target: self.path.clone(), source })
    }
}
