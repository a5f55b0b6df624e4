//! step-ca's log (`"logger": {"format": "json"}`): certificates that were signed, renewed, rekeyed and revoked, for X.509, SSH and ACME. What it writes as plain text at its start and end says nothing
//! here.
//!
//! | column | of |
//! |---|---|
//! | identity | whom the certificate is for: `step_ca:<issuer, or the collector's cluster>:subject/<subject>`, at a revocation, which names the serial alone, as an earlier line of the file told; a request that was refused before that is known, `…:address/<address>` |
//! | credential | `<serial in hexadecimal>`, issued when the CA said so (it makes `valid-from` a minute earlier), valid until `valid-to`; of SSH the key id and serial; the one-time token is its parent, as a fingerprint |
//! | issuer, auth_method | the CA's name; the provisioner's name |
//! | outcome, reason | HTTP's status; the error |
//!
//! **step-ca writes the whole one-time token (`ott`) and the certificate.** The token is a secret while it is valid: it is replaced by its fingerprint, and is in no column.
//!
//! Source: step-ca 0.30, `api/api.go` (`LogCertificate`, `LogSSHCertificate`), `logging/handler.go`.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::join::join;
use super::kit::{Mark, Records, Row, Scene, Shape, by, fields};
use super::recent::Recent;
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};

fields! {
    TIME = "time|fields.time",
    PATH = "path",
    STATUS = "status",
    ERROR = "error",
    ADDRESS = "remote-address",
    AGENT = "user-agent",
    USER = "user-id",
    REQUEST = "request-id",
    SERIAL = "serial",
    SUBJECT = "subject",
    KEY_ID = "key-id|keyID|key_id",
    PRINCIPALS = "principals",
    ISSUER = "issuer",
    PROVISIONER = "provisioner",
    FROM = "valid-from",
    TO = "valid-to",
    TOKEN = "ott",
}

static SHAPE: Shape = Shape {
    name: NAME,
    envelopes: &[],
    marks: &[(92, &[Mark::Is("name", "ca"), Mark::Has("remote-address"), Mark::Has("path"), Mark::Has("status")])],
    fields: &FIELDS,
    id: Some(REQUEST),
    who: "subject",
    read,
};

const NAME: &str = "step_ca";

/// The format.
pub struct StepCa;

impl Format for StepCa {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        const LINES_MAX: usize = 200;
        let mut lines = sample.split(|byte| *byte == b'\n').take(LINES_MAX);
        let has = |line: &[u8], text: &str| memchr::memmem::find(line, text.as_bytes()).is_some();
        if lines.clone().any(|line| line.starts_with(b"{") && has(line, "\"name\":\"ca\"") && has(line, "\"remote-address\":") && has(line, "\"request-id\":"))
        {
            95
        } else if lines.any(|line| has(line, "Starting Smallstep CA/")) {
            90
        } else {
            0
        }
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Lines { records: Records::new(&SHAPE, context), owners: Recent::default() })
    }
}

/// The parser of one file: JSON lines among lines of text.
struct Lines {
    records: Records,
    /// Who holds a certificate, by its serial: as the event that issued it has it.
    owners: Recent<Owner>,
}

/// The columns that say whose a certificate is, and whose CA's.
struct Owner {
    identity: Text,
    identity_kind: IdentityKind,
    identity_provider: Text,
    identity_account: Text,
    issuer: Option<Text>,
    destination: Option<Text>,
}

impl Lines {
    /// Remembers whom `event` issued a certificate to, or says whose certificate it revoked.
    fn owned(&mut self, event: &mut Event) {
        let Some(serial) = &event.credential else { return };
        if event.activity == Activity::Revoke {
            let Some(owner) = self.owners.get(serial) else { return };
            event.identity.clone_from(&owner.identity);
            event.identity_kind = owner.identity_kind;
            event.identity_provider.clone_from(&owner.identity_provider);
            event.identity_account.clone_from(&owner.identity_account);
            event.issuer.clone_from(&owner.issuer);
            event.destination.clone_from(&owner.destination);
        } else if matches!(event.activity, Activity::Issue | Activity::Renew | Activity::Rotate) {
            let owner = Owner {
                identity: event.identity.clone(),
                identity_kind: event.identity_kind,
                identity_provider: event.identity_provider.clone(),
                identity_account: event.identity_account.clone(),
                issuer: event.issuer.clone(),
                destination: event.destination.clone(),
            };
            self.owners.put(serial, owner);
        }
    }
}

