//! One live source of `keytrail run` and `keytrail collect`: what it has heard goes through its format into the log, together with the position
//! from which it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use keytrail_ingest::source::{Options, Reader};
use keytrail_live::opcua;

use super::ingest;
use crate::clock;
use crate::config::{Config, Source};
use crate::exit::OutOfReach;
use crate::home::Home;
use crate::pipeline::Sink;
use crate::telemetry::Telemetry;

/// Time between two looks at what was heard.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Bytes of records that are read at once.
const TAKE_BYTES_MAX: usize = 4 << 20;

/// A source, and the reader of its records.
pub struct Live {
    name: String,
    url: String,
    /// What its position is kept under.
    key: String,
    source: opcua::Source,
    options: Options,
    /// Until the next look.
    pub due: Duration,
}

impl Live {
    /// Starts the source where it stood.
    pub fn open(config: &Config, home: &Home, source: &Source, sink: &dyn Sink) -> anyhow::Result<Self> {
        let opcua = source.opcua(home.opcua())?;
        let request = ingest::Request {
            paths: Vec::new(),
            format: "opcua_audit".to_owned(),
            source: Some(source.name.clone()).filter(|name| !name.is_empty()),
            cluster: Some(source.cluster.clone()).filter(|name| !name.is_empty()),
            raw: Some(source.raw.clone()).filter(|raw| !raw.is_empty()),
        };
        let options = Options { threads: 1, ..ingest::options(config, home, &request)? };
        let key = format!("{}\0{}", source.name, source.url);
        let position = sink.position(&key)?;
        let running = opcua::Source::start(opcua, position.as_deref(), clock::now).map_err(|error| OutOfReach(format!("source {:?}: {error}", source.name)))?;
        Ok(Self { name: source.name.clone(), url: source.url.clone(), key, source: running, options, due: Duration::ZERO })
    }

    /// Appends what was heard, up to a bound; whether there was anything.
    pub fn look(&mut self, telemetry: &Telemetry, sink: &dyn Sink) -> anyhow::Result<bool> {
        let taken = self.source.queue().take(TAKE_BYTES_MAX);
        let position = taken.position.as_deref().map(|position| (self.key.as_str(), position));
        let Some(first) = taken.first else {
            self.due = LOOK_INTERVAL;
            if position.is_some() {
                sink.append_at(Vec::new(), Vec::new(), position)?;
            }
            return Ok(false);
        };
        let (mut counts, mut is_written) = (BTreeMap::new(), false);
        let mut batches = Reader::open_bytes(&self.url, taken.records.into(), self.options.clone())?.peekable();
        while let Some(mut batch) = batches.next() {
            // Within what was taken lines are counted from 1; the source has numbers of its own.
            let before = i64::try_from(first.sequence.saturating_sub(1)).unwrap_or(i64::MAX);
            for letter in batch.dead_letters.iter_mut().filter(|letter| letter.line > 0) {
                letter.line = letter.line.saturating_add(before);
            }
            ingest::found(&mut counts, &batch.counts);
            // The position belongs to the last batch of what was taken.
            let position = position.filter(|_| batches.peek().is_none());
            is_written |= position.is_some();
            ingest::written(&mut counts, sink.append_at(batch.events, batch.dead_letters, position)?, telemetry);
        }
        if !is_written && position.is_some() {
            sink.append_at(Vec::new(), Vec::new(), position)?;
        }
        for (format, count) in counts {
            tracing::debug!(
                source = self.name,
                format,
                read = count.read,
                stored = count.stored,
                duplicate = count.duplicate,
                dead_lettered = count.dead_lettered,
                "source heard"
            );
        }
        Ok(true)
    }

    /// Ends the source, and appends what it had heard.
    pub fn finish(mut self, telemetry: &Telemetry, sink: &dyn Sink) -> anyhow::Result<()> {
        self.source.stop();
        while self.look(telemetry, sink)? {}
        Ok(())
    }
}
