//! The detection: what one rule saw, in one scope, for one cause. A finding is the story that its detections tell.

use crate::{CredentialState, FindingKind, IdentityKind, Micros, Severity, Text};

table! {
    /// One detection. It is written again under the same `detection_id` with a higher `revision` as its evidence grows, or when a finding
    /// takes it up; the highest revision is the detection.
    pub struct Detection = "detections" {
        /// Deterministic id, 32 hex digits: from the rule, the identity, the cause and the event that opened it.
        detection_id: Text,
        /// The finding that tells of it; empty while nothing about the identity is worth reading.
        finding_id: Option<Text>,
        /// 0 when opened, then counting up.
        revision: i64,
        /// The rule's id: the Sigma rule's file stem.
        rule: Text,
        /// One line for a person.
        title: Text,
        /// How much it matters, by the rule.
        severity: Severity,
        /// Where it comes from.
        kind: FindingKind,
        /// The ATT&CK technique, such as `T1098.001`.
        technique: Option<Text>,
        /// The ATT&CK tactic, such as `credential-access`.
        tactic: Option<Text>,
        /// Who.
        identity: Text,
        /// What kind of actor it is.
        identity_kind: IdentityKind,
        /// With which credential.
        credential: Option<Text>,
        /// Age of the credential, in days, at the first event.
        credential_age_days: Option<f64>,
        /// State of the credential at the first event.
        credential_state: CredentialState,
        /// Time of the first event.
        first_event_time: Micros,
        /// Time of the last one.
        last_event_time: Micros,
        /// Ids of its events, oldest first: the first 8 and the latest 8.
        event_ids: Vec<Text>,
        /// How many events there were.
        count: i64,
        /// The provider's own name for what was done, at the first event.
        action: Option<Text>,
        /// What was touched, at the first event.
        destination: Option<Text>,
        /// From which address, at the first event.
        source_ip: Option<Text>,
        /// What was seen, in one sentence.
        reason: String,
        /// Its rank alone, 0 to 100, on the scale of findings.
        score: Option<f64>,
        /// The calibrated probability of as much surprise on normal traffic; absent for facts.
        p_value: Option<f64>,
        /// ATT&CK techniques, OWASP NHI numbers and the rule's other tags.
        tags: Vec<Text>,
        /// Log partition of the event that caused this revision.
        log_partition: i32,
        /// Its offset there.
        log_offset: i64,
    }
}
