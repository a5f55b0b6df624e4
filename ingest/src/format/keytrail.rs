//! keytrail's own event as JSON, one object an event, for programs that write their own audit.
//!
//! The keys are the columns of the table `events`; what is not nullable there must be, except what ingest sets (`event_id`, `ingested_at`,
//! `source`, `format`, `raw`, `raw_hash` and the log's coordinates), and except what follows from the rest. Of these an `event_id` that is
//! given is kept. With a `raw_hash` beside it the event is one that keytrail wrote: it comes back as itself, `source`, `format` and `raw`
//! included; `ingested_at` and the coordinates are those of this reading.
//!
//! | missing | taken as |
//! |---|---|
//! | `activity` | `use` |
//! | `outcome`, `identity_kind`, `credential_kind` | `unknown` |
//! | `identity_provider` | what stands before the first `:` of the identity |
//! | `identity_account` | what stands before the next one, if there is another |

use keytrail_schemas::{Column, Event, EventId, Hash32, Micros, Reason, Table, Text};

use super::nearest::nearest;
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject, auto};
use crate::json::{Reader, Value};

const NAME: &str = "keytrail";

/// Columns that are made anew whenever an event is read.
const OWN: &[&str] = &["ingested_at", "log_partition", "log_offset"];

/// The lake's column that follows from the time; an exported event has it.
const DAY: &str = "day";

/// The format.
#[derive(Debug, Clone, Copy)]
pub struct Keytrail;

impl Format for Keytrail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Json
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        let mut reader = Reader::default();
        let Ok(doc) = reader.parse(sample) else { return 0 };
        self.sniff_value(doc.root())
    }

    fn sniff_value(&self, value: Value<'_>) -> u8 {
        let has = |key| value.get(key).is_some();
        match (has("identity") && has("time"), has("activity"), value.entries().all(|(key, _)| key == DAY || column(key).is_some())) {
            (true, true, true) => 95,
            (true, true, false) | (true, false, true) => 75,
            _ => 0,
        }
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(KeytrailParser { reader: Reader::new(context.depth_max) })
    }
}

struct KeytrailParser {
    reader: Reader,
}

impl Parser for KeytrailParser {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let mut event = {
            let doc = self.reader.parse(record)?;
            if !doc.root().is_object() {
                return Err(Reject::malformed("", "a keytrail event is a JSON object"));
            }
            read(doc.root())?
        };
        let is_export = event.event_id != EventId::default() && event.raw_hash != Hash32::default();
        if !is_export {
            event.raw = Some(super::text_of(record).into_owned());
            event.raw_hash = Hash32::default();
            (event.source, event.format) = (Text::default(), Text::const_new(NAME));
        }
        out.push(Draft { event: Box::new(event), provider_id: None, part: 0, line });
        Ok(Disposition::Yielded)
    }

    fn shed(&mut self) {
        self.reader.shed();
    }
}

fn column(name: &str) -> Option<&'static Column> {
    Event::COLUMNS.iter().find(|c| c.name == name)
}

