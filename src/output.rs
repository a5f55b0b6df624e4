//! How answers are written: an aligned table for a person, data for a program. Answers go to standard output, all else to standard error.

use std::io::{IsTerminal as _, Write};

use anyhow::Context as _;
use arrow::array::RecordBatch;
use keytrail_serve::format::{Encoder, Format};

use crate::cli::{Global, OutputFormat};
use crate::table;

/// Writes answers in the chosen format.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    format: OutputFormat,
    quiet: bool,
    wide: bool,
}

impl Writer {
    /// The writer of this invocation: what was asked for, else a table on a terminal and NDJSON elsewhere.
    pub fn new(global: &Global) -> Self {
        let default = if std::io::stdout().is_terminal() { OutputFormat::Table } else { OutputFormat::Ndjson };
        Self { format: global.output.unwrap_or(default), quiet: global.quiet, wide: global.wide }
    }

    /// Whether the answer is for a person.
    pub const fn is_table(self) -> bool {
        matches!(self.format, OutputFormat::Table)
    }

    /// How many characters a table may be wide: the terminal's, unless all was asked for.
    fn width(self) -> Option<usize> {
        if self.wide { None } else { comfy_table::Table::new().width().map(usize::from) }
    }

    /// A line beside the answer, on standard error.
    pub fn note(self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// Writes an answer.
    ///
    /// # Errors
    /// When standard output cannot be written (a closed pipe is none: the reader has seen enough).
    pub fn answer(self, schema: &arrow::datatypes::SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<()> {
        let mut out = std::io::BufWriter::new(std::io::stdout());
        match self.write(&mut out, schema, batches).and_then(|()| out.flush().map_err(Into::into)) {
            Err(error) if is_closed_pipe(&error) => Ok(()),
            other => other.context("writing the answer"),
        }
    }

    /// Writes rows that are no query's answer, one record each.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn records<T: serde::Serialize>(self, rows: &[T]) -> anyhow::Result<()> {
        let values = rows.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        let schema = std::sync::Arc::new(arrow::json::reader::infer_json_schema_from_iterator(values.iter().map(Ok))?);
        let mut decoder = arrow::json::ReaderBuilder::new(std::sync::Arc::clone(&schema)).with_batch_size(rows.len().max(1)).build_decoder()?;
        decoder.serialize(&values)?;
        let batches: Vec<_> = decoder.flush()?.into_iter().collect();
        self.answer(&schema, &batches)
    }

    fn write(self, out: &mut (impl Write + Send), schema: &arrow::datatypes::SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<()> {
        match self.format {
            OutputFormat::Table => table::write(out, schema, batches, self.width()),
            OutputFormat::Json => encoded(out, Format::JsonArray, schema, batches),
            OutputFormat::Ndjson => encoded(out, Format::Ndjson, schema, batches),
            OutputFormat::Csv => encoded(out, Format::Csv, schema, batches),
            OutputFormat::Parquet => encoded(out, Format::Parquet, schema, batches),
        }
    }
}

/// As every door writes it.
fn encoded(out: &mut impl Write, format: Format, schema: &arrow::datatypes::SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<()> {
    let mut encoder = Encoder::new(format, schema, "")?;
    for batch in batches {
        out.write_all(&encoder.batch(batch)?)?;
    }
    Ok(out.write_all(&encoder.finish()?)?)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe) || cause.to_string().contains("Broken pipe")
    })
}
