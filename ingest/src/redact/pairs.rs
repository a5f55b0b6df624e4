//! A text of facts, `type="LOGIN", realmId="r", …`: each is judged at its place, as the members of an object are, and not as a run of text.

use std::borrow::Cow;
use std::ops::Range;

use super::place::Spot;
use super::value::{self, Verdict};
use super::walk::Walk;

/// A text of more is judged as text.
const PAIRS_MAX: usize = 48;

/// The text's pairs as ranges of name and value. `None` where it is anything else, or where a backslash or an odd quote leaves open where a value ends.
fn pairs(text: &str) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'\\', bytes).is_some() {
        return None;
    }
    let mut pairs = Vec::with_capacity(24);
    let mut quotes = memchr::memchr_iter(b'"', bytes);
    let mut at = 0;
    while at < bytes.len() {
        let (opens, closes) = (quotes.next()?, quotes.next()?);
        let name = at..opens.checked_sub(1)?;
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if bytes.get(name.end) != Some(&b'=') || name.is_empty() || !bytes.get(name.clone())?.iter().all(is_name) || pairs.len() >= PAIRS_MAX {
            return None;
        }
        pairs.push((name, opens + 1..closes));
        at = closes + 1;
        if at < bytes.len() {
            at += bytes.get(at..)?.starts_with(b", ").then_some(2)?;
        }
    }
    (!pairs.is_empty()).then_some(pairs)
}

/// Judges a text of pairs at `spot`: `None` where it is none, `Some(None)` where all of it is kept.
pub(super) fn judge(walk: &mut Walk<'_>, text: &str, spot: Spot) -> Option<Option<Verdict>> {
    let (mut out, mut copied, mut why) = (String::new(), 0, None);
    for (name, range) in pairs(text)? {
        let (name, value) = (text.get(name)?, text.get(range.clone())?);
        let known = walk.memo.key(spot, name);
        let (child, is_clean) = known.unwrap_or_else(|| {
            let child = walk.policy.child(spot, name);
            let is_clean = value::of_key(walk.redactor, name, false).is_none();
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
    use super::pairs;

    #[test]
    fn only_what_is_nothing_but_pairs_is_read_as_such() {
        let read = |text: &'static str| pairs(text).map(|pairs| pairs.into_iter().map(|(name, value)| (&text[name], &text[value])).collect::<Vec<_>>());
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
