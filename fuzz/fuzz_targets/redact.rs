//! Redaction of any bytes: it ends soon, valid JSON stays valid, and a second time changes nothing that is a secret.
#![no_main]

use keytrail_ingest::redact::{Level, Redactor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let redactor = Redactor::new(&[7; 32]);
    let begin = std::time::Instant::now();
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
    assert!(begin.elapsed().as_millis() < 2_000 + input.len() as u128, "{} bytes took {:?}", input.len(), begin.elapsed());
});
