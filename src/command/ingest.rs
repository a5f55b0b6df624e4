//! `keytrail ingest`: files through log, detector and lake. Returns when all is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use keytrail_ingest::format::auto;
use keytrail_ingest::source::{Batch, Choice, Follow, Limits, Options, Progress, Reader};
use opentelemetry::KeyValue;
use serde::Serialize;

use crate::cli::Ingest;
use crate::clock;
use crate::config::Config;
use crate::exit::{Code, Usage};
use crate::home::Home;
use crate::output::Writer;
use crate::pipeline::{Outcome, Pipeline, Sink};
use crate::telemetry::Telemetry;

/// What to read.
pub struct Request {
    pub paths: Vec<String>,
    pub format: String,
    pub source: Option<String>,
    pub cluster: Option<String>,
    /// How much of the originals is kept, where it is not `ingest.raw`.
    pub raw: Option<String>,
}

/// What became of one format's records. read = stored + duplicate + dead-lettered, always.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Count {
    pub format: String,
    /// Records found in the files, with those that carry no event (headers, requests joined with their response).
    pub records: u64,
    /// Events and dead letters that they gave.
    pub read: u64,
    pub stored: u64,
    pub duplicate: u64,
    pub dead_lettered: u64,
}

/// Runs it and prints a row per format.
pub fn run(config: &Config, telemetry: &Telemetry, output: &Writer, arguments: &Ingest) -> anyhow::Result<Code> {
    let request = Request {
        paths: arguments.paths.clone(),
        format: arguments.format.clone(),
        source: arguments.source.clone(),
        cluster: arguments.cluster.clone(),
        raw: arguments.raw.clone(),
    };
    let stop = super::run::stop_signal()?;
    let (counts, outcome) = through(config, telemetry, &request, &stop)?;
    let rows: Vec<Count> = counts.into_values().collect();
    output.records(&rows)?;
    let sum = |of: fn(&Count) -> u64| rows.iter().map(of).sum::<u64>();
    let known = match outcome {
        Some(outcome) => format!("; {} identities, {} credentials known", outcome.identities, outcome.credentials),
        None => "; acknowledged by the brokers".to_owned(),
    };
    output.note(&format!(
        "read {} = stored {} + duplicate {} + dead-lettered {}{known}",
        sum(|c| c.read),
        sum(|c| c.stored),
        sum(|c| c.duplicate),
        sum(|c| c.dead_lettered),
    ));
    if sum(|c| c.dead_lettered) > 0 {
        output.note("what was dead-lettered, and why: keytrail dead-letters list");
    }
    if stop.load(Ordering::Acquire) {
        output.note("interrupted: what was read is stored; the same command goes on from here");
    }
    Ok(if arguments.strict && sum(|c| c.dead_lettered) > 0 { Code::DeadLettered } else { Code::Done })
}

