//! The search for secrets in bytes: in clear, and in each encoding in which they could have come through. What looks encoded is
//! undone too, to a bounded depth, so that a secret within base64 of gzip is found, in the input as in the output.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 with or without padding, and whatever the last bits are.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// How deep encodings are undone.
const DEPTH: usize = 4;
/// And in what is long: each level is another pass.
const DEPTH_OF_LONG: usize = 2;
const LONG: usize = 4 << 20;
/// Longer secrets are looked for by halves, so that a part that stays is found.
const HALVED: usize = 16;

/// All encodings of all secrets as one automaton.
pub struct Needles {
    automaton: AhoCorasick,
    /// For each pattern the numbers of the secrets that hold it, its encoding, and whether it counts only between other characters than letters and digits.
    of: Vec<(Vec<usize>, &'static str, bool)>,
}

impl Needles {
    pub fn new<'a>(cores: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut patterns, mut of) = (Vec::new(), Vec::new());
        let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (secret, core) in cores.into_iter().enumerate() {
            let parts: Vec<&str> = if core.len() < HALVED {
                vec![core]
            } else {
                let middle = (core.len() / 2..).find(|at| core.is_char_boundary(*at)).unwrap();
                vec![&core[..middle], &core[middle..]]
            };
            for part in parts {
                for (encoding, pattern) in encodings(part) {
                    let at = *seen.entry(pattern).or_insert_with_key(|pattern| {
                        let whole_word = encoding == "clear" && core.len() < HALVED && part.bytes().all(|b| b.is_ascii_digit());
                        of.push((Vec::new(), encoding, whole_word));
                        patterns.push(pattern.clone());
                        of.len() - 1
                    });
                    let (secrets, _, _): &mut (Vec<usize>, _, _) = &mut of[at];
                    if secrets.last() != Some(&secret) {
                        secrets.push(secret);
                    }
                }
            }
        }
        Self { automaton: AhoCorasick::new(patterns).unwrap(), of }
    }

    /// Every secret that stands in `bytes` as they are, once per encoding.
    pub fn find_as_it_is(&self, bytes: &[u8]) -> BTreeMap<(usize, &'static str), String> {
        let mut found = BTreeMap::new();
        self.at_depth(bytes, 0, &mut BTreeSet::new(), &mut found);
        found
    }

    /// The same, and in what is encoded in them.
    pub fn find(&self, bytes: &[u8]) -> BTreeMap<(usize, &'static str), String> {
        let mut found = BTreeMap::new();
        self.at_depth(bytes, if bytes.len() > LONG { DEPTH_OF_LONG } else { DEPTH }, &mut BTreeSet::new(), &mut found);
        found
    }

    fn at_depth(&self, bytes: &[u8], depth: usize, done: &mut BTreeSet<u64>, found: &mut BTreeMap<(usize, &'static str), String>) {
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let (secrets, encoding, whole_word) = &self.of[hit.pattern().as_usize()];
            let is_word = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'.');
            let is_option = bytes[..hit.start()].ends_with(b"-p");
            if !*whole_word || !(is_word(hit.start().checked_sub(1)) && !is_option || is_word(Some(hit.end()))) {
                for secret in secrets {
                    found.entry((*secret, *encoding)).or_insert_with(|| around(bytes, hit.start(), hit.end()));
                }
            }
        }
        if depth > 0 {
            for inner in undone(bytes, done) {
                self.at_depth(&inner, depth - 1, done, found);
            }
        }
    }
}

/// The neighbourhood of a hit, for a person.
pub fn around(bytes: &[u8], from: usize, to: usize) -> String {
    String::from_utf8_lossy(&bytes[from.saturating_sub(120)..(to + 60).min(bytes.len())]).into_owned()
}

