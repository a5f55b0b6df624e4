//! Values whose form cannot be a secret, for places where anything may stand.
//!
//! Words are none of them: `root` and `test` are passwords. Numbers of four digits and more, in text, are none: a PIN has four.

use super::kind::is_uuid;

/// Whether a string in a closed place cannot be a secret. `key` is the key that it stands under.
pub(super) fn is_harmless(value: &str, key: &str) -> bool {
    if value.is_empty() {
        return true;
    }
    match value.len() {
        1..=3 if value.bytes().all(|b| b.is_ascii_digit()) => true,
        ..=8 if is_switch(value) => true,
        ..=512 => {
            let bytes = value.as_bytes();
            is_time(bytes)
                || is_address(value)
                || is_arn(value)
                || is_aws_resource(value)
                || (is_uuid(value) && names_an_id(key))
                || (value.len() == 12 && bytes.iter().all(u8::is_ascii_digit) && names_an_account(key))
        }
        _ => false,
    }
}

/// Whether a number in a closed place cannot be a secret: a count, a size, a time. A card's number and longer ones can.
pub(super) fn is_harmless_number(digits: &str) -> bool {
    const EPOCH_MILLIS: std::ops::Range<u64> = 946_684_800_000..7_258_118_400_000;
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or(digits).trim_start_matches('-');
    whole.len() <= 12 || whole.parse().is_ok_and(|n| EPOCH_MILLIS.contains(&n))
}

fn is_switch(value: &str) -> bool {
    ["true", "false", "null", "none", "yes", "no", "on", "off", "enabled", "disabled"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// A date, or a time of RFC 3339, with or without its zone.
pub(super) fn is_time(bytes: &[u8]) -> bool {
    let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let is = |at: usize, accepted: &[u8]| bytes.get(at).is_some_and(|b| accepted.contains(b));
    if !(digits(0..4) && is(4, b"-") && digits(5..7) && is(7, b"-") && digits(8..10)) {
        return false;
    }
    match bytes.len() {
        10 => true,
        ..16 => false,
        len if len <= 40 => {
            let clock = is(10, b"T ") && digits(11..13) && is(13, b":") && digits(14..16);
            clock && bytes.iter().skip(16).all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'Z' | b'+' | b'-'))
        }
        _ => false,
    }
}

/// An IP address, alone, with a port, or with the length of a prefix.
fn is_address(value: &str) -> bool {
    use std::net::{IpAddr, SocketAddr};
    if value.len() > 50 || !value.contains(['.', ':']) {
        return false;
    }
    let (host, prefix) = value.split_once('/').map_or((value, None), |(host, prefix)| (host, Some(prefix)));
    (host.parse::<IpAddr>().is_ok() || (prefix.is_none() && host.parse::<SocketAddr>().is_ok()))
        && prefix.is_none_or(|p| p.parse::<u8>().is_ok_and(|p| p <= 128))
}

/// A name of AWS's; what it names is searched by form like every name.
pub(super) fn is_arn(value: &str) -> bool {
    let mut parts = value.splitn(6, ':');
    let plain = |part: Option<&str>| part.is_some_and(|p| p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    parts.next() == Some("arn")
        && parts.next().is_some_and(|p| p == "aws" || p.starts_with("aws-"))
        && plain(parts.next())
        && plain(parts.next())
        && plain(parts.next())
        && parts.next().is_some_and(|p| !p.is_empty() && !p.contains([' ', '"', '{', '=']))
}

/// `i-0abc…`, `subnet-…`: a word of AWS's, and 8 or 17 hexadecimal digits.
fn is_aws_resource(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "i", "vpc", "subnet", "sg", "sgr", "vol", "ami", "eni", "snap", "rtb", "rtbassoc", "igw", "nat", "acl", "eipalloc", "eipassoc", "vpce", "pcx", "lt",
        "dopt", "tgw", "cgw", "vgw", "fl", "r", "lgw", "eigw", "ari", "aki", "fs", "fsap", "fsmt", "key", "spot", "sir", "sfr", "fleet", "h", "rt", "pl",
        "ipam",
    ];
    value
        .rsplit_once('-')
        .is_some_and(|(word, digits)| WORDS.contains(&word) && matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether a key says that its value is an id, and not a secret's.
fn names_an_id(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    (key.ends_with("id") || key.ends_with("ids")) && !names_secret(&key)
}

fn names_an_account(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.contains("account") || key.contains("owner")
}

/// Whether a key, in lower case, says that its value is secret.
pub(super) fn names_secret(key: &str) -> bool {
    const PARTS: &[&str] = &[
        "passw",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "token",
        "credential",
        "apikey",
        "api_key",
        "api-key",
        "privatekey",
        "private_key",
        "private-key",
        "accesskey",
        "access_key",
        "access-key",
        "authkey",
        "auth_key",
        "authoriz",
        "signature",
        "cookie",
        "connectionstring",
        "connection_string",
        "connectionurl",
        "connection_url",
        "jwt",
        "saml",
        "assertion",
        "bindpass",
        "unseal",
        "recoverykey",
        "seed",
        "mnemonic",
        "keymaterial",
        "plaintext",
        "cvv",
        "totp",
        "sharedkey",
        "preshared",
        "sessionkey",
        "userdata",
        "user_data",
        "user-data",
    ];
    const WHOLE: &[&str] = &["auth", "otp", "pin", "psk", "key", "keys", "salt", "nonce", "dsn", "sas", "code", "pass", "bearer", "pem", "pkcs12", "pfx"];
    PARTS.iter().any(|part| key.contains(part)) || key.split(['_', '-', '.', ' ']).any(|word| WHOLE.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_a_secret_is_harmless() {
        for (value, key) in [
            ("", "value"),
            ("true", "value"),
            ("443", "value"),
            ("2026-11-22T12:00:00.123Z", "value"),
            ("2026-11-22", "value"),
            ("10.0.0.0/8", "value"),
            ("2001:db8::1", "value"),
            ("arn:aws:iam::123456789012:role/ci", "value"),
            ("i-0123456789abcdef0", "value"),
            ("0c1d2e3f-0000-4000-8000-0123456789ab", "requestid"),
            ("123456789012", "recipientaccountid"),
        ] {
            assert!(is_harmless(value, key), "{value}");
        }
        for (value, key) in [
            ("hunter2", "value"),
            ("root", "value"),
            ("1234", "value"),
            ("0c1d2e3f-0000-4000-8000-0123456789ab", "value"),
            ("0c1d2e3f-0000-4000-8000-0123456789ab", "secret_id"),
            ("123456789012", "value"),
            ("2026-11-22T12:00 hunter2", "value"),
            ("arn:aws:iam::123456789012:password=x", "value"),
            ("x-deadbeef", "value"),
        ] {
            assert!(!is_harmless(value, key), "{value}");
        }
        assert!(is_harmless_number("1795348800123") && is_harmless_number("-12.5e3"));
        assert!(!is_harmless_number("4111111111111111"));
    }

    #[test]
    fn keys_say_what_is_secret() {
        for key in ["password", "dbpassword", "client_secret", "x-api-key", "authorization", "pin", "session_token", "userdata"] {
            assert!(names_secret(key), "{key}");
        }
        for key in ["name", "monkey", "keyname", "author", "shipping", "codec", "roleid"] {
            assert!(!names_secret(key), "{key}");
        }
    }
}
