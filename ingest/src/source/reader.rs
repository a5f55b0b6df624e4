//! The reader: files in, batches of events out, in an order that is a function of the input alone.
//!
//! Every file is looked at for the time of its first event, and files are taken up in that order. At most `open_files_max` are open at
//! once; among them the event that comes next is the earliest of those that stand first in their files, of equally early ones that of
//! the file that was named first. Within a file the order stays. Threads, batch sizes and how much is parsed ahead change nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use keytrail_schemas::{DeadLetter, Event, Micros};

use super::archive::Budget;
use super::buffer::Buffers;
use super::complete::complete;
use super::count::{Counts, Tally};
use super::follow::{Changed, Reached};
use super::input::{self, Input};
use super::lane::{Lane, Shared};
use super::options::Options;
use super::progress::Progress;
use super::spill::{Spill, Waiting};
use super::twin;
use super::unit::{Item, Kind, Unit};
use super::worker::{Peeked, Pool, Queue};
use crate::error::Error;
use crate::format::auto;

/// What is handed on at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events, in order; `event_id`, `ingested_at`, `source`, `format` and `raw_hash` are set, the log's coordinates are not.
    pub events: Vec<Box<Event>>,
    /// Dead letters, in order.
    pub dead_letters: Vec<DeadLetter>,
    /// What this batch adds to the counts: its events and dead letters, and the records that they came from.
    pub counts: Counts,
    /// How far followed files have been read with it: to be told to [`Follow`](super::Follow) when the log holds the batch.
    pub reached: Vec<Reached>,
}

/// Reads files. It yields nothing more when it is done, or has been interrupted.
#[derive(Debug)]
pub struct Reader {
    // Dropped first: it ends the threads.
    pool: Pool,
    shared: Arc<Shared>,
    totals: Counts,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Listed(Vec<Input>),
    Merging(Merge),
    Done,
}

impl Reader {
    /// A reader of what `paths` name: files, folders (with all that is in them), patterns, and `-` for standard input.
    ///
    /// # Errors
    /// [`Error`] when a path names nothing or cannot be read; nothing has been read then.
    pub fn open(paths: &[String], options: Options) -> Result<Self, Error> {
        Self::of(input::list(paths)?, options)
    }

    /// A reader of these files. One that cannot be read, or is gone by then, is a dead letter.
    ///
    /// # Errors
    /// [`Error`] when a thread cannot be started.
    pub fn of_files(files: &[Changed], options: Options) -> Result<Self, Error> {
        Self::of(input::of_files(files.iter().map(|file| std::path::Path::new(&file.path))), options)
    }

    /// A reader of bytes in memory, as of a file of this name.
    ///
    /// # Errors
    /// [`Error`] when its threads cannot be started.
    pub fn open_bytes(name: &str, bytes: Arc<[u8]>, options: Options) -> Result<Self, Error> {
        Self::of(vec![input::bytes(name, bytes)], options)
    }

    fn of(inputs: Vec<Input>, options: Options) -> Result<Self, Error> {
        options.enrich.iter().for_each(|enrich| enrich.look());
        let progress = Arc::new(Progress::default());
        progress.bytes_total.store(inputs.iter().map(|input| input.bytes).sum(), Ordering::Relaxed);
        progress.files_total.store(inputs.len() as u64, Ordering::Relaxed);
        let cores = || std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let threads = if options.threads == 0 { cores() } else { options.threads };
        let shared = Arc::new(Shared {
            budget: Budget::new(options.limits.archive_memory_bytes_max),
            buffers: Buffers::new(options.limits.under_way_bytes_max / 4),
            spill: Spill::new(options.waiting_dir.as_deref(), options.limits.held_bytes_max),
            options,
            progress,
            under_way: AtomicU64::new(0),
            great: Arc::default(),
        });
        Ok(Self { pool: Pool::start(threads, &shared)?, shared, totals: Counts::default(), stage: Stage::Listed(inputs) })
    }

