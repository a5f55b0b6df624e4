//! Declared windows in a rule folder: work within one is lower in the queue and is told all the same; who is silent on a holiday is lower too.

use std::sync::Arc;

use keytrail_detect::rule::load::load;
use keytrail_detect::rule::set::{File, Folder, Set};
use keytrail_detect::{Config, Detector};
use keytrail_schemas::{Event, EventId, Finding, Hash32, IdentityKind, LogRecord, Micros, Outcome, Severity, Text};

const START: &str = "2026-09-01T00:00:00Z";

fn set(windows: &str) -> Set {
    let file = File { path: "plant/windows.yml".to_owned(), text: Ok(windows.to_owned()) };
    Set { without_builtin: false, folders: vec![Folder { path: "rules".to_owned(), severity_max: Severity::Critical, files: vec![file] }] }
}

fn command(offset: i64, minutes: i64, action: &'static str) -> LogRecord {
    LogRecord::Event(Box::new(Event {
        event_id: EventId::of_provider("test", "", "", u32::try_from(offset).unwrap()),
        time: Micros(Micros::parse_rfc3339(START).unwrap().0 + minutes * Micros::MINUTE),
        identity: Text::const_new("zeek:works:host/10.0.0.5"),
        identity_kind: IdentityKind::Device,
        identity_provider: Text::const_new("zeek"),
        protocol: Some(Text::const_new("s7comm")),
        action: Some(Text::const_new(action)),
        destination: Some(Text::const_new("s7comm:10.0.0.9")),
        outcome: Outcome::Success,
        ..Event::default()
    }))
}

/// A station reads every half hour for twenty days; at noon of the 20th, a Sunday, it stops the controller.
fn findings(set: &Set) -> Vec<Finding> {
    let loaded = load(set, &["zeek"]).unwrap();
    assert!(loaded.checked.iter().all(|checked| checked.loads), "{:?}", loaded.checked);
    let mut detector = Detector::new(0, Config::default(), Arc::new(loaded.rules));
    let mut out = Vec::new();
    let noon = (19 * 24 + 12) * 60;
    let reads = (0..noon / 30).map(|n| command(n, n * 30, "s7comm.read_variable"));
    for (offset, record) in (0..).zip(reads.chain([command(100_000, noon + 1, "s7comm.plc_stop")])) {
        detector.observe(offset, &record, &mut out);
    }
    out.retain(|finding| !finding.below_line && finding.detections.iter().any(|detection| detection.action.as_deref() == Some("s7comm.plc_stop")));
    out
}

fn evidence(finding: &Finding) -> String {
    let parts: serde_json::Value = serde_json::from_str(finding.rank_parts.as_deref().unwrap()).unwrap();
    parts.as_array().unwrap().iter().find(|part| part["part"] == "evidence").unwrap()["why"].as_str().unwrap().to_owned()
}

#[test]
fn work_within_a_window_is_lower_and_told_all_the_same() {
    let plain = findings(&Set::default());
    let window = |when: &str, identities: &str| {
        findings(&set(&format!("windows:\n  - {{name: Patch Sunday, kind: maintenance, when: [{when:?}], identities: [{identities:?}]}}\n")))
    };
    let within = window("sun 06:00-14:00", "zeek:works:*");
    let (before, after) = (plain.first().unwrap(), within.first().unwrap());
    assert!(after.score.unwrap() < before.score.unwrap() - 5.0, "{:?} and {:?}", before.score, after.score);
    assert!(evidence(after).ends_with(", within the declared window \"Patch Sunday\""), "{}", evidence(after));
    assert_eq!(before.detections.len(), after.detections.len(), "nothing is hidden");
    // Another day, another station: as if nothing had been declared.
    for (when, identities) in [("sat 06:00-14:00", "zeek:works:*"), ("sun 06:00-14:00", "zeek:works:host/10.0.0.6")] {
        let other = window(when, identities);
        assert_eq!(other.first().map(|finding| finding.score), plain.first().map(|finding| finding.score), "{when} {identities}");
    }
}

/// The highest score of what says that a station is silent which read every half hour for twenty days.
fn missed(set: &Set) -> Option<f64> {
    let mut detector = Detector::new(0, Config::default(), Arc::new(load(set, &["zeek"]).unwrap().rules));
    let mut out = Vec::new();
    let end = 20 * 24 * 60;
    // Others of the same sensor go on for two days more.
    for offset in 0..end / 30 + 96 {
        for who in 5..9_i64 {
            if who == 5 && offset >= end / 30 {
                continue;
            }
            let LogRecord::Event(mut event) = command(offset * 4 + who - 5, offset * 30, "s7comm.read_variable") else { unreachable!() };
            event.identity = format!("zeek:works:host/10.0.0.{who}").into();
            event.environment = Some(Text::const_new("works"));
            detector.observe(offset * 4 + who - 5, &LogRecord::Event(event), &mut out);
        }
    }
    let of = out.iter().flat_map(|finding| &finding.detections).filter(|detection| detection.rule == "missed-heartbeat");
    of.filter_map(|detection| detection.score).reduce(f64::max)
}

#[test]
fn who_is_silent_on_a_holiday_is_lower_where_it_was_known() {
    let plain = missed(&Set::default()).unwrap();
    let holiday = |environment: &str| {
        missed(&set(&format!("windows:\n  - {{name: Holiday, kind: holiday, when: [\"2026-09-20/2026-09-23\"], environments: [{environment}]}}\n"))).unwrap()
    };
    assert!(holiday("works") < plain - 5.0, "{} and {plain}", holiday("works"));
    assert_eq!(holiday("elsewhere"), plain);
}

#[test]
fn windows_are_part_of_the_set_that_a_replay_judges_by() {
    let one = set("windows:\n  - {name: A, kind: holiday, when: [\"2026-12-24\"]}\n");
    let other = set("windows:\n  - {name: A, kind: holiday, when: [\"2026-12-25\"]}\n");
    assert_ne!(one.hash(), other.hash());
    assert_ne!(one.hash(), Hash32::default());
}

#[test]
fn a_file_of_windows_that_is_wrong_is_named_and_the_rest_judges() {
    let loaded = load(&set("windows:\n  - {name: A, kind: holiday, when: [tomorrow]}\n"), &["zeek"]).unwrap();
    let [checked] = loaded.checked.as_slice() else { panic!("{:?}", loaded.checked) };
    assert!(!checked.loads && checked.reason.as_deref().unwrap().contains("tomorrow"), "{checked:?}");
    assert!(checked.path == "rules/plant/windows.yml", "{checked:?}");
    assert!(!loaded.rules.list().is_empty());
}
