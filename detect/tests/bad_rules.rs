//! Folders of rules in which something is wrong: what is wrong is named and left out, the others judge.

use std::sync::Arc;

use keytrail_detect::rule::load::{Checked, Loaded, load};
use keytrail_detect::rule::set::{File, Folder, Set};
use keytrail_detect::{Config, Detector};
use keytrail_schemas::{Event, Finding, Hash32, IdentityKind, LogRecord, Micros, Severity, Text};

const FORMATS: &[&str] = &["cloudtrail", "k8s_audit"];

fn rule(id: &str, selection: &str) -> String {
    format!(
        "title: Rule {id}\nid: {id}\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n  selection:\n    {selection}\n  condition: selection\nlevel: critical\ntags: [attack.t1562.008]\n"
    )
}

fn set(files: &[(&str, &str)]) -> Set {
    let files = files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: Ok((*text).to_owned()) }).collect();
    Set { without_builtin: true, folders: vec![Folder { path: "rules".to_owned(), severity_max: Severity::Medium, files }] }
}

fn loaded(files: &[(&str, &str)]) -> Loaded {
    load(&set(files), FORMATS).unwrap()
}

fn of<'a>(loaded: &'a Loaded, path: &str) -> &'a Checked {
    loaded.checked.iter().find(|checked| checked.path == format!("rules/{path}")).unwrap()
}

/// Findings over CloudTrail records, a second apart.
fn findings(set: &Set, raws: &[&str]) -> Vec<Finding> {
    let mut detector = Detector::new(0, Config::default(), Arc::new(load(set, FORMATS).unwrap().rules));
    let mut out = Vec::new();
    for (offset, raw) in (0..).zip(raws) {
        detector.observe(offset, &LogRecord::Event(Box::new(event(raw, offset))), &mut out);
    }
    out
}

fn event(raw: &str, offset: i64) -> Event {
    Event {
        event_id: keytrail_schemas::EventId::of_provider("test", "", "", u32::try_from(offset).unwrap()),
        time: Micros(1_767_571_200_000_000 + offset * Micros::SECOND),
        identity: Text::const_new("aws:1:user/ada"),
        identity_kind: IdentityKind::Human,
        format: Text::const_new("cloudtrail"),
        raw: Some(raw.to_owned()),
        ..Event::default()
    }
}