    /// How far it is, for another thread to look at, and to interrupt it with.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.shared.progress)
    }

    /// What was yielded so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.totals
    }
}

impl Iterator for Reader {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if let Stage::Listed(inputs) = &mut self.stage {
            let inputs = std::mem::take(inputs);
            self.stage = Merge::begin(inputs, &self.pool).map_or(Stage::Done, Stage::Merging);
        }
        let Stage::Merging(merge) = &mut self.stage else { return None };
        if self.shared.progress.is_interrupted() {
            self.stage = Stage::Done;
            return None;
        }
        self.shared.options.enrich.iter().for_each(|enrich| enrich.look());
        let mut batch = merge.next_batch(&self.pool);
        if batch.events.is_empty() && batch.dead_letters.is_empty() && batch.counts.formats.is_empty() && batch.reached.is_empty() {
            self.stage = Stage::Done;
            return None;
        }
        for format in auto::all().iter().filter(|format| format.completes().is_some() && batch.counts.formats.contains_key(format.name())) {
            complete(&mut batch.events, *format);
        }
        twin::join(&mut batch.events);
        let now = (self.shared.options.clock)();
        let mut sessions = self.shared.options.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &mut batch.events {
            event.ingested_at = now;
            sessions.join(event);
        }
        drop(sessions);
        for letter in &mut batch.dead_letters {
            letter.ingested_at = now;
        }
        self.shared.progress.events.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
        self.shared.progress.dead_letters.fetch_add(batch.dead_letters.len() as u64, Ordering::Relaxed);
        self.totals.add(&batch.counts);
        Some(batch)
    }
}

/// A file's place in the merge: the time of its first event, then its rank among all files.
type Key = (Micros, u32);

/// What a first look found: the time of the first event, the file, its first unit, and the file itself where it is kept open.
type Looked = (Micros, Input, Unit, Option<Box<Lane>>);

/// The merge of the files.
struct Merge {
    /// Files still to be taken up, in order.
    pending: BTreeMap<Key, Arc<Queue>>,
    /// Files that are open, the one whose next item comes first on top.
    open: BinaryHeap<Reverse<Head>>,
    open_files_max: usize,
}

impl std::fmt::Debug for Merge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge").field("pending", &self.pending.len()).field("open", &self.open.len()).finish_non_exhaustive()
    }
}

/// An open file, with the unit that is being handed on.
struct Head {
    time: Micros,
    rank: u32,
    queue: Arc<Queue>,
    items: std::iter::Peekable<std::vec::IntoIter<Item>>,
    events: std::vec::IntoIter<Box<Event>>,
    letters: std::vec::IntoIter<DeadLetter>,
    /// How many of the unit's events have been handed on.
    given: usize,
    held_bytes: u64,
    waiting: VecDeque<Waiting>,
    /// How far the file has been read when the unit has been handed on.
    reached: Option<Box<Reached>>,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Head {}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.rank).cmp(&(other.time, other.rank))
    }
}

impl Head {
    fn new(rank: u32, queue: Arc<Queue>) -> Self {
        Self {
            time: Micros::MIN,
            rank,
            queue,
            items: Vec::new().into_iter().peekable(),
            events: Vec::new().into_iter(),
            letters: Vec::new().into_iter(),
            given: 0,
            held_bytes: 0,
            waiting: VecDeque::new(),
            reached: None,
        }
    }

    /// Goes to the next item, in the next unit if need be; `false` at the file's end.
    fn advance(&mut self, pool: &Pool, batch: &mut Batch) -> bool {
        loop {
            if let Some(item) = self.items.peek() {
                self.time = item.time;
                return true;
            }
            batch.reached.extend(self.reached.take().map(|reached| *reached));
            pool.shared().spill.release(std::mem::take(&mut self.held_bytes));
            let Some(unit) = self.queue.pop(pool) else { return false };
            let Unit { items, events, letters, last: _, held_bytes, waiting, reached } = unit;
            (self.given, self.held_bytes, self.waiting) = (0, held_bytes, waiting);
            self.reached = reached;
            self.items = items.into_iter().peekable();
            self.events = events.into_iter();
            self.letters = letters.into_iter();
        }
    }
}

