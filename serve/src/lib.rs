//! The doors: HTTP, PostgreSQL wire, MCP; who may ask, and the record of who asked what. Stands on `query`, which knows no network.
//!
//! Every door brings its questions to one [`Desk`]: it knows who asks ([`access`]), holds them to their bounds, writes down what was asked ([`record`]) and hands
//! out the answer. A door only speaks its protocol.

pub mod access;
mod answer;
mod desk;
mod error;
pub mod format;
mod http;
mod limit;
mod listen;
mod mcp;
mod options;
mod postgres;
pub mod record;
mod served;

pub use answer::Answer;
pub use desk::{Desk, Visit};
pub use error::Error;
pub use mcp::stdio;
pub use options::{Options, Password};
pub use served::{Doors, serve};
