//! What each match of an expression has in it, read from the expression: where it is missing, the expression is not run. A keyword calls for a rule that is about much
//! more than the word, and most texts have the word alone.
//!
//! A need is some words of which each match has one, without regard to the case of letters.

use regex_syntax::hir::{Class, Hir, HirKind};

/// So many words at most are looked for in place of an expression, and so many needs.
const WORDS_MAX: usize = 4;
const NEEDS_MAX: usize = 3;
/// So many texts, and of so many bytes, that a part of an expression matches are written out.
const EXACT_MAX: usize = 8;
/// A class of more bytes is not: white space is none that would say anything.
const CLASS_MAX: usize = 4;
const WORD_BYTES_MAX: usize = 32;

/// Words of which one has to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need(Vec<Word>);

/// A word in small letters, and its byte that is met most seldom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: Vec<u8>,
    rare: usize,
}

impl Need {
    /// The needs of an expression whose classes are of bytes; those that say nothing of a text in which one of the keywords stands are left out.
    pub(super) fn of(expression: &Hir, keywords: &[String]) -> Vec<Self> {
        let is_said = |words: &[Vec<u8>]| keywords.iter().all(|keyword| words.iter().any(|word| holds(keyword.as_bytes(), word)));
        // Some letter stands in every text.
        let is_letter = |word: &Vec<u8>| word.len() == 1 && word.iter().all(u8::is_ascii_alphanumeric);
        let mut sets = needs(expression);
        sets.retain(|words| words.len() <= WORDS_MAX && !words.iter().any(is_letter) && !is_said(words));
        sets.sort_by_key(|words| std::cmp::Reverse((worth(words), std::cmp::Reverse(words.len()))));
        sets.dedup();
        sets.truncate(NEEDS_MAX);
        sets.into_iter().map(|words| Self(words.into_iter().map(Word::new).collect())).collect()
    }

    /// Whether one of the words stands in a text.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.0.iter().any(|word| word.is_in(text))
    }
}

impl Word {
    fn new(text: Vec<u8>) -> Self {
        let rare = text.iter().enumerate().min_by_key(|(_, byte)| super::keywords::commonness(**byte)).map_or(0, |(at, _)| at);
        Self { text, rare }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        let Some(&rare) = self.text.get(self.rare) else { return true };
        let (small, great) = (rare, rare.to_ascii_uppercase());
        let mut at = 0;
        while let Some(step) = text.get(at..).and_then(|rest| if small == great { memchr::memchr(small, rest) } else { memchr::memchr2(small, great, rest) }) {
            at += step;
            let stands = at.checked_sub(self.rare).and_then(|start| text.get(start..start + self.text.len()));
            if stands.is_some_and(|stands| stands.eq_ignore_ascii_case(&self.text)) {
                return true;
            }
            at += 1;
        }
        false
    }
}

/// How much it says of a text that one of these words stands in it: as much as the shortest.
fn worth(words: &[Vec<u8>]) -> usize {
    words.iter().map(Vec::len).min().unwrap_or_default()
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

/// Sets of words, of each of which every match has one.
fn needs(expression: &Hir) -> Vec<Vec<Vec<u8>>> {
    if let Some(exact) = exact(expression) {
        return set(exact).into_iter().collect();
    }
    match expression.kind() {
        HirKind::Capture(capture) => needs(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needs(&repetition.sub),
        HirKind::Concat(parts) => {
            let mut found = Vec::new();
            // Parts behind one another that are written out are one word.
            let mut row = vec![Vec::new()];
            for part in parts {
                let texts = exact(part);
                if let Some(longer) = texts.as_ref().and_then(|texts| product(&row, texts)) {
                    row = longer;
                    continue;
                }
                if texts.is_none() {
                    found.extend(needs(part));
                }
                found.extend(set(std::mem::replace(&mut row, texts.unwrap_or_else(|| vec![Vec::new()]))));
            }
            found.extend(set(row));
            found
        }
        HirKind::Alternation(ways) => {
            let each: Vec<_> = ways.iter().map(needs).collect();
            let Some((first, others)) = each.split_first() else { return Vec::new() };
            let mut found: Vec<_> = first.iter().filter(|set| others.iter().all(|sets| sets.contains(set))).cloned().collect();
            // Of each way the one that says most.
            let best: Option<Vec<_>> = each.iter().map(|sets| sets.iter().max_by_key(|words| worth(words)).cloned()).collect();
            found.extend(best.and_then(|best| set(best.concat())));
            found
        }
        _ => Vec::new(),
    }
}

/// Words without those that hold another one of them; `None` where one is empty, or there are none.
fn set(mut words: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    if words.is_empty() || words.iter().any(Vec::is_empty) {
        return None;
    }
    words.sort();
    words.dedup();
    let is_least = |word: &Vec<u8>| !words.iter().any(|other| other != word && holds(word, other));
    Some(words.iter().filter(|word| is_least(word)).cloned().collect())
}

/// All texts that an expression matches, in small letters, if they are few; what has no width is passed over.
fn exact(expression: &Hir) -> Option<Vec<Vec<u8>>> {
    let texts = match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.to_ascii_lowercase()],
        HirKind::Class(Class::Bytes(class)) => {
            let count: usize = class.iter().map(|range| usize::from(range.end() - range.start()) + 1).sum();
            if count > CLASS_MAX {
                return None;
            }
            class.iter().flat_map(|range| range.start()..=range.end()).map(|byte| vec![byte.to_ascii_lowercase()]).collect()
        }
        HirKind::Class(Class::Unicode(_)) => return None,
        HirKind::Capture(capture) => exact(&capture.sub)?,
        HirKind::Repetition(repetition) => {
            let (1.., Some(max)) = (repetition.min, repetition.max) else { return None };
            if max != repetition.min || max > EXACT_MAX as u32 {
                return None;
            }
            let once = exact(&repetition.sub)?;
            (1..max).try_fold(once.clone(), |row, _| product(&row, &once))?
        }
        HirKind::Concat(parts) => parts.iter().try_fold(vec![Vec::new()], |row, part| product(&row, &exact(part)?))?,
        HirKind::Alternation(ways) => ways.iter().map(exact).collect::<Option<Vec<_>>>()?.concat(),
    };
    let mut texts = texts;
    texts.sort();
    texts.dedup();
    (texts.len() <= EXACT_MAX).then_some(texts)
}

