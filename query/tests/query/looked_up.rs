//! Names that are looked up have the answers that a plan gives.

use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use keytrail_lake::{CompactOptions, RollUpOptions};
use keytrail_query::{LiveLedger, Options, Question, Session};
use keytrail_schemas::{CredentialKind, CredentialRecord, Event, EventId, Finding, IdentityKind, IdentityRecord, Micros, Outcome, Severity, Topic};

use crate::lake::{self, at, event};

const VAULT: &str = "vault:works:kubernetes-prod/payments/api";
const DEPLOY: &str = "aws:111122223333:role/deploy";
const DEPLOY_IN_VAULT: &str = "vault:works:aws/arn:aws:sts::111122223333:assumed-role/deploy";
const NOBODY: &str = "aws:111122223333:role/nobody";

/// Six days: machines under one name and under two, a person, credentials whose time of issue records say, the ledger says, or nobody.
fn events() -> Vec<Event> {
    let identities = [lake::BACKUP, lake::PAYMENTS, VAULT, DEPLOY, DEPLOY_IN_VAULT, lake::ALICE];
    let destinations = ["aws:s3/backups", "aws:s3/prod", "", "k8s:prod:secrets/payments", "aws:s3/\u{e9}t\u{e9}"];
    let mut all = Vec::new();
    for number in 0..600_usize {
        let (identity, destination) = (identities[number % 6], destinations[(number / 6) % 5]);
        let outcome = if number % 11 == 0 { Outcome::Denied } else { Outcome::Success };
        let credential = if number % 7 == 0 { String::new() } else { format!("key-{}", number % 13) };
        let mut one = event(0, "2026-03-01T00:00:00Z", identity, &credential, ["get", "put"][number % 2], destination, outcome);
        one.time = Micros(one.time.0 + i64::try_from(number).unwrap() * 6 * Micros::DAY / 600);
        one.identity_kind = if identity == lake::ALICE { IdentityKind::Human } else { IdentityKind::Workload };
        one.credential_parent = (number % 13 == 12).then(|| if number.is_multiple_of(2) { "key-9" } else { lake::ALICE }.into());
        one.credential_issued_at = (number % 13 == 3).then(|| Micros(one.time.0 - Micros::DAY));
        one.event_id = EventId::of_provider("test", "", &number.to_string(), 0);
        one.log_offset = i64::try_from(number).unwrap();
        all.push(one);
    }
    all
}

fn ledger(names: std::ops::Range<usize>, issued: &str, exact: bool) -> Vec<CredentialRecord> {
    let one = |number: usize| CredentialRecord {
        credential: format!("key-{number}").into(),
        identity: lake::BACKUP.into(),
        kind: CredentialKind::AccessKey,
        issued_at: Some(at(issued)),
        issued_is_exact: exact,
        // Obtained with another key, or with an identity's name, and last used before it expires, or nobody knows when.
        parent: [Some("key-0"), None, Some("key-1"), Some(lake::PAYMENTS), Some("key-3")][number % 5].filter(|_| number > 0).map(Into::into),
        last_used: (number % 4 == 2).then(|| at("2026-03-02T12:00:00Z")),
        superseded_at: (number.is_multiple_of(3)).then(|| at("2026-03-02T03:00:00Z")),
        successor: (number.is_multiple_of(6)).then(|| "key-next".into()),
        // At the moment of one of its events, which says it already.
        revoked_at: (number == 5).then(|| events()[18].time),
        expires_at: Some(at(if number.is_multiple_of(2) { "2026-03-05T00:00:00Z" } else { "2026-04-05T00:00:00Z" })),
        as_of: at("2026-03-07T00:00:00Z"),
        log_partition: i32::try_from(number % 2).unwrap(),
        ..CredentialRecord::default()
    };
    names.map(one).collect()
}

