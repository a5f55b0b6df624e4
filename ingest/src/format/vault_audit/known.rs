//! What earlier lines of the file told: whose a token is, which role a role id means, which secret id an accessor. A refused login or
//! a revoked token names nobody by itself; this does. All of it is bounded.

use keytrail_schemas::{CredentialKind, Text};

use super::who::Who;
use crate::format::recent::Recent;

/// A token's owner and canonical id.
#[derive(Clone)]
pub(super) struct Owned {
    pub(super) who: Who,
    pub(super) credential: Text,
}

/// A credential's owner and kind.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) who: Who,
    pub(super) kind: CredentialKind,
}

/// The memory.
#[derive(Default)]
pub(super) struct Known {
    /// By token, as it is logged.
    pub(super) tokens: Recent<Owned>,
    /// By canonical id of a credential.
    pub(super) holders: Recent<Held>,
    /// Roles by role id.
    pub(super) roles: Recent<Who>,
    /// Canonical ids of secret ids, by accessor.
    pub(super) secret_ids: Recent<Text>,
}
