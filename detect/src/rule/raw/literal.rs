//! Literals without which a regular expression cannot match: what the prefilter looks for before the expression is run.
//!
//! Everything here is about text in small ASCII letters; what is not ASCII is never a literal, and values that are not ASCII pass
//! every prefilter.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Literals that one expression may give; beyond, it gives none.
const LITERALS_MAX: usize = 256;

/// Small-letter literals, one of which stands in every text (in small letters) that `pattern` matches; `None` when there are none.
#[must_use]
pub fn required(pattern: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::Parser::new().parse(pattern).ok()?;
    let needed = Needed::of(&hir);
    let literals = needed.exact.map(|exact| vec![exact]).or(needed.one_of)?;
    literals.iter().all(|literal| !literal.is_empty()).then_some(literals)
}

#[derive(Default)]
struct Needed {
    /// All that it matches is this text.
    exact: Option<String>,
    /// One of these stands in what it matches.
    one_of: Option<Vec<String>>,
}

impl Needed {
    fn exactly(text: String) -> Self {
        Self { exact: Some(text), one_of: None }
    }

    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::exactly(String::new()),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) if text.is_ascii() => Self::exactly(text.to_ascii_lowercase()),
                _ => Self::default(),
            },
            HirKind::Class(class) => single(class).map_or_else(Self::default, |letter| Self::exactly(letter.to_string())),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min == 1 && repetition.max == Some(1) => Self::of(&repetition.sub),
            HirKind::Repetition(repetition) if repetition.min >= 1 => Self { exact: None, one_of: Self::of(&repetition.sub).literals() },
            HirKind::Repetition(_) => Self::default(),
            HirKind::Concat(parts) => Self::of_all(parts),
            HirKind::Alternation(parts) => Self { exact: None, one_of: Self::of_any(parts) },
        }
    }

    fn literals(self) -> Option<Vec<String>> {
        self.exact.filter(|exact| !exact.is_empty()).map(|exact| vec![exact]).or(self.one_of)
    }

    fn of_all(parts: &[Hir]) -> Self {
        let (mut run, mut exact, mut best) = (String::new(), true, None);
        for part in parts {
            let needed = Self::of(part);
            match needed.exact {
                Some(text) => run.push_str(&text),
                None => {
                    exact = false;
                    best = better(best, (!run.is_empty()).then(|| vec![std::mem::take(&mut run)]));
                    best = better(best, needed.one_of);
                }
            }
        }
        if exact {
            return Self::exactly(run);
        }
        Self { exact: None, one_of: better(best, (!run.is_empty()).then(|| vec![run])) }
    }

    fn of_any(parts: &[Hir]) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for part in parts {
            all.extend(Self::of(part).literals()?);
        }
        (all.len() <= LITERALS_MAX).then_some(all)
    }
}

/// The set whose shortest literal is longer.
fn better(a: Option<Vec<String>>, b: Option<Vec<String>>) -> Option<Vec<String>> {
    let shortest = |set: &Vec<String>| set.iter().map(String::len).min().unwrap_or_default();
    match (a, b) {
        (Some(a), Some(b)) => Some(if shortest(&b) > shortest(&a) { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// The one ASCII letter, in whatever case, that a class stands for in ASCII text.
fn single(class: &Class) -> Option<char> {
    let mut only = None;
    let mut meet = |start: u32, end: u32| {
        for code in start..=end.min(127) {
            let letter = char::from_u32(code)?.to_ascii_lowercase();
            if only.is_some_and(|known| known != letter) {
                return None;
            }
            only = Some(letter);
        }
        Some(())
    };
    match class {
        Class::Unicode(class) => class.ranges().iter().try_for_each(|range| meet(range.start().into(), range.end().into()))?,
        Class::Bytes(class) => class.ranges().iter().try_for_each(|range| meet(range.start().into(), range.end().into()))?,
    }
    only
}

#[cfg(test)]
mod tests {
    use super::required;

    #[test]
    fn literals_of_expressions() {
        let some = |literals: &[&str]| Some(literals.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
        assert_eq!(required("(?i)^arn:.*S3Browser$"), some(&["s3browser"]));
        assert_eq!(required("(?i)task"), some(&["task"]), "k and s have relatives beyond ASCII");
        assert_eq!(required("(ab|Cde)x+"), some(&["ab", "cde"]));
        assert_eq!(required("a{2}bc"), some(&["bc"]));
        assert_eq!(required(".*"), None);
        assert_eq!(required("(a|.*)"), None);
        assert_eq!(required("[a-c]d?"), None);
        assert_eq!(required("é"), None);
    }
}
