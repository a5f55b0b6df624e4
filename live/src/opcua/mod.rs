//! The audit events of an OPC UA server (OPC 10000-5, 6.4), by a subscription to its Server object. Of all services it calls those that find the
//! server's endpoints, open and close a session, read nothing but the subscription, and none that changes anything.
//!
//! One thread a source. A connection that is lost is opened anew, with growing pauses; a time in which nothing was subscribed is a record of its own.

mod address;
mod certificate;
mod client;
mod connection;
mod endpoint;
mod error;
mod event;
mod explain;
mod gap;
mod listener;
mod memory;
mod options;
mod own;
mod position;
mod select;
mod source;
mod teller;
mod trust;
mod value;

pub use address::Address;
pub use endpoint::Chosen;
pub use error::Error;
pub use options::{Options, User};
pub use own::Own;
pub use source::{Source, inspect};
