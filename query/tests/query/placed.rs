//! The questions over files at their own places: planned and run by a plain DataFusion, which knows nothing of keytrail's, with equal rows.

use datafusion::execution::context::SessionContext;
use datafusion::prelude::SessionConfig;
use keytrail_query::{Options, Session};

use crate::asked::{are_worth_comparing, asked, rows, written};
use crate::lake::Lake;

/// A DataFusion of its own.
pub(crate) fn plain() -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(2)
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false);
    SessionContext::new_with_config(config)
}

/// What is asked, in SQL.
fn sql(ask: &serde_json::Value) -> String {
    let name = ask["name"].as_str().unwrap();
    if name == "posture" {
        return "SELECT * FROM posture()".to_owned();
    }
    let time = |key: &str| ask[key].as_str().map_or("NULL".to_owned(), |time| format!("'{time}'"));
    format!("SELECT * FROM {name}('{}', {}, {})", ask["value"].as_str().unwrap(), time("since"), time("until"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_datafusion_answers_with_equal_rows() {
    for is_full in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let session = written(folder.path(), is_full).await;
        let asked = asked(&session, 4).await;
        if is_full {
            are_worth_comparing(&asked);
        }
        let context = plain();
        session.place_in(&context).await.unwrap();
        for asked in &asked {
            let answer = context.sql(&sql(&asked.ask)).await.unwrap().collect().await.unwrap();
            assert_eq!(rows(&answer, 1), rows(&asked.answer, 1), "{}", asked.ask);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_tables_are_the_lakes_and_stay_at_their_version() {
    let folder = tempfile::tempdir().unwrap();
    let session = written(folder.path(), true).await;
    let context = plain();
    session.place_in(&context).await.unwrap();
    for query in [
        "SELECT day, count(*) AS n FROM events GROUP BY day ORDER BY day",
        "SELECT count(*) FROM findings",
        "SELECT count(*) FROM findings_log",
        "SELECT identity, owner FROM identities ORDER BY identity",
        "SELECT count(*) FROM credentials WHERE identity IN (SELECT identity FROM events WHERE day = DATE '2026-03-03')",
        "SELECT count(*) FROM detections",
    ] {
        let answer = context.sql(query).await.unwrap().collect().await.unwrap();
        let own = session.sql(query).await.unwrap();
        assert_eq!(
            arrow::util::pretty::pretty_format_batches(&answer).unwrap().to_string(),
            arrow::util::pretty::pretty_format_batches(&own).unwrap().to_string()
        );
    }
    // The day that the question does not ask for is not in the plan.
    let plan = context.sql("SELECT * FROM events WHERE day = DATE '2026-03-03'").await.unwrap().create_physical_plan().await.unwrap();
    let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(true).to_string();
    assert!(shown.contains("day=2026-03-03") && !shown.contains("day=2026-03-01"), "{shown}");
    // Compacted meanwhile: the same rows, from the files of the version that was placed.
    let count = |context: SessionContext| async move {
        let batches = context.sql("SELECT count(*) AS n FROM events").await.unwrap().collect().await.unwrap();
        rows(&batches, 1)
    };
    let before = count(context.clone()).await;
    let store = keytrail_lake::Lake::open(folder.path().to_str().unwrap(), keytrail_lake::Options::default()).await.unwrap();
    let open_day = folder.path().join("events/day=2026-03-05");
    let files = || std::fs::read_dir(&open_day).unwrap().count();
    let before_it = files();
    store.compact(keytrail_lake::CompactOptions { all: true, first_bytes_min: 0, fresh_files_min: 1, ..Default::default() }).await.unwrap();
    assert!(files() > before_it, "it was rewritten");
    assert_eq!(count(context).await, before);
    let moved = plain();
    session.place_in(&moved).await.unwrap();
    assert_eq!(count(moved).await, before, "superseded files lie in the folder still, and are not read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let session = written(folder.path(), true).await;
    let context = plain();
    session.place_in(&context).await.unwrap();
    for (query, told) in [
        ("SELECT * FROM touched()", "identity is missing"),
        ("SELECT * FROM touched('a', 'soon')", "is not a time"),
        ("SELECT * FROM touched('a', '2026-03-02', '2026-03-01')", "ends before it begins"),
        ("SELECT * FROM posture('a')", "too many"),
        ("SELECT * FROM blast_radius('a')", "blast_radius"),
    ] {
        let message = context.sql(query).await.unwrap_err().to_string();
        assert!(message.contains(told), "{message}");
    }
    // What would end the text is text.
    let answer = context.sql("SELECT * FROM touched('a'' OR ''1''=''1')").await.unwrap().collect().await.unwrap();
    assert_eq!(rows(&answer, 1), Vec::<String>::new());
    // A file that is gone: an error that names it, and its day.
    for file in std::fs::read_dir(folder.path().join("events/day=2026-03-03")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let error = context.sql("SELECT count(identity) FROM events").await.unwrap().collect().await.unwrap_err();
    let message = session.explained(error).await.to_string();
    assert!(message.contains("2026-03-03") && message.contains("is gone"), "{message}");
    let empty = Lake::new();
    assert!(Session::open(empty.path(), Options::default()).await.is_err(), "no lake is an error before anything is placed");
}
