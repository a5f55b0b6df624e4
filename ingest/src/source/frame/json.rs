//! JSON values: one a line, pretty-printed, concatenated, in an array, or in an array within an envelope object of any size.
//!
//! A file whose first value ends with its line is taken for one value a line: then lines are cut at their ends, and one that is
//! damaged costs itself alone. In other files damage costs what lies before the next place where a value can begin: a line's end
//! followed by the damaged value's own indentation and an opening brace.

use std::io::Read;

use keytrail_schemas::Reason;
use memchr::memmem::Finder;

use super::scan::{Scan, Step};
use super::{Found, Place, Swallow, Window};
use crate::source::fault::Fault;

/// Where the framer is within a JSON file.
#[derive(Debug)]
pub(super) struct Json {
    envelopes: Vec<&'static str>,
    /// The envelopes' names in quotes, as they stand in a line.
    marks: Vec<Finder<'static>>,
    containers: Vec<Container>,
    shape: Shape,
    scan: Scan,
    /// Records of the file so far.
    records: u64,
    /// White space before the value that comes next, if nothing else stands before it on its line.
    indent: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    /// The rest of an object behind its array of records.
    Envelope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Unknown,
    OneALine,
    Spread,
}

impl Json {
    pub(super) fn new(envelopes: Vec<&'static str>) -> Self {
        let marks = envelopes.iter().map(|name| Finder::new(format!("\"{name}\"").as_bytes()).into_owned()).collect();
        Self { envelopes, marks, containers: Vec::new(), shape: Shape::Unknown, scan: Scan::default(), records: 0, indent: Some(Vec::new()) }
    }

