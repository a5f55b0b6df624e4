//! A session that stays open sees every commit, and appearing tables, at its next question.

use arrow::array::RecordBatch;
use keytrail_query::{LiveLedger, Question, Who};
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

/// What the detector knows stands in place of what it published, in questions, in SQL and in names, and goes when it is published.
#[tokio::test]
async fn what_the_detector_knows_now_lies_over_the_published_ledger() {
    let lake = lake::written_estate().await;
    let live = std::sync::Arc::new(LiveLedger::default());
    let session = lake.session().await.with_live(&live);
    let everything = "SELECT identity, events, log_partition FROM identities ORDER BY identity, log_partition";
    let before = session.sql(everything).await.unwrap();

    let mut known = lake::inventory().into_iter().find(|row| row.identity == lake::CI).unwrap();
    known.events = 4_711;
    let mut new = known.clone();
    new.identity = "aws:999900001111:role/just-now".into();
    let mut elsewhere = known.clone();
    elsewhere.log_partition += 1;
    live.put(known.log_partition, Vec::new(), vec![known.clone(), new.clone()]);
    live.put(elsewhere.log_partition, Vec::new(), vec![elsewhere]);
    let after = session.sql(everything).await.unwrap();
    assert_eq!(count(&after), count(&before) + 2, "one row is replaced, one name is new, one is another partition's");
    let events = session.sql("SELECT count(*) AS n FROM identities WHERE events = 4711 AND identity LIKE '%ci-deploy' LIMIT 5").await.unwrap();
    assert_eq!(arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(events[0].column(0)).value(0), 2);
    assert_eq!(session.resolve_identity("just-now").await.unwrap(), "aws:999900001111:role/just-now");
    assert_eq!(count(&session.sql("SELECT identity FROM identities LIMIT 3").await.unwrap()), 3, "a limit counts what is there");
    assert_eq!(count(&session.sql("SELECT as_of FROM identities WHERE identity = 'aws:999900001111:role/just-now'").await.unwrap()), 1);
    assert_eq!(count(&session.ask(&Question::Identities { who: Who::All }).await.unwrap()), count(&after));

    // An age is the credential's, whichever table knows it.
    let credentials = session.sql("SELECT * FROM credentials").await.unwrap();
    let mut credential = lake::ledger().into_iter().next().unwrap();
    credential.uses = 99;
    live.put(credential.log_partition, vec![credential], Vec::new());
    assert_eq!(count(&session.sql("SELECT * FROM credentials").await.unwrap()), count(&credentials));
    assert_eq!(count(&session.sql("SELECT * FROM credentials WHERE uses = 99").await.unwrap()), 1);

    for partition in [known.log_partition, known.log_partition + 1] {
        live.published(partition);
        live.published(partition);
    }
    assert_eq!(session.sql(everything).await.unwrap(), before);
}

/// What was found is seen before the lake has it, once, with its detections, and in the view of latest revisions.
#[tokio::test]
async fn what_was_found_lies_over_the_lake_until_it_is_stored() {
    let lake = lake::written_estate().await;
    let live = std::sync::Arc::new(LiveLedger::default());
    let session = lake.session().await.with_live(&live);
    let all = "SELECT * FROM findings_log ORDER BY finding_id, revision";
    let before = session.sql(all).await.unwrap();
    let stored = lake::findings();

    // The same record as the lake has is no second one.
    live.told(stored.clone());
    assert_eq!(session.sql(all).await.unwrap(), before);
    let mut again = stored[1].clone();
    again.revision += 1;
    again.log_offset += 1_000;
    again.title = "It went on".into();
    again.detections = vec![keytrail_schemas::Detection {
        detection_id: "0123456789abcdef0123456789abcdef".into(),
        finding_id: Some(again.finding_id.clone()),
        identity: again.identity.clone(),
        log_partition: again.log_partition,
        log_offset: again.log_offset,
        ..keytrail_schemas::Detection::default()
    }];
    live.told(vec![again.clone()]);
    assert_eq!(count(&session.sql(all).await.unwrap()), count(&before) + 1);
    let latest = format!("SELECT title FROM findings WHERE finding_id = '{}' AND title = 'It went on'", again.finding_id);
    assert_eq!(count(&session.sql(&latest).await.unwrap()), 1);
    let detections = "SELECT * FROM detections WHERE detection_id = '0123456789abcdef0123456789abcdef'";
    assert_eq!(count(&session.sql(detections).await.unwrap()), 1);
    assert_eq!(session.explain_finding(&again.finding_id).await.unwrap().finding.title, "It went on");

    lake.add(&[again.clone()]).await;
    assert_eq!(count(&session.sql(all).await.unwrap()), count(&before) + 1, "stored, and told: once");
    assert!(live.has_findings());
    for _ in 0..2 {
        live.stored(again.log_partition, again.log_offset + 1);
    }
    assert!(!live.has_findings());
    assert_eq!(count(&session.sql(all).await.unwrap()), count(&before) + 1);
}
