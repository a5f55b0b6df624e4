//! What can go wrong: an option out of its bounds, or a file that cannot be written. Nothing else fails; a retry helps with neither.

use std::path::{Path, PathBuf};

/// Why there is no simulation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is out of its bounds: the caller's fault.
    #[error("{0}")]
    Option(String),
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Says which file it was.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
