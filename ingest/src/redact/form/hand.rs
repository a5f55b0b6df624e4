//! Three rules that nearly every text calls for (`key = value`, where the key names a secret), matched by hand: their expressions take some microseconds for each `token_id="…"` of a
//! message, one for each byte between. What is found is what the expressions find, place for place; the tests hold the two against one another.

use std::ops::Range;

use super::keywords::Places;
use super::rule::Match;

/// A rule that is matched here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    /// gitleaks' `generic-api-key`.
    Generic,
    /// `assignment` and `assignment-quoted` of `forms.toml`.
    Assignment,
    Quoted,
}

/// A byte of a name: `[\w.-]`.
const NAME: u8 = 1;
/// `\s`.
const SPACE: u8 = 2;
/// What ends a secret of gitleaks': as `ENDS_HERE` of a rule says.
const END: u8 = 4;
/// It belongs to a value that is not quoted.
const BARE: u8 = 8;
/// A letter or digit of base64.
const BASE64: u8 = 16;

static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let is_space = matches!(b, b' ' | b'\t'..=b'\r');
        table[byte] = (if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-') { NAME } else { 0 })
            | (if is_space { SPACE } else { 0 })
            | (if is_space
                || matches!(
                    b,
                    b'`' | b'\''
                        | b'"'
                        | b';'
                        | b':'
                        | b'/'
                        | b','
                        | b'@'
                        | b'&'
                        | b'?'
                        | b'#'
                        | b'<'
                        | b'>'
                        | b'('
                        | b')'
                        | b'{'
                        | b'}'
                        | b'['
                        | b']'
                        | b'|'
                        | b'\\'
                )
            {
                END
            } else {
                0
            })
            | (if is_space || matches!(b, b'"' | b'\'' | b'\\' | b',' | b';' | b'&' | b'<' | b'>' | b'{' | b'}' | b'[' | b']') { 0 } else { BARE })
            | (if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/') { BASE64 } else { 0 });
        byte += 1;
    }
    table
};

#[inline]
fn is(text: &[u8], at: usize, class: u8) -> bool {
    text.get(at).is_some_and(|byte| CLASS.get(usize::from(*byte)).is_some_and(|classes| classes & class != 0))
}

/// How many bytes from `at` on are of a class, `max` at most.
#[inline]
fn run(text: &[u8], at: usize, max: usize, takes: impl Fn(u8) -> bool) -> usize {
    text.get(at..).unwrap_or_default().iter().take(max).take_while(|byte| takes(**byte)).count()
}

