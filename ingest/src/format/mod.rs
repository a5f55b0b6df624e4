//! One file per log format: a framed record in, event drafts out. A format does no I/O and keeps no clock.

use keytrail_schemas::{Event, Micros, Reason, Text};

pub mod auditd;
mod auth0;
pub mod auto;
pub mod aws_credential_report;
pub mod cloudtrail;
mod cyberark;
mod entra;
mod envelope;
pub mod freeradius;
mod gcp_audit;
mod github_audit;
mod gitlab_audit;
mod join;
pub mod k8s_audit;
mod keycloak_events;
pub mod keytrail;
mod kit;
pub mod mosquitto;
mod nearest;
mod ocsf;
mod okta_system;
mod opcua_audit;
pub mod otlp_genai;
mod part;
mod ping_one;
mod recent;
mod registry;
mod service_name;
#[cfg(test)]
mod shown;
mod snowflake;
mod spire;
pub mod sshd;
pub mod step_ca;
pub(crate) mod syslog;
mod teleport_audit;
pub mod vault_audit;
pub mod windows_security;
pub mod zeek;

pub use part::Part;
pub(crate) use registry::PLACES;

/// How a format's files are cut into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// JSON values: one a line, pretty-printed and concatenated, in an array, or inside an envelope object such as `{"Records": […]}`.
    Json,
    /// Lines.
    Lines,
}

/// A log format.
pub trait Format: Send + Sync {
    /// The name that `--format` takes and that events carry, such as `cloudtrail`.
    fn name(&self) -> &'static str;
    /// How its files are cut into records.
    fn framing(&self) -> Framing;
    /// Object keys whose array holds the records, for [`Framing::Json`]: `["Records"]` for `CloudTrail`.
    fn envelopes(&self) -> &'static [&'static str] {
        &[]
    }
    /// How surely `sample` (one framed record; for [`Framing::Lines`] the first lines of the file) is of this format: 0 for no, 100 for without doubt.
    fn sniff(&self, sample: &[u8]) -> u8;
    /// How surely `value`, one whole record or an envelope around records, is of this format; for [`Framing::Json`].
    fn sniff_value(&self, value: crate::json::Value<'_>) -> u8 {
        let _ = value;
        0
    }
    /// How two events of one id complete one another, where records of different files tell of one thing.
    fn completes(&self) -> Option<fn(&mut Event, &mut Event)> {
        None
    }
    /// A parser for one file. It yields records as they came, and columns with what stood in them: [`guarded`] alone is called outside of this module.
    fn parser(&self, context: &Context) -> Box<dyn Parser>;
}

/// What a parser is told about its surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// Replaces secrets by keyed fingerprints.
    pub redactor: crate::redact::Redactor,
    /// How much of a record is kept.
    pub level: crate::redact::Level,
    /// The name of the cluster, broker or sensor, for formats whose records do not carry one; the collector's name by default.
    pub cluster: Text,
    /// The deepest nesting that is accepted.
    pub depth_max: usize,
    /// The file's name without its folders, for formats whose kind stands there (`ssl.log`).
    pub file_name: String,
}

/// A parser of one file's records, in their order. It may hold records back (a request waiting for its response), boundedly.
pub trait Parser: Send {
    /// Understands one record.
    ///
    /// # Errors
    /// [`Reject`] when it cannot be understood; the caller writes the dead letter and goes on.
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject>;
    /// The line of the oldest record that is held back.
    fn oldest_held(&self) -> Option<u64> {
        None
    }
    /// A great record has passed: buffers that grew for it are given back.
    fn shed(&mut self) {}
    /// The file has ended: yields what was held back.
    fn finish(&mut self, out: &mut Vec<Draft>) {
        let _ = out;
    }
    /// The file was last written at this time: for formats whose times do not say their year.
    fn dated(&mut self, written: Micros) {
        let _ = written;
    }
    /// The parts of a record that is a line of text, where the format knows them; what stands in none of them is a message.
    fn parts(&self, record: &str) -> Option<Vec<Part>> {
        let _ = record;
        None
    }
    /// The columns of a row, where a log has rows and not objects.
    fn columns(&self) -> Option<Columns<'_>> {
        None
    }
}

/// The columns of a log with rows.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'p> {
    /// Their names, in order.
    pub names: &'p [Text],
    /// What stands between two cells.
    pub separator: u8,
    /// Which header of the file they are of: another one has another number.
    pub header: u32,
}

/// The parser of one file, behind the gate that keeps secrets back.
#[must_use]
pub fn guarded(format: &dyn Format, context: &Context) -> Box<dyn Parser> {
    Box::new(crate::redact::Gate::new(format, context))
}

/// What became of an understood record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// It yielded one draft or more.
    Yielded,
    /// It is an envelope, and some of the records within it cannot be understood, these; the others yielded what they had to.
    Partly(Vec<Rejected>),
    /// It is held until its counterpart arrives.
    Held,
    /// It was joined with a held one, or says nothing about an identity by its nature (header line, digest file): understood, nothing to store.
    Control,
}

