//! Whatever bytes come, the `keytrail` parser answers with events or a reason.
#![no_main]

#[path = "format.rs"]
mod format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| format::lines("keytrail", bytes));
