//! Hostile texts: fragments in a row, again and again, numbered or alike, within encodings, as a whole or in pieces.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

/// A text of any length: what it repeats, and in what it is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Fragments, and how often each stands in a row.
    unit: Vec<(String, usize)>,
    /// Whether each row of them bears a number, so that none is like the one before.
    numbered: bool,
    /// From the innermost on.
    packing: Vec<Packing>,
    /// How many bytes are packed at once; then the same again. `None` for all.
    piece: Option<usize>,
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
    "x-amz-signature: \"",
    "--password ",
    "-H \"",
    "curl ",
    "mysql -",
    " -p",
    "kind: Secret\ndata:",
    "machine a login b password ",
    "identified by '",
    "http://a:b@",
    "://a:b/",
    "$2a$",
    "otp: 1",
    "hmac:0123456789abcdef0123456789abcdef:text:8",
    "password=hmac:",
    "eyJhIjoi",
    "%2525",
    "\\u005cu",
    "H4sIAAAAAAAA_",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "import { a } from '",
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
        Self { unit: vec![(fragment.to_owned(), 1)], numbered: false, packing: Vec::new(), piece: None }
    }

    /// A text that is new, or differs from another in one thing.
    pub fn random(parent: Option<Self>, fragments: &[String], dice: &mut Dice) -> Self {
        let piece = |dice: &mut Dice| (fragments.get(dice.below(fragments.len())).cloned().unwrap_or_default(), 1 << dice.below(8));
        let Some(mut text) = parent else {
            let unit = (0..=dice.below(FRAGMENTS_MAX)).map(|_| piece(dice)).collect();
            return Self { unit, numbered: dice.below(4) == 0, packing: Vec::new(), piece: None };
        };
        let at = dice.below(text.unit.len());
        match dice.below(8) {
            0 if text.unit.len() < FRAGMENTS_MAX => text.unit.insert(at, piece(dice)),
            1 if text.unit.len() > 1 => drop(text.unit.remove(at)),
            2 if text.packing.len() < PACKINGS_MAX => text.packing.extend(PACKINGS.get(dice.below(PACKINGS.len()))),
            3 if !text.packing.is_empty() => drop(text.packing.pop()),
            4 => text.unit.iter_mut().skip(at).take(1).for_each(|(_, times)| *times = 1 << dice.below(12)),
            5 => text.numbered = !text.numbered,
            6 if !text.packing.is_empty() => text.piece = (dice.below(3) > 0).then(|| 32 << dice.below(14)),
            _ => text.unit.iter_mut().skip(at).take(1).for_each(|one| *one = piece(dice)),
        }
        text
    }

    /// About so many bytes of it.
    pub fn of(&self, length: usize) -> String {
        if let Some(piece) = self.piece {
            let packed = self.packed(piece) + " ";
            return packed.repeat(length.div_ceil(packed.len()));
        }
        let mut bytes = length;
        loop {
            let packed = self.packed(bytes);
            if packed.len() <= length || bytes <= 16 {
                return packed;
            }
            // What encodings add is left out in front; gzip makes less of it.
            bytes = (bytes * length / packed.len()).min(bytes - 1);
        }
    }

    /// So many bytes of it, packed.
    fn packed(&self, bytes: usize) -> String {
        let unit: String = self.unit.iter().map(|(fragment, times)| fragment.repeat(*times)).collect();
        let mut plain = String::with_capacity(bytes + unit.len());
        let mut number = 0_u32;
        while plain.len() < bytes {
            plain.push_str(&unit);
            if self.numbered || unit.is_empty() {
                plain.push_str(&number.to_string());
            }
            number += 1;
        }
        plain.truncate(plain.floor_char_boundary(bytes));
        self.packing.iter().fold(plain, |text, packing| packing.pack(&text))
    }
}

impl Packing {
    fn pack(self, text: &str) -> String {
        let bytes = text.as_bytes();
        match self {
            Self::Base64 => BASE64.encode(bytes),
            Self::Hex => hex::encode(bytes),
            Self::Percent => bytes.iter().map(|byte| format!("%{byte:02X}")).collect(),
            Self::Escapes => text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
            Self::Json => serde_json::json!({ "a": text }).to_string(),
            Self::Gzip => {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packer.write_all(bytes).expect("memory takes it");
                BASE64.encode(packer.finish().expect("memory takes it"))
            }
        }
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (fragment, times) in &self.unit {
            write!(f, "{fragment:?}×{times} ")?;
        }
        if self.numbered {
            write!(f, "and a number ")?;
        }
        match (self.packing.is_empty(), self.piece) {
            (true, _) => Ok(()),
            (false, None) => write!(f, "in {:?}", self.packing),
            (false, Some(bytes)) => write!(f, "in {:?}, {bytes} bytes at once", self.packing),
        }
    }
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
