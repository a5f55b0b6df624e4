//! The one gate: whatever a format yields, events and refusals, passes here once, and nothing else redacts.

use std::borrow::Cow;

use keytrail_schemas::{Event, Text};

use super::form::Scope;
use super::memo::{As, Memo};
use super::{Level, Redactor, value};
use crate::format::{Columns, Context, Disposition, Draft, Format, Parser, Part, Reject, Rejected};

/// A format's parser behind the gate.
pub struct Gate {
    inner: Box<dyn Parser>,
    format: &'static str,
    redactor: Redactor,
    level: Level,
    memo: Memo,
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
            memo: Memo::default(),
            last: None,
        }
    }

    fn drafts(&mut self, drafts: &mut [Draft]) {
        let several = drafts.len() > 1;
        for draft in drafts {
            self.columns(&mut draft.event);
            if let Some(raw) = draft.event.raw.take() {
                // An event that keytrail wrote once brings the record of the format that it was read as.
                let format = if draft.event.format.is_empty() { Text::const_new(self.format) } else { draft.event.format.clone() };
                draft.event.raw = Some(self.raw(raw, &format, several));
            }
        }
        self.last = None;
    }

    /// The record without what must not be kept.
    fn raw(&mut self, raw: String, format: &str, several: bool) -> String {
        if let Some((came, kept)) = &self.last
            && *came == raw
        {
            return kept.clone();
        }
        let foreign_row = format != self.format && !raw.trim_start().starts_with(['{', '[']);
        let parts = if foreign_row || raw.trim_start().starts_with('{') { None } else { self.inner.parts(&raw) };
        let kept = match self.inner.columns() {
            _ if parts.is_some() => self.redactor.line_remembering(format, parts.as_deref().unwrap_or_default(), &raw, self.level, &mut self.memo),
            // A row without its header: its columns have no names.
            _ if foreign_row => self.redactor.text(&raw),
            Some(Columns { names, separator }) if !raw.starts_with('{') => {
                self.redactor.row_remembering(format, names, separator, &raw, self.level, &mut self.memo)
            }
            _ => self.redactor.remembering(format, &raw, self.level, &mut self.memo),
        };
        let kept = match kept {
            Cow::Borrowed(_) => None,
            Cow::Owned(kept) => Some(kept),
        };
        if several {
            let kept = kept.unwrap_or_else(|| raw.clone());
            self.last = Some((raw, kept.clone()));
            return kept;
        }
        kept.unwrap_or(raw)
    }

    fn columns(&mut self, event: &mut Event) {
        let Event { identity, identity_provider, identity_account, source, .. } = event;
        for column in [identity, identity_provider, identity_account, source] {
            if let Some(Cow::Owned(kept)) = changed(self.name(column)) {
                *column = kept.into();
            }
        }
        let Event {
            credential,
            credential_parent,
            issuer,
            source_ip,
            source_host,
            source_country,
            user_agent: _,
            destination,
            destination_kind,
            destination_service,
            environment,
            protocol,
            auth_method,
            action,
            session,
            trace_id,
            reason,
            ..
        } = event;
        for column in [
            credential,
            credential_parent,
            issuer,
            source_ip,
            source_host,
            source_country,
            destination,
            destination_kind,
            destination_service,
            environment,
            protocol,
            auth_method,
            action,
            session,
            trace_id,
        ] {
            self.column(column);
        }
        self.reason(reason);
        // Whoever asks writes it as they like.
        if let Some(text) = &mut event.user_agent
            && let Some(Cow::Owned(kept)) = changed(self.judged(text, Scope::Text))
        {
            *text = kept.into();
        }
    }

    fn column(&mut self, column: &mut Option<Text>) {
        if let Some(text) = column
            && let Some(Cow::Owned(kept)) = changed(self.name(text))
        {
            *column = Some(kept.into());
        }
    }

    /// A code stays; a message is kept as far as its words are words of messages.
    fn reason(&mut self, reason: &mut Option<Text>) {
        const CODE_BYTES_MAX: usize = 80;
        let Some(text) = reason else { return };
        let code = text.len() <= CODE_BYTES_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':'));
        if code || self.level == Level::Open {
            self.column(reason);
        } else if let Some(verdict) = value::message(&self.redactor, text, false) {
            *reason = Some(verdict.written.into());
        }
    }

    /// A column's text without secrets.
    fn name<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        if text.len() < super::form::TEXT_BYTES_MIN || value::is_plain(text) {
            return Cow::Borrowed(text);
        }
        let scope = Scope::of(text);
        if scope == Scope::Name && text.len() < super::form::NAME_BYTES_MIN {
            return Cow::Borrowed(text);
        }
        self.judged(text, scope)
    }

    /// The same for one that is text, or none; in a column a fingerprint stands bare, as it does for a credential that has no other name.
    fn judged<'t>(&mut self, text: &'t str, scope: Scope) -> Cow<'t, str> {
        let judged = if scope == Scope::Text { As::Text } else { As::Name };
        if text.len() < super::form::TEXT_BYTES_MIN || self.memo.is_clean(text, judged) {
            return Cow::Borrowed(text);
        }
        match value::replaced(&self.redactor, text, scope, false, false) {
            Some(verdict) => Cow::Owned(verdict.written),
            None => {
                self.memo.keep_clean(text, judged);
                Cow::Borrowed(text)
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

fn changed(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    matches!(text, Cow::Owned(_)).then_some(text)
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
    }

    fn dated(&mut self, written: keytrail_schemas::Micros) {
        self.inner.dated(written);
    }

    fn parts(&self, record: &str) -> Option<Vec<Part>> {
        self.inner.parts(record)
    }

    fn columns(&self) -> Option<Columns<'_>> {
        self.inner.columns()
    }

    fn finish(&mut self, out: &mut Vec<Draft>) {
        let before = out.len();
        self.inner.finish(out);
        self.drafts(out.get_mut(before..).unwrap_or_default());
    }
}
