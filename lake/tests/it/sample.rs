//! Rows to store, and a reader that goes through deltalake's log and plain Parquet alone.

use std::path::Path;

use arrow::array::RecordBatch;
use keytrail_lake::TableName;
use keytrail_schemas::{Activity, Event, EventId, Hash32, IdentityKind, Micros, Outcome, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// 2026-01-01T00:00:00Z.
pub const START: Micros = Micros(1_767_225_600_000_000);

/// The event at an offset of partition `partition`: `per_day` events a day, 7 identities, everything derived from the offset.
pub fn event(partition: i32, offset: i64, per_day: i64) -> Event {
    let raw = format!("{{\"offset\":{offset},\"pad\":\"{}\"}}", "x".repeat((offset % 50) as usize));
    Event {
        event_id: EventId::of_provider("test", &partition.to_string(), &offset.to_string(), 0),
        time: Micros(START.0 + offset * Micros::DAY / per_day),
        ingested_at: Micros(START.0 + offset),
        activity: Activity::Use,
        outcome: if offset % 11 == 0 { Outcome::Denied } else { Outcome::Success },
        identity: format!("aws:123456789012:role/service-{}", (offset * 5 + 3) % 7).into(),
        identity_kind: IdentityKind::Service,
        identity_provider: "aws".into(),
        identity_account: "123456789012".into(),
        credential: (offset % 3 != 0).then(|| format!("ASIA{:016}", offset / 10).into()),
        destination: Some(format!("aws:s3/bucket-{}", offset % 13).into()),
        protocol: Some("https".into()),
        action: Some("s3:GetObject".into()),
        source_ip: Some(format!("10.0.{}.{}", offset % 5, offset % 250).into()),
        source: "test".into(),
        format: "keytrail".into(),
        raw_hash: Hash32::of(raw.as_bytes()),
        raw: Some(raw),
        log_partition: partition,
        log_offset: offset,
        ..Event::default()
    }
}

pub fn events(partition: i32, offsets: std::ops::Range<i64>, per_day: i64) -> Vec<Event> {
    offsets.map(|offset| event(partition, offset, per_day)).collect()
}

/// Paths of a table's active data files.
pub async fn active_files(lake: &Path, table: TableName) -> Vec<std::path::PathBuf> {
    let folder = lake.join(table.as_str());
    let url = url::Url::from_directory_path(folder.canonicalize().unwrap()).unwrap();
    let mut delta = deltalake::DeltaTableBuilder::from_url(url).unwrap().build().unwrap();
    delta.load().await.unwrap();
    delta.snapshot().unwrap().log_data().iter().map(|file| folder.join(file.path().as_ref())).collect()
}

/// All rows of a table, file by file in no particular order.
pub async fn read<R: Table>(lake: &Path, table: TableName) -> Vec<R> {
    active_files(lake, table).await.iter().flat_map(|path| read_file(path)).collect()
}

pub fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

pub fn read_file<R: Table>(path: &Path) -> Vec<R> {
    batches(path).iter().flat_map(|batch| R::from_batch(batch).unwrap()).collect()
}

/// The table's events in the order of the log.
pub async fn stored_events(lake: &Path) -> Vec<Event> {
    let mut events: Vec<Event> = read(lake, TableName::Events).await;
    events.sort_by_key(|e| (e.log_partition, e.log_offset));
    events
}
