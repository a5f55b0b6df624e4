//! Linux' audit log: logins, passwords and accounts, keys of sshd, and what `sudo` ran. Records of system calls, services and devices say nothing of an identity's credential here.
//!
//! | type | event |
//! |---|---|
//! | USER_AUTH, USER_LOGIN, USER_ERR | authenticate, of the account (`acct`) |
//! | CRYPTO_KEY_USER with `op=negotiate` or a `kind` of `auth-key` | authenticate, with the key's fingerprint |
//! | USER_LOGOUT, USER_END | end |
//! | USER_CHAUTHTOK | rotate, of the account's password |
//! | ADD_USER, USER_MGMT, DEL_USER | configure, configure, revoke |
//! | USER_CMD | use, of the host as the account that is taken on; its command line is not kept |
//!
//! Identities are `host:<node>:user/<account>`, by number `host:<node>:uid/<uid>`; the node is the record's (`name_format`), else the collector's `cluster`. Names that auditd writes in hexadecimal are
//! read. Kinds follow names by convention (`service_name`), and are unknown else: `auid` tells who began a session and not whether a person did.
//!
//! Source: Linux audit, `lib/msg_typetab.h`; Red Hat, "Audit record types"; auditd.conf(5).

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Outcome, Text};

use super::join::join;
use super::part::{Part, Parts};
use super::service_name;
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};

const NAME: &str = "auditd";

/// The format.
pub struct Auditd;

impl Format for Auditd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        let first = sample.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
        let is_record = std::str::from_utf8(first).ok().and_then(Head::of).is_some();
        if is_record { 95 } else { 0 }
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Lines { cluster: context.cluster.clone() })
    }
}

/// `node=web-1 type=USER_LOGIN msg=audit(1795348800.123:45): …`
struct Head<'l> {
    node: Option<&'l str>,
    kind: &'l str,
    stamp: &'l str,
    time: Option<Micros>,
    rest: &'l str,
}

impl<'l> Head<'l> {
    fn of(line: &'l str) -> Option<Self> {
        let (node, rest) = match line.strip_prefix("node=") {
            Some(rest) => rest.split_once(' ').map(|(node, rest)| (Some(node), rest))?,
            None => (None, line),
        };
        let (kind, rest) = rest.strip_prefix("type=")?.split_once(' ')?;
        let (stamp, rest) = rest.strip_prefix("msg=audit(")?.split_once(')')?;
        let (time, _) = stamp.split_once(':')?;
        let (secs, millis) = time.split_once('.').unwrap_or((time, "0"));
        let secs: i64 = secs.parse().ok()?;
        let millis: i64 = millis.get(..3).unwrap_or(millis).parse().ok()?;
        let time = secs
            .checked_mul(Micros::SECOND)
            .and_then(|micros| micros.checked_add(millis * 1_000))
            .map(Micros)
            .filter(|time| *time > Micros::MIN && *time <= Micros::MAX);
        Some(Self { node, kind, stamp, time, rest: rest.strip_prefix(':').unwrap_or(rest).trim_start() })
    }

    /// The value of a key, the first that is there; without quotes, and none for what is not known.
    fn value(&self, key: &str) -> Option<&'l str> {
        let (_, value) = self.field(key)?;
        (!matches!(value, "" | "?" | "(none)" | "(null)")).then_some(value)
    }

    /// A key as it stands and its value, the first that is there.
    fn field(&self, key: &str) -> Option<(&'l str, &'l str)> {
        let mut from = 0;
        loop {
            let at = from + self.rest.get(from..)?.find(key)?;
            from = at + key.len();
            let name = self.rest.get(at..from)?;
            let begins = at == 0 || self.rest.as_bytes().get(at - 1).is_some_and(|before| matches!(before, b' ' | b'\'' | b','));
            let Some(value) = self.rest.get(from..).and_then(|rest| rest.strip_prefix('=')).filter(|_| begins) else { continue };
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next()?,
                None => value.split([' ', '\'', ',']).next()?,
            };
            return Some((name, value));
        }
    }
}

