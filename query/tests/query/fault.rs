//! What cannot be answered: every error names what is wrong and what to do.

use futures::TryStreamExt as _;
use keytrail_query::{Error, Options, Question, Session};
use keytrail_schemas::Micros;

use crate::lake::{self, Lake};

#[tokio::test]
async fn a_folder_without_a_lake_says_so() {
    let empty = tempfile::tempdir().unwrap();
    for location in [empty.path().to_str().unwrap().to_owned(), empty.path().join("missing").to_str().unwrap().to_owned()] {
        let error = Session::open(&location, Options::default()).await.unwrap_err();
        assert!(matches!(error, Error::NoLake { .. }), "{error}");
        assert!(error.to_string().contains("nothing was ingested yet"), "{error}");
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "opening for reading creates nothing");
}

#[tokio::test]
async fn an_ambiguous_name_lists_its_candidates_with_the_latest_seen_first() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    let error = session.resolve_identity("aws").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"aws\" fits 3 identities; which one?\n  aws:111122223333:user/alice  (last seen 2026-03-05T09:05:00Z)\n  aws:111122223333:role/ci-deploy  (last seen 2026-03-04T13:30:00Z)\n  aws:111122223333:user/backup  (last seen 2026-03-04T13:00:05Z)"
    );
    assert!(error.is_users());
}

#[tokio::test]
async fn names_are_found_whole_by_fragment_and_by_last_segment() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    assert_eq!(session.resolve_identity(lake::BACKUP).await.unwrap(), lake::BACKUP);
    assert_eq!(session.resolve_identity("BACK").await.unwrap(), lake::BACKUP);
    assert_eq!(session.resolve_identity("api").await.unwrap(), lake::PAYMENTS);
    assert_eq!(session.resolve_destination("artifacts").await.unwrap(), "aws:s3/artifacts");
    assert_eq!(session.resolve_credential("jti-1").await.unwrap(), "jti-1", "known from events only");
    assert_eq!(session.resolve_finding("0002").await.unwrap(), lake::REFUSED);
    assert!(matches!(session.resolve_identity("").await, Err(Error::Unknown { .. })));
    assert!(matches!(session.resolve_identity("' OR 1=1 --").await, Err(Error::Unknown { .. })));
}

#[tokio::test]
async fn an_identity_that_the_ledger_has_not_published_is_found_in_the_events() {
    let lake = Lake::new();
    lake.add_events(&lake::estate()).await;
    let session = lake.session().await;
    assert_eq!(session.resolve_identity("ci-deploy").await.unwrap(), lake::CI);
    let rows = session.ask(&Question::Touched { identity: lake::CI.to_owned(), from: None, to: None }).await.unwrap();
    assert_eq!(rows.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 2);
    assert_eq!(
        session.ask(&Question::Identities { who: keytrail_query::Who::All }).await.unwrap().iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(),
        0
    );
}

