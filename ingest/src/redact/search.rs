//! Finds which of several needles comes next, at the speed of vector instructions where the machine has them.

use aho_corasick::{AhoCorasick, Input, MatchKind, Span, packed};

/// A search for several needles at once; of those that begin at the same byte, the first in order counts.
#[derive(Debug, Clone)]
pub(super) enum Search {
    /// Teddy, which looks at 16 or 32 bytes at a time.
    Packed(packed::Searcher),
    /// An automaton, byte by byte.
    Automaton(AhoCorasick),
}

impl Search {
    /// A search for `needles`, which are few and not empty.
    #[expect(clippy::expect_used, reason = "an automaton fails to build only for many megabytes of needles")]
    pub(super) fn new(needles: impl Iterator<Item = impl AsRef<[u8]>> + Clone) -> Self {
        match packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder().extend(needles.clone()).build() {
            Some(searcher) => Self::Packed(searcher),
            None => Self::Automaton(AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(needles).expect("few short needles build")),
        }
    }

    /// Which needle is found first at or after `from`, and where it starts and ends.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<(usize, usize, usize)> {
        let found = match self {
            Self::Packed(searcher) => searcher.find_in(text, Span { start: from.min(text.len()), end: text.len() }),
            Self::Automaton(automaton) => automaton.find(Input::new(text).range(from.min(text.len())..)),
        }?;
        Some((found.pattern().as_usize(), found.start(), found.end()))
    }

    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.next(text, 0).is_some()
    }
}
