//! A file's expanded bytes: compression is told by the first bytes, never by the name, and expansion has bounds.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use keytrail_schemas::Reason;

use super::archive::{self, Budget, Held, Member, Method, Yield};
use super::fault::Fault;
use super::input::{Archive, ArchiveKind, Input, Origin};
use super::magic::{self, Packing};
use super::options::Limits;
use super::progress::Progress;
use super::recast;

/// A file, opened.
pub enum Opened {
    /// Its bytes.
    Bytes(Stream),
    /// It is an archive, with these members.
    Members(Arc<Archive>, Vec<archive::Listed>),
}

/// A file may be compressed within a compressed file, and no further.
const PACKINGS_MAX: u32 = 2;

/// Opens a file and sees through its compression.
pub fn open(input: &Input, limits: &Limits, budget: &Arc<Budget>, progress: &Arc<Progress>) -> Result<Opened, Fault> {
    let counter = Arc::new(Counter { bytes: AtomicU64::new(0), progress: Arc::clone(progress) });
    let raw = Counting { inner: input.open()?, counter: Arc::clone(&counter) };
    let mut stream: Box<dyn Read + Send> = Box::new(raw);
    let mut packings = 0;
    let mut packed = false;
    if let Origin::Member(_, member) = &input.origin {
        packed = member.method != Method::Stored;
        stream = Box::new(Checked::new(unpack(stream, member)?, member.crc32));
    }
    loop {
        let (head, rest) = peek(stream)?;
        match magic::packing(&head) {
            Some(_) if packings >= PACKINGS_MAX => {
                return Err(Fault::new(Reason::UnknownFormat, format!("the file is compressed more than {PACKINGS_MAX} times over: expand it first")));
            }
            None => {
                let rest = match recast::recast(&head, rest) {
                    Ok(recast) => {
                        packed = true;
                        recast
                    }
                    Err(rest) => rest,
                };
                let archive = input.expanded();
                let limit =
                    (packed || archive.is_some()).then(|| Limit { counter: Arc::clone(&counter), limits: limits.clone(), bytes: 0, archive, ended: false });
                return Ok(Opened::Bytes(Stream { inner: rest, limit, counter }));
            }
            Some(Packing::Gzip) => stream = Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(64 << 10, rest))),
            Some(Packing::Zstd) => stream = Box::new(zstd::stream::read::Decoder::new(rest).map_err(|error| Fault::of(&error))?),
            Some(Packing::Zip) => {
                if input.depth() >= PACKINGS_MAX {
                    return Err(Fault::new(Reason::UnknownFormat, format!("the archive lies in more than {} others: unpack it first", PACKINGS_MAX - 1)));
                }
                return match &input.origin {
                    Origin::File(path) if packings == 0 => {
                        let file = File::open(path).map_err(|error| Fault::of(&error))?;
                        let expanded = Yield::new(file.metadata().map_or(0, |about| about.len()), None);
                        let members = archive::list(BufReader::new(file), limits.archive_members_max)?;
                        Ok(Opened::Members(Arc::new(Archive { kind: ArchiveKind::File(path.clone()), depth: input.depth(), expanded }), members))
                    }
                    _ => {
                        let held = Held::read(rest, budget)?;
                        let members = archive::list(held.cursor(), limits.archive_members_max)?;
                        let expanded = Yield::new(held.len(), input.expanded());
                        Ok(Opened::Members(Arc::new(Archive { kind: ArchiveKind::Memory(held), depth: input.depth(), expanded }), members))
                    }
                };
            }
        }
        packings += 1;
        packed = true;
    }
}

/// An ordinary file from where it stands, without any compression.
pub fn plain(file: File, progress: &Arc<Progress>) -> Stream {
    let counter = Arc::new(Counter { bytes: AtomicU64::new(0), progress: Arc::clone(progress) });
    Stream { inner: Box::new(Counting { inner: Box::new(file), counter: Arc::clone(&counter) }), limit: None, counter }
}

fn unpack(packed: Box<dyn Read + Send>, member: &Member) -> Result<Box<dyn Read + Send>, Fault> {
    Ok(match member.method {
        Method::Stored => packed,
        Method::Deflate => Box::new(DeflateDecoder::new(packed)),
        Method::Zstd => Box::new(zstd::stream::read::Decoder::new(packed).map_err(|error| Fault::of(&error))?),
    })
}

