//! Zip archives: their lists of members, and archives that lie within other files and are held in memory to be read.

use std::io::{Cursor, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keytrail_schemas::Reason;
use zip::{CompressionMethod, ZipArchive};

use super::fault::Fault;

/// A member of an archive.
#[derive(Debug, Clone)]
pub struct Member {
    /// Where its packed bytes begin in the archive.
    pub start: u64,
    pub packed_bytes: u64,
    pub method: Method,
    /// CRC-32 of its expanded bytes.
    pub crc32: u32,
}

/// How a member is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Stored,
    Deflate,
    Zstd,
}

/// A member, or why it cannot be read.
pub type Listed = (String, Result<Member, Fault>);

/// The members of an archive that are files, in the order of the archive.
pub fn list<R: Read + Seek>(archive: R, members_max: usize) -> Result<Vec<Listed>, Fault> {
    let mut archive = ZipArchive::new(archive)
        .map_err(|error| Fault::new(Reason::Truncated, format!("the zip archive cannot be read ({error}): it was cut off or is damaged; fetch it again")))?;
    if archive.len() > members_max {
        return Err(Fault::new(
            Reason::Expansion,
            format!("the zip archive has {} members, and {members_max} is the limit: unpack it first, or raise archive_members_max", archive.len()),
        ));
    }
    let mut members: Vec<Listed> = Vec::new();
    for number in 0..archive.len() {
        let entry = match archive.by_index_raw(number) {
            Ok(entry) => entry,
            Err(error) => {
                members.push((format!("member {number}"), Err(Fault::new(Reason::Unreadable, format!("the member cannot be read: {error}")))));
                continue;
            }
        };
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned(), std::borrow::Cow::into_owned);
        let method = method(entry.compression());
        let member = match (entry.encrypted(), method, entry.data_start()) {
            (true, ..) => Err(Fault::new(Reason::Unreadable, "the member is encrypted: unpack it first")),
            (_, Err(method), _) => Err(Fault::new(Reason::Unreadable, format!("the member is packed with {method}, which is not read here: unpack it first"))),
            (_, _, None) => Err(Fault::new(Reason::Unreadable, "the archive does not say where the member is")),
            (false, Ok(method), Some(start)) => Ok(Member { start, packed_bytes: entry.compressed_size(), method, crc32: entry.crc32() }),
        };
        members.push((name, member));
    }
    refuse_overlaps(&mut members);
    Ok(members)
}

/// Members that share bytes with another are a trap: no archiver writes them, and each would expand the same bytes again.
fn refuse_overlaps(members: &mut [Listed]) {
    let spans = members.iter().enumerate().filter_map(|(number, (_, member))| {
        let member = member.as_ref().ok()?;
        (member.packed_bytes > 0).then_some((member.start, member.start.saturating_add(member.packed_bytes), number))
    });
    let mut spans: Vec<(u64, u64, usize)> = spans.collect();
    spans.sort_unstable();
    let mut furthest: Option<(u64, usize)> = None;
    let mut overlapping = Vec::new();
    for (start, end, number) in spans {
        if let Some((reached, other)) = furthest.filter(|(reached, _)| start < *reached) {
            overlapping.extend([number, other]);
            furthest = Some(if end > reached { (end, number) } else { (reached, other) });
        } else {
            furthest = Some((end, number));
        }
    }
    for number in overlapping {
        if let Some((_, member)) = members.get_mut(number) {
            *member = Err(Fault::new(
                Reason::Expansion,
                "the member's bytes are another member's too, which makes a small archive expand to a great one: it is kept out",
            ));
        }
    }
}

/// What came out of one archive, those within it included.
#[derive(Debug)]
pub struct Yield {
    /// The archive's own bytes.
    packed: u64,
    expanded: AtomicU64,
    /// That of the archive which it lies in.
    outer: Option<Arc<Yield>>,
}

impl Yield {
    pub fn new(packed: u64, outer: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { packed, expanded: AtomicU64::new(0), outer })
    }

    /// Adds bytes, and says how much the archive expanded to by now from how much, for the one of the enclosing archives that expanded most.
    pub fn add(&self, bytes: u64) -> (u64, u64) {
        let own = (self.expanded.fetch_add(bytes, Ordering::AcqRel) + bytes, self.packed.max(1));
        match self.outer.as_ref().map(|outer| outer.add(bytes)) {
            Some(outer) if outer.0 / outer.1 > own.0 / own.1 => outer,
            _ => own,
        }
    }

    /// Takes back what is going to be read again.
    pub fn take_back(&self, bytes: u64) {
        self.expanded.fetch_sub(bytes, Ordering::AcqRel);
        if let Some(outer) = &self.outer {
            outer.take_back(bytes);
        }
    }
}

#[expect(deprecated, reason = "the zip crate names methods it was built without by their number alone")]
fn method(method: CompressionMethod) -> Result<Method, String> {
    match method {
        CompressionMethod::Stored => Ok(Method::Stored),
        CompressionMethod::Deflated => Ok(Method::Deflate),
        CompressionMethod::Unsupported(93) => Ok(Method::Zstd),
        other => Err(format!("{other:?}")),
    }
}

/// An archive's bytes in memory, counted against what all such archives may take.
#[derive(Debug, Clone)]
pub struct Held(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    bytes: Vec<u8>,
    budget: Arc<Budget>,
}

/// What archives within archives may take of memory.
#[derive(Debug)]
pub struct Budget {
    bytes: AtomicU64,
    bytes_max: u64,
}

impl Budget {
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(0), bytes_max })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes.len() as u64, Ordering::AcqRel);
    }
}

impl Held {
    /// Reads an archive into memory.
    pub fn read(mut input: impl Read, budget: &Arc<Budget>) -> Result<Self, Fault> {
        let mut counted = Counted { bytes: Vec::new(), budget: Arc::clone(budget) };
        let mut piece = vec![0; 64 << 10];
        loop {
            let count = match input.read(&mut piece) {
                Ok(0) => return Ok(Self(Arc::new(counted))),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Fault::of(&error)),
            };
            counted.bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
            if budget.bytes.fetch_add(count as u64, Ordering::AcqRel) + count as u64 > budget.bytes_max {
                return Err(Fault::new(
                    Reason::Expansion,
                    format!(
                        "archives within other files take more than {} bytes of memory: unpack this one first, or raise archive_memory_bytes_max",
                        budget.bytes_max
                    ),
                ));
            }
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.0.bytes.len() as u64
    }

    /// All of it.
    pub fn cursor(&self) -> Cursor<&[u8]> {
        Cursor::new(&self.0.bytes)
    }

    /// A part of it.
    pub fn reader(&self, start: u64, bytes: u64) -> Part {
        let length = self.0.bytes.len();
        let start = usize::try_from(start).unwrap_or(length).min(length);
        let end = start.saturating_add(usize::try_from(bytes).unwrap_or(length)).min(length);
        Part { held: self.clone(), start, end }
    }
}

/// A part of an archive in memory.
#[derive(Debug)]
pub struct Part {
    held: Held,
    start: usize,
    end: usize,
}

impl Read for Part {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let mut rest = self.held.0.bytes.get(self.start..self.end).unwrap_or_default();
        let count = rest.read(room)?;
        self.start += count;
        Ok(count)
    }
}
