//! The files of `tests/slt`, each on a fresh session over the estate; those of `tests/slt_edge`, each over a lake of its own. `KEYTRAIL_UPDATE_SLT=1` writes their results anew.

use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use keytrail_query::{Error, Session};
use keytrail_schemas::{Event, Outcome, Topic};
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

/// A lake that the store wrote: as it came, or with its days compacted and rolled up.
async fn stored(folder: &Path, events: &[Event], rolled: bool) {
    let lake = keytrail_lake::Lake::open(folder.to_str().unwrap(), keytrail_lake::Options::default()).await.unwrap();
    for partition in [0, 1] {
        let mut own: Vec<Event> = events.iter().filter(|event| event.log_partition == partition).cloned().collect();
        for (offset, event) in (0..).zip(&mut own) {
            event.log_offset = offset;
        }
        if !own.is_empty() {
            let next = i64::try_from(own.len()).unwrap();
            lake.commit_events(&own, &[(Topic::Events, partition, next)]).await.unwrap();
        }
    }
    if rolled {
        lake.compact(keytrail_lake::CompactOptions { all: true, ..Default::default() }).await.unwrap();
        lake.roll_up(&keytrail_lake::RollUpOptions { all: true, ..Default::default() }).await.unwrap();
    }
}

/// The lakes of `tests/slt_edge`, by the file's name.
fn edges() -> Vec<(&'static str, Vec<Event>)> {
    let at = |time: &str| lake::at(time);
    let plain = |who: &str, time: &str, destination: &str| Event {
        time: at(time),
        ingested_at: at(time),
        identity: who.into(),
        destination: Some(destination.into()),
        source: "test".into(),
        format: "keytrail".into(),
        ..Event::default()
    };
    let (before, midnight) = ("2026-03-01T23:59:59.999999Z", "2026-03-02T00:00:00Z");
    let tie = |who: &str, time: &str, destination: &str, outcome, partition, issued: &str| Event {
        outcome,
        log_partition: partition,
        credential: (!issued.is_empty()).then(|| "key".into()),
        credential_issued_at: (!issued.is_empty()).then(|| at(issued)),
        ..plain(who, time, destination)
    };
    let ties = vec![
        tie("app:svc-a", before, "db:one", Outcome::Success, 0, "2026-02-01T00:00:00Z"),
        tie("app:svc-a", midnight, "db:one", Outcome::Success, 0, "2026-02-01T00:00:00Z"),
        tie("app:svc-a", midnight, "db:one", Outcome::Success, 1, "2026-03-01T00:00:00Z"),
        tie("app:svc-a", midnight, "db:one", Outcome::Success, 0, "2026-02-15T00:00:00Z"),
        tie("app:svc-a", midnight, "db:one", Outcome::Denied, 0, "2026-03-01T00:00:00Z"),
        tie("app:svc-a", midnight, "db:two", Outcome::Success, 1, ""),
        tie("app:svc-b", midnight, "db:one", Outcome::Success, 1, ""),
    ];
    let command = |who: &str, time: &str, action: &str| Event { action: Some(action.into()), outcome: Outcome::Success, ..plain(who, time, "s7comm:10.0.0.9") };
    let (master, station) = ("zeek:works:host/10.0.0.5", "zeek:works:host/10.0.0.30");
    let plant = vec![
        command(master, before, "s7comm.read_variable"),
        command(master, midnight, "s7comm.read_variable"),
        command(station, before, "s7comm.request_download"),
        command(station, midnight, "s7comm.plc_stop"),
        command(station, midnight, "s7comm.write_variable"),
        command("app:backup", midnight, "get"),
    ];
    vec![
        ("candidates", sat_there()),
        ("empty", Vec::new()),
        ("one_event", vec![plain("app:o'neill \"x\"", before, "db:one")]),
        ("ties", ties),
        ("plant", plant),
    ]
}