/// The first bytes, and all bytes from the first on. Where the input breaks off early, it does so behind what it gave.
fn peek(mut stream: Box<dyn Read + Send>) -> Result<(Vec<u8>, Box<dyn Read + Send>), Fault> {
    let mut head = vec![0; magic::HEAD_BYTES];
    let mut length = 0;
    let mut failure = None;
    while let Some(room) = head.get_mut(length..).filter(|room| !room.is_empty()) {
        match stream.read(room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if length == 0 => return Err(Fault::of(&error)),
            Err(error) => {
                failure = Some(Fault::of(&error));
                break;
            }
        }
    }
    head.truncate(length);
    let rest: Box<dyn Read + Send> = match failure {
        Some(fault) => Box::new(Failing(Some(fault))),
        None => stream,
    };
    Ok((head.clone(), Box::new(io::Cursor::new(head).chain(rest))))
}

/// Fails once, then is at its end.
struct Failing(Option<Fault>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), |fault| Err(fault.into_io()))
    }
}

/// Bytes read from disk for one file.
#[derive(Debug)]
struct Counter {
    bytes: AtomicU64,
    progress: Arc<Progress>,
}

struct Counting {
    inner: Box<dyn Read + Send>,
    counter: Arc<Counter>,
}

impl Read for Counting {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(room)?;
        self.counter.bytes.fetch_add(count as u64, Ordering::Relaxed);
        self.counter.progress.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Checks a member's CRC-32 at its end.
struct Checked {
    inner: Box<dyn Read + Send>,
    crc: Crc,
    expected: u32,
    done: bool,
}

impl Checked {
    fn new(inner: Box<dyn Read + Send>, expected: u32) -> Self {
        Self { inner, crc: Crc::new(), expected, done: false }
    }
}

impl Read for Checked {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(room)?;
        self.crc.update(room.get(..count).unwrap_or_default());
        if count == 0 && !room.is_empty() && !std::mem::replace(&mut self.done, true) && self.crc.sum() != self.expected {
            return Err(
                Fault::new(Reason::Truncated, "the archive's checksum of this member does not match: it was cut off or is damaged; fetch it again").into_io()
            );
        }
        Ok(count)
    }
}

/// A file's expanded bytes.
pub struct Stream {
    inner: Box<dyn Read + Send>,
    limit: Option<Limit>,
    counter: Arc<Counter>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl Stream {
    /// Whether it is expanded from something.
    pub const fn is_packed(&self) -> bool {
        self.limit.is_some()
    }

    /// Takes what was read back from the progress: the file will be read again.
    pub fn uncount(counter: &ReadBytes) {
        let bytes = counter.0.bytes.swap(0, Ordering::Relaxed);
        counter.0.progress.bytes_read.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What was read from disk so far.
    pub fn read_bytes(&self) -> ReadBytes {
        ReadBytes(Arc::clone(&self.counter))
    }
}

/// What was read of a file from disk.
#[derive(Debug, Clone)]
pub struct ReadBytes(Arc<Counter>);

/// The bounds of expansion.
struct Limit {
    counter: Arc<Counter>,
    limits: Limits,
    bytes: u64,
    /// What came out of the archive that the file lies in: the bounds are the archive's as a whole.
    archive: Option<Arc<Yield>>,
    ended: bool,
}

impl Drop for Limit {
    fn drop(&mut self) {
        // Set aside after a first look: it is read again.
        if let Some(archive) = self.archive.as_ref().filter(|_| !self.ended) {
            archive.take_back(self.bytes);
        }
    }
}

impl Limit {
    fn check(&mut self, count: usize) -> Result<(), Fault> {
        self.bytes += count as u64;
        self.ended |= count == 0;
        let limits = &self.limits;
        let (what, bytes, packed) = match self.archive.as_ref().map(|archive| archive.add(count as u64)) {
            Some((bytes, packed)) => ("archive", bytes, packed),
            None => ("file", self.bytes, self.counter.bytes.load(Ordering::Relaxed).max(1)),
        };
        if bytes > limits.expanded_bytes_max {
            self.ended = true;
            return Err(Fault::new(
                Reason::Expansion,
                format!(
                    "the {what} expands to more than {} bytes: the rest of it is kept out; expand it first, or raise expanded_bytes_max",
                    limits.expanded_bytes_max
                ),
            ));
        }
        if bytes > limits.expansion_free_bytes && bytes / packed >= limits.expansion_ratio_max {
            self.ended = true;
            return Err(Fault::new(
                Reason::Expansion,
                format!(
                    "{packed} bytes of the {what} expand to {bytes}, more than {}-fold: the rest of it is kept out; if it is not a trap, expand it first, or raise expansion_ratio_max",
                    limits.expansion_ratio_max
                ),
            ));
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(room)?;
        if let Some(limit) = &mut self.limit {
            limit.check(count).map_err(Fault::into_io)?;
        }
        Ok(count)
    }
}
