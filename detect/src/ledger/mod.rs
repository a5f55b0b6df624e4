//! The credential ledger: one record per credential and one per identity, and what they say of an event at the moment of use.
//!
//! Facts (issued, expires, revoked, first and last use, …) do not depend on the order in which events arrive, so late events feed
//! them too. What is normal is not judged here.

mod account;
mod ahead;
pub mod distinct;
pub mod identity;
pub(crate) mod kept;
mod place;
mod record;
mod rows;
mod slab;
pub mod strength;
mod watch;

use keytrail_schemas::{Activity, CredentialKind, CredentialState, Event, IdentityKind, Micros, Outcome, Text};
use rustc_hash::FxHashMap;

use self::distinct::hash_of;
use self::{
    account::Account,
    identity::{ratio, refused},
    record::earlier,
    slab::{Named, Slab},
};
pub use self::{ahead::Likely, identity::Identity, record::Record};
use crate::{IdentityIx, config::LedgerConfig};

/// Links of a chain of parents that are followed.
pub const CHAIN_MAX: usize = 8;
/// Accounts whose age is remembered; at the bound a further one has no age.
const ACCOUNTS_MAX: usize = 65_536;

impl Named for Record {
    fn name(&self) -> &Text {
        &self.credential
    }
}

impl Named for Identity {
    fn name(&self) -> &Text {
        &self.name
    }
}

/// The limits that a declaration sets for one identity's credentials, in days.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Oldest age at use.
    pub age_days_max: Option<f64>,
    /// Longest lifetime at issue.
    pub lifetime_days_max: Option<f64>,
}

/// `credential.*`: the ledger's answer at one event. Times in days, hours or minutes as the names say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Features {
    /// The credential's number in the ledger, if the event names one.
    pub slot: Option<u32>,
    /// Age at the event.
    pub age_days: Option<f64>,
    /// Whether that is exact, or "at least".
    pub age_is_exact: bool,
    /// From issue to expiry.
    pub lifetime_days: Option<f64>,
    /// The lifetime is longer than its kind or the declaration allows.
    pub lifetime_over_policy: bool,
    /// Until expiry; negative past it.
    pub remaining_days: Option<f64>,
    /// Since the last use before this one.
    pub idle_days: Option<f64>,
    /// That time, divided by the longest one before.
    pub idle_vs_longest: Option<f64>,
    /// Where it stands.
    pub state: CredentialState,
    /// Since its successor was issued.
    pub overlap_hours: Option<f64>,
    /// Its successor is in use.
    pub successor_used: bool,
    /// Older than its kind or the declaration allows.
    pub age_over_policy: bool,
    /// Age divided by the median of the identity's own rotation interval.
    pub age_vs_cadence: Option<f64>,
    /// Rotations known of the identity and kind.
    pub rotations: u32,
    /// Source networks within 24 hours.
    pub distinct_sources_24h: u32,
    /// Source networks in use at once.
    pub concurrent_sources: u32,
    /// Countries in use at once.
    pub concurrent_countries: u32,
    /// From issue to this, its first, use.
    pub issued_then_used_minutes: Option<f64>,
    /// Never used before.
    pub first_use: bool,
    /// Since it was withdrawn.
    pub revoked_minutes: Option<f64>,
    /// Since it expired.
    pub expired_hours: Option<f64>,
    /// Length of its chain of parents.
    pub chain_depth: u32,
    /// It was obtained with something that this identity's sessions never were before.
    pub parent_is_new: bool,
    /// Sessions of the identity seen issued before.
    pub parents_seen: u32,
    /// Identities that used it.
    pub identities: u32,
    /// Uses so far, this one included.
    pub uses: u64,
}

/// What the ledger says of one event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// The identity's number.
    pub who: IdentityIx,
    /// `credential.*`.
    pub credential: Features,
    /// `identity.*`.
    pub identity: identity::Features,
    /// Days since the identity's account was first seen.
    pub account_age_days: f64,
    /// Days that the partition was watched before this one.
    pub watched_days: u32,
}

/// The ledger of one partition.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    credentials: Slab<Record>,
    identities: Slab<Identity>,
    accounts: FxHashMap<u64, Account>,
    watch: watch::Watch,
    policy: Policy,
}