#[tokio::test]
async fn the_row_limit_stops_an_answer_and_says_what_to_do() {
    let lake = lake::written_estate().await;
    let session = lake.session_with(Options { rows_max: 5, ..Options::default() }).await;
    let error = session.sql("SELECT * FROM events").await.unwrap_err();
    assert!(matches!(error, Error::RowLimit { rows: 5 }), "{error}");
    assert_eq!(session.sql("SELECT * FROM events LIMIT 5").await.unwrap().iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 5);
    let rows = session.ask_stream(&Question::Timeline { identity: "backup".to_owned(), from: None, to: None }).await.unwrap();
    assert!(matches!(rows.batches.try_collect::<Vec<_>>().await, Err(Error::RowLimit { rows: 5 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_limit_stops_a_query_that_would_run_for_hours() {
    let lake = lake::written_estate().await;
    let session = lake.session_with(Options { time_limit_seconds: 1, threads: 1, ..Options::default() }).await;
    let error = session.sql("SELECT sum(a.value * b.value) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b").await.unwrap_err();
    assert!(matches!(error, Error::TimeLimit { seconds: 1 }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_limit_stops_a_query_and_names_the_limit() {
    let lake = lake::written_estate().await;
    let session = lake.session_with(Options { memory_bytes_max: 1 << 20, spill_bytes_max: 1 << 20, threads: 1, ..Options::default() }).await;
    let error = session.sql("SELECT a.value % 999983 AS v, count(*) FROM generate_series(1, 3000000) a GROUP BY v ORDER BY v LIMIT 1").await.unwrap_err();
    assert!(matches!(error, Error::MemoryLimit { .. } | Error::Execution(_)), "{error:?}");
    assert!(error.to_string().contains("memory") || error.to_string().contains("disk"), "{error}");
}

#[tokio::test]
async fn a_file_that_went_missing_is_an_error_and_no_short_answer() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    let day = std::path::Path::new(lake.path()).join("events/day=2026-03-04");
    for file in std::fs::read_dir(day).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let error = session.ask(&Question::Touched { identity: "backup".to_owned(), from: None, to: None }).await.unwrap_err();
    assert!(matches!(error, Error::DataFile { table: "events", .. }), "{error}");
    assert!(error.to_string().starts_with("events: 2026-03-04 cannot be read: the file day=2026-03-04/part-"), "{error}");
    assert!(!error.is_users());
    // What does not need the file has its answer, and the line says what is missing.
    let before = Question::Touched { identity: "backup".to_owned(), from: None, to: Some(lake::at("2026-03-04T00:00:00Z")) };
    assert!(session.ask(&before).await.is_ok());
    let line = session.coverage_line(None, None).await.unwrap();
    assert!(line.ends_with("EVENTS THAT CANNOT BE READ: 2026-03-04"), "{line}");
    assert!(session.ask(&Question::Coverage { from: None, to: None }).await.is_err());
    let error = session.sql("SELECT count(destination) FROM events").await.unwrap_err();
    assert!(matches!(error, Error::DataFile { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_cut_or_damaged_is_named_with_its_day() {
    let damages: [fn(&mut Vec<u8>); 2] = [|bytes| bytes.truncate(bytes.len() / 2), |bytes| bytes.fill(0)];
    for damage in damages {
        let lake = lake::written_estate().await;
        let day = std::path::Path::new(lake.path()).join("events/day=2026-03-04");
        let file = std::fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        damage(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        let session = lake.session().await;
        let error = session.ask(&Question::Touched { identity: lake::BACKUP.to_owned(), from: None, to: None }).await.unwrap_err();
        assert!(error.to_string().starts_with("events: 2026-03-04 cannot be read"), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_log_is_an_error_that_names_the_table() {
    let lake = lake::written_estate().await;
    let damage = |table: &str| {
        std::fs::write(std::path::Path::new(lake.path()).join(table).join("_delta_log/00000000000000000000.json"), b"{\"not\": \"a log\"").unwrap();
    };
    // A log that is read when it is asked for says it then, and disturbs no other question.
    damage("findings");
    let session = Session::open(lake.path(), Options::default()).await.unwrap();
    session.ask(&Question::Touched { identity: lake::BACKUP.to_owned(), from: None, to: None }).await.unwrap();
    let findings = Question::Findings { from: None, to: None, identity: None, rule: None, severity: None };
    let timeline = Question::Timeline { identity: lake::BACKUP.to_owned(), from: None, to: None };
    for question in [findings, timeline] {
        let error = session.ask(&question).await.unwrap_err();
        assert!(matches!(error, Error::Lake { table: "findings", .. }), "{error}");
    }
    let error = session.sql("SELECT 1").await.unwrap_err();
    assert!(matches!(error, Error::Lake { table: "findings", .. }), "{error}");
    damage("events");
    let error = Session::open(lake.path(), Options::default()).await.unwrap_err();
    assert!(matches!(error, Error::Lake { table: "events", .. }), "{error}");
}

#[tokio::test]
async fn a_period_that_ends_before_it_begins_is_refused() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    let error = session.ask(&Question::Coverage { from: Some(Micros(2)), to: Some(Micros(1)) }).await.unwrap_err();
    assert!(matches!(error, Error::EmptyPeriod { .. }), "{error}");
}
