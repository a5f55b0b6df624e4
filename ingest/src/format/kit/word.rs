//! Words with which sources say how something ended.

use keytrail_schemas::Outcome;

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
    WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim())).map(|(_, outcome)| *outcome)
}