/// The configuration, with the limits by kind.
#[derive(Debug, Clone, Default)]
struct Policy {
    config: LedgerConfig,
    age_days_max: Vec<Option<f64>>,
    lifetime_days_max: Vec<Option<f64>>,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(config: LedgerConfig) -> Self {
        let mut ledger = Self::default();
        ledger.configure(config);
        ledger
    }

    /// Sets the configuration, which no snapshot holds.
    pub fn configure(&mut self, config: LedgerConfig) {
        let by_kind = |days: &std::collections::BTreeMap<String, f64>| CredentialKind::ALL.iter().map(|kind| days.get(kind.as_str()).copied()).collect();
        self.policy = Policy { age_days_max: by_kind(&config.age_days_max), lifetime_days_max: by_kind(&config.lifetime_days_max), config };
    }

    /// The number of the event's identity, and the numbers of those that were forgotten to make room. `likely` is held against the names.
    pub fn identify(&mut self, event: &Event, likely: Likely, forgotten: &mut Vec<IdentityIx>) -> IdentityIx {
        if let Some(slot) = self.identities.find_likely(&event.identity, likely.identity) {
            return IdentityIx(slot);
        }
        if self.identities.len() >= self.policy.config.identities_max {
            let least = self.identities.least(|identity| identity.last_seen);
            self.identities.remove(&least);
            let orphans: Vec<u32> =
                self.credentials.iter().filter(|(_, record)| self.identities.get(record.identity.0).is_none()).map(|(slot, _)| slot).collect();
            self.forget_credentials(&orphans);
            forgotten.extend(least.into_iter().map(IdentityIx));
        }
        let (account_since, newcomers) = self.account(event);
        IdentityIx(self.identities.insert(Identity::new(event, account_since, newcomers)))
    }

    /// Takes an event of `who`. What lies beyond the `watermark` is no day that has come.
    pub fn observe(&mut self, who: IdentityIx, event: &Event, likely: Likely, limits: Limits, watermark: Micros) -> Observed {
        let destination = event.destination.as_ref().map(|destination| hash_of(destination.as_str()));
        let identity =
            self.identities.get_mut(who.0).map(|identity| identity.observe(event, destination, self.policy.config.destinations_max)).unwrap_or_default();
        let credential = match &event.credential {
            Some(name) => {
                let slot = self.record(name, likely.credential, who, event);
                self.facts(slot, who, event);
                self.features(slot, who, event, limits, destination)
            }
            None => self.features_without_record(event, limits),
        };
        let account_age_days = self.identities.get(who.0).map_or(0.0, |identity| event.time.days_since(identity.account_since).max(0.0));
        Observed { who, credential, identity, account_age_days, watched_days: self.watch.observe(event.time.min(watermark)) }
    }

    /// The identity with a number.
    #[must_use]
    pub fn identity(&self, who: IdentityIx) -> Option<&Identity> {
        self.identities.get(who.0)
    }

    /// The number of a named identity.
    #[must_use]
    pub fn find_identity(&self, name: &str) -> Option<IdentityIx> {
        self.identities.find(name).map(IdentityIx)
    }

    /// Counts a finding of an identity.
    pub fn count_finding(&mut self, name: &str) {
        if let Some(slot) = self.identities.find(name)
            && let Some(identity) = self.identities.get_mut(slot)
        {
            identity.findings += 1;
        }
    }

    /// The credential with a number.
    #[must_use]
    pub fn credential(&self, slot: u32) -> Option<&Record> {
        self.credentials.get(slot)
    }

    /// What `credential` was obtained with, nearest first.
    #[must_use]
    pub fn parent_chain(&self, credential: &str) -> Vec<Text> {
        let mut chain: Vec<Text> = Vec::new();
        let mut at = self.credentials.find(credential).and_then(|slot| self.credentials.get(slot));
        while let Some(parent) = at.and_then(|record| record.parent.as_ref()) {
            if chain.len() >= CHAIN_MAX || chain.contains(parent) || parent == credential {
                break;
            }
            chain.push(parent.clone());
            at = self.credentials.find(parent).and_then(|slot| self.credentials.get(slot));
        }
        chain
    }

