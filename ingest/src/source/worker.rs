//! Threads that read and parse files ahead of the merge, within bounds: each open file has a queue of units that may grow so far.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use keytrail_schemas::{DeadLetter, Event};

use super::input::Input;
use super::lane::{self, Begun, Lane, Shared};
use super::stream::Stream;
use super::unit::Unit;
use crate::error::Error;

/// The threads.
#[derive(Debug)]
pub struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

/// Something for a thread to do.
enum Job {
    /// Look at a file: its first unit, and whether it is an archive.
    Peek(Input, usize, Sender<(usize, Peeked)>),
    /// Read a file on until its queue is full.
    Run(Arc<Queue>),
}

/// What a first look came to.
pub enum Peeked {
    /// The file's first unit, and the file itself if there is more.
    File(Unit, Option<Box<Lane>>),
    /// Its members.
    Members(Vec<Input>),
}

/// The units of one open file that are parsed ahead.
pub struct Queue {
    input: Input,
    depth: usize,
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Default)]
struct State {
    units: VecDeque<Unit>,
    /// The file, while no thread reads it.
    parked: Option<Box<Lane>>,
    /// A thread reads it, or will.
    running: bool,
    done: bool,
}

/// Whether so much is parsed ahead that only what the merge waits for is parsed on.
fn is_much(shared: &Shared) -> bool {
    shared.under_way.load(Ordering::Acquire) + shared.buffers.held() > shared.options.limits.under_way_bytes_max
}

impl Queue {
    /// A queue for a file that is still to be opened.
    pub fn closed(input: Input, depth: usize) -> Arc<Self> {
        Arc::new(Self { input, depth, state: Mutex::default(), grown: Condvar::new() })
    }

    /// A queue for a file that was looked at: its first unit is there, and it is read on from where it stands.
    pub fn begun(input: Input, depth: usize, mut unit: Unit, lane: Option<Box<Lane>>, shared: &Shared) -> Arc<Self> {
        let done = lane.is_none();
        shared.spill.take(&mut unit);
        shared.under_way.fetch_add(unit.bytes() as u64, Ordering::AcqRel);
        Arc::new(Self { input, depth, state: Mutex::new(State { units: VecDeque::from([unit]), parked: lane, running: false, done }), grown: Condvar::new() })
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.input.name
    }

