//! Declared identities and their bindings: what was said to be allowed, as it was said at the time. Declarations arrive as events
//! (`activity = declare`, the declaration as JSON in `raw`), so a replay judges with the inventory of its day.

use std::net::IpAddr;

use keytrail_schemas::{Event, Micros, Text};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::ledger::Limits;

/// One declaration, as JSON in the event's `raw`. Every part of the binding that is absent allows everything.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declaration {
    /// Whom it declares; the event's identity when absent.
    pub identity: Option<Text>,
    /// Other names of the same identity, in other providers.
    pub aliases: Vec<Text>,
    /// Who answers for it.
    pub owner: Option<Text>,
    /// What it is.
    pub kind: Option<Text>,
    /// Where it belongs.
    pub environment: Option<Text>,
    /// What it is for.
    pub purpose: Option<Text>,
    /// RFC 3339 time or date from which it must not act any more.
    pub retires: Option<Text>,
    /// What it may do.
    pub binding: Binding,
}

/// What a declared identity may do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Binding {
    /// Patterns of destinations; `*` stands for any characters.
    pub destinations: Option<Vec<Text>>,
    /// Protocols.
    pub protocols: Option<Vec<Text>>,
    /// Environments.
    pub environments: Option<Vec<Text>>,
    /// Source networks in CIDR notation.
    pub networks: Option<Vec<Text>>,
    /// Hours in UTC, such as `mon-fri 06:00-20:00` or `22:00-02:00`.
    pub hours: Option<Vec<Text>>,
    /// Oldest age of its credentials, in days.
    pub credential_age_days_max: Option<f64>,
    /// Longest lifetime of its credentials, in days.
    pub credential_lifetime_days_max: Option<f64>,
}

/// `declared.*` of one event; `None` where nothing is declared, or the event does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// The identity is declared.
    pub known: bool,
    /// It is declared without an owner.
    pub owner_missing: bool,
    /// It should not act any more.
    pub retired: bool,
    /// The destination is one of the allowed.
    pub destination_allowed: Option<bool>,
    /// The protocol is.
    pub protocol_allowed: Option<bool>,
    /// The environment is.
    pub environment_allowed: Option<bool>,
    /// The source address is.
    pub network_allowed: Option<bool>,
    /// The hour is.
    pub hours_allowed: Option<bool>,
}

/// A declaration that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The event carries no declaration.
    #[error("the declare event carries no raw record")]
    Empty,
    /// The declaration is not what it should be.
    #[error("the declaration is not valid: {0}")]
    Invalid(String),
    /// The bound on declarations is reached.
    #[error("{0} identities are declared, which is the bound")]
    Full(usize),
}

/// All declarations in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Inventory {
    #[serde(with = "crate::sorted::map")]
    declared: FxHashMap<Text, Declared>,
    refused: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Declared {
    owner: Option<Text>,
    environment: Option<Text>,
    retires: Option<Micros>,
    destinations: Option<Vec<Text>>,
    protocols: Option<Vec<Text>>,
    environments: Option<Vec<Text>>,
    networks: Option<Vec<Network>>,
    hours: Option<Vec<Hours>>,
    age_days_max: Option<f64>,
    lifetime_days_max: Option<f64>,
}