    /// When the account of a new identity was first seen, and how many newcomers a week it had who spoke the same protocol.
    fn account(&mut self, event: &Event) -> (Micros, Option<f64>) {
        let (since, of_all) = self.account_of(event, None);
        let newcomers = event.protocol.as_deref().map_or(of_all, |protocol| self.account_of(event, Some(protocol)).1);
        (since, newcomers)
    }

    fn account_of(&mut self, event: &Event, protocol: Option<&str>) -> (Micros, Option<f64>) {
        let key = hash_of(&(event.identity_provider.as_str(), event.identity_account.as_str(), protocol));
        if let Some(account) = self.accounts.get_mut(&key) {
            let newcomers = account.newcomer(event.time);
            return (account.since, newcomers);
        }
        if self.accounts.len() < ACCOUNTS_MAX {
            self.accounts.insert(key, Account::new(event.time));
        }
        (event.time, None)
    }

    /// The slot of the record for `name`, made where there is none.
    fn record(&mut self, name: &Text, likely: Option<u32>, who: IdentityIx, event: &Event) -> u32 {
        if let Some(slot) = self.credentials.find_likely(name, likely) {
            return slot;
        }
        if self.credentials.len() >= self.policy.config.credentials_max {
            let short_lived = self.policy.config.short_lived_days;
            let least = self.credentials.least(|record| {
                let ended = record.ended(record.last_seen.max(event.time)).is_some();
                let lasting = !plural(record.kind) && record.lifetime_days().is_none_or(|days| days > short_lived);
                (!ended, lasting, record.last_seen)
            });
            self.forget_credentials(&least);
        }
        if let Some(identity) = self.identities.get_mut(who.0) {
            identity.credentials += 1;
        }
        self.credentials.insert(Record::new(name.clone(), who, event.credential_kind, event.time))
    }

    fn forget_credentials(&mut self, slots: &[u32]) {
        self.credentials.remove(slots);
        let credentials = &self.credentials;
        for identity in self.identities.iter_mut() {
            for succession in &mut identity.successions {
                succession.retain(|slot| credentials.get(slot).is_some());
            }
        }
        let gone: rustc_hash::FxHashSet<u32> = slots.iter().copied().collect();
        for record in self.credentials.iter_mut() {
            record.successor = record.successor.filter(|slot| !gone.contains(slot));
        }
    }

    /// Takes what the event says of its credential's life.
    fn facts(&mut self, slot: u32, who: IdentityIx, event: &Event) {
        let Some(record) = self.credentials.get_mut(slot) else { return };
        let done = !refused(event.outcome);
        let born_before = record.born();
        let mut fresh = record.uses == 0 && record.first_seen == event.time && record.last_seen == event.time;
        record.first_seen = record.first_seen.min(event.time);
        record.last_seen = record.last_seen.max(event.time);
        if record.kind == CredentialKind::Unknown {
            record.kind = event.credential_kind;
        }
        if event.credential_issued_at.is_some() {
            record.issued_at = earlier(record.issued_at, event.credential_issued_at);
        }
        if let Some(expires) = event.credential_expires_at {
            record.expires_at = record.expires_at.max(Some(expires));
        }
        if record.issuer.is_none() && event.issuer.is_some() {
            record.issuer.clone_from(&event.issuer);
        }
        match event.activity {
            Activity::Issue if done && event.credential_issued_at.is_none() => record.issued_at = earlier(record.issued_at, Some(event.time)),
            Activity::Rotate if done => {
                if record.uses > 0 || record.issued_at.is_some_and(|issued| issued < event.time) {
                    record.rotated_at = record.rotated_at.max(Some(event.time));
                } else {
                    record.issued_at = earlier(record.issued_at, event.credential_issued_at.or(Some(event.time)));
                }
            }
            Activity::Renew if done => record.renew(event.time),
            Activity::Revoke if done => record.revoke(event.time),
            Activity::Expire if done => record.expired_at = earlier(record.expired_at, Some(event.time)),
            _ => {}
        }
        let adopt = record.parent.is_none() && event.credential_parent.is_some();
        if adopt {
            record.parent.clone_from(&event.credential_parent);
        }
        let (born, exact) = record.born();
        fresh |= (born, exact) != born_before;
        if adopt {
            self.adopt(slot, event);
        }
        if fresh && event.activity != Activity::Revoke {
            self.succeed(slot, who, born, exact);
        }
    }

