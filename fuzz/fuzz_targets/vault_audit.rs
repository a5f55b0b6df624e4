//! Whatever bytes come, the `vault_audit` parser answers with events or a reason.
#![no_main]

#[path = "format.rs"]
mod format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| format::lines("vault_audit", bytes));