/// How a part of a secret can stand in bytes.
fn encodings(part: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = part.as_bytes();
    let mut all: Vec<(&'static str, Vec<u8>)> = vec![("clear", bytes.to_vec())];
    if part.len() >= 8 {
        all.push(("reversed", part.chars().rev().collect::<String>().into_bytes()));
    }
    for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
        all.extend(aligned(engine, bytes).map(|text| (name, text.into_bytes())));
        let twice = aligned(engine, bytes).flat_map(|text| aligned(&STANDARD, text.as_bytes()).collect::<Vec<_>>());
        all.extend(twice.map(|text| ("base64 of base64", text.into_bytes())));
    }
    let each = |f: fn(u8) -> String| bytes.iter().map(|byte| f(*byte)).collect::<String>().into_bytes();
    all.push(("hex", each(|b| format!("{b:02x}"))));
    all.push(("hex", each(|b| format!("{b:02X}"))));
    all.push(("percent", each(|b| format!("%{b:02X}"))));
    all.push(("percent", each(|b| format!("%{b:02x}"))));
    all.push(("percent", each(|b| if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })));
    all.push(("escapes", each(|b| format!("\\u{b:04x}"))));
    let escaped = |text: &str| serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
    all.push(("JSON", escaped(part).into_bytes()));
    all.push(("JSON in JSON", escaped(&escaped(part)).into_bytes()));
    all
}

/// What base64 of any text around `bytes` holds of them, at each of the three alignments.
fn aligned<'a>(engine: &'a GeneralPurpose, bytes: &'a [u8]) -> impl Iterator<Item = String> + 'a {
    (0..3_usize).filter_map(move |before| {
        let text = engine.encode([&vec![0; before], bytes].concat());
        let text = text.trim_end_matches('=');
        let first = [0, 2, 3][before];
        // The last character stands for bits of what follows, unless the bytes end with it.
        let end = if (before + bytes.len()).is_multiple_of(3) { text.len() } else { text.len() - 1 };
        text.get(first..end).filter(|text| text.len() >= 6).map(str::to_owned)
    })
}

/// What stands in `bytes` once base64, hex, percent-encoding and escapes are undone; nothing that was seen before.
fn undone(bytes: &[u8], done: &mut BTreeSet<u64>) -> Vec<Vec<u8>> {
    const SHORTEST: usize = 12;
    let mut all = Vec::new();
    let mut keep = |inner: Vec<u8>| {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        inner.hash(&mut hasher);
        if !inner.is_empty() && done.insert(hasher.finish()) {
            all.push(inner);
        }
    };
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(b);
    for run in bytes.split(|b| !is_letter(b)).flat_map(|run| [Some(run), run.iter().position(|b| *b == b'=').map(|at| &run[at + 1..])]).flatten() {
        if run.len() < SHORTEST {
            continue;
        }
        if let Ok(plain) = STANDARD.decode(run).or_else(|_| URL_SAFE.decode(run)) {
            if plain.starts_with(&[0x1f, 0x8b]) {
                let mut expanded = Vec::new();
                let _ = flate2::read::GzDecoder::new(plain.as_slice()).take(1 << 20).read_to_end(&mut expanded);
                keep(expanded);
            }
            keep(plain);
        }
        if run.len().is_multiple_of(2) && run.iter().all(u8::is_ascii_hexdigit) {
            let digit = |b: u8| char::from(b).to_digit(16).unwrap_or_default();
            keep(run.chunks(2).map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap()).collect());
        }
    }
    // Of what is undone in place the lines that it changes: the others were searched as they are.
    let changed = |signs: &[u8], undo: fn(&[u8]) -> Vec<u8>| -> Vec<u8> {
        bytes.split_inclusive(|b| *b == b'\n').filter(|line| signs.iter().any(|sign| line.contains(sign))).flat_map(undo).collect()
    };
    keep(changed(b"%+", unpercented));
    keep(changed(b"\\", unescaped));
    all
}

fn unpercented(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten().and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => (plain.push(byte), at += 3).1,
            None => (plain.push(if bytes[at] == b'+' { b' ' } else { bytes[at] }), at += 1).1,
        }
    }
    plain
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            plain.push(bytes[at]);
            at += 1;
            continue;
        }
        let code = bytes.get(at + 2..at + 6).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match (bytes.get(at + 1), code.and_then(char::from_u32)) {
            (Some(b'u'), Some(letter)) => {
                plain.extend_from_slice(letter.to_string().as_bytes());
                at += 6;
            }
            (Some(b'n'), _) => (plain.push(b'\n'), at += 2).1,
            (Some(b't'), _) => (plain.push(b'\t'), at += 2).1,
            (Some(other), _) => (plain.push(*other), at += 2).1,
            (None, _) => at += 1,
        }
    }
    plain
}