impl Parser for Lines {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let record = record.trim_ascii();
        if record.starts_with(b"{") {
            let before = out.len();
            let read = self.records.record(record, line, out);
            out.iter_mut().skip(before).for_each(|draft| self.owned(&mut draft.event));
            return read;
        }
        // `2026/11/22 03:18:12 Serving HTTPS on …`, `badger 2026/11/22 03:18:12 INFO: …`, and what is drawn or continued.
        let text = record.strip_prefix(b"badger ").unwrap_or(record);
        let dated = text.get(..5).is_some_and(|year| year.ends_with(b"/") && year.iter().take(4).all(u8::is_ascii_digit));
        if dated || record.is_empty() {
            return Ok(Disposition::Control);
        }
        Err(Reject::malformed("", "neither a JSON object nor a dated line of step-ca's log"))
    }

    fn shed(&mut self) {
        self.records.shed();
    }
}

/// What was asked for, by the end of its path.
fn act(path: &str) -> Option<(&'static str, Activity, bool)> {
    let path = path.split('?').next().unwrap_or(path).trim_end_matches('/');
    let path = path.strip_prefix("/1.0").unwrap_or(path);
    Some(match path {
        "/sign" | "/sign-ssh" => ("x509.sign", Activity::Issue, false),
        "/renew" | "/re-sign" => ("x509.renew", Activity::Renew, false),
        "/rekey" => ("x509.rekey", Activity::Rotate, false),
        "/revoke" => ("x509.revoke", Activity::Revoke, false),
        "/ssh/sign" => ("ssh.sign", Activity::Issue, true),
        "/ssh/renew" => ("ssh.renew", Activity::Renew, true),
        "/ssh/rekey" => ("ssh.rekey", Activity::Rotate, true),
        "/ssh/revoke" => ("ssh.revoke", Activity::Revoke, true),
        acme if acme.starts_with("/acme/") && acme.contains("/finalize") || acme.contains("/order/") && acme.ends_with("/finalize") => {
            ("acme.finalize", Activity::Issue, false)
        }
        acme if acme.starts_with("/acme/") && acme.ends_with("/revoke-cert") => ("acme.revoke", Activity::Revoke, false),
        scep if scep.starts_with("/scep/") => ("scep.sign", Activity::Issue, false),
        admin if admin.starts_with("/admin/") => ("admin", Activity::Configure, false),
        _ => return None,
    })
}

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let Some((action, activity, is_ssh)) = row.str(PATH).and_then(act) else { return Ok(()) };
    let mut event = scene.event(row.moment(TIME)?, activity, action);
    let status = row.integer(STATUS).unwrap_or(0);
    event.outcome = match status {
        200..=399 => Outcome::Success,
        403 => Outcome::Denied,
        400.. => Outcome::Failure,
        _ => Outcome::Unknown,
    };
    if event.outcome != Outcome::Success {
        event.reason = row.owned(ERROR).or_else(|| row.owned(STATUS));
        // What was not done changes no credential.
        event.activity = if activity == Activity::Configure { Activity::Configure } else { Activity::Authenticate };
    }
    let ca = row.owned(ISSUER).unwrap_or_else(|| scene.cluster.clone());
    subject(row, &ca, &mut event);
    event.source_ip = row.address(ADDRESS);
    event.user_agent = row.owned(AGENT);
    event.issuer = row.owned(ISSUER).map(|name| join(&["step_ca:", &name]));
    // `admin (kid)`: the key's id is no part of the name.
    event.auth_method = row.str(PROVISIONER).map(|name| Text::from(name.split(" (").next().unwrap_or(name)));
    event.destination = Some(join(&["step_ca:", &ca]));
    event.destination_kind = Some(Text::const_new("ca"));
    event.destination_service = Some(Text::const_new("step_ca"));
    event.credential_kind = if is_ssh { CredentialKind::SshKey } else { CredentialKind::X509 };
    event.credential = row.text(SERIAL).map(|serial| if is_ssh { join(&["ssh-cert:", &ca, "/", &serial]) } else { hexadecimal(&serial) });
    let is_issued = matches!(event.activity, Activity::Issue | Activity::Renew | Activity::Rotate);
    event.credential_issued_at = if is_issued { Some(event.time) } else { row.time(FROM) };
    event.credential_expires_at = row.time(TO);
    event.credential_parent = row.str(TOKEN).map(|token| scene.fingerprint(token));
    scene.push(event);
    Ok(())
}

fn subject(row: &Row<'_>, ca: &str, event: &mut Event) {
    let principal = row.items(PRINCIPALS).find_map(|principal| principal.as_text());
    let name = row.str(SUBJECT).or_else(|| row.str(KEY_ID)).or(principal);
    match (name, row.str(USER), row.address(ADDRESS)) {
        (Some(name), ..) if name.starts_with("spiffe://") => {
            event.identity = Text::from(name);
            event.identity_kind = IdentityKind::Workload;
            event.identity_provider = Text::const_new("spiffe");
            event.identity_account = name.split('/').nth(2).map(Text::from).unwrap_or_default();
        }
        (Some(name), ..) if name.contains('@') => by(event, "step_ca", ca, "subject", name, IdentityKind::Human),
        (Some(name), ..) => by(event, "step_ca", ca, "subject", name, IdentityKind::Service),
        (None, Some(user), _) => by(event, "step_ca", ca, "user", user, IdentityKind::Unknown),
        (None, None, Some(address)) => by(event, "step_ca", ca, "address", &address, IdentityKind::Unknown),
        // Refused as a record that names nobody.
        (None, None, None) => {}
    }
}

