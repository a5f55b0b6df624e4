//! The roll-up holds what the events say, knows when it does not any more, and is made anew.

use std::collections::BTreeMap;

use deltalake::protocol::SaveMode;
use keytrail_lake::{CompactOptions, Lake, Options, RollUpOptions, TableName};
use keytrail_schemas::{Event, Fingerprinted, Micros, RolledDays, Table, Topic, Touch};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;

use crate::sample::{START, active_files, events, read, stored_events};

const ORDERS: [TableName; 2] = [TableName::Touches, TableName::TouchesByDestination];

async fn open(folder: &tempfile::TempDir) -> Lake {
    Lake::open(folder.path().to_str().unwrap(), Options::default()).await.unwrap()
}

async fn fill(lake: &Lake, offsets: std::ops::Range<i64>, per_day: i64, size: usize) {
    for batch in events(0, offsets, per_day).chunks(size) {
        lake.commit_events(batch, &[(Topic::Events, 0, batch.last().unwrap().log_offset + 1)]).await.unwrap();
    }
}

/// What the events of closed days come to, counted in the plainest way.
async fn expected(folder: &std::path::Path, closed: impl Fn(&Event) -> bool) -> Vec<Touch> {
    let mut touches: BTreeMap<String, Touch> = BTreeMap::new();
    for event in stored_events(folder).await.iter().filter(|event| closed(event)) {
        let key = format!(
            "{:?}",
            (
                (&event.identity, event.identity_kind, event.time.day(), &event.destination, &event.environment),
                (&event.credential, &event.credential_parent, &event.protocol, &event.action, event.outcome)
            )
        );
        let touch = touches.entry(key).or_insert_with(|| Touch {
            identity: event.identity.clone(),
            identity_kind: event.identity_kind,
            day: Micros(event.time.day() * Micros::DAY),
            destination: event.destination.clone(),
            environment: event.environment.clone(),
            credential: event.credential.clone(),
            credential_parent: event.credential_parent.clone(),
            protocol: event.protocol.clone(),
            action: event.action.clone(),
            outcome: event.outcome,
            first: event.time,
            ..Touch::default()
        });
        touch.count += 1;
        touch.first = touch.first.min(event.time);
        touch.last = touch.last.max(event.time);
        if let Some(issued) = event.credential_issued_at {
            let known = touch.issued_seen.zip(touch.issued_at).max(Some((event.time, issued)));
            (touch.issued_seen, touch.issued_at) = known.unzip();
        }
    }
    sorted(touches.into_values().collect())
}

fn sorted(mut touches: Vec<Touch>) -> Vec<Touch> {
    touches.sort_by_key(|touch| format!("{touch:?}"));
    touches
}

