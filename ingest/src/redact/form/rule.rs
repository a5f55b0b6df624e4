//! One rule: a regular expression behind keywords, with the entropy that a secret has at least, and what is allowed all the same.

use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

use super::entropy::bits_per_byte;
use super::hand::Hand;
use super::keywords::Places;
use super::need::Need;
use super::tail::Tail;
use super::work::Work;
use crate::redact::is_withheld;

/// A rule. Its regular expression is compiled when its keyword is first met.
pub(super) struct Rule {
    pub(super) id: String,
    /// `gitleaks` or `keytrail`.
    pub(super) source: &'static str,
    /// Where none of these stands, in lower case, the rule finds nothing.
    pub(super) keywords: Vec<String>,
    pub(super) pattern: Pattern,
    /// How it is matched without its expression.
    pub(super) by_hand: Option<Hand>,
    /// The fewest bytes of a text in which it can be found.
    pub(super) bytes_min: usize,
    /// Bytes without each of which it cannot be found.
    pub(super) needed: Vec<u8>,
    /// Words of which each match has one.
    pub(super) needs: Vec<Need>,
    /// Whether a match can begin anywhere in a text.
    pub(super) begins: Option<fn(&[u8]) -> bool>,
    /// Which group is the secret; 0 for the first that took part, or all.
    pub(super) group: usize,
    /// The least entropy of a secret, in bits a byte.
    pub(super) entropy_min: f64,
    /// The words before the value make it a secret, so that it is not looked for in names.
    pub(super) in_text_only: bool,
    pub(super) allowed: Vec<Allowed>,
}

/// Where an expression matches, and where in it the secret stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) whole: Range<usize>,
    pub(super) secret: Range<usize>,
}

/// What is no secret although it looks like one.
pub(super) struct Allowed {
    pub(super) patterns: Vec<Pattern>,
    pub(super) target: Target,
    /// Words that make a secret none, in any case.
    pub(super) stopwords: Words,
}

/// Words that are looked for all at once; there are hundreds of them. The automaton is built when it is first needed.
pub(super) struct Words {
    words: Vec<String>,
    automaton: OnceLock<Option<AhoCorasick>>,
}

impl Words {
    pub(super) fn new(words: &[String]) -> Self {
        Self { words: words.to_vec(), automaton: OnceLock::new() }
    }

    fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether one stands in `text`.
    fn is_in(&self, text: &str) -> bool {
        let built = self.automaton.get_or_init(|| AhoCorasick::builder().ascii_case_insensitive(true).build(&self.words).ok());
        built.as_ref().is_some_and(|automaton| automaton.is_match(text))
    }
}

/// What an allowed pattern is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Secret,
    Match,
    Line,
}

/// How often a rule looks at a text, in all its searches; then what is left of it counts as a secret.
const LOOKS_MAX: usize = 8;

/// How gitleaks' expressions say that a secret ends: where a word of a program's source does.
const ENDS: &str = r#"(?:[\x60'"\s;]|\\[nr]|$)"#;
/// Where it ends in what a log holds: `host:AIza…:443` is a secret in a name.
const ENDS_HERE: &str = r#"(?:[\x60'"\s;:/,@&?#<>(){}\[\]|\\]|$)"#;

/// The same for how one begins.
const STARTS: &str = r#"(?:^|[\\'"\x60\s>=:(,)])"#;
const STARTS_HERE: &str = r#"(?:^|[\\'"\x60\s>=:(,)/@&?#|<{}\[\]])"#;

/// A regular expression, compiled when it is first needed.
pub(super) struct Pattern {
    source: String,
    /// What goes on behind a match of it.
    tail: Option<Tail>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) fn new(source: &str) -> Self {
        Self { source: in_rust(source).replace(ENDS, ENDS_HERE).replace(STARTS, STARTS_HERE), tail: None, compiled: OnceLock::new() }
    }

    /// The same for one whose matches are looked for: an end that counts is counted apart.
    pub(super) fn searched(source: &str) -> Self {
        let mut pattern = Self::new(source);
        if let Some((rest, tail)) = pattern.parsed().as_ref().and_then(Tail::cut) {
            (pattern.source, pattern.tail) = (rest, Some(tail));
        }
        pattern
    }

    fn parsed(&self) -> Option<Hir> {
        regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(&self.source).ok()
    }

    /// `None` for an expression that is none; a test compiles them all.
    pub(super) fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| RegexBuilder::new(&self.source).unicode(false).size_limit(32 << 20).dfa_size_limit(4 << 20).build().ok()).as_ref()
    }

    /// The fewest bytes of a text in which it can be found, signs that each such text has, and what else it needs beside one of these keywords. Of an expression that is
    /// none nothing is known.
    pub(super) fn least(&self, keywords: &[String]) -> (usize, Vec<u8>, Vec<Need>) {
        const SIGNS: &[u8] = b"=@:~$/-_. ";
        let Some(expression) = self.parsed() else { return (0, Vec::new(), Vec::new()) };
        let needed = SIGNS.iter().copied().filter(|sign| needs(&expression, *sign)).collect();
        (expression.properties().minimum_len().unwrap_or(0), needed, Need::of(&expression, keywords))
    }

    #[cfg(test)]
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    fn is_match(&self, text: &[u8]) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }
}

