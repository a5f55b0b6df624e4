//! Every question answers alike with the roll-up and without, to the row, over lakes that the store itself wrote: days compacted or not, rolled
//! up or not, changed since, with periods that begin and end anywhere.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::util::pretty::pretty_format_batches;
use keytrail_lake::{CompactOptions, Lake, RollUpOptions};
use keytrail_query::{Options, Question, Session};
use keytrail_schemas::{Event, EventId, IdentityKind, Micros, Outcome, Text, Topic};
use proptest::prelude::*;

use crate::lake;

const IDENTITIES: [&str; 4] = ["aws:1:role/a", "aws:1:role/ab", "k8s:sa/ü", "aws:1:user/eve"];
const DESTINATIONS: [&str; 4] = ["aws:s3/one", "aws:s3/one-more", "k8s:secrets/x", "plc:7"];

fn start() -> i64 {
    lake::at("2026-03-01T00:00:00Z").0
}

/// What is done to a lake, in turn.
#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Event>),
    Compact { all: bool },
    RollUp { all: bool },
}

fn moments() -> impl Strategy<Value = i64> {
    // Often at midnight, or a microsecond beside it.
    prop_oneof![
        (0_i64..4 * 24).prop_map(|hour| hour * Micros::HOUR),
        (0_i64..5, -1_i64..2).prop_map(|(day, by)| (day * Micros::DAY + by).max(0)),
        0..4 * Micros::DAY
    ]
}

prop_compose! {
    fn event()(
        who in 0..IDENTITIES.len(),
        destination in prop::option::weighted(0.8, 0..DESTINATIONS.len()),
        (credential, parent) in (prop::option::weighted(0.8, 0..3_u8), prop::option::of(0..3_u8)),
        (protocol, action, environment) in (prop::option::of(0..2_u8), prop::option::of(0..2_u8), prop::option::of(0..2_u8)),
        outcome in prop::sample::select(vec![Outcome::Success, Outcome::Success, Outcome::Denied, Outcome::Failure]),
        time in moments(),
        issued in prop::option::of(0_i64..3),
    ) -> Event {
        let text = |letter: &str, number: Option<u8>| number.map(|number| Text::from(format!("{letter}{number}")));
        Event {
            time: Micros(start() + time),
            ingested_at: Micros(start() + time + 7),
            identity: IDENTITIES[who].into(),
            identity_kind: if who == 3 { IdentityKind::Human } else { IdentityKind::Service },
            destination: destination.map(|at| DESTINATIONS[at].into()),
            credential: text("key", credential),
            credential_parent: text("key", parent),
            credential_issued_at: issued.map(|days| Micros(start() - days * Micros::DAY)),
            protocol: text("p", protocol),
            action: text("a", action),
            environment: text("e", environment),
            source_ip: Some("10.0.0.1".into()),
            outcome,
            source: "test".into(),
            format: "keytrail".into(),
            ..Event::default()
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let commit = || prop::collection::vec(event(), 1..60).prop_map(Step::Commit);
    let step = prop_oneof![
        4 => commit(),
        1 => any::<bool>().prop_map(|all| Step::Compact { all }),
        2 => any::<bool>().prop_map(|all| Step::RollUp { all }),
    ];
    (commit(), prop::collection::vec(step, 2..5)).prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect())
}

async fn take(lake: &Lake, step: Step, offset: &mut i64) {
    match step {
        Step::Commit(mut events) => {
            for event in &mut events {
                event.log_offset = *offset;
                event.event_id = EventId::of_provider("test", "", &offset.to_string(), 0);
                *offset += 1;
            }
            lake.commit_events(&events, &[(Topic::Events, 0, *offset)]).await.unwrap();
        }
        Step::Compact { all } => {
            lake.compact(CompactOptions { all, first_bytes_min: 0, fresh_files_min: 2, ..CompactOptions::default() }).await.unwrap();
        }
        Step::RollUp { all } => {
            lake.roll_up(&RollUpOptions { all, files_min: 3, ..RollUpOptions::default() }).await.unwrap();
        }
    }
}

fn questions(from: Option<Micros>, to: Option<Micros>, middle: Option<Micros>) -> Vec<Question> {
    let mut questions = Vec::new();
    for identity in IDENTITIES.map(str::to_owned) {
        questions.push(Question::Touched { identity: identity.clone(), from, to });
        questions.push(Question::Compare { identity: identity.clone(), a_from: from, a_to: middle, b_from: middle, b_to: to });
        questions.push(Question::BlastRadius { of: identity, from, to, hops: Some(3) });
    }
    questions.extend(DESTINATIONS.map(|destination| Question::WhoTouched { destination: destination.to_owned(), from, to }));
    questions.extend((0..3).map(|key| Question::BlastRadius { of: format!("key{key}"), from, to, hops: None }));
    for dimension in ["destination", "credential", "protocol", "action", "environment", "source_ip"] {
        questions.push(Question::FirstSeen { dimension: dimension.to_owned(), from, to });
    }
    questions
}

/// The rows, or what the question says instead.
async fn answer(session: &Session, question: &Question) -> String {
    match session.ask(question).await {
        Ok(batches) => pretty_format_batches(&batches).unwrap().to_string(),
        Err(error) => error.to_string(),
    }
}

async fn total(session: &Session, sql: &str) -> i64 {
    session
        .sql(sql)
        .await
        .unwrap()
        .iter()
        .flat_map(|batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().iter().flatten().collect::<Vec<_>>())
        .sum()
}

async fn sessions(path: &str) -> [Session; 2] {
    // The other reads events, and plans every question.
    let options = |roll_up| Options { threads: 2, roll_up, look_up: roll_up, ..Options::default() };
    [Session::open(path, options(true)).await.unwrap(), Session::open(path, options(false)).await.unwrap()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn the_roll_up_changes_no_answer(steps in steps(), bounds in (prop::option::of(moments()), prop::option::of(moments())), middle in prop::option::of(moments())) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().to_str().unwrap();
            let lake = Lake::open(path, keytrail_lake::Options::default()).await.unwrap();
            let at = |offset: i64| Micros(start() + offset);
            let (from, to) = match bounds {
                (Some(a), Some(b)) => (Some(at(a.min(b))), Some(at(a.max(b)))),
                (from, to) => (from.map(at), to.map(at)),
            };
            // Open sessions, so that what is remembered between questions is tried as well.
            let mut open = None;
            let mut offset = 0;
            for step in steps {
                take(&lake, step, &mut offset).await;
                if open.is_none() {
                    open = Some(sessions(path).await);
                }
                let Some([rolled, plain]) = &open else { unreachable!() };
                for question in questions(from, to, middle.map(at)) {
                    prop_assert_eq!(answer(rolled, &question).await, answer(plain, &question).await, "{:?}", question);
                }
                prop_assert_eq!(total(rolled, "SELECT CAST(sum(count) AS BIGINT) FROM touches").await, offset);
                let grouped = |relation: &str, count: &str, first: &str| {
                    format!("SELECT identity, destination, credential, credential_parent, environment, outcome, day, CAST({count} AS BIGINT) AS n, min({first}) AS first FROM {relation} WHERE destination = 'plc:7' AND outcome <> 'denied' GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7")
                };
                let touches = rolled.sql(&grouped("(SELECT * EXCEPT (day), CAST(day AS DATE) AS day FROM touches)", "sum(count)", "first")).await.unwrap();
                let events = plain.sql(&grouped("events", "count(*)", "time")).await.unwrap();
                prop_assert_eq!(pretty_format_batches(&touches).unwrap().to_string(), pretty_format_batches(&events).unwrap().to_string());
            }
            Ok(())
        })?;
    }
}

