//! Live sources: servers that keep no file, and are asked for their audit events while these happen. What a live source hands on are bytes of
//! records, each with its place, as a file would hold them ([`intake`]); what they mean is a format's to say. It writes nothing to what it asks.
//!
//! Today: [`opcua`], the audit events of OPC UA servers.

pub mod intake;
pub mod opcua;