/// The days that each file of a table says that it holds.
async fn held(folder: &std::path::Path, table: TableName) -> Vec<RolledDays> {
    let files = active_files(folder, table).await;
    let days = |path: &std::path::PathBuf| {
        let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        let note = reader.metadata().file_metadata().key_value_metadata().unwrap().iter().find(|entry| entry.key == RolledDays::KEY).unwrap().clone();
        RolledDays::parse(&note.value.unwrap()).unwrap()
    };
    files.iter().map(days).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_days_are_rolled_up_once_in_both_orders() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 0..1000, 300, 37).await;
    let report = lake.roll_up(&RollUpOptions::default()).await.unwrap();
    assert_eq!((report.days, report.events), (3, 900), "the day that is open is left: {report:?}");
    let wanted = expected(folder.path(), |event| event.time.day() < START.day() + 3).await;
    assert!(wanted.len() > 300, "the sample has touches enough");
    for table in ORDERS {
        assert_eq!(sorted(read(folder.path(), table).await), wanted, "{table}");
        assert_eq!(held(folder.path(), table).await.iter().map(|days| days.0.len()).sum::<usize>(), 3);
    }
    for path in active_files(folder.path(), TableName::TouchesByDestination).await {
        let rows: Vec<Touch> = crate::sample::read_file(&path);
        assert!(rows.is_sorted_by_key(|touch| (touch.destination.clone(), touch.day, touch.identity.clone())), "{}", path.display());
    }
    let again = lake.roll_up(&RollUpOptions::default()).await.unwrap();
    assert_eq!((again.days, again.files_joined, again.files_removed), (0, 0, 0), "{again:?}");
    assert_eq!(lake.check_touches(false).await.unwrap().disagreements, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_in_memory_and_what_is_streamed_are_the_same_rows() {
    let mut rows = Vec::new();
    // Room for a part of the touches in memory (and for sorting them outside of it), and for all of them.
    for memory_bytes_max in [14 << 20, 256 << 20] {
        let folder = tempfile::tempdir().unwrap();
        let lake = open(&folder).await;
        fill(&lake, 0..108_000, 36_000, 12_000).await;
        let report = lake.roll_up(&RollUpOptions { memory_bytes_max, ..RollUpOptions::default() }).await.unwrap();
        assert_eq!((report.days, report.events, report.days_left.len()), (2, 72_000, 0), "{report:?}");
        assert!(report.touches > 40_000, "more than fit: {report:?}");
        assert_eq!(active_files(folder.path(), TableName::Touches).await.len(), 1, "both days at once, either way");
        let mut of = Vec::new();
        for table in ORDERS {
            of.push(read(folder.path(), table).await);
        }
        rows.push(of);
        assert_eq!(lake.check_touches(false).await.unwrap().disagreements, []);
    }
    let [streamed, counted] = <[Vec<Vec<Touch>>; 2]>::try_from(rows).unwrap();
    let place = streamed[0].iter().zip(&counted[0]).position(|(a, b)| a != b);
    assert_eq!((place, streamed[0].len()), (None, counted[0].len()), "in the order of the file, and not only the same ones");
    // By destination, of one identity's touches of one destination on one day any may come first.
    assert!(counted[1].is_sorted_by_key(|touch| (touch.destination.is_none(), touch.destination.clone(), touch.day, touch.identity.clone())));
    assert!(sorted(streamed[1].clone()) == sorted(counted[1].clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_changed_is_rolled_up_anew_and_its_old_touches_leave() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 0..1000, 300, 100).await;
    lake.roll_up(&RollUpOptions::default()).await.unwrap();
    // A late event comes to the second day.
    let mut late = events(0, 1000..1001, 300);
    late[0].time = Micros(START.0 + Micros::DAY + 5);
    lake.commit_events(&late, &[(Topic::Events, 0, 1001)]).await.unwrap();
    let check = lake.check_touches(false).await.unwrap();
    assert_eq!((check.days, check.disagreements.len()), (2, 0), "the day that changed is not claimed");
    let report = lake.roll_up(&RollUpOptions::default()).await.unwrap();
    assert_eq!((report.days, report.events, report.files_removed), (1, 301, 0), "the old file still holds the other days: {report:?}");
    // So does a compaction, which changes no row.
    lake.compact(CompactOptions { first_bytes_min: 0, ..CompactOptions::default() }).await.unwrap();
    assert_eq!(lake.check_touches(false).await.unwrap().days, 0);
    let report = lake.roll_up(&RollUpOptions::default()).await.unwrap();
    assert_eq!((report.days, report.files_removed), (3, 4), "no day of the old files holds: {report:?}");
    let wanted = expected(folder.path(), |event| event.time.day() < START.day() + 3).await;
    for table in ORDERS {
        assert_eq!(sorted(read(folder.path(), table).await), wanted, "{table}");
    }
    lake.vacuum(0).await.unwrap();
    assert_eq!(lake.check_touches(false).await.unwrap().days, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_days_lie_in_few_files() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 0..960, 40, 480).await;
    // Day after day, as a lake grows.
    for day in (2..=24).step_by(2) {
        lake.roll_up(&RollUpOptions { before_day: Some(START.day() + day), ..RollUpOptions::default() }).await.unwrap();
    }
    let wanted = expected(folder.path(), |_| true).await;
    for table in ORDERS {
        let held = held(folder.path(), table).await;
        assert!(held.len() < 10, "{} files", held.len());
        assert_eq!(held.iter().map(|days| days.0.len()).sum::<usize>(), 24, "each day once");
        assert_eq!(sorted(read(folder.path(), table).await), wanted, "{table}");
    }
    let check = lake.check_touches(false).await.unwrap();
    assert_eq!((check.days, check.events, check.disagreements.len()), (24, 960, 0));
}

/// Puts rows in the place of a table's, with a footer that claims that they hold.
async fn forge(folder: &std::path::Path, table: TableName, touches: &[Touch], days: &RolledDays) {
    let url = url::Url::from_directory_path(folder.join(table.as_str()).canonicalize().unwrap()).unwrap();
    let delta = deltalake::DeltaTable::try_from_url(url).await.unwrap();
    let sorting = table.sort_columns().iter().map(|name| {
        let index = Touch::COLUMNS.iter().position(|column| column.name == *name).unwrap();
        SortingColumn { column_idx: i32::try_from(index).unwrap(), descending: false, nulls_first: false }
    });
    let properties = WriterProperties::builder()
        .set_sorting_columns(Some(sorting.collect()))
        .set_key_value_metadata(Some(vec![KeyValue::new(RolledDays::KEY.to_owned(), days.to_json())]))
        .build();
    delta.write([Touch::to_batch(touches).unwrap()]).with_save_mode(SaveMode::Overwrite).with_writer_properties(properties).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn touches_that_disagree_with_the_events_are_found_said_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 0..500, 200, 100).await;
    lake.roll_up(&RollUpOptions::default()).await.unwrap();
    let mut all = RolledDays::default();
    held(folder.path(), TableName::Touches).await.into_iter().for_each(|days| all.0.extend(days.0));
    let mut touches: Vec<Touch> = read(folder.path(), TableName::Touches).await;
    touches.sort_by(|a, b| (&a.identity, a.day, &a.destination).cmp(&(&b.identity, b.day, &b.destination)));
    let day = touches[0].day.day();
    touches[0].count += 1;
    forge(folder.path(), TableName::Touches, &touches, &all).await;

    let check = lake.check_touches(false).await.unwrap();
    let [wrong] = check.disagreements.as_slice() else { panic!("{check:?}") };
    assert_eq!((wrong.table, wrong.day), (TableName::Touches, day));
    assert!(wrong.what.contains("of 201 events, and the day has"), "{}", wrong.what);
    let check = lake.check_touches(true).await.unwrap();
    assert_eq!(check.mended.unwrap().days, 2);
    assert_eq!(lake.check_touches(false).await.unwrap().disagreements, []);
    let wanted = expected(folder.path(), |event| event.time.day() < START.day() + 2).await;
    assert_eq!(sorted(read(folder.path(), TableName::Touches).await), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_of_touches_is_made_anew_and_a_damaged_day_is_left_to_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 0..500, 200, 100).await;
    lake.roll_up(&RollUpOptions::default()).await.unwrap();
    for path in active_files(folder.path(), TableName::TouchesByDestination).await {
        std::fs::write(path, b"no Parquet").unwrap();
    }
    assert_eq!(lake.roll_up(&RollUpOptions::default()).await.unwrap().days, 2);
    assert_eq!(lake.check_touches(false).await.unwrap().days, 2);

    // The first day comes in a file that cannot be read.
    let mut late = events(0, 500..501, 200);
    late[0].time = START;
    lake.commit_events(&late, &[(Topic::Events, 0, 501)]).await.unwrap();
    let fresh = active_files(folder.path(), TableName::Events).await.into_iter().filter(|path| path.to_str().unwrap().contains("day=2026-01-01"));
    let newest = fresh.max_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap()).unwrap();
    std::fs::write(newest, b"no Parquet either").unwrap();
    let report = lake.roll_up(&RollUpOptions::default()).await.unwrap();
    let [(day, why)] = report.days_left.as_slice() else { panic!("{report:?}") };
    assert_eq!(*day, START.day());
    assert!(why.contains("day=2026-01-01") && why.contains("read a data file"), "{why}");
}

#[test]
fn a_forged_name_is_another_fingerprint() {
    assert_ne!(Fingerprinted::of(["sorted-1-0000.parquet"]), Fingerprinted::of(["sorted-1-0001.parquet"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn roll_ups_writers_and_compactions_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let writer = {
        let lake = open(&folder).await;
        tokio::spawn(async move { fill(&lake, 0..600, 100, 20).await })
    };
    let mut others = Vec::new();
    for turn in 0..3 {
        let lake = open(&folder).await;
        others.push(tokio::spawn(async move {
            for _ in 0..6 {
                if turn == 0 {
                    lake.compact(CompactOptions { all: true, ..CompactOptions::default() }).await.unwrap();
                } else {
                    lake.roll_up(&RollUpOptions::default()).await.unwrap();
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }));
    }
    writer.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    let lake = open(&folder).await;
    lake.roll_up(&RollUpOptions::default()).await.unwrap();
    let check = lake.check_touches(false).await.unwrap();
    assert_eq!((check.days, check.events, check.disagreements.len()), (5, 500, 0), "{check:?}");
}