fn of(class: u8) -> impl Fn(u8) -> bool {
    move |byte| CLASS.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

/// How many bytes before `at` are taken, `max` at most, none before `from`.
#[inline]
fn run_back(text: &[u8], from: usize, at: usize, max: usize, takes: impl Fn(u8) -> bool) -> usize {
    text.get(from..at).unwrap_or_default().iter().rev().take(max).take_while(|byte| takes(**byte)).count()
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

fn stands(text: &[u8], at: usize, word: &[u8]) -> bool {
    text.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
}

impl Hand {
    /// The rule of this name.
    pub(super) fn of(rule: &str) -> Option<Self> {
        match rule {
            "generic-api-key" => Some(Self::Generic),
            "assignment" => Some(Self::Assignment),
            "assignment-quoted" => Some(Self::Quoted),
            _ => None,
        }
    }

    /// The first match that begins at `at` or behind it; `places` are those of all keywords of these rules in the text. Each word of a rule begins with a keyword, or has one in it.
    pub(super) fn next(self, text: &[u8], at: usize, places: &Places) -> Option<Match> {
        match self {
            Self::Generic => generic(text, at, places),
            Self::Assignment => by_sign(text, at, places, assigned),
            Self::Quoted => by_sign(text, at, places, quoted),
        }
    }
}

/// Whether a match of a rule can begin in a text, for a rule whose expression is looked for by what stands everywhere.
pub(super) fn begins(rule: &str) -> Option<fn(&[u8]) -> bool> {
    match rule {
        "option" => Some(has_option),
        "short-option" => Some(has_short_option),
        _ => None,
    }
}

/// `\s-`.
fn has_short_option(text: &[u8]) -> bool {
    memchr::memchr_iter(b'-', text).any(|at| at.checked_sub(1).is_some_and(|before| is(text, before, SPACE)))
}

/// `(?:^|[\s"',\[])-`.
fn has_option(text: &[u8]) -> bool {
    memchr::memchr_iter(b'-', text)
        .any(|at| at.checked_sub(1).is_none_or(|before| text.get(before).is_some_and(|byte| of(SPACE)(*byte) || matches!(byte, b'"' | b'\'' | b',' | b'['))))
}

/// Where a match begins whose word stands at `word`: so many bytes of a name before it belong to it.
fn begin(text: &[u8], at: usize, word: usize, before_max: usize) -> usize {
    word - run_back(text, at, word, before_max, of(NAME))
}

/// How long the word is that stands at a place, of those of `generic-api-key`: no two of them begin alike there.
fn generic_word(text: &[u8], at: usize) -> Option<usize> {
    let one = |word: &[u8]| stands(text, at, word).then_some(word.len());
    match text.get(at)?.to_ascii_lowercase() {
        b'a' => one(b"access").or_else(|| one(b"auth")).or_else(|| matches!(text.get(at..at + 3), Some(b"api" | b"Api" | b"API")).then_some(3)),
        b'c' => one(b"credential").or_else(|| one(b"creds")),
        b'k' => one(b"key"),
        b'p' => one(b"passwd").or_else(|| one(b"password")),
        b's' => one(b"secret"),
        b't' => one(b"token"),
        _ => None,
    }
}

fn generic(text: &[u8], at: usize, places: &Places) -> Option<Match> {
    const BEFORE_MAX: usize = 50;
    let mut word = at;
    loop {
        word = places.next(word).filter(|word| *word < text.len())?;
        if let Some((secret, end)) = generic_word(text, word).and_then(|len| generic_value(text, word + len)) {
            return Some(Match { whole: begin(text, at, word, BEFORE_MAX)..end, secret });
        }
        word += 1;
    }
}

/// The secret behind a word that ends at `at`, and where the match ends.
fn generic_value(text: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    const NAME_MAX: usize = 20;
    const QUOTES_MAX: usize = 3;
    const OPENING_MAX: usize = 5;
    let is_name = |byte: u8| of(NAME)(byte) || matches!(byte, b' ' | b'\t');
    let is_between = |byte: u8| of(SPACE)(byte) || is_quote(byte);
    let sign = at + run(text, at, NAME_MAX + QUOTES_MAX + 1, |byte| is_name(byte) || is_between(byte));
    let between = text.get(at..sign)?;
    // More of a name as far as it goes, then spaces and quotes, which may be of either.
    let name = between.iter().take(NAME_MAX).take_while(|byte| is_name(**byte)).count();
    let (_, quotes) = between.split_at(name);
    if quotes.len() > QUOTES_MAX || !quotes.iter().all(|byte| is_between(*byte)) {
        return None;
    }
    let behind = |len: usize| {
        let from = sign + len;
        let opening = run(text, from, OPENING_MAX, |byte| of(SPACE)(byte) || is_quote(byte) || matches!(byte, b'`' | b'='));
        (0..=opening).rev().find_map(|opening| generic_secret(text, from + opening))
    };
    let second = text.get(sign + 1).copied();
    match text.get(sign)? {
        b'=' => behind(1).or_else(|| (second == Some(b'>')).then(|| behind(2)).flatten()),
        b'>' | b',' => behind(1),
        b':' => {
            let colons = run(text, sign, 3, |byte| byte == b':');
            (text.get(sign + colons) == Some(&b'=')).then(|| behind(colons + 1)).flatten().or_else(|| behind(1))
        }
        b'|' if second == Some(b'|') => behind(2),
        b'?' if second == Some(b'=') => behind(2),
        _ => None,
    }
}

/// The secret that begins at a place, and where the match ends: behind what ends a secret.
fn generic_secret(text: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    const BYTES: std::ops::RangeInclusive<usize> = 10..=150;
    const BASE64_MIN: usize = 12;
    const PADDING_MAX: usize = 3;
    let ends = |end: usize| match text.get(end) {
        None => Some((at..end, end)),
        Some(_) => is(text, end, END).then_some((at..end, end + 1)),
    };
    let len = run(text, at, *BYTES.end(), |byte| of(NAME)(byte) || byte == b'=');
    if BYTES.contains(&len)
        && let Some(found) = ends(at + len)
    {
        return Some(found);
    }
    if !text.get(at).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let len = run(text, at, usize::MAX, of(BASE64));
    if len < BASE64_MIN {
        return None;
    }
    let padding = run(text, at + len, PADDING_MAX, |byte| byte == b'=');
    ends(at + len + padding).or_else(|| {
        // Its own slash may be what ends it.
        let before = text.get(at + BASE64_MIN..at + len)?.iter().rposition(|byte| *byte == b'/')?;
        ends(at + BASE64_MIN + before)
    })
}

/// A match by the signs that assign: `=`, `:` or `>` behind a key.
fn by_sign(text: &[u8], at: usize, places: &Places, of_sign: impl Fn(&[u8], usize, usize) -> Option<Match>) -> Option<Match> {
    let mut sign = at;
    loop {
        // A sign counts behind a word that is near.
        let word = places.next(at.max(sign.saturating_sub(KEY_MAX)))?;
        sign = sign.max(word);
        sign += memchr::memchr3(b'=', b':', b'>', text.get(sign..)?)?;
        let is_near = sign - word <= KEY_MAX || places.next(sign - KEY_MAX).is_some_and(|word| word < sign);
        if is_near && let Some(found) = of_sign(text, at, sign) {
            return Some(found);
        }
        sign += 1;
    }
}

/// How long the signs are that stand at a place, the longer before its part.
fn signs(text: &[u8], at: usize) -> impl Iterator<Item = usize> {
    let two = matches!(text.get(at..at + 2), Some(b"=>" | b":="));
    two.then_some(2).into_iter().chain([1])
}

const BEFORE_MAX: usize = 60;
/// How many bytes before a sign a word begins at most, with what stands between.
const KEY_MAX: usize = AFTER_MAX + WORD_MAX + SPACES_MAX + 3;
const AFTER_MAX: usize = 40;
const WORD_MAX: usize = 17;
const SPACES_MAX: usize = 3;
const VALUE_MAX: usize = 4096;

/// The words of `assignment` by their first letter: those of `assignment-quoted`, and the others.
type Words = (&'static [&'static [u8]], &'static [&'static [u8]]);

