//! How rows are written for programs: JSON, NDJSON, CSV, Arrow IPC stream, Parquet. The same in every door.

use std::io::Write;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Under which name Arrow and Parquet carry the coverage line.
pub const COVERAGE_KEY: &str = "keytrail.coverage";

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object: `rows`, an array with a record per line, and `coverage`.
    Json,
    /// One array, a record per line, and nothing else.
    JsonArray,
    /// One object per line.
    Ndjson,
    /// Comma-separated values with a header. Lists are joined by spaces, and a text that a spreadsheet would take for a formula begins with an apostrophe.
    Csv,
    /// Arrow's IPC stream.
    Arrow,
    /// One Parquet file.
    Parquet,
}

impl Format {
    /// Those that HTTP offers.
    pub const OFFERED: [Self; 5] = [Self::Json, Self::Ndjson, Self::Csv, Self::Arrow, Self::Parquet];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json | Self::JsonArray => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::JsonArray => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The first offered one that an `Accept` header takes; JSON where it takes all.
    #[must_use]
    pub fn accepted(accept: &str) -> Option<Self> {
        let kinds = accept.split(',').map(|part| part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        for kind in kinds {
            if matches!(kind.as_str(), "" | "*/*" | "application/*") {
                return Some(Self::Json);
            }
            if let Some(format) = Self::OFFERED.into_iter().find(|format| format.media_type() == kind) {
                return Some(format);
            }
        }
        None
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::OFFERED.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::OFFERED.iter().map(|format| format.name()).collect();
            format!("{:?} is no format: {} are", text.chars().take(32).collect::<String>(), known.join(", "))
        })
    }
}

/// Writes an answer piece by piece.
pub struct Encoder {
    out: Pieces,
    writer: Writer,
    coverage: String,
    rows: usize,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("rows", &self.rows).finish_non_exhaustive()
    }
}

enum Writer {
    Json { array: bool },
    Ndjson,
    Csv { writer: Box<arrow::csv::Writer<Pieces>>, schema: SchemaRef },
    Arrow(Box<arrow::ipc::writer::StreamWriter<Pieces>>),
    Parquet(Box<parquet::arrow::ArrowWriter<Pieces>>),
}

impl Encoder {
    /// An encoder of rows of `schema`; `coverage` goes where the format has a place for it.
    ///
    /// # Errors
    /// For columns that the format cannot hold.
    pub fn new(format: Format, schema: &SchemaRef, coverage: &str) -> Result<Self, ArrowError> {
        let out = Pieces::default();
        let with_coverage = || {
            let mut metadata = schema.metadata().clone();
            metadata.insert(COVERAGE_KEY.to_owned(), coverage.to_owned());
            Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata))
        };
        let writer = match format {
            Format::Json => Writer::Json { array: false },
            Format::JsonArray => Writer::Json { array: true },
            Format::Ndjson => Writer::Ndjson,
            Format::Csv => {
                let flat = flat_schema(schema);
                let mut writer = Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(out.clone()));
                writer.write(&RecordBatch::new_empty(flat.clone()))?;
                Writer::Csv { writer, schema: flat }
            }
            Format::Arrow => Writer::Arrow(Box::new(arrow::ipc::writer::StreamWriter::try_new(out.clone(), &with_coverage())?)),
            Format::Parquet => {
                let coverage = parquet::file::metadata::KeyValue::new(COVERAGE_KEY.to_owned(), coverage.to_owned());
                let properties = parquet::file::properties::WriterProperties::builder().set_key_value_metadata(Some(vec![coverage])).build();
                Writer::Parquet(Box::new(parquet::arrow::ArrowWriter::try_new(out.clone(), schema.clone(), Some(properties)).map_err(external)?))
            }
        };
        let encoder = Self { out, writer, coverage: coverage.to_owned(), rows: 0 };
        match encoder.writer {
            Writer::Json { array: true } => encoder.out.push(b"["),
            Writer::Json { array: false } => encoder.out.push(b"{\"rows\":["),
            _ => {}
        }
        Ok(encoder)
    }

    /// Takes a batch, and gives the bytes that are ready.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        match &mut self.writer {
            Writer::Json { .. } => {
                for line in lines(batch)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    self.out.push(if self.rows == 0 { b"\n" } else { b",\n" });
                    self.out.push(line);
                    self.rows += 1;
                }
            }
            Writer::Ndjson => self.out.push(&lines(batch)?),
            Writer::Csv { writer, schema } => writer.write(&flat(batch, schema)?)?,
            Writer::Arrow(writer) => writer.write(batch)?,
            Writer::Parquet(writer) => writer.write(batch).map_err(external)?,
        }
        Ok(self.out.take())
    }

    /// Ends the answer, and gives the last bytes.
    ///
    /// # Errors
    /// As [`Encoder::batch`].
    pub fn finish(mut self) -> Result<Vec<u8>, ArrowError> {
        match self.writer {
            Writer::Json { array: true } => self.out.push(b"\n]\n"),
            Writer::Json { array: false } => {
                self.out.push(b"\n],\"coverage\":");
                self.out.push(serde_json::Value::from(std::mem::take(&mut self.coverage)).to_string().as_bytes());
                self.out.push(b"}\n");
            }
            Writer::Ndjson => {}
            Writer::Csv { writer, .. } => drop(writer),
            Writer::Arrow(mut writer) => writer.finish()?,
            Writer::Parquet(writer) => drop(writer.close().map_err(external)?),
        }
        Ok(self.out.take())
    }
}

