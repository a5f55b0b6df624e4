//! What other engines are asked, and what they are held against: keytrail's own answers as rows of text.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use deltalake::protocol::SaveMode;
use keytrail_lake::{CompactOptions, Lake};
use keytrail_query::{Question, Session};
use keytrail_schemas::{Finding, Micros, Table as _, Topic};
use parquet::file::properties::WriterProperties;

use crate::lake;

/// The estate, written by the store: one day compacted, the others as they came.
pub(crate) async fn written(folder: &std::path::Path, is_full: bool) -> Session {
    let lake = Lake::open(folder.to_str().unwrap(), keytrail_lake::Options::default()).await.unwrap();
    let mut events = lake::estate();
    for (offset, event) in (0..).zip(&mut events) {
        event.log_offset = offset;
    }
    lake.commit_events(&events, &[(Topic::Events, 0, i64::try_from(events.len()).unwrap())]).await.unwrap();
    lake.compact(CompactOptions { first_bytes_min: 0, fresh_files_min: 1, ..CompactOptions::default() }).await.unwrap();
    lake.replace_credentials(&lake::ledger()).await.unwrap();
    if is_full {
        lake.replace_identities(&lake::inventory()).await.unwrap();
        let findings = Finding::to_batch(&lake::findings()).unwrap();
        lake::write(folder, Finding::NAME, findings, &[], SaveMode::Append, WriterProperties::default()).await;
    }
    lake.roll_up(&keytrail_lake::RollUpOptions::default()).await.unwrap();
    Session::open(folder.to_str().unwrap(), keytrail_query::Options::default()).await.unwrap()
}

/// Rows as the script prints them: all but the `command` of a touch, which is keytrail's own vocabulary. Times are rounded to so many microseconds.
pub(crate) fn rows(batches: &[RecordBatch], unit: i64) -> Vec<String> {
    let mut all = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().zip(schema.fields()).filter(|(_, field)| field.name() != "command").map(|(column, _)| {
                if column.is_null(row) {
                    "NULL".to_owned()
                } else if let Some(text) = column.as_string_opt::<i32>() {
                    text.value(row).to_owned()
                } else if let Some(number) = column.as_primitive_opt::<Int64Type>() {
                    number.value(row).to_string()
                } else if let Some(number) = column.as_primitive_opt::<Float64Type>() {
                    format!("{:.6}", number.value(row))
                } else if let Some(time) = column.as_primitive_opt::<TimestampMicrosecondType>() {
                    ((time.value(row) + unit / 2) / unit * unit).to_string()
                } else if let Some(list) = column.as_list_opt::<i32>() {
                    list.value(row).as_string::<i32>().iter().map(|text| text.unwrap_or("NULL")).collect::<Vec<_>>().join(",")
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

/// What is asked of both sides.
pub(crate) struct Asked {
    pub(crate) ask: serde_json::Value,
    pub(crate) answer: Vec<RecordBatch>,
}

/// The questions over so many periods: each costs Spark and Trino a second.
pub(crate) async fn asked(session: &Session, periods: usize) -> Vec<Asked> {
    let all_periods = [
        (Some("2026-03-03T00:00:00Z"), None),
        (Some("2026-03-01T12:00:00Z"), Some("2026-03-03T02:00:01.001Z")),
        (None, None),
        (None, Some("2026-03-05T00:00:00Z")),
    ];
    let mut all = Vec::new();
    for (since, until) in all_periods.into_iter().take(periods) {
        let time = |text: Option<&str>| text.map(lake::at);
        let (from, to): (Option<Micros>, Option<Micros>) = (time(since), time(until));
        let mut questions = Vec::new();
        for value in [lake::CI, lake::BACKUP, lake::PAYMENTS, lake::ALICE] {
            questions.push(("touched", value, Question::Touched { identity: value.to_owned(), from, to }));
            questions.push(("timeline", value, Question::Timeline { identity: value.to_owned(), from, to }));
        }
        for value in ["aws:s3/payroll-prod", "k8s:prod:secrets/payments"] {
            questions.push(("who_touched", value, Question::WhoTouched { destination: value.to_owned(), from, to }));
        }
        for (name, value, question) in questions {
            let ask = serde_json::json!({"name": name, "value": value, "since": since, "until": until});
            all.push(Asked { ask, answer: session.ask(&question).await.unwrap() });
        }
    }
    let ask = serde_json::json!({"name": "posture", "value": "", "since": null, "until": null});
    all.push(Asked { ask, answer: session.ask(&Question::Posture).await.unwrap() });
    all
}

pub(crate) fn are_worth_comparing(all: &[Asked]) {
    for name in ["touched", "who_touched", "timeline", "posture"] {
        assert!(all.iter().any(|asked| asked.ask["name"] == name && rows(&asked.answer, 1).len() > 2), "{name} has something to compare");
    }
    assert!(all.iter().any(|asked| rows(&asked.answer, 1).iter().any(|row| row.contains(lake::OLD_KEY))), "findings are woven in");
}
