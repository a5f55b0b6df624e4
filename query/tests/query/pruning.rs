//! A filter that is configured is not yet a filter that is used: the reader's own metrics must show it.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use deltalake::protocol::SaveMode;
use keytrail_query::{Options, Session};
use keytrail_schemas::{Event, Micros, Outcome};

use crate::lake::{self, Lake};

/// 20 days of 64 identities with 40 events a day each, in small row groups and pages.
async fn wide_lake() -> Lake {
    let lake = Lake::new();
    let start = lake::at("2026-01-01T00:00:00Z");
    let mut events = Vec::new();
    for day in 0..20_i64 {
        for who in 0..64_i64 {
            for turn in 0..40_i64 {
                let identity = format!("aws:1:role/worker-{who:02}");
                let mut event = lake::event(
                    0,
                    "2026-01-01T00:00:00Z",
                    &identity,
                    &format!("ASIA{who}"),
                    "s3:GetObject",
                    &format!("aws:s3/bucket-{}", (who * 7 + turn * 13) % 400),
                    Outcome::Success,
                );
                event.time = Micros(start.0 + day * Micros::DAY + turn * 30 * Micros::MINUTE);
                events.push(event);
            }
        }
    }
    let batch = lake::with_day(&events);
    lake::write(std::path::Path::new(lake.path()), "events", batch, &["day"], SaveMode::Append, lake::compacted(1_280, 128)).await;
    lake
}

async fn analyzed(session: &Session, sql: &str) -> String {
    let batches: Vec<RecordBatch> = session.sql(&format!("EXPLAIN ANALYZE {sql}")).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// The number behind `name=` in a plan; `a.b K total → c matched` metrics give what was pruned.
fn pruned(plan: &str, name: &str) -> f64 {
    let text = plan.split(&format!("{name}=")).nth(1).unwrap_or_else(|| panic!("{name} is not in {plan}"));
    let metric = text.split([',', ']']).next().unwrap();
    let numbers: Vec<f64> = metric.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [one] => *one,
        [total, matched, ..] => total - matched,
        [] => panic!("{name}={metric}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_row_groups_and_pages_are_pruned() {
    let lake = wide_lake().await;
    let session = lake.session_with(Options { threads: 2, ..Options::default() }).await;
    let events = Event::default();
    assert!(!events.is_touch());

    let plan = analyzed(&session, "SELECT destination, count(*) FROM events WHERE identity = 'aws:1:role/worker-07' GROUP BY destination").await;
    assert!(pruned(&plan, "row_groups_pruned_statistics") > 0.0, "{plan}");
    assert!(pruned(&plan, "page_index_rows_pruned") > 0.0, "{plan}");

    let plan = analyzed(&session, "SELECT identity FROM events WHERE destination = 'aws:s3/bucket-1234'").await;
    assert!(pruned(&plan, "row_groups_pruned_bloom_filter") > 0.0, "{plan}");

    let plan = analyzed(&session, "SELECT identity FROM events WHERE time >= TIMESTAMP '2026-01-19T00:00:00Z'").await;
    assert_eq!(plan.matches(".parquet").count(), 2, "the log's statistics leave two of twenty files: {plan}");
    let plan = analyzed(&session, "SELECT identity FROM events WHERE day = DATE '2026-01-05'").await;
    assert_eq!(plan.matches(".parquet").count(), 1, "{plan}");
}
