//! Reading ahead: while a role works on one run of records, the next is decoded on a thread of its own. One run is ahead at most, and only where
//! more records wait in memory already; so nothing is asked of a broker that nobody waits for.

use std::thread::JoinHandle;
use std::time::Duration;

use super::super::Error;

/// What reads one partition of `keytrail.events` run by run.
pub trait Runs: Send + 'static {
    /// A run of consecutive records.
    type Run: Clone + Send + 'static;
    /// Waits until there is a next record; says whether there is.
    fn wait(&mut self, timeout: Duration) -> bool;
    /// Whether a record waits in memory.
    fn has_more(&mut self) -> bool;
    /// The next run of what is in memory already; `None` when nothing is.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_ready(&mut self) -> Result<Option<Self::Run>, Error>;
    /// The next run; `end` asks what the log has reached, of the broker. `None` at the end.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the log was cut, [`Error::Unreachable`] when the brokers are away for too long.
    fn read(&mut self, end: impl FnOnce() -> Result<i64, Error>) -> Result<Option<Self::Run>, Error>;
    /// The first offset of a run.
    fn first(run: &Self::Run) -> i64;
    /// The offset behind a run.
    fn end(run: &Self::Run) -> i64;
    /// What a run holds from an offset of it on.
    fn rest(run: &Self::Run, from: i64) -> Self::Run;
}

/// A reader of one partition of `keytrail.events`, with the run that comes next on its way.
pub struct Ahead<R: Runs> {
    state: State<R>,
    /// The next offset to be given out.
    next: i64,
    last: Option<R::Run>,
}

/// A run that was read; `None` where nothing waits.
type Read<R> = Result<Option<<R as Runs>::Run>, Error>;

enum State<R: Runs> {
    /// At rest.
    Idle(Box<R>),
    /// Its next run is being decoded.
    Decoding(JoinHandle<(Box<R>, Read<R>)>),
    /// Its next run is there; an error waits for whoever reads.
    Ready(Box<R>, Read<R>),
    /// The thread is gone: nothing can be read from here.
    Lost,
}

impl<R: Runs> Ahead<R> {
    /// Wraps a reader whose first record is at `next`.
    pub fn new(reader: R, next: i64) -> Self {
        Self { state: State::Idle(Box::new(reader)), next, last: None }
    }

    /// Whether [`read`](Self::read) can answer for `from` from here.
    pub fn stands_at(&self, from: i64) -> bool {
        !matches!(self.state, State::Lost) && (from == self.next || self.last.as_ref().is_some_and(|last| holds::<R>(last, from)))
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
    /// As [`Runs::read`]; the reader is of no use afterwards.
    pub fn read(&mut self, from: i64, end: impl FnOnce() -> Result<i64, Error>) -> Read<R> {
        if from != self.next
            && let Some(last) = self.last.as_ref().filter(|last| holds::<R>(last, from))
        {
            return Ok(Some(R::rest(last, from)));
        }
        self.settle();
        let (mut reader, run) = match std::mem::replace(&mut self.state, State::Lost) {
            State::Ready(reader, Ok(Some(run))) => (reader, run),
            State::Ready(_, Err(error)) => return Err(error),
            State::Ready(mut reader, Ok(None)) | State::Idle(mut reader) => match reader.read(end)? {
                Some(run) => (reader, run),
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
        self.next = R::end(&run);
        self.last = Some(run.clone());
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
        Ok(Some(run))
    }

    /// Waits for the run that is on its way.
    fn settle(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Decoding(thread) => thread.join().map_or(State::Lost, |(reader, read)| State::Ready(reader, read)),
            other => other,
        };
    }
}

impl<R: Runs> Drop for Ahead<R> {
    fn drop(&mut self) {
        // A consumer is closed where it was made, and not while the process ends around it.
        self.settle();
    }
}

fn holds<R: Runs>(run: &R::Run, offset: i64) -> bool {
    R::first(run) <= offset && offset < R::end(run)
}