impl Head {
    /// Gives the events that were handed on last their originals back that waited on disk. Where the disk gives one back no more, the event stands
    /// without it (its hash says what it was), and a dead letter says so.
    fn fetch(&mut self, batch: &mut Batch, shared: &Shared, tally: &mut Tally) {
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.event < self.given) {
            let at = batch.events.len().checked_sub(self.given - waiting.event);
            let Some(event) = at.and_then(|at| batch.events.get_mut(at)) else { continue };
            match shared.spill.read(waiting) {
                Ok(raw) => event.raw = Some(raw),
                Err(error) => {
                    let (format, letter) = self.queue.not_given_back(shared, event, &error);
                    tally.of(format, &mut batch.counts).dead_letters += 1;
                    batch.dead_letters.push(letter);
                }
            }
        }
    }
}

impl Merge {
    /// Looks at every file; `None` when the reader is interrupted meanwhile.
    fn begin(inputs: Vec<Input>, pool: &Pool) -> Option<Self> {
        let shared = pool.shared();
        let limits = &shared.options.limits;
        let (answer, answers) = crossbeam_channel::unbounded();
        let mut todo: VecDeque<Input> = inputs.into();
        let mut looking: BTreeMap<usize, Input> = BTreeMap::new();
        let mut looked: Vec<Looked> = Vec::new();
        let (mut number, mut kept_bytes, mut kept_lanes) = (0, 0, 0);
        while !todo.is_empty() || !looking.is_empty() {
            if shared.progress.is_interrupted() {
                return None;
            }
            while looking.len() < 64
                && let Some(input) = todo.pop_front()
            {
                pool.peek(input.clone(), number, &answer);
                looking.insert(number, input);
                number += 1;
            }
            let Ok((number, peeked)) = answers.recv() else { return None };
            let Some(mut input) = looking.remove(&number) else { continue };
            match peeked {
                Peeked::Members(members) => {
                    shared.progress.files_total.fetch_add(members.len() as u64, Ordering::Relaxed);
                    shared.progress.files_done.fetch_add(1, Ordering::Relaxed);
                    todo.extend(members);
                }
                Peeked::File(unit, lane) => {
                    let time = unit.first_time().unwrap_or(Micros::MIN);
                    let keep = match &lane {
                        Some(_) => input.is_stream() || (kept_lanes < limits.open_files_max && kept_bytes < limits.peek_bytes_max),
                        None => input.is_stream() || kept_bytes < limits.peek_bytes_max,
                    };
                    if keep {
                        kept_bytes += unit.bytes();
                        kept_lanes += usize::from(lane.is_some());
                        looked.push((time, input, unit, lane));
                    } else {
                        if let Some(lane) = lane {
                            input.known = lane.format();
                            pool.set_aside(lane);
                        }
                        looked.push((time, input, Unit::default(), None));
                    }
                }
            }
            shared.progress.files_peeked.fetch_add(1, Ordering::Relaxed);
        }
        Some(Self::of(looked, kept_lanes, pool))
    }

    fn of(mut looked: Vec<Looked>, kept_lanes: usize, pool: &Pool) -> Self {
        looked.sort_unstable_by(|(_, one, ..), (_, other, ..)| one.order.cmp(&other.order));
        let limits = &pool.shared().options.limits;
        let open_files_max = limits.open_files_max.max(1);
        // Files that were kept open in looking count too: where there are more files than may be open, they are opened again in their order.
        let reopen = looked.len() > open_files_max && kept_lanes > 0;
        let depth = (limits.units_ahead_max / looked.len().clamp(1, open_files_max)).max(1);
        let mut pending = BTreeMap::new();
        for ((time, mut input, unit, lane), rank) in looked.into_iter().zip(0_u32..) {
            let queue = match lane {
                Some(lane) if reopen && !input.is_stream() => {
                    input.known = lane.format();
                    pool.set_aside(lane);
                    Queue::closed(input, depth)
                }
                None if !unit.last => Queue::closed(input, depth),
                lane => Queue::begun(input, depth, unit, lane, pool.shared()),
            };
            pending.insert((time, rank), queue);
        }
        Self { pending, open: BinaryHeap::new(), open_files_max }
    }

