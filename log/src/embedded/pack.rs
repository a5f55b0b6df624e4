//! Packing: records get their coordinates, are encoded, compressed and checked on threads of the log's own, so that the thread that appends
//! only decides what is new and in which order it stands.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use fjall::UserValue;
use keytrail_schemas::LogRecord;

use super::block::{BODY_BYTES_MAX, Builder};
use super::tail::Run;

/// So many records are packed as one piece, on one thread.
pub const PIECE_RECORDS: usize = 1_024;
/// Up to so many records the thread that appends packs itself: handing them over takes longer.
pub const INLINE_RECORDS_MAX: usize = 128;
/// More threads than this have nothing to do: the thread that appends is the slower one then.
const THREADS_MAX: usize = 8;

/// How large blocks may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub block_records_max: usize,
    pub block_bytes_max: usize,
}

/// Consecutive records of one partition.
#[derive(Debug)]
pub struct Piece {
    pub partition: i32,
    pub first_offset: i64,
    pub records: Vec<LogRecord>,
}

/// A piece as it is stored, and as it is kept for readers close behind.
#[derive(Debug)]
pub struct Packed {
    pub partition: i32,
    /// The offset of each block's first record, and the block.
    pub blocks: Vec<(i64, UserValue)>,
    pub run: Run,
}

/// Packs one piece.
///
/// # Errors
/// A sentence, when a record cannot be appended.
pub fn pack(piece: Piece, bounds: Bounds, block: &mut Builder) -> Result<Packed, String> {
    let Piece { partition, first_offset, mut records } = piece;
    let mut blocks = Vec::with_capacity(1);
    let mut begin = first_offset;
    let mut offset = first_offset;
    let mut number = 0;
    let mut bytes = 0;
    block.clear();
    while let Some(record) = records.get_mut(number) {
        if block.count() >= bounds.block_records_max.max(1) || (block.count() > 0 && block.bytes() >= bounds.block_bytes_max) {
            bytes += block.bytes();
            blocks.push((begin, UserValue::from(block.finish())));
            begin = offset;
        }
        let fits = match record {
            LogRecord::Event(event) => {
                event.log_partition = partition;
                event.log_offset = offset;
                block.push_event(event)
            }
            LogRecord::Tick { time } => block.push_encoded(&LogRecord::encode_tick(*time)),
            LogRecord::Rules { rules } => block.push_encoded(&LogRecord::encode_rules(*rules)),
            LogRecord::Gap => return Err("a gap is made by readers and cannot be appended".to_owned()),
        };
        if !fits {
            if block.count() == 0 {
                return Err(format!("an event has more than {BODY_BYTES_MAX} bytes: lower the limit on records"));
            }
            bytes += block.bytes();
            blocks.push((begin, UserValue::from(block.finish())));
            begin = offset;
            continue;
        }
        number += 1;
        offset += 1;
    }
    if block.count() > 0 {
        bytes += block.bytes();
        blocks.push((begin, UserValue::from(block.finish())));
    }
    Ok(Packed { partition, blocks, run: Run::new(first_offset, records, bytes) })
}

/// What a thread is given.
enum Job {
    Pack(usize, Piece, Sender<(usize, Result<Packed, String>)>),
    /// Records that nobody reads any more: giving their memory back takes as long as half of packing.
    Forget(Vec<Run>),
}

/// The threads.
#[derive(Debug)]
pub struct Packers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Packers {
    /// Starts them.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(bounds: Bounds) -> std::io::Result<Self> {
        let (jobs, todo) = crossbeam_channel::unbounded();
        let mut packers = Self { jobs: Some(jobs), threads: Vec::new() };
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX) {
            let todo = todo.clone();
            packers.threads.push(std::thread::Builder::new().name("log-pack".into()).spawn(move || work(&todo, bounds))?);
        }
        Ok(packers)
    }

    /// Packs pieces, each on a thread, and waits for all of them; their order stays.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn pack(&self, pieces: Vec<Piece>) -> Result<Vec<Packed>, String> {
        let failed = || "a thread that packs records ended abnormally; this is a defect of keytrail".to_owned();
        let count = pieces.len();
        let (answer, answers) = crossbeam_channel::bounded(count);
        let jobs = self.jobs.as_ref().ok_or_else(failed)?;
        for (number, piece) in pieces.into_iter().enumerate() {
            jobs.send(Job::Pack(number, piece, answer.clone())).map_err(|_| failed())?;
        }
        drop(answer);
        let mut packed: Vec<Option<Packed>> = (0..count).map(|_| None).collect();
        for (number, one) in answers {
            if let Some(place) = packed.get_mut(number) {
                *place = Some(one?);
            }
        }
        packed.into_iter().collect::<Option<Vec<_>>>().ok_or_else(failed)
    }

    /// Gives the memory of runs back.
    pub fn forget(&self, runs: Vec<Run>) {
        // A run that is still read goes with its last reader.
        if let Some(jobs) = self.jobs.as_ref().filter(|_| runs.iter().any(|run| Arc::strong_count(&run.records) == 1)) {
            let _ = jobs.send(Job::Forget(runs));
        }
    }
}

impl Drop for Packers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(todo: &Receiver<Job>, bounds: Bounds) {
    let mut block = Builder::default();
    for job in todo {
        match job {
            Job::Pack(number, piece, answer) => {
                let _ = answer.send((number, pack(piece, bounds, &mut block))); // Nobody listens any more when another piece failed.
            }
            Job::Forget(runs) => drop(runs),
        }
    }
}
