//! Opening a file: how its format is chosen, as far as that is possible before the first record.

use std::fs::File;
use std::sync::Arc;

use keytrail_schemas::{Micros, Reason};

use super::super::fault::Fault;
use super::super::follow::{Reached, Resume};
use super::super::frame::Framer;
use super::super::input::{Input, Origin};
use super::super::letter;
use super::super::magic;
use super::super::options::Choice;
use super::super::stream::{self, Opened};
use super::super::unit::{Kind, Unit};
use super::{Begun, Lane, Records, Shared, State, Trail, UNKNOWN, push_letter, set_framing, trail, whole_file};
use crate::format::{Framing, auto, guarded};

/// First bytes of a file that are looked at to choose its format, where these first ones leave no doubt, or else.
const FIRST_BYTES: usize = 8 << 10;
const SAMPLE_BYTES: usize = 64 << 10;

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
    let mut follows = None;
    if let (Some(follow), Origin::File(path)) = (&options.follow, &input.origin) {
        let file = File::open(path).map_err(|error| Fault::of(&error))?;
        let is_finished = trail::is_finished(follow, &file, shared);
        match follow.resume(&input.name, &file) {
            Resume::Fresh => follows = Some(is_finished),
            Resume::At(position) => {
                if let Some(lane) = trail::resume(input, shared, file, &position, is_finished)? {
                    return Ok(Begun::Lane(Box::new(lane)));
                }
                follows = Some(is_finished);
            }
            Resume::With(parked) => return Ok(Begun::Lane(Box::new(trail::go_on(input, shared, file, *parked, is_finished)?))),
        }
    }
    let stream = match stream::open(input, &options.limits, &shared.budget, &shared.progress)? {
        Opened::Bytes(stream) => stream,
        Opened::Members(archive, listed) => {
            let member = |((name, member), number): ((String, Result<_, Fault>), u32)| {
                let mut order = input.order.clone();
                order.push(number);
                let origin = match member {
                    Ok(member) => Origin::Member(Arc::clone(&archive), member),
                    Err(fault) => Origin::Unreadable(fault),
                };
                Input { order, name: format!("{}!{name}", input.name), bytes: 0, origin, known: None }
            };
            return Ok(Begun::Members(listed.into_iter().zip(0..).map(member).collect()));
        }
    };
    let read_bytes = stream.read_bytes();
    let is_followed = follows.is_some() && !stream.is_packed();
    let is_open = is_followed && follows == Some(false);
    let mut framer = Framer::new(stream, options.limits.record_bytes_max, letter::head_bytes(options));
    if is_open {
        framer.leave_open();
    }
    framer.share(shared.buffers.share());
    if !input.is_stream() {
        framer.take_turns(&shared.great);
    }
    let mut head = framer.peek(FIRST_BYTES).0;
    if head.trim_ascii().is_empty() {
        head = framer.peek(SAMPLE_BYTES).0;
    }
    if let Some(message) = magic::not_text(head.get(..magic::HEAD_BYTES).unwrap_or(head)) {
        return Err(Stop { fault: Fault::new(Reason::UnknownFormat, message), head: head.to_vec() });
    }
    let first = head.iter().copied().find(|byte| !byte.is_ascii_whitespace() && *byte != 0x1e);
    let certain = if matches!(options.format, Choice::Auto) { input.known.or_else(|| auto::certain(head)) } else { None };
    let certain = certain.filter(|format| format.framing() != Framing::Lines || !is_spread_object(head));
    if first.is_none() && framer.peek(SAMPLE_BYTES).1 && framer.fault().is_none() {
        return Ok(Begun::Done(Unit { last: true, ..Unit::default() })); // An empty file says nothing.
    }
    let looks_json = matches!(first, Some(b'{' | b'['));
    let mut is_spread = false;
    let state = match (options.format, certain) {
        (Choice::Named(format), _) | (Choice::Auto, Some(format)) => State::Chosen(format),
        (Choice::Auto, None) => {
            let (head, whole) = framer.peek(SAMPLE_BYTES);
            match auto::detect(head) {
                // What stands on a line elsewhere is spread over several here: values are cut as JSON's, where the first one is a record of it.
                Ok(format) if format.framing() == Framing::Lines && is_spread_object(head) => {
                    let context = Records::context(input, shared);
                    let is_record = |record: &[u8]| guarded(format, &context).record(record, 1, &mut Vec::new()).is_ok();
                    if let Err(reject) = auto::spread(head, format, is_record) {
                        return Err(Stop { head: head.to_vec(), fault: reject.into() });
                    }
                    is_spread = true;
                    State::Chosen(format)
                }
                Ok(format) => State::Chosen(format),
                Err(reject) if looks_json => State::Seeking(reject.into(), Vec::new()),
                // Its first line may yet say what it is.
                Err(_) if is_open && whole && !head.contains(&b'\n') => return Ok(Begun::Done(waiting(input))),
                Err(reject) => return Err(Stop { head: head.to_vec(), fault: framer.fault().cloned().unwrap_or_else(|| reject.into()) }),
            }
        }
    };
    set_framing(&mut framer, &state);
    if is_spread {
        framer.set_json(Vec::new());
    }
    let at = framer.consumed();
    let trail = (is_followed && !is_spread).then(|| Trail::begin(&input.name, framer.peek(trail::HEAD_BYTES).0, at));
    let records = Records::new(input, shared, state);
    Ok(Begun::Lane(Box::new(Lane { framer, records, read_bytes, trail })))
}

/// An open file that does not say yet what it is.
fn waiting(input: &Input) -> Unit {
    Unit { last: true, reached: Some(Box::new(Reached { path: input.name.clone(), position: None, end: Some((true, None)) })), ..Unit::default() }
}

/// Whether a file begins with a JSON object that does not end on its line.
fn is_spread_object(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let Some(line) = memchr::memchr(b'\n', head).and_then(|at| head.get(..at)) else { return false };
    line.first() == Some(&b'{') && !line.trim_ascii_end().ends_with(b"}")
}