fn words_of(first: u8) -> Words {
    match first.to_ascii_lowercase() {
        b'p' => (&[b"password", b"passwd", b"passphrase", b"pwd", b"privatekey", b"private_key", b"private-key", b"private_-key"], &[]),
        b's' => (&[b"secret"], &[b"signingkey", b"signing_key", b"sessionkey", b"session_key"]),
        b't' => (&[], &[b"token"]),
        b'c' => (
            &[b"clientsecret", b"client_secret", b"client-secret", b"client_-secret", b"connectionstring", b"connection_string"],
            &[b"credentials", b"credential"],
        ),
        b'b' => (&[b"bindpass"], &[]),
        b'x' => (&[], &[b"x-amz-signature"]),
        b'a' => (
            &[b"apikey", b"api_key", b"api-key", b"api_-key", b"accesskey", b"access_key", b"access-key", b"access_-key"],
            &[b"authkey", b"auth_key", b"auth-key", b"auth_-key", b"accountkey", b"account_key", b"account-key", b"account_-key"],
        ),
        b'u' => (&[], &[b"unsealkey", b"unseal_key"]),
        b'e' => (&[], &[b"encryptionkey", b"encryption_key"]),
        _ => (&[], &[]),
    }
}

/// With which two letters a word begins: a bit for the second, without its case, of each first.
static BEGINNINGS: [u32; 32] = {
    let pairs = [*b"ac", *b"ap", *b"au", *b"bi", *b"cl", *b"co", *b"cr", *b"en", *b"pa", *b"pr", *b"pw", *b"se", *b"si", *b"to", *b"un", *b"x-"];
    let mut table = [0; 32];
    let mut at = 0;
    while at < pairs.len() {
        table[(pairs[at][0] & 31) as usize] |= 1 << (pairs[at][1] & 31);
        at += 1;
    }
    table
};

