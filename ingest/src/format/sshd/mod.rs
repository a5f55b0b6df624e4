//! `sshd` in syslog: who proved what to which host, with which key or certificate. The accounts of the host that `useradd`, `usermod`, `userdel`, `passwd`, `chpasswd` and `chage`
//! change, and what `sudo` lets them do, stand in the same file and are read as well; of every other program a line says nothing here.
//!
//! | column | of |
//! |---|---|
//! | identity | `host:<host>:user/<name>` |
//! | kind | service: a name of a list (`deploy`, `git`, `ansible`, …), one that begins with `svc-`, `svc_`, `sa-` or ends in `-svc`, `_svc`, `-bot`, `_bot`, and a certificate's id that is a SPIFFE ID; human: who types a password or answers at a keyboard, but for those; else unknown, since a key says nothing of who holds it |
//! | credential | the key's fingerprint; of a certificate `<CA's fingerprint>/<serial>`, with the key as its parent and the CA as issuer; of a password `<identity>/password` |
//! | destination | `host:<host>`; of `sudo` the account `host:<host>:user/<name>` |
//! | outcome, reason | accepted; failed, or refused by the server's rules |
//!
//! Source: OpenSSH `auth.c`, `auth2.c`, `sshd.c`, `session.c`, 5.3 to 10.0; shadow-utils; sudo, "sudoers(5), LOG FORMAT". The frame is `format::syslog`.

mod account;
mod auth;
mod event;
mod journal;
mod phrase;
#[cfg(test)]
mod tests;

use keytrail_schemas::{Micros, Text};

use self::event::Told;
use super::part::{Part, Parts};
use super::syslog::{Line, year::Year};
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};
use crate::json;

/// The format `sshd`.
pub struct Sshd;

pub(crate) const NAME: &str = "sshd";

impl Format for Sshd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        const LINES_MAX: usize = 400;
        let mut best = 0;
        for line in sample.split(|byte| *byte == b'\n').take(LINES_MAX) {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let of_program = |program: Option<&str>| if program.is_some_and(is_read) { 85 } else { 55 };
            let certainty = match journal::program(line) {
                Some(program) => of_program(Some(program)),
                None if line.starts_with('{') => 0,
                None => Line::of(line).filter(|line| line.program.is_some()).map_or(0, |line| of_program(line.program)),
            };
            best = best.max(certainty);
            if best > 80 {
                break;
            }
        }
        best
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Lines { json: json::Reader::new(context.depth_max), cluster: context.cluster.clone(), year: Year::default() })
    }
}

/// Whether a program's lines are read.
fn is_read(program: &str) -> bool {
    auth::is_daemon(base(program)) || account::is_tool(base(program))
}

/// A program's name without its folders.
fn base(program: &str) -> &str {
    program.rsplit_once('/').map_or(program, |(_, name)| name)
}

/// The parser of one file.
struct Lines {
    json: json::Reader,
    cluster: Text,
    year: Year,
}

impl Parser for Lines {
    fn dated(&mut self, written: Micros) {
        self.year.written = Some(written);
    }

    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let text = super::text(record, "a program wrote bytes that syslog did not escape")?;
        let raw = text.trim_end();
        if raw.trim_start().starts_with('{') {
            let document = self.json.parse(raw.trim_start().as_bytes())?;
            let entry = journal::Entry::of(document.root())?;
            let told = entry.told().and_then(|(program, message)| told(program, message));
            return Ok(draft(told.as_ref(), entry.time, entry.host.unwrap_or(&self.cluster), raw, line, out));
        }
        // A message that goes on, or nothing.
        if raw.is_empty() || raw.starts_with([' ', '\t']) {
            return Ok(Disposition::Control);
        }
        let cut = Line::of(raw).ok_or_else(|| {
            Reject::malformed(
                "",
                "no syslog line: it begins with no time of RFC 5424 or 3164, of rsyslog or macOS, and is no JSON of journald; a message of several lines?",
            )
        })?;
        let time = self.year.time(cut.stamp);
        let Some(told) = told(cut.program.unwrap_or_default(), cut.message) else { return Ok(Disposition::Control) };
        let time = time.ok_or_else(|| Reject::no_time("time", Some(cut.time)))?;
        Ok(draft(Some(&told), time, cut.host.unwrap_or(&self.cluster), raw, line, out))
    }

    fn parts(&self, line: &str) -> Option<Vec<Part>> {
        let cut = Line::of(line)?;
        let mut parts = Parts::of(line);
        parts.put(Some(cut.time), "time");
        parts.put(cut.host, "host");
        parts.put(cut.program, "program");
        parts.put(cut.pid, "pid");
        if let Some(told) = told(cut.program.unwrap_or_default(), cut.message) {
            told.parts(&mut parts);
        }
        Some(parts.end())
    }

    fn shed(&mut self) {
        self.json.shed();
    }
}

/// What a line says of an identity, if it does.
fn told<'l>(program: &str, message: &'l str) -> Option<Told<'l>> {
    let program = base(program);
    if auth::is_daemon(program) { auth::read(message) } else { account::read(program, message) }
}

fn draft(told: Option<&Told<'_>>, time: Micros, host: &str, raw: &str, line: u64, out: &mut Vec<Draft>) -> Disposition {
    let Some(told) = told else { return Disposition::Control };
    let mut event = told.event(host);
    event.time = time;
    event.raw = Some(raw.to_owned());
    out.push(Draft { event: Box::new(event), provider_id: None, part: 0, line });
    Disposition::Yielded
}
