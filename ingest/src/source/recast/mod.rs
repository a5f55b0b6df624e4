//! Windows event logs that are neither lines nor JSON, recast as JSON lines while they are read: binary `.evtx` and XML. What follows (framing, formats, redaction) sees
//! a line for each event, in the shape that the `evtx` crate writes; a line's number is the event's. What cannot be read becomes a line that says so, which the format refuses.
//!
//! `raw` of such an event is therefore its JSON, and a dead letter's line is the number of the event in the file.

mod evtx;
mod xml;

use std::io::Read;

/// The key of a line that says why an event could not be read.
pub(crate) use crate::format::windows_security::DAMAGE_KEY;

/// The stream as JSON lines, if its first bytes say that it is of such a kind.
pub(super) fn recast(head: &[u8], stream: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>, Box<dyn Read + Send>> {
    if head.starts_with(evtx::MAGIC) {
        return Ok(Box::new(Lines::new(evtx::Evtx::new(stream))));
    }
    if xml::is_events(head) {
        return Ok(Box::new(Lines::new(xml::Xml::new(stream))));
    }
    Err(stream)
}

/// Makes lines of a stream, some at a time.
trait Source: Send {
    /// Writes the next lines; `false` behind the last.
    fn next(&mut self, out: &mut Vec<u8>) -> std::io::Result<bool>;
}

/// The lines of a source, as a stream.
struct Lines<S> {
    source: S,
    out: Vec<u8>,
    at: usize,
    done: bool,
}

impl<S: Source> Lines<S> {
    const fn new(source: S) -> Self {
        Self { source, out: Vec::new(), at: 0, done: false }
    }
}

impl<S: Source> Read for Lines<S> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        while self.at >= self.out.len() && !self.done {
            self.out.clear();
            self.at = 0;
            self.done = !self.source.next(&mut self.out)?;
        }
        let rest = self.out.get(self.at..).unwrap_or_default();
        let count = rest.len().min(room.len());
        if let (Some(room), Some(rest)) = (room.get_mut(..count), rest.get(..count)) {
            room.copy_from_slice(rest);
        }
        self.at += count;
        Ok(count)
    }
}

/// A line that says why an event could not be read.
fn damage(why: &str, out: &mut Vec<u8>) {
    let mut line = String::from("{\"");
    line.push_str(DAMAGE_KEY);
    line.push_str("\":");
    crate::json::write_string(why, &mut line);
    line.push_str("}\n");
    out.extend_from_slice(line.as_bytes());
}

/// Reads until the room is full or the input ends.
fn read_full(input: &mut dyn Read, room: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = room.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
