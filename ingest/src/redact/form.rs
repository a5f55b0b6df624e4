//! Secrets that are known by how they look, wherever they stand: gitleaks' rules and keytrail's own, behind one automaton over their
//! keywords; and the same after undoing an encoding.
//!
//! The rules are data (`data/redact/gitleaks.toml`, `data/redact/forms.toml`). A text in which no keyword stands is passed by one
//! pass of the automaton; of the rest only the rules whose keyword was met are asked, in pieces of a bounded length, so that hostile
//! text takes linear time.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::automaton::Automaton as _;
use aho_corasick::{Anchored, MatchKind, StartKind, dfa};

use self::rule::Rule;
use super::withheld;

mod entropy;
mod load;
mod rule;
pub(super) mod unwrap;

pub(super) use entropy::bits_per_byte;

/// How much of a text can be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// A name, an id, an address: what is secret in it is secret without words around it.
    Name,
    /// Free text: a word before a value says that it is secret, too.
    Text,
}

impl Scope {
    /// What stands where a name may stand: text, if it has signs that names do not have.
    pub(super) fn of(text: &str) -> Self {
        // Without an early end, so that many bytes are looked at at once.
        let signs = text.bytes().fold(0_u8, |signs, b| signs | u8::from(matches!(b, b' ' | b'=' | b'"' | b'\'' | b'`' | b'|' | b';' | b'\\' | b'<')));
        if signs == 0 { Self::Name } else { Self::Text }
    }
}

/// A secret that was found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// The rule's name, and the encoding that it stood in.
    pub(super) why: Why,
}

/// By what a secret is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) rule: &'static str,
    pub(super) encoding: Option<&'static str>,
}

/// All forms.
pub(super) static FORMS: LazyLock<Forms> = LazyLock::new(Forms::load);

/// A piece of a long text that the rules are asked about at once, and how much of it the next one sees again: the longest secret
/// that is seen whole wherever it stands.
const PIECE_BYTES: usize = 64 << 10;
const OVERLAP_BYTES: usize = 16 << 10;

/// Shorter texts are not asked about, in a place that is a name and in one that is text: no rule can be found in them.
pub(super) const NAME_BYTES_MIN: usize = 8;
pub(super) const TEXT_BYTES_MIN: usize = 5;

/// The rules with the automata over their keywords.
pub(super) struct Forms {
    rules: Vec<Rule>,
    names: Keywords,
    texts: Keywords,
}

/// An automaton over the keywords of some rules.
struct Keywords {
    automaton: dfa::DFA,
    /// The rules that each keyword calls for.
    rules: Vec<Vec<u16>>,
}

/// Which rules are called for.
#[derive(Default, Clone, Copy)]
struct Called([u64; 6]);

impl Called {
    fn add(&mut self, rule: u16) {
        if let Some(word) = self.0.get_mut(usize::from(rule / 64)) {
            *word |= 1 << (rule % 64);
        }
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, bits)| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit))
    }

    fn is_empty(self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl Keywords {
    #[expect(clippy::expect_used, reason = "an automaton fails to build only for many megabytes of keywords")]
    fn new(rules: &[Rule], takes: impl Fn(&Rule) -> bool) -> Self {
        let mut words: Vec<&str> = Vec::new();
        let mut called: Vec<Vec<u16>> = Vec::new();
        for (rule, index) in rules.iter().zip(0_u16..).filter(|(rule, _)| takes(rule)) {
            for word in &rule.keywords {
                let at = words.iter().position(|known| known == word).unwrap_or_else(|| {
                    words.push(word);
                    called.push(Vec::new());
                    words.len() - 1
                });
                if let Some(list) = called.get_mut(at) {
                    list.push(index);
                }
            }
        }
        let automaton = dfa::Builder::new()
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Unanchored)
            .ascii_case_insensitive(true)
            .prefilter(false)
            .build(&words)
            .expect("some hundred short keywords build");
        Self { automaton, rules: called }
    }

    fn called(&self, text: &str) -> Called {
        let mut called = Called::default();
        // There is a state to begin at: the automaton was built for unanchored searches.
        let Ok(mut state) = self.automaton.start_state(Anchored::No) else { return called };
        for byte in text.bytes() {
            state = self.automaton.next_state(Anchored::No, state, byte);
            if self.automaton.is_special(state) && self.automaton.is_match(state) {
                for index in 0..self.automaton.match_len(state) {
                    let word = self.automaton.match_pattern(state, index);
                    for rule in self.rules.get(word.as_usize()).into_iter().flatten() {
                        called.add(*rule);
                    }
                }
            }
        }
        called
    }
}

impl Forms {
    fn load() -> Self {
        let rules = load::rules();
        Self { names: Keywords::new(&rules, |rule| !rule.in_text_only), texts: Keywords::new(&rules, |_| true), rules }
    }

    /// The rules' names, each with where it comes from.
    pub(super) fn names(&'static self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.rules.iter().map(|rule| (rule.id.as_str(), rule.source))
    }