/// A decimal serial as OpenSSL and Zeek write it: whole bytes in hexadecimal, of which the first may begin with a zero.
/// Serials have up to 160 bits.
fn hexadecimal(decimal: &str) -> Text {
    if decimal.is_empty() || decimal.len() > 60 || !decimal.bytes().all(|b| b.is_ascii_digit()) {
        return Text::from(decimal);
    }
    let mut bytes = vec![0];
    for digit in decimal.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 10;
            *byte = u8::try_from(carry & 0xff).unwrap_or(0);
            carry >>= 8;
        }
        if carry > 0 {
            // The first byte was full.
            bytes.insert(0, u8::try_from(carry).unwrap_or(0));
        }
    }
    Text::from(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{guarded, shown::shown};
    use crate::redact::{Level, Redactor};

    const LOG: &str = include_str!("../../fixtures/step_ca/step.log");

    fn read(log: &str, level: Level) -> (Vec<Draft>, Vec<Result<Disposition, Reject>>) {
        let context = Context { redactor: Redactor::new(&[7; 32]), level, cluster: "ca-0".into(), depth_max: 32, file_name: "step.log".to_owned() };
        let mut parser = guarded(&StepCa, &context);
        let mut out = Vec::new();
        let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
        (out, answers)
    }

    #[test]
    fn requests_become_events() {
        assert_eq!(StepCa.sniff(LOG.as_bytes()), 95);
        let (drafts, answers) = read(LOG, Level::Safe);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        insta::assert_json_snapshot!(drafts.iter().map(shown).collect::<Vec<_>>());
        assert!(read("what is this", Level::Safe).1[0].is_err() && read("{\"name\":\"ca\"}", Level::Safe).1[0].is_err());
    }

    #[test]
    fn the_one_time_token_is_kept_at_no_level() {
        assert!(LOG.contains("eyJhbGciOiJFUzI1NiJ9"));
        for level in [Level::Safe, Level::Open, Level::Hash] {
            let (drafts, _) = read(LOG, level);
            assert!(drafts.iter().any(|draft| draft.event.credential_parent.as_deref().is_some_and(|parent| parent.starts_with("hmac:"))));
            for draft in drafts {
                assert!(!format!("{:?}", draft.event).contains("eyJhbGciOiJFUzI1NiJ9"));
            }
        }
    }

    /// As step-ca 0.30.2 wrote them, shortened.
    #[test]
    fn a_revocation_is_of_whom_the_certificate_was_issued_to() {
        let log = r#"{"issuer":"Tests CA","name":"ca","path":"/1.0/sign","remote-address":"127.0.0.1","request-id":"1","serial":"255","status":201,"subject":"meter.plant.test","time":"2026-03-01T10:00:00Z","valid-from":"2026-03-01T09:59:00Z","valid-to":"2026-03-02T10:00:00Z"}
{"mTLS":false,"name":"ca","path":"/1.0/revoke","remote-address":"127.0.0.1","request-id":"2","serial":"255","status":200,"time":"2026-03-01T11:00:00Z"}
{"error":"cahandler.Renew: authority.authorizeRenew: certificate has been revoked","name":"ca","path":"/1.0/renew","remote-address":"127.0.0.1","request-id":"3","status":401,"time":"2026-03-01T11:00:01Z"}"#;
        let (drafts, _) = read(log, Level::Safe);
        let [issued, revoked, refused] = drafts.iter().map(|draft| &*draft.event).collect::<Vec<_>>()[..] else { panic!("{}", drafts.len()) };
        assert_eq!((issued.credential_issued_at, issued.credential.as_deref()), (Some(issued.time), Some("ff")));
        assert_eq!((revoked.activity, &revoked.identity, &revoked.issuer), (Activity::Revoke, &issued.identity, &issued.issuer));
        assert_eq!(refused.reason.as_deref(), Some("cahandler.Renew: authority.authorizeRenew: certificate has been revoked"), "no word of it is a secret");
    }

    #[test]
    fn serials_become_hexadecimal() {
        assert_eq!(hexadecimal("133843522617393789054420171350658221025"), "64b153268f0ecef24d3b14d647ff83e1");
        assert_eq!(["255", "0", "4095", "x"].map(hexadecimal), ["ff", "00", "0fff", "x"].map(Text::from));
    }
}
