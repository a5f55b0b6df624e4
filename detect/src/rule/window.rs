//! Declared windows: times at which somebody said that there would be work (maintenance), or none (a holiday). They stand in rule folders, in files whose
//! only section is `windows:`, and are part of the set of rules: a replay judges with those that were in force at that place of the log.
//!
//! A window lowers the rank of what happens within it and hides nothing: detections stay, and facts are read whatever was declared.

use keytrail_schemas::{Event, Micros, Text};
use serde::Deserialize;

use crate::inventory::{Hours, glob};

/// Most windows of a set.
const WINDOWS_MAX: usize = 4_096;

/// What is expected within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Work that is not done every day: engineers, vendors, patches.
    Maintenance,
    /// Nothing: who is silent then is not missed.
    Holiday,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    windows: Vec<WrittenWindow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWindow {
    name: Text,
    kind: Kind,
    when: Vec<String>,
    #[serde(default)]
    identities: Option<Vec<Text>>,
    #[serde(default)]
    destinations: Option<Vec<Text>>,
    #[serde(default)]
    environments: Option<Vec<Text>>,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// As its file calls it.
    pub name: Text,
    /// What is expected.
    pub kind: Kind,
    when: Vec<When>,
    identities: Option<Vec<Text>>,
    destinations: Option<Vec<Text>>,
    environments: Option<Vec<Text>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    /// From the first to the second, without it.
    Once(Micros, Micros),
    Weekly(Hours),
}

/// Every window of a set, in the order of their files.
#[derive(Debug, Clone, Default)]
pub struct Windows(Vec<Window>);

impl Windows {
    /// Takes further ones.
    ///
    /// # Errors
    /// When there would be more than 4,096.
    pub fn extend(&mut self, windows: Vec<Window>) -> Result<(), String> {
        if self.0.len() + windows.len() > WINDOWS_MAX {
            return Err(format!("with its windows there would be more than {WINDOWS_MAX}: merge those that are over, or take them out"));
        }
        self.0.extend(windows);
        Ok(())
    }

    /// The first window that speaks of the event: one for work, or where nothing was done, and `silent` has the environments of who is missed, one of either kind.
    #[must_use]
    pub fn over(&self, event: &Event, silent: Option<&[&Text]>) -> Option<&Window> {
        self.0.iter().find(|window| (silent.is_some() || window.kind == Kind::Maintenance) && window.holds(event, silent))
    }
}

impl Window {
    fn holds(&self, event: &Event, silent: Option<&[&Text]>) -> bool {
        let of = |patterns: &Option<Vec<Text>>, values: &[&Text]| {
            patterns.as_ref().is_none_or(|patterns| values.iter().any(|value| patterns.iter().any(|pattern| glob(pattern, value))))
        };
        of(&self.identities, &[&event.identity])
            && of(&self.destinations, event.destination.as_ref().as_slice())
            && of(&self.environments, silent.unwrap_or(event.environment.as_ref().as_slice()))
            && self.when.iter().any(|when| match when {
                When::Once(from, to) => (*from..*to).contains(&event.time),
                When::Weekly(hours) => hours.contains(event.time),
            })
    }
}

/// Whether a file of a rule folder is one of windows.
#[must_use]
pub fn is_file_of_windows(yaml: &str) -> bool {
    yaml.lines().any(|line| line.starts_with("windows:")) && !yaml.lines().any(|line| line.starts_with("detection:") || line.starts_with("correlation:"))
}

/// Reads a file of windows.
///
/// # Errors
/// What is wrong with it, naming the window and the field.
pub fn parse(yaml: &str) -> Result<Vec<Window>, String> {
    let written: Written = yaml_serde::from_str(yaml).map_err(|error| error.to_string())?;
    written.windows.into_iter().map(read).collect()
}

