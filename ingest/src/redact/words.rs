//! Messages: kept as far as their words are words of messages (`data/redact/words.txt`) or names that stand in messages (`data/redact/names.txt`);
//! every other word may be what somebody typed.

use std::borrow::Cow;
use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use super::harmless::is_harmless;
use super::{Redactor, is_withheld};

static WORDS: LazyLock<FxHashSet<&'static str>> = LazyLock::new(|| listed(include_str!("../../data/redact/words.txt")));

static NAMES: LazyLock<FxHashSet<&'static str>> = LazyLock::new(|| listed(include_str!("../../data/redact/names.txt")));

fn listed(text: &'static str) -> FxHashSet<&'static str> {
    text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect()
}

/// A message with every word replaced that is none of messages.
pub(super) fn redacted<'t>(redactor: &Redactor, text: &'t str) -> Cow<'t, str> {
    each(text, |word| if passes(word) { Cow::Borrowed(word) } else { Cow::Owned(redactor.written(word.as_bytes())) })
}

/// Whether a word may stand in a message.
fn passes(word: &str) -> bool {
    is_withheld(word)
        || word.len() <= 1
        || (word.len() <= 3 && word.bytes().all(|b| b.is_ascii_digit()))
        || is_harmless(word, "")
        || are_words(word)
        || NAMES.contains(word)
}

/// Whether `text` is put together of known words: `AccessDenied`, `s3:GetObject`, `not-found`.
pub(super) fn are_words(text: &str) -> bool {
    const BYTES_MAX: usize = 120;
    text.len() <= BYTES_MAX && text.split(|c: char| !c.is_ascii_alphanumeric()).all(is_compound) && text.is_ascii()
}

/// Whether a run of letters and digits is made of words, each begun by a capital.
fn is_compound(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut at = 1;
    while at <= bytes.len() && start < bytes.len() {
        let is_upper = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_uppercase);
        let is_lower = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
        let ends = at == bytes.len() || (is_upper(at) && (is_lower(at - 1) || is_lower(at + 1)));
        if ends {
            if !text.get(start..at).is_some_and(is_word) {
                return false;
            }
            start = at;
        }
        at += 1;
    }
    true
}

fn is_word(word: &str) -> bool {
    word.len() <= 1 || WORDS.contains(word.to_ascii_lowercase().as_str()) || (word.len() <= 3 && word.bytes().all(|b| b.is_ascii_digit()))
}

/// The text with each of its words as `judge` gives it back; what stands between them stays.
pub(super) fn each<'t>(text: &'t str, judge: impl Fn(&'t str) -> Cow<'t, str>) -> Cow<'t, str> {
    let mut out: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    let bytes = text.as_bytes();
    let between = |b: u8| {
        b.is_ascii_whitespace()
            || matches!(b, b'"' | b'\'' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b',' | b';' | b'<' | b'>' | b'|' | b'=' | b'&' | b'?' | b'!' | b'`')
    };
    while at < bytes.len() {
        let run = |from: usize, accept: &dyn Fn(u8) -> bool| bytes.iter().skip(from).take_while(|b| accept(**b)).count();
        at += run(at, &between);
        let mut end = at + run(at, &|b| !between(b));
        // A sentence's end belongs to no word.
        while end > at && bytes.get(end - 1).is_some_and(|b| matches!(b, b'.' | b':')) {
            end -= 1;
        }
        let word = text.get(at..end).unwrap_or_default();
        if let Cow::Owned(written) = judge(word) {
            let out = out.get_or_insert_with(|| String::with_capacity(text.len() + 64));
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str(&written);
            copied = end;
        }
        at = end.max(at) + run(end, &|b| matches!(b, b'.' | b':'));
    }
    match out {
        Some(mut out) => {
            out.push_str(text.get(copied..).unwrap_or_default());
            Cow::Owned(out)
        }
        None => Cow::Borrowed(text),
    }
}
