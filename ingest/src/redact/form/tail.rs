//! The end of an expression that counts: `[^\s]{1,4096}` behind `password=` makes four thousand states of it, which an automaton walks slowly, once forward and once back.
//! Such an end is cut off the expression and counted here: nothing stands behind it, so that what matches is the same.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// An end of fewer repetitions stays where it is.
const COUNT_MIN: u32 = 64;

/// Bytes that go on behind a match, and how many of them at most.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    takes: Box<[bool; 256]>,
    more_max: usize,
}

impl Tail {
    /// Cuts the end off an expression (whose classes are of bytes); gives what is left of it, and the end.
    pub(super) fn cut(expression: &Hir) -> Option<(String, Self)> {
        let HirKind::Concat(parts) = expression.kind() else { return None };
        let (last, before) = parts.split_last()?;
        let (repetition, captured) = match last.kind() {
            HirKind::Capture(capture) => (repetition(&capture.sub)?, Some(capture)),
            _ => (repetition(last)?, None),
        };
        let more_max = repetition.max?.checked_sub(repetition.min).filter(|more| *more >= COUNT_MIN && repetition.min > 0)?;
        let tail = Self { takes: takes(&repetition.sub)?, more_max: usize::try_from(more_max).ok()? };
        let least = Hir::repetition(Repetition { max: Some(repetition.min), ..repetition.clone() });
        let least = match captured {
            Some(capture) => Hir::capture(regex_syntax::hir::Capture { sub: Box::new(least), ..capture.clone() }),
            None => least,
        };
        Some((Hir::concat(before.iter().cloned().chain([least]).collect()).to_string(), tail))
    }

    /// Where a match ends that ended at `end` without it.
    pub(super) fn end(&self, text: &[u8], end: usize) -> usize {
        let rest = text.get(end..).unwrap_or_default();
        end + rest.iter().take(self.more_max).take_while(|byte| self.takes.get(usize::from(**byte)) == Some(&true)).count()
    }
}

/// A repetition that takes as many as it can.
fn repetition(expression: &Hir) -> Option<&Repetition> {
    if let HirKind::Repetition(repetition) = expression.kind() { Some(repetition).filter(|repetition| repetition.greedy) } else { None }
}

/// The bytes of a class; `None` for what is none.
fn takes(expression: &Hir) -> Option<Box<[bool; 256]>> {
    let HirKind::Class(Class::Bytes(class)) = expression.kind() else { return None };
    let mut takes = Box::new([false; 256]);
    for range in class.iter() {
        for byte in range.start()..=range.end() {
            if let Some(takes) = takes.get_mut(usize::from(byte)) {
                *takes = true;
            }
        }
    }
    Some(takes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(source: &str) -> Option<(String, Tail)> {
        Tail::cut(&regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(source).unwrap())
    }

    #[test]
    fn only_an_end_that_counts_is_cut_off() {
        assert_eq!(cut("a=([x-z]{1,4096})").unwrap().1.more_max, 4095);
        assert_eq!(cut("a=[x-z]{2,100}").unwrap().1.more_max, 98);
        for source in [
            "a=([x-z]{1,4096})b",
            "a=([x-z]{1,4096}?)",
            "a=([x-z]{1,})",
            "a=([x-z]{0,4096})",
            "a=([x-z]{1,20})",
            "a=(?:[x-z]{1,4096}|b)",
            "[x-z]{1,4096}",
            "a=(b[x-z]{1,4096})",
        ] {
            assert!(cut(source).is_none(), "{source}");
        }
    }
}
