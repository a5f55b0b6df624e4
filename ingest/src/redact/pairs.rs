//! A text of facts, `type="LOGIN", realmId="r", …`: each is judged at its place, as the members of an object are, and not as a run of text.

use std::borrow::Cow;
use std::ops::Range;

use super::place::Spot;
use super::value::{self, Verdict};
use super::walk::Walk;

/// A text of more is judged as text.
const PAIRS_MAX: usize = 48;

/// The pairs of a text as ranges of name and value. An error where it is anything else, or where a backslash or an odd quote leaves open where a value ends.
struct Pairs<'t> {
    text: &'t [u8],
    quotes: memchr::Memchr<'t>,
    at: usize,
    left: usize,
}

struct Other;

impl<'t> Pairs<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let text = text.as_bytes();
        let is_plain = !text.is_empty() && memchr::memchr(b'\\', text).is_none();
        is_plain.then(|| Self { text, quotes: memchr::memchr_iter(b'"', text), at: 0, left: PAIRS_MAX })
    }

    fn pair(&mut self) -> Option<(Range<usize>, Range<usize>)> {
        let (opens, closes) = (self.quotes.next()?, self.quotes.next()?);
        let name = self.at..opens.checked_sub(1)?;
        self.left = self.left.checked_sub(1)?;
        self.at = closes + 1;
        if self.at < self.text.len() {
            self.at += self.text.get(self.at..)?.starts_with(b", ").then_some(2)?;
        }
        (self.text.get(name.end) == Some(&b'=') && !name.is_empty()).then_some((name, opens + 1..closes))
    }
}

impl Iterator for Pairs<'_> {
    type Item = Result<(Range<usize>, Range<usize>), Other>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.at < self.text.len()).then(|| self.pair().ok_or(Other))
    }
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// Judges a text of pairs at `spot`: `None` where it is none, `Some(None)` where all of it is kept.
pub(super) fn judge(walk: &mut Walk<'_>, text: &str, spot: Spot) -> Option<Option<Verdict>> {
    let (mut out, mut copied, mut why) = (String::new(), 0, None);
    for pair in Pairs::of(text)? {
        let (name, range) = pair.ok()?;
        let (name, value) = (text.get(name)?, text.get(range.clone())?);
        let (child, is_clean) = walk.memo.key(spot, name).unwrap_or_else(|| {
            let child = walk.policy.child(spot, name);
            let is_clean = is_name(name) && value::of_key(walk.redactor, name, false).is_none();
            walk.memo.keep_key(spot, name, child, is_clean);
            (child, is_clean)
        });
        if !is_clean {
            return None;
        }
        // What prints as nothing.
        if matches!(value, "" | "null") {
            continue;
        }
        if let Some(verdict) = value::judge(walk, value, child, name, false) {
            out.push_str(text.get(copied..range.start)?);
            out.push_str(&verdict.written);
            copied = range.end;
            why = why.or(Some(verdict.why));
        }
    }
    Some(why.map(|why: Cow<'static, str>| {
        out.push_str(text.get(copied..).unwrap_or_default());
        Verdict { written: out, why }
    }))
}

#[cfg(test)]
mod tests {
    use super::{Pairs, is_name};

    #[test]
    fn only_what_is_nothing_but_pairs_is_read_as_such() {
        let read = |text: &'static str| {
            let pairs = Pairs::of(text)?.map(|pair| pair.ok().map(|(name, value)| (&text[name], &text[value]))).collect::<Option<Vec<_>>>()?;
            pairs.iter().all(|(name, _)| is_name(name)).then_some(pairs)
        };
        assert_eq!(read(r#"type="LOGIN", scope="a b", error="""#), Some(vec![("type", "LOGIN"), ("scope", "a b"), ("error", "")]));
        for other in [
            "",
            "Added user 'admin'",
            "type=LOGIN, realmId=r",
            r#"type="LOGIN" realmId="r""#,
            r#"type="LOG"#,
            r#"a="b\", c="d""#,
            r#"a="b"c"#,
            r#"="b""#,
            r#"a b="c""#,
            r#"x, a="b""#,
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