/// Reads everything through the roles of this process; on Kafka, into the brokers.
pub fn through(
    config: &Config,
    telemetry: &Telemetry,
    request: &Request,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<(BTreeMap<String, Count>, Option<Outcome>)> {
    let home = Home::open(config)?;
    // What cannot be read at all is said before anything is opened.
    let reader = open(config, &home, request)?;
    let bar = (!config.quiet).then(Bar::new);
    if config.is_kafka() {
        let brokers = crate::role::Brokers::open(config, telemetry, &home)?;
        let read = read(telemetry, &brokers, reader, None, stop, bar.as_ref());
        if let Some(bar) = bar {
            bar.end();
        }
        return Ok((read?, None));
    }
    // The first look at the files goes on while log and lake are opened.
    let reading = Reading::start(reader)?;
    let pipeline = Pipeline::start(config, telemetry)?;
    let read = reading.into_log(telemetry, &pipeline, None, stop, bar.as_ref());
    if let Some(bar) = &bar {
        bar.message(&pipeline);
    }
    // Whatever the reading met, what was appended is judged and stored.
    let finished = pipeline.finish();
    if let Some(bar) = bar {
        bar.end();
    }
    Ok((read?, Some(finished?)))
}

/// Reads everything into the log.
pub fn read(
    telemetry: &Telemetry,
    sink: &dyn Sink,
    reader: Reader,
    follow: Option<&Follow>,
    stop: &Arc<AtomicBool>,
    bar: Option<&Bar>,
) -> anyhow::Result<BTreeMap<String, Count>> {
    Reading::start(reader)?.into_log(telemetry, sink, follow, stop, bar)
}

/// A reader on a thread of its own: the next batch is put together while the log takes one.
struct Reading {
    progress: Arc<Progress>,
    batches: Receiver<Batch>,
    thread: JoinHandle<()>,
}

impl Reading {
    /// Begins to read.
    fn start(mut reader: Reader) -> anyhow::Result<Self> {
        /// Batches that are put together and wait for the log.
        const BATCHES_WAITING: usize = 1;
        let progress = reader.progress();
        let (sender, batches) = sync_channel(BATCHES_WAITING);
        let merge = move || {
            let _ = reader.try_for_each(|batch| sender.send(batch).ok()); // Nobody takes them any more: the log failed, or the reading was interrupted.
        };
        let thread = std::thread::Builder::new().name("keytrail-merge".into()).spawn(merge).context("starting the thread that merges files")?;
        Ok(Self { progress, batches, thread })
    }

    /// Reads on into the log, to the end.
    fn into_log(
        self,
        telemetry: &Telemetry,
        sink: &dyn Sink,
        follow: Option<&Follow>,
        stop: &Arc<AtomicBool>,
        bar: Option<&Bar>,
    ) -> anyhow::Result<BTreeMap<String, Count>> {
        let Self { progress, batches, thread } = self;
        let mut counts: BTreeMap<String, Count> = BTreeMap::new();
        let written = append(telemetry, sink, (&progress, batches), follow, stop, bar, &mut counts);
        // It has ended, or does so with the next batch, which nobody takes.
        thread.join().map_err(|_| anyhow::anyhow!("the thread that merges files ended abnormally; this is a defect of keytrail"))?;
        written.map(|()| counts)
    }
}

fn append(
    telemetry: &Telemetry,
    sink: &dyn Sink,
    (progress, batches): (&Progress, Receiver<Batch>),
    follow: Option<&Follow>,
    stop: &Arc<AtomicBool>,
    bar: Option<&Bar>,
    counts: &mut BTreeMap<String, Count>,
) -> anyhow::Result<()> {
    /// So many batches, at most, are read again after a kill.
    const BATCHES_BETWEEN_SAVES: usize = 64;
    let mut taken = 0;
    for batch in batches {
        let span = tracing::debug_span!("ingest", events = batch.events.len(), dead_letters = batch.dead_letters.len()).entered();
        found(counts, &batch.counts);
        let appended = sink.append(batch.events, batch.dead_letters)?;
        drop(span);
        if let Some(follow) = follow {
            follow.reached(batch.reached);
            taken += 1;
            if taken % BATCHES_BETWEEN_SAVES == 0 {
                save(follow, sink)?;
            }
        }
        written(counts, appended, telemetry);
        if let Some(bar) = bar {
            bar.show(progress, sink);
        }
        if stop.load(Ordering::Acquire) {
            break;
        }
    }
    Ok(())
}

/// Counts the records of a batch.
pub fn found(counts: &mut BTreeMap<String, Count>, batch: &keytrail_ingest::source::Counts) {
    for (format, seen) in &batch.formats {
        let count = counts.entry(format.to_string()).or_insert_with(|| Count { format: format.to_string(), ..Count::default() });
        count.records += seen.records;
    }
}

/// Counts what became of a batch, here and in the metrics.
pub fn written(counts: &mut BTreeMap<String, Count>, appended: keytrail_log::Appended, telemetry: &Telemetry) {
    for (format, done) in appended.formats {
        let count = counts.entry(format.to_string()).or_insert_with(|| Count { format: format.to_string(), ..Count::default() });
        let read = done.stored + done.duplicate + done.dead_lettered;
        count.read += read;
        count.stored += done.stored;
        count.duplicate += done.duplicate;
        count.dead_lettered += done.dead_lettered;
        let label = [KeyValue::new("format", format.to_string())];
        telemetry.metrics.read.add(read, &label);
        telemetry.metrics.stored.add(done.stored, &label);
        telemetry.metrics.duplicate.add(done.duplicate, &label);
        telemetry.metrics.dead_lettered.add(done.dead_lettered, &label);
    }
}

/// Keeps on disk how far sources have been read, once what was read is on the log's disk.
pub fn save(follow: &Follow, sink: &dyn Sink) -> anyhow::Result<()> {
    sink.settle()?;
    // Where it cannot be kept, the next start reads from further back.
    if let Err(error) = follow.save() {
        tracing::warn!(%error, "how far sources have been read cannot be kept");
    }
    Ok(())
}

/// Opens what is to be read.
pub fn open(config: &Config, home: &Home, request: &Request) -> anyhow::Result<Reader> {
    Reader::open(&request.paths, options(config, home, request)?).map_err(|error| Usage(error.to_string()).into())
}

/// Opens bytes in memory, as of a file of this name.
pub fn open_bytes(config: &Config, home: &Home, request: &Request, name: &str, bytes: Vec<u8>) -> anyhow::Result<Reader> {
    Ok(Reader::open_bytes(name, bytes.into(), options(config, home, request)?)?)
}

pub fn options(config: &Config, home: &Home, request: &Request) -> anyhow::Result<Options> {
    let format = choice(&request.format)?;
    let mut options = Options::new(request.source.clone().unwrap_or_default(), format, home.redactor()?, clock::now);
    options.cluster = request.cluster.clone().unwrap_or_default().into();
    options.raw = request.raw.as_deref().unwrap_or(&config.ingest.raw).parse().map_err(|error| Usage(format!("ingest.raw: {error}")))?;
    options.copies = home.opened_copies(config)?.map(|copies| copies as Arc<dyn keytrail_ingest::source::Copies>);
    options.enrich = home.opened_databases(config)?;
    options.waiting_dir = Some(home.dir().to_owned());
    options.limits = Limits {
        record_bytes_max: config.ingest.record_bytes_max,
        expanded_bytes_max: config.ingest.expanded_bytes_max,
        expansion_ratio_max: config.ingest.expansion_ratio_max,
        depth_max: config.ingest.depth_max,
        open_files_max: config.ingest.open_files_max,
        batch_events_max: config.ingest.batch_events_max,
        under_way_bytes_max: config.ingest.waiting_bytes_max / 2,
        held_bytes_max: config.ingest.waiting_bytes_max / 2,
        peek_bytes_max: usize::try_from(config.ingest.waiting_bytes_max / 4).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    Ok(options)
}

/// The format of this name, or the choice of one for each file.
pub fn choice(format: &str) -> anyhow::Result<Choice> {
    Ok(match format {
        "auto" => Choice::Auto,
        name => Choice::Named(auto::by_name(name).map_err(|error| Usage(error.to_string()))?),
    })
}

/// Bytes read of all bytes, and how far detector and store are.
pub struct Bar {
    bar: indicatif::ProgressBar,
}

impl Bar {
    pub fn new() -> Self {
        let bar = indicatif::ProgressBar::new(0);
        if let Ok(style) = indicatif::ProgressStyle::with_template("{elapsed_precise} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    fn show(&self, progress: &Progress, sink: &dyn Sink) {
        self.bar.set_length(progress.bytes_total.load(Ordering::Relaxed));
        self.bar.set_position(progress.bytes_read.load(Ordering::Relaxed));
        self.message(sink);
    }

    fn message(&self, sink: &dyn Sink) {
        self.bar.set_message(sink.progress());
    }

    fn end(self) {
        self.bar.finish_and_clear();
    }
}
