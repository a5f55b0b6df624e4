//! A session that stays open sees every commit, and appearing tables, at its next question.

use arrow::array::RecordBatch;
use keytrail_query::{Question, Who};
use keytrail_schemas::Outcome;

use crate::lake::{self, Lake};

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

#[tokio::test]
async fn what_is_committed_is_answered_at_the_next_question() {
    let lake = Lake::new();
    lake.add_events(&lake::estate()).await;
    let session = lake.session().await;
    let findings = Question::Findings { from: None, to: None, identity: None, rule: None, severity: None };
    let identities = Question::Identities { who: Who::All };
    assert_eq!(count(&session.ask(&findings).await.unwrap()), 0, "a table that is not there yet is empty");
    assert_eq!(count(&session.ask(&identities).await.unwrap()), 0);

    lake.add(&lake::findings()).await;
    lake.replace(&lake::inventory()).await;
    assert_eq!(count(&session.ask(&findings).await.unwrap()), 2);
    assert_eq!(count(&session.ask(&identities).await.unwrap()), 4);

    lake.replace(&lake::inventory()[..1]).await;
    assert_eq!(count(&session.ask(&identities).await.unwrap()), 1, "an overwrite replaces");

    let touched = Question::Touched { identity: "ci-deploy".to_owned(), from: None, to: None };
    assert_eq!(count(&session.ask(&touched).await.unwrap()), 2);
    lake.add_events(&[lake::event(99, "2026-03-06T00:00:00Z", lake::CI, "ASIA3", "s3:GetObject", "aws:s3/new", Outcome::Success)]).await;
    assert_eq!(count(&session.ask(&touched).await.unwrap()), 3);
    assert_eq!(session.watermark().await.unwrap(), Some(lake::at("2026-03-06T00:00:00Z")));
    assert!(session.coverage_line(None, None).await.unwrap().contains("cloudtrail 11 events"));
}

#[tokio::test]
async fn a_fragment_that_became_ambiguous_is_not_answered_from_memory() {
    let lake = lake::written_estate().await;
    let session = lake.session().await;
    assert_eq!(session.resolve_identity("ci-dep").await.unwrap(), lake::CI);
    let mut more = lake::inventory();
    let mut twin = more[1].clone();
    twin.identity = "aws:999900001111:role/ci-deploy".into();
    more.push(twin);
    lake.replace(&more).await;
    assert!(session.resolve_identity("ci-dep").await.is_err());
}
