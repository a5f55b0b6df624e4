//! The bytes of a detector's state: a magic word, a version, a BLAKE3 checksum of all that follows, the number of pieces, for each its unpacked and its
//! packed length, and the pieces: LZ4 blocks of postcard. Pieces are packed on several threads. Equal state gives equal bytes.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

const MAGIC: &[u8; 8] = b"ktdetect";
/// Raised whenever the encoding of any part of the state changes: an older snapshot is then refused, and the log replayed.
const VERSION: u32 = 15;
/// Unpacked sizes beyond this are no snapshot of ours.
const UNPACKED_BYTES_MAX: u64 = 16 << 30;
/// Threads that pack.
const THREADS_MAX: usize = 8;

/// A part of a state.
pub trait Piece: Sync {
    /// Its encoding.
    fn plain(&self) -> Vec<u8>;
}

impl<T: Serialize + Sync> Piece for T {
    #[expect(clippy::expect_used, reason = "postcard fails on sequences of unknown length only, and the state has none")]
    fn plain(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("the state has an encoding")
    }
}

/// A piece as it stands in a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    plain_bytes: usize,
    packed: &'a [u8],
}

/// A piece that was packed: its place, its length before, and its bytes.
type Done = (usize, usize, Vec<u8>);

/// Packs a state.
pub fn pack(pieces: &[&dyn Piece]) -> Vec<u8> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done: Vec<Done> = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(at) else { return done };
            let plain = piece.plain();
            done.push((at, plain.len(), lz4_flex::block::compress(&plain)));
        }
    };
    let others = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX).min(pieces.len()).saturating_sub(1);
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, ..)| *at);
    let mut body = Vec::with_capacity(8 + done.iter().map(|(_, _, packed)| 16 + packed.len()).sum::<usize>());
    body.extend_from_slice(&(done.len() as u64).to_le_bytes());
    for (_, plain, packed) in &done {
        body.extend_from_slice(&(*plain as u64).to_le_bytes());
        body.extend_from_slice(&(packed.len() as u64).to_le_bytes());
    }
    for (_, _, packed) in &done {
        body.extend_from_slice(packed);
    }
    let checksum = blake3::hash(&body);
    [MAGIC.as_slice(), &VERSION.to_le_bytes(), checksum.as_bytes(), &body].concat()
}

/// The pieces of a snapshot.
///
/// # Errors
/// [`Error`] when the bytes are no snapshot, of another version, or damaged.
pub fn pieces(bytes: &[u8]) -> Result<Vec<Packed<'_>>, Error> {
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(Error::NotASnapshot)?;
    if magic != MAGIC {
        return Err(Error::NotASnapshot);
    }
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(Error::NotASnapshot)?;
    let found = u32::from_le_bytes(*version);
    if found != VERSION {
        return Err(Error::SnapshotVersion { found, expected: VERSION });
    }
    let (sum, body) = rest.split_first_chunk::<32>().ok_or(Error::NotASnapshot)?;
    if blake3::hash(body).as_bytes() != sum {
        return Err(Error::SnapshotChecksum);
    }
    let number = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).map_err(|_| Error::SnapshotChecksum);
    let (count, rest) = body.split_first_chunk::<8>().ok_or(Error::NotASnapshot)?;
    let head = number(count)?.checked_mul(16).ok_or(Error::NotASnapshot)?;
    let (head, mut rest) = rest.split_at_checked(head).ok_or(Error::NotASnapshot)?;
    let mut pieces = Vec::with_capacity(head.len() / 16);
    for [plain, packed] in head.as_chunks::<8>().0.as_chunks::<2>().0 {
        let (plain_bytes, packed) = (number(plain)?, number(packed)?);
        if plain_bytes as u64 > UNPACKED_BYTES_MAX {
            return Err(Error::SnapshotChecksum);
        }
        let (packed, after) = rest.split_at_checked(packed).ok_or(Error::NotASnapshot)?;
        pieces.push(Packed { plain_bytes, packed });
        rest = after;
    }
    Ok(pieces)
}

impl Packed<'_> {
    /// Unpacks a piece.
    ///
    /// # Errors
    /// [`Error`] when it is damaged, or another piece.
    pub fn unpack<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let plain = lz4_flex::block::decompress(self.packed, self.plain_bytes).map_err(Error::SnapshotBlock)?;
        postcard::from_bytes(&plain).map_err(Error::SnapshotContent)
    }
}
