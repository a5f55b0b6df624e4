//! The event: one flat record per thing that a machine identity did, or that was done to it or to its credential.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::{Activity, CredentialKind, EventId, Hash32, IdentityKind, Micros, Outcome, RecordBatch, Text};

table! {
    /// One event. Names follow OCSF where OCSF has one.
    pub struct Event = "events", lent as EventRow in EventColumns {
        /// 128-bit deterministic id, 32 hex digits.
        event_id: EventId,
        /// When it happened, as the source says.
        time: Micros,
        /// When keytrail read it: set once by ingest and carried in the log.
        ingested_at: Micros,
        /// What happened.
        activity: Activity,
        /// How it ended.
        outcome: Outcome,
        /// The source's code or words for a failure.
        reason: Option<Text>,
        /// Canonical id of who acted, a URN-like path such as `aws:123456789012:role/ci-deploy`.
        identity: Text,
        /// What kind of actor it is.
        identity_kind: IdentityKind,
        /// The identity's provider: aws, k8s, vault, zeek, …
        identity_provider: Text,
        /// The provider's account, tenant or cluster.
        identity_account: Text,
        /// Canonical id of the credential, never the secret.
        credential: Option<Text>,
        /// What kind of credential it is.
        credential_kind: CredentialKind,
        /// When the credential was issued, as the record itself says.
        credential_issued_at: Option<Micros>,
        /// When the credential expires, as the record itself says.
        credential_expires_at: Option<Micros>,
        /// The credential or identity that this credential was obtained with.
        credential_parent: Option<Text>,
        /// Certificate authority, identity provider, token service or auth mount that issued the credential.
        issuer: Option<Text>,
        /// Address that it came from.
        source_ip: Option<Text>,
        /// Host that it came from.
        source_host: Option<Text>,
        /// ISO 3166 country of the source address; empty when not assessable.
        source_country: Option<Text>,
        /// Autonomous system number of the source address; empty when not assessable.
        source_asn: Option<i64>,
        /// The client's own name for itself.
        user_agent: Option<Text>,
        /// Canonical id of what was touched, such as `aws:s3/bucket-a`.
        destination: Option<Text>,
        /// bucket, secret, key, api, host, database, topic, plc, …
        destination_kind: Option<Text>,
        /// The service that the destination belongs to.
        destination_service: Option<Text>,
        /// Declared or mapped zone of the destination: prod, dev, plant-a, …
        environment: Option<Text>,
        /// https, mtls, ssh, kerberos, mqtt, modbus, …
        protocol: Option<Text>,
        /// How the identity authenticated: sigv4, client_secret, approle, federated, password, …
        auth_method: Option<Text>,
        /// The provider's own name for what was done, such as `s3:GetObject`.
        action: Option<Text>,
        /// Session name or id.
        session: Option<Text>,
        /// W3C trace id, where the source has one.
        trace_id: Option<Text>,
        /// The collector's configured name.
        source: Text,
        /// The format that read the record.
        format: Text,
        /// The redacted original record.
        raw: Option<String>,
        /// BLAKE3 of the redacted original record: a leaf of the integrity log.
        raw_hash: Hash32,
        /// The log partition that holds the event.
        log_partition: i32,
        /// Its offset there.
        log_offset: i64,
    }
}

/// An [`Event`] as a format fills it: everything but what ingest itself adds (`event_id`, `ingested_at`, `source`, `raw`,
/// `raw_hash` and the log coordinates, which stay at their defaults).
pub type EventDraft = Event;

impl Event {
    /// Whether the event has a destination.
    #[must_use]
    pub const fn is_touch(&self) -> bool {
        self.destination.is_some()
    }
}

impl EventColumns {
    /// The log offsets of a batch's rows; none where it is not a batch of events.
    #[must_use]
    pub fn offsets(batch: &RecordBatch) -> &[i64] {
        batch.column_by_name("log_offset").and_then(|column| column.as_primitive_opt::<Int64Type>()).map_or(&[], |column| column.values())
    }
}
