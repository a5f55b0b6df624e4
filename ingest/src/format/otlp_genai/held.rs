//! Spans that wait for the rest of their trace, bounded in number, bytes and time.

use keytrail_schemas::{Micros, Text};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

use super::call::Trace;
use super::event;
use super::span::Span;
use crate::format::Draft;

/// So many spans wait at most.
const SPANS_MAX: usize = 20_000;
/// So many bytes of records wait at most.
const BYTES_MAX: usize = 32 << 20;
/// A trace waits until spans that begin so much later have come: spans are written when they end, a parent after its children.
const WINDOW: i64 = 10 * Micros::MINUTE;
/// One whose first span has come, which ends last, waits so much: others' exporters may be slower.
const WINDOW_ROOTED: i64 = Micros::MINUTE;

/// The traces that wait.
#[derive(Default)]
pub(super) struct Held {
    traces: FxHashMap<Text, Waiting>,
    /// Traces in order of their first span's arrival.
    order: VecDeque<Text>,
    spans: usize,
    bytes: usize,
    newest: Micros,
}

#[derive(Default)]
struct Waiting {
    spans: Vec<Span>,
    bytes: usize,
    newest: Micros,
    /// Its first span is there.
    rooted: bool,
    /// Line of the oldest span that tells something.
    line: Option<u64>,
}

impl Held {
    pub(super) fn put(&mut self, span: Span) {
        let bytes = size_of::<Span>() + span.told.as_ref().map_or(0, |told| told.raw.len() + 512);
        self.newest = self.newest.max(span.time);
        self.spans += 1;
        self.bytes += bytes;
        if !self.traces.contains_key(&span.trace) {
            self.order.push_back(span.trace.clone());
        }
        let waiting = self.traces.entry(span.trace.clone()).or_default();
        waiting.bytes += bytes;
        waiting.newest = waiting.newest.max(span.time);
        waiting.rooted |= span.parent.is_none();
        if span.act.is_some() {
            waiting.line = Some(waiting.line.map_or(span.line, |line| line.min(span.line)));
        }
        waiting.spans.push(span);
    }

    /// The line of the oldest span that waits.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.traces.values().filter_map(|waiting| waiting.line).min()
    }

    /// Traces that have waited long enough, or `all`, become events.
    pub(super) fn leave(&mut self, all: bool, out: &mut Vec<Draft>) {
        while let Some(first) = self.order.front() {
            let over = self.spans > SPANS_MAX || self.bytes > BYTES_MAX;
            let aged = self.traces.get(first).is_none_or(|waiting| self.newest.0 - waiting.newest.0 > if waiting.rooted { WINDOW_ROOTED } else { WINDOW });
            if !(all || over || aged) {
                return;
            }
            let Some(waiting) = self.order.pop_front().and_then(|trace| self.traces.remove(&trace)) else { continue };
            self.spans -= waiting.spans.len();
            self.bytes -= waiting.bytes;
            for call in Trace::of(&waiting.spans).calls() {
                out.extend(event::of(&call));
            }
        }
    }
}
