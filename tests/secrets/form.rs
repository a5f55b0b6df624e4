//! The forms that secrets have: those that providers document, and those that people choose.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::chance::Chance;

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const HEX: &str = "0123456789abcdef";
const URL64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const B64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SYMBOLS: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789!#$%*+-_~^";
const BECH32: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";

const WORDS: &[&str] = &[
    "marmalade",
    "quokka",
    "trombone",
    "velvet",
    "zeppelin",
    "pumpernickel",
    "gargoyle",
    "tundra",
    "saffron",
    "walrus",
    "kazoo",
    "obelisk",
    "nutmeg",
    "juniper",
    "harpoon",
    "falafel",
    "dirigible",
    "cobalt",
    "bramble",
    "axolotl",
    "yodel",
    "xylophone",
    "wigwam",
    "umbrella",
    "thicket",
    "sorbet",
    "rhubarb",
    "quiver",
    "parsnip",
    "ocelot",
    "narwhal",
    "molasses",
    "lantern",
    "kumquat",
    "jodhpur",
    "isthmus",
    "hummus",
    "gondola",
    "fjord",
    "eggplant",
    "doubloon",
    "cactus",
    "bagpipe",
    "anvil",
    "turnip",
    "skylark",
    "pretzel",
    "magpie",
    "lichen",
    "hickory",
    "gazebo",
    "ferret",
    "ember",
    "dandelion",
    "crumpet",
    "bonfire",
];

/// One secret.
#[derive(Debug, Clone)]
pub struct Secret {
    /// What it is.
    pub form: &'static str,
    /// As it stands in the record.
    pub text: String,
    /// The part of it that nobody could know: what must not be found again. The rest is the form's own (`ghp_`).
    pub core: String,
}

impl Secret {
    fn whole(form: &'static str, text: String) -> Self {
        Self { form, core: text.clone(), text }
    }

    fn prefixed(form: &'static str, prefix: &str, core: String) -> Self {
        Self { form, text: format!("{prefix}{core}"), core }
    }
}

