//! One open file: its format is chosen, its records are parsed in order, and what they yield gets ids, hashes and names.

use std::sync::Arc;

use keytrail_schemas::{DeadLetter, Event, EventId, Hash32, Micros, Reason, Text};
use rustc_hash::FxHashMap;

use super::archive::Budget;
use super::fault::Fault;
use super::frame::{Frame, Framer, Place};
use super::input::Input;
use super::letter::{self, Remains};
use super::magic;
use super::options::{Choice, Options, RawPolicy};
use super::progress::Progress;
use super::repeat::Repeats;
use super::stream::{self, Opened, ReadBytes, Stream};
use super::unit::{Item, Kind, Unit};
use crate::format::{Context, Disposition, Draft, Format, Framing, Parser, Reject, auto};

/// What all files of a reader share.
#[derive(Debug)]
pub struct Shared {
    pub options: Options,
    pub budget: Arc<Budget>,
    pub progress: Arc<Progress>,
}

/// What became of opening a file.
pub enum Begun {
    /// It can be read on.
    Lane(Box<Lane>),
    /// It is an archive of these files.
    Members(Vec<Input>),
    /// It is done with, and this is what it came to.
    Done(Unit),
}

/// The name of the format of what no format recognises.
pub const UNKNOWN: &str = "unknown";
/// A record that its file's format rejects is given to another one that is at least this sure of it.
const SURE: u8 = 80;
/// How many first records may be of no known format before the file is given up.
const STRANGE_RECORDS_MAX: usize = 16;
/// First bytes of a file that are looked at to choose its format.
const SAMPLE_BYTES: usize = 64 << 10;
/// An event's own size in memory, for the size of batches.
const EVENT_BYTES: usize = size_of::<Event>();

/// One open file.
pub struct Lane {
    framer: Framer<Stream>,
    records: Records,
    read_bytes: ReadBytes,
}

/// Opens a file and chooses its format, as far as that is possible before the first record.
pub fn begin(input: &Input, shared: &Arc<Shared>) -> Begun {
    match try_begin(input, shared) {
        Ok(begun) => begun,
        Err(stop) => {
            let letter = whole_file(input, shared, &stop.head, &stop.fault);
            let mut unit = Unit { last: true, ..Unit::default() };
            push_letter(&mut unit, letter, UNKNOWN, Kind::Other, Micros::MIN);
            Begun::Done(unit)
        }
    }
}

/// Why a file is not begun with.
struct Stop {
    fault: Fault,
    head: Vec<u8>,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self { fault, head: Vec::new() }
    }
}

