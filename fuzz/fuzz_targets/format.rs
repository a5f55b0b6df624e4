//! Feeds a format's parser line by line, as the source does.

use keytrail_ingest::format::{Context, auto, guarded};
use keytrail_ingest::redact::Redactor;

pub fn lines(name: &str, bytes: &[u8]) {
    let format = auto::by_name(name).expect("a known format");
    let context = Context { redactor: Redactor::new(&[7; 32]), level: keytrail_ingest::redact::Level::Safe, cluster: "c".into(), depth_max: 128, file_name: "modbus.log".to_owned() };
    let mut parser = guarded(format, &context);
    let mut drafts = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let _ = parser.record(line, number as u64 + 1, &mut drafts);
    }
    parser.finish(&mut drafts);
}
