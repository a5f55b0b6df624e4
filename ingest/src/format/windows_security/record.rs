//! An event in any of its shapes, read alike.

use std::borrow::Cow;

use chrono::NaiveDateTime;
use keytrail_schemas::{Micros, Text};

use crate::format::join::join;
use crate::format::{Reject, utc_time};
use crate::json::Value;

/// One event.
pub(super) struct Record<'d> {
    root: Value<'d>,
    shape: Shape,
    pub(super) id: i64,
    data: Option<Value<'d>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Winlogbeat, Elastic Agent; `true` for those before 7.0, which have no `winlog`.
    Beat(bool),
    /// NXLog and the like: everything at the top.
    Flat,
    /// `Event.System` and `Event.EventData`.
    Whole,
}

impl<'d> Record<'d> {
    fn shape(root: Value<'d>) -> Option<Shape> {
        if root.at(&["winlog", "event_id"]).is_some() || root.at(&["winlog", "channel"]).is_some() {
            Some(Shape::Beat(false))
        } else if root.get("event_data").is_some() && root.get("event_id").is_some() {
            Some(Shape::Beat(true))
        } else if root.at(&["Event", "System"]).is_some() {
            Some(Shape::Whole)
        } else if root.get("EventID").is_some() && (root.get("Channel").is_some() || root.get("SourceName").is_some() || root.get("ProviderGuid").is_some()) {
            Some(Shape::Flat)
        } else {
            None
        }
    }

    /// How surely a value is one.
    pub(super) fn certainty(root: Value<'d>) -> u8 {
        let Some(shape) = Self::shape(root) else { return 0 };
        let record = Self { root, shape, id: 0, data: None };
        if record.is_of_security() { 95 } else { 70 }
    }

    /// The event; `None` for one of another log.
    ///
    /// # Errors
    /// When it is no event of Windows, or has no id.
    pub(super) fn of(root: Value<'d>) -> Result<Option<Self>, Reject> {
        let shape = Self::shape(root)
            .ok_or_else(|| Reject::wrong_kind("no event of Windows: neither winlog.event_data, nor Event.System, nor an EventID beside a Channel"))?;
        let mut record = Self { root, shape, id: 0, data: None };
        if !record.is_of_security() {
            return Ok(None);
        }
        let (id, data) = match shape {
            Shape::Beat(old) => {
                let winlog = if old { Some(root) } else { root.get("winlog") };
                let data =
                    winlog.and_then(|winlog| winlog.get("event_data").filter(|data| data.entries().next().is_some()).or_else(|| winlog.get("user_data")));
                (winlog.and_then(|winlog| winlog.get("event_id")).or_else(|| root.at(&["event", "code"])), data)
            }
            Shape::Flat => (root.get("EventID"), Some(root)),
            Shape::Whole => {
                let id = root.at(&["Event", "System", "EventID"]);
                let data = root.at(&["Event", "EventData"]).filter(|data| data.is_object());
                // What some providers write lies within an element of their own.
                let user = || root.at(&["Event", "UserData"]).and_then(|user| user.entries().map(|(_, inner)| inner).find(|inner| inner.is_object()));
                (id.and_then(|id| id.get("#text").or(Some(id))), data.or_else(user))
            }
        };
        record.id =
            id.and_then(|id| id.as_i64().or_else(|| id.as_str()?.parse().ok())).ok_or_else(|| Reject::malformed("EventID", "an event without an EventID"))?;
        record.data = data;
        Ok(Some(record))
    }

    fn is_of_security(&self) -> bool {
        let channel = self.system("Channel", "channel");
        let provider = self.system("Provider", "provider_name").or_else(|| self.root.str_at(&["SourceName"]));
        match channel {
            Some(channel) => channel.eq_ignore_ascii_case("security"),
            None => provider.is_none_or(|provider| matches!(provider, "Microsoft-Windows-Security-Auditing" | "Microsoft-Windows-Eventlog")),
        }
    }

