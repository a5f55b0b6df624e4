//! The verdict on one value at its place: kept, or what is written instead, and why.

use std::borrow::Cow;

use super::form::{FORMS, Scope, Why, bits_per_byte};
use super::harmless::{is_harmless, is_harmless_number, is_time};
use super::kind::is_uuid;
use super::memo::{As, Memo, Parts};
use super::place::{Kind, Policy, Spot};
use super::walk::Walk;
use super::{Level, Redactor, command, is_withheld, pairs, uri, words};

/// A value is not kept.
pub(super) struct Verdict {
    /// What is written in its place.
    pub(super) written: String,
    pub(super) why: Cow<'static, str>,
}

/// Texts within texts are opened so deep.
const NESTING_MAX: u8 = 4;

/// Judges a string, `None` to keep it. `cut` says that it goes on behind its end.
pub(super) fn judge(walk: &mut Walk<'_>, value: &str, spot: Spot, key: &str, cut: bool) -> Option<Verdict> {
    match spot.kind {
        _ if walk.broken && is_withheld(value) => return None,
        _ if walk.broken => {}
        Kind::Name if is_plain(value) || (!cut && is_clear_name(value, walk.memo)) => return None,
        _ if may_be_withheld(value) && is_withheld(value) => return None,
        _ => {}
    }
    let open = walk.level == Level::Open;
    // In what was not understood a name need not be where it seems to be, and may be what is at fault.
    let kind = if walk.broken && matches!(spot.kind, Kind::Name | Kind::Text | Kind::Pairs | Kind::Json) { Kind::Words } else { spot.kind };
    match kind {
        _ if walk.broken && value.len() <= 4 && !value.bytes().any(|b| b.is_ascii_alphanumeric() || !b.is_ascii()) => None,
        Kind::Secret => Some(whole(walk.redactor, value, "place: holds a secret")),
        Kind::Name if is_plain(value) => None,
        // Whether it is known was looked up above.
        Kind::Name => searched(walk, value, Scope::of(value), cut),
        Kind::Pairs if !open && !cut && !walk.broken => match pairs::judge(walk, value, spot) {
            Some(judged) => judged,
            None => by_form(walk, value, Scope::Text, cut),
        },
        Kind::Text | Kind::Pairs => by_form(walk, value, Scope::Text, cut),
        Kind::Json | Kind::Policy if value.trim_start().starts_with(['{', '[']) || value.starts_with("%7B") => nested(walk, value, spot),
        Kind::Closed | Kind::Json | Kind::Policy => {
            if spot.names_secret {
                let switch = value.len() <= 5 && matches!(value, "true" | "false" | "True" | "False");
                return (!switch).then(|| whole(walk.redactor, value, "key: names a secret"));
            }
            if open {
                return by_form(walk, value, Scope::Text, cut);
            }
            if is_harmless(value, key) && !cut { by_form(walk, value, Scope::Name, cut) } else { Some(whole(walk.redactor, value, "place: not on the list")) }
        }
        Kind::Words | Kind::Command | Kind::Uri if open => by_form(walk, value, Scope::Text, cut),
        // A password may be put together of words of messages: what says that it is one comes first.
        Kind::Words if walk.broken || cut => message(walk.redactor, value, cut),
        Kind::Words => {
            let redactor = walk.redactor;
            let written = walk.memo.verdict(Parts::Words, value, || message(redactor, value, false).map(|verdict| verdict.written));
            explained(written, walk, || message(redactor, value, false))
        }
        Kind::Command => part(value, command::redacted(walk.redactor, value), "place: a command; what is neither program nor option"),
        Kind::Uri if walk.broken || cut => of_uri(walk.redactor, value, cut),
        Kind::Uri => {
            let redactor = walk.redactor;
            let written = walk.memo.verdict(Parts::Uri, value, || of_uri(redactor, value, false).map(|verdict| verdict.written));
            explained(written, walk, || of_uri(redactor, value, false))
        }
    }
}

