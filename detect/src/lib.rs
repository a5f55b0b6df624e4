//! keytrail-detect: the credential ledger, the baselines and the rules.
//!
//! A [deterministic function of the log](https://docs.rs/keytrail-detect): the same records give byte-identical findings, whatever
//! the batches and restarts. Nothing here does I/O, reads a clock, draws random numbers or knows an async runtime.

pub mod baseline;
pub mod sorted;

/// Number of an identity within one detector. Given out by the detector's registry; given back, and used again, when the
/// registry evicts the identity (after [`baseline::Baseline::forget`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct IdentityIx(pub u32);