    fn system(&self, key: &str, beat: &str) -> Option<&'d str> {
        match self.shape {
            Shape::Beat(false) => self.root.str_at(&["winlog", beat]),
            Shape::Beat(true) => self.root.str_at(&[match beat {
                "channel" => "log_name",
                "provider_name" => "source_name",
                other => other,
            }]),
            Shape::Flat => self.root.str_at(&[key]),
            Shape::Whole => {
                let value = self.root.at(&["Event", "System", key])?;
                value.as_text().or_else(|| value.str_at(&["#text"])).or_else(|| value.str_at(&["#attributes", "Name"]))
            }
        }
    }

    /// A field of the event's data; what Windows writes for nothing is none.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'d, str>> {
        let value = self.data?.get(name)?;
        let text = match value.as_str().or_else(|| value.str_at(&["#text"])) {
            Some(text) => Cow::Borrowed(text.trim()),
            None if value.is_object() || value.is_array() || value.is_null() => return None,
            None => Cow::Owned(value.to_json()),
        };
        (!text.is_empty() && text != "-" && text != "NULL SID").then_some(text)
    }

    /// The computer that wrote it.
    pub(super) fn computer(&self) -> Option<&'d str> {
        self.system("Computer", "computer_name").or_else(|| self.root.str_at(&["Hostname"])).or_else(|| self.root.str_at(&["host", "name"]))
    }

    /// The computer's number for it.
    pub(super) fn provider_id(&self) -> Option<Text> {
        let number = match self.shape {
            Shape::Beat(false) => self.root.at(&["winlog", "record_id"]),
            Shape::Beat(true) => self.root.get("record_number"),
            Shape::Flat => self.root.get("RecordNumber").or_else(|| self.root.get("EventRecordID")),
            Shape::Whole => self.root.at(&["Event", "System", "EventRecordID"]),
        }?;
        let number = number.as_str().map_or_else(|| number.to_json(), str::to_owned);
        // The log may have been cleared, and its numbers begun again.
        let time = self.time().ok()?;
        Some(join(&[self.computer()?, "/", &number, "/", &time.0.to_string()]))
    }

    pub(super) fn time(&self) -> Result<Micros, Reject> {
        let (field, found) = match self.shape {
            Shape::Beat(false) => match self.root.str_at(&["winlog", "time_created"]) {
                Some(time) => ("winlog.time_created", Some(time)),
                None => ("@timestamp", self.root.str_at(&["@timestamp"])),
            },
            Shape::Beat(true) => ("@timestamp", self.root.str_at(&["@timestamp"])),
            Shape::Whole => (
                "Event.System.TimeCreated",
                self.root.at(&["Event", "System", "TimeCreated"]).and_then(|time| time.str_at(&["#attributes", "SystemTime"]).or_else(|| time.as_text())),
            ),
            Shape::Flat => return self.flat_time(),
        };
        found.and_then(utc_time).ok_or_else(|| Reject::no_time(field, found))
    }

    /// NXLog's local time, by the zone that two times of receipt tell: one local, one of UTC.
    fn flat_time(&self) -> Result<Micros, Reject> {
        const QUARTER: i64 = 15 * Micros::MINUTE;
        let key = ["EventTime", "TimeCreated", "UtcTime", "@timestamp"].into_iter().find(|key| self.root.str_at(&[key]).is_some()).unwrap_or("EventTime");
        let found = self.root.str_at(&[key]);
        let time = found.and_then(utc_time).ok_or_else(|| Reject::no_time(key, found))?;
        let is_local = found.is_some_and(|text| {
            NaiveDateTime::parse_from_str(text.get(..19).unwrap_or_default(), "%Y-%m-%d %H:%M:%S").is_ok()
                && !text.ends_with('Z')
                && !text.get(10..).is_some_and(|rest| rest.contains(['+', '-']))
        });
        let received = || Some((self.root.str_at(&["EventReceivedTime"]).and_then(utc_time)?, self.root.str_at(&["@timestamp"]).and_then(utc_time)?));
        match received().filter(|_| is_local) {
            Some((local, utc)) => {
                let offset = (utc.0 - local.0 + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
                if offset.abs() <= 15 * Micros::HOUR { Ok(Micros(time.0 + offset)) } else { Ok(time) }
            }
            None => Ok(time),
        }
    }

    /// Whether the audit says that it failed; `None` where it does not say.
    pub(super) fn failed(&self) -> Option<bool> {
        const FAILURE: u64 = 0x0010_0000_0000_0000;
        const SUCCESS: u64 = 0x0020_0000_0000_0000;
        let by_word = |word: &str| {
            let word = word.to_ascii_lowercase();
            if word.contains("fail") { Some(true) } else { word.contains("success").then_some(false) }
        };
        match self.shape {
            Shape::Beat(old) => {
                let keywords = if old { self.root.get("keywords") } else { self.root.at(&["winlog", "keywords"]) };
                let keywords = keywords.into_iter().flat_map(Value::items).filter_map(Value::as_str).find_map(by_word);
                keywords
                    .or_else(|| self.root.str_at(&["winlog", "outcome"]).and_then(by_word))
                    .or_else(|| self.root.str_at(&["event", "outcome"]).and_then(by_word))
            }
            Shape::Flat => self.root.str_at(&["EventType"]).and_then(by_word),
            Shape::Whole => {
                let keywords = self.system("Keywords", "keywords")?.trim_start_matches("0x");
                let bits = u64::from_str_radix(keywords, 16).ok()?;
                if bits & FAILURE != 0 { Some(true) } else { (bits & SUCCESS != 0).then_some(false) }
            }
        }
    }
}
