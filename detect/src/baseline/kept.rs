//! A baseline in pieces, so that a snapshot is packed and unpacked on several cores: what is shared, and the profiles in runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Baseline, estate::Estate, profile::Profile, silence::Silence};
use crate::IdentityIx;

/// Profiles of one piece.
const RUN: usize = 32_768;

/// All but the profiles, lent.
#[derive(Serialize)]
pub(crate) struct SharedRef<'a> {
    estate: &'a Estate,
    closing: &'a BTreeMap<u32, Vec<IdentityIx>>,
    closed_before: u32,
    silence: &'a Silence,
    uid: u32,
}

/// All but the profiles.
#[derive(Deserialize)]
pub(crate) struct Shared {
    estate: Estate,
    closing: BTreeMap<u32, Vec<IdentityIx>>,
    closed_before: u32,
    silence: Silence,
    uid: u32,
}

/// A run of profiles, lent.
#[derive(Serialize)]
pub(crate) struct ProfilesRef<'a>(&'a [Option<Box<Profile>>]);

/// A run of profiles.
#[derive(Deserialize)]
pub(crate) struct Profiles(Vec<Option<Box<Profile>>>);

impl Baseline {
    /// All but the profiles.
    pub(crate) const fn shared(&self) -> SharedRef<'_> {
        SharedRef { estate: &self.estate, closing: &self.closing, closed_before: self.closed_before, silence: &self.silence, uid: self.uid }
    }

    /// The profiles, in runs.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = ProfilesRef<'_>> {
        self.profiles.chunks(RUN).map(ProfilesRef)
    }

    /// Of its pieces; the configuration is set apart.
    pub(crate) fn of(shared: Shared, profiles: Vec<Profiles>) -> Self {
        let Shared { estate, closing, closed_before, silence, uid } = shared;
        let profiles = profiles.into_iter().flat_map(|Profiles(run)| run).collect();
        Self { estate, closing, closed_before, silence, uid, profiles, ..Self::default() }
    }
}
