//! Every bound and threshold of the detector, with its default and what happens at the bound.

use keytrail_schemas::{CredentialKind, Micros};

/// The detector's configuration. It is not part of a snapshot: it may change between runs, and applies from then on.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// An event older than the watermark by more than this is late: its facts enter the ledger, rules that need no baseline judge
    /// it, and nothing is learned from it. Seconds.
    pub lateness_allowed_s: i64,
    /// An event this far ahead of the watermark moves it only once `leap_confirmations` others agree: one wrong clock does not
    /// make everything else late. Seconds.
    pub leap_allowed_s: i64,
    /// How many events must agree on a leap.
    pub leap_confirmations: u32,
    /// The ledger.
    pub ledger: LedgerConfig,
    /// The baselines.
    pub baseline: crate::baseline::Config,
    /// Findings and how they fold.
    pub fold: FoldConfig,
    /// Groups that correlation rules keep open at once, over all rules; at the bound the sixteenth that was quiet longest is dropped.
    pub correlation_groups_max: usize,
    /// Events that one group of a correlation rule keeps; at the bound the oldest is dropped.
    pub correlation_events_max: usize,
    /// Declared identities; at the bound further declarations are refused and counted.
    pub declarations_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lateness_allowed_s: 20 * 60,
            leap_allowed_s: 7 * 24 * 3600,
            leap_confirmations: 3,
            ledger: LedgerConfig::default(),
            baseline: crate::baseline::Config::default(),
            fold: FoldConfig::default(),
            correlation_groups_max: 65_536,
            correlation_events_max: 1_024,
            declarations_max: 1_000_000,
        }
    }
}

impl Config {
    /// The lateness allowed, in microseconds.
    #[must_use]
    pub const fn lateness(&self) -> i64 {
        self.lateness_allowed_s.saturating_mul(Micros::SECOND)
    }
}

/// Bounds and policies of the credential ledger.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerConfig {
    /// Credentials remembered; at the bound a sixteenth is forgotten: first those that ended, then short-lived ones, then those
    /// not heard of for longest.
    pub credentials_max: usize,
    /// Identities remembered; at the bound the sixteenth not heard of for longest is forgotten, with its credentials and baseline.
    pub identities_max: usize,
    /// Distinct source networks counted exactly per credential; beyond, the count is a lower bound.
    pub sources_max: usize,
    /// Distinct destinations counted exactly per credential and per identity; beyond, the count is a lower bound.
    pub destinations_max: usize,
    /// A credential that lives no longer than this is short-lived: several at once are normal, and one does not rotate another. Days.
    pub short_lived_days: f64,
    /// A credential that was never seen issued succeeds another only if that one was known for this long before. Days.
    pub succession_min_days: f64,
    /// Oldest age at use, by kind. Days; a kind without an entry has no policy.
    pub age_days_max: std::collections::BTreeMap<String, f64>,
    /// Longest lifetime at issue, by kind. Days; a kind without an entry has no policy.
    pub lifetime_days_max: std::collections::BTreeMap<String, f64>,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        let days = |pairs: &[(CredentialKind, f64)]| pairs.iter().map(|(kind, days)| (kind.as_str().to_owned(), *days)).collect();
        Self {
            credentials_max: 500_000,
            identities_max: 500_000,
            sources_max: 32,
            destinations_max: 256,
            short_lived_days: 3.0,
            succession_min_days: 1.0,
            age_days_max: days(&[
                (CredentialKind::AccessKey, 90.0),
                (CredentialKind::ApiToken, 90.0),
                (CredentialKind::Password, 90.0),
                (CredentialKind::SshKey, 365.0),
                (CredentialKind::X509, 398.0),
                (CredentialKind::Session, 1.5),
                (CredentialKind::OauthToken, 90.0),
                (CredentialKind::Jwt, 90.0),
                (CredentialKind::KerberosTicket, 7.0),
                (CredentialKind::SamlAssertion, 1.0),
            ]),
            lifetime_days_max: days(&[
                (CredentialKind::ApiToken, 366.0),
                (CredentialKind::X509, 398.0),
                (CredentialKind::Session, 1.5),
                (CredentialKind::OauthToken, 90.0),
                (CredentialKind::Jwt, 90.0),
                (CredentialKind::KerberosTicket, 7.0),
                (CredentialKind::SamlAssertion, 1.0),
            ]),
        }
    }
}

/// How findings fold.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FoldConfig {
    /// How long a finding stays open after the last act that it tells of. Seconds.
    pub window_s: i64,
    /// How long signs below the line add up, and the longest that one finding goes on. Seconds.
    pub signs_window_s: i64,
    /// Stories open at once, told or not; at the bound the one that would end first is closed early.
    pub open_max: usize,
    /// Additions after the opening that are each written as a revision; later ones are written at doublings of the count.
    pub revisions_first: i64,
}

impl Default for FoldConfig {
    fn default() -> Self {
        Self { window_s: 24 * 3600, signs_window_s: 7 * 24 * 3600, open_max: 50_000, revisions_first: 8 }
    }
}
