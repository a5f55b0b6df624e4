//! Looking ahead: where the ledger probably has what the next events name. What is looked at is at hand when it is asked for; no outcome depends on it.

use keytrail_schemas::Event;

use super::{Ledger, distinct::hash_of};

/// Where the ledger probably has what an event names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Likely {
    /// The identity.
    pub identity: Option<u32>,
    /// The credential.
    pub credential: Option<u32>,
}

impl Ledger {
    /// Where an event's identity and credential probably are.
    #[inline]
    #[must_use]
    pub fn probe(&self, event: &Event) -> Likely {
        Likely {
            identity: self.identities.probe(hash_of(event.identity.as_str())),
            credential: event.credential.as_ref().and_then(|credential| self.credentials.probe(hash_of(credential.as_str()))),
        }
    }

    /// Looks at both: at themselves (`behind` false), then at what lies behind them.
    #[inline]
    #[must_use]
    pub fn touch(&self, likely: Likely, behind: bool) -> u64 {
        let identity = likely.identity.and_then(|slot| self.identities.get(slot)).map_or(0, |identity| identity.touch(behind));
        identity ^ likely.credential.and_then(|slot| self.credentials.get(slot)).map_or(0, |record| record.touch(behind))
    }
}
