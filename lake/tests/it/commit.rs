//! What is stored is stored once, whatever fails or races.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use keytrail_lake::{Error, Lake, Options, TableName};
use keytrail_schemas::{CredentialRecord, DeadLetter, Finding, IdentityRecord, Micros, Topic};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::sample::{active_files, event, events, read, stored_events};

fn position(next: i64) -> [(Topic, i32, i64); 1] {
    [(Topic::Events, 0, next)]
}

async fn open(folder: &tempfile::TempDir) -> Lake {
    Lake::open(folder.path().to_str().unwrap(), Options::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_offsets_survive_a_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let all = events(0, 0..500, 200);
    {
        let lake = open(&folder).await;
        assert!(lake.offsets(TableName::Events, Topic::Events).await.unwrap().is_empty());
        let commit = lake.commit_events(&all[..300], &position(300)).await.unwrap();
        assert_eq!((commit.rows, commit.files), (300, 2), "300 events at 200 a day lie on two days");
        // Two ticks stood behind the last event.
        lake.commit_events(&all[300..], &position(502)).await.unwrap();
        lake.commit_events::<keytrail_schemas::Event>(&[], &position(503)).await.unwrap();
    }
    let lake = open(&folder).await;
    let offsets = lake.offsets(TableName::Events, Topic::Events).await.unwrap();
    assert_eq!(offsets.into_iter().collect::<Vec<_>>(), [(0, 503)]);
    assert_eq!(stored_events(folder.path()).await, all);
    for path in active_files(folder.path(), TableName::Events).await {
        let rows: Vec<keytrail_schemas::Event> = crate::sample::read_file(&path);
        assert!(rows.is_sorted_by_key(|e| (e.identity.clone(), e.time, e.log_offset)), "{}", path.display());
        assert!(rows.iter().all(|e| path.to_str().unwrap().contains(&format!("day={}", e.time.date()))), "{}", path.display());
    }
}

#[tokio::test]
async fn the_same_offsets_twice_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let all = events(0, 0..100, 1000);
    let lake = open(&folder).await;
    lake.commit_events(&all[..60], &position(60)).await.unwrap();
    for (rows, next) in [(&all[..60], 60), (&all[50..70], 70), (&all[..0], 40)] {
        let error = lake.commit_events(rows, &position(next)).await.unwrap_err();
        assert!(matches!(error, Error::Fenced { found: 60, .. }), "{error}");
    }
    // Nothing new is no commit.
    let before = lake.commit_events::<keytrail_schemas::Event>(&[], &position(60)).await.unwrap();
    assert_eq!(before, lake.commit_events::<keytrail_schemas::Event>(&[], &position(60)).await.unwrap());
    // Another process that did not ask for the offsets.
    let error = open(&folder).await.commit_events(&all[..60], &position(60)).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    lake.commit_events(&all[60..], &position(100)).await.unwrap();
    assert_eq!(stored_events(folder.path()).await, all);
}

