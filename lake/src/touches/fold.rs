//! From a day's events to its touches: files sorted by identity are read side by side, and each identity's events are counted and written
//! before the next one's are looked at, so that memory holds one identity's touches whatever the day has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use keytrail_schemas::{Micros, Table, Text, Touch};
use rustc_hash::FxHashMap;

use crate::merge::{open, ordered};
use crate::table_log::TableLog;
use crate::{Error, Result, TableName};

/// The texts that tell touches apart, the identity first.
pub(super) const KEY: [&str; 9] =
    ["identity", "identity_kind", "destination", "environment", "credential", "credential_parent", "protocol", "action", "outcome"];
pub(super) const TIMES: [&str; 2] = ["time", "credential_issued_at"];
/// Touches of one identity on one day; beyond it the day is not rolled up, and its events are read.
const TOUCHES_MAX: usize = 2_000_000;
/// Rows that are handed on at a time.
const BATCH_ROWS: usize = 8192;

/// A day's touches in order of identity and destination.
pub(super) struct Fold {
    day: Micros,
    events: SendableRecordBatchStream,
    /// Rows of the batch at hand that were counted.
    at: usize,
    batch: RecordBatch,
    index: FxHashMap<Box<[u8]>, usize>,
    touches: Vec<Touch>,
    scratch: Vec<u8>,
    ready: Vec<Touch>,
    shown: String,
    /// Events that were counted.
    pub(super) events_read: u64,
}

impl Fold {
    /// Over the day's files. `None` when one of them is not sorted by identity: keytrail did not write it.
    pub(super) fn open(runtime: &tokio::runtime::Handle, events: &TableLog, day: i64, inputs: &[String]) -> Result<Option<Self>> {
        let all = TableName::Events.file_schema();
        let schema: SchemaRef = Arc::new(Schema::new(KEY.iter().chain(&TIMES).filter_map(|name| all.field_with_name(name).ok().cloned()).collect::<Vec<_>>()));
        let mut streams = Vec::new();
        for path in inputs {
            match open(runtime, events, path, &schema)? {
                Some((stream, _)) => streams.push(stream),
                None => return Ok(None),
            }
        }
        let merged = if streams.is_empty() {
            Box::pin(RecordBatchStreamAdapter::new(schema.clone(), futures::stream::empty()))
        } else {
            ordered(&schema, &["identity"], streams).map_err(|e| Error::encoding(&events.shown, "read a day's events", e))?
        };
        Ok(Some(Self {
            day: Micros(day.saturating_mul(Micros::DAY)),
            events: merged,
            at: 0,
            batch: RecordBatch::new_empty(schema),
            index: FxHashMap::default(),
            touches: Vec::new(),
            scratch: Vec::new(),
            ready: Vec::new(),
            shown: events.shown.clone(),
            events_read: 0,
        }))
    }

