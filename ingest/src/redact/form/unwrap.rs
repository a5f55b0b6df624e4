//! Secrets in what a text encodes: base64, base64url, hexadecimal, percent-encoding, JSON's escapes, gzip and zlib in base64. What holds one is replaced whole.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use super::work::{TooMuch, Work};
use super::{Forms, Found, Scope, Why};

/// How many encodings may stand in one another.
const DEPTH_MAX: u8 = 4;
/// How many bytes may be decoded of one run, and inflated from it.
const DECODED_BYTES_MAX: usize = 256 << 10;
/// A shorter run of base64 or hexadecimal decodes to nothing that is long enough.
const BASE64_BYTES_MIN: usize = 20;
/// What is decoded has to read as text over so many bytes: fewer come of any run of letters.
const PLAIN_BYTES_MIN: usize = 12;
const HEX_BYTES_MIN: usize = 24;

/// By what is known that is too much to look through.
const UNSEEN: Why = Why { rule: "packs more than is looked at", encoding: None };

/// Finds secrets in what `text`, `depth` encodings deep, encodes.
pub(in crate::redact) fn find(forms: &'static Forms, text: &str, depth: u8, work: &mut Work, found: &mut Vec<Found>) {
    if depth >= DEPTH_MAX {
        return;
    }
    let bytes = text.as_bytes();
    work.look(bytes.len());
    if memchr::memchr2(b'%', b'\\', bytes).is_some() {
        percent_and_escapes(forms, text, depth, work, found);
    }
    let mut at = 0;
    while let Some(run) = next_run(bytes, at) {
        at = run.end;
        let token = text.get(run.clone()).unwrap_or_default();
        if let Some(why) = in_hex(forms, token, depth, work).or_else(|| in_base64(forms, token, depth, work)) {
            found.push(Found { range: run, why });
        }
    }
}

fn percent_and_escapes(forms: &'static Forms, text: &str, depth: u8, work: &mut Work, found: &mut Vec<Found>) {
    if let Some(plain) = percent(text)
        && let Some(why) = first(forms, &plain, depth, work)
    {
        // Where in the text it stands cannot be told by its decoded place: each encoded word is judged, or all.
        found.push(Found { range: encoded_part(text), why: Why { encoding: Some("percent-encoding"), ..why } });
    }
    if let Some(plain) = escapes(text)
        && let Some(why) = first(forms, &plain, depth, work)
    {
        found.push(Found { range: 0..text.len(), why: Why { encoding: Some("escapes"), ..why } });
    }
}

/// By what the first secret in a decoded text is known. What was worth encoding is text, whatever its place.
fn first(forms: &'static Forms, plain: &str, depth: u8, work: &mut Work) -> Option<Why> {
    if plain.len() < PLAIN_BYTES_MIN {
        return None;
    }
    if work.unpack(plain.len()).is_err() {
        return Some(UNSEEN);
    }
    let mut why = None;
    forms.plain(plain, Scope::Text, false, work, |found| {
        why = Some(found.why);
        false
    });
    if why.is_some() {
        return why;
    }
    let mut found = Vec::new();
    find(forms, plain, depth + 1, work, &mut found);
    found.first().map(|found| found.why)
}

const BASE64: u8 = 1;
const HEX: u8 = 2;
/// The first digit of a quad whose first byte is ASCII; the second digit of one whose second byte is.
const FIRST: u8 = 4;
const SECOND: u8 = 8;

/// What each byte can be part of.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'=') {
            class[byte] |= BASE64;
        }
        if b.is_ascii_hexdigit() {
            class[byte] |= HEX;
        }
        if sextet(b) < 32 {
            class[byte] |= FIRST;
        }
        if sextet(b) & 0b1000 == 0 {
            class[byte] |= SECOND;
        }
        byte += 1;
    }
    class
};

#[inline]
fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The next run that may be base64 or hexadecimal, at or after `at`.
fn next_run(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    run_of(bytes, at, BASE64, BASE64_BYTES_MIN)
}

/// The next run of at least so many bytes of a class.
#[inline]
fn run_of(bytes: &[u8], mut at: usize, of: u8, least: usize) -> Option<Range<usize>> {
    let is = |at: usize| bytes.get(at).is_some_and(|b| class(*b) & of != 0);
    // Only every so many bytes have to be looked at to find a run of that length.
    while at + least <= bytes.len() {
        let mut last = at + least;
        while last > at && is(last - 1) {
            last -= 1;
        }
        if last > at {
            at = last;
            continue;
        }
        let mut end = at + least;
        while is(end) {
            end += 1;
        }
        return Some(at..end);
    }
    None
}

/// The longest run of hexadecimal digits that is long enough, the first of equals.
fn hex_run(bytes: &[u8]) -> Option<Range<usize>> {
    let mut longest: Option<Range<usize>> = None;
    let mut at = 0;
    while let Some(run) = run_of(bytes, at, HEX, HEX_BYTES_MIN) {
        at = run.end;
        if longest.as_ref().is_none_or(|longest| run.len() > longest.len()) {
            longest = Some(run);
        }
    }
    longest
}