fn read(written: WrittenWindow) -> Result<Window, String> {
    let WrittenWindow { name, kind, when, identities, destinations, environments } = written;
    let when = when
        .iter()
        .map(|text| {
            span(text).ok_or_else(|| {
                format!("the window {name:?}: when: {text:?} is neither hours of a week in UTC (sun 06:00-14:00), nor a day or days (2026-12-24/2026-12-26), nor times (2026-10-18T06:00:00Z/2026-10-18T14:00:00Z)")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if when.is_empty() {
        return Err(format!("the window {name:?}: when: it says no time"));
    }
    Ok(Window { name, kind, when, identities, destinations, environments })
}

/// `FROM/TO` in RFC 3339, without `TO`; `DAY` or `DAY/DAY`, with the last one; or hours of a week.
fn span(text: &str) -> Option<When> {
    let text = text.trim();
    let is_date = |text: &str| text.len() == 10;
    let day = |text: &str| Micros::parse_rfc3339(&format!("{text}T00:00:00Z")).ok();
    let (from, to) = match text.split_once('/') {
        Some((from, to)) if is_date(from) && is_date(to) => (day(from)?, Micros(day(to)?.0 + Micros::DAY)),
        Some((from, to)) => (Micros::parse_rfc3339(from).ok()?, Micros::parse_rfc3339(to).ok()?),
        None if is_date(text) && day(text).is_some() => (day(text)?, Micros(day(text)?.0 + Micros::DAY)),
        None => return Hours::read(text).map(When::Weekly),
    };
    (from < to).then_some(When::Once(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
windows:
  - name: Patch Sunday
    kind: maintenance
    when: ["sun 06:00-14:00", "2026-10-20T22:00:00Z/2026-10-21T02:00:00Z"]
    identities: ["zeek:works:host/10.*.5.3*"]
    destinations: ["s7comm:*", "modbus:*"]
  - name: Christmas
    kind: holiday
    when: ["2026-12-24/2026-12-26"]
    environments: [works]
"#;

    fn windows() -> Windows {
        let mut windows = Windows::default();
        assert!(is_file_of_windows(FILE));
        windows.extend(parse(FILE).unwrap()).unwrap();
        windows
    }

    fn event(time: &str, identity: &str, destination: &str) -> Event {
        Event {
            time: Micros::parse_rfc3339(time).unwrap(),
            identity: identity.into(),
            destination: Some(destination.into()),
            environment: Some("works".into()),
            ..Event::default()
        }
    }

    #[test]
    fn work_inside_a_window_and_beside_it() {
        let windows = windows();
        let name =
            |time: &str, identity: &str, destination: &str| windows.over(&event(time, identity, destination), None).map(|window| window.name.to_string());
        let patch = Some("Patch Sunday".to_owned());
        // 2026-10-18 was a Sunday.
        assert_eq!(name("2026-10-18T06:00:00Z", "zeek:works:host/10.101.5.30", "s7comm:10.101.10.10"), patch);
        assert_eq!(name("2026-10-18T14:00:00Z", "zeek:works:host/10.101.5.30", "s7comm:10.101.10.10"), None, "it is over");
        assert_eq!(name("2026-10-21T01:59:59Z", "zeek:works:host/10.101.5.30", "modbus:10.101.10.10/unit/1"), patch);
        assert_eq!(name("2026-10-18T06:00:00Z", "zeek:works:host/10.101.5.40", "s7comm:10.101.10.10"), None, "another station");
        assert_eq!(name("2026-10-18T06:00:00Z", "zeek:works:host/10.101.5.30", "cip:10.101.10.10"), None, "another protocol");
        assert_eq!(name("2026-12-25T12:00:00Z", "zeek:works:host/10.101.5.40", "cip:10.101.10.10"), None, "on a holiday nobody works");
    }

    #[test]
    fn who_is_silent_on_a_holiday_is_not_missed() {
        let windows = windows();
        // What did not happen has no destination and no environment: those of who is missed are what the ledger knows.
        let missed = Event { destination: None, environment: None, ..event("2026-12-24T00:00:00Z", "zeek:works:host/10.101.5.40", "") };
        let name = |time: &str, environments: &[&Text]| {
            let missed = Event { time: Micros::parse_rfc3339(time).unwrap(), ..missed.clone() };
            windows.over(&missed, Some(environments)).map(|window| window.name.to_string())
        };
        let (works, elsewhere) = (Text::const_new("works"), Text::const_new("elsewhere"));
        let silent = |time: &str| name(time, &[&elsewhere, &works]);
        assert_eq!(name("2026-12-24T00:00:00Z", &[&elsewhere]), None);
        assert_eq!(name("2026-12-24T00:00:00Z", &[]), None);
        assert_eq!(silent("2026-12-24T00:00:00Z"), Some("Christmas".to_owned()));
        assert_eq!(silent("2026-12-26T23:59:59Z"), Some("Christmas".to_owned()));
        assert_eq!(silent("2026-12-27T00:00:00Z"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |when: &str| parse(&format!("windows:\n  - {{name: W, kind: maintenance, when: [{when:?}]}}\n")).unwrap_err();
        for when in ["someday", "2026-13-01", "2026-10-18T14:00:00Z/2026-10-18T06:00:00Z", "sun 25:00-26:00"] {
            assert!(wrong(when).contains(when) && wrong(when).contains("\"W\""), "{when}: {}", wrong(when));
        }
        assert!(parse("windows:\n  - {name: W, kind: party, when: [\"2026-10-18\"]}\n").unwrap_err().contains("party"));
        assert!(parse("windows:\n  - {name: W, kind: holiday, when: []}\n").unwrap_err().contains("no time"));
        assert!(parse("windows:\n  - {name: W, kind: holiday, wen: [\"2026-10-18\"]}\n").unwrap_err().contains("wen"));
        assert!(!is_file_of_windows("title: A\ndetection:\n  windows: 1\n"));
        let many = vec![parse(FILE).unwrap().remove(0); WINDOWS_MAX];
        let mut windows = windows();
        assert!(windows.extend(many).unwrap_err().contains("4096"));
    }
}