    /// The secrets in `text`, in order and apart; within encodings too. `cut` says that it goes on behind its end.
    pub(super) fn find(&'static self, text: &str, scope: Scope, cut: bool) -> Vec<Found> {
        let shortest = if scope == Scope::Name { NAME_BYTES_MIN } else { TEXT_BYTES_MIN };
        if text.len() < shortest {
            return Vec::new();
        }
        let mut found = Vec::new();
        self.plain(text, scope, cut, &mut found);
        unwrap::find(self, text, scope, 0, &mut found);
        if found.is_empty() { found } else { apart(text, found) }
    }

    /// The secrets that stand in `text` as it is.
    fn plain(&'static self, text: &str, scope: Scope, cut: bool, found: &mut Vec<Found>) {
        let keywords = if scope == Scope::Name { &self.names } else { &self.texts };
        let mut from = 0;
        loop {
            let mut end = text.floor_char_boundary((from + PIECE_BYTES).min(text.len()));
            if end <= from {
                end = text.len();
            }
            let piece = text.get(from..end).unwrap_or_default();
            let called = keywords.called(piece);
            if !called.is_empty() {
                for rule in called.iter().filter_map(|index| self.rules.get(index)) {
                    let why = Why { rule: &rule.id, encoding: None };
                    rule.find(piece, cut && end == text.len(), |range| {
                        if !(rule.in_text_only && is_in_arn(piece, range.start)) {
                            found.push(Found { range: from + range.start..from + range.end, why });
                        }
                    });
                }
            }
            if end == text.len() {
                return;
            }
            from = text.floor_char_boundary(end - OVERLAP_BYTES);
        }
    }
}

/// Whether the word that `at` is in is a name of AWS's: `secretsmanager:…:secret:prod/db` assigns nothing.
fn is_in_arn(text: &str, at: usize) -> bool {
    const ARN_BYTES_MAX: usize = 512;
    let before = text.as_bytes().get(at.saturating_sub(ARN_BYTES_MAX)..at).unwrap_or_default();
    let start = before.iter().rposition(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'(' | b'[' | b',' | b'=' | b'{')).map_or(0, |at| at + 1);
    before.get(start..).is_some_and(|word| word.starts_with(b"arn:"))
}

/// What was found in order, what overlaps as one, and without what stands in a secret's place already.
fn apart(text: &str, mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|f| (f.range.start, usize::MAX - f.range.end));
    let written = withheld::written_in(text);
    let mut merged: Vec<Found> = Vec::new();
    for next in found {
        if next.range.is_empty() || is_written(&next.range, &written) {
            continue;
        }
        match merged.last_mut() {
            Some(last) if next.range.start < last.range.end => last.range.end = last.range.end.max(next.range.end),
            _ => merged.push(next),
        }
    }
    merged
}

/// Whether next to nothing of `range` is left beside the fingerprints in it.
fn is_written(range: &Range<usize>, written: &[Range<usize>]) -> bool {
    let within: usize = written.iter().map(|w| w.end.min(range.end).saturating_sub(w.start.max(range.start))).sum();
    within > 0 && range.len() - within < 8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest text in which any of some rules can be found, and the rule.
    fn shortest(takes: impl Fn(&Rule) -> bool) -> (usize, &'static str) {
        FORMS.rules.iter().filter(|rule| takes(rule)).map(|rule| (rule.pattern.bytes_min(), rule.id.as_str())).min().unwrap()
    }

    #[test]
    fn what_is_too_short_to_be_asked_about_holds_nothing() {
        // A rule of which a sign makes a text (`?pin=1`) is not asked about in names.
        let signs = [b' ', b'=', b'"', b'\'', b'`', b'|', b';', b'\\', b'<'];
        let text_min = shortest(|_| true);
        assert!(text_min.0 >= TEXT_BYTES_MIN, "{text_min:?} can be found in a text that is not asked about");
        let name_min = shortest(|rule| !rule.in_text_only && rule.id != "url-query");
        assert!(name_min.0 >= NAME_BYTES_MIN, "{name_min:?} can be found in a name that is not asked about");
        for sign in signs {
            assert_eq!(Scope::of(&format!("a{}b", char::from(sign))), Scope::Text);
        }
        assert!(!FORMS.find("?pin=1", Scope::of("?pin=1"), false).is_empty(), "a sign makes a text");
        assert!(!FORMS.find("pwd=x", Scope::Text, false).is_empty() && !FORMS.find("ab://:x@", Scope::Name, false).is_empty(), "the shortest there are");
        assert!(FORMS.find("?pin=", Scope::Text, false).is_empty() && FORMS.find("", Scope::Text, false).is_empty());
    }

    #[test]
    fn a_secret_is_seen_whole_wherever_a_long_text_is_cut() {
        let secret = format!("hvs.{}", "A1b2C3d4".repeat(12));
        for before in [PIECE_BYTES - OVERLAP_BYTES - 3, PIECE_BYTES - secret.len(), PIECE_BYTES - 5, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 7] {
            let text = format!("{}{secret} tail", "é ".repeat(before / 3 + 1));
            let found = FORMS.find(&text, Scope::Text, false);
            let at = text.find("hvs.").unwrap();
            assert!(found.iter().any(|found| found.range.start <= at && found.range.end >= at + secret.len()), "{before}: {found:?}");
        }
    }
}