/// Whether a word stands at a place, of those of `assignment-quoted` if `few`, whose end is one of those that `ends` takes.
#[inline]
fn has_word(text: &[u8], at: usize, few: bool, ends: impl Fn(usize) -> bool) -> bool {
    let Some(&[first, second]) = text.get(at..).and_then(<[u8]>::first_chunk) else { return false };
    if BEGINNINGS.get(usize::from(first & 31)).is_none_or(|seconds| seconds >> (second & 31) & 1 == 0) {
        return false;
    }
    let (words, others) = words_of(first);
    let is_here = |word: &&[u8]| ends(at + word.len()) && stands(text, at, word);
    words.iter().any(is_here) || (!few && others.iter().any(is_here))
}

/// `[\w.-]{0,60}?WORD[\w.-]{0,40}\\?["']?\s{0,3}(?:=>|:=|=|:|>)\s{0,3}(?:\\{0,3}["'])?([^\s"'\\,;&<>{}\[\]]{1,4096})` of the sign at `sign`.
fn assigned(text: &[u8], at: usize, sign: usize) -> Option<Match> {
    let mut end = sign - run_back(text, at, sign, SPACES_MAX, of(SPACE));
    end -= run_back(text, at, end, 1, is_quote);
    end -= run_back(text, at, end, 1, |byte| byte == b'\\');
    let from = end - run_back(text, at, end, AFTER_MAX + WORD_MAX, of(NAME));
    let word = (from..end).find(|word| has_word(text, *word, false, |behind| behind <= end && end - behind <= AFTER_MAX))?;
    let secret = signs(text, sign).find_map(|len| {
        let from = sign + len;
        let from = from + run(text, from, SPACES_MAX, of(SPACE));
        let slashes = run(text, from, 3, |byte| byte == b'\\');
        let from = if text.get(from + slashes).copied().is_some_and(is_quote) { from + slashes + 1 } else { from };
        let len = run(text, from, VALUE_MAX, of(BARE));
        (len > 0).then_some(from..from + len)
    })?;
    Some(Match { whole: begin(text, at, word, BEFORE_MAX)..secret.end, secret })
}

