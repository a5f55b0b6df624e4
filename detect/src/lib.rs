//! keytrail-detect: the credential ledger, the baselines and the rules.
//!
//! A deterministic function of the log: the same records give byte-identical findings, whatever the batches and restarts. Nothing
//! here does I/O, reads a clock, draws random numbers or knows an async runtime.
//!
//! Each event becomes an observation: its own columns, `action.*` by the [`action`]'s class, `credential.*` and `identity.*` from the [`ledger`], `baseline.*` from the
//! [`baseline`], `command.*`, `controller.*` and `session.*` from the plant [`floor`], `declared.*` from the [`inventory`]. Sigma rules ([`rule`]) decide on observations, and what they say folds into
//! detections and findings ([`fold`]), whose order is their [`rank`].

pub mod action;
pub mod baseline;
mod config;
mod detector;
mod error;
pub mod floor;
mod fold;
pub mod inventory;
mod kept;
pub mod ledger;
pub mod rank;
pub mod rule;
pub mod shape;
mod snapshot;
pub mod sorted;

pub use config::{Config, FoldConfig, LedgerConfig};
pub use detector::Detector;
pub use error::Error;
pub use rule::Rules;

/// Number of an identity within one detector. Given out by the detector's registry; given back, and used again, when the
/// registry evicts the identity (after [`baseline::Baseline::forget`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct IdentityIx(pub u32);
