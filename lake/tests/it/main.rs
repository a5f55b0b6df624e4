//! The lake seen from outside.
//!
//! - `commit`: what is stored is stored once, whatever fails or races
//! - `compaction`: rewriting keeps every row
//! - `folder`: places that are no lake say so
//! - `snapshot`: detector state survives damage
//! - `touches`: the roll-up holds what the events say, and knows when it does not
//! - `upkeep`: rounds of upkeep, a short log, what expires and what is held
//! - `sample`: rows to store, and a reader that shares no code with the lake

mod commit;
mod compaction;
mod folder;
mod sample;
mod snapshot;
mod touches;
mod upkeep;
