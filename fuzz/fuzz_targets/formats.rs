//! Whatever bytes come, every format of the registry answers with events or a reason, `auto` with a format or a reason, and what is kept of valid JSON is valid JSON.
#![no_main]

use keytrail_ingest::format::{Context, auto, guarded};
use keytrail_ingest::redact::{Level, Redactor};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses the format, so that the fuzzer can stay with one; the rest is a file of it.
    let Some((first, bytes)) = bytes.split_first() else { return };
    let formats = auto::all();
    let chosen = formats[usize::from(*first) % formats.len()];
    let context = Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "c".into(), depth_max: 128, file_name: "modbus.log".to_owned() };
    let mut formats = vec![chosen];
    if let Ok(found) = auto::detect(bytes)
        && found.name() != chosen.name()
    {
        formats.push(found);
    }
    for format in formats {
        let mut parser = guarded(format, &context);
        let mut drafts = Vec::new();
        for (record, line) in bytes.split(|byte| *byte == b'\n').zip(1..) {
            let read = parser.record(record, line, &mut drafts);
            if serde_json::from_slice::<serde::de::IgnoredAny>(record).is_ok() && read.is_ok() {
                for draft in &drafts {
                    assert!(!draft.event.identity.is_empty());
                }
            }
            drafts.clear();
        }
        parser.finish(&mut drafts);
    }
});
