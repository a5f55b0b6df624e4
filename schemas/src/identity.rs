//! The identity as the ledger knows it, published as a table.

use crate::{IdentityKind, Micros, Text};

table! {
    /// One identity as seen.
    pub struct IdentityRecord = "identities" {
        /// Canonical id.
        identity: Text,
        /// What kind of actor it is.
        kind: IdentityKind,
        /// Its provider.
        provider: Text,
        /// Its account, tenant or cluster.
        account: Text,
        /// Its declared owner.
        owner: Option<Text>,
        /// Its declared environment.
        environment: Option<Text>,
        /// Distinct credentials seen.
        credentials: i64,
        /// Distinct destinations seen; exact up to the ledger's cap, a lower bound beyond.
        destinations: i64,
        /// Events seen.
        events: i64,
        /// Failed or denied events seen.
        failures: i64,
        /// First event seen.
        first_seen: Option<Micros>,
        /// Last event seen.
        last_seen: Option<Micros>,
        /// Findings opened.
        findings: i64,
        /// Windows (identity × hour) learned: how mature its baseline is.
        windows: i64,
        /// The log's watermark that the row was computed at.
        as_of: Micros,
        /// The log partition whose detector holds it.
        log_partition: i32,
    }
}
