//! What can go wrong in the lake, whose fault it is, and whether trying again helps.
//!
//! Causes are found, not guessed: an [`std::io::Error`] anywhere in a chain of sources decides between a folder that may not be
//! written, a full disk, and a store that failed in another way.

use std::error::Error as StdError;

use crate::TableName;

/// An error of the lake. Every message names the path and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another writer committed these log partitions first, or the batch was committed before. Nothing of the batch was stored by this call.
    #[error(
        "{table}: fenced: {app_id} stands at next offset {found}, and this writer expected {expected}: another writer owns the partition now, or the batch was stored before; ask for the offsets again and go on from there"
    )]
    Fenced {
        /// The table.
        table: TableName,
        /// `topic/partition`.
        app_id: String,
        /// The next offset that this writer counted on.
        expected: i64,
        /// The next offset that the table holds.
        found: i64,
    },
    /// The folder may not be written.
    #[error("{path} may not be written ({source}): give this user write access to it, or choose another folder with --lake")]
    ReadOnly {
        /// The folder, file or URL.
        path: String,
        /// What the store said.
        #[source]
        source: Cause,
    },
    /// No space is left.
    #[error("no space is left for {path} ({source}): free some, or move the lake to a larger disk; nothing of the batch was stored")]
    DiskFull {
        /// The folder, file or URL.
        path: String,
        /// What the store said.
        #[source]
        source: Cause,
    },
    /// The place of the lake is none that this build can open.
    #[error("{url:?} cannot be a lake: {message}")]
    Location {
        /// What was given.
        url: String,
        /// Why, and what is supported.
        message: String,
    },
    /// The store lets two writers create the same object: two commits could both be acknowledged, and one be lost.
    #[error(
        "{path}: this store does not honour conditional puts ({message}): a commit could be overwritten without an error. Use a store that answers `If-None-Match: *` with 412, such as Amazon S3"
    )]
    UnsafeStore {
        /// The URL.
        path: String,
        /// What was seen.
        message: String,
    },
    /// A table stands where keytrail's should, and its columns differ.
    #[error("the table at {path} is not keytrail's {table}: column {column:?} should be {expected} and is {found}: choose another folder with --lake")]
    ForeignTable {
        /// The table that was expected.
        table: TableName,
        /// Where it stands.
        path: String,
        /// The first column that differs.
        column: String,
        /// What the column should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The table was written by a newer keytrail, or uses features that this one does not know.
    #[error("the table at {path} is newer than this keytrail: {message}: use a newer keytrail")]
    NewerTable {
        /// Where it stands.
        path: String,
        /// What is not known.
        message: String,
    },
    /// The caller's rows and positions contradict each other.
    #[error("{table}: the batch contradicts its positions: {message}")]
    Batch {
        /// The table.
        table: TableName,
        /// What contradicts what.
        message: String,
    },
    /// A setting of the lake cannot be read.
    #[error("{name}: {message}")]
    Setting {
        /// The setting.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// Other writers were quicker, again and again.
    #[error("{table}: lost the race for a commit {attempts} times: try again, or let fewer processes write to one lake")]
    Busy {
        /// The table.
        table: TableName,
        /// How often it was tried.
        attempts: u32,
    },
    /// Rows could not be encoded, or a file not be decoded.
    #[error("{path}: {what}: {source}")]
    Encoding {
        /// The table or the file.
        path: String,
        /// What was being done.
        what: &'static str,
        /// What Arrow or Parquet said.
        #[source]
        source: Cause,
    },
    /// The store failed in another way.
    #[error("{path}: {what}: {source}")]
    Storage {
        /// The folder, file or URL.
        path: String,
        /// What was being done.
        what: &'static str,
        /// What the store said.
        #[source]
        source: Cause,
    },
}

/// Any cause.
pub type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// A result of the lake.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The person who configured or called keytrail.
    User,
    /// The store, the disk, another process.
    External,
    /// keytrail itself.
    Internal,
}

/// Whether trying again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It does not, until a person acts.
    Never,
    /// The same call may succeed later.
    Later,
    /// After asking for the offsets again; the same batch must not be sent again unseen.
    AfterOffsets,
}

impl Error {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::ReadOnly { .. }
            | Self::Location { .. }
            | Self::UnsafeStore { .. }
            | Self::ForeignTable { .. }
            | Self::NewerTable { .. }
            | Self::Setting { .. } => Fault::User,
            Self::Fenced { .. } | Self::DiskFull { .. } | Self::Busy { .. } | Self::Storage { .. } => Fault::External,
            Self::Batch { .. } | Self::Encoding { .. } => Fault::Internal,
        }
    }

    /// Whether trying again helps. After [`Error::Storage`] the outcome of a commit may be unknown, hence the offsets.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Busy { .. } => Retry::Later,
            Self::Fenced { .. } | Self::DiskFull { .. } | Self::Storage { .. } => Retry::AfterOffsets,
            Self::ReadOnly { .. }
            | Self::Location { .. }
            | Self::UnsafeStore { .. }
            | Self::ForeignTable { .. }
            | Self::NewerTable { .. }
            | Self::Setting { .. }
            | Self::Batch { .. }
            | Self::Encoding { .. } => Retry::Never,
        }
    }

    /// An error of the store at `path` while doing `what`, told apart by its cause.
    pub(crate) fn storage(path: impl Into<String>, what: &'static str, source: impl Into<Cause>) -> Self {
        let (path, source) = (path.into(), source.into());
        match io_kind(source.as_ref()) {
            Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem) => Self::ReadOnly { path, source },
            Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge) => Self::DiskFull { path, source },
            _ => Self::Storage { path, what, source },
        }
    }

    /// An error of Arrow or Parquet; those that stem from the store stay errors of the store.
    pub(crate) fn encoding(path: impl Into<String>, what: &'static str, source: impl Into<Cause>) -> Self {
        let (path, source) = (path.into(), source.into());
        if io_kind(source.as_ref()).is_some() { Self::storage(path, what, source) } else { Self::Encoding { path, what, source } }
    }
}

/// The kind of the first I/O error in the chain of causes.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            // An I/O error may itself wrap another one, as stores and Parquet do.
            return io.get_ref().and_then(|inner| io_kind(inner)).or(Some(io.kind()));
        }
        if matches!(
            error.downcast_ref::<object_store::Error>(),
            Some(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. })
        ) {
            return Some(std::io::ErrorKind::PermissionDenied);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Error, Retry};
    use std::io::{Error as Io, ErrorKind};

    #[test]
    fn causes_are_found_through_every_layer() {
        let wrapped = |kind| object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(Io::from(kind)) };
        assert!(matches!(Error::storage("/lake", "write", wrapped(ErrorKind::StorageFull)), Error::DiskFull { .. }));
        assert!(matches!(Error::storage("/lake", "write", wrapped(ErrorKind::ReadOnlyFilesystem)), Error::ReadOnly { .. }));
        assert!(matches!(
            Error::encoding("/lake", "write", parquet::errors::ParquetError::External(Box::new(wrapped(ErrorKind::PermissionDenied)))),
            Error::ReadOnly { .. }
        ));
        let error = Error::storage("/lake", "write", Io::other("the cable is out"));
        assert!(matches!(error, Error::Storage { .. }) && error.retry() == Retry::AfterOffsets);
    }

    #[test]
    fn messages_name_the_path_and_what_to_do() {
        let text = Error::storage("/lake/events", "write", Io::from(ErrorKind::StorageFull)).to_string();
        assert!(text.contains("/lake/events") && text.contains("free some"), "{text}");
    }
}
