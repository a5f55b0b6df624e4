//! A block: a run of consecutive records of one partition, as one value of the store.
//!
//! Layout, integers little-endian: version `u8` = 1, record count `u32`, length of the expanded body `u32`, first 8 bytes of the BLAKE3 of
//! the 9 bytes before and all that follows, then the body in LZ4's block format. The expanded body is the index (one `u32` length per record) and
//! the records' encodings, one behind the other.

use keytrail_schemas::{DecodeError, Event, LogRecord};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 17;

/// The most that a block's body may expand to: a bound on what a damaged header can make the reader allocate.
pub const BODY_BYTES_MAX: usize = 1 << 30;

/// A block being filled.
#[derive(Debug, Default)]
pub struct Builder {
    lengths: Vec<u32>,
    /// Room for the index, of which its end is used, then the records.
    body: Vec<u8>,
    // Kept from block to block, as the body is: fresh memory of this size costs more than what is done in it.
    packed: Vec<u8>,
}

/// Room for the index of as many records as a block has; for one that has more it is made when the block is finished.
const INDEX_BYTES: usize = 4 * 2048;

impl Builder {
    /// Adds an event. `false`, and nothing is added, when it is too large for any block.
    pub fn push_event(&mut self, event: &Event) -> bool {
        let start = self.open_record();
        LogRecord::encode_event_into(event, &mut self.body);
        self.close_record(start)
    }

    /// Adds an encoded record.
    pub fn push_encoded(&mut self, record: &[u8]) -> bool {
        let start = self.open_record();
        self.body.extend_from_slice(record);
        self.close_record(start)
    }

    fn open_record(&mut self) -> usize {
        if self.body.is_empty() {
            self.body.resize(INDEX_BYTES, 0);
        }
        self.body.len()
    }

    fn close_record(&mut self, start: usize) -> bool {
        let length = self.body.len() - start;
        if self.bytes() + 4 * (self.lengths.len() + 1) > BODY_BYTES_MAX {
            self.body.truncate(start);
            return false;
        }
        self.lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
        true
    }

    /// Forgets what was pushed.
    pub fn clear(&mut self) {
        self.lengths.clear();
        self.body.clear();
    }

    /// How many records it holds.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// How many bytes their encodings have.
    pub fn bytes(&self) -> usize {
        self.body.len().saturating_sub(INDEX_BYTES)
    }

    /// The finished block; the builder is empty afterwards and keeps its buffers.
    pub fn finish(&mut self) -> &[u8] {
        self.open_record();
        let more = (4 * self.lengths.len()).saturating_sub(INDEX_BYTES);
        if more > 0 {
            self.body.splice(0..0, std::iter::repeat_n(0, more));
        }
        let begin = INDEX_BYTES + more - 4 * self.lengths.len();
        for (place, length) in self.body.get_mut(begin..).unwrap_or_default().chunks_exact_mut(4).zip(&self.lengths) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        let (body, out) = (self.body.get(begin..).unwrap_or_default(), &mut self.packed);
        let room = HEADER_BYTES + lz4_flex::block::get_maximum_output_size(body.len());
        if out.len() < room {
            out.resize(room, 0);
        }
        let packed = match out.get_mut(HEADER_BYTES..).map(|room| lz4_flex::block::compress_into(body, room)) {
            Some(Ok(length)) => length,
            // Room for the largest output was made above.
            Some(Err(_)) | None => 0,
        };
        let end = HEADER_BYTES + packed;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.push(VERSION);
        header.extend_from_slice(&u32::try_from(self.lengths.len()).unwrap_or(u32::MAX).to_le_bytes());
        header.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        let checksum = checksum(&header, out.get(HEADER_BYTES..end).unwrap_or_default());
        header.extend_from_slice(&checksum);
        if let Some(room) = out.get_mut(..HEADER_BYTES) {
            room.copy_from_slice(&header);
        }
        self.lengths.clear();
        self.body.clear();
        self.packed.get(..end).unwrap_or_default()
    }
}

/// Why a block cannot be read: the number of the record within it, and what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    /// Number of the record within the block; 0 for the block as a whole.
    pub index: usize,
    /// What is wrong.
    pub message: String,
}

fn damage(message: impl Into<String>) -> Damage {
    Damage { index: 0, message: message.into() }
}

