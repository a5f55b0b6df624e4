//! Words with which sources say how something ended.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use keytrail_schemas::{Outcome, Text};

/// The outcome that a word says, without regard to case.
pub(crate) fn outcome(word: &str) -> Option<Outcome> {
    const WORDS: &[(&str, Outcome)] = &[
        ("success", Outcome::Success),
        ("succeeded", Outcome::Success),
        ("successful", Outcome::Success),
        ("ok", Outcome::Success),
        ("allow", Outcome::Success),
        ("allowed", Outcome::Success),
        ("true", Outcome::Success),
        ("yes", Outcome::Success),
        ("accept", Outcome::Success),
        ("accepted", Outcome::Success),
        ("completed", Outcome::Success),
        ("failure", Outcome::Failure),
        ("failed", Outcome::Failure),
        ("fail", Outcome::Failure),
        ("error", Outcome::Failure),
        ("false", Outcome::Failure),
        ("no", Outcome::Failure),
        ("timeout", Outcome::Failure),
        ("deny", Outcome::Denied),
        ("denied", Outcome::Denied),
        ("forbidden", Outcome::Denied),
        ("unauthorized", Outcome::Denied),
        ("blocked", Outcome::Denied),
        ("rejected", Outcome::Denied),
        ("refused", Outcome::Denied),
    ];
    let word = word.trim();
    WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, outcome)| *outcome)
}

/// The text in small letters.
pub(crate) fn small(text: &str) -> Text {
    if !text.is_ascii() {
        return Text::from(text).to_lowercase();
    }
    let mut small = Text::from(text);
    small.make_ascii_lowercase();
    small
}

/// Sets of words that a text may hold: all of all sets are looked for in one pass over it, without regard to case.
pub(crate) struct Words {
    automaton: Option<DFA>,
    /// Which set each word is of, as a bit.
    sets: Vec<u32>,
}

/// The sets of which a text holds a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said(u32);

impl Said {
    /// Whether a word of this set stands in the text.
    pub(crate) const fn has(self, set: u32) -> bool {
        self.0 & set != 0
    }
}

impl Words {
    pub(crate) fn new(sets: &[&[&str]]) -> Self {
        assert!(sets.len() <= 32, "more sets of words than a number has bits");
        let words = sets.iter().flat_map(|words| words.iter());
        let automaton = DFA::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).prefilter(false).build(words).ok();
        let sets = sets.iter().zip(0..).flat_map(|(words, number)| words.iter().map(move |_| 1 << number)).collect();
        Self { automaton, sets }
    }

    /// The sets of which a word stands in `text`.
    pub(crate) fn said_in(&self, text: &str) -> Said {
        let mut said = Said(0);
        let Some(automaton) = &self.automaton else { return said };
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return said };
        for byte in text.bytes() {
            state = automaton.next_state(Anchored::No, state, byte);
            // Of words that end at the same place the state knows all. What is special is a match, but for the state of no way on, which an unanchored search has not.
            if automaton.is_special(state) && automaton.is_match(state) {
                let words = (0..automaton.match_len(state)).map(|index| automaton.match_pattern(state, index));
                said.0 |= words.filter_map(|word| self.sets.get(word.as_usize())).fold(0, |sets, set| sets | set);
            }
        }
        said
    }
}

/// Declares sets of words: a constant for each, and `WORDS`, which looks for all of them.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $words:expr;)+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, clippy::enum_variant_names, reason = "constants in the order of their bits")]
        enum Set { $($name,)+ }
        $($(#[$doc])* const $name: u32 = 1 << Set::$name as u32;)+
        static WORDS: std::sync::LazyLock<$crate::format::kit::Words> = std::sync::LazyLock::new(|| $crate::format::kit::Words::new(&[$(&$words,)+]));
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Words;

    proptest! {
        #[test]
        fn a_set_is_found_wherever_one_of_its_words_stands(text in "[abAB _]{0,12}|.{0,6}") {
            let sets: [&[&str]; 4] = [&["ab", "b a"], &["b", "aab"], &["abab", "ab"], &["_"]];
            let said = Words::new(&sets).said_in(&text);
            let small = text.to_ascii_lowercase();
            for (set, number) in sets.iter().zip(0..) {
                prop_assert_eq!(said.has(1 << number), set.iter().any(|word| small.contains(word)), "{} in {}", number, text);
            }
        }
    }
}