    fn next_batch(&mut self, pool: &Pool) -> Batch {
        let limits = &pool.shared().options.limits;
        let mut batch = Batch::default();
        let mut tally = Tally::default();
        let mut bytes = 0;
        let mut items = 0;
        while self.take_up(pool, &mut batch) {
            let Some(Reverse(mut head)) = self.open.pop() else { break };
            // Until another file's turn comes.
            let next = self.open.peek().map(|Reverse(other)| (other.time, other.rank));
            let waiting = self.pending.first_key_value().filter(|_| self.open.len() + 1 < self.open_files_max).map(|(key, _)| key.0);
            if items == 0 {
                pool.shared().progress.set_current(head.queue.name());
            }
            loop {
                hand_on(&mut head, &mut batch, &mut bytes, &mut tally);
                if !head.waiting.is_empty() {
                    head.fetch(&mut batch, pool.shared(), &mut tally);
                }
                items += 1;
                if !head.advance(pool, &mut batch) {
                    pool.shared().progress.files_done.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                let next_time = next.map_or(head.time, |(time, _)| time.min(head.time));
                let is_one_moment = batch.events.last().is_some_and(|last| last.time == next_time) && batch.events.len() < 2 * limits.batch_events_max;
                let full = batch.events.len() >= limits.batch_events_max && !is_one_moment
                    || bytes >= limits.batch_bytes_max
                    || items >= 16 * limits.batch_events_max.max(1);
                let turn_over = next.is_some_and(|next| (head.time, head.rank) > next) || waiting.is_some_and(|time| time <= head.time);
                if full || turn_over {
                    self.open.push(Reverse(head));
                    if full {
                        tally.end(&mut batch.counts);
                        return batch;
                    }
                    break;
                }
            }
        }
        tally.end(&mut batch.counts);
        batch
    }

    /// Opens the files whose time has come; `false` when there is nothing left.
    fn take_up(&mut self, pool: &Pool, batch: &mut Batch) -> bool {
        while self.open.len() < self.open_files_max {
            let Some(entry) = self.pending.first_entry() else { break };
            if self.open.peek().is_some_and(|Reverse(head)| head.time < entry.key().0) {
                break;
            }
            let ((_, rank), queue) = entry.remove_entry();
            // The next ones are read while this one is waited for.
            for ahead in self.pending.values().take(4) {
                ahead.read_ahead(pool);
            }
            let mut head = Head::new(rank, queue);
            if head.advance(pool, batch) {
                self.open.push(Reverse(head));
            } else {
                pool.shared().progress.files_done.fetch_add(1, Ordering::Relaxed);
            }
        }
        !self.open.is_empty()
    }
}

/// Moves the item that stands first in a file into the batch.
fn hand_on(head: &mut Head, batch: &mut Batch, bytes: &mut usize, tally: &mut Tally) {
    let Some(item) = head.items.next() else { return };
    batch.events.extend(head.events.by_ref().take(item.events as usize));
    head.given += item.events as usize;
    batch.dead_letters.extend(head.letters.by_ref().take(item.letters as usize));
    *bytes += item.bytes as usize;
    let counts = tally.of(item.format, &mut batch.counts);
    counts.records += u64::from(item.kind != Kind::Other);
    counts.control += u64::from(item.kind == Kind::Control);
    counts.held += u64::from(item.kind == Kind::Held);
    counts.events += u64::from(item.events);
    counts.dead_letters += u64::from(item.letters);
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Queues hold files open; they go before the threads that might still fill them are waited for.
        self.stage = Stage::Done;
    }
}