/// A verdict that may come from the memory, which does not know why; who asks why has no memory.
fn explained(written: Option<String>, walk: &Walk<'_>, judge: impl FnOnce() -> Option<Verdict>) -> Option<Verdict> {
    if walk.trace.is_some() { judge() } else { written.map(|written| Verdict { written, why: Cow::Borrowed("") }) }
}

/// A path with a query without secrets.
fn of_uri(redactor: &Redactor, value: &str, cut: bool) -> Option<Verdict> {
    match uri::redacted(redactor, value) {
        Cow::Owned(written) => Some(Verdict { written, why: Cow::Borrowed("place: a URI; parameters that are not on the list") }),
        Cow::Borrowed(_) => replaced(redactor, value, Scope::Text, cut, true),
    }
}

/// A message without secrets: by form, and of what is left the words that are words of messages.
pub(super) fn message(redactor: &Redactor, value: &str, cut: bool) -> Option<Verdict> {
    let by_form = replaced(redactor, value, Scope::Text, cut, true);
    let text = by_form.as_ref().map_or(value, |verdict| verdict.written.as_str());
    part(text, words::redacted(redactor, text), "place: a message; words that are none of messages").or(by_form)
}

/// Whether a name is a time or a UUID, which nothing is known by: most of what differs from record to record.
pub(super) fn is_plain(value: &str) -> bool {
    let bytes = value.as_bytes();
    (bytes.len() == 36 && is_uuid(value)) || (bytes.first().is_some_and(u8::is_ascii_digit) && bytes.len() <= 40 && is_time(bytes))
}

/// Whether it is known of a name, or one look over it shows, that there is nothing in it. Most names are cheaper to look over than to remember.
pub(super) fn is_clear_name(value: &str, memo: &mut Memo) -> bool {
    const BYTES_MAX: usize = 40;
    if value.len() <= BYTES_MAX {
        return FORMS.is_clear_name(value) || memo.is_clean(value, As::Name);
    }
    if memo.is_clean(value, As::Name) {
        return true;
    }
    let is_clear = FORMS.is_clear_name(value);
    if is_clear {
        memo.keep_clean(value, As::Name);
    }
    is_clear
}

/// Nothing withheld begins otherwise.
fn may_be_withheld(value: &str) -> bool {
    value.is_empty() || matches!(value.as_bytes().first(), Some(b'h' | b'*' | b'H' | b'<' | b'[' | b'R' | b'V'))
}

fn part(value: &str, redacted: Cow<'_, str>, why: &'static str) -> Option<Verdict> {
    match redacted {
        Cow::Borrowed(_) => None,
        Cow::Owned(written) => (written != value).then_some(Verdict { written, why: Cow::Borrowed(why) }),
    }
}

/// Judges a number.
pub(super) fn of_number(redactor: &Redactor, digits: &str, spot: Spot, level: Level) -> Option<Verdict> {
    match spot.kind {
        Kind::Secret => Some(whole(redactor, digits, "place: holds a secret")),
        Kind::Closed if spot.names_secret => Some(whole(redactor, digits, "key: names a secret")),
        Kind::Closed if level != Level::Open && !is_harmless_number(digits) => {
            Some(whole(redactor, digits, "place: not on the list; a number so long can be a secret"))
        }
        _ => None,
    }
}

/// Judges a key: in a broken text it has to look like one.
pub(super) fn of_key(redactor: &Redactor, key: &str, broken: bool) -> Option<Verdict> {
    const KEY_BYTES_MAX: usize = 128;
    const RANDOM_BYTES_MIN: usize = 20;
    if broken {
        let plain =
            key.len() <= KEY_BYTES_MAX && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b'@' | b'$' | b':' | b'#'));
        let random = key.len() >= RANDOM_BYTES_MIN && key.bytes().any(|b| b.is_ascii_digit()) && bits_per_byte(key) > 3.9;
        if !plain || random {
            return Some(whole(redactor, key, "key: does not look like one, in a text that is broken"));
        }
    }
    if is_withheld(key) {
        return None;
    }
    let found = FORMS.find(key, Scope::Name, false);
    let first = found.first()?;
    Some(Verdict { written: redactor.written(key.as_bytes()), why: said(first.why) })
}