/// A name that auditd wrote in hexadecimal, as it does where it has a space or a quote.
fn name(text: &str, line: &str) -> Text {
    let is_quoted = line.contains(&format!("\"{text}\""));
    let is_encoded = !is_quoted
        && text.len() >= 6
        && text.len().is_multiple_of(2)
        && text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
        && text.bytes().any(|b| b.is_ascii_uppercase());
    if is_encoded && let Some(decoded) = hex::decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
        return Text::from(decoded.trim_end_matches('\0'));
    }
    Text::from(text)
}

/// What a type of record means.
fn meaning(head: &Head<'_>) -> Option<(Activity, &'static str)> {
    Some(match head.kind {
        "USER_AUTH" => (Activity::Authenticate, "user.auth"),
        "USER_LOGIN" => (Activity::Authenticate, "user.login"),
        "USER_ERR" => (Activity::Authenticate, "user.error"),
        "CRYPTO_KEY_USER" if head.value("kind") == Some("auth-key") || head.value("op") == Some("negotiate") => (Activity::Authenticate, "ssh.key"),
        "USER_LOGOUT" => (Activity::End, "user.logout"),
        "USER_END" => (Activity::End, "user.end"),
        "USER_CHAUTHTOK" => (Activity::Rotate, "user.password"),
        "ADD_USER" => (Activity::Configure, "user.add"),
        "USER_MGMT" => (Activity::Configure, "user.change"),
        "DEL_USER" => (Activity::Revoke, "user.delete"),
        "USER_CMD" => (Activity::Use, "user.command"),
        _ => return None,
    })
}

struct Lines {
    cluster: Text,
}

impl Parser for Lines {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let text = super::text(record, "auditd writes such values in hexadecimal")?;
        // With `log_format = ENRICHED` names stand behind a separator.
        let raw = text.trim_end();
        if raw.is_empty() || raw.starts_with("----") {
            return Ok(Disposition::Control);
        }
        let head = Head::of(raw).ok_or_else(|| Reject::malformed("msg", "no audit record: it does not begin with type=… msg=audit(…): …"))?;
        let Some((activity, action)) = meaning(&head) else { return Ok(Disposition::Control) };
        let time = head.time.ok_or_else(|| Reject::no_time("msg", Some(head.stamp)))?;
        let node = head.node.unwrap_or(&self.cluster);
        let Some(mut event) = event(&head, activity, action, node) else { return Ok(Disposition::Control) };
        event.time = time;
        event.raw = Some(raw.to_owned());
        let id = join(&[node, "/", head.stamp, "/", head.kind]);
        out.push(Draft { event: Box::new(event), provider_id: Some(id), part: 0, line });
        Ok(Disposition::Yielded)
    }

    fn parts(&self, line: &str) -> Option<Vec<Part>> {
        let head = Head::of(line)?;
        let mut parts = Parts::of(line);
        parts.put(head.node, "node");
        parts.put(Some(head.kind), "type");
        parts.put(Some(head.stamp), "stamp");
        for key in [
            "op", "acct", "exe", "hostname", "addr", "terminal", "res", "fp", "kind", "auid", "uid", "pid", "ses", "id", "grantors", "rport", "laddr", "lport",
            "cwd", "cmd",
        ] {
            if let Some((name, value)) = head.field(key) {
                parts.put(Some(name), "key");
                parts.put(Some(value), key);
            }
        }
        Some(parts.end())
    }
}

