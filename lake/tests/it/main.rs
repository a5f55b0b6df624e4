//! The lake seen from outside.
//!
//! - `commit`: what is stored is stored once, whatever fails or races
//! - `compaction`: rewriting keeps every row
//! - `folder`: places that are no lake say so
//! - `snapshot`: detector state survives damage
//! - `sample`: rows to store, and a reader that shares no code with the lake

mod commit;
mod compaction;
mod folder;
mod sample;
mod snapshot;