#[test]
fn what_is_wrong_is_named_and_the_others_judge() {
    let good = rule("11111111-0000-0000-0000-000000000001", "eventName: StopLogging");
    let huge = format!("# {}\n{good}", "x".repeat(1 << 20));
    let deep =
        format!("title: deep\nlogsource: {{product: aws}}\ndetection:\n  a: {{eventName: x}}\n  condition: {}a{}\n", "(".repeat(5_000), ")".repeat(5_000));
    let bomb = format!(
        "a: &a [x,x,x,x,x,x,x,x,x]\n{}title: *i\n",
        ('b'..='i')
            .zip('a'..)
            .map(|(next, last)| format!("{next}: &{next} [*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last}]\n"))
            .collect::<String>()
    );
    let files = [
        ("a-good.yml", good.as_str()),
        ("b-twice.yml", good.as_str()),
        ("broken.yml", "title: [\n"),
        ("catastrophic.yml", &rule("2", "eventName|re: '(a+)+$'")),
        ("deep.yml", &deep),
        ("huge.yml", &huge),
        ("bomb.yml", &bomb),
        ("look-around.yml", &rule("3", "eventName|re: '(?!x)y'")),
        ("enormous-regex.yml", &rule("4", "eventName|re: '((a{1000}){1000}){1000}'")),
        ("modifier.yml", &rule("5", "eventName|frobnicate: x")),
        ("missing.yml", "title: c\ncorrelation:\n  type: event_count\n  rules: [nowhere]\n  timespan: 1m\n  condition: {gte: 2}\n"),
        ("okta.yml", &rule("6", "eventType: x").replace("aws, service: cloudtrail", "okta, service: okta")),
        ("unknown.yml", &rule("7", "eventType: x").replace("aws, service: cloudtrail", "toaster")),
        ("empty.yml", ""),
        ("a-list.yml", "- 1\n- 2\n"),
        ("field.yml", "title: f\nlogsource: {category: machine_identity}\ndetection: {a: {no.such.field: 1}, condition: a}\n"),
        ("condition.yml", &rule("8", "eventName: x").replace("condition: selection", "condition: selektion")),
    ];
    let loaded = loaded(&files);
    let refused: Vec<_> =
        loaded.checked.iter().filter(|checked| !checked.loads).map(|checked| (checked.path.as_str(), checked.reason.clone().unwrap())).collect();
    for (path, says) in [
        ("b-twice.yml", "stands twice: first in rules/a-good.yml"),
        ("broken.yml", "YAML"),
        ("deep.yml", "parentheses"),
        ("huge.yml", "bytes"),
        ("bomb.yml", ""),
        ("look-around.yml", "look-around"),
        ("enormous-regex.yml", "size limit"),
        ("modifier.yml", "frobnicate"),
        ("missing.yml", "\"nowhere\", which is not there"),
        ("empty.yml", ""),
        ("a-list.yml", "mapping"),
        ("field.yml", "no.such.field"),
        ("condition.yml", "selektion"),
    ] {
        let (_, reason) = refused.iter().find(|(refused, _)| *refused == format!("rules/{path}")).unwrap_or_else(|| panic!("{path} was taken: {refused:?}"));
        assert!(reason.contains(says) && !reason.is_empty(), "{path}: {reason}");
    }
    assert_eq!(refused.len(), 13, "{refused:?}");
    assert!(of(&loaded, "catastrophic.yml").loads, "a linear engine has no catastrophic expression");
    assert!(of(&loaded, "okta.yml").idle && of(&loaded, "okta.yml").reason.as_deref() == Some("format not read yet: okta_system"));
    assert!(of(&loaded, "unknown.yml").idle && of(&loaded, "unknown.yml").reason.as_deref().unwrap().contains("toaster"));
    assert!(!of(&loaded, "a-good.yml").idle && of(&loaded, "a-good.yml").severity == Some(Severity::Medium));

    let long = format!(r#"{{"eventName":"{}b"}}"#, "a".repeat(100_000));
    let found = findings(&set(&files), &[&long, r#"{"eventName":"StopLogging"}"#, "not JSON", "{\"eventName\":"]);
    assert_eq!(found.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>(), ["a-good"]);
    let finding = &found[0];
    assert_eq!((finding.severity, finding.title.as_str()), (Severity::Medium, "Rule 11111111-0000-0000-0000-000000000001"));
    assert_eq!(finding.detections[0].technique.as_deref(), Some("T1562.008"));
    assert_eq!(finding.detections[0].event_ids, [Text::from(event("", 1).event_id.to_hex())], "its evidence is the record itself");
}

#[test]
fn correlations_count_over_the_fields_of_raw_records() {
    let failed = "title: failed\nname: failed_login\nlogsource: {product: aws, service: cloudtrail}\ndetection: {a: {eventName: ConsoleLogin, responseElements.ConsoleLogin: Failure}, condition: a}\n";
    let many = "title: many\ncorrelation:\n  type: event_count\n  rules: [failed_login]\n  group-by: [sourceIPAddress]\n  timespan: 1m\n  condition: {gte: 3}\nlevel: high\n";
    let users = "title: users\ncorrelation:\n  type: value_count\n  rules: [failed_login]\n  group-by: [sourceIPAddress]\n  timespan: 1m\n  condition: {gte: 2, field: userIdentity.userName}\nlevel: low\n";
    let login = |ip: &str, user: &str, n: usize| {
        format!(
            r#"{{"eventID":"{n}","eventName":"ConsoleLogin","responseElements":{{"ConsoleLogin":"Failure"}},"sourceIPAddress":"{ip}","userIdentity":{{"userName":"{user}"}}}}"#
        )
    };
    let rules_of = |files: &[(&str, &str)], raws: &[String]| {
        let raws: Vec<&str> = raws.iter().map(String::as_str).collect();
        let mut rules: Vec<String> = findings(&set(files), &raws).iter().map(|finding| finding.rule.to_string()).collect();
        rules.dedup();
        rules
    };
    let one_file = format!("{failed}---\n{many}");
    let three: Vec<String> = (0..3).map(|n| login("10.0.0.1", "ada", n)).collect();
    assert_eq!(rules_of(&[("many.yml", &one_file)], &three), ["many"]);
    assert_eq!(rules_of(&[("many.yml", &one_file)], &three[..2]), [""; 0]);
    let spread: Vec<String> = (0..3).map(|n| login(&format!("10.0.0.{n}"), "ada", n)).collect();
    assert_eq!(rules_of(&[("many.yml", &one_file)], &spread), [""; 0]);
    let same = vec![login("10.0.0.1", "ada", 1); 3];
    assert_eq!(rules_of(&[("many.yml", &one_file)], &same), [""; 0], "one record that gave several events is one");
    let two_users = [login("10.0.0.1", "ada", 1), login("10.0.0.1", "bob", 2)];
    assert_eq!(rules_of(&[("users.yml", &format!("{failed}---\n{users}"))], &two_users), ["users"]);
}

#[test]
fn a_set_survives_its_bytes_and_is_known_by_its_hash() {
    let one = set(&[("a.yml", &rule("1", "eventName: x"))]);
    assert_eq!(Set::from_bytes(&one.to_bytes()).unwrap(), one);
    assert_eq!(one.hash(), Hash32::of(&one.to_bytes()));
    assert_ne!(one.hash(), set(&[("a.yml", &rule("1", "eventName: y"))]).hash());
    assert_eq!(Set::default().hash(), Hash32::default());
    for bytes in [&b""[..], b"no set", &one.to_bytes()[..20], &[0xff; 64]] {
        assert!(Set::from_bytes(bytes).is_err());
    }
}

#[test]
fn a_detector_that_turns_to_other_rules_in_the_middle_is_restored_with_them() {
    let before = Arc::new(loaded(&[("a.yml", &rule("1", "eventName: A"))]).rules);
    let (set_after, after) = (set(&[("b.yml", &rule("2", "eventName: B"))]), loaded(&[("b.yml", &rule("2", "eventName: B"))]).rules);
    let after = Arc::new(after);
    let mut detector = Detector::new(0, Config::default(), Arc::clone(&before));
    let mut out = Vec::new();
    detector.observe(0, &LogRecord::Event(Box::new(event(r#"{"eventName":"B"}"#, 0))), &mut out);
    assert!(out.is_empty());
    detector.judge_by(set_after.hash(), Arc::clone(&after));
    let mut restored = Detector::restore(&detector.snapshot(), Config::default(), before).unwrap();
    assert_eq!(restored.rules_in_force(), set_after.hash());
    restored.judge_by(set_after.hash(), after);
    for detector in [&mut detector, &mut restored] {
        let mut out = Vec::new();
        detector.observe(2, &LogRecord::Event(Box::new(event(r#"{"eventName":"B"}"#, 2))), &mut out);
        assert_eq!(out.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}
