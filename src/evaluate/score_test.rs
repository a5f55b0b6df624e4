//! What found, missed, read and in vain mean.

use super::*;
use serde_json::json;

const H: i64 = Micros::HOUR;
const AT: i64 = 400 * H;

fn label(attack: &str, identity: &str, events: &[&str]) -> Label {
    Label {
        attack: attack.into(),
        variant: String::from("v"),
        technique: String::from("T1078"),
        identities: vec![identity.into()],
        start: Micros(AT),
        end: Micros(AT + H),
        provider_event_ids: Vec::new(),
        event_ids: events.iter().map(|id| (*id).to_owned()).collect(),
    }
}

fn finding(id: &str, identity: &str, from: i64, to: i64, more: serde_json::Value) -> serde_json::Value {
    let mut row = json!({
        "finding_id": id, "revision": 0, "rule": "rule-a", "title": format!("finding {id}"), "kind": "policy", "severity": "high", "identity": identity,
        "time": Micros(from), "first_event_time": Micros(from), "last_event_time": Micros(to), "event_ids": [], "members": []
    });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

#[test]
fn found_missed_false_and_read() {
    let labels = [
        label("stolen_key", "aws:1:user/a", &["e1", "e2"]),
        label("stolen_key", "aws:1:user/b", &[]),
        label("secret_harvest", "k8s:prod:sa/ns/x", &[]),
        label("rogue", "mqtt:broker:client/z", &[]),
    ];
    let findings = [
        finding("1", "aws:1:user/a", AT + 5 * Micros::MINUTE, AT + 6 * Micros::MINUTE, json!({})),
        finding("1", "aws:1:user/a", AT + 5 * Micros::MINUTE, AT + H, json!({"revision": 3, "title": "the last revision", "score": 70.0, "event_ids": ["e2"]})),
        // It was open long before the attack: no credit.
        finding("2", "aws:1:user/b", AT - 100 * H, AT + 200 * H, json!({"score": 90.0})),
        finding("3", "aws:1:user/c", AT, AT, json!({"score": 20.0, "kind": "statistical"})),
        finding("4", "aws:1:user/other", AT, AT, json!({"score": 80.0, "members": ["k8s:elsewhere:sa/ns/x"]})),
        // Right identity, wrong week.
        finding("5", "mqtt:broker:client/z", AT + 90 * H, AT + 90 * H, json!({})),
        json!({"rule": "a row without id and time"}),
    ];
    let decoys = [Decoy { what: String::from("launch"), identities: vec![String::from("aws:1:user/c")], start: Micros(AT - H), end: Micros(AT + H) }];
    let alerts = alert::from_rows(&findings, &[]);
    let score = score(&labels, &decoys, &alerts, Micros(0), Micros(20 * Micros::DAY));
    let found: Vec<_> = score.outcomes.iter().map(|o| o.first.map(|(i, delay)| (alerts[i].title.as_str(), delay))).collect();
    assert_eq!(found, [Some(("the last revision", 5 * Micros::MINUTE)), None, Some(("finding 4", 0)), None]);
    assert_eq!((score.found(), score.found_with_evidence(), score.unmatched_total(), alerts.len()), (2, 1, 3, 5));
    assert_eq!(score.unmatched["rule-a"].1, BTreeMap::from([(String::from("launch"), 1)]));
    // Best first: 90 (nothing), 80 (right: 1/2), 70 (right: 2/3), 20, none.
    assert_eq!(score.queue.iter().map(|i| alerts[*i].id.as_str()).collect::<Vec<_>>(), ["2", "4", "1", "3", "5"]);
    assert!((score.average_precision - (0.5 + 2.0 / 3.0) / 4.0).abs() < 1e-12, "{}", score.average_precision);
    // One a day: on the attacks' day that is finding 4.
    assert_eq!(score.recall_in_top[0], (1, 0.25));
    assert_eq!(score.recall_in_top[1], (2, 0.5));
    let text = report::attacks(&score, &labels, &alerts);
    assert!(text.contains("\"finding 2\" was already open 4.2 d before") && text.contains("came 3.8 d later"), "{text}");
    let text = report::in_vain(&score, &alerts, 3);
    assert!(text.contains("0.2 findings a day (0.2 policy, 0.1 statistical); 3 of 5 are about no attack"), "{text}");
    let text = report::queue(&score, &labels, &alerts, 3);
    assert!(text.lines().nth(2).unwrap().contains("80.0") && text.lines().nth(2).unwrap().ends_with("secret_harvest"), "{text}");
}

#[test]
fn a_detection_that_joins_an_open_finding_tells_of_an_attack() {
    let labels = [label("stolen_key", "aws:1:user/b", &["e9"])];
    let findings = [finding("2", "aws:1:user/b", AT - 100 * H, AT + 200 * H, json!({"score": 90.0}))];
    let detection = |id: &str, from: i64, events: &[&str]| json!({"detection_id": id, "finding_id": "2", "rule": "r", "first_event_time": Micros(from), "last_event_time": Micros(from + H), "event_ids": events});
    let before = [detection("d1", AT - 100 * H, &["e0"])];
    let alerts = alert::from_rows(&findings, &before);
    assert_eq!(score(&labels, &[], &alerts, Micros(0), Micros(20 * Micros::DAY)).found(), 0);
    let joined = [detection("d1", AT - 100 * H, &["e0"]), detection("d2", AT + 10 * Micros::MINUTE, &["e9"])];
    let alerts = alert::from_rows(&findings, &joined);
    let score = score(&labels, &[], &alerts, Micros(0), Micros(20 * Micros::DAY));
    assert_eq!((score.outcomes[0].first, score.outcomes[0].with_evidence), (Some((0, 10 * Micros::MINUTE)), Some((0, 10 * Micros::MINUTE))));
}

#[test]
fn events_alone_can_be_labels_and_lines_can_be_alerts() {
    let labels = label::read("{\"attack\":\"a\",\"event_ids\":[\"e1\"]}").unwrap();
    let alerts = alert::from_rows(&[finding("1", "x", AT, AT, json!({"event_ids": ["e1"]}))], &[]);
    assert_eq!(score(&labels, &[], &alerts, Micros(0), Micros(Micros::DAY)).found(), 1);
    let lines = "{\"identity\":\"aws:1:user/a\",\"time\":\"2026-10-01T03:20:00Z\",\"score\":0.5}\n";
    let alerts = alert::from_lines("other", lines).unwrap();
    assert_eq!(alerts[0].time.to_rfc3339(), "2026-10-01T03:00:00Z");
    assert!(alert::from_lines("other", "{\"identity\":\"a\"}").unwrap_err().contains("line 1: `time`"));
    assert!(alert::from_lines("other", "\n{").unwrap_err().starts_with("line 2"));
}
