//! One credential: its facts, and its state at a given moment. Facts do not depend on the order in which they arrive.

use keytrail_schemas::{CredentialKind, CredentialState, Micros, Text};

use super::{distinct::Distinct, place::Places};
use crate::IdentityIx;

/// What is known of one credential.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Record {
    /// Canonical id.
    pub credential: Text,
    /// The identity that it was first seen with.
    pub identity: IdentityIx,
    /// Its kind.
    pub kind: CredentialKind,
    /// When it was issued, as a record said.
    pub issued_at: Option<Micros>,
    /// When it was last replaced in place (a password change keeps its id).
    pub rotated_at: Option<Micros>,
    /// The earliest time of any event that names it.
    pub first_seen: Micros,
    /// The latest such time.
    pub last_seen: Micros,
    /// When it expires.
    pub expires_at: Option<Micros>,
    /// When it was last renewed or put in force again.
    pub renewed_at: Option<Micros>,
    /// When it was withdrawn.
    pub revoked_at: Option<Micros>,
    /// When an `expire` event ended it.
    pub expired_at: Option<Micros>,
    /// When its successor was issued.
    pub superseded_at: Option<Micros>,
    /// Slot of the successor in the ledger.
    pub successor: Option<u32>,
    /// What it was obtained with.
    pub parent: Option<Text>,
    /// Who issued it.
    pub issuer: Option<Text>,
    /// Length of the chain of parents that was known when it was issued.
    pub depth: u32,
    /// First use.
    pub first_used: Option<Micros>,
    /// Last use.
    pub last_used: Option<Micros>,
    /// Last successful use.
    pub last_success: Option<Micros>,
    /// Longest time between two uses, in microseconds.
    pub longest_gap_us: i64,
    /// Uses.
    pub uses: u64,
    /// Failed or denied ones.
    pub failures: u64,
    /// Source networks.
    pub sources: Distinct,
    /// Destinations.
    pub destinations: Distinct,
    /// Identities that used it.
    pub identities: Distinct,
    /// Where it was used lately.
    pub places: Places,
}

impl Record {
    /// A credential of which nothing but its name is known.
    #[must_use]
    pub fn new(credential: Text, identity: IdentityIx, kind: CredentialKind, time: Micros) -> Self {
        Self {
            credential,
            identity,
            kind,
            issued_at: None,
            rotated_at: None,
            first_seen: time,
            last_seen: time,
            expires_at: None,
            renewed_at: None,
            revoked_at: None,
            expired_at: None,
            superseded_at: None,
            successor: None,
            parent: None,
            issuer: None,
            depth: 0,
            first_used: None,
            last_used: None,
            last_success: None,
            longest_gap_us: 0,
            uses: 0,
            failures: 0,
            sources: Distinct::default(),
            destinations: Distinct::default(),
            identities: Distinct::default(),
            places: Places::default(),
        }
    }

    /// Looks at what an event will ask for: the record itself (`behind` false), then what lies behind it.
    #[inline]
    pub fn touch(&self, behind: bool) -> u64 {
        if behind {
            return u64::from(self.credential.as_bytes().first().copied().unwrap_or_default()) ^ self.places.touch() ^ self.destinations.touch();
        }
        let times = self.first_seen.0
            ^ self.last_seen.0
            ^ self.longest_gap_us
            ^ [self.issued_at, self.expires_at, self.last_used, self.superseded_at, self.revoked_at].into_iter().flatten().fold(0, |all, time| all ^ time.0);
        let lengths = self.sources.len() ^ self.destinations.len() ^ self.identities.len();
        times.unsigned_abs() ^ self.uses ^ u64::from(self.identity.0) ^ u64::from(self.depth) ^ lengths as u64
    }

    /// When its present material came into being, and whether that is exact; otherwise it is at least as old as that.
    #[must_use]
    pub fn born(&self) -> (Micros, bool) {
        match self.rotated_at.max(self.issued_at) {
            Some(time) => (time, true),
            None => (self.first_seen, false),
        }
    }

    /// From birth to expiry, in days.
    #[must_use]
    pub fn lifetime_days(&self) -> Option<f64> {
        let (born, exact) = self.born();
        self.expires_at.filter(|_| exact).map(|expires| expires.days_since(born))
    }

    /// Where it stands at `time`.
    #[must_use]
    pub fn state(&self, time: Micros) -> CredentialState {
        let past = |end: Option<Micros>| end.is_some_and(|end| end < time);
        if past(self.revoked_at) {
            CredentialState::Revoked
        } else if past(self.expires_at) || past(self.expired_at) {
            CredentialState::Expired
        } else if past(self.superseded_at) {
            CredentialState::Superseded
        } else {
            CredentialState::Active
        }
    }

    /// When it ended, if it did before `time`.
    #[must_use]
    pub fn ended(&self, time: Micros) -> Option<Micros> {
        [self.revoked_at, self.expires_at, self.expired_at].into_iter().flatten().filter(|end| *end < time).min()
    }

    /// Withdrawn at `time`, unless it was put in force again later.
    pub fn revoke(&mut self, time: Micros) {
        if self.renewed_at.is_none_or(|renewed| renewed < time) {
            self.revoked_at = Some(self.revoked_at.map_or(time, |known| known.min(time)));
        }
    }

    /// Renewed at `time`: an earlier withdrawal no longer holds.
    pub fn renew(&mut self, time: Micros) {
        self.renewed_at = self.renewed_at.max(Some(time));
        if self.revoked_at.is_some_and(|revoked| revoked <= time) {
            self.revoked_at = None;
        }
    }
}

/// The earlier of what is known and what is said.
pub fn earlier(known: Option<Micros>, said: Option<Micros>) -> Option<Micros> {
    match (known, said) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