/// Whether every text that an expression matches has this byte.
fn needs(expression: &Hir, byte: u8) -> bool {
    match expression.kind() {
        HirKind::Literal(literal) => literal.0.contains(&byte),
        HirKind::Class(class) => class.literal().is_some_and(|literal| literal == [byte]),
        HirKind::Capture(capture) => needs(&capture.sub, byte),
        HirKind::Repetition(repetition) => repetition.min > 0 && needs(&repetition.sub, byte),
        HirKind::Concat(parts) => parts.iter().any(|part| needs(part, byte)),
        HirKind::Alternation(parts) => parts.iter().all(|part| needs(part, byte)),
        HirKind::Empty | HirKind::Look(_) => false,
    }
}

impl Rule {
    /// Whether it cannot be found without this byte.
    pub(super) fn needs(&self, byte: u8) -> bool {
        self.needed.contains(&byte)
    }

    /// Whether a text is long enough for it, and has what it cannot do without.
    pub(super) fn may_match(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        bytes.len() >= self.bytes_min
            && self.needed.iter().all(|byte| memchr::memchr(*byte, bytes).is_some())
            && self.needs.iter().all(|need| need.is_in(bytes))
            && self.begins.is_none_or(|begins| begins(bytes))
    }

    /// The first match of its expression that begins at `at` or behind it.
    pub(super) fn by_expression(&self, text: &[u8], at: usize) -> Option<Match> {
        let groups = self.pattern.regex()?.captures_at(text, at)?;
        let whole = groups.get(0)?;
        let secret = if self.group > 0 { groups.get(self.group) } else { groups.iter().skip(1).flatten().find(|group| !group.is_empty()) };
        let mut secret = secret.unwrap_or(whole).range();
        let mut whole = whole.range();
        if let Some(tail) = &self.pattern.tail {
            let end = tail.end(text, whole.end);
            if secret.end == whole.end {
                secret.end = end;
            }
            whole.end = end;
        }
        Some(Match { whole, secret })
    }

    /// Hands the place of each secret in `text` to `found`, until it says that this is enough: `false` then. `cut` says that the text goes on behind its end: a secret that
    /// reaches it counts whatever its length. `places` are those of the text's keywords.
    pub(super) fn find(&self, text: &str, cut: bool, places: &Places, work: &mut Work, mut found: impl FnMut(Range<usize>) -> bool) -> bool {
        let bytes = text.as_bytes();
        // Every search goes on behind the last secret, so that a text is looked at hardly more than once: but for what is made to be.
        let mut left = bytes.len().saturating_mul(LOOKS_MAX);
        let mut line = Line::default();
        let mut at = 0;
        loop {
            let next = match self.by_hand {
                Some(hand) => hand.next(bytes, at, places),
                None => self.by_expression(bytes, at),
            };
            let Some(Match { whole, secret }) = next else {
                work.look(bytes.len().saturating_sub(at));
                return true;
            };
            // Cut at boundaries of characters: a class of bytes may end within one.
            let range = text.floor_char_boundary(secret.start)..text.ceil_char_boundary(secret.end);
            let value = text.get(range.clone()).unwrap_or_default();
            let random = self.entropy_min <= 0.0 || bits_per_byte(value) > self.entropy_min || (cut && range.end == text.len());
            let looked = whole.end.saturating_sub(at) + value.len();
            work.look(looked);
            let is_secret = random && !value.is_empty() && !is_withheld(value) && !self.allows(bytes, &whole, value, &mut line, work);
            if is_secret && !found(range) {
                return false;
            }
            // The next may begin right behind the secret: what ended this one can lead to it.
            at = secret.end.max(whole.start + 1).max(at + 1);
            if at > bytes.len() {
                return true;
            }
            let Some(rest) = left.checked_sub(looked) else { return found(text.floor_char_boundary(at)..text.len()) };
            left = rest;
        }
    }

    fn allows(&self, text: &[u8], whole: &Range<usize>, secret: &str, line: &mut Line, work: &mut Work) -> bool {
        self.allowed.iter().enumerate().any(|(number, allowed)| {
            let matches = match allowed.target {
                Target::Secret => allowed.is_match(secret.as_bytes(), work),
                Target::Match => allowed.is_match(text.get(whole.clone()).unwrap_or_default(), work),
                Target::Line => line.allows(text, whole.start, number, allowed, work),
            };
            matches || (!allowed.stopwords.is_empty() && allowed.stopwords.is_in(secret))
        })
    }
}

