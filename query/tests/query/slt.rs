//! The files of `tests/slt`, each on a fresh session over the estate. `KEYTRAIL_UPDATE_SLT=1` writes their results anew.

use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use keytrail_query::{Error, Session};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::lake;

struct Database(Session);

#[async_trait]
impl AsyncDB for Database {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let batches = self.0.sql(sql).await?;
        let columns = batches.first().map_or(0, RecordBatch::num_columns);
        let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell(column, row)).collect())).collect();
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "keytrail"
    }
}

/// One cell without blanks, which separate cells in the files.
fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    let formatter = ArrayFormatter::try_new(column, &FormatOptions::default()).unwrap();
    let text = formatter.value(row).to_string();
    if text.is_empty() { "(empty)".to_owned() } else { text.replace(' ', "_") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_questions_has_the_answers_it_states() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 14, "one file per function");
    #[expect(clippy::disallowed_methods, reason = "only whoever runs the test can ask for new results")]
    let update = std::env::var("KEYTRAIL_UPDATE_SLT").is_ok();
    let mut failures = Vec::new();
    for file in files {
        let open = || async { Ok(Database(session.clone())) };
        let mut runner = Runner::new(open);
        if update {
            runner
                .update_test_file(&file, " ", sqllogictest::default_validator, sqllogictest::default_normalizer, sqllogictest::default_column_validator)
                .await
                .unwrap();
        } else if let Err(error) = runner.run_file_async(&file).await {
            failures.push(error.display(false).to_string());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
