//! Keycloak's events and admin events, as its `jboss-logging` listener writes them: JSON to a file or over syslog (octet-counted frames, with a byte order
//! mark before the JSON and a newline within the frame), ECS JSON, lines of text; and as its REST API gives them.
//!
//! In a log the event stands inside the string `message`: `type="CLIENT_LOGIN", realmId="…", …`, where a null prints as `"null"`. An admin event has
//! `operationType` in place of `type`, and its realm and client are those of who acted. Lines of Keycloak's other loggers say nothing about an identity.
//!
//! Who acted: `CLIENT_LOGIN`, a grant of `client_credentials` and a user name `service-account-…` are a client for itself, `keycloak:<realm>:client/<clientId>`; later
//! events of the same file know that user's id. Any other user is a person, `keycloak:<realm>:user/<userId>`. Text lines have no zone: they are taken for UTC.
//! Tokens are known by `token_id` and `refresh_token_id`; a login or refresh issues them, `REVOKE_GRANT` revokes. A client's secret and key are
//! `<identity>/secret` and `<identity>/key`: in force since its client was made or an admin's `client-secret` or `certificates` rotated it, withdrawn where the client is disabled
//! or deleted (`client`).
//!
//! Source: Keycloak 15 to 26, `JBossLoggingEventListenerProvider`, `EventType`, `ResourceType`; the server's own log.

use keytrail_schemas::{Micros, Text};

use super::kit::{Setting, time_of};
use super::recent::Recent;
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject, text_of, utc_time};
use crate::json::{Reader, Value};

mod act;
mod client;
mod message;

use message::Facts;

/// The format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeycloakEvents;

const NAME: &str = "keycloak_events";
/// The logger of events.
const LOGGER: &str = "org.keycloak.events";

impl Format for KeycloakEvents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        let has = |needle: &str| memchr::memmem::find(sample, needle.as_bytes()).is_some();
        if has(LOGGER) {
            95
        } else if (has("\"loggerName\"") || has("\"log.logger\"")) && (has("org.keycloak") || has("\"keycloak\"")) || has("[org.keycloak.") {
            90
        } else if has("\"realmId\"") && (has("\"operationType\"") && has("\"authDetails\"") || has("\"type\"") && has("\"clientId\"") && has("\"ipAddress\"")) {
            88
        } else {
            0
        }
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        let setting = Setting::new(NAME, "clientId", context);
        Box::new(Lines { reader: Reader::new(context.depth_max), setting, memory: Memory::new(context.depth_max) })
    }
}

/// What earlier lines told.
pub(super) struct Memory {
    /// Clients by the id of their service account's user.
    pub(super) clients: Recent<Text>,
    /// Realms by the id of a user.
    pub(super) realms: Recent<Text>,
    /// Clients with their secrets and keys.
    secrets: client::Clients,
    /// Reads JSON that stands within an event.
    inner: Reader,
}

impl Memory {
    fn new(depth_max: usize) -> Self {
        Self { clients: Recent::default(), realms: Recent::default(), secrets: client::Clients::default(), inner: Reader::new(depth_max) }
    }
}

struct Lines {
    reader: Reader,
    setting: Setting,
    memory: Memory,
}

impl Parser for Lines {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let before = out.len();
        let record = text_of(record.trim_ascii());
        let text = record.trim_start_matches('\u{feff}').trim_end_matches(',');
        if text.is_empty() || matches!(text, "[" | "]") {
            return Ok(Disposition::Control);
        }
        // In a syslog frame the JSON stands behind the header.
        let json = if text.starts_with(['{', '[']) {
            Some(text)
        } else {
            text.find("\u{feff}{").map(|at| text.split_at(at + 3).1).or_else(|| text.find(" {\"").map(|at| text.split_at(at + 1).1))
        };
        let Self { reader, setting, memory } = self;
        match json.filter(|json| json.starts_with(['{', '['])) {
            Some(json) => {
                let document = reader.parse(json.as_bytes())?;
                let root = document.root();
                if root.is_array() {
                    for item in root.items() {
                        object(item, &item.to_json(), setting, memory, line, out)?;
                    }
                } else {
                    object(root, json, setting, memory, line, out)?;
                }
            }
            None => plain(text, setting, memory, line, out)?,
        }
        Ok(if out.len() > before { Disposition::Yielded } else { Disposition::Control })
    }

    fn shed(&mut self) {
        self.reader.shed();
        self.memory.inner.shed();
    }
}

/// A line of JSON: of the log, or an event itself.
fn object(root: Value<'_>, raw: &str, setting: &Setting, memory: &mut Memory, line: u64, out: &mut Vec<Draft>) -> Result<(), Reject> {
    let logger = root.str_at(&["loggerName"]).or_else(|| root.str_at(&["log.logger"])).or_else(|| root.str_at(&["log", "logger"]));
    if let Some(logger) = logger {
        if !logger.starts_with(LOGGER) {
            return Ok(());
        }
        let time = root.get("timestamp").or_else(|| root.get("@timestamp"));
        let time = time.and_then(time_of).ok_or_else(|| Reject::no_time("timestamp", root.str_at(&["timestamp"])))?;
        let message = root.str_at(&["message"]).unwrap_or_default();
        return event(&Facts::of_message(message), time, raw, setting, memory, line, out);
    }
    if root.get("realmId").is_none() || (root.get("type").is_none() && root.get("operationType").is_none()) {
        return Err(Reject::wrong_kind("neither a line of Keycloak's log nor an event: it has no loggerName, and no realmId with a type"));
    }
    let time = root.get("time").and_then(time_of).ok_or_else(|| Reject::no_time("time", root.str_at(&["time"])))?;
    event(&Facts::of_object(root), time, raw, setting, memory, line, out)
}

/// A line of text: `2021-10-22 21:01:45,403 WARN  [org.keycloak.events] (thread) type=…`.
fn plain(text: &str, setting: &Setting, memory: &mut Memory, line: u64, out: &mut Vec<Draft>) -> Result<(), Reject> {
    let Some((head, message)) = text.split_once("[org.keycloak.events").and_then(|(head, rest)| Some((head, rest.split_once("] ")?.1))) else {
        return Ok(());
    };
    let stamp: String = head.split_whitespace().take(2).collect::<Vec<_>>().join("T").replace(',', ".");
    let time = utc_time(&stamp).ok_or_else(|| Reject::no_time("the line's beginning", Some(head)))?;
    let message = message.split_once(") ").filter(|_| message.starts_with('(')).map_or(message, |(_, rest)| rest);
    event(&Facts::of_message(message), time, text, setting, memory, line, out)
}

fn event(facts: &Facts<'_>, time: Micros, raw: &str, setting: &Setting, memory: &mut Memory, line: u64, out: &mut Vec<Draft>) -> Result<(), Reject> {
    if facts.is_empty() {
        return Ok(());
    }
    setting.read(None, raw, line, out, |scene| act::read(facts, time, memory, scene))
}