    /// Sets the length of a credential's chain once its parent is known.
    fn adopt(&mut self, slot: u32, event: &Event) {
        let parent = event.credential_parent.as_ref().and_then(|parent| self.credentials.find(parent)).and_then(|parent| self.credentials.get(parent));
        let depth = parent.map_or(1, |parent| parent.depth.saturating_add(1)).min(u32::try_from(CHAIN_MAX).unwrap_or(u32::MAX));
        if let Some(record) = self.credentials.get_mut(slot) {
            record.depth = depth;
        }
    }

    /// Enters a credential into its identity's succession, unless several of its kind at once are normal.
    fn succeed(&mut self, slot: u32, who: IdentityIx, born: Micros, exact: bool) {
        let Some(record) = self.credentials.get(slot) else { return };
        let kind = record.kind;
        if plural(kind) || record.lifetime_days().is_some_and(|days| days <= self.policy.config.short_lived_days) {
            return;
        }
        let Some(identity) = self.identities.get_mut(who.0) else { return };
        let succession = identity.succession(kind);
        if !exact {
            // Two keys of an identity that was never seen before tell nothing about which came first.
            let long_known = succession
                .latest()
                .and_then(|(_, latest)| self.credentials.get(latest))
                .is_some_and(|latest| born.days_since(latest.first_seen) >= self.policy.config.succession_min_days);
            if !long_known && succession.latest().is_some_and(|(_, latest)| latest != slot) {
                return;
            }
        }
        let (before, after) = succession.enter(born, slot);
        if let Some(predecessor) = before.and_then(|before| self.credentials.get_mut(before)) {
            predecessor.superseded_at = Some(born);
            predecessor.successor = Some(slot);
        }
        if let Some(record) = self.credentials.get_mut(slot) {
            record.superseded_at = after.map(|(born, _)| born);
            record.successor = after.map(|(_, slot)| slot);
        }
    }

