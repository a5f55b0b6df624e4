//! Standing trust: what goes on after the login. For how long a session has been open, what it has outlived, and at how many sites an account is used.

use keytrail_schemas::{Event, Micros};
use rustc_hash::FxHashMap;

use super::{Features, NAMES_MAX, SESSIONS_MAX, make_room};
use crate::{ledger, ledger::distinct::hash_of};

/// Sites remembered per name.
const SITES_MAX: usize = 8;

/// What a session has outlived of the credential behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outlives {
    /// Nothing that is known.
    #[default]
    None,
    /// The credential was replaced since.
    Rotation,
    /// It was withdrawn since.
    Revocation,
    /// It expired since.
    Expiry,
    /// Its owner is retired.
    Retirement,
}

impl Outlives {
    /// The words that rules use.
    pub const WORDS: &[&str] = &["none", "rotation", "revocation", "expiry", "retirement"];
}

/// Sessions and names.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Standing {
    #[serde(with = "crate::sorted::map")]
    sessions: FxHashMap<u64, (Micros, Micros)>,
    #[serde(with = "crate::sorted::map")]
    names: FxHashMap<u64, Name>,
}

/// An account's name, whatever it is an account of.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Name {
    last: Micros,
    sites: Vec<u64>,
}

impl Standing {
    pub(super) fn observe(&mut self, event: &Event, credential: &ledger::Features, retired: bool, features: &mut Features) {
        if let Some(session) = &event.session {
            let key = hash_of(session.as_str());
            make_room(&mut self.sessions, key, SESSIONS_MAX, |(_, last)| *last);
            let (first, last) = self.sessions.entry(key).or_insert((event.time, event.time));
            (*first, *last) = ((*first).min(event.time), (*last).max(event.time));
            let hours = event.time.days_since(*first) * 24.0;
            features.session_hours = Some(hours);
            let longer_than = |since: Option<f64>| since.is_some_and(|since| hours > since);
            features.outlives = if longer_than(credential.revoked_minutes.map(|minutes| minutes / 60.0)) {
                Outlives::Revocation
            } else if longer_than(credential.expired_hours) {
                Outlives::Expiry
            } else if longer_than(credential.overlap_hours) {
                Outlives::Rotation
            } else {
                Outlives::None
            };
        }
        if retired && features.outlives == Outlives::None {
            features.outlives = Outlives::Retirement;
        }
        if let Some(name) = account(&event.identity) {
            let key = hash_of(name);
            make_room(&mut self.names, key, NAMES_MAX, |name| name.last);
            let name = self.names.entry(key).or_default();
            name.last = name.last.max(event.time);
            let site = hash_of(event.environment.as_deref().unwrap_or(&event.source));
            if !name.sites.contains(&site) && name.sites.len() < SITES_MAX {
                name.sites.push(site);
            }
            features.sites = u32::try_from(name.sites.len()).unwrap_or(u32::MAX);
        }
    }
}

/// The account's own name, where the identity is an account and no address: private addresses repeat from site to site.
fn account(identity: &str) -> Option<&str> {
    let (_, name) = identity.rsplit_once(':')?;
    name.strip_prefix("user/").filter(|user| !user.is_empty())
}
