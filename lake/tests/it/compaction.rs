//! Rewriting keeps every row.

use keytrail_lake::{CompactOptions, Lake, Options, TableName};
use keytrail_schemas::{Event, Finding, Topic};
use proptest::prelude::*;

use crate::sample::{active_files, events, read, read_file, stored_events};

async fn open(folder: &tempfile::TempDir) -> Lake {
    Lake::open(folder.path().to_str().unwrap(), Options::default()).await.unwrap()
}

/// Commits `total` events of partition 0 in batches of these sizes, again and again.
async fn fill(lake: &Lake, total: i64, per_day: i64, sizes: &[i64]) {
    let mut next = 0;
    for size in sizes.iter().cycle() {
        if next >= total {
            return;
        }
        let end = (next + size).min(total);
        lake.commit_events(&events(0, next..end, per_day), &[(Topic::Events, 0, end)]).await.unwrap();
        next = end;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_days_become_one_sorted_file_and_the_open_day_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 1000, 300, &[37]).await;
    let before = active_files(folder.path(), TableName::Events).await.len();
    let report = lake.compact(CompactOptions { first_bytes_min: 0, ..CompactOptions::default() }).await.unwrap();
    assert_eq!((report.groups, report.files_added, report.rows), (3, 3, 900), "{report:?}");
    assert_eq!(stored_events(folder.path()).await, events(0, 0..1000, 300));
    let after = active_files(folder.path(), TableName::Events).await;
    assert_eq!(after.len(), before - report.files_removed + 3);
    for path in after.iter().filter(|p| p.to_str().unwrap().contains("sorted-")) {
        let rows: Vec<Event> = read_file(path);
        assert_eq!(rows.len(), 300);
        assert!(rows.is_sorted_by_key(|e| (e.identity.clone(), e.time, e.log_offset)));
        let reader = parquet::file::serialized_reader::SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        let metadata = parquet::file::reader::FileReader::metadata(&reader);
        for (column, bloom) in [("identity", true), ("credential", true), ("destination", true), ("raw", false)] {
            let chunk = metadata.row_group(0).columns().iter().find(|c| c.column_path().string() == column).unwrap();
            assert_eq!(chunk.bloom_filter_offset().is_some(), bloom, "{column}");
        }
    }
    // Offsets are untouched, the second run finds nothing, and writing goes on.
    assert_eq!(lake.compact(CompactOptions { first_bytes_min: 0, ..CompactOptions::default() }).await.unwrap().groups, 0);
    assert_eq!(open(&folder).await.offsets(TableName::Events, Topic::Events).await.unwrap()[&0], 1000);
    let report = lake.compact(CompactOptions { all: true, ..CompactOptions::default() }).await.unwrap();
    assert_eq!(report.groups, 1, "the open day");
    lake.commit_events(&events(0, 1000..1010, 300), &[(Topic::Events, 0, 1010)]).await.unwrap();
    assert_eq!(stored_events(folder.path()).await, events(0, 0..1010, 300));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn any_compaction_keeps_every_row(
        sizes in prop::collection::vec(1_i64..90, 1..5),
        per_day in 40_i64..400,
        inputs in 2_usize..6,
        row_group_rows in 1_usize..60,
        file_rows_max in 1_usize..120,
        before in prop::option::of(0_i64..5),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let lake = open(&folder).await;
            fill(&lake, 400, per_day, &sizes).await;
            let options = CompactOptions {
                before_day: before.map(|day| crate::sample::START.day() + day),
                memory_bytes_max: inputs * (8 << 20),
                row_group_rows,
                file_rows_max,
                ..CompactOptions::default()
            };
            lake.compact(options.clone()).await.unwrap();
            prop_assert_eq!(stored_events(folder.path()).await, events(0, 0..400, per_day));
            lake.compact(CompactOptions { all: true, ..options }).await.unwrap();
            prop_assert_eq!(stored_events(folder.path()).await, events(0, 0..400, per_day));
            Ok(())
        })?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_compactions_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut compactions = Vec::new();
    let writer = {
        let lake = open(&folder).await;
        tokio::spawn(async move { fill(&lake, 600, 250, &[10]).await })
    };
    for _ in 0..2 {
        let lake = open(&folder).await;
        compactions.push(tokio::spawn(async move {
            let mut groups = 0;
            for _ in 0..12 {
                let report = lake.compact(CompactOptions { all: true, ..CompactOptions::default() }).await.unwrap();
                groups += report.groups;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            groups
        }));
    }
    writer.await.unwrap();
    let mut groups = 0;
    for compaction in compactions {
        groups += compaction.await.unwrap();
    }
    assert!(groups > 0);
    assert_eq!(stored_events(folder.path()).await, events(0, 0..600, 250));
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_are_compacted_once_many_files_came() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    let finding = |i: i64| Finding {
        finding_id: format!("f{i}").into(),
        identity: format!("id{}", i % 3).into(),
        event_ids: vec!["e".into(); (i % 4) as usize],
        log_offset: i,
        features: "{}".to_owned(),
        ..Finding::default()
    };
    for i in 0..10 {
        lake.commit_findings(&[(i, finding(i))], &[(Topic::Findings, 0, i + 1)]).await.unwrap();
        let report = lake.compact(CompactOptions { first_bytes_min: 0, ..CompactOptions::default() }).await.unwrap();
        assert_eq!(report.groups, usize::from(i == 7), "after {} files", i + 1);
    }
    let mut stored: Vec<Finding> = read(folder.path(), TableName::Findings).await;
    stored.sort_by_key(|f| f.log_offset);
    assert_eq!(stored, (0..10).map(finding).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_removes_what_left_the_table_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 300, 100, &[20]).await;
    std::fs::write(folder.path().join("events/day=2026-01-01/fresh-orphan-0.parquet"), b"left by a crash").unwrap();
    lake.put_snapshot(0, 300, vec![1, 2, 3]).await.unwrap();
    lake.compact(CompactOptions { all: true, ..CompactOptions::default() }).await.unwrap();
    assert_eq!(lake.vacuum(24).await.unwrap().files_removed, 0, "within retention");
    let report = lake.vacuum(0).await.unwrap();
    assert!(report.files_removed >= 16, "{report:?}");
    assert_eq!(stored_events(folder.path()).await, events(0, 0..300, 100));
    assert_eq!(lake.latest_snapshot(0).await.unwrap().unwrap().0, 300);
    lake.commit_events(&events(0, 300..310, 100), &[(Topic::Events, 0, 310)]).await.unwrap();
    assert_eq!(open(&folder).await.offsets(TableName::Events, Topic::Events).await.unwrap()[&0], 310);
}