fn read(value: Value<'_>) -> Result<Event, Reject> {
    let mut event = Event { format: Text::const_new(NAME), ..Event::default() };
    let (mut timed, mut provided, mut accounted) = (false, false, false);
    for (key, value) in value.entries() {
        if key == DAY {
            continue;
        }
        if column(key).is_none() {
            let hint = nearest(key, Event::COLUMNS.iter().map(|c| c.name)).map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(Reject {
                reason: Reason::Malformed,
                field: Some(key.chars().take(64).collect::<String>().into()),
                message: format!("unknown field, {}{hint}", super::described(key)),
            });
        }
        if value.is_null() || OWN.contains(&key) {
            continue;
        }
        match key {
            "time" => {
                event.time = moment(key, value).map_err(|reject| Reject { reason: Reason::NoTime, ..reject })?;
                timed = true;
            }
            "event_id" => {
                event.event_id = EventId::from_hex(text(key, value)?)
                    .ok_or_else(|| Reject::malformed(key, "event_id must be 32 hex digits; leave it out to have one made"))?
            }
            "raw_hash" => {
                event.raw_hash = Hash32::from_hex(text(key, value)?)
                    .ok_or_else(|| Reject::malformed(key, "raw_hash must be 64 hex digits; leave it out to have one made"))?
            }
            "raw" => event.raw = Some(text(key, value)?.to_owned()),
            "source" => event.source = text(key, value)?.into(),
            // A name that is none is not taken over: metrics and counts are kept by it.
            "format" => event.format = auto::by_name(text(key, value)?).map_or(Text::const_new(NAME), |format| Text::const_new(format.name())),
            "activity" => event.activity = word(key, value)?,
            "outcome" => event.outcome = word(key, value)?,
            "identity_kind" => event.identity_kind = word(key, value)?,
            "credential_kind" => event.credential_kind = word(key, value)?,
            "identity" => event.identity = text(key, value)?.into(),
            "identity_provider" => {
                event.identity_provider = text(key, value)?.into();
                provided = true;
            }
            "identity_account" => {
                event.identity_account = text(key, value)?.into();
                accounted = true;
            }
            "credential_issued_at" => event.credential_issued_at = Some(moment(key, value)?),
            "credential_expires_at" => event.credential_expires_at = Some(moment(key, value)?),
            "source_asn" => event.source_asn = Some(value.as_i64().filter(|n| *n >= 0).ok_or_else(|| wrong(key, "a whole number", value))?),
            _ => {
                let text = Some(text(key, value)?.into());
                match key {
                    "reason" => event.reason = text,
                    "credential" => event.credential = text,
                    "credential_parent" => event.credential_parent = text,
                    "issuer" => event.issuer = text,
                    "source_ip" => event.source_ip = text,
                    "source_host" => event.source_host = text,
                    "source_country" => event.source_country = text,
                    "user_agent" => event.user_agent = text,
                    "destination" => event.destination = text,
                    "destination_kind" => event.destination_kind = text,
                    "destination_service" => event.destination_service = text,
                    "environment" => event.environment = text,
                    "protocol" => event.protocol = text,
                    "auth_method" => event.auth_method = text,
                    "action" => event.action = text,
                    "session" => event.session = text,
                    "trace_id" => event.trace_id = text,
                    _ => return Err(Reject::malformed(key, format!("{key} cannot be given"))),
                }
            }
        }
    }
    if !timed {
        return Err(Reject::no_time("time", None));
    }
    if event.identity.is_empty() {
        return Err(Reject::no_identity("identity", "no identity: write who acted, such as \"app:billing\""));
    }
    let mut parts = event.identity.split(':');
    let (provider, account, more) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().is_some());
    let (provider, account) = (Text::from(provider), if more { Text::from(account) } else { Text::default() });
    if !provided {
        event.identity_provider = provider;
    }
    if !accounted {
        event.identity_account = account;
    }
    Ok(event)
}

fn text<'d>(key: &str, value: Value<'d>) -> Result<&'d str, Reject> {
    value.as_str().ok_or_else(|| wrong(key, "text", value))
}

fn moment(key: &str, value: Value<'_>) -> Result<Micros, Reject> {
    let text = value.as_str().ok_or_else(|| wrong(key, "an RFC 3339 time such as 2026-01-31T12:00:00Z", value))?;
    Micros::parse_rfc3339(text)
        .map_err(|_| Reject::malformed(key, format!("{key} holds {}, which is no RFC 3339 time between 1970 and 2200", super::described(text))))
}

fn word<W: std::str::FromStr<Err = keytrail_schemas::UnknownWord>>(key: &str, value: Value<'_>) -> Result<W, Reject> {
    let text = text(key, value)?;
    text.parse().map_err(|error: keytrail_schemas::UnknownWord| {
        Reject::malformed(key, format!("{key} holds {}, which is none of {}", super::described(text), error.expected))
    })
}

fn wrong(key: &str, expected: &str, value: Value<'_>) -> Reject {
    let found = match value.as_str() {
        Some(text) => super::described(text),
        None if value.is_object() => "an object".to_owned(),
        None if value.is_array() => "an array".to_owned(),
        None if value.as_bool().is_some() => "a boolean".to_owned(),
        None if value.is_null() => "null".to_owned(),
        None => "a number".to_owned(),
    };
    Reject::malformed(key, format!("{key} must be {expected}, not {found}"))
}
