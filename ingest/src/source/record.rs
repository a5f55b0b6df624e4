//! A file's records one by one, as they stand there and before anything is understood: for a look at what would become of them.

use std::sync::Arc;

use super::archive::Budget;
use super::frame::{Frame, Framer};
use super::input;
use super::options::{Choice, Limits};
use super::progress::Progress;
use super::stream::{self, Opened};
use crate::error::Error;
use crate::format::{Framing, auto};

/// Bytes by which a format is chosen.
const SAMPLE_BYTES: usize = 64 << 10;

/// One record.
#[derive(Debug)]
pub struct Record<'a> {
    /// The file.
    pub path: &'a str,
    /// Its format.
    pub format: &'static str,
    /// Number of the line, or of the record in a file that has no lines.
    pub line: u64,
    /// Its bytes; the first of them where it is no record.
    pub bytes: &'a [u8],
    /// Why it is none, where that can be told without understanding it.
    pub damage: Option<&'a str>,
}

/// Shows `look` every record of the files that `paths` name, until it says `false`.
///
/// # Errors
/// [`Error`] when a path names nothing, a file cannot be read, or no format recognises it.
pub fn each(paths: &[String], choice: Choice, limits: &Limits, look: &mut dyn FnMut(&Record<'_>) -> bool) -> Result<(), Error> {
    let budget = Budget::new(limits.archive_memory_bytes_max);
    let progress = Arc::new(Progress::default());
    for input in input::list(paths)? {
        let unreadable = |message: String| Error::Unreadable { path: input.name.clone(), message };
        let stream = match stream::open(&input, limits, &budget, &progress).map_err(|fault| unreadable(fault.message))? {
            Opened::Bytes(stream) => stream,
            Opened::Members(..) => return Err(unreadable("it is an archive: unpack it, and look at one of its files".to_owned())),
        };
        let mut framer = Framer::new(stream, limits.record_bytes_max, limits.dead_letter_raw_bytes_max);
        let format = match choice {
            Choice::Named(format) => format,
            Choice::Auto => auto::detect(framer.peek(SAMPLE_BYTES).0).map_err(|reject| unreadable(reject.message))?,
        };
        if format.framing() != Framing::Lines {
            framer.set_json(format.envelopes().to_vec());
        }
        while let Some(frame) = framer.next() {
            let record = match &frame {
                Frame::Record { bytes, place } => Record { path: &input.name, format: format.name(), line: place.line, bytes, damage: None },
                Frame::Damaged(damage) => {
                    Record { path: &input.name, format: format.name(), line: damage.place.line, bytes: &damage.head, damage: Some(&damage.fault.message) }
                }
            };
            if !look(&record) {
                return Ok(());
            }
        }
    }
    Ok(())
}