fn event(head: &Head<'_>, activity: Activity, action: &'static str, node: &str) -> Option<Event> {
    // Who ran a command is who began the session.
    let by_session = head.kind == "USER_CMD";
    let account = head.value("acct").map(|account| name(account, head.rest)).filter(|account| account != "(unknown)" && account != "(invalid user)");
    let number = if by_session {
        head.value("auid").filter(|uid| *uid != "4294967295").or_else(|| head.value("uid"))
    } else {
        head.value("id").or_else(|| head.value("auid").filter(|uid| *uid != "4294967295"))
    };
    let (identity, kind) = match (&account, number) {
        (Some(account), _) if !by_session => (
            join(&["host:", node, ":user/", account]),
            if service_name::is_service(&account.to_lowercase()) { IdentityKind::Service } else { IdentityKind::Unknown },
        ),
        (_, Some(uid)) => (join(&["host:", node, ":uid/", uid]), IdentityKind::Unknown),
        _ => return None,
    };
    let mut event = Event {
        activity,
        action: Some(Text::const_new(action)),
        outcome: match head.value("res") {
            Some("success" | "1" | "yes") => Outcome::Success,
            Some("failed" | "0" | "no") => Outcome::Failure,
            _ => Outcome::Unknown,
        },
        identity_kind: kind,
        identity_provider: Text::const_new("host"),
        identity_account: Text::from(node),
        source_ip: head.value("addr").and_then(super::ip_address),
        source_host: head.value("hostname").filter(|name| super::ip_address(name).is_none()).map(Text::from),
        user_agent: head.value("exe").map(Text::from),
        session: head.value("ses").filter(|session| *session != "4294967295").map(|session| join(&[node, "/", session])),
        destination: Some(join(&["host:", node])),
        destination_kind: Some(Text::const_new("host")),
        auth_method: head.value("grantors").or_else(|| head.value("op").filter(|_| activity == Activity::Authenticate)).map(Text::from),
        format: Text::const_new(NAME),
        ..Event::default()
    };
    if event.outcome == Outcome::Failure {
        event.reason = head.value("op").map(Text::from);
    }
    if head.value("exe").is_some_and(|exe| exe.contains("sshd")) {
        event.protocol = Some(Text::const_new("ssh"));
        event.destination_service = Some(Text::const_new("ssh"));
    }
    match head.value("fp") {
        Some(fingerprint) => {
            event.credential = Some(Text::from(fingerprint));
            event.credential_kind = CredentialKind::SshKey;
        }
        None if activity == Activity::Rotate => {
            event.credential = Some(join(&[&identity, "/password"]));
            event.credential_kind = CredentialKind::Password;
            if event.outcome != Outcome::Success {
                event.activity = Activity::Configure;
            }
        }
        None => {}
    }
    event.identity = identity;
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::guarded;
    use crate::redact::{Level, Redactor};

    const LOG: &str = include_str!("../../fixtures/auditd/audit.log");

    fn read(log: &str) -> (Vec<Draft>, Vec<Result<Disposition, Reject>>) {
        let context =
            Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "web-1".into(), depth_max: 32, file_name: "audit.log".to_owned() };
        let mut parser = guarded(&Auditd, &context);
        let mut out = Vec::new();
        let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
        (out, answers)
    }

    #[test]
    fn records_of_accounts_become_events() {
        assert_eq!(Auditd.sniff(LOG.as_bytes()), 95);
        let (drafts, answers) = read(LOG);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        insta::assert_json_snapshot!(drafts.iter().map(crate::format::shown::shown).collect::<Vec<_>>());
    }

    #[test]
    fn command_lines_are_not_kept_and_torn_records_are_refused() {
        let hidden = hex::encode_upper("mysql --password=hunter2");
        for draft in read(LOG).0 {
            let shown = format!("{:?}", draft.event);
            assert!(!shown.contains("hunter2") && !shown.contains(&hidden), "{shown}");
        }
        for line in ["type=USER_LOGIN msg=audit(179", "hello", "type=USER_LOGIN msg=audit(99999999999999999999.1:1): x"] {
            assert!(read(line).1[0].is_err(), "{line}");
        }
    }
}
