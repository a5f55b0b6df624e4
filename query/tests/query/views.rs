//! The questions in other engines' dialects, run by these engines on the same lake, with equal rows. Each engine's Python is named from outside
//! (`tests/views.py` says what it needs); without, its test says that it did not run. DataFusion is at hand.

use std::io::Write as _;
use std::process::{Command, Stdio};

use keytrail_query::Dialect;

use crate::asked::{are_worth_comparing, asked, rows, written};
use crate::placed::plain;

/// Has an engine answer every question, over the Delta tables or their files, on a full lake and on one without findings and inventory.
async fn compare(python: &str, name: &str, dialect: Dialect, by_files: bool) {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (mut runs, mut all) = (Vec::new(), Vec::new());
    for (folder, is_full) in folders.iter().zip([true, false]) {
        let session = written(folder.path(), is_full).await;
        let is_slow = matches!(dialect, Dialect::Spark | Dialect::Trino);
        let asked = asked(&session, if is_full && !is_slow { 4 } else { 1 }).await;
        if is_full {
            are_worth_comparing(&asked);
        }
        let place = folder.path().to_str().unwrap();
        let views = session.views(dialect, place, by_files).await.unwrap();
        let asks: Vec<_> = asked.iter().map(|asked| &asked.ask).collect();
        runs.push(serde_json::json!({"lake": place, "views": views, "asks": asks}));
        all.extend(asked);
    }
    let mut child = Command::new(python)
        .arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/views.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(serde_json::json!({"dialect": name, "runs": runs}).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name} failed on\n{}", runs[0]["views"].as_str().unwrap());
    let answers: Vec<Vec<String>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), all.len());
    let unit = if dialect == Dialect::Trino { 1_000 } else { 1 };
    for (asked, answer) in all.iter().zip(&answers) {
        assert_eq!(*answer, rows(&asked.answer, unit), "{name}: {}", asked.ask);
    }
}

/// The Python that has the engine, or the word that the test did not run. In CI, those that it brings must be there.
#[expect(clippy::disallowed_methods, reason = "a test that needs another program is told where it is")]
fn python(variable: &str, in_ci: bool) -> Option<String> {
    let named = std::env::var(variable).ok();
    assert!(named.is_some() || !in_ci || std::env::var("KEYTRAIL_CI").is_err(), "{variable} must name a Python in CI");
    if named.is_none() {
        eprintln!("SKIPPED: {variable} names no Python");
    }
    named
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_and_chdb_answer_with_equal_rows() {
    let Some(python) = python("KEYTRAIL_TEST_PYTHON", true) else { return };
    compare(&python, "duckdb", Dialect::DuckDb, true).await;
    compare(&python, "clickhouse", Dialect::ClickHouse, true).await;
}

/// DuckDB's own reader of Delta: a Python with duckdb 1.5.5, duckdb-extensions and duckdb-extension-delta.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_answers_over_the_delta_tables() {
    let Some(python) = python("KEYTRAIL_DUCKDB_DELTA_PYTHON", false) else { return };
    compare(&python, "duckdb", Dialect::DuckDb, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spark_answers_over_the_delta_tables() {
    let Some(python) = python("KEYTRAIL_SPARK_PYTHON", false) else { return };
    compare(&python, "spark", Dialect::Spark, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trino_answers_over_the_delta_tables() {
    let Some(python) = python("KEYTRAIL_TRINO_PYTHON", false) else { return };
    compare(&python, "trino", Dialect::Trino, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datafusion_answers_with_equal_rows() {
    for is_full in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let session = written(folder.path(), is_full).await;
        let context = plain();
        let views = session.views(Dialect::DataFusion, folder.path().to_str().unwrap(), true).await.unwrap();
        for statement in views.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n").split(";\n").filter(|text| !text.trim().is_empty())
        {
            context.sql(statement.trim_end_matches(';')).await.unwrap().collect().await.unwrap();
        }
        for asked in asked(&session, 4).await {
            let time = |key: &str| match asked.ask[key].as_str() {
                Some(time) => format!("arrow_cast('{time}', 'Timestamp(Microsecond, Some(\"UTC\"))')"),
                None => "NULL".to_owned(),
            };
            let name = asked.ask["name"].as_str().unwrap();
            let sql = match name {
                "posture" => "SELECT * FROM posture".to_owned(),
                _ => format!("EXECUTE {name}('{}', {}, {})", asked.ask["value"].as_str().unwrap(), time("since"), time("until")),
            };
            let answer = context.sql(&sql).await.unwrap().collect().await.unwrap();
            assert_eq!(rows(&answer, 1), rows(&asked.answer, 1), "{sql}");
        }
    }
}