/// A form, and how a secret of it is made.
type Made = (&'static str, fn(&mut Chance) -> Secret);

/// Secrets whose form alone gives them away, wherever they stand: as their providers document them.
const KNOWN: &[Made] = &[
    ("github", |c| Secret::prefixed("GitHub token", "ghp_", c.letters(ALNUM, 36))),
    ("github app", |c| Secret::prefixed("GitHub app token", "ghs_", c.letters(ALNUM, 36))),
    ("github fine", |c| Secret::prefixed("GitHub fine-grained token", "github_pat_", format!("{}_{}", c.letters(ALNUM, 22), c.letters(ALNUM, 59)))),
    ("gitlab", |c| Secret::prefixed("GitLab token", "glpat-", c.letters(ALNUM, 20))),
    ("slack bot", |c| {
        let core = format!("{}-{}-{}", c.letters("123456789", 12), c.letters("123456789", 12), c.letters(ALNUM, 24));
        Secret::prefixed("Slack bot token", "xoxb-", core)
    }),
    ("stripe", |c| Secret::prefixed("Stripe live key", "sk_live_", c.letters(ALNUM, 24))),
    ("google", |c| Secret::prefixed("Google API key", "AIza", c.letters(URL64, 34) + "Q")),
    ("npm", |c| Secret::prefixed("npm token", "npm_", c.letters(LOWER, 36))),
    ("sendgrid", |c| Secret::prefixed("SendGrid key", "SG.", format!("{}.{}", c.letters(ALNUM, 22), c.letters(ALNUM, 43)))),
    ("digitalocean", |c| Secret::prefixed("DigitalOcean token", "dop_v1_", c.letters(HEX, 64))),
    ("shopify", |c| Secret::prefixed("Shopify token", "shpat_", c.letters(HEX, 32))),
    ("huggingface", |c| Secret::prefixed("Hugging Face token", "hf_", c.letters("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 34))),
    ("linear", |c| Secret::prefixed("Linear key", "lin_api_", c.letters(LOWER, 40))),
    ("vault service", |c| Secret::prefixed("Vault service token", "hvs.", c.letters(URL64, 94) + "Zz")),
    ("vault batch", |c| Secret::prefixed("Vault batch token", "hvb.", c.letters(URL64, 150) + "Zz")),
    ("age", |c| Secret::prefixed("age key", "AGE-SECRET-KEY-1", c.letters(BECH32, 58))),
    ("grafana", |c| Secret::prefixed("Grafana token", "glsa_", format!("{}_{}", c.letters(ALNUM, 32), c.letters(HEX, 8)))),
    ("jwt", |c| {
        let claims = format!(r#"{{"sub":"system:serviceaccount:prod:{}","jti":"{}"}}"#, c.letters(LOWER, 12), c.letters(HEX, 32));
        let core = format!("{}.{}", URL_SAFE_NO_PAD.encode(claims), c.letters(URL64, 85) + "A");
        Secret { form: "JWT", text: format!("eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.{core}"), core }
    }),
    ("pem", |c| {
        let body: Vec<u8> = (0..96).map(|_| c.next().to_le_bytes()[0]).collect();
        let core = STANDARD.encode(body);
        let text = format!("-----BEGIN PRIVATE KEY-----\n{}\n{}\n-----END PRIVATE KEY-----", &core[..64], &core[64..]);
        Secret { form: "PEM private key", text, core: core[..64].to_owned() }
    }),
];

/// Secrets that look like nothing in particular: only their place gives them away.
const FREE: &[fn(&mut Chance) -> Secret] = &[
    |c| Secret::whole("password", format!("{}{}", c.letters(ALNUM, 1), c.letters(SYMBOLS, 19))),
    |c| Secret::whole("passphrase", (0..4).map(|_| *c.pick(WORDS)).collect::<Vec<_>>().join(" ")),
    |c| Secret::whole("PIN", c.letters("123456789", 1) + &c.letters("0123456789", 6)),
    |c| {
        let mut word = (*c.pick(WORDS)).to_owned();
        word[..1].make_ascii_uppercase();
        Secret::whole("word and year", format!("{word}{}!", 1000 + c.below(9000)))
    },
    |c| Secret::whole("hex key", c.letters(HEX, 32)),
    |c| Secret::whole("AWS secret key", c.letters(B64, 39) + "Q"),
    |c| Secret::whole("UUID", [8, 4, 4, 4, 12].map(|len| c.letters(HEX, len)).join("-")),
    |c| Secret::whole("capitals", [5, 5, 5, 5].map(|len| c.letters(UPPER, len)).join("-")),
    |c| Secret::whole("nine letters", c.letters(LOWER, 9)),
    |c| Secret::whole("words", (0..3).map(|_| *c.pick(WORDS)).collect::<Vec<_>>().join("-")),
];

/// A secret whose form alone gives it away.
pub fn known(chance: &mut Chance) -> Secret {
    let (_, form) = chance.pick(KNOWN);
    form(chance)
}

/// The same, on one line.
pub fn known_line(chance: &mut Chance) -> Secret {
    loop {
        let secret = known(chance);
        if !secret.text.contains('\n') {
            return secret;
        }
    }
}

/// The free form of this number, in turn.
pub fn free(index: usize, chance: &mut Chance) -> Secret {
    FREE[index % FREE.len()](chance)
}

/// A free form without spaces and without what would need escaping on a command line, in a URL or in a connection string.
pub fn free_word(chance: &mut Chance) -> Secret {
    let forms = [2, 3, 4, 6, 7, 8, 9];
    let secret = FREE[*chance.pick(&forms)](chance);
    Secret { text: secret.text.replace('!', "-"), core: secret.core.replace('!', "-"), ..secret }
}
