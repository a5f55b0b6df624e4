//! FreeRADIUS' log (`radius.log`, with `auth = yes`): who was let onto the network, by which device, and who was not.
//!
//! | column | of |
//! |---|---|
//! | identity | `radius:<server>:user/<name>`, the server being syslog's host or the collector's `cluster` |
//! | kind | device: a machine (`host/…`, `…$`) or a hardware address as name; service: names by convention; else unknown |
//! | source_host | the caller's number (`cli`), mostly a hardware address |
//! | destination | `radius:<server>:client/<client>`, the device that asked |
//! | outcome, reason | `Login OK`, `Login incorrect` with what stands in brackets behind it, `Invalid user` |
//!
//! With `auth_goodpass` or `auth_badpass` the server writes the password behind the name: it is replaced by its fingerprint, and is in no column.
//!
//! Source: FreeRADIUS 3.2, `src/main/auth.c` (`rad_authlog`), `src/main/log.c`; radiusd.conf.

use chrono::NaiveDateTime;
use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Outcome, Text};

use super::join::join;
use super::part::{Part, Parts};
use super::service_name;
use super::syslog::{Line, Stamp, year::Year};
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};

const NAME: &str = "freeradius";

/// The format.
pub struct FreeRadius;

impl Format for FreeRadius {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        const LINES_MAX: usize = 200;
        let lines = sample.split(|byte| *byte == b'\n').take(LINES_MAX).filter_map(|line| std::str::from_utf8(line).ok());
        lines.filter_map(|line| cut(line.trim_end())).map(|cut| if login(cut.message).is_some() || cut.is_own { 92 } else { 0 }).max().unwrap_or(0)
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Lines { cluster: context.cluster.clone(), year: Year::default() })
    }
}

struct Cut<'l> {
    stamp: Stamp,
    time: &'l str,
    host: Option<&'l str>,
    message: &'l str,
    /// It has the server's own frame, or syslog says that it is the server's.
    is_own: bool,
}

/// `Sun Nov 22 12:00:00 2026 : Auth: …`, or syslog's frame.
fn cut(line: &str) -> Option<Cut<'_>> {
    const LEVELS: &[&str] = &["Auth", "Info", "Error", "Warning", "Proxy", "Acct", "Debug", "ERROR", "WARNING", "INFO"];
    if let Some((time, rest)) = line.split_once(" : ")
        && (20..=30).contains(&time.len())
        && let Ok(at) = NaiveDateTime::parse_from_str(time, "%a %b %e %H:%M:%S %Y")
    {
        let at = Micros(at.and_utc().timestamp_micros()).in_range(time).ok()?;
        let (level, message) = rest.split_once(": ")?;
        return LEVELS.contains(&level).then_some(Cut { stamp: Stamp::At(at), time, host: None, message, is_own: true });
    }
    let cut = Line::of(line)?;
    let is_own = matches!(cut.program, Some("radiusd" | "freeradius"));
    Some(Cut { stamp: cut.stamp, time: cut.time, host: cut.host, message: cut.message, is_own })
}

/// A login, all of it slices of the message.
struct Login<'l> {
    outcome: Outcome,
    reason: Option<&'l str>,
    user: &'l str,
    /// What stands behind the name: a password, or `<via Auth-Type = …>`.
    secret: Option<&'l str>,
    client: Option<&'l str>,
    port: Option<&'l str>,
    caller: Option<&'l str>,
}

/// `(7) Login OK: [bob] (from client ap-1 port 3 cli 02-00-…)`, `Login incorrect (mschap: …): [bob/pass] (from client …)`.
fn login(message: &str) -> Option<Login<'_>> {
    let message = match message.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => rest.trim_start(),
        _ => message,
    };
    let (outcome, rest) = [("Login OK", Outcome::Success), ("Login incorrect", Outcome::Failure), ("Invalid user", Outcome::Failure)]
        .into_iter()
        .find_map(|(begin, outcome)| message.strip_prefix(begin).map(|rest| (outcome, rest)))?;
    // The name is the client's to choose; what stands around it is not.
    let (head, rest) = rest.split_once(": [")?;
    let reason = head.trim().strip_prefix('(').and_then(|head| head.strip_suffix(')'));
    let (name, rest) = rest.rsplit_once("] (from client ")?;
    let (user, secret) = name.split_once('/').map_or((name, None), |(user, secret)| (user, Some(secret)));
    // `host/pc-7.example.org` is a machine's name.
    let (user, secret) = match (user, secret) {
        ("host", Some(machine)) => {
            let end = machine.find('/').unwrap_or(machine.len());
            (name.get(.."host/".len() + end)?, machine.get(end + 1..).filter(|secret| !secret.is_empty()))
        }
        other => other,
    };
    let rest = rest.split_once(')').map_or(rest, |(rest, _)| rest);
    let mut words = rest.split(' ');
    let client = words.next().filter(|client| !client.is_empty());
    let after = |name: &str| {
        let mut words = rest.split(' ').skip_while(|word| *word != name);
        words.next()?;
        words.next().filter(|word| !word.is_empty())
    };
    let reason = reason.or(if message.starts_with("Invalid user") { Some("invalid user") } else { None });
    Some(Login { outcome, reason, user, secret, client, port: after("port"), caller: after("cli") })
}

