//! The questions in other engines' dialects, run by these engines on the same lake, with equal rows. `KEYTRAIL_TEST_PYTHON` names a Python that
//! has duckdb and chdb; without, the test says that it did not run.

use std::io::Write as _;
use std::process::{Command, Stdio};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use keytrail_lake::{CompactOptions, Lake};
use keytrail_query::{Dialect, Question, Session};
use keytrail_schemas::{Micros, Topic};

use crate::lake;

/// The estate, written by the store: one day compacted, the others as they came.
async fn written(folder: &std::path::Path) -> Session {
    let lake = Lake::open(folder.to_str().unwrap(), keytrail_lake::Options::default()).await.unwrap();
    let mut events = lake::estate();
    for (offset, event) in (0..).zip(&mut events) {
        event.log_offset = offset;
    }
    lake.commit_events(&events, &[(Topic::Events, 0, i64::try_from(events.len()).unwrap())]).await.unwrap();
    lake.compact(CompactOptions { first_bytes_min: 0, fresh_files_min: 1, ..CompactOptions::default() }).await.unwrap();
    lake.replace_credentials(&lake::ledger()).await.unwrap();
    lake.replace_identities(&lake::inventory()).await.unwrap();
    lake.roll_up(&keytrail_lake::RollUpOptions::default()).await.unwrap();
    Session::open(folder.to_str().unwrap(), keytrail_query::Options::default()).await.unwrap()
}

/// Rows as the script prints them.
fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let mut all = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| {
                if column.is_null(row) {
                    "NULL".to_owned()
                } else if let Some(text) = column.as_string_opt::<i32>() {
                    text.value(row).to_owned()
                } else if let Some(number) = column.as_primitive_opt::<Int64Type>() {
                    number.value(row).to_string()
                } else if let Some(number) = column.as_primitive_opt::<Float64Type>() {
                    format!("{:.6}", number.value(row))
                } else if let Some(time) = column.as_primitive_opt::<TimestampMicrosecondType>() {
                    time.value(row).to_string()
                } else {
                    column.as_boolean().value(row).to_string()
                }
            });
            all.push(cells.collect::<Vec<_>>().join("\t"));
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_and_chdb_answer_with_equal_rows() {
    #[expect(clippy::disallowed_methods, reason = "a test that needs another program is told where it is")]
    let Ok(python) = std::env::var("KEYTRAIL_TEST_PYTHON") else {
        println!("not run: KEYTRAIL_TEST_PYTHON names no Python with duckdb and chdb");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let session = written(folder.path()).await;
    let periods = [
        (None, None),
        (Some("2026-03-03T00:00:00Z"), None),
        (Some("2026-03-01T12:00:00Z"), Some("2026-03-03T02:00:01.000001Z")),
        (None, Some("2026-03-05T00:00:00Z")),
    ];
    let mut asks = Vec::new();
    let mut expected = Vec::new();
    for (since, until) in periods {
        let time = |text: Option<&str>| text.map(lake::at);
        let (from, to): (Option<Micros>, Option<Micros>) = (time(since), time(until));
        for value in [lake::CI, lake::BACKUP, lake::PAYMENTS, lake::ALICE] {
            asks.push(serde_json::json!({"name": "touched", "value": value, "since": since, "until": until}));
            expected.push(rows(&session.ask(&Question::Touched { identity: value.to_owned(), from, to }).await.unwrap()));
        }
        for value in ["aws:s3/payroll-prod", "k8s:prod:secrets/payments"] {
            asks.push(serde_json::json!({"name": "who_touched", "value": value, "since": since, "until": until}));
            expected.push(rows(&session.ask(&Question::WhoTouched { destination: value.to_owned(), from, to }).await.unwrap()));
        }
    }
    assert!(expected.iter().map(Vec::len).sum::<usize>() > 30, "there is something to compare");
    for (name, dialect) in [("duckdb", Dialect::DuckDb), ("clickhouse", Dialect::ClickHouse)] {
        let views = session.views(dialect, folder.path().to_str().unwrap(), true).await.unwrap();
        let mut child = Command::new(&python)
            .arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/views.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asked = serde_json::json!({"dialect": name, "views": views, "asks": asks});
        child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name} failed on\n{views}");
        let answers: Vec<Vec<String>> = serde_json::from_slice(&output.stdout).unwrap();
        for ((ask, expected), answer) in asks.iter().zip(&expected).zip(&answers) {
            assert_eq!(answer, expected, "{name}: {ask}");
        }
    }
}
