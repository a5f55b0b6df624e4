//! The broker's messages. Client ids, user names and topics are the client's to choose: each message is read from its fixed ends inwards.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::NAME;
use crate::format::join::join;
use crate::format::part::Parts;
use crate::format::recent::Recent;

/// What earlier lines told.
#[derive(Default)]
pub(super) struct Memory {
    /// Addresses of connections that have not named themselves yet.
    open: Vec<Text>,
    /// The address of each client that connected.
    addresses: Recent<Text>,
    /// Its user.
    users: Recent<Text>,
}

/// So many connections are remembered while they have not named themselves.
const OPEN_MAX: usize = 64;

/// What a message tells.
#[derive(Debug, Clone, Default)]
pub(super) struct Told<'l> {
    activity: Activity,
    outcome: Outcome,
    action: &'static str,
    reason: Option<&'l str>,
    /// Not `<unknown>`.
    client: Option<&'l str>,
    user: Option<&'l str>,
    /// As in the line, with its port.
    address: Option<&'l str>,
    topic: Option<&'l str>,
    /// The protocol's version.
    version: Option<&'static str>,
    /// Letters and numbers in brackets: version, clean session, keep-alive; duplicate, quality of service, retained, packet id.
    flags: Option<&'l str>,
    /// Known of earlier lines.
    remembered: Remembered,
}

#[derive(Debug, Clone, Default)]
struct Remembered {
    address: Option<Text>,
    user: Option<Text>,
}

/// Whether the message is one of Mosquitto's.
pub(super) fn is_known(message: &str) -> bool {
    ["mosquitto version ", "New connection from ", "New client connected from ", "New bridge connected from ", "Config loaded from ", "Opening ipv"]
        .iter()
        .any(|begin| message.starts_with(begin))
        || (message.starts_with("Client ") && ENDS.iter().any(|(end, ..)| message.ends_with(end)))
        || (message.starts_with("Sending ") && message.contains(" to "))
        || (message.starts_with("Received ") && message.contains(" from "))
}

/// How a connection ends, and what that is.
const ENDS: &[(&str, Activity, Outcome, &str)] = &[
    (" disconnected, not authorised.", Activity::Authenticate, Outcome::Denied, "not authorised"),
    (" disconnected: not authorised.", Activity::Authenticate, Outcome::Denied, "not authorised"),
    (" disconnected, bad username or password.", Activity::Authenticate, Outcome::Failure, "bad user name or password"),
    (" disconnected due to protocol error.", Activity::End, Outcome::Failure, "protocol error"),
    (" disconnected: protocol error.", Activity::End, Outcome::Failure, "protocol error"),
    (" disconnected due to malformed packet.", Activity::End, Outcome::Failure, "malformed packet"),
    (" disconnected due to out of memory.", Activity::End, Outcome::Failure, "out of memory"),
    (" has exceeded timeout, disconnecting.", Activity::End, Outcome::Failure, "timeout"),
    (" disconnected: exceeded timeout.", Activity::End, Outcome::Failure, "timeout"),
    (" already connected, closing old connection.", Activity::End, Outcome::Success, "already connected"),
    (" been disconnected by administrative action.", Activity::End, Outcome::Denied, "administrative action"),
    (" closed its connection.", Activity::End, Outcome::Success, ""),
    (" disconnected.", Activity::End, Outcome::Success, ""),
];

impl<'l> Told<'l> {
    /// What a message tells, with what earlier ones told; `None` where it names no client.
    pub(super) fn of(message: &'l str, memory: &mut Memory) -> Option<Self> {
        if let Some(address) = message.strip_prefix("New connection from ").and_then(|rest| rest.rsplit_once(" on port ")).map(|(address, _)| address) {
            if memory.open.len() >= OPEN_MAX {
                memory.open.remove(0);
            }
            memory.open.push(Text::from(address));
            return None;
        }
        let mut told = Self::alone(message).or_else(|| subscribed(message, memory))?;
        match (told.client, told.address) {
            (Some(client), Some(address)) => {
                memory.open.retain(|open| open != address);
                if told.outcome == Outcome::Success && told.activity == Activity::Authenticate {
                    memory.addresses.put(client, Text::from(address));
                    memory.users.put(client, told.user.map(Text::from).unwrap_or_default());
                }
            }
            (Some(client), None) if memory.addresses.get(client).is_some() && told.activity != Activity::Authenticate => {
                told.remembered.address = memory.addresses.get(client).cloned();
                told.remembered.user = memory.users.get(client).filter(|user| !user.is_empty()).cloned();
            }
            // With several under way it would be a guess.
            (_, None) if memory.open.len() == 1 => told.remembered.address = memory.open.pop(),
            (_, None) => {}
            (None, Some(address)) => memory.open.retain(|open| open != address && !open.starts_with(&*join(&[address, ":"]))),
        }
        if told.client.is_none() && told.action == "mqtt.disconnect" {
            // Nobody was authenticated yet.
            told.activity = Activity::Authenticate;
            told.action = "mqtt.connect";
            if told.outcome == Outcome::Success {
                (told.outcome, told.reason) = (Outcome::Failure, Some("left before it named itself"));
            }
        }
        Some(told)
    }

