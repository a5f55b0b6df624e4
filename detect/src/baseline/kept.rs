//! A baseline in pieces, so that a snapshot is packed and unpacked on several cores: what is shared, and names and profiles in runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use super::value::{Aliases, Valued};
use super::value::{AliasesRef, ValuedRef};
use super::{Baseline, estate::Estate, profile::Profile, silence::Silence};
use crate::IdentityIx;

/// Profiles of one piece.
const RUN: usize = 4_096;

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

    /// The values, in runs.
    pub(crate) fn values(&self) -> Vec<ValuedRef<'_>> {
        self.estate.values.valued()
    }

    /// The names of values, in runs.
    pub(crate) fn aliases(&self) -> Vec<AliasesRef<'_>> {
        self.estate.values.aliases()
    }

    /// Of its pieces; the configuration is set apart.
    pub(crate) fn of(shared: Shared, values: Vec<Valued>, aliases: Vec<Aliases>, profiles: Vec<Profiles>) -> Self {
        let Shared { mut estate, closing, closed_before, silence, uid } = shared;
        estate.values.fill(values, aliases);
        let profiles = crate::sorted::joined(profiles.into_iter().map(|Profiles(run)| run).collect());
        Self { estate, closing, closed_before, silence, uid, profiles, ..Self::default() }
    }
}