/// `[\w.-]{0,60}?WORD["'\\]{0,3}\s{0,3}(?:=>|:=|=|:)\s{0,3}\\{0,3}"([^"\\]{1,4096})` of the sign at `sign`.
fn quoted(text: &[u8], at: usize, sign: usize) -> Option<Match> {
    if text.get(sign) == Some(&b'>') {
        return None;
    }
    let mut end = sign - run_back(text, at, sign, SPACES_MAX, of(SPACE));
    end -= run_back(text, at, end, 3, |byte| is_quote(byte) || byte == b'\\');
    let from = end - run_back(text, at, end, WORD_MAX, of(NAME));
    let word = (from..end).find(|word| has_word(text, *word, true, |behind| behind == end))?;
    let secret = signs(text, sign).find_map(|len| {
        let from = sign + len;
        let from = from + run(text, from, SPACES_MAX, of(SPACE));
        let from = from + run(text, from, 3, |byte| byte == b'\\');
        (text.get(from) == Some(&b'"')).then_some(())?;
        let len = run(text, from + 1, VALUE_MAX, |byte| !matches!(byte, b'"' | b'\\'));
        (len > 0).then_some(from + 1..from + 1 + len)
    })?;
    Some(Match { whole: begin(text, at, word, BEFORE_MAX)..secret.end, secret })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Places;
    use crate::redact::form::FORMS;

    /// Texts of what these rules are about, and of what is next to it.
    fn text() -> impl Strategy<Value = String> {
        let parts = prop_oneof![
            4 => prop::sample::select(vec![
                "access", "auth", "api", "Api", "aPI", "API", "credential", "creds", "key", "passwd", "password", "secret", "token", "pwd", "passphrase", "private_key",
                "private_-key", "privatekey", "api-key", "access_-key", "auth_key", "account-key", "client_secret", "client-_secret", "connection_string", "bindpass",
                "unseal_key", "signingkey", "encryption_key", "session_key", "x-amz-signature", "credentials", "client", "connection", "SECRET", "ToKen",
            ]).prop_map(str::to_owned),
            6 => prop::sample::select(vec![
                "=", ":", ">", "=>", ":=", "::=", ":::=", "||", "?=", ",", " ", "  ", "\t", "\n", "\"", "'", "`", "\\", "\\\"", "\\\\\\\"", ";", "/", "&", "<", "{", "]", "==",
                "\": \"", "=\"", "\", ", ": ", "é", "\u{b}", "|", "?", "@", "!",
            ]).prop_map(str::to_owned),
            3 => "[a-zA-Z0-9_.=-]{0,16}",
            1 => "[a-zA-Z0-9+/]{8,30}={0,4}",
            1 => (38_usize..64).prop_map(|n| "a".repeat(n)),
            1 => (145_usize..155).prop_map(|n| "b".repeat(n)),
            1 => (17_usize..23).prop_map(|n| "x".repeat(n)),
            1 => (4090_usize..4100).prop_map(|n| "z".repeat(n)),
        ];
        prop::collection::vec(parts, 0..14).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6_000))]
        #[test]
        fn what_is_found_is_what_the_expression_finds(text in text(), from in any::<prop::sample::Index>()) {
            let from = text.floor_char_boundary(from.index(text.len() + 1));
            let (_, places) = FORMS.texts.called(&text);
            for rule in FORMS.rules.iter().filter(|rule| rule.by_hand.is_some()) {
                let mut at = 0;
                for first in [0, from] {
                    at = at.max(first);
                    while at <= text.len() {
                        let found = rule.by_hand.and_then(|hand| hand.next(text.as_bytes(), at, &places));
                        let anywhere = rule.by_hand.and_then(|hand| hand.next(text.as_bytes(), at, &Places::anywhere()));
                        let wanted = rule.by_expression(text.as_bytes(), at);
                        prop_assert_eq!(&found, &wanted, "{} from {} in {:?}", &rule.id, at, &text);
                        prop_assert_eq!(&anywhere, &wanted, "{} from {} in {:?}", &rule.id, at, &text);
                        let Some(found) = found else { break };
                        at = found.secret.end.max(found.whole.start + 1).max(at + 1);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn an_option_begins_where_its_expression_can(text in "[- \"',\\[a=]{0,6}(-?-(token|api-key|pin)[= ]{0,2}x?)?[- a]{0,3}") {
            let rule = FORMS.rules.iter().find(|rule| rule.id == "option").unwrap();
            prop_assert!(rule.by_expression(text.as_bytes(), 0).is_none() || super::has_option(text.as_bytes()), "{}", text);
        }

        #[test]
        fn a_short_option_begins_behind_white_space(text in "(mysql|zip)[ a\t\u{b}-]{1,4}(-p|-a|-pw|-P)[ x-]{0,3}") {
            let rule = FORMS.rules.iter().find(|rule| rule.id == "short-option").unwrap();
            prop_assert!(rule.by_expression(text.as_bytes(), 0).is_none() || super::has_short_option(text.as_bytes()), "{}", text);
        }
    }

    #[test]
    fn every_word_of_a_rule_has_a_keyword() {
        let rule = |id: &str| FORMS.rules.iter().find(|rule| rule.id == id).unwrap();
        for word in ["access", "auth", "api", "credential", "creds", "key", "passwd", "password", "secret", "token"] {
            assert_eq!(super::generic_word(word.as_bytes(), 0), Some(word.len()));
            assert!(rule("generic-api-key").keywords.iter().any(|keyword| word.starts_with(keyword.as_str())), "{word}");
        }
        for (words, others) in (b'a'..=b'z').map(super::words_of) {
            for word in words.iter().chain(others) {
                assert!(word.len() <= super::WORD_MAX);
                let word = std::str::from_utf8(word).unwrap();
                let by_hand = FORMS.rules.iter().filter(|rule| rule.by_hand.is_some());
                assert!(by_hand.flat_map(|rule| &rule.keywords).any(|keyword| word.contains(keyword.as_str())), "{word}");
            }
        }
    }

    #[test]
    fn the_rules_are_there() {
        assert_eq!(FORMS.rules.iter().filter(|rule| rule.by_hand.is_some()).count(), 3);
    }
}