fn try_begin(input: &Input, shared: &Arc<Shared>) -> Result<Begun, Stop> {
    let options = &shared.options;
    let stream = match stream::open(input, &options.limits, &shared.budget, &shared.progress)? {
        Opened::Bytes(stream) => stream,
        Opened::Members(archive, listed) => {
            let member = |((name, member), number): ((String, Result<_, Fault>), u32)| {
                let mut order = input.order.clone();
                order.push(number);
                let origin = match member {
                    Ok(member) => super::input::Origin::Member(Arc::clone(&archive), member),
                    Err(fault) => super::input::Origin::Unreadable(fault),
                };
                Input { order, name: format!("{}!{name}", input.name), bytes: 0, origin }
            };
            return Ok(Begun::Members(listed.into_iter().zip(0..).map(member).collect()));
        }
    };
    let read_bytes = stream.read_bytes();
    let mut framer = Framer::new(stream, options.limits.record_bytes_max, letter::head_bytes(options));
    let (head, whole) = framer.peek(SAMPLE_BYTES);
    if let Some(message) = magic::not_text(head.get(..magic::HEAD_BYTES).unwrap_or(head)) {
        return Err(Stop { fault: Fault::new(Reason::UnknownFormat, message), head: head.to_vec() });
    }
    let first = head.iter().copied().find(|byte| !byte.is_ascii_whitespace() && *byte != 0x1e);
    if first.is_none() && whole && framer.fault().is_none() {
        return Ok(Begun::Done(Unit { last: true, ..Unit::default() })); // An empty file says nothing.
    }
    let looks_json = matches!(first, Some(b'{' | b'['));
    let state = match options.format {
        Choice::Named(format) => State::Chosen(format),
        Choice::Auto => {
            let (head, _) = framer.peek(SAMPLE_BYTES);
            match auto::detect(head) {
                Ok(format) if format.framing() == Framing::Lines && is_spread_object(head) => {
                    let message = format!(
                        "the file is JSON spread over several lines, and {}, which it looks like, has one record a line: bring it into that shape (jq -c), if it is such a log",
                        format.name()
                    );
                    return Err(Stop { head: head.to_vec(), fault: Fault::new(Reason::UnknownFormat, message) });
                }
                Ok(format) => State::Chosen(format),
                Err(reject) if looks_json => State::Seeking(reject.into(), Vec::new()),
                Err(reject) => return Err(Stop { head: head.to_vec(), fault: framer.fault().cloned().unwrap_or_else(|| reject.into()) }),
            }
        }
    };
    let envelopes = match &state {
        State::Chosen(format) if format.framing() == Framing::Lines => None,
        State::Chosen(format) => Some(format.envelopes().to_vec()),
        State::Seeking(..) => Some(auto::all().iter().flat_map(|format| format.envelopes()).copied().collect()),
    };
    if let Some(envelopes) = envelopes {
        framer.set_json(envelopes);
    }
    let context = Context {
        redactor: options.redactor.clone(),
        cluster: options.cluster_name(),
        depth_max: options.limits.depth_max,
        file_name: input.file_name().to_owned(),
    };
    let records = Records {
        shared: Arc::clone(shared),
        path: input.name.clone(),
        context,
        state,
        parsers: FxHashMap::default(),
        repeats: Repeats::new(options.limits.repeat_records_max),
        drafts: Vec::new(),
        last_time: Micros::MIN,
    };
    Ok(Begun::Lane(Box::new(Lane { framer, records, read_bytes })))
}

impl Lane {
    /// What the file's next stretch comes to: about so many bytes, and at most so many records.
    pub fn next_unit(&mut self, bytes_max: usize, records_max: usize) -> Unit {
        let mut unit = Unit::default();
        let begin = self.framer.consumed();
        while unit.items.len() < records_max && self.framer.consumed() - begin < bytes_max as u64 {
            let goes_on = match self.framer.next() {
                Some(frame) => self.records.frame(frame, &mut unit),
                None => {
                    self.records.finish(&mut unit);
                    false
                }
            };
            if !goes_on {
                unit.last = true;
                break;
            }
        }
        unit
    }

    /// What was read of the file from disk.
    pub fn read_bytes(&self) -> ReadBytes {
        self.read_bytes.clone()
    }
}

/// Whether a file's format is known.
enum State {
    Chosen(&'static dyn Format),
    /// Not yet: why, and the first records, which no format recognised.
    Seeking(Fault, Vec<(Vec<u8>, Place)>),
}

/// Everything about an open file but its bytes.
struct Records {
    shared: Arc<Shared>,
    path: String,
    context: Context,
    state: State,
    parsers: FxHashMap<&'static str, Box<dyn Parser>>,
    repeats: Repeats,
    drafts: Vec<Draft>,
    last_time: Micros,
}

impl Records {
    /// Takes one frame; `false` when the file is given up.
    fn frame(&mut self, frame: Frame<'_>, unit: &mut Unit) -> bool {
        match frame {
            Frame::Damaged(damage) => {
                let remains = Remains { head: &damage.head, bytes: damage.bytes, hash: damage.hash, place: damage.place };
                self.letter(unit, &remains, damage.fault.into(), Kind::Rejected);
                true
            }
            Frame::Record { bytes, place } => match self.state {
                State::Chosen(format) => {
                    self.record(format, bytes, place, unit);
                    true
                }
                State::Seeking(..) => self.seek(bytes, place, unit),
            },
        }
    }

