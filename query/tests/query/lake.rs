//! Writing a lake with the layout that the store writes, and the made-up estate.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Date32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use deltalake::DeltaTable;
use deltalake::protocol::SaveMode;
use keytrail_query::{Options, Session};
use keytrail_schemas::{
    Activity, CredentialKind, CredentialRecord, CredentialState, DeadLetter, Event, EventId, Finding, FindingKind, IdentityKind, IdentityRecord, Micros,
    Outcome, Reason, Severity, Table, Text,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tempfile::TempDir;

/// A lake in a folder of its own.
pub(crate) struct Lake {
    folder: TempDir,
}

impl Lake {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    pub(crate) async fn session(&self) -> Session {
        self.session_with(Options { threads: 2, ..Options::default() }).await
    }

    pub(crate) async fn session_with(&self, options: Options) -> Session {
        Session::open(self.path(), options).await.unwrap()
    }

    /// Appends events, sorted by (identity, time), one file per day.
    pub(crate) async fn add_events(&self, events: &[Event]) {
        let mut events = events.to_vec();
        events.sort_by(|a, b| (a.time.day(), &a.identity, a.time).cmp(&(b.time.day(), &b.identity, b.time)));
        let batch = with_day(&events);
        write(self.folder.path(), Event::NAME, batch, &["day"], SaveMode::Append, compacted(1 << 20, 8_192)).await;
    }

    pub(crate) async fn add<T: Table>(&self, rows: &[T]) {
        write(self.folder.path(), T::NAME, T::to_batch(rows).unwrap(), &[], SaveMode::Append, WriterProperties::default()).await;
    }

    pub(crate) async fn replace<T: Table>(&self, rows: &[T]) {
        write(self.folder.path(), T::NAME, T::to_batch(rows).unwrap(), &[], SaveMode::Overwrite, WriterProperties::default()).await;
    }
}

/// The events' batch with the partition column.
pub(crate) fn with_day(events: &[Event]) -> RecordBatch {
    let batch = Event::to_batch(events).unwrap();
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("day", DataType::Date32, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(events.iter().map(|event| Some(i32::try_from(event.time.day()).unwrap())).collect::<Date32Array>()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

pub(crate) async fn write(root: &Path, table: &str, batch: RecordBatch, partition: &[&str], mode: SaveMode, properties: WriterProperties) {
    let folder = root.join(table);
    std::fs::create_dir_all(&folder).unwrap();
    let url = url::Url::from_directory_path(&folder).unwrap();
    let table = DeltaTable::try_from_url(url).await.unwrap();
    table.write([batch]).with_save_mode(mode).with_partition_columns(partition.iter().copied()).with_writer_properties(properties).await.unwrap();
}

/// The layout of compacted files.
pub(crate) fn compacted(row_group_rows: usize, page_rows: usize) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_dictionary_enabled(true)
        .set_dictionary_page_size_limit(128 << 10)
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows.min(1_024))
        .set_max_row_group_row_count(Some(row_group_rows));
    for column in ["identity", "time", "credential", "destination", "outcome", "source", "event_id"] {
        properties = properties.set_column_statistics_enabled(ColumnPath::from(column), EnabledStatistics::Page);
    }
    for column in ["time", "ingested_at", "credential_issued_at", "credential_expires_at", "log_offset"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(column), false)
            .set_column_encoding(ColumnPath::from(column), Encoding::DELTA_BINARY_PACKED);
    }
    for column in ["event_id", "raw", "raw_hash"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    for column in ["identity", "credential", "destination"] {
        properties = properties.set_column_bloom_filter_enabled(ColumnPath::from(column), true).set_column_bloom_filter_fpp(ColumnPath::from(column), 0.01);
    }
    properties.build()
}

pub(crate) fn at(text: &str) -> Micros {
    Micros::parse_rfc3339(text).unwrap()
}

fn some(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| Text::from(text))
}

pub(crate) const CI: &str = "aws:111122223333:role/ci-deploy";
pub(crate) const BACKUP: &str = "aws:111122223333:user/backup";
pub(crate) const PAYMENTS: &str = "k8s:prod:sa/payments/api";
pub(crate) const ALICE: &str = "aws:111122223333:user/alice";

/// One event of the estate; `number` becomes its id.
pub(crate) fn event(number: u8, time: &str, identity: &str, credential: &str, action: &str, destination: &str, outcome: Outcome) -> Event {
    let mut id = [0_u8; 16];
    id[15] = number;
    let (provider, account) = identity.split_once(':').map(|(provider, rest)| (provider, rest.split(':').next().unwrap())).unwrap();
    Event {
        event_id: EventId(id),
        time: at(time),
        ingested_at: Micros(at(time).0 + 2 * Micros::SECOND),
        activity: if action.ends_with("AssumeRole") { Activity::Issue } else { Activity::Use },
        outcome,
        reason: (outcome != Outcome::Success).then(|| Text::from("AccessDenied")),
        identity: Text::from(identity),
        identity_kind: if identity == ALICE { IdentityKind::Human } else { IdentityKind::Workload },
        identity_provider: Text::from(provider),
        identity_account: Text::from(account),
        credential: some(credential),
        credential_kind: if credential.starts_with("AKIA") { CredentialKind::AccessKey } else { CredentialKind::Session },
        destination: some(destination),
        environment: destination.contains("prod").then(|| Text::from("prod")),
        protocol: Some(Text::from(if provider == "k8s" { "mtls" } else { "https" })),
        action: some(action),
        source_ip: Some(Text::from("198.51.100.7")),
        source: Text::from(if provider == "k8s" { "k8s-prod" } else { "cloudtrail" }),
        format: Text::from(if provider == "k8s" { "k8s_audit" } else { "cloudtrail" }),
        ..Event::default()
    }
}

/// Five days of five identities: a key that is rotated and its old one used after, a role session obtained with the new
/// key, a workload that is refused, and a person.
pub(crate) fn estate() -> Vec<Event> {
    let ok = Outcome::Success;
    let issued = |mut event: Event, issued: &str, parent: &str| {
        event.credential_issued_at = Some(at(issued));
        event.credential_parent = some(parent);
        event
    };
    vec![
        event(1, "2026-03-01T02:00:00Z", BACKUP, "AKIAOLD", "s3:PutObject", "aws:s3/backups", ok),
        event(2, "2026-03-02T02:00:00Z", BACKUP, "AKIAOLD", "s3:PutObject", "aws:s3/backups", ok),
        event(3, "2026-03-03T02:00:00Z", BACKUP, "AKIANEW", "s3:PutObject", "aws:s3/backups", ok),
        event(4, "2026-03-03T02:00:01.000001Z", BACKUP, "AKIANEW", "s3:PutObject", "aws:s3/backups", ok),
        event(5, "2026-03-04T13:00:00Z", BACKUP, "AKIAOLD", "s3:GetObject", "aws:s3/payroll-prod", ok),
        event(6, "2026-03-04T13:00:05Z", BACKUP, "AKIAOLD", "s3:GetObject", "aws:s3/payroll-prod", Outcome::Denied),
        event(7, "2026-03-04T13:10:00Z", CI, "ASIA1", "sts:AssumeRole", "", ok),
        issued(event(8, "2026-03-04T13:20:00Z", CI, "ASIA1", "s3:GetObject", "aws:s3/artifacts", ok), "2026-03-04T13:10:00Z", "AKIANEW"),
        issued(event(9, "2026-03-04T13:30:00Z", CI, "ASIA1", "ssm:PutParameter", "aws:ssm/prod/config", ok), "2026-03-04T13:10:00Z", "AKIANEW"),
        event(10, "2026-03-02T09:00:00Z", PAYMENTS, "jti-1", "get", "k8s:prod:secrets/payments", ok),
        event(11, "2026-03-05T09:00:00Z", PAYMENTS, "jti-2", "get", "k8s:prod:secrets/payments", ok),
        event(12, "2026-03-05T09:00:30Z", PAYMENTS, "jti-2", "list", "k8s:prod:secrets/kube-system", Outcome::Denied),
        event(13, "2026-03-05T09:05:00Z", ALICE, "ASIA2", "s3:GetObject", "aws:s3/payroll-prod", ok),
        event(14, "2026-03-05T09:30:00Z", PAYMENTS, "", "get", "k8s:prod:secrets/payments", ok),
    ]
}

fn credential(credential: &str, identity: &str, kind: CredentialKind, state: CredentialState, issued: &str, exact: bool) -> CredentialRecord {
    let as_of = at("2026-03-05T09:30:00Z");
    CredentialRecord {
        credential: Text::from(credential),
        identity: Text::from(identity),
        kind,
        state,
        issued_at: Some(at(issued)),
        issued_is_exact: exact,
        age_days: Some(as_of.days_since(at(issued))),
        as_of,
        ..CredentialRecord::default()
    }
}

pub(crate) fn ledger() -> Vec<CredentialRecord> {
    let mut old = credential("AKIAOLD", BACKUP, CredentialKind::AccessKey, CredentialState::Superseded, "2025-03-01T02:00:00Z", false);
    old.superseded_at = Some(at("2026-02-25T00:00:00Z"));
    old.successor = Some(Text::from("AKIANEW"));
    old.last_used = Some(at("2026-03-04T13:00:05Z"));
    old.first_used = Some(at("2026-03-01T02:00:00Z"));
    (old.uses, old.failures, old.sources, old.destinations) = (4, 1, 1, 2);
    let mut new = credential("AKIANEW", BACKUP, CredentialKind::AccessKey, CredentialState::Active, "2026-02-25T00:00:00Z", true);
    new.last_used = Some(at("2026-03-03T02:00:01.000001Z"));
    new.uses = 2;
    let mut session = credential("ASIA1", CI, CredentialKind::Session, CredentialState::Active, "2026-03-04T13:10:00Z", true);
    session.parent = Some(Text::from("AKIANEW"));
    session.expires_at = Some(at("2026-03-05T01:10:00Z"));
    session.state = CredentialState::Expired;
    session.last_used = Some(at("2026-03-04T13:30:00Z"));
    let token = credential("jti-2", PAYMENTS, CredentialKind::Jwt, CredentialState::Active, "2026-03-05T08:00:00Z", true);
    let person = credential("ASIA2", ALICE, CredentialKind::Session, CredentialState::Active, "2026-03-05T09:00:00Z", true);
    vec![old, new, session, token, person]
}

pub(crate) fn inventory() -> Vec<IdentityRecord> {
    let one = |identity: &str, kind, provider: &str, account: &str, last: &str| IdentityRecord {
        identity: Text::from(identity),
        kind,
        provider: Text::from(provider),
        account: Text::from(account),
        credentials: 1,
        destinations: 2,
        first_seen: Some(at("2026-03-01T02:00:00Z")),
        last_seen: Some(at(last)),
        as_of: at("2026-03-05T09:30:00Z"),
        ..IdentityRecord::default()
    };
    let mut backup = one(BACKUP, IdentityKind::Service, "aws", "111122223333", "2026-03-04T13:00:05Z");
    backup.owner = Some(Text::from("storage team"));
    (backup.credentials, backup.findings, backup.events) = (2, 1, 6);
    vec![
        backup,
        one(CI, IdentityKind::Workload, "aws", "111122223333", "2026-03-04T13:30:00Z"),
        one(PAYMENTS, IdentityKind::Workload, "k8s", "prod", "2026-03-05T09:30:00Z"),
        one(ALICE, IdentityKind::Human, "aws", "111122223333", "2026-03-05T09:05:00Z"),
    ]
}

pub(crate) const OLD_KEY: &str = "0a1b0000000000000000000000000001";
pub(crate) const REFUSED: &str = "0a1b0000000000000000000000000002";

pub(crate) fn findings() -> Vec<Finding> {
    let opened = Finding {
        finding_id: Text::from(OLD_KEY),
        rule: Text::from("old_key_after_rotation"),
        title: Text::from("Old key used after rotation"),
        severity: Severity::High,
        kind: FindingKind::Policy,
        identity: Text::from(BACKUP),
        identity_kind: IdentityKind::Service,
        credential: Some(Text::from("AKIAOLD")),
        credential_age_days: Some(368.458),
        credential_state: CredentialState::Superseded,
        time: at("2026-03-04T13:00:00Z"),
        first_event_time: at("2026-03-04T13:00:00Z"),
        last_event_time: at("2026-03-04T13:00:00Z"),
        event_ids: vec![Text::from("00000000000000000000000000000005")],
        count: 1,
        destination: Some(Text::from("aws:s3/payroll-prod")),
        action: Some(Text::from("s3:GetObject")),
        protocol: Some(Text::from("https")),
        source_ip: Some(Text::from("198.51.100.7")),
        reasons: vec![Text::from("used 181 h after its successor AKIANEW was issued; allowed 24 h")],
        tags: vec![Text::from("attack.t1078.004"), Text::from("NHI1:2025")],
        not_assessable: vec![Text::from("country of the source address: no database")],
        explanation: "The key AKIAOLD was used 7.5 days after AKIANEW replaced it, on a destination that the identity had never touched.".to_owned(),
        next_questions: vec![Text::from("keytrail timeline aws:111122223333:user/backup --since 2026-03-04T12:00:00Z"), Text::from("keytrail lineage AKIAOLD")],
        features: "{\"credential.overlap_hours\":181.0}".to_owned(),
        ..Finding::default()
    };
    let mut grown = opened.clone();
    grown.revision = 1;
    grown.count = 2;
    grown.last_event_time = at("2026-03-04T13:00:05Z");
    grown.event_ids.push(Text::from("00000000000000000000000000000006"));
    grown.log_offset = 6;
    let refused = Finding {
        finding_id: Text::from(REFUSED),
        rule: Text::from("new_destination"),
        title: Text::from("Refused at a destination never touched before"),
        severity: Severity::Low,
        kind: FindingKind::Statistical,
        identity: Text::from(PAYMENTS),
        identity_kind: IdentityKind::Workload,
        time: at("2026-03-05T09:00:30Z"),
        first_event_time: at("2026-03-05T09:00:30Z"),
        last_event_time: at("2026-03-05T09:00:30Z"),
        event_ids: vec![Text::from("0000000000000000000000000000000c")],
        count: 1,
        source_ip: Some(Text::from("198.51.100.7")),
        score: Some(4.2),
        p_value: Some(0.000_06),
        features: "{}".to_owned(),
        ..Finding::default()
    };
    vec![opened, grown, refused]
}

pub(crate) fn dead_letters() -> Vec<DeadLetter> {
    let one = |id: &str, source: &str, reason| DeadLetter {
        dead_letter_id: Text::from(id),
        ingested_at: at("2026-03-05T10:00:00Z"),
        source: Text::from(source),
        reason,
        message: "x".to_owned(),
        ..DeadLetter::default()
    };
    vec![one("1", "cloudtrail", Reason::NoTime), one("2", "cloudtrail", Reason::NoTime), one("3", "mosquitto", Reason::Malformed)]
}

/// The estate, written.
pub(crate) async fn written_estate() -> Lake {
    let lake = Lake::new();
    lake.add_events(&estate()).await;
    lake.replace(&ledger()).await;
    lake.replace(&inventory()).await;
    lake.add(&findings()).await;
    lake.add(&dead_letters()).await;
    lake
}