#[tokio::test]
async fn rows_that_contradict_their_positions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    let rows = events(0, 0..10, 1000);
    for positions in
        [&[][..], &[(Topic::Events, 1, 10)], &[(Topic::Events, 0, 9)], &[(Topic::Findings, 0, 10)], &[(Topic::Events, 0, 10), (Topic::Events, 0, 10)]]
    {
        let error = lake.commit_events(&rows, positions).await.unwrap_err();
        assert!(matches!(error, Error::Batch { .. }), "{positions:?}: {error}");
    }
    assert!(stored_events(folder.path()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_fenced_and_its_rows_are_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let all = events(0, 0..300, 1000);
    let zombie = open(&folder).await;
    zombie.offsets(TableName::Events, Topic::Events).await.unwrap();
    zombie.commit_events(&all[..100], &position(100)).await.unwrap();
    let successor = open(&folder).await;
    assert_eq!(successor.offsets(TableName::Events, Topic::Events).await.unwrap()[&0], 100);
    successor.commit_events(&all[100..150], &position(150)).await.unwrap();
    // Its rows begin beyond what the successor stored, and still it must not commit: the successor owns 150 on.
    let error = zombie.commit_events(&all[160..200], &position(200)).await.unwrap_err();
    assert!(matches!(&error, Error::Fenced { expected: 100, found: 150, .. }), "{error}");
    successor.commit_events(&all[150..], &position(300)).await.unwrap();
    assert_eq!(stored_events(folder.path()).await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_other_partitions_all_get_through() {
    const WRITERS: i32 = 4;
    const COMMITS: i64 = 15;
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    for partition in 0..WRITERS {
        let lake = open(&folder).await;
        tasks.push(tokio::spawn(async move {
            for commit in 0..COMMITS {
                let rows = events(partition, commit * 10..(commit + 1) * 10, 1000);
                lake.commit_events(&rows, &[(Topic::Events, partition, (commit + 1) * 10)]).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let expected: Vec<_> = (0..WRITERS).flat_map(|p| events(p, 0..COMMITS * 10, 1000)).collect();
    assert_eq!(stored_events(folder.path()).await, expected);
    let offsets = open(&folder).await.offsets(TableName::Events, Topic::Events).await.unwrap();
    assert_eq!(offsets.into_iter().collect::<Vec<_>>(), (0..WRITERS).map(|p| (p, COMMITS * 10)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_one_partition_store_each_offset_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let lake = open(&folder).await;
        tasks.push(tokio::spawn(async move {
            let mut won = 0;
            loop {
                let next = lake.offsets(TableName::Events, Topic::Events).await.unwrap().get(&0).copied().unwrap_or(0);
                if next >= 200 {
                    return won;
                }
                match lake.commit_events(&events(0, next..next + 10, 1000), &position(next + 10)).await {
                    Ok(_) => won += 1,
                    Err(Error::Fenced { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    let mut won = 0;
    for task in tasks {
        won += task.await.unwrap();
    }
    assert_eq!(won, 20);
    assert_eq!(stored_events(folder.path()).await, events(0, 0..200, 1000));
}

/// A store that fails, as a crash would, at every commit of a log while it is told to.
#[derive(Debug)]
struct Failing {
    inner: object_store::local::LocalFileSystem,
    before_commit: AtomicBool,
    after_commit: AtomicBool,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Failing")
    }
}

fn disk_full() -> object_store::Error {
    object_store::Error::Generic { store: "test", source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)) }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let commit = location.as_ref().contains("_delta_log");
        if commit && self.before_commit.load(Ordering::SeqCst) {
            return Err(disk_full());
        }
        let done = self.inner.put_opts(location, payload, opts).await?;
        if commit && self.after_commit.load(Ordering::SeqCst) {
            return Err(object_store::Error::Generic { store: "test", source: "the acknowledgement was lost".into() });
        }
        Ok(done)
    }
    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_crash_around_the_commit_loses_nothing_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = url::Url::from_directory_path(folder.path()).unwrap();
    let store = Arc::new(Failing { inner: object_store::local::LocalFileSystem::new(), before_commit: false.into(), after_commit: false.into() });
    let all = events(0, 0..200, 1000);
    let lake = Lake::open_with_store(&url, store.clone(), Options::default()).await.unwrap();
    lake.commit_events(&all[..50], &position(50)).await.unwrap();

    // Between the data files and the commit: files lie there, no row is visible.
    store.before_commit.store(true, Ordering::SeqCst);
    let error = lake.commit_events(&all[50..100], &position(100)).await.unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    let lying = walk(folder.path().join("events").as_path());
    assert_eq!(lying, 2, "the data file was written");
    assert_eq!(stored_events(folder.path()).await, all[..50]);
    store.before_commit.store(false, Ordering::SeqCst);
    assert_eq!(lake.offsets(TableName::Events, Topic::Events).await.unwrap()[&0], 50);
    lake.commit_events(&all[50..100], &position(100)).await.unwrap();

    // After the commit, before its acknowledgement: the rows are there, and the offsets say so.
    store.after_commit.store(true, Ordering::SeqCst);
    let error = lake.commit_events(&all[100..150], &position(150)).await.unwrap_err();
    assert!(matches!(error, Error::Storage { .. }), "{error}");
    store.after_commit.store(false, Ordering::SeqCst);
    let error = lake.commit_events(&all[100..150], &position(150)).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    assert_eq!(lake.offsets(TableName::Events, Topic::Events).await.unwrap()[&0], 150);
    lake.commit_events(&all[150..], &position(200)).await.unwrap();
    assert_eq!(stored_events(folder.path()).await, all);
}

fn walk(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .map(Result::unwrap)
        .map(|e| if e.path().is_dir() { walk(&e.path()) } else { usize::from(e.path().extension().is_some_and(|x| x == "parquet")) })
        .sum()
}

#[tokio::test]
async fn offsets_are_read_from_a_checkpoint_after_the_log_was_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_commits: 5 };
    let lake = Lake::open(folder.path().to_str().unwrap(), options.clone()).await.unwrap();
    for i in 0..12 {
        lake.commit_events(&events(0, i * 10..(i + 1) * 10, 1000), &position((i + 1) * 10)).await.unwrap();
    }
    let log = folder.path().join("events/_delta_log");
    assert!(log.join("00000000000000000010.checkpoint.parquet").exists());
    for version in 0..10 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let again = Lake::open(folder.path().to_str().unwrap(), options).await.unwrap();
    assert_eq!(again.offsets(TableName::Events, Topic::Events).await.unwrap()[&0], 120);
    again.commit_events(&[event(0, 120, 1000)], &position(121)).await.unwrap();
    assert_eq!(stored_events(folder.path()).await, events(0, 0..121, 1000));
}

#[tokio::test]
async fn a_writer_whose_log_was_cleaned_behind_it_does_not_write_into_the_past() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_commits: 5 };
    let path = folder.path().to_str().unwrap();
    let sleeper = Lake::open(path, options.clone()).await.unwrap();
    let lake = Lake::open(path, options).await.unwrap();
    for i in 0..7 {
        lake.commit_events(&events(0, i * 10..(i + 1) * 10, 1000), &position((i + 1) * 10)).await.unwrap();
    }
    for version in 0..5 {
        std::fs::remove_file(folder.path().join(format!("events/_delta_log/{version:020}.json"))).unwrap();
    }
    let error = sleeper.commit_events(&[event(0, 0, 1000)], &position(1)).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { found: 70, .. }), "{error}");
    sleeper.commit_events(&[event(1, 0, 1000)], &[(Topic::Events, 1, 1)]).await.unwrap();
    let mut expected = events(0, 0..70, 1000);
    expected.push(event(1, 0, 1000));
    assert_eq!(stored_events(folder.path()).await, expected);
}

#[tokio::test]
async fn findings_and_dead_letters_are_stored_with_their_own_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    let findings: Vec<_> = (0..5)
        .map(|i| {
            (
                i,
                Finding {
                    finding_id: format!("f{i}").into(),
                    identity: format!("id{}", 9 - i).into(),
                    tags: vec!["a".into(), "b".into()],
                    log_offset: 1000 + i,
                    features: "{}".to_owned(),
                    ..Finding::default()
                },
            )
        })
        .collect();
    lake.commit_findings(&findings, &[(Topic::Findings, 0, 5)]).await.unwrap();
    let error = lake.commit_findings(&findings[4..], &[(Topic::Findings, 0, 6)]).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { found: 5, .. }), "{error}");
    let mut stored: Vec<Finding> = read(folder.path(), TableName::Findings).await;
    stored.sort_by_key(|f| f.log_offset);
    assert_eq!(stored, findings.into_iter().map(|(_, f)| f).collect::<Vec<_>>());

    let letters = [(0, DeadLetter { dead_letter_id: "d".into(), message: "it is empty".to_owned(), ingested_at: Micros(7), ..DeadLetter::default() })];
    lake.commit_dead_letters(&letters, &[(Topic::DeadLetters, 0, 1)]).await.unwrap();
    assert_eq!(read::<DeadLetter>(folder.path(), TableName::DeadLetters).await, [letters[0].1.clone()]);
    assert_eq!(lake.offsets(TableName::DeadLetters, Topic::DeadLetters).await.unwrap()[&0], 1);
    assert!(lake.offsets(TableName::Events, Topic::Events).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_is_whole_also_when_two_do_it() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |who: &str, n: i64| {
        (0..n)
            .map(|i| CredentialRecord { credential: format!("c{i}").into(), identity: who.into(), uses: i, ..CredentialRecord::default() })
            .collect::<Vec<_>>()
    };
    let (a, b) = (open(&folder).await, open(&folder).await);
    a.replace_credentials(&rows("first", 30)).await.unwrap();
    a.replace_credentials(&rows("second", 3)).await.unwrap();
    assert_eq!(read::<CredentialRecord>(folder.path(), TableName::Credentials).await, rows("second", 3));
    let (ra, rb) = (rows("a", 20), rows("b", 25));
    let both = tokio::join!(
        async {
            for _ in 0..5 {
                a.replace_credentials(&ra).await.unwrap();
            }
        },
        async {
            for _ in 0..5 {
                b.replace_credentials(&rb).await.unwrap();
            }
        }
    );
    let _: ((), ()) = both;
    let stored: Vec<CredentialRecord> = read(folder.path(), TableName::Credentials).await;
    assert!(stored == ra || stored == rb, "{} rows of a mix", stored.len());
    a.replace_credentials(&[]).await.unwrap();
    assert!(read::<CredentialRecord>(folder.path(), TableName::Credentials).await.is_empty());
    let identities = [IdentityRecord { identity: "i".into(), ..IdentityRecord::default() }];
    a.replace_identities(&identities).await.unwrap();
    assert_eq!(read::<IdentityRecord>(folder.path(), TableName::Identities).await, identities);
}