impl Inventory {
    /// Takes a declaration; a refused one is counted, and leaves what was declared before in force.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub fn declare(&mut self, event: &Event, declarations_max: usize) -> Result<(), Refused> {
        let done = self.try_declare(event, declarations_max);
        self.refused += u64::from(done.is_err());
        done
    }

    /// Declarations refused so far.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Owner and environment of an identity.
    #[must_use]
    pub fn owner_and_environment(&self, identity: &str) -> (Option<&Text>, Option<&Text>) {
        self.declared.get(identity).map_or((None, None), |declared| (declared.owner.as_ref(), declared.environment.as_ref()))
    }

    /// The limits declared for an identity's credentials.
    #[must_use]
    pub fn limits(&self, identity: &str) -> Limits {
        if self.declared.is_empty() {
            return Limits::default();
        }
        self.declared
            .get(identity)
            .map(|declared| Limits { age_days_max: declared.age_days_max, lifetime_days_max: declared.lifetime_days_max })
            .unwrap_or_default()
    }

    /// What is declared for the event's identity, held against the event.
    #[must_use]
    pub fn features(&self, event: &Event) -> Features {
        if self.declared.is_empty() {
            return Features::default();
        }
        let Some(declared) = self.declared.get(&event.identity) else { return Features::default() };
        let one_of = |allowed: &Option<Vec<Text>>, value: &Option<Text>| allowed.as_ref().zip(value.as_ref()).map(|(allowed, value)| allowed.contains(value));
        Features {
            known: true,
            owner_missing: declared.owner.is_none(),
            retired: declared.retires.is_some_and(|retires| retires <= event.time),
            destination_allowed: declared
                .destinations
                .as_ref()
                .zip(event.destination.as_ref())
                .map(|(allowed, value)| allowed.iter().any(|pattern| glob(pattern, value))),
            protocol_allowed: one_of(&declared.protocols, &event.protocol),
            environment_allowed: one_of(&declared.environments, &event.environment),
            network_allowed: declared
                .networks
                .as_ref()
                .zip(event.source_ip.as_ref().and_then(|ip| ip.parse::<IpAddr>().ok()))
                .map(|(allowed, ip)| allowed.iter().any(|network| network.contains(ip))),
            hours_allowed: declared.hours.as_ref().map(|allowed| allowed.iter().any(|hours| hours.contains(event.time))),
        }
    }

    fn try_declare(&mut self, event: &Event, declarations_max: usize) -> Result<(), Refused> {
        let raw = event.raw.as_deref().ok_or(Refused::Empty)?;
        let declaration: Declaration = serde_json::from_str(raw).map_err(|error| Refused::Invalid(error.to_string()))?;
        let declared = Declared::read(&declaration)?;
        let identity = declaration.identity.unwrap_or_else(|| event.identity.clone());
        for name in std::iter::once(identity).chain(declaration.aliases) {
            if self.declared.len() >= declarations_max && !self.declared.contains_key(&name) {
                return Err(Refused::Full(declarations_max));
            }
            self.declared.insert(name, declared.clone());
        }
        Ok(())
    }
}

impl Declared {
    fn read(declaration: &Declaration) -> Result<Self, Refused> {
        let binding = &declaration.binding;
        let retires = match &declaration.retires {
            None => None,
            Some(text) => {
                let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_string() };
                Some(Micros::parse_rfc3339(&full).map_err(|error| Refused::Invalid(format!("retires: {error}")))?)
            }
        };
        Ok(Self {
            owner: declaration.owner.clone().filter(|owner| !owner.is_empty()),
            environment: declaration.environment.clone(),
            retires,
            destinations: binding.destinations.clone(),
            protocols: binding.protocols.clone(),
            environments: binding.environments.clone(),
            networks: read_all(binding.networks.as_deref(), Network::read, "networks")?,
            hours: read_all(binding.hours.as_deref(), Hours::read, "hours")?,
            age_days_max: binding.credential_age_days_max,
            lifetime_days_max: binding.credential_lifetime_days_max,
        })
    }
}

fn read_all<T>(texts: Option<&[Text]>, read: impl Fn(&str) -> Option<T>, name: &str) -> Result<Option<Vec<T>>, Refused> {
    texts.map(|texts| texts.iter().map(|text| read(text).ok_or_else(|| Refused::Invalid(format!("{name}: {text:?}")))).collect()).transpose()
}

/// A source network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Network {
    base: u128,
    bits: u8,
    v4: bool,
}

impl Network {
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let v4 = address.is_ipv4();
        let width = if v4 { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then(|| Self { base: number(address) >> shift(width - bits).min(127), bits, v4 })
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let width = if self.v4 { 32 } else { 128 };
        let ip = ip.to_canonical();
        self.bits == 0 && self.v4 == ip.is_ipv4() || self.v4 == ip.is_ipv4() && number(ip) >> shift(width - self.bits).min(127) == self.base
    }
}