/// How many records a block holds, from its header.
pub fn count(block: &[u8]) -> Result<usize, Damage> {
    match block.first() {
        Some(&VERSION) => number(block, 1),
        Some(version) => Err(damage(format!("the block has layout version {version}, and this keytrail reads version {VERSION}: use a newer keytrail"))),
        None => Err(damage("the block is empty")),
    }
}

/// Appends the block's records to `out`, and says how many bytes their encodings have.
pub fn decode(block: &[u8], out: &mut Vec<LogRecord>) -> Result<usize, Damage> {
    let count = count(block)?;
    let body_bytes = number(block, 5)?;
    let packed = block.get(HEADER_BYTES..).ok_or_else(|| damage("the block ends within its header"))?;
    if block.get(9..HEADER_BYTES) != Some(checksum(block.get(..9).unwrap_or_default(), packed).as_slice()) {
        return Err(damage("the block's checksum does not match: the storage has damaged it"));
    }
    if body_bytes > BODY_BYTES_MAX || count.saturating_mul(4) > body_bytes {
        return Err(damage("the block's header is impossible"));
    }
    let body = lz4_flex::block::decompress(packed, body_bytes).map_err(|error| damage(format!("the block does not expand: {error}")))?;
    let (index, mut rest) = body.split_at_checked(count * 4).ok_or_else(|| damage("the block ends within its index"))?;
    out.reserve(count);
    for (number, length) in index.as_chunks::<4>().0.iter().enumerate() {
        let length = u32::from_le_bytes(*length) as usize;
        let (record, after) = rest.split_at_checked(length).ok_or_else(|| Damage { index: number, message: "the record ends behind its block".into() })?;
        rest = after;
        out.push(LogRecord::decode(record).map_err(|error: DecodeError| Damage { index: number, message: error.to_string() })?);
    }
    Ok(body_bytes)
}

fn number(block: &[u8], at: usize) -> Result<usize, Damage> {
    let bytes = block.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or_else(|| damage("the block ends within its header"))?;
    Ok(u32::from_le_bytes(*bytes) as usize)
}

fn checksum(header: &[u8], packed: &[u8]) -> [u8; 8] {
    let mut first = [0; 8];
    blake3::Hasher::new().update(header).update(packed).finalize_xof().fill(&mut first);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use keytrail_schemas::Micros;

    fn sample() -> (Vec<LogRecord>, Vec<u8>) {
        let mut builder = Builder::default();
        let mut records = Vec::new();
        for number in 0..100 {
            let event = Event { time: Micros(number), identity: format!("aws:1:role/r{number}").into(), raw: Some("x".repeat(300)), ..Event::default() };
            assert!(builder.push_event(&event));
            records.push(LogRecord::Event(Box::new(event)));
        }
        assert!(builder.push_encoded(&LogRecord::encode_tick(Micros(7))));
        records.push(LogRecord::Tick { time: Micros(7) });
        (records, builder.finish().to_vec())
    }

    #[test]
    fn what_is_written_is_read() {
        let (records, block) = sample();
        assert!(block.len() < 101 * 300);
        assert_eq!(count(&block), Ok(101));
        let mut read = Vec::new();
        decode(&block, &mut read).unwrap();
        assert_eq!(read, records);
    }

    #[test]
    fn a_block_of_more_records_than_its_index_has_room_for_is_one_all_the_same_and_the_next_begins_anew() {
        let mut builder = Builder::default();
        for records in [3_000_i64, 5, 0, 2_049, 2_048] {
            let ticks: Vec<_> = (0..records).map(|time| LogRecord::Tick { time: Micros(time) }).collect();
            assert!((0..records).all(|time| builder.push_encoded(&LogRecord::encode_tick(Micros(time)))));
            let encoded: usize = (0..records).map(|time| LogRecord::encode_tick(Micros(time)).len()).sum();
            assert_eq!((builder.count() as i64, builder.bytes()), (records, encoded));
            let mut read = Vec::new();
            assert_eq!(decode(builder.finish(), &mut read), Ok(encoded + 4 * ticks.len()), "the index and the records");
            assert_eq!(read, ticks);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (_, block) = sample();
        for at in 0..block.len() {
            let mut bad = block.clone();
            bad[at] ^= 0x10;
            let mut read = Vec::new();
            let outcome = decode(&bad, &mut read);
            assert!(outcome.is_err(), "byte {at}");
            assert!(decode(&block[..at], &mut Vec::new()).is_err(), "cut at {at}");
        }
    }
}
