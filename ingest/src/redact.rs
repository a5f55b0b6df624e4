//! Secrets never pass: they are replaced by `hmac:` and a keyed fingerprint, so that equality survives and the secret does not.
//!
//! A secret is known by its place (a key or path that a format names) or by its shape, wherever it stands. Access key ids
//! (`AKIA…`, `ASIA…`), accessors and certificate serials are identifiers, not secrets, and stay.

use std::borrow::Cow;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use keytrail_schemas::Fingerprint;

mod place;
mod search;
mod shape;

pub use place::Places;

/// Replaces secrets by keyed fingerprints (HMAC-SHA-256, RFC 2104, with a local key; the first 16 bytes are kept).
#[derive(Clone)]
pub struct Redactor {
    keyed: Arc<Hmac<sha2::Sha256>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(key withheld)")
    }
}

impl Redactor {
    /// A redactor with this key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { keyed: Arc::new(Hmac::new_from_slice(key).expect("HMAC takes a key of any length")) }
    }

    /// The fingerprint of a secret.
    #[must_use]
    pub fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        let mut mac = (*self.keyed).clone();
        mac.update(secret);
        let digest = mac.finalize().into_bytes();
        let mut half = [0_u8; 16];
        half.copy_from_slice(&digest[..16]);
        Fingerprint(half)
    }

    /// A JSON record without its secrets: those at `places`, and those known by their shape in any string. Every other byte stays as
    /// it is, and a record without secrets is returned as it came. `record` is valid JSON: parse it first.
    #[must_use]
    pub fn json<'r>(&self, record: &'r [u8], places: &Places) -> Cow<'r, str> {
        // The strict check is several times as fast as the lossy one, and parsed records pass it.
        let text = std::str::from_utf8(record).map_or_else(|_| String::from_utf8_lossy(record), Cow::Borrowed);
        if !places.may_hold_secret(record) {
            return text;
        }
        match place::rewrite(self, &text, places) {
            Some(rewritten) => Cow::Owned(rewritten),
            None => text,
        }
    }

    /// A line of text without the secrets that are known by their shape.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        shape::RECORD.replace(self, text, false).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// As much as can be shown of bytes that could not be understood: text, lossily, with everything that looks like a secret
    /// or stands behind a word for one replaced, and cut to `bytes_max`.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8], bytes_max: usize) -> String {
        /// A secret that the cut would split is still seen whole, if it is not longer than this.
        const BEYOND: usize = 8 << 10;
        let shown = bytes.get(..bytes_max.saturating_add(BEYOND)).unwrap_or(bytes);
        let text = String::from_utf8_lossy(shown);
        let mut text = shape::DEAD_LETTER.replace(self, &text, shown.len() < bytes.len()).unwrap_or_else(|| text.into_owned());
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    }
}

