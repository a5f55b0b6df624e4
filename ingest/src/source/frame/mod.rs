//! Cuts a file into records, in bounded memory, and goes on behind what is damaged. It understands no record.

mod json;
mod line;
mod scan;

use std::io::Read;
use std::sync::Arc;

use keytrail_schemas::Reason;

use super::buffer::Share;
use super::fault::Fault;
use super::turn::{Taken, Turn};

/// One piece of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A record.
    Record {
        /// Its bytes, without white space around them.
        bytes: &'a [u8],
        /// Where it stands.
        place: Place,
    },
    /// Something that is no record, or a record that is too long; reading goes on behind it.
    Damaged(Damage),
}

impl Frame<'_> {
    /// Where it stands.
    pub const fn place(&self) -> Place {
        match self {
            Self::Record { place, .. } => *place,
            Self::Damaged(damage) => damage.place,
        }
    }
}

/// Where something stands in an expanded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the line, from 1; of the record in a file that has all of them on its first line.
    pub line: u64,
    /// Offset of the first byte.
    pub byte_offset: u64,
}

/// Bytes that are no record.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    /// Why, and what to do.
    pub fault: Fault,
    /// The first bytes of it.
    pub head: Vec<u8>,
    /// How many bytes it has.
    pub bytes: u64,
    /// Where it begins.
    pub place: Place,
}

/// Bytes that are asked of the file at once, at least.
const READ_BYTES: usize = 128 << 10;
/// And how many where buffers are scarce, or a file is only looked at.
const STEP_BYTES_MIN: usize = READ_BYTES / 8;

/// Cuts a file into records.
#[derive(Debug)]
pub struct Framer<R> {
    window: Window<R>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Lines,
    Json(Box<json::Json>),
}

impl<R: Read> Framer<R> {
    /// A framer that yields lines, until told otherwise.
    pub fn new(input: R, record_bytes_max: usize, head_bytes_max: usize) -> Self {
        Self { window: Window::new(input, record_bytes_max, head_bytes_max), kind: Kind::Lines }
    }

    /// A framer of a file from `offset` on, where the line of this number begins.
    pub fn resume(input: R, record_bytes_max: usize, head_bytes_max: usize, offset: u64, line: u64) -> Self {
        let mut framer = Self::new(input, record_bytes_max, head_bytes_max);
        (framer.window.offset, framer.window.line, framer.window.begun) = (offset, line, offset > 0);
        framer
    }

    /// A record that is great is read when it is its turn among those of all files.
    pub fn take_turns(&mut self, turn: &Arc<Turn>) {
        self.window.turn = Some(Arc::clone(turn));
    }

    /// What the file's buffers take counts among those of all files.
    pub fn share(&mut self, share: Share) {
        self.window.share = Some(share);
        self.window.account();
    }

    /// The file waits: gives back what memory a great record took, and its turn. `beside` is what else the file holds in buffers. Says whether that is to be given back,
    /// too: all files together hold too much.
    pub fn shed(&mut self, beside: usize) -> bool {
        self.window.shed();
        self.window.taken = None;
        self.window.beside = beside;
        self.window.account();
        let scarce = self.window.is_scarce();
        if scarce {
            self.window.beside = 0;
            self.window.step = STEP_BYTES_MIN;
            self.window.cut_to(self.window.data().len());
        }
        scarce
    }

    /// The file may grow: a record at its end that has not ended is left where it is.
    pub fn leave_open(&mut self) {
        self.window.is_open = true;
    }

    /// Whether the file may grow.
    pub fn is_open(&self) -> bool {
        self.window.is_open
    }

    /// Whether something was left at the end of an open file.
    pub fn leaves_something(&self) -> bool {
        !self.window.data().trim_ascii().is_empty()
    }

    /// Whether reading could begin anew here: between two lines, or between two values that are in no array.
    pub fn is_settled(&self) -> bool {
        match &self.kind {
            Kind::Lines => self.window.before(1) == b"\n",
            Kind::Json(json) => json.is_outside(),
        }
    }

    /// Number of the line that comes next.
    pub fn line(&self) -> u64 {
        self.window.line
    }

    /// The last bytes that were consumed, as far as they are still there.
    pub fn before(&self, bytes_max: usize) -> Vec<u8> {
        self.window.before(bytes_max)
    }

    /// Yields JSON values from here on; arrays behind one of the keys `envelopes` hold records.
    pub fn set_json(&mut self, envelopes: Vec<&'static str>) {
        self.kind = Kind::Json(Box::new(json::Json::new(envelopes)));
    }

