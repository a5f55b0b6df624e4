//! Redaction of any bytes: it ends soon, valid JSON stays valid, and a second time changes nothing that is a secret.
#![no_main]

use keytrail_ingest::redact::{Level, Redactor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let redactor = Redactor::new(&[7; 32]);
    let begin = processor_ms();
    for format in ["cloudtrail", "k8s_audit", "vault_audit", "zeek", "keytrail", "gcp_audit", "ocsf", "keycloak_events", ""] {
        let _ = redactor.bytes(format, input, 1 << 16);
        if let Ok(text) = std::str::from_utf8(input) {
            let kept = redactor.record(format, text, Level::Safe);
            if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
                assert!(serde_json::from_str::<serde::de::IgnoredAny>(&kept).is_ok(), "{text:?} -> {kept:?}");
            }
            let _ = redactor.explain(format, text, Level::Open);
            let _ = redactor.row(format, &["ts", "uid"], b'\t', text, Level::Safe);
        }
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = redactor.text(text);
    }
    // Some twenty walks over the input; a regular expression is compiled when its keyword is first met.
    if let (Some(begin), Some(end)) = (begin, processor_ms()) {
        assert!(end - begin < 2_000 + input.len() as u64, "{} bytes took {} ms of a processor", input.len(), end - begin);
    }
});

/// What this thread has had of a processor (Linux tells it): a machine that is busy with something else makes nothing slow.
fn processor_ms() -> Option<u64> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(times.split_whitespace().next()?.parse::<u64>().ok()? / 1_000_000)
}
