//! A search looks at so many bytes for each byte of a text, however long the text is and whatever is packed in it: counted, not timed.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

/// Beginnings and ends of secrets, and what `benches/hostile` found to be worst.
const UNITS: &[&str] = &[
    "eyJ",
    "eyJ.",
    "hvs.",
    "s.",
    "sessionToken",
    "sessionToken=\\\\\\",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "Bearer ",
    "ZXlK",
    "ghp_",
    "xoxb-",
    "://",
    "://a:",
    "token",
    "token=",
    "password=",
    "password=x ",
    "key",
    "?sig=",
    "--token ",
    "AAAAAAAAAAAAAAAAAAAA ",
    "%41",
    "%2541",
    "\\u0041",
    "H4sIAAAAAAAA",
    "{\"a\":",
    "[",
    "\"",
    "\\\"",
    "cookie: ",
    "mysql -p",
    "api",
    "api_key = 'abcdefgh12345678zx'",
    "http",
    "x-amz-signature=",
    "codecov",
    "net use ",
    "xapp",
    "hmac:0123456789abcdef0123456789abcdef ",
    "secret: hmac:0123456789abcdef0123456789abcdef, ",
    "curl -u a:b ",
    "curl ",
    " -H \"",
    "machine a login b password ",
];

/// Bytes looked at in a text.
fn looked(text: &str, scope: Scope) -> usize {
    let mut work = Work::of(text);
    FORMS.find_working(text, scope, false, &mut work);
    work.looked()
}

fn gzip(text: &str) -> String {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    STANDARD.encode(packer.finish().unwrap())
}

/// A text twice as long is looked at twice as much, but for a tenth and what a piece may see twice.
fn grows_as_the_text(unit: &str, scope: Scope) {
    let short = unit.repeat((4 << 10) / unit.len() + 1);
    let a_byte = looked(&short, scope).div_ceil(short.len());
    for bytes in [32 << 10, 160 << 10] {
        let long = unit.repeat(bytes / unit.len() + 1);
        let (looked, most) = (looked(&long, scope), (3 * a_byte / 2 + 8) * long.len());
        assert!(looked <= most, "{looked} bytes are looked at in {} of {unit:?}, {a_byte} a byte in {}", long.len(), short.len());
    }
}

#[test]
fn known_texts_are_looked_at_as_often_as_they_are_long() {
    for unit in UNITS {
        grows_as_the_text(unit, Scope::Text);
        grows_as_the_text(unit, Scope::Name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn made_up_texts_are_too(parts in prop::collection::vec((prop::sample::select(UNITS), 0..6_u32), 1..5)) {
        let unit: String = parts.iter().map(|(unit, times)| unit.repeat(1 << times)).collect();
        grows_as_the_text(&unit, Scope::Text);
    }

    #[test]
    fn what_is_packed_small_costs_no_more_than_it_is_long(
        parts in prop::collection::vec((prop::sample::select(UNITS), 0..6_u32), 1..4), times in 1..400_usize, layers in 1..3_usize, pieces in 1..200_usize,
    ) {
        let unit: String = parts.iter().map(|(unit, times)| unit.repeat(1 << times)).collect();
        let plain = unit.repeat(times);
        let packed = (0..layers).fold(plain.get(..plain.len().min(256 << 10)).unwrap_or(&plain).to_owned(), |text, _| gzip(&text));
        let text = format!("{packed} ").repeat(pieces);
        // All that may be unpacked, and the text itself, by each of the rules as often as it may; four alignments of each layer.
        let rules = FORMS.rules.len();
        let plain_max = text.len() * 9 + (4 << 10);
        prop_assert!(looked(&text, Scope::Text) <= plain_max * (rules + 16), "{} of {}", looked(&text, Scope::Text), text.len());
    }
}

#[test]
fn what_unpacks_to_more_than_is_looked_at_goes_as_a_whole() {
    // Nothing secret is in it, as far as anybody looks.
    let bomb = gzip(&" ".repeat(256 << 10));
    let text = format!("a {bomb} b ").repeat(100);
    let found = FORMS.find(&text, Scope::Text, false);
    // The first ones are looked through.
    assert!((80..100).contains(&found.len()), "{}", found.len());
    assert!(
        found.iter().all(|found| found.why.rule.starts_with("packs more") && text.get(found.range.clone()) == Some(bomb.trim_end())),
        "{:?}",
        found.first()
    );
    assert!(looked(&text, Scope::Text) < 64 * text.len());
    // What anybody packs for its size is looked through.
    let words: String = (0..2_000_u32).map(|n| format!("row {} of {n}, ", n.wrapping_mul(0x9e37_79b9) % 1_000)).collect();
    let found = FORMS.find(&format!("a {} b", gzip(&words)), Scope::Text, false);
    assert!(found.is_empty(), "{found:?}");
}
