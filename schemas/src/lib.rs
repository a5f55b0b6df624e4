//! The vocabulary of keytrail: what an event, a finding, a dead letter, a credential and an identity are.
//!
//! Every table is declared once, with the macro `table!`: the Rust struct, its Arrow schema, its JSON Schema and its
//! column documentation come from that one declaration. This crate does no I/O and imports no other member.

#[macro_use]
mod column;
#[macro_use]
mod lent;
#[macro_use]
mod word;
mod command;
mod credential;
mod dead_letter;
mod detection;
mod event;
mod finding;
mod id;
mod identity;
mod log;
mod ocsf;
#[cfg(test)]
mod round_trip_test;
mod schema;
mod source_class;
mod texts;
mod time;
mod touch;

pub use column::{Cell, Column, ColumnType, Table};
pub use command::{Command, command_of};
pub use credential::CredentialRecord;
pub use dead_letter::{DeadLetter, Reason};
pub use detection::Detection;
pub use event::{Event, EventColumns, EventDraft, EventRow};
pub use finding::{Finding, FindingKind, Severity};
pub use id::{EventId, Fingerprint, Hash32};
pub use identity::IdentityRecord;
pub use lent::Lent;
pub use log::{DecodeError, LogRecord, RecordRow, Topic};
pub use ocsf::{event_to_ocsf, finding_to_ocsf};
pub use schema::json_schemas;
pub use source_class::SourceClass;
pub use time::{Micros, TimeError};
pub use touch::{Fingerprinted, RolledDays, Touch};
pub use word::{Activity, CredentialKind, CredentialState, IdentityKind, Outcome, UnknownWord};

/// Rows as Arrow columns.
pub use arrow::array::RecordBatch;
/// The string type of every text column: up to 24 bytes inline, so that most values cost no allocation.
pub use compact_str::CompactString as Text;
