//! Typed questions, explained findings, the coverage line, and the columns that others rely on.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use keytrail_query::{Question, Who, functions};
use keytrail_schemas::Micros;

use crate::lake::{self, at};

/// The columns that design documents promise: they come first or all, under these names.
const PROMISED: [(&str, &[&str]); 5] = [
    ("touched", &["identity", "destination", "credential", "credential_age_days", "protocol", "action", "outcome", "count", "first", "last", "first_ever"]),
    ("timeline", &["time", "activity", "outcome", "identity", "credential", "destination", "protocol", "action", "source_ip", "event_id", "finding_ids"]),
    (
        "findings",
        &[
            "finding_id",
            "rule",
            "title",
            "severity",
            "identity",
            "credential",
            "credential_age_days",
            "time",
            "first_event_time",
            "last_event_time",
            "event_ids",
            "count",
            "reasons",
            "score",
            "p_value",
            "tags",
            "not_assessable",
        ],
    ),
    ("credentials", &["credential", "identity", "kind", "state", "issued_at", "issued_is_exact", "expires_at", "age_days", "last_used", "successor", "parent"]),
    ("identities", &["identity", "kind", "provider", "account", "owner", "environment", "credentials", "destinations", "first_seen", "last_seen", "findings"]),
];

#[test]
fn the_promised_columns_are_there_and_every_column_is_documented() {
    let functions = functions();
    assert_eq!(functions.len(), 16);
    for (name, promised) in PROMISED {
        let function = functions.iter().find(|function| function.name == name).unwrap();
        for column in promised {
            assert!(function.columns.iter().any(|known| known.name == *column), "{name} lacks {column}");
        }
    }
    for column in functions.iter().flat_map(|function| function.columns) {
        assert!(column.doc.ends_with('.') || column.doc.ends_with('…'), "{}: {}", column.name, column.doc);
    }
}

#[tokio::test]
async fn every_question_answers_with_its_declared_columns() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    let identity = || "backup".to_owned();
    let (from, to) = (Some(at("2026-03-01T00:00:00Z")), Some(at("2026-03-06T00:00:00Z")));
    let questions = [
        (Question::Touched { identity: identity(), from, to }, 4),
        (Question::WhoTouched { destination: "payroll".to_owned(), from, to }, 3),
        (Question::Timeline { identity: identity(), from, to }, 7),
        (Question::Sessions { identity: identity(), from, to }, 4),
        (Question::Candidates { identity: identity(), within: Some(60), from, to }, 1),
        (Question::Compare { identity: identity(), a_from: from, a_to: Some(at("2026-03-03T00:00:00Z")), b_from: None, b_to: to }, 3),
        (Question::FirstSeen { dimension: "destination".to_owned(), from, to }, 6),
        (Question::Identities { who: Who::Machines }, 3),
        (Question::Credentials { who: Who::All }, 5),
        (Question::CredentialHistory { of: "AKIANEW".to_owned() }, 1),
        (Question::Lineage { credential: "ASIA1".to_owned() }, 3),
        (Question::BlastRadius { of: identity(), from, to, hops: None }, 5),
        (Question::Findings { from, to, identity: Some(identity()), rule: None, severity: None }, 1),
        (Question::Posture, 5),
        (Question::Coverage { from, to }, 3),
    ];
    for (question, expected) in questions {
        let rows = session.ask(&question).await.unwrap_or_else(|error| panic!("{question:?}: {error}"));
        let by_sql = session.sql(&question.to_sql()).await.unwrap_or_else(|error| panic!("{}: {error}", question.to_sql()));
        let count = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        assert_eq!(count(&rows), expected, "{question:?}");
        assert_eq!(count(&by_sql), expected, "{}", question.to_sql());
        assert_eq!(rows[0].schema(), by_sql[0].schema(), "{question:?}");
    }
}

#[tokio::test]
async fn the_watermark_is_the_newest_event_to_the_microsecond() {
    let lake = lake::Lake::new();
    let mut late = lake::event(200, "2026-04-01T00:00:00.123456Z", lake::CI, "ASIA9", "s3:GetObject", "aws:s3/a", keytrail_schemas::Outcome::Success);
    lake.add_events(&lake::estate()).await;
    lake.add_events(&[late.clone()]).await;
    late.time = at("2026-04-01T00:00:00.123000Z");
    lake.add_events(&[late]).await;
    assert_eq!(lake.session().await.watermark().await.unwrap(), Some(at("2026-04-01T00:00:00.123456Z")));
}

#[tokio::test]
async fn the_coverage_line_tells_sources_dead_letters_and_the_longest_gap() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    insta::assert_snapshot!(session.coverage_line(None, None).await.unwrap(), @"coverage: 2 sources (cloudtrail 10 events, k8s-prod 4 events), 3 dead letters (no_time 2, malformed 1), longest gap 3 d in k8s-prod (2026-03-02T09:00:00Z to 2026-03-05T09:00:00Z)");
    insta::assert_snapshot!(session.coverage_line(Some(at("2027-01-01T00:00:00Z")), None).await.unwrap(), @"coverage: no source reported in this period, 3 dead letters (no_time 2, malformed 1), no gap of an hour or more");
}

#[tokio::test]
async fn an_explained_finding_holds_everything_around_it() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    let explained = session.explain_finding("0001").await.unwrap();
    assert_eq!(explained.finding.revision, 1);
    assert_eq!(explained.evidence.len(), 2);
    insta::assert_snapshot!("explained_finding", explained.to_text());
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["credential"]["successor"], "AKIANEW");
    assert_eq!(json["evidence"][0]["time"], "2026-03-04T13:00:00Z");
    assert_eq!(json["neighbours"][0]["shares"][0], "source_ip");
}

#[tokio::test]
async fn cut_periods_and_whole_ones_cover_every_event_once() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    let events = async |from: Option<Micros>, to: Option<Micros>| {
        let rows = session.ask(&Question::Coverage { from, to }).await.unwrap();
        rows.iter().map(|batch| batch.column_by_name("events").unwrap().as_primitive::<Int64Type>().iter().flatten().sum::<i64>()).sum::<i64>()
    };
    // Any moment splits the lake in two parts that together are the whole: at events, between them, on hours and beside.
    let mut moments: Vec<i64> = lake::estate().iter().map(|event| event.time.0).collect();
    moments.extend([at("2026-03-05T09:00:00Z").0 - 1, at("2026-03-05T09:07:30Z").0, at("2026-03-04T00:00:00Z").0, 0]);
    for moment in moments {
        let split = Some(Micros(moment));
        assert_eq!(events(None, split).await + events(split, None).await, 14, "{moment}");
        let expected = lake::estate().iter().filter(|event| event.time.0 < moment).count();
        assert_eq!(events(None, split).await, i64::try_from(expected).unwrap(), "{moment}");
    }
}
