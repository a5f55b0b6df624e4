//! Secrets that are known by how they look, wherever they stand: gitleaks' rules and keytrail's own, behind one look for all of their
//! keywords; and the same after undoing an encoding.
//!
//! The rules are data (`data/redact/gitleaks.toml`, `data/redact/forms.toml`). A text in which no keyword stands is passed by one
//! look over it; of the rest only the rules whose keyword was met are asked, in pieces of a bounded length, so that hostile
//! text takes linear time.

use std::ops::Range;
use std::sync::LazyLock;

use self::keywords::Keywords;
use self::rule::Rule;
use self::work::Work;
use super::withheld;

mod entropy;
mod hand;
mod keywords;
mod load;
mod need;
mod rule;
mod tail;
pub(super) mod unwrap;
mod work;

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
        let signs = text.bytes().fold(0_u8, |signs, b| signs | u8::from(is_sign(b)));
        if signs == 0 { Self::Name } else { Self::Text }
    }
}

/// Whether a byte is none of a name's.
const fn is_sign(byte: u8) -> bool {
    matches!(byte, b' ' | b'=' | b'"' | b'\'' | b'`' | b'|' | b';' | b'\\' | b'<')
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

/// Names of fewer bytes are held against the few rules that so little can be.
const SHORT_NAME_BYTES: usize = 18;

/// The rules with their keywords.
pub(super) struct Forms {
    rules: Vec<Rule>,
    /// For names without an equals sign, short ones and others; for all names; for texts.
    short_names: Keywords,
    plain_names: Keywords,
    names: Keywords,
    texts: Keywords,
    /// What each byte says of the text that it stands in.
    signs: [u8; 256],
}

/// It makes a text of a name, or may belong to an encoding.
const NOT_PLAIN: u8 = 1;
/// One of the bytes of which every keyword of short names has one.
const RARE: u8 = 2;

impl Forms {
    fn load() -> Self {
        let rules = load::rules();
        let plain = |rule: &Rule| !rule.in_text_only && !rule.needs(b'=');
        let short_names = Keywords::new(&rules, |rule| plain(rule) && rule.bytes_min < SHORT_NAME_BYTES);
        let mut signs = [0; 256];
        let rare = short_names.rare();
        for (byte, signs) in (0_u8..=255).zip(&mut signs) {
            if is_sign(byte) || byte == b'%' {
                *signs |= NOT_PLAIN;
            }
            if rare.contains(&byte.to_ascii_lowercase()) {
                *signs |= RARE;
            }
        }
        Self {
            signs,
            short_names,
            plain_names: Keywords::new(&rules, plain),
            names: Keywords::new(&rules, |rule| !rule.in_text_only),
            texts: Keywords::new(&rules, |_| true),
            rules,
        }
    }

    /// The keywords that can call for a rule in such a text.
    fn keywords(&self, text: &str, scope: Scope) -> &Keywords {
        match scope {
            Scope::Text => &self.texts,
            Scope::Name if memchr::memchr(b'=', text.as_bytes()).is_some() => &self.names,
            Scope::Name if text.len() < SHORT_NAME_BYTES => &self.short_names,
            Scope::Name => &self.plain_names,
        }
    }

    /// Whether one look over what stands in a name's place shows that nothing can be found in it: it has no sign that makes a text, no keyword stands there, and nothing
    /// that may be an encoding. `false` says nothing.
    #[inline]
    pub(super) fn is_clear_name(&self, text: &str) -> bool {
        let signs = text.bytes().fold(0, |signs, byte| signs | self.signs.get(usize::from(byte)).copied().unwrap_or_default());
        if signs & NOT_PLAIN != 0 {
            return false;
        }
        if text.len() < SHORT_NAME_BYTES {
            return signs & RARE == 0 || self.short_names.is_silent(text);
        }
        self.plain_names.is_silent(text) && !unwrap::has_run(text)
    }

    /// The rules' names, each with where it comes from.
    pub(super) fn names(&'static self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.rules.iter().map(|rule| (rule.id.as_str(), rule.source))
    }

    /// The secrets in `text`, in order and apart; within encodings too. `cut` says that it goes on behind its end.
    pub(super) fn find(&'static self, text: &str, scope: Scope, cut: bool) -> Vec<Found> {
        self.find_working(text, scope, cut, &mut Work::of(text))
    }

    /// The same; `work` says what it took.
    fn find_working(&'static self, text: &str, scope: Scope, cut: bool, work: &mut Work) -> Vec<Found> {
        let shortest = if scope == Scope::Name { NAME_BYTES_MIN } else { TEXT_BYTES_MIN };
        if text.len() < shortest {
            return Vec::new();
        }
        let mut found = Vec::new();
        self.plain(text, scope, cut, work, |one| {
            found.push(one);
            true
        });
        unwrap::find(self, text, 0, work, &mut found);
        if found.is_empty() { found } else { apart(text, found) }
    }

    /// Hands the secrets that stand in `text` as it is to `found`, until it says that this is enough.
    fn plain(&'static self, text: &str, scope: Scope, cut: bool, work: &mut Work, mut found: impl FnMut(Found) -> bool) {
        let keywords = self.keywords(text, scope);
        let mut from = 0;
        loop {
            let mut end = text.floor_char_boundary((from + PIECE_BYTES).min(text.len()));
            if end <= from {
                end = text.len();
            }
            let piece = text.get(from..end).unwrap_or_default();
            let (called, places) = keywords.called(piece);
            work.look(piece.len());
            if !called.is_empty() {
                for rule in called.iter().filter_map(|index| self.rules.get(index)).filter(|rule| rule.may_match(piece)) {
                    let why = Why { rule: &rule.id, encoding: None };
                    let goes_on = rule.find(piece, cut && end == text.len(), &places, work, |range| {
                        let assigns_nothing = rule.in_text_only && is_in_arn(piece, range.start);
                        assigns_nothing || found(Found { range: from + range.start..from + range.end, why })
                    });
                    if !goes_on {
                        return;
                    }
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

/// Whether next to nothing of `range` is left beside the fingerprints in it, which are in order and apart.
fn is_written(range: &Range<usize>, written: &[Range<usize>]) -> bool {
    let first = written.partition_point(|w| w.end <= range.start);
    let met = written.iter().skip(first).take_while(|w| w.start < range.end);
    let within: usize = met.map(|w| w.end.min(range.end).saturating_sub(w.start.max(range.start))).sum();
    within > 0 && range.len() - within < 8
}

#[cfg(test)]
mod work_tests;

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest text in which any of some rules can be found, and the rule.
    fn shortest(takes: impl Fn(&Rule) -> bool) -> (usize, &'static str) {
        FORMS.rules.iter().filter(|rule| takes(rule)).map(|rule| (rule.bytes_min, rule.id.as_str())).min().unwrap()
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
