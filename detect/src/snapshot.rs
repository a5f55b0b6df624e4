//! The bytes of a detector's state: a magic word, a version, the unpacked length, a BLAKE3 checksum, and an LZ4 block of postcard.
//! Equal state gives equal bytes.

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

const MAGIC: &[u8; 8] = b"ktdetect";
/// Raised whenever the encoding of any part of the state changes: an older snapshot is then refused, and the log replayed.
const VERSION: u32 = 11;
const HEADER: usize = 8 + 4 + 8 + 32;
/// Unpacked sizes beyond this are no snapshot of ours.
const UNPACKED_BYTES_MAX: u64 = 16 << 30;

/// Packs a state.
#[expect(clippy::expect_used, reason = "postcard fails on sequences of unknown length only, and the state has none")]
pub fn pack(state: &impl Serialize) -> Vec<u8> {
    let plain = postcard::to_stdvec(state).expect("the state has an encoding");
    let packed = lz4_flex::block::compress(&plain);
    let mut bytes = Vec::with_capacity(HEADER + packed.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(plain.len() as u64).to_le_bytes());
    bytes.extend_from_slice(checksum(plain.len() as u64, &packed).as_bytes());
    bytes.extend_from_slice(&packed);
    bytes
}

/// Unpacks a state.
///
/// # Errors
/// [`Error`] when the bytes are no snapshot, of another version, or damaged.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(Error::NotASnapshot)?;
    if magic != MAGIC {
        return Err(Error::NotASnapshot);
    }
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(Error::NotASnapshot)?;
    let found = u32::from_le_bytes(*version);
    if found != VERSION {
        return Err(Error::SnapshotVersion { found, expected: VERSION });
    }
    let (length, rest) = rest.split_first_chunk::<8>().ok_or(Error::NotASnapshot)?;
    let length = u64::from_le_bytes(*length);
    let (sum, packed) = rest.split_first_chunk::<32>().ok_or(Error::NotASnapshot)?;
    if checksum(length, packed).as_bytes() != sum || length > UNPACKED_BYTES_MAX {
        return Err(Error::SnapshotChecksum);
    }
    let length = usize::try_from(length).map_err(|_| Error::SnapshotChecksum)?;
    let plain = lz4_flex::block::decompress(packed, length).map_err(Error::SnapshotBlock)?;
    postcard::from_bytes(&plain).map_err(Error::SnapshotContent)
}

fn checksum(length: u64, packed: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(packed);
    hasher.finalize()
}
