//! The one gate: whatever a format yields, events and refusals, passes here once, and nothing else redacts.

use std::borrow::Cow;

use keytrail_schemas::Text;

use super::cells::Header;
use super::memories::Memory;
use super::{Level, Redactor};
use crate::format::{self, Context, Disposition, Draft, Format, Parser, Part, Reject, Rejected};

/// A format's parser behind the gate.
pub struct Gate {
    inner: Box<dyn Parser>,
    format: &'static str,
    redactor: Redactor,
    level: Level,
    memory: Box<Memory>,
    /// What became of the last record: the events of one share it.
    last: Last,
}

/// What became of the record of the last event.
enum Last {
    /// Nothing is known.
    None,
    /// It was kept as it came: the event has it.
    Same,
    /// It came so, and is kept so.
    Other { came: String, kept: String },
}

impl Gate {
    /// The parser of one file, behind the gate.
    #[must_use]
    pub fn new(format: &dyn Format, context: &Context) -> Self {
        Self {
            inner: format.parser(context),
            format: format.name(),
            redactor: context.redactor.clone(),
            level: context.level,
            memory: context.redactor.memories.take(format.name(), context.level),
            last: Last::None,
        }
    }

    fn drafts(&mut self, drafts: &mut [Draft]) {
        for at in 0..drafts.len() {
            let (before, from_here) = drafts.split_at_mut(at);
            let Some((draft, behind)) = from_here.split_first_mut() else { break };
            let Memory { memo, columns } = &mut *self.memory;
            columns.keep_back(&mut draft.event, &self.redactor, self.level, memo);
            if let Some(raw) = draft.event.raw.take() {
                // An event that keytrail wrote once brings the record of the format that it was read as.
                let format = if draft.event.format.is_empty() { Text::const_new(self.format) } else { draft.event.format.clone() };
                let before = before.last().and_then(|draft| draft.event.raw.as_deref());
                draft.event.raw = Some(self.raw(raw, &format, before, !behind.is_empty()));
            }
        }
        self.last = Last::None;
    }

    /// The record without what must not be kept; `before` is what the event before it has, and `more` says that another event may bring the same one.
    fn raw(&mut self, raw: String, format: &str, before: Option<&str>, more: bool) -> String {
        match &mut self.last {
            Last::Same if before == Some(raw.as_str()) => return raw,
            Last::Other { came, kept } if *came == raw => return if more { kept.clone() } else { std::mem::take(kept) },
            _ => {}
        }
        let foreign_row = format != self.format && !raw.trim_start().starts_with(['{', '[']);
        let parts = if foreign_row || raw.trim_start().starts_with('{') { None } else { self.inner.parts(&raw) };
        let kept = match self.inner.columns() {
            _ if parts.is_some() => self.redactor.line_remembering(format, parts.as_deref().unwrap_or_default(), &raw, self.level, &mut self.memory.memo),
            // A row without its header: its columns have no names.
            _ if foreign_row => self.redactor.text(&raw),
            Some(format::Columns { names, separator, header }) if !raw.starts_with('{') => {
                let header = Header { columns: names, separator, number: header };
                self.redactor.row_remembering(format, &header, &raw, self.level, &mut self.memory.memo)
            }
            _ => self.redactor.remembering(format, &raw, self.level, &mut self.memory.memo),
        };
        let kept = match kept {
            Cow::Borrowed(_) => None,
            Cow::Owned(kept) => Some(kept),
        };
        match (kept, more) {
            (None, _) => {
                self.last = Last::Same;
                raw
            }
            (Some(kept), true) => {
                self.last = Last::Other { came: raw, kept: kept.clone() };
                kept
            }
            (Some(kept), false) => {
                // What came is the room for what the next record is kept as.
                self.memory.memo.spare = raw;
                kept
            }
        }
    }

    fn reject(&self, reject: Reject) -> Reject {
        let message = match self.redactor.text(&reject.message) {
            Cow::Borrowed(_) => None,
            Cow::Owned(message) => Some(message),
        };
        let field = reject.field.map(|field| Text::from(self.redactor.text(&field).as_ref()));
        Reject { reason: reject.reason, field, message: message.unwrap_or(reject.message) }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.redactor.memories.keep(self.format, self.level, std::mem::take(&mut self.memory));
    }
}

impl Parser for Gate {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let before = out.len();
        match self.inner.record(record, line, out) {
            Ok(disposition) => {
                self.drafts(out.get_mut(before..).unwrap_or_default());
                Ok(match disposition {
                    // Their bytes become dead letters, which are redacted where they are made.
                    Disposition::Partly(rejected) => {
                        Disposition::Partly(rejected.into_iter().map(|one| Rejected { reject: self.reject(one.reject), ..one }).collect())
                    }
                    whole => whole,
                })
            }
            Err(reject) => {
                out.truncate(before);
                Err(self.reject(reject))
            }
        }
    }

    fn oldest_held(&self) -> Option<u64> {
        self.inner.oldest_held()
    }

    fn shed(&mut self) {
        self.inner.shed();
        self.memory.memo.spare = String::new();
    }

    fn dated(&mut self, written: keytrail_schemas::Micros) {
        self.inner.dated(written);
    }

    fn parts(&self, record: &str) -> Option<Vec<Part>> {
        self.inner.parts(record)
    }

    fn columns(&self) -> Option<format::Columns<'_>> {
        self.inner.columns()
    }

    fn finish(&mut self, out: &mut Vec<Draft>) {
        let before = out.len();
        self.inner.finish(out);
        self.drafts(out.get_mut(before..).unwrap_or_default());
    }
}
