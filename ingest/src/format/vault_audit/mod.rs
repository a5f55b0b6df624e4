//! Vault audit devices: JSON lines, a request and its response joined by `request.id`. The response repeats the request, so it
//! yields the events; a request waits for it, and yields one event of unknown outcome if it never comes.
//!
//! A device's `prefix`, or syslog's, in front of the object is skipped. Vault's server log is another thing, and is refused.
//!
//! Credentials are named as the log names them: a token by its accessor, an approle's secret id by its HMAC, a certificate by its
//! serial number, a leased credential by its lease id; a token whose accessor is not logged by its HMAC.
//!
//! Source: HashiCorp, "Audit devices" and `vault/audit` (entry formats of Vault 1.4 to 1.21).

mod act;
mod entry;
mod event;
mod known;
mod pending;
#[cfg(test)]
mod tests;
mod who;

use keytrail_schemas::{Reason, Text};

use self::entry::{Entry, Side};
use self::known::Known;
use self::pending::Pending;
use crate::format::join::join;
use crate::format::{Context, Disposition, Draft, Format, Framing, Parser, Reject};
use crate::json;
use crate::redact::Redactor;

/// What to do with a server log.
const SERVER_LOG: &str = "this is Vault's server log, not its audit log: it does not say who did what. Enable an audit device (vault audit enable file file_path=/var/log/vault_audit.log) and collect that file";

/// How many bytes may stand before the object in a line.
const PREFIX_BYTES_MAX: usize = 512;

/// The format `vault_audit`.
pub struct VaultAudit;

impl Format for VaultAudit {
    fn name(&self) -> &'static str {
        "vault_audit"
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        let has = |text: &str| memchr::memmem::find(sample, text.as_bytes()).is_some();
        let audit = (has("\"type\":\"request\"") || has("\"type\":\"response\"")) && has("\"request\":{") && has("\"operation\":");
        if audit && (has("hmac-sha256:") || has("\"namespace\":") || has("\"client_token\"")) {
            95
        } else if audit {
            80
        } else if has("\"@module\":") && has("\"@message\":") && has("\"@level\":") {
            // HashiCorp's server log: claimed faintly, so that it is refused with advice and not as unknown.
            20
        } else {
            0
        }
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Audit {
            json: json::Reader::new(context.depth_max),
            reading: Reading { redactor: context.redactor.clone(), cluster: context.cluster.clone(), known: Known::default() },
            pending: Pending::default(),
        })
    }
}

/// The parser of one file.
struct Audit {
    json: json::Reader,
    reading: Reading,
    pending: Pending,
}

/// Everything but the JSON reader, whose documents borrow it.
struct Reading {
    redactor: Redactor,
    cluster: Text,
    known: Known,
}

impl Parser for Audit {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let Some(record) = object(record)? else { return Ok(Disposition::Control) };
        let document = self.json.parse(record)?;
        let entry = Entry::of(document.root())?;
        let disposition = match (entry.side, entry.id()) {
            // What Vault writes of itself when a device is enabled: nobody asked, and no response follows.
            (Side::Request, _) if entry.path() == "sys/audit/test" && !entry.auth().is_known() => Disposition::Control,
            (Side::Request, Some(id)) => {
                entry.time()?;
                self.pending.put(id, line, record);
                Disposition::Held
            }
            (side, id) => {
                if let (Side::Response, Some(id)) = (side, id) {
                    self.pending.answer(id);
                }
                self.reading.draft(entry, record, line, out)?;
                Disposition::Yielded
            }
        };
        drop(document);
        self.leave(false, out);
        Ok(disposition)
    }

    fn shed(&mut self) {
        self.json.shed();
    }

    fn oldest_held(&self) -> Option<u64> {
        self.pending.oldest()
    }

    fn finish(&mut self, out: &mut Vec<Draft>) {
        self.leave(true, out);
    }
}

impl Audit {
    /// Requests that cannot wait longer become events of unknown outcome.
    fn leave(&mut self, all: bool, out: &mut Vec<Draft>) {
        while let Some(request) = self.pending.evict(all) {
            // It was understood when it came, so that nothing fails here.
            let Ok(document) = self.json.parse(&request.record) else { continue };
            let Ok(entry) = Entry::of(document.root()) else { continue };
            let _ = self.reading.draft(entry, &request.record, request.line, out);
        }
    }
}

impl Reading {
    fn draft(&mut self, entry: Entry<'_>, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<(), Reject> {
        let mut scene = event::Scene { redactor: &self.redactor, cluster: &self.cluster, known: &mut self.known };
        let events = event::events(entry, &mut scene)?;
        let record = super::text(record, "Vault escapes such bytes")?;
        let mut raw = Some(record.to_owned());
        let provider_id = match entry.side {
            Side::Response => entry.id().map(Text::from),
            // Its response may yet stand in another file, with an event of its own.
            Side::Request => entry.id().map(|id| join(&[id, "#request"])),
        };
        let count = events.len();
        for (part, mut event) in (0_u32..).zip(events) {
            event.raw = if part as usize + 1 == count { raw.take() } else { raw.clone() };
            out.push(Draft { event: Box::new(event), provider_id: provider_id.clone(), part, line });
        }
        Ok(())
    }
}

/// The JSON object of a line, without what a device or syslog put before it; `None` for an empty line.
fn object(record: &[u8]) -> Result<Option<&[u8]>, Reject> {
    let record = record.trim_ascii();
    if record.is_empty() {
        return Ok(None);
    }
    let head = record.get(..PREFIX_BYTES_MAX).unwrap_or(record);
    match memchr::memchr(b'{', head) {
        Some(at) => Ok(record.get(at..)),
        None if ["[INFO]", "[DEBUG]", "[WARN]", "[ERROR]", "[TRACE]"].iter().any(|level| memchr::memmem::find(head, level.as_bytes()).is_some()) => {
            Err(Reject { reason: Reason::WrongKind, field: None, message: SERVER_LOG.to_owned() })
        }
        None => Err(Reject { reason: Reason::Malformed, field: None, message: "no JSON object in the line: a Vault audit log has one a line".to_owned() }),
    }
}