    /// The next touches; none when the day is done.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Touch>>> {
        while self.ready.len() < BATCH_ROWS {
            if self.at >= self.batch.num_rows() {
                let Some(batch) = self.events.next().await else {
                    self.release();
                    break;
                };
                self.batch = batch.map_err(|e| Error::encoding(&self.shown, "read a day's events", e))?;
                self.at = 0;
            }
            self.count().map_err(|e| Error::encoding(&self.shown, "count a day's events", e))?;
        }
        Ok((!self.ready.is_empty()).then(|| std::mem::take(&mut self.ready)))
    }

    /// Counts rows of the batch up to its end, or to where enough touches are ready.
    fn count(&mut self) -> Result<(), ArrowError> {
        let batch = self.batch.clone();
        let texts: Vec<&StringArray> = batch.columns().iter().take(KEY.len()).filter_map(|column| column.as_string_opt::<i32>()).collect();
        let time = |index: usize| batch.columns().get(index).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(times), Some(issues), Some(identities), true) = (time(KEY.len()), time(KEY.len() + 1), texts.first(), texts.len() == KEY.len()) else {
            return Err(ArrowError::SchemaError(format!("the events' columns are of other types than expected: {}", batch.schema())));
        };
        while self.at < batch.num_rows() && self.ready.len() < BATCH_ROWS {
            let row = self.at;
            if self.touches.first().is_some_and(|touch| touch.identity != identities.value(row)) {
                self.release();
            }
            self.scratch.clear();
            for text in texts.iter().skip(1) {
                match text.is_valid(row).then(|| text.value(row)) {
                    Some(value) => {
                        self.scratch.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
                        self.scratch.extend_from_slice(value.as_bytes());
                    }
                    None => self.scratch.extend_from_slice(&u32::MAX.to_le_bytes()),
                }
            }
            let time = Micros(times.value(row));
            let issued = issues.is_valid(row).then(|| (time, Micros(issues.value(row))));
            let at = match self.index.get(self.scratch.as_slice()) {
                Some(&at) => at,
                None => {
                    if self.touches.len() >= TOUCHES_MAX {
                        return Err(ArrowError::ComputeError(format!("{} has more than {TOUCHES_MAX} touches on one day", identities.value(row))));
                    }
                    let text = |index: usize| texts.get(index).filter(|text| text.is_valid(row)).map(|text| text.value(row));
                    self.index.insert(self.scratch.as_slice().into(), self.touches.len());
                    self.touches.push(new(text, self.day, time)?);
                    self.touches.len() - 1
                }
            };
            if let Some(touch) = self.touches.get_mut(at) {
                touch.count += 1;
                touch.first = touch.first.min(time);
                touch.last = touch.last.max(time);
                // The latest record that says when the credential was issued; of two at one time the later issue.
                let known = touch.issued_seen.zip(touch.issued_at).max(issued);
                (touch.issued_seen, touch.issued_at) = known.unzip();
            }
            self.events_read += 1;
            self.at += 1;
        }
        Ok(())
    }

    /// The identity at hand is done.
    fn release(&mut self) {
        self.index.clear();
        self.touches.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        self.ready.append(&mut self.touches);
    }
}

/// What is empty comes last.
#[expect(clippy::type_complexity, reason = "a key of many parts")]
fn order(touch: &Touch) -> ((bool, &Option<Text>), (&Option<Text>, &Option<Text>, &Option<Text>, &Option<Text>, &Option<Text>), &'static str) {
    (
        (touch.destination.is_none(), &touch.destination),
        (&touch.credential, &touch.protocol, &touch.action, &touch.environment, &touch.credential_parent),
        touch.outcome.as_str(),
    )
}

fn new<'a>(text: impl Fn(usize) -> Option<&'a str>, day: Micros, time: Micros) -> Result<Touch, ArrowError> {
    let some = |index| text(index).map(Text::from);
    let word = |e: &dyn std::fmt::Display| ArrowError::ParseError(e.to_string());
    Ok(Touch {
        identity: some(0).unwrap_or_default(),
        identity_kind: text(1).unwrap_or_default().parse().map_err(|e| word(&e))?,
        day,
        destination: some(2),
        environment: some(3),
        credential: some(4),
        credential_parent: some(5),
        protocol: some(6),
        action: some(7),
        outcome: text(8).unwrap_or_default().parse().map_err(|e| word(&e))?,
        count: 0,
        first: time,
        last: time,
        issued_at: None,
        issued_seen: None,
    })
}

/// The fold as a stream of batches of the table of touches, and then how many events they count.
pub(super) fn batches(fold: Fold, events: Arc<AtomicU64>) -> SendableRecordBatchStream {
    let rows = futures::stream::try_unfold(fold, move |mut fold| {
        let events = Arc::clone(&events);
        async move {
            let next = fold.next().await.map_err(|e| DataFusionError::External(Box::new(e)))?;
            events.store(fold.events_read, Ordering::Relaxed);
            Ok(next.map(|touches| Touch::to_batch(&touches)).transpose()?.map(|batch| (batch, fold)))
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(Touch::arrow_schema(), rows))
}
