//! Hostile texts: fragments in a row, again and again, within encodings.

use std::io::Write as _;

use serde::Deserialize;

/// A text of any length: what it repeats, and in what it is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Fragments, and how often each stands in a row.
    unit: Vec<(String, usize)>,
    /// From the innermost on.
    packing: Vec<Packing>,
}

/// How a text is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Base64,
    Hex,
    Percent,
    Escapes,
    Json,
    Gzip,
}

const PACKINGS: [Packing; 6] = [Packing::Base64, Packing::Hex, Packing::Percent, Packing::Escapes, Packing::Json, Packing::Gzip];
const FRAGMENTS_MAX: usize = 5;
const PACKINGS_MAX: usize = 4;

/// Signs, halves of structures, beginnings of secrets: and behind them every word that a rule waits for.
const OWN: &[&str] = &[
    "\"",
    "\\",
    "\\\"",
    "\\\\\"",
    "'",
    "`",
    " ",
    "=",
    ":",
    "=:",
    "://",
    "@",
    "://a:",
    "@x ",
    "?",
    "&",
    "?a=",
    "&b=",
    ";",
    "%",
    "%4",
    "%41",
    "%25",
    "\\u0041",
    "\\u",
    "{",
    "{\"a\":",
    "[",
    "]",
    "}",
    ",",
    "{\"a\":\"",
    "{\\\"a\\\":",
    "<",
    ">",
    "--",
    "-p",
    "--token ",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END ",
    "eyJ",
    "eyJhbGciOiJIUzI1NiJ9.",
    ".",
    "ZXlK",
    "hvs.",
    "s.",
    "AAAAAAAAAAAAAAAAAAAA",
    "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    "H4sIAAAAAAAA",
    "eJ",
    "a",
    "A",
    "0",
    "aB3",
    "é",
    "\u{0}",
    "\n",
    "\t",
    "password",
    "password=",
    "token=",
    "secret:",
    "key",
    "api",
    "curl -u ",
    "curl -H ",
    "cookie: ",
    "Bearer ",
    "Basic ",
    "authorization: ",
    "AKIA",
    "AKIAIOSFODNN7EXAMPLE",
    "0123456789abcdef",
    "-",
    "_",
    "/",
    "+",
    "hmac:",
    "hmac:0123456789abcdef0123456789abcdef",
    "access",
    "x-amz-signature=",
];

#[derive(Deserialize)]
struct Rules {
    rules: Vec<Words>,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    keywords: Vec<String>,
}

/// Every fragment that texts are made of.
pub fn fragments() -> Vec<String> {
    let files = [include_str!("../../data/redact/gitleaks.toml"), include_str!("../../data/redact/forms.toml")];
    let words = files.into_iter().flat_map(|file| toml::from_str::<Rules>(file).expect("the rules' own files").rules).flat_map(|rule| rule.keywords);
    let mut all: Vec<String> = OWN.iter().map(|own| (*own).to_owned()).chain(words).collect();
    all.sort();
    all.dedup();
    all
}

impl Text {
    pub fn of_fragment(fragment: &str) -> Self {
        Self { unit: vec![(fragment.to_owned(), 1)], packing: Vec::new() }
    }

    /// A text that is new, or differs from another in one thing.
    pub fn random(parent: Option<Self>, fragments: &[String], dice: &mut Dice) -> Self {
        let piece = |dice: &mut Dice| (fragments.get(dice.below(fragments.len())).cloned().unwrap_or_default(), 1 << dice.below(8));
        let Some(mut text) = parent else {
            return Self { unit: (0..=dice.below(FRAGMENTS_MAX)).map(|_| piece(dice)).collect(), packing: Vec::new() };
        };
        let at = dice.below(text.unit.len());
        match dice.below(6) {
            0 if text.unit.len() < FRAGMENTS_MAX => text.unit.insert(at, piece(dice)),
            1 if text.unit.len() > 1 => drop(text.unit.remove(at)),
            2 if text.packing.len() < PACKINGS_MAX => text.packing.extend(PACKINGS.get(dice.below(PACKINGS.len()))),
            3 if !text.packing.is_empty() => drop(text.packing.pop()),
            4 => text.unit.iter_mut().skip(at).take(1).for_each(|(_, times)| *times = 1 << dice.below(12)),
            _ => text.unit.iter_mut().skip(at).take(1).for_each(|one| *one = piece(dice)),
        }
        text
    }

    /// About so many bytes of it.
    pub fn of(&self, length: usize) -> String {
        let unit: String = self.unit.iter().map(|(fragment, times)| fragment.repeat(*times)).collect();
        let mut bytes = length;
        loop {
            let plain: String = unit.chars().cycle().take(bytes).collect();
            let packed = self.packing.iter().fold(plain, |text, packing| packing.pack(&text));
            if packed.len() <= length || bytes <= 16 {
                return packed;
            }
            // What encodings add is left out in front; gzip makes less of it.
            bytes = (bytes * length / packed.len()).min(bytes - 1);
        }
    }
}

impl Packing {
    fn pack(self, text: &str) -> String {
        let bytes = text.as_bytes();
        match self {
            Self::Base64 => base64(bytes),
            Self::Hex => hex::encode(bytes),
            Self::Percent => bytes.iter().map(|byte| format!("%{byte:02X}")).collect(),
            Self::Escapes => text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
            Self::Json => serde_json::json!({ "a": text }).to_string(),
            Self::Gzip => {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packer.write_all(bytes).expect("memory takes it");
                base64(&packer.finish().expect("memory takes it"))
            }
        }
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (fragment, times) in &self.unit {
            write!(f, "{fragment:?}×{times} ")?;
        }
        if self.packing.is_empty() { Ok(()) } else { write!(f, "in {:?}", self.packing) }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len() / 3 * 4 + 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = DIGITS.get((word >> (18 - 6 * index) & 63) as usize).copied().unwrap_or(b'A');
            out.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// The same numbers for the same seed (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`; 0 where there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % bound.max(1)
    }
}
