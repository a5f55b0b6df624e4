//! The ledger as rows: every credential and every identity, all of them or those that changed.

use keytrail_schemas::{CredentialRecord, IdentityRecord, Micros};

use super::{Identity, Ledger, Record};
use crate::IdentityIx;

impl Ledger {
    /// Every credential, sorted by id, as of `watermark`.
    #[must_use]
    pub fn credentials(&self, watermark: Micros, partition: i32) -> Vec<CredentialRecord> {
        let mut rows: Vec<CredentialRecord> = self.credentials.iter().map(|(_, record)| self.row(record, watermark, partition)).collect();
        rows.sort_unstable_by(|a, b| a.credential.cmp(&b.credential));
        rows
    }

    fn row(&self, record: &Record, watermark: Micros, partition: i32) -> CredentialRecord {
        let (born, exact) = record.born();
        let until = record.ended(watermark).unwrap_or(watermark).max(born);
        CredentialRecord {
            credential: record.credential.clone(),
            identity: self.identities.get(record.identity.0).map(|identity| identity.name.clone()).unwrap_or_default(),
            kind: record.kind,
            state: record.state(watermark),
            issued_at: Some(born),
            issued_is_exact: exact,
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
            superseded_at: record.superseded_at,
            successor: record.successor.and_then(|slot| self.credentials.get(slot)).map(|record| record.credential.clone()),
            parent: record.parent.clone(),
            issuer: record.issuer.clone(),
            age_days: Some(until.days_since(born)),
            first_used: record.first_used,
            last_used: record.last_used,
            last_success: record.last_success,
            uses: i64::try_from(record.uses).unwrap_or(i64::MAX),
            failures: i64::try_from(record.failures).unwrap_or(i64::MAX),
            sources: i64::try_from(record.sources.len()).unwrap_or(i64::MAX),
            destinations: i64::try_from(record.destinations.len()).unwrap_or(i64::MAX),
            as_of: watermark,
            log_partition: partition,
        }
    }

    /// How many credentials and identities there are.
    #[must_use]
    pub fn known(&self) -> (usize, usize) {
        (self.credentials.len(), self.identities.len())
    }

    /// Every identity, sorted by id, as of `watermark`; owner, environment and windows are filled in by the caller.
    #[must_use]
    pub fn identities(&self, watermark: Micros, partition: i32) -> Vec<(IdentityIx, IdentityRecord)> {
        let rows = self.identities.iter().map(|(slot, identity)| (IdentityIx(slot), identity_row(identity, watermark, partition)));
        let mut rows: Vec<(IdentityIx, IdentityRecord)> = rows.collect();
        rows.sort_unstable_by(|a, b| a.1.identity.cmp(&b.1.identity));
        rows
    }

    /// An identity counts as changed, where it is known: what is declared of it did, which the ledger does not hold.
    pub fn note_changed(&mut self, identity: &str) {
        let slot = self.identities.find(identity);
        let _ = slot.and_then(|slot| self.identities.get_mut(slot));
    }

    /// The credentials and identities that may have changed since it was last asked, in no order; the first time none. As
    /// [`credentials`](Self::credentials) and [`identities`](Self::identities) give them.
    pub fn take_changed(&mut self, watermark: Micros, partition: i32) -> (Vec<CredentialRecord>, Vec<(IdentityIx, IdentityRecord)>) {
        let (credentials, identities) = (self.credentials.take_changed(), self.identities.take_changed());
        let credentials = credentials.into_iter().filter_map(|slot| self.credentials.get(slot)).map(|record| self.row(record, watermark, partition));
        let row = |slot| self.identities.get(slot).map(|identity| (IdentityIx(slot), identity_row(identity, watermark, partition)));
        (credentials.collect(), identities.into_iter().filter_map(row).collect())
    }
}

fn identity_row(identity: &Identity, watermark: Micros, partition: i32) -> IdentityRecord {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    IdentityRecord {
        identity: identity.name.clone(),
        kind: identity.kind,
        provider: identity.provider.clone(),
        account: identity.account.clone(),
        credentials: count(identity.credentials),
        destinations: count(identity.destinations.len() as u64),
        events: count(identity.events),
        failures: count(identity.failures),
        first_seen: Some(identity.first_seen),
        last_seen: Some(identity.last_seen),
        findings: count(identity.findings),
        as_of: watermark,
        log_partition: partition,
        ..IdentityRecord::default()
    }
}