    /// What a message tells by itself.
    pub(super) fn alone(message: &'l str) -> Option<Self> {
        if let Some(rest) = message.strip_prefix("New client connected from ").or_else(|| message.strip_prefix("New bridge connected from ")) {
            return connected(rest);
        }
        if let Some(rest) = message.strip_prefix("Client connection from ") {
            return tls(rest);
        }
        if let Some(rest) = message.strip_prefix("Socket error on client ").and_then(|rest| rest.strip_suffix(", disconnecting.")) {
            return Some(Self {
                client: Some(rest),
                activity: Activity::End,
                outcome: Outcome::Failure,
                action: "mqtt.disconnect",
                reason: Some("socket error"),
                ..Self::default()
            });
        }
        if let Some(rest) = message.strip_prefix("Denied ") {
            return packet(rest, Outcome::Denied);
        }
        if let Some(rest) = message.strip_prefix("Received PUBLISH from ").or_else(|| message.strip_prefix("Received PUBLISH to ")) {
            return published(rest, Outcome::Success);
        }
        let rest = message.strip_prefix("Client ").or_else(|| message.strip_prefix("Bridge "))?;
        let (end, activity, outcome, reason) = ENDS.iter().find(|(end, ..)| rest.ends_with(end))?;
        let client = rest.strip_suffix(end)?;
        let client = client.strip_suffix(" has").filter(|_| end.starts_with(" been")).unwrap_or(client);
        // `id [10.0.0.1:5000]` since 2.1.
        let (client, address) = match client.strip_suffix(']').and_then(|client| client.rsplit_once(" [")) {
            Some((client, address)) if is_address(address) => (client, Some(address)),
            _ => (client, None),
        };
        let action = if *activity == Activity::Authenticate { "mqtt.connect" } else { "mqtt.disconnect" };
        Some(
            Self { activity: *activity, outcome: *outcome, action, reason: Some(*reason).filter(|reason| !reason.is_empty()), address, ..Self::default() }
                .by(client),
        )
    }

    fn by(self, client: &'l str) -> Self {
        Self { client: Some(client).filter(|client| !client.is_empty() && *client != "<unknown>"), ..self }
    }

    pub(super) fn parts(&self, parts: &mut Parts<'l>) {
        parts.put(self.client, "client");
        parts.put(self.user, "user");
        parts.put(self.address, "address");
        parts.put(self.topic, "topic");
        parts.put(self.flags, "flags");
    }

    pub(super) fn event(&self, broker: &str) -> Event {
        let address = self.address.or(self.remembered.address.as_deref());
        let ip = address.and_then(host_of);
        let identity = match (self.client, &ip) {
            (Some(client), _) => join(&["mqtt:", broker, ":client/", client]),
            (None, Some(ip)) => join(&["mqtt:", broker, ":address/", ip]),
            (None, None) => join(&["mqtt:", broker, ":client/unknown"]),
        };
        let mut event = Event {
            activity: self.activity,
            outcome: self.outcome,
            action: Some(Text::const_new(self.action)),
            reason: self.reason.map(Text::from),
            identity,
            identity_kind: IdentityKind::Device,
            identity_provider: Text::const_new("mqtt"),
            identity_account: Text::from(broker),
            source_ip: ip,
            destination_service: Some(Text::const_new("mqtt")),
            protocol: Some(Text::const_new("mqtt")),
            format: Text::const_new(NAME),
            ..Event::default()
        };
        if let Some(user) = self.user.or(self.remembered.user.as_deref()) {
            event.credential = Some(join(&["mqtt:", broker, ":user/", user]));
            event.credential_kind = CredentialKind::Password;
        }
        event.user_agent = self.version.map(Text::const_new);
        (event.destination, event.destination_kind) = match self.topic {
            Some(topic) => (Some(join(&["mqtt:", broker, ":topic/", topic])), Some(Text::const_new("topic"))),
            None => (Some(join(&["mqtt:", broker])), Some(Text::const_new("broker"))),
        };
        event
    }
}