/// The secrets of a text by their form.
fn by_form(walk: &mut Walk<'_>, value: &str, scope: Scope, cut: bool) -> Option<Verdict> {
    let judged = if scope == Scope::Text { As::Text } else { As::Name };
    if !cut && walk.memo.is_clean(value, judged) {
        return None;
    }
    searched(walk, value, scope, cut)
}

/// The same, where it is known that the text was not judged before.
fn searched(walk: &mut Walk<'_>, value: &str, scope: Scope, cut: bool) -> Option<Verdict> {
    let judged = if scope == Scope::Text { As::Text } else { As::Name };
    match replaced(walk.redactor, value, scope, cut, true) {
        None => {
            if !cut {
                walk.memo.keep_clean(value, judged);
            }
            None
        }
        Some(verdict) => Some(verdict),
    }
}

/// `value` without the secrets that are known by their form; with the kind and length of each if `with_kind`.
pub(super) fn replaced(redactor: &Redactor, value: &str, scope: Scope, cut: bool, with_kind: bool) -> Option<Verdict> {
    /// Replacing a secret can complete another's form with its neighbours; more often than this it does not happen.
    const PASSES: usize = 4;
    let mut text = Cow::Borrowed(value);
    let mut why = None;
    for _ in 0..PASSES {
        let found = FORMS.find(&text, scope, cut);
        if found.is_empty() {
            break;
        }
        why = why.or_else(|| found.first().map(|found| found.why));
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for found in &found {
            let secret = text.get(found.range.clone()).unwrap_or_default();
            out.push_str(text.get(copied..found.range.start).unwrap_or_default());
            if with_kind {
                out.push_str(&redactor.written(secret.as_bytes()))
            } else {
                out.push_str(&redactor.fingerprint(secret.as_bytes()).to_string())
            }
            copied = found.range.end;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        text = Cow::Owned(out);
    }
    why.map(|why| Verdict { written: text.into_owned(), why: said(why) })
}

fn said(why: Why) -> Cow<'static, str> {
    Cow::Owned(match why.encoding {
        Some(encoding) => format!("form: {}, in {encoding}", why.rule),
        None => format!("form: {}", why.rule),
    })
}

fn whole(redactor: &Redactor, value: &str, why: &'static str) -> Verdict {
    Verdict { written: redactor.written(value.as_bytes()), why: Cow::Borrowed(why) }
}

/// A string of JSON by the places of what it stands for.
fn nested(walk: &mut Walk<'_>, value: &str, spot: Spot) -> Option<Verdict> {
    let plain = if value.starts_with('%') { super::form::unwrap::percent(value).map_or(Cow::Borrowed(value), Cow::Owned) } else { Cow::Borrowed(value) };
    let sound = serde_json::from_str::<serde::de::IgnoredAny>(&plain).is_ok();
    if walk.depth >= NESTING_MAX || !sound {
        return Some(whole(walk.redactor, value, "place: JSON is expected, and this is none"));
    }
    let (policy, spot): (&'static Policy, Spot) = if spot.kind == Kind::Policy {
        let iam = Policy::of("iam_policy");
        (iam, iam.root())
    } else {
        (walk.policy, spot)
    };
    let Walk { redactor, level, .. } = *walk;
    let mut inner = Walk { redactor, policy, level, memo: &mut *walk.memo, trace: None, broken: false, slipped: false, depth: walk.depth + 1 };
    let written = inner.run_at(&plain, spot)?;
    Some(Verdict { written, why: Cow::Borrowed("place: JSON in a string; values in it") })
}