/// A record per line.
fn lines(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut lines = Vec::new();
    let mut writer = arrow::json::WriterBuilder::new().with_explicit_nulls(true).build::<_, arrow::json::writer::LineDelimited>(&mut lines);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(lines)
}

/// CSV has no lists: they are joined by spaces.
fn flat_schema(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &arrow::datatypes::FieldRef| {
        if field.data_type().is_nested() || is_text(field.data_type()) { Arc::new(Field::new(field.name(), DataType::Utf8, true)) } else { field.clone() }
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..))
}

fn flat(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| {
        let ty = column.data_type();
        if ty.is_nested() {
            texts(column)
        } else if is_text(ty) {
            let column = arrow::compute::cast(column, &DataType::Utf8)?;
            Ok(Arc::new(column.as_string::<i32>().iter().map(|cell| cell.map(harmless)).collect::<StringArray>()) as ArrayRef)
        } else {
            Ok(column.clone())
        }
    });
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<_>, _>>()?)
}

fn texts(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let format = FormatOptions::default().with_null("");
    let formatter = ArrayFormatter::try_new(column.as_ref(), &format)?;
    let cells: StringArray =
        (0..column.len()).map(|row| Some(harmless(&formatter.value(row).to_string().trim_matches(['[', ']']).replace(", ", " ")).into_owned())).collect();
    Ok(Arc::new(cells))
}

/// What a spreadsheet would calculate is shown as it is (OWASP, CSV injection).
fn harmless(cell: &str) -> std::borrow::Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}").into() } else { cell.into() }
}

fn external(error: parquet::errors::ParquetError) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

/// A buffer that a writer fills and the encoder empties.
#[derive(Debug, Clone, Default)]
struct Pieces(Arc<Mutex<Vec<u8>>>);

impl Pieces {
    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn rows() -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("name", DataType::Utf8, true), Field::new("count", DataType::Int64, false)]));
        let names = StringArray::from(vec![Some("=cmd|' /C calc'!A0"), Some("a,\"b\"\n"), None]);
        RecordBatch::try_new(schema, vec![Arc::new(names), Arc::new(Int64Array::from(vec![-1, 2, 3]))]).unwrap()
    }

    fn written(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
        let mut encoder = Encoder::new(format, &rows().schema(), "cov \"1\"").unwrap();
        let mut all = Vec::new();
        for batch in batches {
            all.extend(encoder.batch(batch).unwrap());
        }
        all.extend(encoder.finish().unwrap());
        all
    }

    #[test]
    fn every_format_holds_the_rows_and_the_coverage_line() {
        let json: serde_json::Value = serde_json::from_slice(&written(Format::Json, &[rows(), rows()])).unwrap();
        assert_eq!((json["rows"].as_array().unwrap().len(), json["coverage"].as_str()), (6, Some("cov \"1\"")));
        assert_eq!(json["rows"][2], serde_json::json!({ "name": null, "count": 3 }));
        let array: serde_json::Value = serde_json::from_slice(&written(Format::JsonArray, &[rows()])).unwrap();
        assert_eq!(array, serde_json::Value::Array(json["rows"].as_array().unwrap()[..3].to_vec()));
        assert_eq!(String::from_utf8(written(Format::Ndjson, &[rows()])).unwrap().lines().count(), 3);

        let bytes = written(Format::Arrow, &[rows()]);
        let reader = arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
        assert_eq!(reader.schema().metadata()[COVERAGE_KEY], "cov \"1\"");
        assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3);
    }

    #[test]
    fn an_empty_answer_is_whole_in_every_format() {
        let json: serde_json::Value = serde_json::from_slice(&written(Format::Json, &[])).unwrap();
        assert_eq!(json["rows"], serde_json::json!([]));
        assert_eq!(String::from_utf8(written(Format::Csv, &[])).unwrap(), "name,count\n");
        assert!(arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(written(Format::Arrow, &[])), None).unwrap().next().is_none());
        assert!(written(Format::Parquet, &[]).starts_with(b"PAR1"));
    }

    #[test]
    fn csv_holds_no_formula() {
        let text = String::from_utf8(written(Format::Csv, &[rows()])).unwrap();
        assert!(text.contains("\n'=cmd|' /C calc'!A0,-1\n"), "{text}");
    }

    #[test]
    fn the_accepted_format_is_the_first_that_is_offered() {
        assert_eq!(Format::accepted("text/html, text/csv;q=0.9, */*"), Some(Format::Csv));
        assert_eq!(Format::accepted(""), Some(Format::Json));
        assert_eq!(Format::accepted("image/png"), None);
    }
}
