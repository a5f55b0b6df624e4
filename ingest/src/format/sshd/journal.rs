//! A line of `journalctl -o json`. Source: systemd, "Journal Export Formats" and systemd.journal-fields(7).

use keytrail_schemas::Micros;

use crate::format::Reject;
use crate::json::{Reader, Value};

/// An entry of the journal.
pub(super) struct Entry<'d> {
    pub(super) time: Micros,
    pub(super) host: Option<&'d str>,
    program: Option<&'d str>,
    /// `None` where it is no text: journald writes other bytes as an array of numbers.
    message: Option<&'d str>,
}

impl<'d> Entry<'d> {
    pub(super) fn of(entry: Value<'d>) -> Result<Self, Reject> {
        if entry.get("MESSAGE").is_none() && entry.get("__REALTIME_TIMESTAMP").is_none() {
            return Err(Reject::wrong_kind("a JSON object that is no entry of journald: it has neither MESSAGE nor __REALTIME_TIMESTAMP"));
        }
        let found = ["_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"].into_iter().find_map(|key| entry.get(key));
        let micros = found.and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
        let time = micros.map(Micros).filter(|time| *time > Micros::MIN && *time <= Micros::MAX);
        let time = time.ok_or_else(|| Reject::no_time("__REALTIME_TIMESTAMP", found.and_then(Value::as_str)))?;
        Ok(Self {
            time,
            host: entry.str_at(&["_HOSTNAME"]),
            program: entry.str_at(&["SYSLOG_IDENTIFIER"]).or_else(|| entry.str_at(&["_COMM"])),
            message: entry.str_at(&["MESSAGE"]),
        })
    }

    pub(super) fn told(&self) -> Option<(&'d str, &'d str)> {
        Some((self.program.unwrap_or_default(), self.message?))
    }
}

/// The program of a line that looks like an entry of the journal.
pub(super) fn program(line: &str) -> Option<&str> {
    let is_entry = line.starts_with('{') && line.contains("\"__REALTIME_TIMESTAMP\"") && line.contains("\"MESSAGE\"");
    if !is_entry {
        return None;
    }
    let mut reader = Reader::default();
    let document = reader.parse(line.as_bytes()).ok()?;
    let name = document.root().str_at(&["SYSLOG_IDENTIFIER"])?;
    let at = line.find(&format!("\"{name}\""))?;
    line.get(at + 1..at + 1 + name.len())
}
