//! How answers are written: an aligned table for a person, data for a program. Answers go to standard output, all else to standard error.

use std::io::{IsTerminal as _, Write};

use anyhow::Context as _;
use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::cli::{Global, OutputFormat};

/// Most characters of one cell in a table for a person.
const CELL_CHARS_MAX: usize = 72;

/// Writes answers in the chosen format.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    format: OutputFormat,
    quiet: bool,
}

impl Writer {
    /// The writer of this invocation: what was asked for, else a table on a terminal and NDJSON elsewhere.
    pub fn new(global: &Global) -> Self {
        let default = if std::io::stdout().is_terminal() { OutputFormat::Table } else { OutputFormat::Ndjson };
        Self { format: global.output.unwrap_or(default), quiet: global.quiet }
    }

    /// Whether the answer is for a person.
    pub const fn is_table(self) -> bool {
        matches!(self.format, OutputFormat::Table)
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
            OutputFormat::Table => table(out, schema, batches),
            OutputFormat::Json => json(out, batches),
            OutputFormat::Ndjson => {
                let mut writer = arrow::json::WriterBuilder::new().with_explicit_nulls(true).build::<_, arrow::json::writer::LineDelimited>(out);
                batches.iter().try_for_each(|batch| writer.write(batch))?;
                Ok(writer.finish()?)
            }
            OutputFormat::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
                if batches.is_empty() {
                    writer.write(&RecordBatch::new_empty(flat_schema(schema)))?;
                }
                for batch in batches {
                    writer.write(&flat(batch)?)?;
                }
                Ok(())
            }
            OutputFormat::Parquet => {
                let mut writer = parquet::arrow::ArrowWriter::try_new(out, schema.clone(), None)?;
                batches.iter().try_for_each(|batch| writer.write(batch))?;
                writer.close()?;
                Ok(())
            }
        }
    }
}

/// One array, a record per line.
fn json(out: &mut impl Write, batches: &[RecordBatch]) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    {
        let mut writer = arrow::json::WriterBuilder::new().with_explicit_nulls(true).build::<_, arrow::json::writer::LineDelimited>(&mut lines);
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        writer.finish()?;
    }
    out.write_all(b"[")?;
    for (index, line) in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        out.write_all(line)?;
    }
    out.write_all(b"\n]\n")?;
    Ok(())
}

/// CSV has no lists: they are joined by spaces.
fn flat(batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let schema = flat_schema(&batch.schema());
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| if column.data_type() == field.data_type() { Ok(column.clone()) } else { texts(column) })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn flat_schema(schema: &arrow::datatypes::SchemaRef) -> arrow::datatypes::SchemaRef {
    let field = |field: &arrow::datatypes::FieldRef| {
        if field.data_type().is_nested() {
            std::sync::Arc::new(arrow::datatypes::Field::new(field.name(), arrow::datatypes::DataType::Utf8, true))
        } else {
            field.clone()
        }
    };
    std::sync::Arc::new(arrow::datatypes::Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn texts(column: &arrow::array::ArrayRef) -> anyhow::Result<arrow::array::ArrayRef> {
    let format = FormatOptions::default().with_null("");
    let formatter = ArrayFormatter::try_new(column.as_ref(), &format)?;
    let cells: arrow::array::StringArray =
        (0..column.len()).map(|row| Some(formatter.value(row).to_string().trim_matches(['[', ']']).replace(", ", " "))).collect();
    Ok(std::sync::Arc::new(cells))
}

fn table(out: &mut impl Write, schema: &arrow::datatypes::SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<()> {
    use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        writeln!(out, "(nothing)")?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(schema.fields().iter().map(|field| Cell::new(field.name()).add_attribute(Attribute::Bold)));
    let format = FormatOptions::default().with_null("").with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S"));
    for batch in batches {
        let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &format)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            table.add_row(formatters.iter().zip(schema.fields()).map(|(formatter, field)| {
                let cell = cell_text(&formatter.value(row).to_string(), field.data_type());
                let color = match (field.name().as_str(), cell.as_str()) {
                    ("severity", "critical" | "high") | ("outcome", "denied" | "failure") | ("state", "revoked" | "expired") => Some(Color::Red),
                    ("severity", "medium") | ("state", "superseded") | ("first_ever", "true") => Some(Color::Yellow),
                    _ => None,
                };
                let cell = Cell::new(cell).set_alignment(if field.data_type().is_numeric() { CellAlignment::Right } else { CellAlignment::Left });
                match color {
                    Some(color) => cell.fg(color),
                    None => cell,
                }
            }));
        }
    }
    writeln!(out, "{table}")?;
    Ok(())
}

fn cell_text(text: &str, ty: &arrow::datatypes::DataType) -> String {
    let text = match ty {
        arrow::datatypes::DataType::Float64 => text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| format!("{number:.1}")),
        _ => text.replace(['\n', '\r', '\t'], " "),
    };
    // Control characters of a log must not reach a terminal.
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.chars().count() > CELL_CHARS_MAX { text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect() } else { text }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe) || cause.to_string().contains("Broken pipe")
    })
}