    /// The first bytes of the file, at most `bytes_max` of them, and whether they are all; to be called before the first record is taken.
    pub fn peek(&mut self, bytes_max: usize) -> (&[u8], bool) {
        self.window.fill_to(bytes_max);
        self.window.skip_mark();
        let data = self.window.data();
        let whole = self.window.ended && data.len() <= bytes_max;
        (data.get(..bytes_max).unwrap_or(data), whole)
    }

    /// The input has broken off already, for this reason.
    pub fn fault(&self) -> Option<&Fault> {
        self.window.fault.as_ref()
    }

    /// Bytes that were consumed.
    pub fn consumed(&self) -> u64 {
        self.window.offset
    }

    /// The next piece; `None` behind the last one.
    pub fn next(&mut self) -> Option<Frame<'_>> {
        self.window.skip_mark();
        let found = match &mut self.kind {
            Kind::Lines => line::find(&mut self.window),
            Kind::Json(json) => json.next(&mut self.window),
        };
        match found {
            Found::Record { start, end, place } => Some(Frame::Record { bytes: self.window.buffer.get(start..end).unwrap_or_default(), place }),
            Found::Damaged(damage) => Some(Frame::Damaged(damage)),
            Found::End => None,
        }
    }
}

/// What was found; a record's bytes stay in the window until the next look.
enum Found {
    Record { start: usize, end: usize, place: Place },
    Damaged(Damage),
    End,
}

/// The part of the file that is in memory, and where it stands.
#[derive(Debug)]
struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the file.
    offset: u64,
    /// Number of the line that `start` is in.
    line: u64,
    ended: bool,
    /// Why the input broke off; taken when it has been told.
    fault: Option<Fault>,
    record_bytes_max: usize,
    head_bytes_max: usize,
    begun: bool,
    /// The file may grow.
    is_open: bool,
    /// What was consumed last before the buffer's first byte.
    behind: Vec<u8>,
    turn: Option<Arc<Turn>>,
    taken: Option<Taken>,
    /// The most that is read at once: little at first, for of many files no more than the beginning is looked at.
    step: usize,
    share: Option<Share>,
    /// What the file holds in other buffers.
    beside: usize,
}

impl<R> Drop for Window<R> {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.leave(std::mem::take(&mut self.buffer));
        }
    }
}

/// Consumed bytes that are still there when the buffer has been moved on.
const BEHIND_BYTES: usize = 256;

