//! How rows are written: as every door of keytrail writes them, by the same code.

#[allow(dead_code, reason = "what names formats for HTTP is not used here")]
#[path = "../../serve/src/format.rs"]
mod format;

use std::io::Write as _;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use self::format::{Encoder, Format};
use crate::cli::Output;

/// Writes an answer to standard output; a reader that has seen enough ends it.
///
/// # Errors
/// When standard output cannot be written, or a column has no place in the format.
pub fn write(output: Output, schema: &SchemaRef, batches: &[RecordBatch], coverage: &str) -> anyhow::Result<()> {
    let format = match output {
        Output::Ndjson => Format::Ndjson,
        Output::Json => Format::JsonArray,
        Output::Csv => Format::Csv,
        Output::Parquet => Format::Parquet,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut encoder = Encoder::new(format, schema, coverage)?;
    let mut written = Ok(());
    for batch in batches {
        let bytes = encoder.batch(batch)?;
        written = out.write_all(&bytes);
        if written.is_err() {
            break;
        }
    }
    let written = match written {
        Ok(()) => out.write_all(&encoder.finish()?).and_then(|()| out.flush()),
        failed => failed,
    };
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