    fn features(&mut self, slot: u32, who: IdentityIx, event: &Event, limits: Limits, destination: Option<u64>) -> Features {
        let config = &self.policy.config;
        let Some(record) = self.credentials.get_mut(slot) else { return Features::default() };
        let time = event.time;
        let (born, age_is_exact) = record.born();
        let age_days = time.days_since(born).max(0.0);
        let kind = record.kind;
        let lifetime_days = record.lifetime_days();
        let mut features = Features {
            slot: Some(slot),
            age_days: Some(age_days),
            age_is_exact,
            lifetime_days,
            remaining_days: record.expires_at.map(|expires| expires.days_since(time)),
            state: record.state(time),
            overlap_hours: record.superseded_at.filter(|at| *at < time).map(|at| time.days_since(at) * 24.0),
            revoked_minutes: record.revoked_at.filter(|at| *at < time).map(|at| time.days_since(at) * 1440.0),
            expired_hours: earlier(record.expires_at, record.expired_at).filter(|at| *at < time).map(|at| time.days_since(at) * 24.0),
            chain_depth: record.depth,
            ..Features::default()
        };
        if is_use(event.activity) {
            features.first_use = record.uses == 0;
            if let Some(last) = record.last_used.filter(|last| *last < time) {
                let gap = time.0 - last.0;
                features.idle_days = Some(time.days_since(last));
                features.idle_vs_longest = Some(ratio(gap, record.longest_gap_us));
                record.longest_gap_us = record.longest_gap_us.max(gap);
            }
            if features.first_use && age_is_exact {
                features.issued_then_used_minutes = Some(age_days * 1440.0);
            }
            record.uses += 1;
            record.first_used = earlier(record.first_used, Some(time));
            record.last_used = record.last_used.max(Some(time));
            if refused(event.outcome) {
                record.failures += 1;
            } else if event.outcome == Outcome::Success {
                record.last_success = record.last_success.max(Some(time));
            }
            let places = record.places.observe(event);
            if let Some(network) = places.new_network {
                record.sources.insert(network, config.sources_max);
            }
            features.distinct_sources_24h = places.day;
            features.concurrent_sources = places.concurrent;
            features.concurrent_countries = places.countries;
            if let Some(hash) = destination {
                record.destinations.insert(hash, config.destinations_max);
            }
            if record.identity != who || !record.identities.is_empty() {
                if record.identities.is_empty() {
                    record.identities.insert(u64::from(record.identity.0), 8);
                }
                record.identities.insert(u64::from(who.0), 8);
            }
        }
        features.identities = u32::try_from(record.identities.len()).unwrap_or(u32::MAX).max(1);
        features.uses = record.uses;
        let successor = record.successor;
        features.age_over_policy = limits.age_days_max.or_else(|| limit(&self.policy.age_days_max, kind)).is_some_and(|max| age_days > max);
        features.lifetime_over_policy = over(lifetime_days, limits.lifetime_days_max.or_else(|| limit(&self.policy.lifetime_days_max, kind)));
        if features.overlap_hours.is_some() {
            features.successor_used = successor.and_then(|slot| self.credentials.get(slot)).is_some_and(|record| record.uses > 0);
        }
        if let Some(identity) = self.identities.get_mut(who.0) {
            if let Some(succession) = identity.known_succession(kind) {
                features.rotations = succession.rotations();
                features.age_vs_cadence = succession.cadence_days().filter(|days| *days > 0.0).map(|days| age_days / days);
            }
            if event.activity == Activity::Issue
                && !refused(event.outcome)
                && let Some(parent) = &event.credential_parent
            {
                // The parent's identity outlives the parent: rotation of a key is no new parent.
                let owner = self
                    .credentials
                    .find(parent)
                    .and_then(|slot| self.credentials.get(slot))
                    .map_or_else(|| hash_of(parent.as_str()), |record| hash_of(&record.identity.0));
                features.parents_seen = identity.parents.1;
                features.parent_is_new = identity.parents.0.insert(owner, config.sources_max);
                identity.parents.1 = identity.parents.1.saturating_add(1);
            }
        }
        features
    }

    /// What the event itself says of a credential that it does not name.
    fn features_without_record(&self, event: &Event, limits: Limits) -> Features {
        let lasts = |from: Micros| event.credential_expires_at.map(|expires| expires.days_since(from));
        let issued = event.credential_issued_at.or_else(|| (event.activity == Activity::Issue).then_some(event.time));
        let lifetime_days = issued.and_then(lasts);
        let age_days = event.credential_issued_at.map(|issued| event.time.days_since(issued).max(0.0));
        let kind = event.credential_kind;
        Features {
            age_days,
            age_is_exact: age_days.is_some(),
            lifetime_days,
            remaining_days: lasts(event.time),
            age_over_policy: over(age_days, limits.age_days_max.or_else(|| limit(&self.policy.age_days_max, kind))),
            lifetime_over_policy: over(lifetime_days, limits.lifetime_days_max.or_else(|| limit(&self.policy.lifetime_days_max, kind))),
            ..Features::default()
        }
    }
}

/// Kinds of which an identity normally holds several at once: one does not rotate another.
#[must_use]
pub const fn plural(kind: CredentialKind) -> bool {
    matches!(
        kind,
        CredentialKind::Session
            | CredentialKind::OauthToken
            | CredentialKind::Jwt
            | CredentialKind::KerberosTicket
            | CredentialKind::SamlAssertion
            | CredentialKind::Unknown
    )
}

/// Whether an event of this activity uses the credential that it names.
#[must_use]
pub const fn is_use(activity: Activity) -> bool {
    matches!(activity, Activity::Authenticate | Activity::Use | Activity::Grant | Activity::Configure)
}

/// Whether an identity of this kind is judged by rules for machines.
#[must_use]
pub const fn is_machine(kind: IdentityKind) -> bool {
    !matches!(kind, IdentityKind::Human)
}

fn limit(by_kind: &[Option<f64>], kind: CredentialKind) -> Option<f64> {
    by_kind.get(kind as usize).copied().flatten()
}

fn over(value: Option<f64>, max: Option<f64>) -> bool {
    value.zip(max).is_some_and(|(value, max)| value > max)
}
