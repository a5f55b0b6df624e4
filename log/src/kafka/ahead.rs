//! Reading ahead: while a role works on one run of events, the next is decoded on a thread of its own. One run is ahead at most, and only where
//! more records wait in memory already; so nothing is asked of a broker that nobody waits for.

use std::thread::JoinHandle;
use std::time::Duration;

use super::super::{Chunk, Error};
use super::events::Reader;

/// A reader of one partition of `keytrail.events`, with the run that comes next on its way.
pub struct Ahead {
    state: State,
    /// The next offset to be given out.
    next: i64,
    last: Option<Chunk>,
}

/// A run that was read; `None` where nothing waits.
type Run = Result<Option<Chunk>, Error>;

enum State {
    /// At rest.
    Idle(Box<Reader>),
    /// Its next run is being decoded.
    Decoding(JoinHandle<(Box<Reader>, Run)>),
    /// Its next run is there; an error waits for whoever reads.
    Ready(Box<Reader>, Run),
    /// The thread is gone: nothing can be read from here.
    Lost,
}

impl Ahead {
    /// Wraps a reader whose first record is at `next`.
    pub fn new(reader: Reader, next: i64) -> Self {
        Self { state: State::Idle(Box::new(reader)), next, last: None }
    }

    /// Whether [`read`](Self::read) can answer for `from` from here.
    pub fn stands_at(&self, from: i64) -> bool {
        !matches!(self.state, State::Lost) && (from == self.next || self.last.as_ref().is_some_and(|last| holds(last, from)))
    }

    /// Waits until there is a record at `from` or after it; says whether there is.
    pub fn wait(&mut self, from: i64, timeout: Duration) -> bool {
        if from < self.next {
            return true;
        }
        self.settle();
        match &mut self.state {
            State::Ready(_, Ok(Some(_)) | Err(_)) => true,
            State::Ready(reader, Ok(None)) | State::Idle(reader) => reader.wait(timeout),
            State::Decoding(_) | State::Lost => false,
        }
    }

    /// The next run at `from`, where it [stands](Self::stands_at); `end` asks what the log has reached, of the broker. `None` at the end.
    ///
    /// # Errors
    /// As [`Reader::read`]; the reader is of no use afterwards.
    pub fn read(&mut self, from: i64, end: impl FnOnce() -> Result<i64, Error>) -> Result<Option<Chunk>, Error> {
        if from != self.next
            && let Some(last) = self.last.as_ref().filter(|last| holds(last, from))
        {
            return Ok(Some(Chunk { skip: usize::try_from(from - last.first_offset).unwrap_or(0), ..last.clone() }));
        }
        self.settle();
        let (mut reader, chunk) = match std::mem::replace(&mut self.state, State::Lost) {
            State::Ready(reader, Ok(Some(chunk))) => (reader, chunk),
            State::Ready(_, Err(error)) => return Err(error),
            State::Ready(mut reader, Ok(None)) | State::Idle(mut reader) => match reader.read(end)? {
                Some(chunk) => (reader, chunk),
                None => {
                    self.state = State::Idle(reader);
                    return Ok(None);
                }
            },
            State::Decoding(_) | State::Lost => {
                return Err(Error::Storage {
                    path: "the reader of keytrail.events".into(),
                    message: "its thread ended abnormally; this is a defect of keytrail".into(),
                });
            }
        };
        self.next = end_of(&chunk);
        self.last = Some(chunk.clone());
        self.state = if reader.has_more() {
            let work = move || {
                let read = reader.read_ready();
                (reader, read)
            };
            match std::thread::Builder::new().name("keytrail-decode".into()).spawn(work) {
                Ok(thread) => State::Decoding(thread),
                // The reader went with the thread that could not be started: the next one who reads opens another.
                Err(_) => State::Lost,
            }
        } else {
            State::Idle(reader)
        };
        Ok(Some(chunk))
    }

    /// Waits for the run that is on its way.
    fn settle(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Decoding(thread) => thread.join().map_or(State::Lost, |(reader, read)| State::Ready(reader, read)),
            other => other,
        };
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // A consumer is closed where it was made, and not while the process ends around it.
        self.settle();
    }
}

fn holds(chunk: &Chunk, offset: i64) -> bool {
    chunk.first_offset <= offset && offset < end_of(chunk)
}

fn end_of(chunk: &Chunk) -> i64 {
    chunk.first_offset + i64::try_from(chunk.records.len()).unwrap_or(0)
}
