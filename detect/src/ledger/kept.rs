//! A ledger in pieces, so that a snapshot is packed and unpacked on several cores: what is shared, and credentials and identities in runs.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::slab::Slab;
use super::{Identity, Ledger, Record, account::Account, watch::Watch};

/// Places of one piece: as many as are read without that their memory is enlarged meanwhile.
const RUN: usize = 2_048;

/// All but credentials and identities, lent.
#[derive(Serialize)]
pub(crate) struct SharedRef<'a> {
    credentials_free: &'a [u32],
    identities_free: &'a [u32],
    #[serde(serialize_with = "crate::sorted::map::serialize")]
    accounts: &'a FxHashMap<u64, Account>,
    watch: Watch,
}

/// All but credentials and identities.
#[derive(Deserialize)]
pub(crate) struct Shared {
    credentials_free: Vec<u32>,
    identities_free: Vec<u32>,
    #[serde(deserialize_with = "crate::sorted::map::deserialize")]
    accounts: FxHashMap<u64, Account>,
    watch: Watch,
}

/// A run of credentials.
pub(crate) type Credentials = Vec<Option<Record>>;
/// A run of identities.
pub(crate) type Identities = Vec<Option<Identity>>;

impl Ledger {
    /// All but credentials and identities.
    pub(crate) fn shared(&self) -> SharedRef<'_> {
        SharedRef { credentials_free: self.credentials.free(), identities_free: self.identities.free(), accounts: &self.accounts, watch: self.watch }
    }

    /// The credentials, in runs.
    pub(crate) fn credential_runs(&self) -> impl Iterator<Item = &[Option<Record>]> {
        self.credentials.runs(RUN)
    }

    /// The identities, in runs.
    pub(crate) fn identity_runs(&self) -> impl Iterator<Item = &[Option<Identity>]> {
        self.identities.runs(RUN)
    }

    /// Of its pieces; the configuration is set apart.
    pub(crate) fn of(shared: Shared, credentials: Vec<Credentials>, identities: Vec<Identities>) -> Self {
        let Shared { credentials_free, identities_free, accounts, watch } = shared;
        let (credentials, identities) = std::thread::scope(|scope| {
            let credentials = scope.spawn(|| Slab::of(credentials, credentials_free));
            let identities = Slab::of(identities, identities_free);
            (credentials.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), identities)
        });
        Self { credentials, identities, accounts, watch, ..Self::default() }
    }
}