/// `10.0.0.1:5000 as id (p2, c1, k60, u'user').`
fn connected(rest: &str) -> Option<Told<'_>> {
    let (address, rest) = rest.split_once(" as ")?;
    let (client, rest) = rest.rsplit_once(" (p")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let flags = rest.split_once([')', '\'']).map(|(flags, _)| flags);
    let user = rest.split_once(", u'").and_then(|(_, user)| user.rsplit_once('\'')).map(|(user, _)| user);
    let whole =
        Told { activity: Activity::Authenticate, outcome: Outcome::Success, action: "mqtt.connect", user, address: Some(address), flags, ..Told::default() };
    let version = match rest.get(..digits) {
        Some("1") => Some("mqtt/3.1"),
        Some("2") => Some("mqtt/3.1.1"),
        Some("5") => Some("mqtt/5"),
        _ => None,
    };
    Some(Told { version, ..whole }.by(client))
}

/// `10.0.0.1 failed: error:…`, `10.0.0.1 denied access by tcpd.`
fn tls(rest: &str) -> Option<Told<'_>> {
    let told = |address, outcome, reason| Told {
        activity: Activity::Authenticate,
        outcome,
        action: "mqtt.connect",
        reason: Some(reason),
        address: Some(address),
        ..Told::default()
    };
    if let Some((address, reason)) = rest.split_once(" failed: ") {
        let reason = reason.trim_end_matches('.');
        return Some(told(address, Outcome::Failure, reason.rsplit_once(':').map_or(reason, |(_, last)| last)));
    }
    rest.strip_suffix(" denied access by tcpd.").map(|address| told(address, Outcome::Denied, "tcpd"))
}

/// `PUBLISH from id (d0, q0, r0, m0, 'topic', …)`.
fn packet(rest: &str, outcome: Outcome) -> Option<Told<'_>> {
    match rest.split_once(" from ")? {
        ("PUBLISH", rest) => published(rest, outcome),
        ("SUBSCRIBE", rest) => Some(Told { activity: Activity::Use, outcome, action: "mqtt.subscribe", ..Told::default() }.by(rest)),
        _ => None,
    }
}

fn published(rest: &str, outcome: Outcome) -> Option<Told<'_>> {
    let (client, rest) = rest.split_once(" (d")?;
    let (flags, rest) = rest.split_once(", '")?;
    let (topic, _) = rest.rsplit_once("', ")?;
    Some(Told { activity: Activity::Use, outcome, action: "mqtt.publish", topic: Some(topic), flags: Some(flags), ..Told::default() }.by(client))
}

/// `id 1 sensors/#`, of a client that is known to be there.
pub(super) fn subscribed<'l>(message: &'l str, memory: &Memory) -> Option<Told<'l>> {
    let at = message.match_indices(' ').map(|(at, _)| at).find(|at| {
        let level = message.as_bytes().get(at + 1..at + 3);
        matches!(level, Some([b'0'..=b'2', b' '])) && message.get(..*at).is_some_and(|client| memory.addresses.get(client).is_some())
    })?;
    let (client, topic) = (message.get(..at)?, message.get(at + 3..)?);
    Some(Told { activity: Activity::Use, outcome: Outcome::Success, action: "mqtt.subscribe", topic: Some(topic), ..Told::default() }.by(client))
}

/// The host of `10.0.0.1:5000`, `2001:db8::1:5000` or `10.0.0.1`.
fn host_of(address: &str) -> Option<Text> {
    if address.matches(':').count() == 1 || !address.contains(':') {
        let host = address.split_once(':').map_or(address, |(host, _)| host);
        return crate::format::ip_address(host);
    }
    let (host, _) = address.rsplit_once(':')?;
    crate::format::ip_address(host).or_else(|| crate::format::ip_address(address))
}

fn is_address(text: &str) -> bool {
    host_of(text).is_some()
}