fn in_hex(forms: &'static Forms, token: &str, depth: u8, work: &mut Work) -> Option<Why> {
    let best = token.get(hex_run(token.as_bytes())?)?;
    // Either half of a byte may come first.
    (0..2).find_map(|skip| {
        let digits = best.get(skip..)?;
        let digits = digits.get(..(digits.len() & !1).min(2 * DECODED_BYTES_MAX))?;
        work.look(digits.len());
        let plain = readable(hex::decode(digits).ok()?)?;
        first(forms, &plain, depth, work).map(|why| Why { encoding: Some("hexadecimal"), ..why })
    })
}

fn in_base64(forms: &'static Forms, token: &str, depth: u8, work: &mut Work) -> Option<Why> {
    let bytes = token.as_bytes();
    let bytes = bytes.get(..bytes.len().min(DECODED_BYTES_MAX / 3 * 4)).unwrap_or(bytes);
    // What stands before the first letter of the encoding belongs to the run: each of the four places where a quad can begin is tried.
    let begins = text_begins(bytes);
    (0..4).find_map(|skip| {
        let digits = bytes.get(skip..)?;
        if begins >> skip & 1 == 0 && !is_packed(digits) {
            return None;
        }
        work.look(digits.len());
        let decoded = base64(digits);
        match inflated(&decoded, work) {
            Ok(Some(plain)) => return first(forms, &plain, depth, work).map(|why| Why { encoding: Some("gzip in base64"), ..why }),
            Ok(None) => {}
            Err(TooMuch) => return Some(UNSEEN),
        }
        let plain = readable(decoded)?;
        first(forms, &plain, depth, work).map(|why| Why { encoding: Some("base64"), ..why })
    })
}

/// Of the four places where a quad can begin, one bit each: those from which some quads in a row encode ASCII, in that the first byte's highest bit, and the second's,
/// are not set.
fn text_begins(digits: &[u8]) -> u8 {
    (0..4).filter(|place| has_text(digits.get(*place..).unwrap_or_default())).fold(0, |bits, place| bits | 1 << place)
}

/// Whether some quads in a row encode ASCII, from the first digit on.
fn has_text(digits: &[u8]) -> bool {
    /// Twelve bytes of text are what a secret has at least.
    const QUADS: usize = 4;
    let (quads, _) = digits.as_chunks::<4>();
    let is_text = |quad: &[u8; 4]| class(quad[0]) & FIRST != 0 && class(quad[1]) & SECOND != 0;
    let mut row = 0..QUADS;
    // From a row's last quad to its first: behind one that is none, the next row begins.
    while let Some(part) = quads.get(row.clone()) {
        match part.iter().rposition(|quad| !is_text(quad)) {
            None => return true,
            Some(at) => row = row.start + at + 1..row.start + at + 1 + QUADS,
        }
    }
    false
}

/// Whether a run of digits in a text leaves it open that it encodes something: base64 of text or of what is packed, or hexadecimal. Of other encodings it says nothing.
pub(in crate::redact) fn has_run(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(run) = next_run(bytes, at) {
        at = run.end;
        let digits = bytes.get(run).unwrap_or_default();
        let hex = run_of(digits, 0, HEX, HEX_BYTES_MIN).is_some();
        if hex || text_begins(digits) != 0 || (0..4).any(|skip| digits.get(skip..).is_some_and(is_packed)) {
            return true;
        }
    }
    false
}

/// Whether it begins as gzip or zlib does.
fn is_packed(digits: &[u8]) -> bool {
    digits.starts_with(b"H4sI") || digits.starts_with(b"eJ") || digits.starts_with(b"eNp") || digits.starts_with(b"eAH")
}

const NO_SEXTET: u8 = 64;

const fn sextet(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' | b'+' => 62,
        b'_' | b'/' => 63,
        _ => NO_SEXTET,
    }
}

/// Decodes base64 and base64url (RFC 4648), with padding or without; stops where it ends.
fn base64(digits: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in digits {
        let value = sextet(*byte);
        if value == NO_SEXTET {
            break;
        }
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
        }
    }
    out
}

