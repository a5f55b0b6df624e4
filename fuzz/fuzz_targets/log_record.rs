//! Whatever bytes the log holds, decoding answers with a record or a reason, and a record comes back as it was written.
#![no_main]

use keytrail_schemas::LogRecord;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(LogRecord::Event(event)) = LogRecord::decode(bytes) {
        assert_eq!(LogRecord::decode(&LogRecord::encode_event(&event)).ok(), Some(LogRecord::Event(event)));
    }
});
