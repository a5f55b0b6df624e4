//! Words with which sources say how something ended.

use aho_corasick::AhoCorasick;
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
    let mut small = Text::from(text);
    if text.is_ascii() {
        small.make_ascii_lowercase();
        small
    } else {
        small.to_lowercase()
    }
}

/// Words of which a text may hold one, looked for all at once, without regard to case.
pub(crate) struct Words(Option<AhoCorasick>);

impl Words {
    pub(crate) fn new(words: &[&str]) -> Self {
        Self(AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok())
    }

    /// Whether one of them stands in `text`.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|words| words.is_match(text))
    }
}

/// Declares [`Words`].
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $words:expr;)+) => {
        $($(#[$doc])* static $name: std::sync::LazyLock<$crate::format::kit::Words> = std::sync::LazyLock::new(|| $crate::format::kit::Words::new(&$words));)+
    };
}
pub(crate) use words;