    /// The dead letter for the original of an event of this file, which waited on disk and cannot be had back; and its format.
    pub fn not_given_back(&self, shared: &Shared, event: &Event, error: &std::io::Error) -> (&'static str, DeadLetter) {
        lane::not_given_back(&self.input, shared, event, error)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next unit, waiting for it; `None` behind the last.
    pub fn pop(self: &Arc<Self>, pool: &Pool) -> Option<Unit> {
        let mut state = self.state();
        loop {
            if let Some(unit) = state.units.pop_front() {
                drop(state);
                pool.shared.under_way.fetch_sub(unit.bytes() as u64, Ordering::AcqRel);
                self.read_ahead(pool);
                return Some(unit);
            }
            if state.done {
                return None;
            }
            if !state.running {
                drop(state);
                self.read_ahead(pool);
                state = self.state();
                continue;
            }
            state = self.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has the file read on, if there is room for more of it.
    pub fn read_ahead(self: &Arc<Self>, pool: &Pool) {
        let mut state = self.state();
        if state.running || state.done || state.units.len() >= self.depth || (!state.units.is_empty() && is_much(&pool.shared)) {
            return;
        }
        state.running = true;
        drop(state);
        if !pool.run(Job::Run(Arc::clone(self))) {
            self.state().done = true;
        }
    }

    /// Reads the file on until the queue is full.
    fn fill(&self, shared: &Arc<Shared>, closing: &AtomicBool) {
        let mut lane = self.state().parked.take();
        loop {
            let (mut unit, rest) = match catch_unwind(AssertUnwindSafe(|| self.produce(lane.take(), shared))) {
                Ok(produced) => produced,
                Err(_) => (lane::internal_error(&self.input, shared), None),
            };
            shared.spill.take(&mut unit);
            shared.under_way.fetch_add(unit.bytes() as u64, Ordering::AcqRel);
            let mut state = self.state();
            state.units.push_back(unit);
            let full = state.units.len() >= self.depth || is_much(shared) || closing.load(Ordering::Acquire);
            match rest {
                Some(rest) if !full => lane = Some(rest),
                Some(rest) => {
                    state.parked = Some(rest);
                    state.running = false;
                    self.grown.notify_all();
                    return;
                }
                None => {
                    state.running = false;
                    state.done = true;
                    self.grown.notify_all();
                    return;
                }
            }
            self.grown.notify_all();
        }
    }

    fn produce(&self, lane: Option<Box<Lane>>, shared: &Arc<Shared>) -> (Unit, Option<Box<Lane>>) {
        let limits = &shared.options.limits;
        let mut lane = match lane {
            Some(lane) => lane,
            None => match lane::begin(&self.input, shared) {
                Begun::Lane(lane) => lane,
                Begun::Done(unit) => return (unit, None),
                Begun::Members(_) => return (lane::internal_error(&self.input, shared), None),
            },
        };
        let mut unit = lane.next_unit(limits.unit_bytes_max.max(1), limits.unit_records_max.max(1));
        if unit.last {
            lane.end(&mut unit);
            return (unit, None);
        }
        (unit, Some(lane))
    }
}

/// A first look goes no further than this.
const PEEK_BYTES: usize = 64 << 10;
const PEEK_RECORDS: usize = 64;
/// A file of fewer bytes is small.
const SMALL_BYTES: u64 = 2 << 10;
/// Stretches without an event that a first look passes over in search of one.
const PEEK_UNITS: usize = 8;

fn peek(input: &Input, shared: &Arc<Shared>) -> Peeked {
    let mut lane = match lane::begin(input, shared) {
        Begun::Lane(lane) => lane,
        Begun::Done(unit) => return Peeked::File(unit, None),
        Begun::Members(members) => return Peeked::Members(members),
    };
    let mut unit = Unit::default();
    // A small file is done with at once; of another one the first event says where it stands among the others, and most are read again then.
    let mut records_max = if (1..SMALL_BYTES).contains(&input.bytes) { PEEK_RECORDS } else { 1 };
    for _ in 0..PEEK_UNITS {
        let mut next = lane.next_unit(PEEK_BYTES, std::mem::replace(&mut records_max, PEEK_RECORDS));
        unit.items.append(&mut next.items);
        unit.events.append(&mut next.events);
        unit.letters.append(&mut next.letters);
        (unit.last, unit.reached) = (next.last, next.reached);
        if unit.last || !unit.events.is_empty() {
            break;
        }
    }
    if unit.last {
        lane.end(&mut unit);
        return Peeked::File(unit, None);
    }
    Peeked::File(unit, Some(lane))
}

impl Pool {
    /// Starts the threads.
    pub fn start(threads: usize, shared: &Arc<Shared>) -> Result<Self, Error> {
        let (jobs, todo) = crossbeam_channel::unbounded::<Job>();
        let closing = Arc::new(AtomicBool::new(false));
        let mut pool = Self { jobs: Some(jobs), threads: Vec::new(), closing: Arc::clone(&closing), shared: Arc::clone(shared) };
        for _ in 0..threads.max(1) {
            let (todo, shared, closing): (Receiver<Job>, _, _) = (todo.clone(), Arc::clone(shared), Arc::clone(&closing));
            let work = move || {
                for job in todo {
                    if closing.load(Ordering::Acquire) {
                        break;
                    }
                    match job {
                        Job::Peek(input, number, answer) => {
                            let peeked = catch_unwind(AssertUnwindSafe(|| peek(&input, &shared)))
                                .unwrap_or_else(|_| Peeked::File(lane::internal_error(&input, &shared), None));
                            let _ = answer.send((number, peeked)); // Nobody listens any more when the reader was dropped.
                        }
                        Job::Run(queue) => queue.fill(&shared, &closing),
                    }
                }
            };
            pool.threads.push(std::thread::Builder::new().name("ingest".into()).spawn(work).map_err(Error::Thread)?);
        }
        Ok(pool)
    }

    /// Looks at a file; the answer goes to `answer` with its number.
    pub fn peek(&self, input: Input, number: usize, answer: &Sender<(usize, Peeked)>) {
        self.run(Job::Peek(input, number, answer.clone()));
    }

    fn run(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }

    /// Closes a file that will be opened again.
    pub fn set_aside(&self, lane: Box<Lane>) {
        Stream::uncount(&lane.read_bytes());
        drop(lane);
    }

    /// What the threads share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
