//! Logs that real systems wrote, or that others published, through the parsers: one module a format.
//!
//! They are not part of the project. Where the folder that holds them is missing, each test says that it is skipped.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "real_logs/cloudtrail.rs"]
mod cloudtrail;
#[path = "real_logs/k8s_audit.rs"]
mod k8s_audit;
#[path = "real_logs/read.rs"]
mod read;
