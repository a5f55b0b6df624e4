//! One open file: its format is chosen, its records are parsed in order, and what they yield gets ids, hashes and names.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use keytrail_schemas::{DeadLetter, Event, EventId, Hash32, Micros, Reason, Text};
use rustc_hash::FxHashMap;

use super::archive::Budget;
use super::buffer::Buffers;
use super::fault::Fault;
use super::frame::{Frame, Framer, Place};
use super::input::{Input, Origin};
use super::letter::{self, Remains};
use super::options::{Choice, Options};
use super::progress::Progress;
use super::repeat::Repeats;
use super::spill::Spill;
use super::stream::{ReadBytes, Stream};
use super::turn::Turn;
use super::unit::{Item, Kind, Unit};
use super::{mask, width};
use crate::enrich::Memory;
use crate::format::{Context, Disposition, Draft, Format, Framing, Parser, Reject, Rejected, auto, guarded};
use crate::json;
use crate::redact::Level;

mod begin;
mod trail;

pub use begin::begin;
pub use trail::Trail;

/// What all files of a reader share.
#[derive(Debug)]
pub struct Shared {
    pub options: Options,
    pub budget: Arc<Budget>,
    pub progress: Arc<Progress>,
    /// Bytes of the units that are parsed ahead.
    pub under_way: AtomicU64,
    /// What open files hold in buffers.
    pub buffers: Arc<Buffers>,
    /// Taken while a great record is read and parsed.
    pub great: Arc<Turn>,
    /// Where originals wait for which there is no room in memory.
    pub spill: Spill,
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
/// And how many bytes they may have.
const STRANGE_BYTES_MAX: usize = 4 << 20;
/// Records from this size on are parsed one at a time, over all files, and the parser's buffers are given back behind each.
const GREAT_RECORD_BYTES: usize = 1 << 20;
/// What a parser holds in buffers is about so many times the longest record that it has read.
const BUFFERS_A_BYTE: usize = 8;
/// An event's own size in memory, for the size of batches.
const EVENT_BYTES: usize = size_of::<Event>();

/// One open file.
pub struct Lane {
    framer: Framer<Stream>,
    records: Records,
    read_bytes: ReadBytes,
    /// How far it has been read, where it is followed.
    trail: Option<Trail>,
}

fn set_framing<R: Read>(framer: &mut Framer<R>, state: &State) {
    let envelopes = match state {
        State::Chosen(format) if format.framing() == Framing::Lines => None,
        State::Chosen(format) => Some(format.envelopes().to_vec()),
        State::Seeking(..) => Some(auto::all().iter().flat_map(|format| format.envelopes()).copied().collect()),
    };
    if let Some(envelopes) = envelopes {
        framer.set_json(envelopes);
    }
}

impl Lane {
    /// What the file's next stretch comes to: about so many bytes, and at most so many records.
    pub fn next_unit(&mut self, bytes_max: usize, records_max: usize) -> Unit {
        let mut unit = Unit::default();
        let begin = self.framer.consumed();
        while unit.items.len() < records_max && self.framer.consumed() - begin < bytes_max as u64 {
            let is_open = self.framer.is_open();
            let goes_on = match self.framer.next() {
                Some(frame) => {
                    let place = frame.place();
                    let goes_on = self.records.frame(frame, &mut unit);
                    if let (Some(trail), Some(Kind::Held)) = (&mut self.trail, unit.items.last().map(|item| item.kind)) {
                        trail.hold(&self.framer, place);
                    }
                    goes_on
                }
                None if is_open => false,
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
        if self.framer.shed(self.records.buffer_bytes()) {
            self.records.shed();
        }
        if let Some(trail) = &mut self.trail {
            unit.reached = Some(Box::new(trail.reached(&self.framer, &self.records)));
        }
        unit
    }

    /// The file has ended: what is known of it goes with its last unit.
    pub fn end(self, unit: &mut Unit) {
        let (Some(trail), Some(reached)) = (self.trail, &mut unit.reached) else { return };
        let is_open = self.framer.is_open();
        let waits = is_open && (self.framer.leaves_something() || self.records.oldest_held().is_some() || matches!(self.records.state, State::Seeking(..)));
        let parked = trail.park(&self.framer, self.records).filter(|_| is_open);
        reached.end = Some((waits, parked.map(Box::new)));
    }

    /// The file's format, once it is known.
    pub fn format(&self) -> Option<&'static dyn Format> {
        if let State::Chosen(format) = self.records.state { Some(format) } else { None }
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
pub struct Records {
    shared: Arc<Shared>,
    path: String,
    context: Context,
    /// When the file was last written, as far as that is known.
    written: Micros,
    state: State,
    parsers: FxHashMap<&'static str, Box<dyn Parser>>,
    repeats: Repeats,
    places: Option<Box<Memory>>,
    drafts: Vec<Draft>,
    last_time: Micros,
    /// Reads a record that the file's format rejects, for the others to look at.
    sample: Option<Box<json::Reader>>,
    /// The longest record since the parsers' buffers were given back.
    longest: usize,
}

impl Records {
    /// What the file's parsers are told.
    fn context(input: &Input, shared: &Shared) -> Context {
        let options = &shared.options;
        Context {
            redactor: options.redactor.clone(),
            level: options.raw,
            cluster: options.cluster_name(),
            depth_max: options.limits.depth_max,
            file_name: input.file_name().to_owned(),
        }
    }

    fn new(input: &Input, shared: &Arc<Shared>, state: State) -> Self {
        let options = &shared.options;
        Self {
            shared: Arc::clone(shared),
            path: input.name.clone(),
            context: Self::context(input, shared),
            written: written(input).unwrap_or_else(|| (options.clock)()),
            state,
            parsers: FxHashMap::default(),
            repeats: Repeats::new(options.limits.repeat_records_max),
            places: options.enrich.as_ref().map(|enrich| Box::new(Memory::new(enrich))),
            drafts: Vec::new(),
            last_time: Micros::MIN,
            sample: None,
            longest: 0,
        }
    }

    /// About how many bytes the parsers hold in buffers.
    fn buffer_bytes(&self) -> usize {
        self.longest.saturating_mul(BUFFERS_A_BYTE)
    }

    /// Gives the parsers' buffers back.
    fn shed(&mut self) {
        self.parsers.values_mut().for_each(|parser| parser.shed());
        (self.sample, self.longest) = (None, 0);
    }

    /// The file has grown meanwhile.
    fn redate(&mut self, input: &Input) {
        self.written = written(input).unwrap_or_else(|| (self.shared.options.clock)());
        self.parsers.values_mut().for_each(|parser| parser.dated(self.written));
    }

    /// The line of the oldest record that a parser holds back.
    fn oldest_held(&self) -> Option<u64> {
        self.parsers.values().filter_map(|parser| parser.oldest_held()).min()
    }

    /// Takes one frame; `false` when the file is given up.
    fn frame(&mut self, frame: Frame<'_>, unit: &mut Unit) -> bool {
        match frame {
            Frame::Damaged(damage) => {
                let remains = Remains { head: &damage.head, bytes: damage.bytes, place: damage.place, within: 0 };
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
            let bytes: usize = records.iter().map(|(record, _)| record.len()).sum();
            if records.len() < STRANGE_RECORDS_MAX && bytes < STRANGE_BYTES_MAX {
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
            Ok(Disposition::Partly(rejected)) => self.partly(format, name, drafts, rejected, bytes, place, unit),
            Ok(disposition) => {
                let kind = match disposition {
                    Disposition::Yielded | Disposition::Partly(_) => Kind::Yielded,
                    Disposition::Held => Kind::Held,
                    Disposition::Control => Kind::Control,
                };
                self.yield_drafts(name, &mut drafts, kind, bytes, unit);
                self.drafts = drafts;
            }
            Err(reject) => {
                self.letter(unit, &Remains::whole(bytes, place), reject, Kind::Rejected);
                self.drafts = drafts;
            }
        }
    }

    /// An envelope of which some records cannot be understood: they are offered to the other formats one by one, unless nothing of it could be
    /// understood and another format knows the whole.
    fn partly(
        &mut self,
        own: &'static dyn Format,
        name: &'static str,
        mut drafts: Vec<Draft>,
        rejected: Vec<Rejected>,
        bytes: &[u8],
        place: Place,
        unit: &mut Unit,
    ) {
        if drafts.is_empty()
            && let Some(other) = self.other_format(own, bytes).filter(|other| other.name() != name)
        {
            if let Ok(disposition @ (Disposition::Yielded | Disposition::Held)) = self.parse(other, bytes, place, &mut drafts) {
                let kind = if disposition == Disposition::Held { Kind::Held } else { Kind::Yielded };
                self.yield_drafts(other.name(), &mut drafts, kind, bytes, unit);
                self.drafts = drafts;
                return;
            }
            drafts.clear();
        }
        let kind = if drafts.is_empty() { Kind::Rejected } else { Kind::Yielded };
        self.yield_drafts(name, &mut drafts, kind, bytes, unit);
        for Rejected { number, record, reject } in rejected {
            let other = self.other_format(own, &record);
            match other.map(|other| (other.name(), self.parse(other, &record, place, &mut drafts))) {
                Some((other, Ok(_))) => self.yield_drafts(other, &mut drafts, Kind::Other, &record, unit),
                _ => {
                    drafts.clear();
                    self.letter(unit, &Remains { within: number, ..Remains::whole(&record, place) }, reject, Kind::Other);
                }
            }
        }
        self.drafts = drafts;
    }

    fn parse(&mut self, format: &'static dyn Format, bytes: &[u8], place: Place, drafts: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let parser = self.parsers.entry(format.name()).or_insert_with(|| {
            let mut parser = guarded(format, &self.context);
            parser.dated(self.written);
            parser
        });
        if bytes.len() < GREAT_RECORD_BYTES {
            self.longest = self.longest.max(bytes.len());
            return parser.record(bytes, place.line, drafts);
        }
        let _alone = self.shared.great.take();
        let outcome = parser.record(bytes, place.line, drafts);
        parser.shed();
        outcome
    }

    /// Another format that knows for certain a record that the file's own rejects.
    fn other_format(&mut self, own: &dyn Format, bytes: &[u8]) -> Option<&'static dyn Format> {
        if !matches!(self.shared.options.format, Choice::Auto) || own.framing() != Framing::Json {
            return None;
        }
        // Parsed once for all of them; what is no JSON is none of theirs.
        let _alone = (bytes.len() >= GREAT_RECORD_BYTES).then(|| self.shared.great.take());
        let depth_max = self.shared.options.limits.depth_max;
        let document = self.sample.get_or_insert_with(|| Box::new(json::Reader::new(depth_max))).parse(bytes).ok()?;
        let (sure, other) = auto::surest(document.root(), own.name())?;
        (sure >= SURE && sure > own.sniff_value(document.root())).then_some(other)
    }

    /// Completes a record's drafts and puts them into the unit, together.
    fn yield_drafts(&mut self, format: &'static str, drafts: &mut Vec<Draft>, kind: Kind, record: &[u8], unit: &mut Unit) {
        let mut counted: Option<(Hash32, u32, u32)> = None;
        let before = unit.events.len();
        let mut bytes = 0;
        let mut bad_times = Vec::new();
        for draft in drafts.drain(..) {
            let Draft { mut event, provider_id, part, line } = draft;
            if event.time < Micros::MIN || event.time > Micros::MAX {
                bad_times.push(line);
                continue;
            }
            width::cut(&mut event);
            self.places.iter_mut().for_each(|places| places.complete(&mut event));
            // An event that keytrail wrote once keeps what it had.
            let is_given = event.event_id != EventId::default();
            let raw = event.raw.take().unwrap_or_else(|| {
                let is_kept_elsewhere = is_given && event.raw_hash != Hash32::default();
                if is_kept_elsewhere { String::new() } else { self.shared.options.redactor.bytes(format, record, self.shared.options.limits.record_bytes_max) }
            });
            let raw_hash = if raw.is_empty() { event.raw_hash } else { Hash32::of(raw.as_bytes()) };
            if !is_given {
                event.event_id = match &provider_id {
                    Some(id) => EventId::of_provider(format, &event.identity_account, id, part),
                    None => {
                        let masked = mask::hash(&raw, &raw_hash);
                        let occurrence = match counted {
                            // The next event of the same record.
                            Some((hash, occurrence, before)) if hash == masked && part > before => occurrence,
                            _ => self.repeats.occurrence(&masked),
                        };
                        counted = Some((masked, occurrence, part));
                        EventId::of_raw(format, &self.context.cluster, &masked, occurrence, part)
                    }
                };
            }
            if !is_given || event.format.is_empty() {
                event.format = Text::const_new(format);
            }
            if !is_given || event.source.is_empty() {
                event.source = self.shared.options.source_name(format);
            }
            bytes += EVENT_BYTES + raw.len();
            match self.shared.options.raw {
                Level::Safe | Level::Open => (event.raw, event.raw_hash) = ((!raw.is_empty()).then_some(raw), raw_hash),
                Level::Hash => event.raw_hash = raw_hash,
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

/// When a file was last written.
fn written(input: &Input) -> Option<Micros> {
    let Origin::File(path) = &input.origin else { return None };
    let since = std::fs::metadata(path).ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(Micros)
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

/// A dead letter for an original that waited on disk and cannot be had back, and the format that it is counted under. The event stands without it.
pub fn not_given_back(input: &Input, shared: &Shared, event: &Event, error: &std::io::Error) -> (&'static str, DeadLetter) {
    let format = auto::by_name(&event.format).map_or(UNKNOWN, Format::name);
    let message = format!(
        "the record with the hash {} is stored without its original, which waited on disk for its turn and cannot be read back ({error}): see to the disk of the data folder",
        event.raw_hash
    );
    let fault = Fault::new(Reason::Unreadable, message);
    // Letters about one file are told apart by the record's hash, which is of redacted bytes.
    let [a, b, c, d, ..] = event.raw_hash.0;
    let remains = Remains { within: u32::from_le_bytes([a, b, c, d]).max(1), ..Remains::file(&[], 0) };
    (format, letter::letter(&shared.options, &input.name, input.file_name(), format, &remains, fault.into()))
}

/// A unit that says that a file broke keytrail itself.
pub fn internal_error(input: &Input, shared: &Shared) -> Unit {
    let fault =
        Fault::new(Reason::Unreadable, "keytrail failed within this file, and the rest of it was not read: this is a defect, please report it with the file");
    let mut unit = Unit { last: true, ..Unit::default() };
    push_letter(&mut unit, whole_file(input, shared, &[], &fault), UNKNOWN, Kind::Other, Micros::MIN);
    unit
}