/// Three days of events, of which two are rolled up.
async fn rolled_lake(folder: &std::path::Path) -> Lake {
    let lake = Lake::open(folder.to_str().unwrap(), keytrail_lake::Options::default()).await.unwrap();
    let events: Vec<Event> = (0..300)
        .map(|number| {
            let mut event = lake::event(0, "2026-03-01T00:00:00Z", IDENTITIES[number % 2], "key", "a", DESTINATIONS[number % 4], Outcome::Success);
            event.time = Micros(start() + i64::try_from(number).unwrap() * Micros::DAY / 100);
            event.event_id = EventId::of_provider("test", "", &number.to_string(), 0);
            event.log_offset = i64::try_from(number).unwrap();
            event
        })
        .collect();
    lake.commit_events(&events, &[(Topic::Events, 0, 300)]).await.unwrap();
    // Day after day, each into a file of its own.
    for days in [1, 2] {
        let options = RollUpOptions { before_day: Some(Micros(start()).day() + days), ..RollUpOptions::default() };
        assert_eq!(lake.roll_up(&options).await.unwrap().days, 1);
    }
    lake
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|kind| kind == "parquet")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_days_are_read_from_the_roll_up_and_not_from_events() {
    let folder = tempfile::tempdir().unwrap();
    rolled_lake(folder.path()).await;
    // Without the events' files of the days that are rolled up, whole days still have their answer.
    for day in ["2026-03-01", "2026-03-02"] {
        std::fs::remove_dir_all(folder.path().join(format!("events/day={day}"))).unwrap();
    }
    let [rolled, plain] = sessions(folder.path().to_str().unwrap()).await;
    let touched = |from, to| Question::Touched { identity: IDENTITIES[0].to_owned(), from, to };
    let all = rolled.ask(&touched(None, None)).await.unwrap();
    assert_eq!(
        all.iter().flat_map(|batch| batch.column_by_name("count").unwrap().as_primitive::<Int64Type>().iter().flatten().collect::<Vec<_>>()).sum::<i64>(),
        150
    );
    assert!(plain.ask(&touched(None, None)).await.is_err());
    // A period that cuts a day needs that day's events.
    let within = Some(lake::at("2026-03-02T12:00:00Z"));
    assert!(rolled.ask(&touched(within, None)).await.is_err());
    assert!(rolled.ask(&touched(Some(lake::at("2026-03-02T00:00:00Z")), None)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_up_that_cannot_be_read_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    rolled_lake(folder.path()).await;
    let path = folder.path().to_str().unwrap();
    let [_, plain] = sessions(path).await;
    let question = Question::Touched { identity: IDENTITIES[0].to_owned(), from: None, to: None };
    let expected = answer(&plain, &question).await;
    // One file is damaged within, behind a footer that is whole; the other is gone.
    let rolled = files(&folder.path().join("touches"));
    let [first, second] = rolled.as_slice() else { panic!("{rolled:?}") };
    let mut bytes = std::fs::read(first).unwrap();
    let size = bytes.len();
    bytes[4..size / 3].fill(0xff);
    std::fs::write(first, bytes).unwrap();
    let [session, _] = sessions(path).await;
    assert_eq!(answer(&session, &question).await, expected);
    // Questions that are SQL as well.
    let blast = Question::BlastRadius { of: IDENTITIES[0].to_owned(), from: None, to: None, hops: None };
    assert_eq!(answer(&session, &blast).await, answer(&plain, &blast).await);
    std::fs::remove_file(second).unwrap();
    assert_eq!(answer(&session, &question).await, expected);
    let [fresh, _] = sessions(path).await;
    assert_eq!(answer(&fresh, &question).await, expected);
}
