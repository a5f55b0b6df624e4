//! Whatever bytes a file has (archives, compression, binary and XML event logs, lines, JSON), reading it ends, in events and dead letters.
#![no_main]

use keytrail_ingest::redact::Redactor;
use keytrail_ingest::source::{Choice, Options, Reader};
use keytrail_schemas::Micros;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let options = Options::new("fuzz", Choice::Auto, Redactor::new(&[7; 32]), || Micros(1_795_348_800_000_000));
    let reader = Reader::open_bytes("log", bytes.into(), options).expect("threads start");
    reader.for_each(drop);
});
