//! Which strings of an entry are secrets. By default Vault has replaced them by its own HMACs already, and those stay; a device with
//! `log_raw`, or a mount with non-HMAC keys, writes them in clear.

use std::sync::LazyLock;

use super::entry::Entry;
use crate::redact::{Places, Redactor};

/// Keys whose values are secrets wherever they stand.
const KEYS: [&str; 35] = [
    "client_token",
    "secret_id",
    "password",
    "passwd",
    "bindpass",
    "private_key",
    "secret_key",
    "security_token",
    "jwt",
    "token",
    "token_reviewer_jwt",
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "credential",
    "credentials",
    "key",
    "keys",
    "keys_base64",
    "unseal_key",
    "recovery_keys",
    "root_token",
    "otp",
    "code",
    "plaintext",
    "pem_bundle",
    "pem_keys",
    "signature",
    "pkcs7",
    "connection_url",
    "authorization",
    "Authorization",
    "x-vault-token",
    "X-Vault-Token",
];

/// The places of secrets, by how much of an entry is one.
pub(super) struct Secrets {
    /// Engines whose parameters are mostly names and settings: `sys`, `auth`, `identity`, `pki`.
    named: Places,
    /// Version 2 of the key-value engine: the data within the data.
    versioned: Places,
    /// Everything else: all parameters and all that is answered.
    all: Places,
}

/// They are the same for every file.
pub(super) static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::new);

impl Secrets {
    fn new() -> Self {
        let named = Places::new().keys(&KEYS).paths(&["request.data.secret", "response.data.secret"]);
        Self {
            versioned: named.clone().paths(&["request.data.data.*", "response.data.data.*"]),
            all: named.clone().paths(&["request.data.*", "response.data.*"]),
            named,
        }
    }
}

impl Secrets {
    /// The record without its secrets.
    pub(super) fn redact(&self, record: &str, entry: Entry<'_>, class: &str, redactor: &Redactor) -> String {
        let places = match class {
            "sys" | "auth" | "identity" | "pki" => &self.named,
            "secret" if entry.within().starts_with("data/") || entry.within().starts_with("metadata/") => &self.versioned,
            _ => &self.all,
        };
        redactor.json(record.as_bytes(), places).into_owned()
    }
}
