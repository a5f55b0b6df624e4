//! What the formats make of records: one module a format, over `fixtures/`, one snapshot a file.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod canary;
mod cloudtrail;
mod event;
mod hostile;
mod k8s_audit;
mod keytrail;
mod planted;
mod told;