    /// Chooses the format by this record, if one recognises it.
    fn seek(&mut self, bytes: &[u8], place: Place, unit: &mut Unit) -> bool {
        if let Some(format) = auto::detect(bytes).ok().filter(|format| format.framing() == Framing::Json) {
            if let State::Seeking(_, records) = std::mem::replace(&mut self.state, State::Chosen(format)) {
                for (record, place) in records {
                    self.record(format, &record, place, unit);
                }
            }
            self.record(format, bytes, place, unit);
            return true;
        }
        if let State::Seeking(_, records) = &mut self.state {
            records.push((bytes.to_vec(), place));
            if records.len() < STRANGE_RECORDS_MAX {
                return true;
            }
        }
        self.give_up(unit);
        false
    }

    /// No format recognises the first records: one dead letter stands for the file.
    fn give_up(&mut self, unit: &mut Unit) {
        let State::Seeking(fault, records) = &mut self.state else { return };
        let (fault, records) = (fault.clone(), std::mem::take(records));
        let Some((first, _)) = records.first() else { return };
        let all: u64 = records.iter().map(|(record, _)| record.len() as u64).sum();
        self.letter(unit, &Remains::file(first, all), fault.into(), Kind::Other);
    }

    fn finish(&mut self, unit: &mut Unit) {
        self.give_up(unit);
        let mut parsers: Vec<_> = self.parsers.drain().collect();
        parsers.sort_by_key(|(name, _)| *name);
        for (name, mut parser) in parsers {
            let mut drafts = std::mem::take(&mut self.drafts);
            parser.finish(&mut drafts);
            // Events held back come from records of their own.
            let mut rest = drafts.drain(..).peekable();
            while let Some(first) = rest.next() {
                let line = first.line;
                let mut group = vec![first];
                while let Some(next) = rest.next_if(|draft| draft.line == line) {
                    group.push(next);
                }
                self.yield_drafts(name, &mut group, Kind::Other, &[], unit);
            }
            drop(rest);
            self.drafts = drafts;
        }
    }

    fn record(&mut self, format: &'static dyn Format, bytes: &[u8], place: Place, unit: &mut Unit) {
        let mut drafts = std::mem::take(&mut self.drafts);
        drafts.clear();
        let (name, outcome) = match self.parse(format, bytes, place, &mut drafts) {
            Ok(disposition) => (format.name(), Ok(disposition)),
            Err(reject) => {
                drafts.clear();
                match self.other_format(format, bytes).map(|other| (other.name(), self.parse(other, bytes, place, &mut drafts))) {
                    Some((other, Ok(disposition))) => (other, Ok(disposition)),
                    _ => (format.name(), Err(reject)),
                }
            }
        };
        match outcome {
            Ok(disposition) => {
                let kind = match disposition {
                    Disposition::Yielded => Kind::Yielded,
                    Disposition::Held => Kind::Held,
                    Disposition::Control => Kind::Control,
                };
                self.yield_drafts(name, &mut drafts, kind, bytes, unit);
            }
            Err(reject) => self.letter(unit, &Remains::whole(bytes, place), reject, Kind::Rejected),
        }
        self.drafts = drafts;
    }

    fn parse(&mut self, format: &'static dyn Format, bytes: &[u8], place: Place, drafts: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let parser = self.parsers.entry(format.name()).or_insert_with(|| format.parser(&self.context));
        parser.record(bytes, place.line, drafts)
    }

    /// Another format that knows for certain a record that the file's own rejects.
    fn other_format(&self, own: &dyn Format, bytes: &[u8]) -> Option<&'static dyn Format> {
        if !matches!(self.shared.options.format, Choice::Auto) || own.framing() != Framing::Json {
            return None;
        }
        let others = auto::all().iter().filter(|format| format.framing() == Framing::Json && format.name() != own.name());
        let (sure, other) = others.map(|format| (format.sniff(bytes), *format)).max_by_key(|(sure, _)| *sure)?;
        (sure >= SURE && sure > own.sniff(bytes)).then_some(other)
    }