impl<R: Read> Window<R> {
    fn new(input: R, record_bytes_max: usize, head_bytes_max: usize) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            line: 1,
            ended: false,
            fault: None,
            record_bytes_max: record_bytes_max.max(1),
            head_bytes_max,
            begun: false,
            is_open: false,
            behind: Vec::new(),
            turn: None,
            taken: None,
            step: STEP_BYTES_MIN,
            share: None,
            beside: 0,
        }
    }

    /// What is in memory and not consumed.
    fn data(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The last bytes that were consumed.
    fn before(&self, bytes_max: usize) -> Vec<u8> {
        let here = self.buffer.get(self.start.saturating_sub(bytes_max)..self.start).unwrap_or_default();
        let missing = bytes_max - here.len();
        let behind = self.behind.get(self.behind.len().saturating_sub(missing)..).unwrap_or_default();
        [behind, here].concat()
    }

    fn place(&self) -> Place {
        Place { line: self.line, byte_offset: self.offset }
    }

    /// Reads more; `false` when there is no more.
    fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        self.shed();
        let scarce = self.is_scarce();
        if let Some(share) = self.share.as_ref().filter(|_| self.buffer.is_empty() && !scarce) {
            self.buffer = share.buffer();
            self.account();
        }
        // Of most files that are looked at first, no more is read: a buffer for more would be cleared for nothing.
        let room = if scarce || self.buffer.is_empty() { STEP_BYTES_MIN } else { READ_BYTES };
        if self.buffer.len() - self.end < room {
            if self.start > 0 {
                self.behind = self.before(BEHIND_BYTES);
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.buffer.len() - self.end < room {
                // No larger than the longest record and what is read at once.
                let most = self.record_bytes_max.saturating_add(2 * READ_BYTES);
                let wanted = (self.buffer.len() * 2).min(most).max(self.end + room);
                if wanted > 8 * READ_BYTES && self.taken.is_none() {
                    self.taken = self.turn.as_ref().map(Turn::take);
                }
                self.buffer.reserve_exact(wanted - self.buffer.len());
                self.buffer.resize(wanted, 0);
                self.account();
            }
        }
        loop {
            // A little at a time: what is read behind a great record is held as long as its file waits.
            let until = self.buffer.len().min(self.end + self.step);
            self.step = if scarce { STEP_BYTES_MIN } else { (2 * self.step).min(4 * READ_BYTES) };
            let Some(room) = self.buffer.get_mut(self.end..until) else { return false };
            match self.input.read(room) {
                Ok(0) => {
                    self.ended = true;
                    return false;
                }
                Ok(count) => {
                    self.end += count.min(room.len());
                    return true;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.fault = Some(Fault::of(&error));
                    self.ended = true;
                    return false;
                }
            }
        }
    }

    /// A great record has passed: its memory goes.
    fn shed(&mut self) {
        if self.buffer.len() <= 8 * READ_BYTES || self.end - self.start > 4 * READ_BYTES {
            return;
        }
        self.cut_to((self.end - self.start).max(4 * READ_BYTES));
        self.taken = None;
    }

    /// Holds what is not consumed in a buffer of this size.
    fn cut_to(&mut self, bytes: usize) {
        self.behind = self.before(BEHIND_BYTES);
        let rest = self.end - self.start;
        let mut smaller = vec![0; bytes];
        if let (Some(room), Some(data)) = (smaller.get_mut(..rest), self.buffer.get(self.start..self.end)) {
            room.copy_from_slice(data);
        }
        (self.buffer, self.start, self.end) = (smaller, 0, rest);
        self.account();
    }

    /// Says what is held.
    fn account(&mut self) {
        let bytes = self.buffer.capacity() + self.beside;
        self.share.iter_mut().for_each(|share| share.set(bytes));
    }

    fn is_scarce(&self) -> bool {
        self.share.as_ref().is_some_and(Share::is_scarce)
    }

    fn fill_to(&mut self, bytes: usize) {
        while self.data().len() < bytes && self.fill() {}
    }

    /// Passes over UTF-8's byte-order mark at the start of the file.
    fn skip_mark(&mut self) {
        if !self.begun {
            self.begun = true;
            self.fill_to(3);
            if self.data().starts_with(&[0xef, 0xbb, 0xbf]) {
                self.start += 3;
                self.offset += 3;
            }
        }
    }

    /// Consumes bytes; lines are counted.
    fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.end - self.start);
        self.line += self.data().get(..bytes).map_or(0, |passed| memchr::memchr_iter(b'\n', passed).count() as u64);
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Consumes a line whose only line's end is its last byte, or that has none.
    fn consume_line(&mut self, bytes: usize, ended: bool) {
        self.start += bytes;
        self.offset += bytes as u64;
        self.line += u64::from(ended);
    }

    /// Consumes the next `bytes` bytes as damage.
    fn damaged(&mut self, bytes: usize, fault: Fault) -> Damage {
        let mut swallow = Swallow::new(self);
        swallow.take(self, bytes);
        swallow.finish(fault)
    }

    /// What ended the input, as the reason for what is left of it; else `otherwise`.
    fn take_fault_or(&mut self, otherwise: impl FnOnce() -> Fault) -> Fault {
        self.fault.take().unwrap_or_else(otherwise)
    }

    fn too_long(&self) -> Fault {
        Fault::new(Reason::TooLong, format!("the record is longer than {} bytes: it is kept out; raise record_bytes_max to read it", self.record_bytes_max))
    }
}

/// Bytes that pass by without being kept, except for their head and length.
struct Swallow {
    head: Vec<u8>,
    head_bytes_max: usize,
    bytes: u64,
    place: Place,
}

impl Swallow {
    fn new<R: Read>(window: &Window<R>) -> Self {
        Self { head: Vec::new(), head_bytes_max: window.head_bytes_max, bytes: 0, place: window.place() }
    }

    /// Consumes bytes of the window.
    fn take<R: Read>(&mut self, window: &mut Window<R>, bytes: usize) {
        let data = window.data();
        let passed = data.get(..bytes).unwrap_or(data);
        let room = self.head_bytes_max.saturating_sub(self.head.len());
        self.head.extend_from_slice(passed.get(..room).unwrap_or(passed));
        self.bytes += passed.len() as u64;
        window.consume(bytes);
    }

    /// Consumes up to the end of the line, and the end itself without counting it among the damage.
    fn take_line<R: Read>(&mut self, window: &mut Window<R>) {
        loop {
            match memchr::memchr(b'\n', window.data()) {
                Some(at) => {
                    self.take(window, at);
                    window.consume(1);
                    return;
                }
                None => {
                    let all = window.data().len();
                    self.take(window, all);
                    if !window.fill() {
                        return;
                    }
                }
            }
        }
    }

    fn finish(self, fault: Fault) -> Damage {
        Damage { fault, head: self.head, bytes: self.bytes, place: self.place }
    }
}

#[cfg(test)]
mod tests;
