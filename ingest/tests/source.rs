//! The file source: every way that bytes can lie on disk, and every way that they can be damaged.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "source/damage.rs"]
mod damage;
#[path = "source/envelope.rs"]
mod envelope;
#[path = "source/follow.rs"]
mod follow;
#[path = "source/formats.rs"]
mod formats;
#[path = "source/ids.rs"]
mod ids;
#[path = "source/merge.rs"]
mod merge;
#[path = "source/pack.rs"]
mod pack;
#[path = "source/tiny.rs"]
mod tiny;
