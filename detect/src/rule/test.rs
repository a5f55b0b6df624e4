//! The tests that rule files carry: sequences of events with only the fields that matter, and whether the rule fires.
//!
//! ```yaml
//! tests:
//!   - name: a key is used an hour after it was revoked
//!     events:
//!       - {at: 0s, activity: revoke}
//!       - {at: 1h, activity: use}
//!     fires: 1
//! ```
//!
//! An event has the columns of `events`; what is absent has a default (identity `aws:1:user/machine`, credential `KEY`, activity
//! `use`, outcome `success`, kind `service`). Besides: `at` counts from 2026-01-05T00:00:00Z, a Monday; `repeat` and `every` make
//! several of one, with `{i}` in its texts counting from 0; `baseline` sets `baseline.*` features instead of learning them, and
//! `raw` may be a mapping, which becomes JSON, for rules over raw records; and
//! `absence: missed_heartbeat | silent_source` stands for something that did not happen.

use std::sync::Arc;

use keytrail_schemas::{Activity, CredentialKind, Detection, Event, EventId, FindingKind, IdentityKind, LogRecord, Micros, Outcome, Text};
use rustc_hash::FxHashSet;
use serde::Deserialize;

use super::{Rules, source::duration_us};
use crate::{
    Config, Detector, IdentityIx,
    baseline::{self, Absence, Aspect, Novelty, Subject},
    ledger::Likely,
};

/// 2026-01-05T00:00:00Z, a Monday.
const START: Micros = Micros(1_767_571_200_000_000);

/// One test of a rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// What happens, in order.
    pub events: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Whether the rule fires, or how many findings it opens.
    pub fires: Fires,
}

/// What a test expects.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum Fires {
    /// Once, or not.
    Bool(bool),
    /// As many findings.
    Count(usize),
}

impl Fires {
    /// As a number of findings.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Bool(fires) => fires as usize,
            Self::Count(count) => count,
        }
    }
}

/// How a test of a rule ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The rule's file.
    pub file: String,
    /// The test's name.
    pub test: String,
    /// What went wrong; empty when the test passed.
    pub failure: Option<String>,
}

/// What a step of a test feeds to the detector.
enum Step {
    Event(Box<Event>, Option<Box<baseline::Features>>),
    Absence(Box<Event>, bool),
}

/// Runs the tests of one file.
#[must_use]
pub fn run(name: &str, yaml: &str) -> Vec<Report> {
    let rules = match Rules::from_sources(std::iter::once((name.to_owned(), yaml.to_owned()))) {
        Ok(mut rules) => {
            // A sign gives no finding of its own; its test asks whether it is seen.
            rules.rules.iter_mut().for_each(|rule| rule.meta.sign = false);
            Arc::new(rules)
        }
        Err(error) => return vec![Report { file: name.to_owned(), test: String::new(), failure: Some(error.to_string()) }],
    };
    rules
        .rules
        .iter()
        .flat_map(|rule| &rule.tests)
        .map(|test| {
            let failure = match detections(test, &rules) {
                Err(reason) => Some(reason),
                Ok(opened) if opened == test.fires.count() => None,
                Ok(opened) => Some(format!("expected {} detections, and {opened} were opened", test.fires.count())),
            };
            Report { file: name.to_owned(), test: test.name.clone(), failure }
        })
        .collect()
}

fn detections(test: &Test, rules: &Arc<Rules>) -> Result<usize, String> {
    let mut detector = Detector::new(0, Config::default(), rules.clone());
    let mut out = Vec::new();
    let mut offset = 0;
    for (place, event) in test.events.iter().enumerate() {
        for step in steps(event).map_err(|reason| format!("event {}: {reason}", place + 1))? {
            match step {
                Step::Event(mut event, features) => {
                    event.log_offset = offset;
                    event.event_id = EventId::of_provider("test", "", "", u32::try_from(offset).unwrap_or(u32::MAX));
                    // What its doer does habitually is kept, and no alarm: its test asks whether it would be one.
                    let habitual = features.as_ref().and_then(|features| features.habit).is_some_and(|habit| habit.routine);
                    let first = out.len();
                    detector.observe_with(offset, &LogRecord::Event(event), features.map(|f| *f), &mut out);
                    if habitual && rules.rules.iter().any(|rule| rule.meta.learns) {
                        out.truncate(first);
                    }
                }
                Step::Absence(event, of_source) => {
                    let subject =
                        if of_source { Subject::Source(event.source.clone()) } else { Subject::Identity(detector.identify(&event, Likely::default())) };
                    detector.absent(&absence(subject, event.time), &mut out);
                }
            }
            offset += 1;
        }
    }
    // Whether somebody reads it is not the rule's to say; that a routine act is none for itself, is.
    let routine =
        |detection: &Detection| detection.kind == FindingKind::Posture && !rules.rules.iter().any(|rule| rule.id == detection.rule && rule.meta.posture);
    let detections = out.iter().flat_map(|finding| &finding.detections).filter(|detection| !routine(detection));
    Ok(detections.map(|detection| detection.detection_id.as_str()).collect::<FxHashSet<_>>().len())
}

fn absence(subject: Subject, due: Micros) -> Absence {
    Absence {
        subject,
        last_seen: Micros(due.0 - Micros::DAY),
        due,
        expected: "every 1 h".into(),
        learned: "100 windows".into(),
        evidence: 5.0,
        p_value: 1e-5,
        members: Vec::<IdentityIx>::new(),
    }
}

