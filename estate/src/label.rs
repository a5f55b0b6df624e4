//! What really happened: the labels that findings are scored against, and the benign commotion that looks like it.

use crate::clock::Micros;
use serde::{Deserialize, Serialize};

/// One attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Its kind: `stolen_key`, `old_key_after_rotation`, …
    pub attack: String,
    /// How it was done this time.
    pub variant: String,
    /// ATT&CK technique.
    pub technique: String,
    /// Canonical id of the identity that was abused.
    pub identity: String,
    /// Other identities that it went through, or by which a log may name the same actor (its address, where there is no name).
    pub also: Vec<String>,
    /// The credential, as the log shows it.
    pub credential: Option<String>,
    /// Time of the first record.
    pub start: Micros,
    /// Time of the last record.
    pub end: Micros,
    /// The provider's own ids of the records: `CloudTrail` eventID, Kubernetes auditID, Vault request id, Zeek uid.
    pub provider_event_ids: Vec<String>,
    /// For a person.
    pub description: String,
}

/// Something benign that looks suspicious.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decoy {
    /// Its kind: `outage`, `failover_drill`, `launch`, `move`, `rotation`, `rollout`, `maintenance`, …
    pub what: String,
    /// Whom it concerns; empty for everyone.
    pub identities: Vec<String>,
    /// When it began.
    pub start: Micros,
    /// When it was over.
    pub end: Micros,
    /// For a person.
    pub description: String,
}
