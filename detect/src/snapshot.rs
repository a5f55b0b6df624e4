//! The bytes of a detector's state: a magic word, a version, a BLAKE3 checksum of all that follows, the number of pieces, for each its unpacked and its
//! packed length, and the pieces: LZ4 blocks of postcard. Pieces are packed on several threads. Equal state gives equal bytes.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

const MAGIC: &[u8; 8] = b"ktdetect";
/// Raised whenever the encoding of any part of the state changes: an older snapshot is then refused, and the log replayed.
const VERSION: u32 = 19;
/// Unpacked sizes beyond this are no snapshot of ours.
const UNPACKED_BYTES_MAX: u64 = 16 << 30;
/// Threads that pack and unpack.
const THREADS_MAX: usize = 8;

/// A part of a state.
pub trait Piece: Sync {
    /// Appends its encoding.
    fn plain(&self, to: &mut Vec<u8>);
}

impl<T: Serialize + Sync> Piece for T {
    #[expect(clippy::expect_used, reason = "postcard fails on sequences of unknown length only, and the state has none")]
    fn plain(&self, to: &mut Vec<u8>) {
        postcard::serialize_with_flavor(self, Plain(to)).expect("the state has an encoding");
    }
}

/// Where postcard writes to: memory that is used again for the next piece.
struct Plain<'a>(&'a mut Vec<u8>);

impl Flavor for Plain<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Most are numbers of few bytes: a copy of a known length is no call.
        match *bytes {
            [a] => self.0.push(a),
            [a, b] => self.0.extend_from_slice(&[a, b]),
            [a, b, c] => self.0.extend_from_slice(&[a, b, c]),
            [a, b, c, d] => self.0.extend_from_slice(&[a, b, c, d]),
            [a, b, c, d, e] => self.0.extend_from_slice(&[a, b, c, d, e]),
            [a, b, c, d, e, f, g, h] => self.0.extend_from_slice(&[a, b, c, d, e, f, g, h]),
            [a, b, c, d, e, f, g, h, i] => self.0.extend_from_slice(&[a, b, c, d, e, f, g, h, i]),
            [a, b, c, d, e, f, g, h, i, j] => self.0.extend_from_slice(&[a, b, c, d, e, f, g, h, i, j]),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// A piece as it stands in a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    plain_bytes: usize,
    packed: &'a [u8],
}

/// Does `count` pieces of work, each told its place, on several threads; what they gave, in the order of their places. Each thread has something `of_its_own`.
pub fn on_all_cores<S, T: Send>(count: usize, of_its_own: impl Fn() -> S + Sync, work: impl Fn(&mut S, usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let turns = || {
        let (mut own, mut done) = (of_its_own(), Vec::new());
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return done;
            }
            done.push((at, work(&mut own, at)));
        }
    };
    let others = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX).min(count).saturating_sub(1);
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(turns)).collect();
        let mut done = turns();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, done)| done).collect()
}

/// Packs a state.
pub fn pack(pieces: &[&dyn Piece]) -> Vec<u8> {
    let memory = || (Vec::new(), Vec::new());
    let done: Vec<(usize, Vec<u8>)> = on_all_cores(pieces.len(), memory, |(plain, packed): &mut (Vec<u8>, Vec<u8>), at| {
        plain.clear();
        if let Some(piece) = pieces.get(at) {
            piece.plain(plain);
        }
        let room = lz4_flex::block::get_maximum_output_size(plain.len());
        if packed.len() < room {
            packed.resize(room, 0);
        }
        // There is room for whatever comes out.
        let length = lz4_flex::block::compress_into(plain, packed).unwrap_or_default();
        (plain.len(), packed.get(..length).unwrap_or_default().to_vec())
    });
    let head = MAGIC.len() + 4 + blake3::OUT_LEN;
    let mut bytes = Vec::with_capacity(head + 8 + done.iter().map(|(_, packed)| 16 + packed.len()).sum::<usize>());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; blake3::OUT_LEN]);
    bytes.extend_from_slice(&(done.len() as u64).to_le_bytes());
    for (plain, packed) in &done {
        bytes.extend_from_slice(&(*plain as u64).to_le_bytes());
        bytes.extend_from_slice(&(packed.len() as u64).to_le_bytes());
    }
    for (_, packed) in done {
        bytes.extend_from_slice(&packed);
    }
    if let Some((head, body)) = bytes.split_at_mut_checked(head) {
        let sum = blake3::hash(body);
        head.iter_mut().rev().zip(sum.as_bytes().iter().rev()).for_each(|(to, from)| *to = *from);
    }
    bytes
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
    /// Unpacks a piece; `plain` is memory that is used again.
    ///
    /// # Errors
    /// [`Error`] when it is damaged, or another piece.
    pub fn unpack<T: DeserializeOwned>(&self, plain: &mut Vec<u8>) -> Result<T, Error> {
        // Every byte of a packed block stands for at most 255 others.
        if self.plain_bytes / 256 > self.packed.len() {
            return Err(Error::SnapshotChecksum);
        }
        if plain.len() < self.plain_bytes {
            plain.resize(self.plain_bytes, 0);
        }
        let length = lz4_flex::block::decompress_into(self.packed, plain).map_err(Error::SnapshotBlock)?;
        postcard::from_bytes(plain.get(..length).unwrap_or_default()).map_err(Error::SnapshotContent)
    }
}
