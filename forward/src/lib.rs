//! The way out: findings encoded as SIEMs read them and delivered at least once, in order, with retry. It does not decide what a
//! finding is, and it drops none: what a target has not taken stays before the position that the outbox remembers.

mod encoding;
mod error;
mod outbox;
mod target;

pub use encoding::Encoding;
pub use error::Error;
pub use outbox::Outbox;
pub use target::{Target, file, open, syslog};