fn inventory(names: &[&str]) -> Vec<IdentityRecord> {
    let one = |name: &&str| IdentityRecord {
        identity: (*name).into(),
        provider: name.split(':').next().unwrap().into(),
        kind: IdentityKind::Workload,
        as_of: at("2026-03-07T00:00:00Z"),
        ..IdentityRecord::default()
    };
    let mut all: Vec<_> = names.iter().map(one).collect();
    all.sort_by(|a, b| a.identity.cmp(&b.identity));
    all
}

/// A finding about the event of that number; two whose members change, one of which a later revision gives to another.
fn finding(id: &str, revision: i64, who: &str, members: &[&str], evidence: &[usize], time: usize) -> Finding {
    let at = events()[time].time;
    Finding {
        finding_id: id.into(),
        revision,
        rule: "new-destination".into(),
        title: format!("{who} did it, told {revision} times").into(),
        severity: Severity::High,
        identity: who.into(),
        credential: (revision > 0).then(|| "key-3".into()),
        time: at,
        first_event_time: at,
        last_event_time: at,
        event_ids: evidence.iter().map(|number| events()[*number].event_id.to_string().into()).collect(),
        members: members.iter().map(|member| (*member).into()).collect(),
        destination: Some("aws:s3/prod".into()),
        log_offset: i64::try_from(time).unwrap() + revision,
        ..Finding::default()
    }
}

