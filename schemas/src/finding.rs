//! The finding: what a person reads, the story of one identity or of one incident, told from its detections.

use crate::{CredentialState, Detection, IdentityKind, Micros, Text};

words! {
    /// How much a finding matters, in the words of Sigma's `level`.
    Severity default Medium {
        /// For the record.
        Informational = "informational",
        /// Look when there is time.
        Low = "low",
        /// Look today.
        Medium = "medium",
        /// Look now.
        High = "high",
        /// Act now.
        Critical = "critical",
    }
}

words! {
    /// Where a finding comes from.
    FindingKind default Policy {
        /// A rule over facts: a revoked credential was used.
        Policy = "policy",
        /// A calibrated surprise against a baseline.
        Statistical = "statistical",
        /// Many identities, one cause.
        Incident = "incident",
        /// Something that should have been heard of was not.
        Absence = "absence",
        /// A lasting condition, such as an over-age key, or what its doer does as a routine: a reason of what is acute, and never a finding alone.
        Posture = "posture",
    }
}

table! {
    /// One finding: the story of one identity, or of one incident of many, for as long as it goes on. Title, rule, credential, action and
    /// destination are those of the detection that leads it, the most severe one. A finding that a detection of another rule or technique
    /// joins, whose severity rises or whose evidence grows is written again under the same `finding_id` with a higher `revision`; the highest
    /// revision is the finding.
    pub struct Finding = "findings" {
        /// Deterministic id, 32 hex digits: from the rule, the identity and the event that began the story.
        finding_id: Text,
        /// 0 when opened, then counting up.
        revision: i64,
        /// The id of the rule that leads: the Sigma rule's file stem.
        rule: Text,
        /// One line for a person.
        title: Text,
        /// How much it matters.
        severity: Severity,
        /// Where it comes from.
        kind: FindingKind,
        /// Who.
        identity: Text,
        /// What kind of actor it is.
        identity_kind: IdentityKind,
        /// With which credential.
        credential: Option<Text>,
        /// Age of the credential, in days, at the first event of the detection that leads.
        credential_age_days: Option<f64>,
        /// Whether that age is exact, or "at least".
        credential_age_is_exact: bool,
        /// State of the credential at that event.
        credential_state: CredentialState,
        /// The credentials or identities that it was obtained with, nearest first.
        credential_lineage: Vec<Text>,
        /// When the finding was first told: the time of the event that caused it.
        time: Micros,
        /// Time of the first event that is evidence.
        first_event_time: Micros,
        /// Time of the last one.
        last_event_time: Micros,
        /// Ids of the events that are evidence, oldest first, at most 64: those of every detection in turn. Each detection has its own.
        event_ids: Vec<Text>,
        /// How many events were folded into the finding.
        count: i64,
        /// What was touched, at the first event of the detection that leads.
        destination: Option<Text>,
        /// The provider's own name for what was done.
        action: Option<Text>,
        /// Over which protocol.
        protocol: Option<Text>,
        /// From which address.
        source_ip: Option<Text>,
        /// Each reason: the observed value, the expected range, and how long that was learned.
        reasons: Vec<Text>,
        /// The rank, 0 to 100, whatever the kind: what to read first. `rank_parts` says how it comes about.
        score: Option<f64>,
        /// The least calibrated probability, among its detections, of as much surprise on normal traffic; absent where facts alone speak.
        p_value: Option<f64>,
        /// ATT&CK techniques, OWASP NHI numbers and the rule's other tags.
        tags: Vec<Text>,
        /// What could not be assessed, and why.
        not_assessable: Vec<Text>,
        /// One paragraph for a person.
        explanation: String,
        /// Ready commands that ask the next questions.
        next_questions: Vec<Text>,
        /// Other identities in the same incident, at most 64.
        members: Vec<Text>,
        /// The features that the rule saw, as a JSON object.
        features: String,
        /// Log partition of the event that caused this revision.
        log_partition: i32,
        /// Its offset there.
        log_offset: i64,
        /// Number of the finding among those of the same event: with partition and offset, its coordinates.
        rule_index: i32,
        /// How the rank comes about: a JSON array of parts, each with its points and the reason. Their sum, kept within 0 and 100, is the rank.
        rank_parts: Option<String>,
        /// The rules of its detections, in the order in which they joined.
        rules: Option<Vec<Text>>,
        /// The ATT&CK tactics of its detections, in order of time.
        tactics: Option<Vec<Text>>,
        /// How many detections it tells of.
        detections_count: Option<i64>,
    } beside {
        /// Its detections, in order of time. They are rows of `detections`; in the topic they travel with the finding.
        detections: Vec<Detection>,
        /// Nobody is to read it: the detections are kept to be searched, and add up. Such a record is no row of `findings`, and is not forwarded.
        below_line: bool,
    }
}

impl Finding {
    /// The coordinates (offset, index) that order findings within a partition.
    #[must_use]
    pub const fn coordinates(&self) -> (i64, i32) {
        (self.log_offset, self.rule_index)
    }
}