/// Whether a value stands in place of a secret already, or says that its source withheld it.
fn is_withheld(value: &str) -> bool {
    let hex = |prefix: &str| value.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    value.is_empty()
        || hex("hmac:")
        || hex("hmac-sha256:")
        || value.bytes().all(|b| b == b'*')
        || matches!(
            value,
            "HIDDEN_DUE_TO_SECURITY_REASONS" | "Value hidden due to security reasons." | "<sensitiveDataRemoved>" | "[REDACTED]" | "REDACTED" | "<redacted>"
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JWT: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";

    fn redactor() -> Redactor {
        Redactor::new(&[7; 32])
    }

    fn places() -> Places {
        Places::new().key("client_secret").path("responseObject.data.*").path("status.token")
    }

    #[test]
    fn a_record_without_secrets_is_returned_as_it_came() {
        let record = r#"{ "accessKeyId" : "AKIAIOSFODNN7EXAMPLE", "n": 1.50, "n": 2, "userAgent":"aws-sdk s.e", "data": {"token": "x"} }"#;
        assert!(matches!(redactor().json(record.as_bytes(), &places()), Cow::Borrowed(text) if text == record));
    }

    #[test]
    fn secrets_at_their_places_are_replaced_and_nothing_else() {
        let redactor = redactor();
        let record = r#"{"x": {"client_secret" : "q\u0041", "status": {"token":"kept, another path"}}, "responseObject":{"data":{"a":"one","b":{"c":["two",3,null,true]}}, "z": 1.0},"status":{"token":""}}"#;
        let fp = |s: &str| redactor.fingerprint(s.as_bytes()).to_string();
        let expected = format!(
            r#"{{"x": {{"client_secret" : "{}", "status": {{"token":"kept, another path"}}}}, "responseObject":{{"data":{{"a":"{}","b":{{"c":["{}","{}",null,true]}}}}, "z": 1.0}},"status":{{"token":""}}}}"#,
            fp("qA"),
            fp("one"),
            fp("two"),
            fp("3")
        );
        let redacted = redactor.json(record.as_bytes(), &places());
        assert_eq!(redacted, expected);
        assert_eq!(redactor.json(redacted.as_bytes(), &places()), expected);
    }

    fn secrets() -> Vec<(String, String)> {
        let long = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0";
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{long}\n{long}\n-----END RSA PRIVATE KEY-----");
        [
            JWT.to_owned(),
            format!("hvs.{long}"),
            format!("hvb.{long}"),
            "s.iyNUhq8Ov4hIAx6snw5mB2nL".to_owned(),
            format!("ghp_{}", &long[..36]),
            format!("github_pat_{long}"),
            format!("xoxb-123456789012-{long}"),
            "ZXlKaGJHY2lPaUpTVXpJMU5pSXNJbXRwWkNJNklpSjkuZXlKcGMzTWlPaUpyZFdK".to_owned(),
            pem,
        ]
        .into_iter()
        .map(|secret| (secret.clone(), secret))
        .chain(
            [
                "Bearer ",
                "Authorization: Bearer ",
                "authorization: Basic ",
                "sessionToken=",
                "{\"secretAccessKey\": \"",
                "https://x/?X-Amz-Security-Token=",
                "<SessionToken>",
            ]
            .map(|before| (format!("{before}{long}"), long.to_owned())),
        )
        .collect()
    }

    #[test]
    fn secrets_are_known_by_their_shape_in_any_string() {
        let redactor = redactor();
        for (text, secret) in secrets() {
            let fingerprint = redactor.fingerprint(secret.as_bytes()).to_string();
            for (before, after) in [("", ""), ("login with ", " failed"), ("\"", "\"")] {
                let text = format!("{before}{text}{after}");
                let redacted = redactor.text(&text).into_owned();
                assert!(redacted.contains(&fingerprint) && !redacted.contains(&secret[..20.min(secret.len())]), "{text} -> {redacted}");
                assert_eq!(redactor.text(&redacted), redacted);

                let record = serde_json::json!({"a": [{"b": text, "c": 1}]}).to_string();
                let redacted = redactor.json(record.as_bytes(), &Places::new()).into_owned();
                assert!(redacted.contains(&fingerprint) && !redacted.contains(&secret[..20.min(secret.len())]), "{record} -> {redacted}");
                assert!(serde_json::from_str::<serde_json::Value>(&redacted).is_ok());
                assert_eq!(redactor.json(redacted.as_bytes(), &Places::new()), redacted);

                let bytes = redactor.bytes(format!("{record}\u{0}").as_bytes(), 4096);
                assert!(!bytes.contains(&secret[..20.min(secret.len())]), "{bytes}");
            }
        }
    }

    #[test]
    fn an_escaped_secret_is_seen() {
        let record = format!(r#"{{"t":"\u0065\u0079\u004a{}"}}"#, &JWT[3..]);
        let expected = format!(r#"{{"t":"{}"}}"#, redactor().fingerprint(JWT.as_bytes()));
        assert_eq!(redactor().json(record.as_bytes(), &Places::new()), expected);
    }

    #[test]
    fn words_that_only_resemble_secrets_stay() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "ASIAIOSFODNN7EXAMPLE",
            "Bearer authentication failed",
            "s.amazonaws.com",
            "hvs.short",
            "eyJ is how a JWT begins",
            "eyJuZXh0IjoidG9rZW4iLCJhIjoxfQ==",
            "xoxo-kisses",
            "sessionToken is missing",
            "sessionToken=***",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "arn:aws:secretsmanager:us-east-1:1:secret:github_pat_rotation",
        ] {
            assert_eq!(redactor().text(text), text);
        }
    }

    #[test]
    fn dead_letters_are_cut_and_lossy() {
        let redactor = redactor();
        assert_eq!(redactor.bytes(b"ab\xffcd", 100), "ab\u{fffd}cd");
        assert_eq!(redactor.bytes("aé".as_bytes(), 2), "a");
        let cut = format!("{}{}{}", "x".repeat(90), JWT, "y".repeat(20_000));
        assert!(!redactor.bytes(cut.as_bytes(), 100).contains("eyJ"));
        let password = redactor.bytes(br#"{"password": "hunter2", "client_token":"abc", broken"#, 1000);
        assert!(!password.contains("hunter2") && !password.contains("abc"), "{password}");
        let endless = format!("{} eyJ{}", "x".repeat(90), "A".repeat(200_000));
        assert!(!redactor.bytes(endless.as_bytes(), 200).contains("eyJ"), "a token that outruns what is looked at");
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        let redactor = redactor();
        for unit in [
            "eyJ",
            "eyJ.",
            "hvs.",
            "sessionToken",
            "sessionToken=\\\\\\",
            "-----BEGIN ",
            "Bearer ",
            "\"s.",
            "ZXlK",
            "ghp_",
            "xoxb-",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            let text = unit.repeat((1 << 20) / unit.len());
            let _ = redactor.text(&text);
            let _ = redactor.bytes(text.as_bytes(), 1 << 20);
        }
    }

    proptest! {
        #[test]
        fn redacting_again_changes_nothing(parts in prop::collection::vec(prop_oneof![
            ".{0,12}", "[A-Za-z0-9._-]{0,40}",
            prop::sample::select(secrets()).prop_map(|(text, _)| text),
            prop::sample::select(vec!["eyJ", "hvs.", "s.", "ghp_", "xoxb-", "Bearer ", "sessionToken", "=", "\"", ":", "-----BEGIN PRIVATE KEY-----"]).prop_map(str::to_owned),
        ], 0..8)) {
            let redactor = redactor();
            let text = parts.concat();
            let once = redactor.text(&text).into_owned();
            prop_assert_eq!(redactor.text(&once), once.as_str());
            let bytes = redactor.bytes(text.as_bytes(), 200);
            prop_assert_eq!(redactor.bytes(bytes.as_bytes(), 200), bytes.as_str());
            let record = serde_json::json!({"client_secret": text, "b": {text.as_str(): [text]}}).to_string();
            let once = redactor.json(record.as_bytes(), &places()).into_owned();
            prop_assert!(serde_json::from_str::<serde_json::Value>(&once).is_ok());
            prop_assert_eq!(redactor.json(once.as_bytes(), &places()), once.as_str());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), json in r#"[\[\]{}",:\\a-z0-9. -]{0,200}"#) {
            let redactor = redactor();
            let _ = redactor.bytes(&bytes, 64);
            let _ = redactor.json(&bytes, &Places::new().path("a.*").key("b"));
            let _ = redactor.json(format!("{json}client_secret").as_bytes(), &places());
        }
    }
}