    /// The next record.
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>) -> Found {
        let found = self.find(window);
        self.records += u64::from(!matches!(found, Found::End));
        match found {
            Found::Record { start, end, place } if place.line == 1 && !self.containers.is_empty() => {
                Found::Record { start, end, place: Place { line: self.records, ..place } }
            }
            found => found,
        }
    }

    fn find<R: Read>(&mut self, window: &mut Window<R>) -> Found {
        loop {
            self.skip_separators(window);
            let Some(first) = window.data().first().copied() else { return self.end(window) };
            match (first, self.containers.last()) {
                (b']', Some(Container::Array)) => {
                    window.consume(1);
                    self.containers.pop();
                    if self.containers.pop_if(|container| *container == Container::Envelope).is_some() {
                        self.scan.begin_behind_envelope();
                        if let Some(found) = self.envelope_tail(window) {
                            return found;
                        }
                    }
                }
                (b'[', None) => {
                    self.indent = None;
                    window.consume(1);
                    self.containers.push(Container::Array);
                }
                (b'{', None) if self.shape == Shape::OneALine => {
                    if let Some(found) = self.line(window) {
                        return found;
                    }
                }
                (b'{', _) | (b'[', Some(_)) => {
                    self.scan.begin(false);
                    if let Some(found) = self.value(window) {
                        return found;
                    }
                }
                (_, None) => return self.junk_line(window),
                (_, Some(_)) => return self.junk_element(window),
            }
        }
    }

    /// White space, commas, and RFC 7464's record separator.
    fn skip_separators<R: Read>(&mut self, window: &mut Window<R>) {
        loop {
            let data = window.data();
            let passed = data.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x1e)).unwrap_or(data.len());
            let rest = data.len() - passed;
            let blank = data.get(..passed).unwrap_or_default();
            if let Some(at) = memchr::memrchr(b'\n', blank) {
                self.indent = Some(blank.get(at + 1..).unwrap_or_default().to_vec());
            } else if let Some(indent) = &mut self.indent {
                indent.extend_from_slice(blank);
            }
            window.consume(passed);
            if rest > 0 || !window.fill() {
                return;
            }
        }
    }

    /// Whether the framer is in no array and no envelope.
    pub(super) fn is_outside(&self) -> bool {
        self.containers.is_empty()
    }

    fn end<R: Read>(&mut self, window: &mut Window<R>) -> Found {
        if window.is_open && window.fault.is_none() {
            return Found::End;
        }
        let unclosed = !std::mem::take(&mut self.containers).is_empty();
        let records = self.records;
        let fault = window.fault.take().or_else(|| {
            unclosed.then(|| {
                Fault::new(
                    Reason::Truncated,
                    format!("the file ends within an array, behind {records} of its records: it was cut off, or is still being written; fetch it again"),
                )
            })
        });
        fault.map_or(Found::End, |fault| Found::Damaged(window.damaged(0, fault)))
    }

    /// One line of a file that has one value a line.
    fn line<R: Read>(&mut self, window: &mut Window<R>) -> Option<Found> {
        let mut looked_at = 0;
        let (length, ended) = loop {
            let data = window.data();
            if let Some(at) = data.get(looked_at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
                break (looked_at + at, true);
            }
            looked_at = data.len();
            if looked_at > window.record_bytes_max || !window.fill() {
                break (looked_at, false);
            }
        };
        if length > window.record_bytes_max {
            let fault = window.too_long();
            return Some(swallow_line(window, fault));
        }
        if !ended && (window.fault.is_some() || window.is_open) {
            // What is left may hold a whole value.
            self.scan.begin(true);
            return self.value(window);
        }
        let line = window.data().get(..length).unwrap_or_default();
        let kept = line.trim_ascii_end();
        let kept = kept.strip_suffix(b",").unwrap_or(kept).trim_ascii_end().len();
        let several = memchr::memmem::find(line, b"}{").is_some() || self.marks.iter().any(|mark| mark.find(line).is_some());
        if several {
            self.scan.begin(true);
            return self.value(window);
        }
        let (start, place) = (window.start, window.place());
        window.consume_line(length + usize::from(ended), ended);
        Some(Found::Record { start, end: start + kept, place })
    }

    /// One value, scanned to its end; `None` when it was an envelope's beginning.
    fn value<R: Read>(&mut self, window: &mut Window<R>) -> Option<Found> {
        loop {
            match self.scan.step(window.data(), &self.envelopes) {
                Step::End(length) => {
                    let place = window.place();
                    if length > window.record_bytes_max {
                        let fault = window.too_long();
                        return Some(Found::Damaged(window.damaged(length, fault)));
                    }
                    self.learn_shape(window, length);
                    let start = window.start;
                    window.consume(length);
                    self.indent = None;
                    return Some(Found::Record { start, end: start + length, place });
                }
                Step::Envelope(length) if length <= window.record_bytes_max => {
                    window.consume(length);
                    self.containers.push(Container::Envelope);
                    self.containers.push(Container::Array);
                    return None;
                }
                Step::Envelope(_) => {
                    self.scan.decline_envelope();
                    return Some(self.too_long(window));
                }
                Step::Broken(at) => return Some(self.broken(window, at)),
                Step::More => {
                    if window.data().len() > window.record_bytes_max {
                        return Some(self.too_long(window));
                    }
                    if !window.fill() {
                        return Some(self.unclosed(window));
                    }
                }
            }
        }
    }

    /// Learns from a first value how the file is laid out.
    fn learn_shape<R: Read>(&mut self, window: &mut Window<R>, length: usize) {
        if self.shape != Shape::Unknown || !self.containers.is_empty() {
            return;
        }
        if self.scan.has_newlines() {
            self.shape = Shape::Spread;
            return;
        }
        loop {
            match window.data().get(length..).and_then(|rest| rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b','))).copied() {
                Some(b'\n') => self.shape = Shape::OneALine,
                None if window.fill() => continue,
                _ => {}
            }
            return;
        }
    }

    /// The bytes cannot be JSON any more at `at`.
    fn broken<R: Read>(&mut self, window: &mut Window<R>, at: usize) -> Found {
        if let Some(found) = self.first_line_alone(window, at) {
            return found;
        }
        if at > window.record_bytes_max {
            let fault = window.too_long();
            let mut swallow = Swallow::new(window);
            swallow.take(window, at);
            swallow.take_line(window);
            return Found::Damaged(swallow.finish(fault));
        }
        let fault = Fault::new(Reason::Malformed, format!("the record is not JSON: byte {at} of it cannot stand there"));
        if self.containers.is_empty() && self.shape != Shape::Spread {
            let mut swallow = Swallow::new(window);
            swallow.take(window, at);
            swallow.take_line(window);
            return Found::Damaged(swallow.finish(fault));
        }
        let found = swallow_to_sibling(window, at, self.indent.as_deref(), fault);
        if window.data().is_empty() {
            self.containers.clear(); // It reached to the end: what closes the containers went with it.
        }
        found
    }

    /// In a file whose layout is not known yet, for a value that cannot be closed: if its first line ends within so many bytes and the second
    /// line begins a value of its own, the first line alone is damaged, and the file has one value a line.
    fn first_line_alone<R: Read>(&mut self, window: &mut Window<R>, within: usize) -> Option<Found> {
        if self.shape != Shape::Unknown || !self.containers.is_empty() {
            return None;
        }
        let within = within.min(window.record_bytes_max).saturating_add(1);
        let data = window.data();
        let length = memchr::memchr(b'\n', data.get(..within).unwrap_or(data))?;
        window.fill_to(length + 2);
        if window.data().get(length + 1) != Some(&b'{') {
            return None;
        }
        self.shape = Shape::OneALine;
        let fault = Fault::new(Reason::Malformed, "the record is not JSON: it is not closed on its line");
        let damage = window.damaged(length, fault);
        window.consume(1);
        Some(Found::Damaged(damage))
    }

    /// The input ends within a value.
    fn unclosed<R: Read>(&mut self, window: &mut Window<R>) -> Found {
        if let Some(found) = self.first_line_alone(window, usize::MAX) {
            return found;
        }
        if window.is_open && window.fault.is_none() {
            return Found::End;
        }
        self.containers.clear();
        let all = window.data().len();
        let fault = window
            .take_fault_or(|| Fault::new(Reason::Truncated, "the file ends within this record: it was cut off, or is still being written; fetch it again"));
        Found::Damaged(window.damaged(all, fault))
    }

    /// The value is longer than the limit: it passes by to its end.
    fn too_long<R: Read>(&mut self, window: &mut Window<R>) -> Found {
        if let Some(found) = self.first_line_alone(window, usize::MAX) {
            return found;
        }
        let fault = window.too_long();
        if self.shape == Shape::OneALine && self.containers.is_empty() {
            return swallow_line(window, fault);
        }
        let mut swallow = Swallow::new(window);
        loop {
            let passed = self.scan.drop_scanned();
            swallow.take(window, passed);
            match self.scan.step(window.data(), &[]) {
                Step::More => {
                    if !window.fill() {
                        let all = window.data().len();
                        swallow.take(window, all);
                        self.containers.clear();
                        let fault = window.take_fault_or(|| fault);
                        return Found::Damaged(swallow.finish(fault));
                    }
                }
                Step::End(length) | Step::Envelope(length) => {
                    swallow.take(window, length);
                    return Found::Damaged(swallow.finish(fault));
                }
                Step::Broken(at) => {
                    swallow.take(window, at);
                    swallow.take_line(window);
                    return Found::Damaged(swallow.finish(fault));
                }
            }
        }
    }

    /// The rest of an envelope object behind its array: `None` when it is passed, or when another array of records begins.
    fn envelope_tail<R: Read>(&mut self, window: &mut Window<R>) -> Option<Found> {
        loop {
            match self.scan.step(window.data(), &self.envelopes) {
                Step::End(length) if length <= window.record_bytes_max => {
                    window.consume(length);
                    return None;
                }
                Step::End(length) => {
                    let fault = window.too_long();
                    return Some(Found::Damaged(window.damaged(length, fault)));
                }
                Step::Envelope(length) if length <= window.record_bytes_max => {
                    window.consume(length);
                    self.containers.push(Container::Envelope);
                    self.containers.push(Container::Array);
                    return None;
                }
                Step::Envelope(_) => {
                    self.scan.decline_envelope();
                    return Some(self.too_long(window));
                }
                Step::Broken(at) => {
                    let fault = if at > window.record_bytes_max {
                        window.too_long()
                    } else {
                        Fault::new(Reason::Malformed, "the object that held the records is not JSON behind them")
                    };
                    let mut swallow = Swallow::new(window);
                    swallow.take(window, at);
                    swallow.take_line(window);
                    return Some(Found::Damaged(swallow.finish(fault)));
                }
                Step::More if window.data().len() > window.record_bytes_max => return Some(self.too_long(window)),
                Step::More => {
                    if !window.fill() {
                        if window.is_open && window.fault.is_none() {
                            return Some(Found::End);
                        }
                        let all = window.data().len();
                        let fault = window.take_fault_or(|| {
                            Fault::new(
                                Reason::Truncated,
                                "the file ends before the object that holds its records does: it was cut off, or is still being written; fetch it again",
                            )
                        });
                        return Some(Found::Damaged(window.damaged(all, fault)));
                    }
                }
            }
        }
    }

    /// A line that does not begin as a JSON object or array does: the format says what is wrong with it.
    fn junk_line<R: Read>(&mut self, window: &mut Window<R>) -> Found {
        self.indent = Some(Vec::new());
        super::line::find(window)
    }

    /// An element of an array that is no object: up to the next comma, bracket or line's end.
    fn junk_element<R: Read>(&mut self, window: &mut Window<R>) -> Found {
        let mut looked_at = 1;
        loop {
            let data = window.data();
            let found = data.get(looked_at..).and_then(|rest| memchr::memchr3(b',', b']', b'\n', rest)).map(|at| looked_at + at);
            let length = found.unwrap_or(data.len());
            if length > window.record_bytes_max {
                let fault = window.too_long();
                return swallow_line(window, fault);
            }
            if found.is_none() && window.fill() {
                looked_at = length;
                continue;
            }
            if found.is_none() {
                return self.unclosed(window);
            }
            let (start, place) = (window.start, window.place());
            window.consume(length);
            return Found::Record { start, end: start + length, place };
        }
    }
}

fn swallow_line<R: Read>(window: &mut Window<R>, fault: Fault) -> Found {
    let mut swallow = Swallow::new(window);
    swallow.take_line(window);
    Found::Damaged(swallow.finish(fault))
}

/// Passes over a damaged value, to the next line that begins as its own did.
fn swallow_to_sibling<R: Read>(window: &mut Window<R>, at: usize, indent: Option<&[u8]>, fault: Fault) -> Found {
    let pattern = [b"\n", indent.unwrap_or_default(), b"{"].concat();
    let mut swallow = Swallow::new(window);
    swallow.take(window, at);
    loop {
        let data = window.data();
        let found = indent.and_then(|_| memchr::memmem::find(data, &pattern));
        if let Some(at) = found {
            swallow.take(window, at);
            return Found::Damaged(swallow.finish(fault));
        }
        // The pattern may begin with the last bytes that are there.
        let passed = data.len().saturating_sub(pattern.len());
        swallow.take(window, passed);
        if !window.fill() {
            let all = window.data().len();
            swallow.take(window, all);
            return Found::Damaged(swallow.finish(fault));
        }
    }
}