fn shift(bits: u8) -> u32 {
    u32::from(bits)
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Days of the week and a span of the day, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hours {
    /// Bit 0 is Monday.
    days: u8,
    from_minute: u16,
    to_minute: u16,
}

impl Hours {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches("UTC").trim_end();
        let (days, span) = text.rsplit_once(' ').unwrap_or(("mon-sun", text));
        let (from, to) = span.split_once('-')?;
        let mut mask = 0_u8;
        for part in days.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (weekday(first)?, weekday(last)?);
            let mut day = first;
            loop {
                mask |= 1 << day;
                if day == last {
                    break;
                }
                day = (day + 1) % 7;
            }
        }
        Some(Self { days: mask, from_minute: minute(from)?, to_minute: minute(to)? })
    }

    pub(crate) fn contains(&self, time: Micros) -> bool {
        // 1970-01-01 was a Thursday.
        let weekday = (time.day() + 3).rem_euclid(7);
        let minute = u16::try_from(time.0.rem_euclid(Micros::DAY) / Micros::MINUTE).unwrap_or(0);
        let on = |day: i64| self.days >> day.rem_euclid(7) & 1 == 1;
        if self.from_minute <= self.to_minute {
            on(weekday) && (self.from_minute..self.to_minute).contains(&minute)
        } else {
            on(weekday) && minute >= self.from_minute || on(weekday - 1) && minute < self.to_minute
        }
    }
}

fn weekday(text: &str) -> Option<u8> {
    let text = text.trim().to_ascii_lowercase();
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().zip(0..).find(|(day, _)| text.starts_with(*day)).map(|(_, at)| at)
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 24 && minutes < 60 && hours * 60 + minutes <= 1440).then_some(hours * 60 + minutes)
}

/// Whether `text` is `pattern`, in which `*` stands for any characters.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return text.is_empty() };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(json: &str) -> Inventory {
        let mut inventory = Inventory::default();
        inventory.declare(&Event { identity: "a".into(), raw: Some(json.to_owned()), ..Event::default() }, 10).unwrap();
        inventory
    }

    #[test]
    fn a_binding_is_held_against_the_event() {
        let inventory = declared(
            r#"{"owner":"team","retires":"2026-03-01","binding":{"destinations":["aws:s3/*-logs","x"],"networks":["10.0.0.0/8","fd00::/8"],"hours":["mon-fri 06:00-20:00","sat 22:00-02:00"],"protocols":["https"]}}"#,
        );
        let event = |time: &str, destination: &str, ip: &str| Event {
            identity: "a".into(),
            time: Micros::parse_rfc3339(time).unwrap(),
            destination: Some(destination.into()),
            source_ip: Some(ip.into()),
            protocol: Some("http".into()),
            ..Event::default()
        };
        let good = inventory.features(&event("2026-02-27T10:00:00Z", "aws:s3/app-logs", "10.1.2.3"));
        assert_eq!((good.known, good.owner_missing, good.retired), (true, false, false));
        assert_eq!(
            (good.destination_allowed, good.network_allowed, good.hours_allowed, good.protocol_allowed, good.environment_allowed),
            (Some(true), Some(true), Some(true), Some(false), None)
        );
        let bad = inventory.features(&event("2026-03-01T10:00:00Z", "aws:s3/app-logs-2", "11.1.2.3"));
        assert_eq!((bad.retired, bad.destination_allowed, bad.network_allowed, bad.hours_allowed), (true, Some(false), Some(false), Some(false)));
        assert_eq!(inventory.features(&event("2026-03-01T01:59:00Z", "x", "fd00::1")).hours_allowed, Some(true), "past midnight of Saturday");
    }

    #[test]
    fn a_wrong_declaration_is_refused_and_the_old_one_stays() {
        let mut inventory = declared(r#"{"owner":"team"}"#);
        for raw in ["{", r#"{"ownr":"x"}"#, r#"{"binding":{"networks":["10.0.0.0/33"]}}"#, r#"{"binding":{"hours":["25:00-26:00"]}}"#, r#"{"retires":"soon"}"#]
        {
            assert!(inventory.declare(&Event { identity: "a".into(), raw: Some(raw.to_owned()), ..Event::default() }, 10).is_err(), "{raw}");
        }
        assert_eq!(inventory.refused(), 5);
        assert_eq!(inventory.owner_and_environment("a").0.map(Text::as_str), Some("team"));
    }

    #[test]
    fn globs() {
        assert!(glob("a*c", "abc") && glob("*", "") && glob("a*b*c", "a-b-b-c") && glob("abc", "abc"));
        assert!(!glob("a*c", "abd") && !glob("abc", "abcd") && !glob("a*b*c", "acb"));
    }
}
