//! Everything that keytrail has written, as bytes to be searched: each file as it is, and what is packed in it unpacked. Parquet is read
//! column by column, a detector's state and the embedded log are expanded.

use std::path::{Path, PathBuf};

use keytrail_log::EventLog as _;
use keytrail_log::embedded::{EmbeddedLog, Options};
use keytrail_schemas::Topic;

/// Some bytes that were written, and where.
pub struct Written {
    pub at: String,
    pub bytes: Vec<u8>,
    /// It is compressed or packed, and searched unpacked beside this: here nothing is undone once more.
    pub is_packed: bool,
}

impl Written {
    pub fn new(at: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { at: at.into(), bytes: bytes.into(), is_packed: false }
    }
}

/// How much was looked at, by kind, so that a test can tell that it looked.
#[derive(Debug, Default)]
pub struct Looked {
    pub files: usize,
    pub parquet_rows: usize,
    pub states: usize,
    pub log_records: usize,
}

/// All files of a data folder. No process may hold it.
pub fn folder(data: &Path) -> (Vec<Written>, Looked) {
    let mut looked = Looked::default();
    let mut all = Vec::new();
    for path in files(data) {
        let bytes = std::fs::read(&path).unwrap();
        let at = path.strip_prefix(data).unwrap().display().to_string();
        looked.files += 1;
        let mut is_packed = at.starts_with("log");
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let (text, rows) = parquet(&path);
            looked.parquet_rows += rows;
            is_packed = true;
            all.push(Written::new(format!("{at} (rows)"), text));
        }
        if let Some(state) = state(&bytes) {
            looked.states += 1;
            is_packed = true;
            all.push(Written::new(format!("{at} (unpacked)"), state));
        }
        all.push(Written { at, bytes, is_packed });
    }
    if data.join("log").exists() {
        let (text, records) = log(&data.join("log"));
        looked.log_records = records;
        all.push(Written::new("log (records)", text));
    }
    (all, looked)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { folders.push(entry) } else { found.push(entry) }
        }
    }
    found.sort();
    found
}

/// The rows of a Parquet file as JSON lines.
pub fn parquet(path: &Path) -> (Vec<u8>, usize) {
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let (mut text, mut rows) = (Vec::new(), 0);
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut text);
    for batch in reader.map(Result::unwrap) {
        rows += batch.num_rows();
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    (text, rows)
}

/// A detector's state: magic, version, checksum, the number of pieces, the unpacked and the packed length of each, and the pieces as blocks of LZ4.
fn state(bytes: &[u8]) -> Option<Vec<u8>> {
    let body = bytes.strip_prefix(b"ktdetect")?.get(36..)?;
    let number = |at: usize| usize::try_from(u64::from_le_bytes(body[at..at + 8].try_into().unwrap())).unwrap();
    let (mut plain, mut at) = (Vec::new(), 8 + number(0) * 16);
    for piece in 0..number(0) {
        let (unpacked, packed) = (number(8 + piece * 16), number(16 + piece * 16));
        plain.extend(lz4_flex::block::decompress(&body[at..at + packed], unpacked).expect("a piece of a state unpacks"));
        at += packed;
    }
    assert_eq!(at, body.len(), "the pieces are all of it");
    Some(plain)
}

/// Every record of the embedded log's topics, as it is shown for debugging: all fields, in clear.
fn log(folder: &Path) -> (Vec<u8>, usize) {
    let log = EmbeddedLog::open(folder, Options::default()).unwrap();
    let (mut text, mut count) = (Vec::new(), 0);
    let mut keep = |record: &dyn std::fmt::Debug| {
        text.extend_from_slice(format!("{record:?}\n").as_bytes());
        count += 1;
    };
    for partition in 0..log.partitions() {
        let mut next = log.start(Topic::Events, partition).unwrap();
        while let Some(chunk) = log.read_events(partition, next).unwrap() {
            next = chunk.first_offset + i64::try_from(chunk.records.len()).unwrap();
            chunk.records.iter().for_each(|record| keep(record));
        }
        let findings = log.read_findings(partition, log.start(Topic::Findings, partition).unwrap(), usize::MAX).unwrap().rows;
        findings.iter().for_each(|finding| keep(finding));
        let letters = log.read_dead_letters(partition, log.start(Topic::DeadLetters, partition).unwrap(), usize::MAX).unwrap().rows;
        letters.iter().for_each(|letter| keep(letter));
    }
    (text, count)
}
