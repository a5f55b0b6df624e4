//! The columns of an event without secrets. Most repeat themselves from event to event: what stood in a column before and was kept is compared, and not judged again.

use keytrail_schemas::{Event, Text};

use super::form::{Scope, TEXT_BYTES_MIN};
use super::memo::{As, Memo, Parts};
use super::{Level, Redactor, value};

/// Columns that are names.
const NAMES: usize = 19;

/// What is remembered of an event's columns.
#[derive(Default)]
pub(super) struct Columns {
    names: [Recent; NAMES],
    reason: Recent,
    user_agent: Recent,
    /// Names that were looked at last, in whichever column: the events of one record have most of theirs in common, and some stand in two columns.
    last_names: Texts,
}

/// Texts that stood in a column and were kept.
#[derive(Default)]
struct Recent {
    texts: Texts,
    score: i16,
}

/// The last texts of some.
#[derive(Default)]
struct Texts {
    /// Length and last bytes of each, close together: most of what is another text is told by them.
    tags: [u64; KEPT],
    texts: [Short; KEPT],
    /// Which of them gives way to the next newcomer.
    oldest: u8,
}

const KEPT: usize = 4;
/// Where texts are met again so much more seldom than not, none are compared.
const SCORE_MIN: i16 = -128;
const SCORE_MAX: i16 = 128;

/// A short text, in a line of a processor's memory.
#[repr(align(64))]
struct Short {
    len: u8,
    text: [u8; Self::BYTES_MAX],
}

impl Default for Short {
    fn default() -> Self {
        Self { len: 0, text: [0; Self::BYTES_MAX] }
    }
}

impl Short {
    const BYTES_MAX: usize = 63;
}

impl Recent {
    #[inline]
    fn has(&mut self, text: &str) -> bool {
        if self.score < SCORE_MIN {
            return false;
        }
        let has = self.texts.has(text);
        self.score = if has { (self.score + 1).min(SCORE_MAX) } else { self.score - 1 };
        has
    }

    fn keep(&mut self, text: &str) {
        if self.score >= SCORE_MIN {
            self.texts.keep(text);
        }
    }

    /// Changes the column where `judge` gives something else in place of its text.
    #[inline]
    fn column(&mut self, column: &mut Text, judge: impl FnOnce(&str) -> Option<String>) {
        let text = column.as_str();
        if self.has(text) {
            return;
        }
        match judge(text) {
            None => self.keep(text),
            Some(kept) => *column = kept.into(),
        }
    }
}

impl Texts {
    #[inline]
    fn has(&self, text: &str) -> bool {
        let (bytes, tag) = (text.as_bytes(), tag(text));
        // The last bytes are in the tag: all of a short text, and what of a longer one stands behind its last whole word.
        let words = bytes.as_chunks::<8>().0;
        let is = |short: &Short| usize::from(short.len) == bytes.len() && words.iter().zip(short.text.as_chunks::<8>().0).all(|(word, known)| word == known);
        let is_known = |(known, short): (&u64, &Short)| *known == tag && is(short);
        self.tags.iter().zip(&self.texts).any(is_known)
    }

    fn keep(&mut self, text: &str) {
        let at = usize::from(self.oldest);
        if let (Some(known), Some(known_tag)) = (self.texts.get_mut(at), self.tags.get_mut(at))
            && let Some(place) = known.text.get_mut(..text.len())
        {
            place.copy_from_slice(text.as_bytes());
            known.len = u8::try_from(text.len()).unwrap_or_default();
            *known_tag = tag(text);
            self.oldest = (self.oldest + 1) % KEPT as u8;
        }
    }

    /// What is written in place of a name, `None` where it stays.
    #[inline]
    fn name(&mut self, text: &str, judge: impl FnOnce(&str) -> Option<String>) -> Option<String> {
        if self.has(text) {
            return None;
        }
        let written = judge(text);
        if written.is_none() {
            self.keep(text);
        }
        written
    }
}

/// What of a text tells it from most others, wherever they differ: its last bytes, and its length.
#[inline]
fn tag(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let last = match (bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(last), ..) => u64::from_le_bytes(*last),
        // Of what is shorter, all.
        (None, Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)),
        _ => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    last ^ (bytes.len() as u64).rotate_right(8)
}

impl Columns {
    /// The file has ended: what did not repeat itself in it may do so in the next one.
    pub(super) fn leave(&mut self) {
        for recent in self.names.iter_mut().chain([&mut self.reason, &mut self.user_agent]) {
            recent.score = recent.score.max(SCORE_MIN / 2);
        }
    }

    /// Every column of `event` passes here.
    pub(super) fn keep_back(&mut self, event: &mut Event, redactor: &Redactor, level: Level, memo: &mut Memo) {
        let Event {
            identity,
            identity_provider,
            identity_account,
            source,
            credential,
            credential_parent,
            issuer,
            source_ip,
            source_host,
            source_country,
            user_agent,
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
        let names: [_; NAMES] = [
            Some(identity),
            Some(identity_provider),
            Some(identity_account),
            Some(source),
            credential.as_mut(),
            credential_parent.as_mut(),
            issuer.as_mut(),
            source_ip.as_mut(),
            source_host.as_mut(),
            source_country.as_mut(),
            destination.as_mut(),
            destination_kind.as_mut(),
            destination_service.as_mut(),
            environment.as_mut(),
            protocol.as_mut(),
            auth_method.as_mut(),
            action.as_mut(),
            session.as_mut(),
            trace_id.as_mut(),
        ];
        for (column, recent) in names.into_iter().zip(&mut self.names) {
            // What is shorter is no secret.
            if let Some(column) = column.filter(|column| column.len() >= TEXT_BYTES_MIN) {
                recent.column(column, |text| self.last_names.name(text, |text| name(text, redactor, memo)));
            }
        }
        if let Some(reason) = reason {
            self.reason.column(reason, |text| said(text, redactor, level, memo));
        }
        // Whoever asks writes it as they like.
        if let Some(agent) = user_agent.as_mut().filter(|agent| agent.len() >= TEXT_BYTES_MIN) {
            self.user_agent.column(agent, |text| judged(text, Scope::Text, redactor, memo));
        }
    }
}

/// A code stays; a message is kept as far as its words are words of messages.
fn said(text: &str, redactor: &Redactor, level: Level, memo: &mut Memo) -> Option<String> {
    const CODE_BYTES_MAX: usize = 80;
    let code = text.len() <= CODE_BYTES_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':'));
    if code || level == Level::Open {
        return name(text, redactor, memo);
    }
    // The same message stands in the record.
    memo.verdict(Parts::Words, text, || value::message(redactor, text, false).map(|verdict| verdict.written))
}

/// What is written in place of a name that holds a secret.
fn name(text: &str, redactor: &Redactor, memo: &mut Memo) -> Option<String> {
    if value::is_plain(text) || value::is_clear_name(text, memo) {
        return None;
    }
    judged(text, Scope::of(text), redactor, memo)
}

/// The same for one that is text, or none; in a column a fingerprint stands bare, as it does for a credential that has no other name.
fn judged(text: &str, scope: Scope, redactor: &Redactor, memo: &mut Memo) -> Option<String> {
    let judged = if scope == Scope::Text { As::Text } else { As::Name };
    if memo.is_clean(text, judged) {
        return None;
    }
    let verdict = value::replaced(redactor, text, scope, false, false);
    if verdict.is_none() {
        memo.keep_clean(text, judged);
    }
    verdict.map(|verdict| verdict.written)
}