/// Some identities and destinations, over whole history, whole days, days that are cut, and moments.
fn questions() -> Vec<Question> {
    let periods = [
        (None, None),
        (Some("2026-03-02T00:00:00Z"), None),
        (Some("2026-03-02T07:00:00Z"), Some("2026-03-04T12:34:56Z")),
        (Some("2026-03-06T12:00:00Z"), None),
    ];
    let mut questions = Vec::new();
    for (from, to) in periods.map(|(from, to)| (from.map(at), to.map(at))) {
        for identity in [lake::BACKUP, lake::PAYMENTS, VAULT, DEPLOY, DEPLOY_IN_VAULT, lake::ALICE, NOBODY, "deploy", "alic"].map(str::to_owned) {
            questions.push(Question::Touched { identity: identity.clone(), from, to });
            questions.push(Question::Timeline { identity: identity.clone(), from, to });
            questions.push(Question::BlastRadius { of: identity, from, to, hops: None });
        }
        questions.extend(["key-0", "key-12"].map(|key| Question::BlastRadius { of: key.to_owned(), from, to, hops: Some(4) }));
        for destination in ["aws:s3/backups", "k8s:prod:secrets/payments", "aws:s3/\u{e9}t\u{e9}", "backups", "s3"].map(str::to_owned) {
            questions.push(Question::WhoTouched { destination, from, to });
        }
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

/// Asks all ways, twice: the second time what was looked up is in memory.
async fn compare(looked_up: [&Session; 2], planned: &Session, when: &str) {
    let mut with_rows = 0;
    for question in questions() {
        let expected = answer(planned, &question).await;
        for (way, session) in ["by rows", "by files"].into_iter().zip(looked_up) {
            for time in ["read", "from memory"] {
                assert_eq!(answer(session, &question).await, expected, "{when}, {way}, {time}: {question:?}");
            }
        }
        with_rows += usize::from(expected.lines().count() > 4);
    }
    assert!(with_rows > 40, "{when}: {with_rows}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_looked_up_has_the_answer_of_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let store = keytrail_lake::Lake::open(path, keytrail_lake::Options::default()).await.unwrap();
    let events = events();
    for (number, batch) in events.chunks(75).enumerate() {
        store.commit_events(batch, &[(Topic::Events, 0, i64::try_from(number * 75 + batch.len()).unwrap())]).await.unwrap();
    }
    for partition in [0, 1] {
        let credentials: Vec<_> = ledger(0..8, "2026-01-01T00:00:00Z", false).into_iter().filter(|row| row.log_partition == partition).collect();
        let identities = inventory(if partition == 0 { &[lake::BACKUP, lake::PAYMENTS, VAULT, DEPLOY] } else { &[lake::ALICE] });
        store.replace_ledger(partition, &credentials, &identities).await.unwrap();
    }
    let [a, b, c, d, e] = [
        finding("a", 0, lake::BACKUP, &[lake::ALICE, VAULT], &[0, 6, 12], 12),
        // Alice is a member no more, and the deployer is one now.
        finding("a", 1, lake::BACKUP, &[VAULT, DEPLOY], &[0, 6, 18], 12),
        finding("b", 0, lake::PAYMENTS, &[], &[1, 7], 7),
        // It was about another.
        finding("b", 1, DEPLOY, &[], &[3, 9], 9),
        finding("c", 0, lake::ALICE, &[lake::ALICE, NOBODY], &[5], 5),
    ];
    for (number, findings) in [vec![a, b, c.clone()], vec![d], vec![e, c]].into_iter().enumerate() {
        let number = i64::try_from(number).unwrap();
        let findings: Vec<_> = findings.into_iter().enumerate().map(|(at, finding)| (number * 10 + i64::try_from(at).unwrap(), finding)).collect();
        store.commit_findings(&findings, &[(Topic::Findings, 0, (number + 1) * 10)]).await.unwrap();
    }
    let open_with = |options: Options, live: Option<Arc<LiveLedger>>| async move {
        let session = Session::open(path, Options { threads: 2, ..options }).await.unwrap();
        live.map_or(session.clone(), |live| session.with_live(&live))
    };
    let open = |look_up, live| open_with(Options { look_up, ..Options::default() }, live);
    // One that remembers no rows of a name, so that files which were read whole answer all that they can.
    let by_files = |live| open_with(Options { rows_cache_bytes_max: 0, ..Options::default() }, live);
    let live = Arc::new(LiveLedger::default());
    let [looked_up, planned, whole] = [open(true, None).await, open(false, None).await, by_files(None).await];
    let whole_live = by_files(Some(live.clone())).await;
    let [looked_up_live, planned_live] = [open(true, Some(live.clone())).await, open(false, Some(live.clone())).await];
    compare([&looked_up, &whole], &planned, "events alone").await;
    store.compact(CompactOptions { first_bytes_min: 0, fresh_files_min: 2, ..CompactOptions::default() }).await.unwrap();
    store.roll_up(&RollUpOptions { files_min: 3, ..RollUpOptions::default() }).await.unwrap();
    compare([&looked_up, &whole], &planned, "compacted and rolled up").await;

    // Newer than the lake: a time of issue, a credential that was unknown, and a second name of a machine.
    compare([&looked_up_live, &whole_live], &planned, "nothing is newer").await;
    live.put(0, ledger(4..10, "2026-02-01T00:00:00Z", true), inventory(&[DEPLOY_IN_VAULT]));
    live.told(vec![finding("b", 2, lake::BACKUP, &[NOBODY], &[2], 9), finding("e", 0, NOBODY, &[VAULT], &[8], 20)]);
    compare([&looked_up_live, &whole_live], &planned_live, "with what is newer").await;
    let touched = Question::Touched { identity: DEPLOY.to_owned(), from: None, to: None };
    let (with, without) = (answer(&looked_up_live, &touched).await, answer(&looked_up, &touched).await);
    assert!(with.contains(DEPLOY_IN_VAULT) && !without.contains(DEPLOY_IN_VAULT), "the machine has a name more");

    // A late event voids its day in the roll-up, and is seen at once.
    let mut late = event(1, "2026-03-03T01:30:00Z", DEPLOY, "key-late", "late", "aws:s3/late", Outcome::Success);
    late.log_offset = 600;
    store.commit_events(&[late], &[(Topic::Events, 0, 601)]).await.unwrap();
    compare([&looked_up_live, &whole_live], &planned_live, "after a late event").await;
    assert!(answer(&looked_up, &touched).await.contains("aws:s3/late"));
}
