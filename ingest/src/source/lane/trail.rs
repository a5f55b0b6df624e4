//! A followed file's way through its lane: the places at which reading could begin anew, and how a file is gone on with.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Cursor, Read, Seek as _, SeekFrom};
use std::sync::Arc;

use super::super::fault::Fault;
use super::super::follow::{Follow, Parked, Position, Print, Reached, stretch};
use super::super::frame::{Framer, Place};
use super::super::input::Input;
use super::super::letter;
use super::super::options::Choice;
use super::super::stream;
use super::super::unit::Unit;
use super::{Lane, Records, Shared, State, set_framing};
use crate::format::{Framing, auto};

/// A file is known by so many of its first bytes, or as many as it has.
pub(super) const HEAD_BYTES: usize = 1 << 10;
/// And by so many at the position.
const MARK_BYTES: usize = 256;
/// So many bytes before the position tell a new parser what stood there.
const WARM_BYTES: u64 = 1 << 20;
/// Lines that begin a file with `#` are told to it as well, up to here.
const HEADER_BYTES: u64 = 64 << 10;

/// The places of one file.
pub struct Trail {
    path: String,
    head: Print,
    /// The latest place at which reading could begin anew.
    settled: Option<Spot>,
    /// The records that are held back, the oldest first.
    held: VecDeque<Spot>,
}

/// A place in a file, and by what it is known.
#[derive(Clone)]
struct Spot {
    offset: u64,
    line: u64,
    mark: Print,
}

impl Trail {
    /// The trail of a file that begins with `head`, which stands at `at`.
    pub(super) fn begin(path: &str, head: &[u8], at: u64) -> Self {
        Self { path: path.to_owned(), head: Print::of(at, head.get(..HEAD_BYTES).unwrap_or(head)), settled: None, held: VecDeque::new() }
    }

    /// The record that was just taken is held back.
    pub(super) fn hold<R: Read>(&mut self, framer: &Framer<R>, place: Place) {
        self.held.push_back(Spot { offset: place.byte_offset, line: place.line, mark: mark(framer) });
    }

    /// How far the file has been read.
    pub(super) fn reached<R: Read>(&mut self, framer: &Framer<R>, records: &Records) -> Reached {
        if framer.is_settled() && framer.consumed() > 0 && matches!(records.state, State::Chosen(_)) {
            self.settled = Some(Spot { offset: framer.consumed(), line: framer.line(), mark: mark(framer) });
        }
        match records.oldest_held() {
            Some(oldest) => while self.held.pop_front_if(|spot| spot.line < oldest).is_some() {},
            None => self.held.clear(),
        }
        let spot = self.held.front().or(self.settled.as_ref());
        Reached { path: self.path.clone(), position: spot.and_then(|spot| self.position(spot, records)), end: None }
    }

    /// What goes on when the file has grown, if it stands where that is possible.
    pub(super) fn park<R: Read>(self, framer: &Framer<R>, records: Records) -> Option<Parked> {
        let spot = self.settled.as_ref().filter(|spot| spot.offset == framer.consumed())?;
        let position = self.position(spot, &records)?;
        Some(Parked { position, records, trail: self })
    }

    fn position(&self, spot: &Spot, records: &Records) -> Option<Position> {
        let State::Chosen(format) = records.state else { return None };
        let Spot { offset, line, mark } = spot.clone();
        Some(Position { offset, line, format: format.name().to_owned(), head: self.head.clone(), mark })
    }
}

/// The last bytes that were consumed.
fn mark<R: Read>(framer: &Framer<R>) -> Print {
    let bytes = framer.before(MARK_BYTES);
    Print::of(framer.consumed() - bytes.len() as u64, &bytes)
}

/// Whether the file is finished, as far as its time of change says.
pub(super) fn is_finished(follow: &Follow, file: &File, shared: &Shared) -> bool {
    let modified = file.metadata().and_then(|about| about.modified()).ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = modified.and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or_default();
    follow.is_finished(modified, (shared.options.clock)())
}

/// Goes on with a file whose parser was kept.
pub(super) fn go_on(input: &Input, shared: &Arc<Shared>, file: File, parked: Parked, is_finished: bool) -> Result<Lane, Fault> {
    let Parked { position, mut records, mut trail } = parked;
    records.shared = Arc::clone(shared);
    records.path.clone_from(&input.name);
    records.redate(input);
    input.file_name().clone_into(&mut records.context.file_name);
    trail.path.clone_from(&input.name);
    lane(shared, file, &position, records, trail, is_finished)
}

/// Goes on with a file of which only the position is known: a new parser is told what stood before it. `None` when it is now to be read as
/// another format.
pub(super) fn resume(input: &Input, shared: &Arc<Shared>, file: File, position: &Position, is_finished: bool) -> Result<Option<Lane>, Fault> {
    let format = match shared.options.format {
        Choice::Named(format) => format,
        Choice::Auto => match auto::by_name(&position.format) {
            Ok(format) => format,
            Err(_) => return Ok(None),
        },
    };
    if format.name() != position.format {
        return Ok(None);
    }
    let mut records = Records::new(input, shared, State::Chosen(format));
    let failed = |error: std::io::Error| Fault::of(&error);
    let begin = position.offset.saturating_sub(WARM_BYTES);
    if format.framing() == Framing::Lines && begin > 0 {
        let head = stretch(&file, 0, HEADER_BYTES.min(begin)).map_err(failed)?;
        let header: Vec<u8> = head.split_inclusive(|byte| *byte == b'\n').take_while(|line| line.first() == Some(&b'#')).flatten().copied().collect();
        tell(&mut records, header, 0, 1);
    }
    let mut before = stretch(&file, begin, position.offset - begin).map_err(failed)?;
    let skipped = if begin > 0 { memchr::memchr(b'\n', &before).map_or(before.len(), |at| at + 1) } else { 0 };
    before.drain(..skipped);
    let lines = memchr::memchr_iter(b'\n', &before).count() as u64;
    tell(&mut records, before, begin + skipped as u64, position.line.saturating_sub(lines).max(1));
    let head = stretch(&file, position.head.at, HEAD_BYTES as u64).map_err(failed)?;
    let mut trail = Trail::begin(&input.name, &head, position.head.at);
    trail.settled = Some(Spot { offset: position.offset, line: position.line, mark: position.mark.clone() });
    lane(shared, file, position, records, trail, is_finished).map(Some)
}

/// Gives records to the parsers; what they yield was yielded before.
fn tell(records: &mut Records, bytes: Vec<u8>, offset: u64, line: u64) {
    let options = &records.shared.options;
    let mut framer = Framer::resume(Cursor::new(bytes), options.limits.record_bytes_max, letter::head_bytes(options), offset, line);
    framer.leave_open();
    set_framing(&mut framer, &records.state);
    while let Some(frame) = framer.next() {
        records.frame(frame, &mut Unit::default());
    }
}

fn lane(shared: &Arc<Shared>, mut file: File, position: &Position, records: Records, trail: Trail, is_finished: bool) -> Result<Lane, Fault> {
    file.seek(SeekFrom::Start(position.offset)).map_err(|error| Fault::of(&error))?;
    let stream = stream::plain(file, &shared.progress);
    let read_bytes = stream.read_bytes();
    let options = &shared.options;
    let mut framer = Framer::resume(stream, options.limits.record_bytes_max, letter::head_bytes(options), position.offset, position.line);
    framer.share(shared.buffers.share());
    if !is_finished {
        framer.leave_open();
    }
    set_framing(&mut framer, &records.state);
    Ok(Lane { framer, records, read_bytes, trail: Some(trail) })
}