/// Decoded bytes as text, if a stretch of them reads as text; UTF-16 as Windows writes it, too.
fn readable(bytes: Vec<u8>) -> Option<String> {
    const STRETCH: usize = PLAIN_BYTES_MIN;
    if bytes.len() >= 2 * STRETCH && bytes.iter().skip(1).step_by(2).take(STRETCH).all(|b| *b == 0) {
        return Some(bytes.iter().step_by(2).map(|b| char::from(*b)).collect());
    }
    let (mut row, mut longest) = (0, 0);
    for byte in &bytes {
        row = if (0x20..0x7f).contains(byte) || matches!(byte, b'\n' | b'\r' | b'\t') { row + 1 } else { 0 };
        longest = longest.max(row);
    }
    (longest >= STRETCH).then(|| String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// What gzip or zlib packed, as far as it can be unpacked; nothing where it is no text. An error where it is more than may be unpacked.
fn inflated(bytes: &[u8], work: &mut Work) -> Result<Option<String>, TooMuch> {
    let mut out = Vec::new();
    // One byte more than there is room for tells that there is not enough.
    let limit = DECODED_BYTES_MAX.min(work.room().saturating_add(1)) as u64;
    // What is cut off in its middle is read as far as it goes.
    if bytes.starts_with(&[0x1f, 0x8b, 8]) {
        let _ = flate2::read::GzDecoder::new(bytes).take(limit).read_to_end(&mut out);
    } else if bytes.first() == Some(&0x78) && bytes.get(1).is_some_and(|b| (0x7800 + u32::from(*b)) % 31 == 0) {
        let _ = flate2::read::ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out);
    }
    if out.is_empty() {
        return Ok(None);
    }
    let (bytes, is_over) = (out.len(), out.len() > work.room());
    let plain = readable(out);
    // What reads as text is counted where it is looked through.
    if plain.is_none() || is_over {
        work.unpack(bytes)?;
    }
    Ok(plain)
}

/// `text` without percent-encoding; `None` when it has none.
pub(in crate::redact) fn percent(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let first = memchr::memchr(b'%', bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(bytes.get(..first)?);
    let (mut at, mut any) = (first, false);
    while let Some(byte) = bytes.get(at) {
        let decoded =
            (*byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten().and_then(|digits| hex::decode(digits).ok()).and_then(|one| one.first().copied());
        if let Some(decoded) = decoded {
            out.push(decoded);
            at += 3;
            any = true;
        } else {
            out.push(if *byte == b'+' { b' ' } else { *byte });
            at += 1;
        }
    }
    any.then(|| String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The words of `text` that are percent-encoded: from the last separator before the first sign to the first one behind the last.
fn encoded_part(text: &str) -> Range<usize> {
    let separator = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '?' | '&' | '=' | '/');
    let (Some(first), Some(last)) = (text.find('%'), text.rfind('%')) else { return 0..text.len() };
    let start = text.get(..first).and_then(|before| before.rfind(separator)).map_or(0, |at| at + 1);
    let end = text.get(last..).and_then(|after| after.find(separator)).map_or(text.len(), |at| last + at);
    // A secret may reach over a separator (`password=%41…`): where the whole is short of one, all of the text goes.
    if text.get(..start).is_some_and(|before| before.ends_with(['=', '&', '/'])) { 0..text.len() } else { start..end }
}

/// `text` without JSON's escapes, as a string of JSON within it has them; `None` when it has none.
fn escapes(text: &str) -> Option<Cow<'_, str>> {
    memchr::memmem::find(text.as_bytes(), b"\\u")?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u") {
        out.push_str(rest.get(..at)?);
        let digits = rest.get(at + 2..at + 6);
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32) {
            Some(c) => {
                out.push(c);
                rest = rest.get(at + 6..)?;
            }
            None => {
                out.push_str("\\u");
                rest = rest.get(at + 2..)?;
            }
        }
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    /// The same, quad by quad.
    fn quad_by_quad(digits: &[u8]) -> u8 {
        let is_text = |quad: &[u8]| sextet(quad[0]) < 32 && sextet(quad[1]) & 0b1000 == 0;
        let from = |skip: usize| digits.get(skip..).unwrap_or_default().chunks_exact(4).map(is_text).collect::<Vec<_>>();
        (0..4).filter(|skip| from(*skip).windows(4).any(|row| row.iter().all(|text| *text))).fold(0, |bits, skip| bits | 1 << skip)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_longest_run_of_hexadecimal_digits_is_the_first_of_equals(text in "([0-9a-fA-F]{0,60}[g-z=/-]){0,5}[0-9a-f]{0,40}") {
            let mut longest = "";
            text.split(|c: char| !c.is_ascii_hexdigit()).for_each(|part| if part.len() > longest.len() { longest = part });
            let found = hex_run(text.as_bytes()).map(|run| (run.start, &text[run]));
            let wanted = (longest.len() >= HEX_BYTES_MIN).then(|| (longest.as_ptr() as usize - text.as_ptr() as usize, longest));
            prop_assert_eq!(found, wanted, "{}", text);
        }

        #[test]
        fn where_text_begins_is_told_for_many_digits_at_once(before in "[A-Za-z0-9+/=_-]{0,200}", text in "[ -~]{0,40}", after in "[A-Za-z0-9+/=_-]{0,90}") {
            let encoded = STANDARD_NO_PAD.encode(text);
            let digits = format!("{before}{encoded}{after}");
            prop_assert_eq!(text_begins(digits.as_bytes()), quad_by_quad(digits.as_bytes()), "{}", digits);
        }
    }
}
