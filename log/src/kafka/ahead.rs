//! Reading ahead: while a role works on one run of records, the next is decoded on a thread of its own. One run is ahead at most, and only where
//! more records wait in memory already; so nothing is asked of a broker that nobody waits for.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
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
    /// Started where something is to be decoded for the first time.
    decoder: Option<Decoder<R>>,
    /// The next offset to be given out.
    next: i64,
    last: Option<R::Run>,
}

/// A run that was read; `None` where nothing waits.
type Read<R> = Result<Option<<R as Runs>::Run>, Error>;

enum State<R: Runs> {
    /// At rest.
    Idle(Box<R>),
    /// It is with the decoder.
    Decoding,
    /// Its next run is there; an error waits for whoever reads.
    Ready(Box<R>, Read<R>),
    /// The thread is gone: nothing can be read from here.
    Lost,
}

impl<R: Runs> Ahead<R> {
    /// Wraps a reader whose first record is at `next`.
    pub fn new(reader: R, next: i64) -> Self {
        Self { state: State::Idle(Box::new(reader)), decoder: None, next, last: None }
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
            State::Decoding | State::Lost => false,
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
            State::Decoding | State::Lost => {
                return Err(Error::Storage {
                    path: "the reader of keytrail.events".into(),
                    message: "its thread ended abnormally; this is a defect of keytrail".into(),
                });
            }
        };
        self.next = R::end(&run);
        self.last = Some(run.clone());
        self.state = if reader.has_more() { self.hand_over(reader) } else { State::Idle(reader) };
        Ok(Some(run))
    }

    /// Gives the reader to the decoder. Where there is none the reader goes with it, and the next one who reads opens another.
    fn hand_over(&mut self, reader: Box<R>) -> State<R> {
        if self.decoder.is_none() {
            self.decoder = Decoder::start().ok();
        }
        match &self.decoder {
            Some(decoder) if decoder.work.send(reader).is_ok() => State::Decoding,
            _ => State::Lost,
        }
    }

    /// Waits for the run that is on its way.
    fn settle(&mut self) {
        if matches!(self.state, State::Decoding) {
            let done = self.decoder.as_ref().and_then(|decoder| decoder.done.recv().ok());
            self.state = done.map_or(State::Lost, |(reader, read)| State::Ready(reader, read));
        }
    }
}

/// A thread that decodes a reader's next run and gives the reader back. It is one for all runs: what a thread takes and leaves of memory is a good
/// part of what decoding a run costs.
struct Decoder<R: Runs> {
    work: SyncSender<Box<R>>,
    done: Receiver<(Box<R>, Read<R>)>,
    thread: JoinHandle<()>,
}

impl<R: Runs> Decoder<R> {
    fn start() -> std::io::Result<Self> {
        let (work, given) = sync_channel::<Box<R>>(1);
        let (give, done) = sync_channel(1);
        let decode = move || {
            for mut reader in given {
                let read = reader.read_ready();
                if give.send((reader, read)).is_err() {
                    return;
                }
            }
        };
        Ok(Self { work, done, thread: std::thread::Builder::new().name("keytrail-decode".into()).spawn(decode)? })
    }

    fn end(self) {
        drop((self.work, self.done));
        // What it panicked with was printed, and its reader is lost already.
        let _ = self.thread.join();
    }
}

impl<R: Runs> Drop for Ahead<R> {
    fn drop(&mut self) {
        // A consumer is closed where it was made, and not while the process ends around it.
        self.settle();
        if let Some(decoder) = self.decoder.take() {
            decoder.end();
        }
    }
}

fn holds<R: Runs>(run: &R::Run, offset: i64) -> bool {
    R::first(run) <= offset && offset < R::end(run)
}