/// Each of some texts with each of others behind it, if these are few.
fn product(before: &[Vec<u8>], behind: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let all: Vec<Vec<u8>> = before.iter().flat_map(|first| behind.iter().map(move |second| [first.as_slice(), second].concat())).collect();
    (all.len() <= EXACT_MAX && all.iter().all(|text| text.len() <= WORD_BYTES_MAX)).then_some(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use crate::redact::form::FORMS;

    fn needs_of(source: &str) -> Vec<Vec<String>> {
        let expression = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(source).unwrap();
        let mut sets: Vec<Vec<String>> =
            super::needs(&expression).into_iter().map(|words| words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()).collect();
        sets.sort();
        sets
    }

    #[test]
    fn needs_are_read_from_an_expression() {
        assert_eq!(needs_of(r"(?i)\bmachine\s+\S+\s+password\s+(\S+)"), [["machine"], ["password"]]);
        assert_eq!(needs_of(r"[?&;](?:token|sig)="), [["&sig=", "&token=", ";sig=", ";token=", "?sig=", "?token="]]);
        assert_eq!(needs_of(r"[?&;].*(?:token|sig)="), [vec!["&", ";", "?"], vec!["sig=", "token="]]);
        assert_eq!(needs_of(r"\s(?:-u|--user|-a|--auth)[ =]?x+"), [vec!["-a", "-u"], vec!["x"]]);
        assert_eq!(needs_of(r"(?:kind:.*data:|data:.*kind:)"), [vec!["data:"], vec!["data:", "kind:"], vec!["kind:"]]);
        assert_eq!(needs_of(r"(?:ab)?c*[^x]"), Vec::<Vec<String>>::new());
        assert_eq!(needs_of(r"a{3}b"), [["aaab"]]);
    }

    /// What every expression of the program matches, alone and within other text, has what the rule needs.
    #[test]
    fn what_an_expression_matches_has_what_it_needs() {
        let mut runner = TestRunner::deterministic();
        let (mut matched, mut needy) = (0, 0);
        for rule in &FORMS.rules {
            needy += usize::from(!rule.needs.is_empty());
            // What has no width is none of what is made of an expression.
            let source = rule.pattern.source().replace(r"\b", "").replace("(?:^|", "(?:").replace("|$)", ")");
            let Ok(strategy) = prop::string::bytes_regex(&source) else { continue };
            for _ in 0..24 {
                let Ok(tree) = strategy.new_tree(&mut runner) else { continue };
                let text = String::from_utf8_lossy(&tree.current()).into_owned();
                for text in [format!("x {text} y"), text.to_ascii_uppercase(), text] {
                    if rule.by_expression(text.as_bytes(), 0).is_some() {
                        matched += 1;
                        assert!(rule.may_match(&text), "{}: {text:?}", rule.id);
                    }
                }
            }
        }
        assert!(matched > 3_000 && needy > 50, "{matched} texts, {needy} rules");
    }

    proptest! {
        #[test]
        fn a_word_is_found_wherever_it_stands(before in "[a-dA-D]{0,40}", word in "[a-d]{1,4}", behind in "[a-dA-D]{0,40}") {
            let word = super::Word::new(word.into_bytes());
            for text in [format!("{before}{behind}"), format!("{before}{}{behind}", String::from_utf8_lossy(&word.text).to_uppercase())] {
                let wanted = super::holds(text.to_ascii_lowercase().as_bytes(), &word.text);
                prop_assert_eq!(word.is_in(text.as_bytes()), wanted);
            }
        }
    }
}