/// A record within an envelope that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its number within the envelope, from 1.
    pub number: u32,
    /// Its bytes.
    pub record: Vec<u8>,
    /// Why.
    pub reject: Reject,
}

/// One event on its way: everything the format knows.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The event, with `event_id`, `ingested_at`, `source`, `raw_hash` and coordinates still at their defaults, and `raw` set to the record: as it came from the parser, redacted behind the gate.
    ///
    /// An `event_id` that is set says that keytrail itself wrote the record once: the event comes back as it was, and what of `source`, `format`
    /// and `raw_hash` is set stays.
    pub event: Box<Event>,
    /// The provider's own id for the record; `None` when it has none, and the id is made from the cluster and the redacted bytes.
    pub provider_id: Option<Text>,
    /// Tells apart the events that one record yields: 0, 1, …
    pub part: u32,
    /// The line or record number that it came from.
    pub line: u64,
}

/// Why a record cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Reject {
    /// Why, as one word.
    pub reason: Reason,
    /// The field at fault.
    pub field: Option<Text>,
    /// Why, for a person, and what to do.
    pub message: String,
}

/// A record as text; `blame` says what a byte that is no UTF-8 is a sign of.
pub(crate) fn text<'r>(record: &'r [u8], blame: &str) -> Result<&'r str, Reject> {
    std::str::from_utf8(record).map_err(|error| Reject {
        reason: Reason::NotUtf8,
        field: None,
        message: format!("not UTF-8 at byte {}: {blame}", error.valid_up_to()),
    })
}

impl Reject {
    /// It is not what its format demands; `field` is at fault.
    #[must_use]
    pub fn malformed(field: &str, message: impl Into<String>) -> Self {
        Self { reason: Reason::Malformed, field: (!field.is_empty()).then(|| field.into()), message: message.into() }
    }

    /// It belongs to another kind of log.
    #[must_use]
    pub fn wrong_kind(message: impl Into<String>) -> Self {
        Self { reason: Reason::WrongKind, field: None, message: message.into() }
    }

    /// It has no time, or `found` in `field`, which is none.
    #[must_use]
    pub fn no_time(field: &str, found: Option<&str>) -> Self {
        let message = match found {
            Some(text) => format!("{field} holds {}, which is no time between 1970 and 2200", described(text)),
            None => format!("no {field}: an event without a time cannot be placed"),
        };
        Self { reason: Reason::NoTime, field: Some(field.into()), message }
    }

    /// It names no identity and none can be derived.
    #[must_use]
    pub fn no_identity(field: &str, message: impl Into<String>) -> Self {
        Self { reason: Reason::NoIdentity, field: Some(field.into()), message: message.into() }
    }
}

/// A value in a message: its form and length, never itself, for it may be a secret.
#[must_use]
pub(crate) fn described(value: &str) -> String {
    let kind = match crate::redact::kind::of(value.as_bytes()) {
        "text" => "a text",
        "digits" => "digits",
        "hex" => "hexadecimal digits",
        "uuid" => "a UUID",
        "json" => "JSON",
        "url" => "a URL",
        _ => "a token",
    };
    format!("{kind} of {} bytes", value.len())
}

/// A record as text. Parsed records are UTF-8; others are shown as far as they are.
pub(crate) fn text_of(record: &[u8]) -> std::borrow::Cow<'_, str> {
    // The strict check is several times as fast as the lossy one, and parsed records pass it.
    std::str::from_utf8(record).map_or_else(|_| String::from_utf8_lossy(record), std::borrow::Cow::Borrowed)
}

/// Reads a time of a source that writes UTC: RFC 3339, or the same with a space for the `T` or without a zone, as Athena and other
/// stores write it back.
#[must_use]
pub fn utc_time(text: &str) -> Option<Micros> {
    if let Ok(time) = Micros::parse_rfc3339(text) {
        return Some(time);
    }
    let zoned = text.get(10..).is_some_and(|rest| rest.contains(['Z', '+', '-', 'z']));
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', ' '])?;
    Micros::parse_rfc3339(&format!("{date}T{rest}{}", if zoned { "" } else { "Z" })).ok()
}

/// Seconds since 1970 with a fraction, as a moment between 1970 and 2200: [`Micros::from_secs_f64`] without the words for an error, which take ten times as long.
pub(crate) fn from_secs(secs: f64) -> Option<Micros> {
    const GREAT: f64 = 1e12;
    #[expect(clippy::cast_possible_truncation, reason = "bounded before")]
    (secs.abs() <= GREAT).then(|| Micros((secs * 1e6).round() as i64)).filter(|time| (Micros::MIN..=Micros::MAX).contains(time))
}

/// `text`, if it is an IP address; a dotted quad may have leading zeros, which are dropped.
#[must_use]
pub fn ip_address(text: &str) -> Option<Text> {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Some(text.into());
    }
    let mut octets = [0_u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = parts.next().filter(|p| !p.is_empty() && p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    }
    parts.next().is_none().then(|| std::net::Ipv4Addr::from(octets).to_string().into())
}
