//! How well formats are read, held against logs that others published and against what another engine makes of them.
//!
//! `agreement` compares the fields of an event with Elastic's expected documents, one by one; `reading` counts what is read and what is refused. The logs are not part of the project:
//! where their folder is missing, each test says that it is skipped.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops where something is not as it should be")]

#[path = "conformance/agreement.rs"]
mod agreement;
#[path = "conformance/folder.rs"]
mod folder;
#[path = "conformance/reading.rs"]
mod reading;
