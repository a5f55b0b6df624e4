//! What surrounds a row while it is read: the sensor, what earlier rows of the same file told, and where drafts go.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Outcome, Text};

use super::answer::{Key, Waiting};
use super::row::{ORIG_H, RESP_H, RESP_P, Row, SENSOR, UID};
use super::x509::Issuers;
use crate::format::recent::Recent;
use crate::format::{Draft, Reject};

pub(super) use crate::format::join::join;

/// What earlier rows told, by connection or certificate.
#[derive(Default)]
pub(super) struct Memory {
    /// MQTT client ids by `uid`.
    pub(super) mqtt_clients: Recent<Text>,
    /// LDAP bind names by `uid`.
    pub(super) ldap_binds: Recent<Text>,
    /// Users of line-oriented sessions (`MySQL`) by `uid`.
    pub(super) users: Recent<Text>,
    /// Certificates by fingerprint and by file id.
    pub(super) certificates: Recent<Certificate>,
    /// Requests whose answer is a row of its own.
    pub(super) waiting: Waiting,
    pub(super) issuers: Issuers,
    /// Modbus requests of the last moment.
    pub(super) modbus: super::modbus::Moment,
}

/// What is known of a certificate.
#[derive(Clone)]
pub(super) struct Certificate {
    /// `x509:<issuer-dn-hash>/<subject>`.
    pub(super) identity: Text,
    /// The issuer's hash, as it stands in the identity.
    pub(super) account: Text,
    /// The issuer's distinguished name.
    pub(super) issuer: Text,
    /// Its canonical id: fingerprint, else `<issuer-dn-hash>/<serial>`.
    pub(super) credential: Option<Text>,
    /// `not_valid_before`.
    pub(super) issued_at: Option<Micros>,
    /// `not_valid_after`.
    pub(super) expires_at: Option<Micros>,
}

/// The surroundings of one row.
pub(super) struct Scene<'s> {
    /// The collector's name for the sensor or cluster; a row's own sensor name goes before it.
    pub(super) cluster: &'s str,
    /// The record's line.
    pub(super) line: u64,
    /// What earlier rows told.
    pub(super) memory: &'s mut Memory,
    /// Where drafts go.
    pub(super) out: &'s mut Vec<Draft>,
    /// How many drafts were there before this row.
    pub(super) before: usize,
    /// The row as it stands in the file.
    pub(super) raw: &'s str,
    /// It waits for its answer.
    pub(super) held: bool,
}

impl Scene<'_> {
    /// An event of this row by the client's host: what follows may replace the identity by a better one.
    pub(super) fn by_client(&self, row: &Row<'_>, activity: Activity, action: Text) -> Result<Box<Event>, Reject> {
        let mut event = self.by_host(row, ORIG_H, activity, action)?;
        event.source_ip = row.owned(ORIG_H);
        Ok(event)
    }

    /// An event of this row by the server's host.
    pub(super) fn by_server(&self, row: &Row<'_>, activity: Activity, action: Text) -> Result<Box<Event>, Reject> {
        let mut event = self.by_host(row, RESP_H, activity, action)?;
        event.source_ip = row.owned(RESP_H);
        Ok(event)
    }

    pub(super) fn by_host(&self, row: &Row<'_>, slot: usize, activity: Activity, action: Text) -> Result<Box<Event>, Reject> {
        let sensor = row.text(SENSOR);
        let sensor = sensor.as_deref().unwrap_or(self.cluster);
        let mut event =
            Box::new(Event { time: row.ts()?, activity, action: Some(action), session: row.owned(UID), format: Text::const_new("zeek"), ..Event::default() });
        if let Some(host) = row.text(slot) {
            event.identity = join(&["zeek:", sensor, ":host/", &host]);
            event.identity_kind = IdentityKind::Device;
            event.identity_provider = Text::const_new("zeek");
            event.identity_account = Text::from(sensor);
        }
        Ok(event)
    }

    /// Adds an event once its answer, a row of its own under the same key, says what became of it. Who does not name itself is refused at once.
    pub(super) fn ask(&mut self, key: Key, event: Box<Event>) {
        self.ask_of(key, event, None);
    }

    /// The same of an act that has a name of its own.
    pub(super) fn ask_of(&mut self, key: Key, event: Box<Event>, id: Option<Text>) {
        if event.identity.is_empty() {
            self.push(event);
        } else if let Some(early) = self.memory.waiting.put(key, event, id, self.line, self.raw) {
            self.held = true;
            self.out.extend(early);
        }
    }

    /// The answer to the oldest request under a key, which `told` completes; `false` when none waits.
    pub(super) fn answer(&mut self, key: &Key, told: impl FnOnce(&mut Event)) -> bool {
        let Some(mut draft) = self.memory.waiting.take(key) else { return false };
        told(&mut draft.event);
        self.out.push(draft);
        true
    }

    /// Adds an event; one without an identity is refused by the caller, who counts what was added.
    pub(super) fn push(&mut self, event: Box<Event>) {
        self.push_of(event, None);
    }

    /// The same of an act that has a name of its own.
    pub(super) fn push_of(&mut self, event: Box<Event>, id: Option<Text>) {
        let part = u32::try_from(self.out.len() - self.before).unwrap_or(u32::MAX);
        self.out.push(Draft { event, provider_id: id, part, line: self.line });
    }
}

impl Certificate {
    /// Makes `event` one of the certificate's holder.
    pub(super) fn hold(&self, event: &mut Event, kind: IdentityKind) {
        event.identity = self.identity.clone();
        event.identity_kind = kind;
        event.identity_provider = Text::const_new("x509");
        event.identity_account = self.account.clone();
        event.issuer = Some(self.issuer.clone());
        event.credential = self.credential.clone();
        event.credential_kind = CredentialKind::X509;
        event.credential_issued_at = self.issued_at;
        event.credential_expires_at = self.expires_at;
    }
}

/// Makes `event` one of `name` at `provider`'s `account`: `<provider>:<account>:<class>/<name>`.
pub(super) fn name_identity(event: &mut Event, provider: &'static str, account: &str, class: &str, name: &str, kind: IdentityKind) {
    event.identity = join(&[provider, ":", account, ":", class, "/", name]);
    event.identity_kind = kind;
    event.identity_provider = Text::const_new(provider);
    event.identity_account = Text::from(account);
}

/// What kind of actor a Windows or Kerberos account name tells: `HOST$` is a machine, `HTTP/host` a service; any other may be either.
pub(super) fn account_kind(name: &str) -> IdentityKind {
    if name.ends_with('$') {
        IdentityKind::Device
    } else if name.contains('/') {
        IdentityKind::Service
    } else {
        IdentityKind::Unknown
    }
}

/// `<class>:<host>:<port>` of the row's server, with `name` in place of its address where one is known.
pub(super) fn server(row: &Row<'_>, class: &str, name: Option<&str>) -> Option<Text> {
    let address = row.text(RESP_H);
    let host = name.or(address.as_deref())?;
    Some(match row.text(RESP_P) {
        Some(port) => join(&[class, ":", host, ":", &port]),
        None => join(&[class, ":", host]),
    })
}

/// `success` and `failure`; unknown where the row does not say.
pub(super) const fn outcome(success: Option<bool>) -> Outcome {
    match success {
        Some(true) => Outcome::Success,
        Some(false) => Outcome::Failure,
        None => Outcome::Unknown,
    }
}