fn steps(given: &serde_json::Map<String, serde_json::Value>) -> Result<Vec<Step>, String> {
    let mut given = given.clone();
    let mut duration = |key: &str| -> Result<Option<i64>, String> {
        given
            .remove(key)
            .map(|value| value.as_str().and_then(duration_us).ok_or_else(|| format!("{key}: {value} is not a duration such as 90s, 15m, 1h, 7d")))
            .transpose()
    };
    let (at, every) = (duration("at")?.unwrap_or(0), duration("every")?.unwrap_or(Micros::MINUTE));
    let repeat = given
        .remove("repeat")
        .map_or(Ok(1), |value| value.as_i64().filter(|n| (1..=100_000).contains(n)).ok_or_else(|| format!("repeat: {value} is not 1 to 100000")))?;
    let features = given.remove("baseline").map(|value| features(&value)).transpose()?;
    let of_source = given
        .remove("absence")
        .map(|value| match value.as_str() {
            Some("missed_heartbeat") => Ok(false),
            Some("silent_source") => Ok(true),
            _ => Err(format!("absence: {value} is neither missed_heartbeat nor silent_source")),
        })
        .transpose()?;
    let template = serde_json::to_value(default_event()).map_err(|error| error.to_string())?;
    (0..repeat)
        .map(|i| {
            let mut event = template.clone();
            for (key, value) in &given {
                if event.get(key).is_none() {
                    return Err(format!("no column is called {key:?}"));
                }
                // A raw record may be written as what it is.
                let value = &if key == "raw" && value.is_object() { value.to_string().into() } else { value.clone() };
                let value = match value.as_str() {
                    Some(text) if key.ends_with("_at") && text.starts_with(['+', '-']) => {
                        let span = duration_us(text.get(1..).unwrap_or_default()).ok_or_else(|| format!("{key}: {text:?}"))?;
                        let span = if text.starts_with('-') { -span } else { span };
                        Micros(START.0 + at + i * every + span).to_rfc3339().into()
                    }
                    Some(text) => text.replace("{i}", &i.to_string()).into(),
                    None => value.clone(),
                };
                if let Some(place) = event.get_mut(key) {
                    *place = value;
                }
            }
            let mut event: Event = serde_json::from_value(event).map_err(|error| error.to_string())?;
            if !given.contains_key("time") {
                event.time = Micros(START.0 + at + i * every);
            }
            Ok(match of_source {
                Some(of_source) => Step::Absence(Box::new(event), of_source),
                None => Step::Event(Box::new(event), features.clone().map(Box::new)),
            })
        })
        .collect()
}

fn default_event() -> Event {
    Event {
        activity: Activity::Use,
        outcome: Outcome::Success,
        identity: Text::const_new("aws:1:user/machine"),
        identity_kind: IdentityKind::Service,
        identity_provider: Text::const_new("aws"),
        identity_account: Text::const_new("1"),
        credential: Some(Text::const_new("KEY")),
        credential_kind: CredentialKind::AccessKey,
        source_ip: Some(Text::const_new("10.0.0.1")),
        destination: Some(Text::const_new("aws:s3/bucket")),
        action: Some(Text::const_new("s3:GetObject")),
        protocol: Some(Text::const_new("https")),
        source: Text::const_new("test"),
        format: Text::const_new("keytrail"),
        ..Event::default()
    }
}

fn habit(features: &mut baseline::Features) -> &mut baseline::Habit {
    features.habit.get_or_insert_default()
}

/// `baseline.*` features as a test gives them, without the prefix.
fn features(value: &serde_json::Value) -> Result<baseline::Features, String> {
    let given = value.as_object().ok_or("baseline: a mapping is expected")?;
    let mut features = baseline::Features { p_value: 1.0, windows: 500, ..baseline::Features::default() };
    for (key, value) in given {
        let number = || value.as_f64().ok_or_else(|| format!("baseline.{key}: {value} is not a number"));
        let fact = || value.as_bool().ok_or_else(|| format!("baseline.{key}: {value} is not true or false"));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of a test")]
        match key.as_str() {
            "total" => features.total = number()?,
            "p_value" => features.p_value = number()?,
            "exceeds_budget" => features.exceeds_budget = fact()?,
            "learning" => features.learning = fact()?,
            "client_family_new" => features.client_family_new = fact()?,
            "windows" => features.windows = number()? as u32,
            "events_in_window" => features.events_in_window = number()? as u32,
            "failures_in_window" => features.failures_in_window = number()? as u32,
            "destinations_in_window" => features.destinations_in_window = number()? as u32,
            "action_class_days" => habit(&mut features).days = number()? as f32,
            "action_class_first" => habit(&mut features).days = if fact()? { 0.0 } else { 1.0 },
            "action_routine" => habit(&mut features).routine = fact()?,
            "hours_away" => features.hours_away = number()? as u8,
            "off_schedule_minutes" => features.off_schedule_minutes = Some(number()? as f32),
            _ => {
                let (name, is_novelty) = key.strip_suffix("_novelty").map_or((key.as_str(), false), |name| (name, true));
                let aspect = Aspect::ALL.into_iter().find(|aspect| aspect.name() == name).ok_or_else(|| format!("no feature is called baseline.{key}"))?;
                let Some(score) = features.scores.get_mut(aspect as usize) else { continue };
                if is_novelty {
                    let word = value.as_str().unwrap_or_default();
                    score.novelty = [Novelty::Known, Novelty::NewToIdentity, Novelty::NewToEveryone, Novelty::Learning, Novelty::NotAssessable]
                        .into_iter()
                        .find(|novelty| novelty.as_str() == word)
                        .ok_or_else(|| format!("baseline.{key}: {value} is no novelty"))?;
                } else {
                    score.evidence = number()? as f32;
                }
            }
        }
    }
    Ok(features)
}
