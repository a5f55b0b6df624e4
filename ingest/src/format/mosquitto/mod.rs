//! The log of the Mosquitto broker: which client connected as which user, was refused, left, subscribed and published.
//!
//! Its times come in three shapes: seconds since 1970 (the default), ISO 8601 (`log_timestamp_format`), and those of syslog (`log_dest syslog`). A line without a time is
//! refused.
//!
//! | column | of |
//! |---|---|
//! | identity | `mqtt:<broker>:client/<client id>`, a device; where a connection ended before it named itself, `mqtt:<broker>:address/<address>` |
//! | credential | `mqtt:<broker>:user/<user name>` where the client gave one |
//! | source | the address of the line; of a refusal, which has none before 2.1, that of the connection under way, if only one is |
//! | destination | `mqtt:<broker>`, or the topic `mqtt:<broker>:topic/<topic>` |
//!
//! The broker is syslog's host, else the collector's `cluster`. Subscriptions stand in the log with `log_type subscribe` or `debug`, publications with `debug`, refused ones always.
//! All clients are taken for devices: nothing in the log tells a person from a machine.
//!
//! Source: mosquitto 1.4 to 2.1: `src/handle_connect.c`, `context.c`, `net.c`, `handle_subscribe.c`, `handle_publish.c`; mosquitto.conf(5).

mod message;
#[cfg(test)]
mod tests;

use keytrail_schemas::{Micros, Text};

use self::message::{Memory, Told};
use super::part::{Part, Parts};
use super::syslog::{Line, Stamp, year::Year};
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};

/// The format `mosquitto`.
pub struct Mosquitto;

pub(crate) const NAME: &str = "mosquitto";

impl Format for Mosquitto {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        const LINES_MAX: usize = 100;
        let lines = || sample.split(|byte| *byte == b'\n').take(LINES_MAX).filter_map(|line| std::str::from_utf8(line).ok());
        let of = |line: &str| match cut(line.trim_end()) {
            Some(cut) if cut.is_named => 95,
            Some(cut) if !cut.is_syslog && message::is_known(cut.message) => 95,
            _ => 0,
        };
        lines().map(of).max().unwrap_or(0)
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Lines { cluster: context.cluster.clone(), year: Year::default(), memory: Memory::default() })
    }
}

/// A line, cut.
struct Cut<'l> {
    stamp: Stamp,
    time: &'l str,
    host: Option<&'l str>,
    program: Option<&'l str>,
    message: &'l str,
    /// It has syslog's frame.
    is_syslog: bool,
    /// Syslog says that it is of Mosquitto.
    is_named: bool,
}

fn cut(line: &str) -> Option<Cut<'_>> {
    if let Some((time, message)) = line.split_once(": ") {
        let bare = |stamp| Cut { stamp, time, host: None, program: None, message, is_syslog: false, is_named: false };
        if (9..=11).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit()) {
            return Some(bare(Stamp::At(Micros::from_secs(time.parse().ok()?).ok()?)));
        }
        if time.len() <= 40
            && time.as_bytes().first()?.is_ascii_digit()
            && let Some(stamp) = Stamp::of(time)
        {
            return Some(bare(stamp));
        }
    }
    let cut = Line::of(line)?;
    Some(Cut {
        stamp: cut.stamp,
        time: cut.time,
        host: cut.host,
        program: cut.program,
        message: cut.message,
        is_syslog: true,
        is_named: cut.program == Some("mosquitto"),
    })
}

/// The parser of one file.
struct Lines {
    cluster: Text,
    year: Year,
    memory: Memory,
}

impl Parser for Lines {
    fn dated(&mut self, written: Micros) {
        self.year.written = Some(written);
    }

    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let text = super::text(record, "a client id or topic that is none")?;
        let raw = text.trim_end();
        if raw.is_empty() {
            return Ok(Disposition::Control);
        }
        let Some(cut) = cut(raw) else {
            if message::is_known(raw) {
                return Err(Reject::no_time("time", None));
            }
            return Err(Reject::malformed("", "no line of Mosquitto's log: it begins with no time (seconds, ISO 8601, or syslog's)"));
        };
        if cut.is_syslog && !cut.is_named {
            return Ok(Disposition::Control);
        }
        let time = self.year.time(cut.stamp).ok_or_else(|| Reject::no_time("time", Some(cut.time)))?;
        let broker = cut.host.unwrap_or(&self.cluster);
        let Some(told) = Told::of(cut.message, &mut self.memory) else { return Ok(Disposition::Control) };
        let mut event = told.event(broker);
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
        parts.put(cut.program, "program");
        if let Some(told) = Told::alone(cut.message).or_else(|| message::subscribed(cut.message, &self.memory)) {
            told.parts(&mut parts);
        }
        Some(parts.end())
    }
}
