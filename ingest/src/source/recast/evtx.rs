//! Binary event logs (`.evtx`): a header of 4,096 bytes, then chunks of 65,536, each of which is whole by itself. One chunk is in memory at a time; how far its records may grow in
//! rendering is bounded by the `evtx` crate. Source: libyal, "Windows XML Event Log (EVTX) format".

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use evtx::{EvtxChunkData, ParserSettings};

use super::{Source, damage, read_full};

pub(super) const MAGIC: &[u8] = b"ElfFile\0";
const HEADER_BYTES: usize = 4_096;
const CHUNK_BYTES: usize = 64 << 10;
/// A chunk with more damage than this says so once more and is left.
const DAMAGES_MAX: usize = 64;
/// An event longer than this is none.
const EVENT_BYTES_MAX: usize = 1 << 20;

pub(super) struct Evtx {
    input: Box<dyn Read + Send>,
    settings: Arc<ParserSettings>,
    /// Number of the chunk that comes next, from 1; 0 before the header.
    chunk: u64,
}

impl Evtx {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, settings: Arc::new(ParserSettings::default().num_threads(1).indent(false).separate_json_attributes(false)), chunk: 0 }
    }
}

impl Source for Evtx {
    fn next(&mut self, out: &mut Vec<u8>) -> std::io::Result<bool> {
        if self.chunk == 0 {
            let mut header = vec![0; HEADER_BYTES];
            let length = read_full(&mut *self.input, &mut header)?;
            self.chunk = 1;
            if length < HEADER_BYTES {
                damage("the event log ends within its header", out);
                return Ok(false);
            }
        }
        let number = self.chunk;
        self.chunk += 1;
        let mut data = vec![0; CHUNK_BYTES];
        let length = read_full(&mut *self.input, &mut data)?;
        if length == 0 {
            return Ok(false);
        }
        // Space that was laid out and not used.
        if data.iter().all(|byte| *byte == 0) {
            return Ok(length == CHUNK_BYTES);
        }
        let before = out.len();
        let settings = Arc::clone(&self.settings);
        let whole = catch_unwind(AssertUnwindSafe(|| chunk(data, settings, number, out)));
        if whole.is_err() {
            damage(&format!("chunk {number} of the event log cannot be read further, from event {} of it on", lines(out, before)), out);
        }
        if length < CHUNK_BYTES {
            damage(&format!("the event log ends within chunk {number}, behind {length} bytes of it: what stood behind is lost"), out);
        }
        Ok(length == CHUNK_BYTES)
    }
}

fn lines(out: &[u8], from: usize) -> usize {
    memchr::memchr_iter(b'\n', out.get(from..).unwrap_or_default()).count() + 1
}

/// Writes a chunk's events.
fn chunk(data: Vec<u8>, settings: Arc<ParserSettings>, number: u64, out: &mut Vec<u8>) {
    let mut data = match EvtxChunkData::new(data, false) {
        Ok(data) => data,
        Err(error) => return damage(&format!("chunk {number} of the event log: {error}"), out),
    };
    let mut chunk = match data.parse(settings) {
        Ok(chunk) => chunk,
        Err(error) => return damage(&format!("chunk {number} of the event log: {error}"), out),
    };
    let mut damages = 0;
    for record in chunk.iter() {
        let rendered = record.and_then(|record| record.into_json());
        match rendered {
            Ok(event) if event.data.len() <= EVENT_BYTES_MAX => {
                let from = out.len();
                out.extend_from_slice(event.data.as_bytes());
                // One event, one line.
                out.iter_mut().skip(from).filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
                out.push(b'\n');
            }
            Ok(event) => damage(&format!("event {} of the log is longer than {EVENT_BYTES_MAX} bytes", event.event_record_id), out),
            Err(error) => {
                damages += 1;
                damage(&format!("an event of chunk {number}: {error}"), out);
            }
        }
        if damages > DAMAGES_MAX {
            return damage(&format!("chunk {number} of the event log has more than {DAMAGES_MAX} events that cannot be read: the rest of it is left"), out);
        }
    }
}
