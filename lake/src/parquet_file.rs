//! How a data file is laid out in Parquet: encodings, compression, pages, row groups, statistics and bloom filters.
//!
//! Two layouts: a *fresh* file comes out of a commit and is cheap to write; a *sorted* one comes out of compaction and is cheap to
//! search. In both, rows are in the table's order, which the footer states.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use keytrail_schemas::ColumnType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::TableName;

/// What a file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Written by a commit.
    Fresh,
    /// Written by compaction, with this many rows in a row group.
    Sorted {
        /// Rows in a row group, at most.
        row_group_rows: usize,
    },
}

/// Rows that become one Arrow batch: enough to amortise, few enough to stay in the cache.
pub(crate) const BATCH_ROWS: usize = 2048;

const FRESH_ROW_GROUP_ROWS: usize = 1 << 15;
const PAGE_ROWS: usize = 8192;
/// Rows of a page of an index: a look-up takes a few hundred.
const INDEX_PAGE_ROWS: usize = 1024;
const DICTIONARY_BYTES_MAX: usize = 128 << 10;
const TEXT_STATISTICS_BYTES: usize = 64;
const LONG_PAGE_BYTES: usize = 128 << 10;
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Columns whose bytes are long: their pages are small, so that a point lookup reads few of them, and what is written stays in the cache.
pub(crate) const LONG: &[&str] = &["raw", "features", "explanation"];
/// Columns of random bytes: compressing them costs and gives nothing.
const RANDOM: &[&str] = &["raw_hash"];
/// Columns whose values are of one length and have nothing in common: their lengths stand together, where they take nothing, and not
/// before each value, where they take four bytes and come between what a compressor could see.
const ONE_LENGTH: &[&str] = &["event_id", "raw_hash"];

impl Layout {
    /// Rows in a row group, at most.
    pub(crate) const fn row_group_rows(self) -> usize {
        match self {
            Self::Fresh => FRESH_ROW_GROUP_ROWS,
            Self::Sorted { row_group_rows } => row_group_rows,
        }
    }

    fn properties(self, table: TableName) -> WriterProperties {
        let level = match self {
            Self::Fresh => 1,
            Self::Sorted { .. } => 3,
        };
        let zstd = Compression::ZSTD(ZstdLevel::try_new(level).unwrap_or_default());
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("keytrail ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(zstd)
            .set_dictionary_enabled(false)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(TEXT_STATISTICS_BYTES))
            .set_column_index_truncate_length(Some(TEXT_STATISTICS_BYTES))
            .set_data_page_row_count_limit(if table.is_index() { INDEX_PAGE_ROWS } else { PAGE_ROWS })
            .set_max_row_group_row_count(Some(self.row_group_rows()))
            .set_sorting_columns(Some(sorting(table)));
        for column in table.columns() {
            let path = || ColumnPath::from(column.name);
            if table.pruned_columns().contains(&column.name) {
                properties = properties.set_column_statistics_enabled(path(), EnabledStatistics::Page);
            }
            if table.has_dictionary(column) {
                properties = properties.set_column_dictionary_enabled(path(), true);
            }
            match column.ty {
                ColumnType::Timestamp | ColumnType::Int64 | ColumnType::Int32 => {
                    properties = properties.set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
                }
                ColumnType::Utf8 if table.is_index() && !table.has_dictionary(column) => {
                    properties = properties.set_column_encoding(path(), Encoding::DELTA_BYTE_ARRAY);
                }
                ColumnType::Utf8 | ColumnType::Binary if LONG.contains(&column.name) => {
                    properties =
                        properties.set_column_statistics_enabled(path(), EnabledStatistics::None).set_column_data_page_size_limit(path(), LONG_PAGE_BYTES);
                }
                _ => {}
            }
            if RANDOM.contains(&column.name) {
                properties =
                    properties.set_column_statistics_enabled(path(), EnabledStatistics::None).set_column_compression(path(), Compression::UNCOMPRESSED);
            }
            if matches!(self, Self::Sorted { .. }) && ONE_LENGTH.contains(&column.name) {
                properties = properties.set_column_encoding(path(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
            }
            if matches!(self, Self::Sorted { .. }) && table.bloom_columns().contains(&column.name) {
                properties = properties.set_column_bloom_filter_enabled(path(), true).set_column_bloom_filter_fpp(path(), BLOOM_FALSE_POSITIVES);
            }
        }
        properties.build()
    }
}

fn sorting(table: TableName) -> Vec<SortingColumn> {
    let position = |name: &str| table.columns().iter().position(|c| c.name == name).and_then(|i| i32::try_from(i).ok());
    table
        .sort_columns()
        .iter()
        .filter_map(|name| position(name))
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
        .collect()
}

/// Whether a file states that its rows are in the table's order. Column indexes are those of Parquet's leaves, which equal the
/// table's as long as no list stands before them.
pub(crate) fn is_sorted(table: TableName, metadata: &ParquetMetaData) -> bool {
    let wanted = sorting(table);
    metadata.row_groups().iter().all(|group| group.sorting_columns() == Some(&wanted))
}

/// A writer of `table`'s rows.
pub(crate) fn writer<W: std::io::Write + Send>(table: TableName, schema: &SchemaRef, layout: Layout, out: W) -> Result<ArrowWriter<W>, ParquetError> {
    let options = ArrowWriterOptions::new().with_properties(layout.properties(table)).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(out, schema.clone(), options)
}

/// Batches that are made before the writer asks for them.
const BATCHES_AHEAD: usize = 2;

/// A file in memory, and what its footer says.
pub(crate) type Encoded = (Vec<u8>, Arc<ParquetMetaData>);

/// Encodes batches of `schema` into one file in memory: the table's columns, of which texts may be views. The next batches are made on a thread of their own while one is written.
pub(crate) fn encode(
    table: TableName,
    layout: Layout,
    schema: &SchemaRef,
    mut batches: impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>> + Send,
) -> Result<Encoded, ParquetError> {
    let mut bytes = Vec::with_capacity(1 << 20);
    let mut writer = writer(table, schema, layout, &mut bytes)?;
    if batches.size_hint().0 > 1 {
        std::thread::scope(|scope| {
            let (made, ready) = std::sync::mpsc::sync_channel(BATCHES_AHEAD);
            // Where the writer failed nobody takes them any more.
            scope.spawn(move || batches.try_for_each(|batch| made.send(batch)));
            ready.into_iter().try_for_each(|batch| writer.write(&batch?))
        })?;
    } else {
        batches.try_for_each(|batch| writer.write(&batch?))?;
    }
    let metadata = writer.close()?;
    Ok((bytes, Arc::new(metadata)))
}
