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
    /// The last record as it came and as it is kept: a record's events share it.
    last: Option<(String, String)>,
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
            last: None,
        }
    }

    fn drafts(&mut self, drafts: &mut [Draft]) {
        let mut left = drafts.len();
        for draft in drafts {
            left -= 1;
            let Memory { memo, columns } = &mut *self.memory;
            columns.keep_back(&mut draft.event, &self.redactor, self.level, memo);
            if let Some(raw) = draft.event.raw.take() {
                // An event that keytrail wrote once brings the record of the format that it was read as.
                let format = if draft.event.format.is_empty() { Text::const_new(self.format) } else { draft.event.format.clone() };
                draft.event.raw = Some(self.raw(raw, &format, left > 0));
            }
        }
        self.last = None;
    }

    /// The record without what must not be kept; `more` says that another event may bring the same one.
    fn raw(&mut self, raw: String, format: &str, more: bool) -> String {
        if let Some((came, kept)) = &mut self.last
            && *came == raw
        {
            return if more { kept.clone() } else { std::mem::take(kept) };
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
            (kept, true) => {
                let kept = kept.unwrap_or_else(|| raw.clone());
                self.last = Some((raw, kept.clone()));
                kept
            }
            (Some(kept), false) => {
                // What came is the room for what the next record is kept as.
                self.memory.memo.spare = raw;
                kept
            }
            (None, false) => raw,
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
