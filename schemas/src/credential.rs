//! The credential as the ledger knows it, published as a table.

use crate::{CredentialKind, CredentialState, Micros, Text};

table! {
    /// Current and past state of one credential.
    pub struct CredentialRecord = "credentials" {
        /// Canonical id, never the secret.
        credential: Text,
        /// Whose it is.
        identity: Text,
        /// What kind of credential it is.
        kind: CredentialKind,
        /// Where it stands in its life, at the watermark.
        state: CredentialState,
        /// When it was issued; when `issued_is_exact` is false, it is at least as old as this.
        issued_at: Option<Micros>,
        /// Whether a record said when it was issued.
        issued_is_exact: bool,
        /// When it expires.
        expires_at: Option<Micros>,
        /// When it was revoked.
        revoked_at: Option<Micros>,
        /// When its successor was issued.
        superseded_at: Option<Micros>,
        /// The credential that followed it.
        successor: Option<Text>,
        /// What it was obtained with.
        parent: Option<Text>,
        /// Who issued it.
        issuer: Option<Text>,
        /// Age in days at the watermark (`as_of`), or at its end if that came first.
        age_days: Option<f64>,
        /// First use seen.
        first_used: Option<Micros>,
        /// Last use seen.
        last_used: Option<Micros>,
        /// Last success seen.
        last_success: Option<Micros>,
        /// Uses seen.
        uses: i64,
        /// Failed or denied uses seen.
        failures: i64,
        /// Distinct source addresses; exact up to the ledger's cap, a lower bound beyond.
        sources: i64,
        /// Distinct destinations; exact up to the ledger's cap, a lower bound beyond.
        destinations: i64,
        /// The log's watermark that the row was computed at.
        as_of: Micros,
        /// The log partition whose detector holds it.
        log_partition: i32,
    }
}