struct Lines {
    cluster: Text,
    year: Year,
}

impl Parser for Lines {
    fn dated(&mut self, written: Micros) {
        self.year.written = Some(written);
    }

    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let text = super::text(record, "a name that is none")?;
        let raw = text.trim_end();
        if raw.is_empty() || raw.starts_with([' ', '\t']) {
            return Ok(Disposition::Control);
        }
        let cut = cut(raw).ok_or_else(|| Reject::malformed("", "no line of FreeRADIUS' log: it begins neither with its time nor with syslog's"))?;
        let Some(login) = login(cut.message) else { return Ok(Disposition::Control) };
        let time = self.year.time(cut.stamp).ok_or_else(|| Reject::no_time("time", Some(cut.time)))?;
        if login.user.is_empty() {
            return Err(Reject::no_identity("user", "a login without a name"));
        }
        let mut event = event(&login, cut.host.unwrap_or(&self.cluster));
        event.time = time;
        event.raw = Some(raw.to_owned());
        out.push(Draft { event: Box::new(event), provider_id: None, part: 0, line });
        Ok(Disposition::Yielded)
    }

    fn parts(&self, line: &str) -> Option<Vec<Part>> {
        let cut = cut(line)?;
        let mut parts = Parts::of(line);
        parts.put(Some(cut.time), "time");
        parts.put(cut.host, "host");
        if let Some(login) = login(cut.message) {
            parts.put(Some(login.user), "user");
            parts.put(login.secret.filter(|secret| !secret.starts_with("<via ") && !secret.starts_with("<no User")), "password");
            parts.put(login.client, "client");
            parts.put(login.port, "port");
            parts.put(login.caller, "caller");
        }
        Some(parts.end())
    }
}

fn event(login: &Login<'_>, server: &str) -> Event {
    let name = login.user.to_lowercase();
    let is_hardware =
        name.bytes().filter(u8::is_ascii_hexdigit).count() == 12 && name.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'-' | b':' | b'.'));
    Event {
        activity: Activity::Authenticate,
        outcome: login.outcome,
        reason: login.reason.map(Text::from),
        action: Some(Text::const_new("radius.login")),
        identity: join(&["radius:", server, ":user/", &name]),
        identity_kind: if is_hardware || name.starts_with("host/") || name.ends_with('$') {
            IdentityKind::Device
        } else if service_name::is_service(&name) {
            IdentityKind::Service
        } else {
            IdentityKind::Unknown
        },
        identity_provider: Text::const_new("radius"),
        identity_account: Text::from(server),
        credential_kind: if is_hardware { CredentialKind::Unknown } else { CredentialKind::Password },
        source_host: login.caller.map(|caller| Text::from(caller.to_lowercase())),
        destination: Some(join(&["radius:", server, ":client/", login.client.unwrap_or("unknown")])),
        destination_kind: Some(Text::const_new("host")),
        destination_service: Some(Text::const_new("radius")),
        protocol: Some(Text::const_new("radius")),
        format: Text::const_new(NAME),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::guarded;
    use crate::redact::{Level, Redactor};

    const LOG: &str = include_str!("../../fixtures/freeradius/radius.log");

    fn read(log: &str) -> (Vec<Draft>, Vec<Result<Disposition, Reject>>) {
        let context =
            Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "aaa-1".into(), depth_max: 32, file_name: "radius.log".to_owned() };
        let mut parser = guarded(&FreeRadius, &context);
        parser.dated(Micros::parse_rfc3339("2026-11-23T00:00:00Z").unwrap());
        let mut out = Vec::new();
        let answers = (1..).zip(log.lines()).map(|(line, record)| parser.record(record.as_bytes(), line, &mut out)).collect();
        (out, answers)
    }

    #[test]
    fn logins_become_events_without_their_passwords() {
        assert!(FreeRadius.sniff(LOG.as_bytes()) > 90 && FreeRadius.sniff(b"Nov 22 12:00:00 h sshd[1]: x") == 0);
        let (drafts, answers) = read(LOG);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        insta::assert_json_snapshot!(drafts.iter().map(crate::format::shown::shown).collect::<Vec<_>>());
        assert!(LOG.contains("hunter2"));
        for draft in drafts {
            assert!(!format!("{:?}", draft.event).contains("hunter2"));
        }
        assert!(read("hello").1[0].is_err() && read("Sun Nov 22 12:00:00 2026 : Auth: Login OK: [] (from client a port 0)").1[0].is_err());
    }
}
