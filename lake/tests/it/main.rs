//! The lake seen from outside.
//!
//! - `commit`: what is stored is stored once, whatever fails or races
//! - `compaction`: rewriting keeps every row
//! - `folder`: places that are no lake say so
//! - `snapshot`: detector state survives damage
//! - `sample`: rows to store, and a reader that shares no code with the lake

#![expect(missing_docs, reason = "a test")]

mod commit;
mod folder;
mod sample;
mod snapshot;
