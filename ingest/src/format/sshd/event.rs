//! What a line tells, and the event of it.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::NAME;
use crate::format::join::join;
use crate::format::part::Parts;
use crate::format::service_name;

/// What a line tells of an account; all of it slices of the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'l> {
    pub(super) activity: Activity,
    pub(super) outcome: Outcome,
    pub(super) action: &'static str,
    pub(super) reason: Option<&'l str>,
    pub(super) user: &'l str,
    /// The account that was taken on, for `sudo`.
    pub(super) target: Option<&'l str>,
    pub(super) address: Option<&'l str>,
    pub(super) port: Option<&'l str>,
    pub(super) method: Option<&'l str>,
    pub(super) key: Option<Key<'l>>,
    /// Words of the program's own, for the record that is kept.
    pub(super) command: Option<&'l str>,
    pub(super) is_ssh: bool,
    /// The account's password is what it is about.
    pub(super) is_password: bool,
}

/// The key that was shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Key<'l> {
    pub(super) algorithm: &'l str,
    pub(super) fingerprint: &'l str,
    pub(super) certificate: Option<Certificate<'l>>,
}

/// A certificate of OpenSSH's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Certificate<'l> {
    pub(super) id: &'l str,
    pub(super) serial: &'l str,
    pub(super) ca_algorithm: &'l str,
    pub(super) ca: &'l str,
}

impl<'l> Told<'l> {
    pub(super) const fn new(activity: Activity, outcome: Outcome, action: &'static str, user: &'l str) -> Self {
        Self {
            activity,
            outcome,
            action,
            reason: None,
            user,
            target: None,
            address: None,
            port: None,
            method: None,
            key: None,
            command: None,
            is_ssh: true,
            is_password: false,
        }
    }

    /// Where its parts stand in the line.
    pub(super) fn parts(&self, parts: &mut Parts<'l>) {
        parts.put(Some(self.user), "user");
        parts.put(self.target, "user");
        parts.put(self.address, "address");
        parts.put(self.port, "port");
        parts.put(self.method, "method");
        parts.put(self.command, "command");
        if let Some(key) = &self.key {
            parts.put(Some(key.algorithm), "algorithm");
            parts.put(Some(key.fingerprint), "fingerprint");
            if let Some(certificate) = &key.certificate {
                parts.put(Some(certificate.id), "certificate_id");
                parts.put(Some(certificate.serial), "serial");
                parts.put(Some(certificate.ca_algorithm), "algorithm");
                parts.put(Some(certificate.ca), "fingerprint");
            }
        }
    }

    pub(super) fn event(&self, host: &str) -> Event {
        let identity = join(&["host:", host, ":user/", self.user]);
        let mut event = Event {
            activity: self.activity,
            outcome: self.outcome,
            action: Some(Text::const_new(self.action)),
            reason: self.reason.map(Text::from),
            identity_kind: self.kind(),
            identity_provider: Text::const_new("host"),
            identity_account: Text::from(host),
            format: Text::const_new(NAME),
            auth_method: self.method.map(Text::from),
            ..Event::default()
        };
        match self.address {
            Some(address) => match crate::format::ip_address(address) {
                Some(ip) => event.source_ip = Some(ip),
                None => event.source_host = Some(Text::from(address)),
            },
            None if !self.is_ssh => event.source_host = Some(Text::from(host)),
            None => {}
        }
        event.destination = Some(match self.target {
            Some(target) => join(&["host:", host, ":user/", target]),
            None => join(&["host:", host]),
        });
        event.destination_kind = Some(Text::const_new(if self.target.is_some() { "account" } else { "host" }));
        if self.is_ssh {
            event.destination_service = Some(Text::const_new("ssh"));
            event.protocol = Some(Text::const_new("ssh"));
        }
        match &self.key {
            Some(Key { certificate: Some(certificate), fingerprint, .. }) => {
                event.credential = Some(join(&[certificate.ca, "/", certificate.serial]));
                event.credential_kind = CredentialKind::SshKey;
                event.credential_parent = Some(Text::from(*fingerprint));
                event.issuer = Some(join(&["ssh-ca:", certificate.ca]));
                event.session = Some(Text::from(certificate.id));
            }
            Some(key) => {
                event.credential = Some(Text::from(key.fingerprint));
                event.credential_kind = CredentialKind::SshKey;
            }
            None if self.is_password || (self.outcome == Outcome::Success && matches!(self.method, Some("password" | "keyboard-interactive/pam"))) => {
                event.credential = Some(join(&[&identity, "/password"]));
                event.credential_kind = CredentialKind::Password;
            }
            None if self.method == Some("publickey") => event.credential_kind = CredentialKind::SshKey,
            None if self.method.is_some_and(|method| method == "password" || method.starts_with("keyboard-interactive")) => {
                event.credential_kind = CredentialKind::Password
            }
            None => {}
        }
        event.identity = identity;
        event
    }

    fn kind(&self) -> IdentityKind {
        let by_certificate = self.key.and_then(|key| key.certificate).is_some_and(|certificate| certificate.id.starts_with("spiffe://"));
        if by_certificate || service_name::is_service(&self.user.to_ascii_lowercase()) {
            IdentityKind::Service
        } else if matches!(self.method, Some("password" | "keyboard-interactive" | "keyboard-interactive/pam")) && self.outcome == Outcome::Success {
            IdentityKind::Human
        } else {
            IdentityKind::Unknown
        }
    }
}
