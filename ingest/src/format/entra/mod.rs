//! Microsoft Entra and Azure: who signed in, what changed in the directory, what was done to resources.
//!
//! All three name identities alike: `entra:<tenant>:sp/<appId>` for an application's principal and for a managed identity,
//! `entra:<tenant>:principal/<objectId>` where a record has its object id alone, `entra:<tenant>:user/<name>` for a person.

pub(super) mod activity;
pub(super) mod audit;
mod federated;
mod identity;
pub(super) mod key;
pub(super) mod m365;
pub(super) mod risk;
pub(super) mod signin;