    /// Completes a record's drafts and puts them into the unit, together.
    fn yield_drafts(&mut self, format: &'static str, drafts: &mut Vec<Draft>, kind: Kind, record: &[u8], unit: &mut Unit) {
        let mut counted: Option<(Hash32, u32)> = None;
        let before = unit.events.len();
        let mut bytes = 0;
        let mut bad_times = Vec::new();
        for draft in drafts.drain(..) {
            let Draft { mut event, provider_id, part, line } = draft;
            if event.time < Micros::MIN || event.time > Micros::MAX {
                bad_times.push(line);
                continue;
            }
            let raw = event.raw.take().unwrap_or_else(|| self.shared.options.redactor.bytes(record, self.shared.options.limits.record_bytes_max));
            let raw_hash = Hash32::of(raw.as_bytes());
            event.event_id = match &provider_id {
                Some(id) => EventId::of_provider(format, &event.identity_account, id, part),
                None => {
                    let occurrence = match counted {
                        Some((hash, occurrence)) if hash == raw_hash => occurrence,
                        _ => self.repeats.occurrence(&raw_hash),
                    };
                    counted = Some((raw_hash, occurrence));
                    EventId::of_raw(format, &raw_hash, occurrence, part)
                }
            };
            event.format = Text::const_new(format);
            event.source = self.shared.options.source_name(format);
            bytes += EVENT_BYTES + raw.len();
            match self.shared.options.raw {
                RawPolicy::Keep => (event.raw, event.raw_hash) = (Some(raw), raw_hash),
                RawPolicy::Hash => event.raw_hash = raw_hash,
                RawPolicy::Drop => event.raw_hash = Hash32::default(),
            }
            unit.events.push(event);
        }
        if let Some(first) = unit.events.get(before) {
            self.last_time = first.time;
        }
        unit.items.push(Item {
            time: self.last_time,
            format,
            events: u32::try_from(unit.events.len() - before).unwrap_or(u32::MAX),
            letters: 0,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            kind,
        });
        for line in bad_times {
            let remains = Remains::whole(record, Place { line, byte_offset: 0 });
            self.letter(unit, &remains, Fault::new(Reason::NoTime, "its time is outside of 1970 to 2200").into(), Kind::Other);
        }
    }

    fn letter(&mut self, unit: &mut Unit, remains: &Remains<'_>, why: Reject, kind: Kind) {
        let format = match &self.state {
            State::Chosen(format) => format.name(),
            State::Seeking(..) => UNKNOWN,
        };
        let letter = letter::letter(&self.shared.options, &self.path, &self.context.file_name, format, remains, why);
        push_letter(unit, letter, format, kind, self.last_time);
    }
}

fn push_letter(unit: &mut Unit, letter: DeadLetter, format: &'static str, kind: Kind, time: Micros) {
    let bytes = u32::try_from(size_of::<DeadLetter>() + letter.raw.len() + letter.message.len()).unwrap_or(u32::MAX);
    unit.items.push(Item { time, format, events: 0, letters: 1, bytes, kind });
    unit.letters.push(letter);
}

/// A dead letter for a file as a whole.
pub fn whole_file(input: &Input, shared: &Shared, head: &[u8], fault: &Fault) -> DeadLetter {
    let remains = Remains::file(head, input.bytes.max(head.len() as u64));
    letter::letter(&shared.options, &input.name, input.file_name(), UNKNOWN, &remains, fault.clone().into())
}

/// A unit that says that a file broke keytrail itself.
pub fn internal_error(input: &Input, shared: &Shared) -> Unit {
    let fault =
        Fault::new(Reason::Unreadable, "keytrail failed within this file, and the rest of it was not read: this is a defect, please report it with the file");
    let mut unit = Unit { last: true, ..Unit::default() };
    push_letter(&mut unit, whole_file(input, shared, &[], &fault), UNKNOWN, Kind::Other, Micros::MIN);
    unit
}

/// Whether a file begins with a JSON object that does not end on its line.
fn is_spread_object(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let Some(line) = memchr::memchr(b'\n', head).and_then(|at| head.get(..at)) else { return false };
    line.first() == Some(&b'{') && !line.trim_ascii_end().ends_with(b"}")
}