impl Allowed {
    fn is_match(&self, text: &[u8], work: &mut Work) -> bool {
        work.look(text.len().saturating_mul(self.patterns.len()));
        self.patterns.iter().any(|pattern| pattern.is_match(text))
    }
}

/// The line that a match stands in, and what was said of it: matches stand behind one another, and many in one line.
#[derive(Default)]
struct Line {
    start: usize,
    searched: usize,
    /// The numbers of what is allowed that was held against it, and whether it matches.
    verdicts: Vec<(usize, bool)>,
}

impl Line {
    /// How much of a line is looked at.
    const BYTES_MAX: usize = 4096;

    fn allows(&mut self, text: &[u8], at: usize, number: usize, allowed: &Allowed, work: &mut Work) -> bool {
        let ahead = text.get(self.searched..at).unwrap_or_default();
        work.look(ahead.len());
        if let Some(newline) = memchr::memrchr(b'\n', ahead) {
            self.start = self.searched + newline + 1;
            self.verdicts.clear();
        }
        self.searched = self.searched.max(at);
        if let Some((_, matches)) = self.verdicts.iter().find(|(known, _)| *known == number) {
            return *matches;
        }
        let rest = text.get(self.start..).unwrap_or_default();
        let seen = rest.get(..Self::BYTES_MAX).unwrap_or(rest);
        let matches = allowed.is_match(seen.get(..memchr::memchr(b'\n', seen).unwrap_or(seen.len())).unwrap_or(seen), work);
        self.verdicts.push((number, matches));
        matches
    }
}

/// An expression of Go's in Rust's spelling: a brace that counts nothing, and a bracket within a class, are themselves.
fn in_rust(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 8);
    let mut escaped = false;
    // Where the class begins that the walk is in, and whether it is in a named one within (`[:alnum:]`).
    let (mut class, mut named) = (None, false);
    for (at, c) in source.char_indices() {
        let rest = source.get(at + 1..).unwrap_or_default();
        match (c, class) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            ('[', None) => class = Some(at),
            ('[', Some(_)) if rest.starts_with(':') => named = true,
            ('[', Some(_)) => out.push('\\'),
            (']', Some(_)) if named => named = false,
            // Right behind the beginning a bracket is itself.
            (']', Some(from)) if !matches!(source.get(from + 1..at), Some("" | "^")) => class = None,
            ('{', None) if !counts(rest) => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

fn counts(after_brace: &str) -> bool {
    let Some(end) = after_brace.find('}') else { return false };
    let inside = after_brace.get(..end).unwrap_or_default();
    inside.starts_with(|c: char| c.is_ascii_digit()) && inside.bytes().all(|b| b.is_ascii_digit() || b == b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_where_a_part_of_a_name_does() {
        let rules = crate::redact::form::load::rules();
        assert!(rules.iter().any(|rule| rule.pattern.source.contains(STARTS_HERE)));
        assert!(rules.iter().filter(|rule| rule.pattern.source.contains(ENDS_HERE)).count() > 100);
    }

    #[test]
    fn what_an_expression_needs_is_in_all_that_it_matches() {
        for (source, bytes_min, needed) in [
            (r"[?&](?:sig|token)=([a-z]{2,})", 7, "="),
            (r"a=|b=+", 2, "="),
            (r"a=|b", 1, ""),
            (r"(?:a=)?b{3}", 3, ""),
            (r"(?i)x-[=]{2}\.y", 6, "=-."),
            (r"(?:^|[^a-z])ab\.", 3, "."),
            ("(", 0, ""),
        ] {
            let (found, signs, _) = Pattern { source: source.to_owned(), tail: None, compiled: OnceLock::new() }.least(&[]);
            assert_eq!((found, String::from_utf8(signs).unwrap().as_str()), (bytes_min, needed), "{source}");
        }
    }

    #[test]
    fn braces_of_go_are_read_as_go_reads_them() {
        assert_eq!(in_rust(r"^\$(?:\d+|{\d+})$"), r"^\$(?:\d+|\{\d+})$");
        assert_eq!(in_rust(r"[a-z{]{2,3}\{x"), r"[a-z{]{2,3}\{x");
        assert_eq!(in_rust(r"[[:alnum:]]{3}[^]]+]{x}"), r"[[:alnum:]]{3}[^]]+]\{x}");
        assert_eq!(in_rust(r#"[\s"',\[]--?[a-z]{x"#), r#"[\s"',\[]--?[a-z]\{x"#);
        assert_eq!(in_rust("[a[b]{1}"), r"[a\[b]{1}");
    }
}
