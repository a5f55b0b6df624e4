//! Where records come from: files, folders, patterns and standard input, compressed or not, cut into records, given to a format, and
//! merged in order of time. It does not know what an event means, and it writes nothing.
//!
//! What concerns one file or one record is never an error: it is a dead letter, and the rest is read.

mod archive;
mod buffer;
mod complete;
mod count;
mod fault;
mod follow;
mod frame;
mod input;
mod lane;
mod letter;
mod magic;
mod mask;
mod options;
mod progress;
mod reader;
mod recast;
mod record;
mod repeat;
mod session;
mod spill;
mod stream;
mod turn;
mod twin;
mod unit;
mod width;
mod worker;

pub use count::{Counts, FormatCounts};
pub use follow::{Changed, Follow, Look, Reached};
pub use letter::Copies;
pub use options::{Choice, Limits, Options};
pub use progress::Progress;
pub use reader::{Batch, Reader};
pub use record::{Record, each};
pub use session::Sessions;

/// The files that `paths` name: files, folders with all that is in them, and patterns; standard input and pipes are left out.
///
/// # Errors
/// [`Error`](crate::error::Error) when a path names nothing or cannot be read.
pub fn files(paths: &[String]) -> Result<Vec<std::path::PathBuf>, crate::error::Error> {
    let inputs = input::list(paths)?;
    Ok(inputs.into_iter().filter_map(|input| if let input::Origin::File(path) = input.origin { Some(path) } else { None }).collect())
}
