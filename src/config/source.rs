//! A source that `keytrail run` and `keytrail collect` watch: files, or a server that is asked for its audit events.

use std::path::PathBuf;

use anyhow::Context as _;
use keytrail_live::opcua;
use serde::{Deserialize, Serialize};

use super::env;
use crate::exit::Usage;

/// One watched source of `keytrail run`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// The collector's name.
    pub name: String,
    /// The format, or `auto`.
    pub format: String,
    /// The cluster, broker or sensor, where records do not say it; empty means the name.
    pub cluster: String,
    /// `safe`, `open` or `hash` for this source; empty means `ingest.raw`.
    pub raw: String,
    /// Files, folders, globs.
    pub paths: Vec<String>,
    /// Time between two looks.
    pub poll_interval_ms: u64,
    /// A file that has not changed for so long is finished: a last line without an end is a record then, and a request whose response
    /// has not come is an event of unknown outcome.
    pub finished_after_ms: u64,
    /// Instead of `paths`, a server that is asked: `opc.tcp://HOST:PORT/PATH`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The user that logs in there; empty for nobody, or for the certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// A file with its password.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password_file: String,
    /// An environment variable with its password.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password_env: String,
    /// The password itself: everybody who can read this file has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// A certificate that logs in instead of a user (`.der` or `.pem`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificate: String,
    /// Its private key (PEM).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub private_key: String,
    /// A folder of server certificates that are trusted; empty trusts the one that is met first, and no other after it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trust: String,
    /// Speaks to a server without security, or with a policy that OPC UA has withdrawn.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            name: String::new(),
            format: "auto".to_owned(),
            cluster: String::new(),
            raw: String::new(),
            paths: Vec::new(),
            poll_interval_ms: 5_000,
            finished_after_ms: 120_000,
            url: String::new(),
            user: String::new(),
            password_file: String::new(),
            password_env: String::new(),
            password: String::new(),
            certificate: String::new(),
            private_key: String::new(),
            trust: String::new(),
            insecure: false,
        }
    }
}

impl Source {
    /// Whether it is a server, and not files.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !self.url.is_empty()
    }

    /// What is wrong with it, before anything is opened.
    pub(super) fn problem(&self) -> Option<String> {
        if !self.is_live() {
            let given = [
                ("user", !self.user.is_empty()),
                ("password_file", !self.password_file.is_empty()),
                ("password_env", !self.password_env.is_empty()),
                ("password", !self.password.is_empty()),
                ("certificate", !self.certificate.is_empty()),
                ("private_key", !self.private_key.is_empty()),
                ("trust", !self.trust.is_empty()),
                ("insecure", self.insecure),
            ];
            return given.iter().find(|(_, given)| *given).map(|(name, _)| format!("{name} belongs to a source with a url, and this one has none"));
        }
        let passwords = [&self.password_file, &self.password_env, &self.password].iter().filter(|given| !given.is_empty()).count();
        if !self.paths.is_empty() {
            return Some("it has both url and paths: a source is one or the other".to_owned());
        }
        if let Err(error) = opcua::Address::parse(&self.url) {
            return Some(format!("url = {error}"));
        }
        if self.format != "auto" && self.format != "opcua_audit" {
            return Some(format!("format = {:?}: an OPC UA server is read as opcua_audit", self.format));
        }
        match (self.user.is_empty(), passwords, self.certificate.is_empty(), self.private_key.is_empty()) {
            (true, 0, true, true) | (false, 1, true, true) | (true, 0, false, false) => None,
            (false, 0, ..) => Some("user needs a password: password_file = \"PATH\" or password_env = \"NAME\"".to_owned()),
            (false, 1, ..) => Some("it logs in with a user or with a certificate, not with both".to_owned()),
            (false, ..) => Some("of password_file, password_env and password one is enough".to_owned()),
            (true, 1.., ..) => Some("a password needs a user".to_owned()),
            (true, 0, ..) => Some("certificate and private_key belong together".to_owned()),
        }
    }

    /// The server, and how it is spoken to; `keys` is where certificates are kept.
    ///
    /// # Errors
    /// [`Usage`] when the password cannot be read.
    pub fn opcua(&self, keys: PathBuf) -> anyhow::Result<opcua::Options> {
        let address = opcua::Address::parse(&self.url).map_err(|error| Usage(error.to_string()))?;
        let user = if !self.user.is_empty() {
            opcua::User::Password { name: self.user.clone(), password: self.secret()?.into() }
        } else if self.certificate.is_empty() {
            opcua::User::Anonymous
        } else {
            opcua::User::Certificate { certificate: self.certificate.clone().into(), key: self.private_key.clone().into() }
        };
        let trust = (!self.trust.is_empty()).then(|| self.trust.clone().into());
        Ok(opcua::Options { user, trust, insecure: self.insecure, ..opcua::Options::new(address, keys) })
    }

    fn secret(&self) -> anyhow::Result<String> {
        if !self.password_file.is_empty() {
            let text = std::fs::read_to_string(&self.password_file)
                .map_err(|error| Usage(format!("source {:?}: password_file = {:?}: {error}", self.name, self.password_file)))?;
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        if !self.password_env.is_empty() {
            return env(&self.password_env)
                .ok_or_else(|| Usage(format!("source {:?}: password_env = {:?}: the variable is not set, or empty", self.name, self.password_env)))
                .context("reading the password");
        }
        tracing::warn!(
            source = self.name,
            "its password stands in the configuration for everybody who can read that: password_file or password_env keeps it apart"
        );
        Ok(self.password.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn refused(text: &str) -> String {
        Config::parse(&format!("[[source]]\nname = \"line-7\"\n{text}")).unwrap().validated().unwrap_err().to_string()
    }

    #[test]
    fn a_server_needs_an_address_and_one_way_to_log_in() {
        for (text, word) in [
            ("url = \"https://plc\"", "opc.tcp://HOST:PORT/PATH"),
            ("url = \"opc.tcp://plc\"\npaths = [\"x\"]", "one or the other"),
            ("url = \"opc.tcp://plc\"\nuser = \"a\"", "password_file"),
            ("url = \"opc.tcp://plc\"\nuser = \"a\"\npassword_env = \"A\"\npassword_file = \"b\"", "one is enough"),
            ("url = \"opc.tcp://plc\"\npassword_env = \"A\"", "needs a user"),
            ("url = \"opc.tcp://plc\"\ncertificate = \"a.der\"", "belong together"),
            ("url = \"opc.tcp://plc\"\nuser = \"a\"\npassword_env = \"A\"\ncertificate = \"a.der\"\nprivate_key = \"a.pem\"", "not with both"),
            ("url = \"opc.tcp://plc\"\nformat = \"zeek\"", "opcua_audit"),
            ("paths = [\"x\"]\ntrust = \"y\"", "trust belongs to a source with a url"),
        ] {
            let message = refused(text);
            assert!(message.contains("line-7") && message.contains(word), "{text}: {message}");
        }
        for text in ["url = \"opc.tcp://plc\"", "url = \"opc.tcp://plc:4840/a\"\nuser = \"a\"\npassword_env = \"A\"", "paths = [\"x\"]"] {
            Config::parse(&format!("[[source]]\n{text}")).unwrap().validated().unwrap();
        }
    }
}