/// An engineering station whose address changes hands at nine: who was seen at it, near its acts and far from them.
fn sat_there() -> Vec<Event> {
    let seen = |who: &str, ip: &str, time: &str, protocol: &str, action: &str| Event {
        time: lake::at(&format!("2026-03-02T{time}Z")),
        identity: who.into(),
        source_ip: Some(ip.into()),
        protocol: Some(protocol.into()),
        action: Some(action.into()),
        outcome: Outcome::Success,
        source: "test".into(),
        format: "zeek".into(),
        ..Event::default()
    };
    let (station, ip) = ("zeek:works:host/10.0.0.30", "10.0.0.30");
    let lease = |time: &str, machine: &str| Event {
        destination: Some(machine.into()),
        source_host: Some("ES-7".into()),
        ..seen(station, ip, time, "dhcp", "dhcp.lease")
    };
    let (weber, klein) = ("kerberos:PLANT:principal/h.weber", "ntlm:PLANT:account/klein");
    let denied = |event: Event| Event { outcome: Outcome::Failure, ..event };
    let mut events = vec![
        lease("06:00:00", "mac:00:1b:1b:00:00:31"),
        lease("07:30:00", "mac:00:1b:1b:00:00:31"),
        lease("09:00:00", "mac:00:1b:1b:00:00:77"),
        // Acts in four spans of a quarter of an hour: 08:00, 08:15, 10:00, 11:45.
        seen(station, ip, "08:07:00", "s7comm", "s7comm.start_upload"),
        seen(station, ip, "08:14:59", "s7comm", "s7comm.write_variable"),
        seen(station, ip, "08:29:00", "s7comm", "s7comm.plc_stop"),
        seen(station, ip, "10:00:00", "s7comm", "s7comm.plc_stop"),
        seen(station, ip, "11:59:59", "s7comm", "s7comm.plc_stop"),
        // Near the first act alone, to the second.
        seen(weber, ip, "07:52:00", "kerberos", "kerberos.AS"),
        seen(weber, ip, "07:51:59", "kerberos", "kerberos.AS"),
        // Near the third and, over the end of the span, the fourth.
        seen(klein, ip, "10:15:00", "ntlm", "ntlm.authenticate"),
        denied(seen(klein, ip, "12:14:59", "ntlm", "ntlm.authenticate")),
        seen(klein, ip, "12:15:00", "ntlm", "ntlm.authenticate"),
        // Elsewhere at that time, too far off, or an address again.
        seen("kerberos:PLANT:principal/elsewhere", "10.0.0.31", "08:07:00", "kerberos", "kerberos.AS"),
        seen("kerberos:PLANT:principal/later", ip, "09:15:00", "kerberos", "kerberos.AS"),
        seen("zeek:other:host/10.0.0.30", ip, "08:07:00", "s7comm", "s7comm.read_variable"),
    ];
    for (number, event) in (0..).zip(&mut events) {
        event.event_id = keytrail_schemas::EventId::of_provider("test", "", &number.to_string(), 0);
        event.ingested_at = event.time;
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_have_the_answers_they_state_from_events_and_from_the_roll_up() {
    let mut failures = Vec::new();
    for (name, events) in edges() {
        for rolled in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            stored(folder.path(), &events, rolled).await;
            let session = Session::open(folder.path().to_str().unwrap(), keytrail_query::Options::default()).await.unwrap();
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/slt_edge/{name}.slt"));
            let open = || async { Ok(Database(session.clone())) };
            if let Err(error) = Runner::new(open).run_file_async(&file).await {
                failures.push(format!("rolled up: {rolled}: {}", error.display(false)));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explained_finding_of_an_address_tells_who_was_seen_there_and_one_of_an_account_does_not() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path(), &sat_there(), false).await;
    let store = keytrail_lake::Lake::open(folder.path().to_str().unwrap(), keytrail_lake::Options::default()).await.unwrap();
    let finding = |id: &str, identity: &str, from: &str, to: &str| keytrail_schemas::Finding {
        finding_id: id.into(),
        identity: identity.into(),
        time: lake::at(from),
        first_event_time: lake::at(from),
        last_event_time: lake::at(to),
        ..keytrail_schemas::Finding::default()
    };
    let (from, to) = ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z");
    let findings = [(0, finding("f1", "zeek:works:host/10.0.0.30", from, to)), (1, finding("f2", "ntlm:PLANT:account/klein", from, to))];
    store.commit_findings(&findings, &[(Topic::Findings, 0, 2)]).await.unwrap();
    let session = Session::open(folder.path().to_str().unwrap(), keytrail_query::Options::default()).await.unwrap();
    let explained = session.explain_finding("f1").await.unwrap();
    let told: Vec<(&str, i64, i64)> = explained.candidates.iter().map(|near| (near.candidate.as_str(), near.together, near.acted)).collect();
    assert_eq!(told, [("mac:00:1b:1b:00:00:77", 1, 1), ("ntlm:PLANT:account/klein", 1, 1)]);
    let text = explained.to_text();
    assert!(text.contains("ntlm:PLANT:account/klein: ntlm, 1 of 1 span, last 2026-03-02T10:15:00Z"), "{text}");
    assert!(text.contains("mac:00:1b:1b:00:00:77: had the address"), "{text}");
    assert!(session.explain_finding("f2").await.unwrap().candidates.is_empty());
}
