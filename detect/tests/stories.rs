//! Stories: each act is its own detection in one finding, none is hidden by an earlier one, weak signs add up, habits are told once, and a
//! day holds as many judgements as can be read.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::sync::Arc;

use keytrail_detect::{Config, Detector, Rules};
use keytrail_schemas::{Activity, CredentialKind, Event, EventId, Finding, IdentityKind, LogRecord, Micros, Outcome};

const START: Micros = Micros(1_767_571_200_000_000);

/// Rules whose matches are given by the action's name, so that what is tried is the fold and not a model.
fn rules() -> Arc<Rules> {
    rules_of("medium")
}

/// The same, their judgements of this level.
fn rules_of(judgements: &str) -> Arc<Rules> {
    let one = |id: &str, level: &str, kind: &str, technique: &str, tactic: &str| {
        let budgeted = if matches!(id, "oldkey" | "revoked") { String::new() } else { format!("budgeted: {}, ", id != "trail") };
        let yaml = format!(
            "title: {id}\nlevel: {level}\ntags: [attack.{technique}, attack.{tactic}]\nlogsource: {{category: machine_identity}}\nkeytrail: {{kind: {kind}, scope: identity, {budgeted}reason: '{{action}}'}}\ndetection:\n  s: {{action|startswith: '{id}:'}}\n  condition: s\n"
        );
        (format!("t/{id}.yml"), yaml)
    };
    let given = [
        one("recon", judgements, "policy", "t1526", "discovery"),
        one("secret", judgements, "policy", "t1552", "credential-access"),
        one("admin", judgements, "policy", "t1098", "privilege-escalation"),
        one("trail", "high", "policy", "t1562.008", "defense-evasion"),
        one("person", "low", "policy", "t1078", "initial-access"),
        one("oldkey", "high", "policy", "t1078", "initial-access"),
        one("revoked", "critical", "policy", "t1078", "initial-access"),
    ];
    Arc::new(Rules::from_sources(given.into_iter()).unwrap())
}

struct Log {
    detector: Detector,
    offset: i64,
    out: Vec<Finding>,
}

impl Log {
    fn new(config: Config) -> Self {
        Self { detector: Detector::new(0, config, rules()), offset: 0, out: Vec::new() }
    }

    fn act(&mut self, minutes: i64, identity: &str, action: &str) -> String {
        let event = Event {
            event_id: EventId::of_provider("t", "", "", u32::try_from(self.offset).unwrap()),
            time: Micros(START.0 + minutes * Micros::MINUTE),
            activity: Activity::Use,
            outcome: Outcome::Success,
            identity: identity.into(),
            identity_kind: IdentityKind::Service,
            credential: Some("KEY".into()),
            credential_kind: CredentialKind::AccessKey,
            action: Some(action.into()),
            source: "t".into(),
            ..Event::default()
        };
        let id = event.event_id.to_hex();
        self.detector.observe(self.offset, &LogRecord::Event(Box::new(event)), &mut self.out);
        self.offset += 1;
        id
    }

    fn told(&self) -> Vec<&Finding> {
        self.out.iter().filter(|record| !record.below_line).collect()
    }
}

#[test]
fn every_act_is_a_detection_of_its_own_in_one_finding_and_told_at_once() {
    let mut log = Log::new(Config::default());
    let trail = log.act(0, "a", "trail:Stop");
    let mut acts = vec![trail];
    // A long row of the same in between does not hide what comes after it.
    for minute in 1..500 {
        log.act(minute, "a", "recon:List");
    }
    for (minute, action) in [(500, "secret:Get"), (501, "admin:Attach"), (502, "secret:GetOther")] {
        let before = log.told().len();
        acts.push(log.act(minute, "a", action));
        let told = log.told();
        assert_eq!(told.len(), before + 1, "{action} is told with its own event");
        assert!(told[before].detections.iter().any(|d| d.action.as_deref() == Some(action) && d.event_ids == [acts.last().unwrap().as_str()]), "{action}");
    }
    let told = log.told();
    let last = told.last().unwrap();
    assert!(told.iter().all(|finding| finding.finding_id == last.finding_id), "one finding");
    let order: Vec<&str> = last.detections.iter().map(|detection| detection.action.as_deref().unwrap()).collect();
    assert_eq!(order, ["trail:Stop", "recon:List", "secret:Get", "admin:Attach", "secret:GetOther"]);
    assert_eq!(last.tactics.as_ref().unwrap().as_slice(), ["defense-evasion", "discovery", "credential-access", "privilege-escalation"]);
    assert!(acts.iter().all(|act| last.event_ids.iter().any(|id| id == act)), "each act is evidence of the finding too");
    assert!(last.explanation.contains("defense-evasion → discovery"), "{}", last.explanation);
    assert_eq!(last.severity.as_str(), "high", "the most severe leads");
    let parts: Vec<serde_json::Value> = serde_json::from_str(last.rank_parts.as_deref().unwrap()).unwrap();
    let sum: f64 = parts.iter().map(|part| part["points"].as_f64().unwrap()).sum();
    assert!((sum.clamp(0.0, 100.0) - last.score.unwrap()).abs() < 0.05, "{parts:?}");
}

#[test]
fn weak_signs_of_one_identity_within_a_week_make_a_finding() {
    let mut log = Log::new(Config::default());
    log.act(0, "a", "person:Login");
    assert!(log.told().is_empty(), "a sign alone is kept and not told: {:#?}", log.out);
    log.act(24 * 60, "a", "recon:List");
    log.act(2 * 24 * 60, "a", "secret:Get");
    log.act(3 * 24 * 60, "a", "admin:Attach");
    let told = log.told();
    assert!(!told.is_empty(), "{:#?}", log.out.last());
    let rules: Vec<&str> = told[0].detections.iter().map(|detection| detection.rule.as_str()).collect();
    assert!(rules.len() >= 2 && rules[0] == "person", "{rules:?}");
    // The same signs, each a fortnight after the other, do not.
    let mut apart = Log::new(Config::default());
    for (n, action) in [(0, "person:Login"), (1, "recon:List"), (2, "secret:Get"), (3, "admin:Attach")] {
        apart.act(n * 14 * 24 * 60, "a", action);
        (1..14).for_each(|day| drop(apart.act((n * 14 + day) * 24 * 60, "b", "nothing")));
    }
    assert!(apart.told().is_empty(), "{:#?}", apart.told());
    let kept: std::collections::BTreeSet<_> = apart.out.iter().flat_map(|record| &record.detections).map(|detection| detection.rule.as_str()).collect();
    assert_eq!(kept.len(), 4, "and all are kept");
}

#[test]
fn what_an_identity_does_every_week_is_told_at_most_once() {
    let mut log = Log::new(Config::default());
    for week in 0..12 {
        log.act(week * 7 * 24 * 60, "a", "admin:Attach");
        // Signs of one week are not those of the next.
        log.act(week * 7 * 24 * 60 + 60, "a", "recon:List");
        log.act(week * 7 * 24 * 60 + 61, "a", "secret:Get");
    }
    let findings: std::collections::BTreeSet<_> = log.told().iter().map(|finding| finding.finding_id.clone()).collect();
    assert!(findings.len() <= 1, "{}", findings.len());
}

#[test]
fn facts_pass_on_any_day_and_judgements_as_many_as_can_be_read_beside_them() {
    for identities in [60_i64, 480, 5_000] {
        let mut log = Log { detector: Detector::new(0, Config::default(), rules_of("high")), offset: 0, out: Vec::new() };
        let (days, mut seed) = (30_i64, 11_u64);
        let mut dice = |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        for minute in 0..days * 24 * 60 {
            // Each identity does something that a rule looks at about twice in thirty days; now and then one does several in a row.
            if i64::try_from(dice(30 * 24 * 60)).unwrap() < 2 * identities {
                let who = format!("id{}", dice(identities.unsigned_abs()));
                for _ in 0..=dice(4) {
                    let action = ["recon:List", "secret:Get", "admin:Attach", "person:Login"][usize::try_from(dice(4)).unwrap()];
                    log.act(minute, &who, action);
                }
            }
            if minute % (24 * 60) == 700 {
                log.act(minute, &format!("fact{}", minute / 24 / 60), "trail:Stop");
            }
        }
        let mut judged: std::collections::BTreeMap<&str, i64> = std::collections::BTreeMap::new();
        let mut facts = std::collections::BTreeSet::new();
        for finding in log.told() {
            if finding.rule == "trail" {
                facts.insert(finding.finding_id.as_str());
            } else {
                judged.entry(finding.finding_id.as_str()).or_insert(finding.time.day());
            }
        }
        assert_eq!(facts.len(), 30, "every fact of {identities}");
        #[expect(clippy::cast_precision_loss)]
        let per_day = (judged.len() + facts.len()) as f64 / days as f64;
        assert!(per_day <= 3.75, "{identities} identities: {per_day} a day");
        assert!(identities < 480 || per_day >= 2.25, "{identities} identities: {per_day} a day");
        let mut of_day = std::collections::BTreeMap::new();
        judged.values().for_each(|day| *of_day.entry(*day).or_insert(0) += 1);
        assert!(of_day.values().all(|count| *count <= 7), "{of_day:?}");
    }
}

/// In an estate of fifty thousand a rule that is right of one identity in ten thousand speaks several times a day.
#[test]
fn a_fact_that_is_said_of_many_is_read_as_judgements_are_and_the_worst_always() {
    const DAYS: i64 = 40;
    for (action, a_day) in [("oldkey:Use", 0.2), ("oldkey:Use", 8.0), ("revoked:Use", 8.0)] {
        let mut log = Log::new(Config::default());
        let count = (f64::from(DAYS as i32) * a_day) as i64;
        for n in 0..count {
            log.act(n * DAYS * 24 * 60 / count, &format!("i{n}"), action);
        }
        let told = log.told().iter().map(|finding| finding.identity.clone()).collect::<std::collections::BTreeSet<_>>().len();
        let read = f64::from(u32::try_from(told).unwrap()) / f64::from(DAYS as i32);
        match (action, a_day < 1.0) {
            ("revoked:Use", _) | (_, true) => assert_eq!(i64::try_from(told).unwrap(), count, "{action}, {a_day} a day: each is told"),
            _ => assert!((1.0..=4.5).contains(&read), "{action}, {a_day} a day: {read} a day are told"),
        }
    }
}

#[test]
fn one_clock_that_says_2099_keeps_no_story_open_and_hides_nothing() {
    let mut log = Log::new(Config::default());
    log.act(0, "a", "recon:List");
    log.act(60 * 24 * 365 * 73, "a", "trail:Stop");
    assert_eq!(log.told().len(), 1, "a fact is told whatever its time");
    log.act(10, "b", "recon:List");
    for day in 1..12 {
        log.act(day * 24 * 60, "b", "nothing");
    }
    assert_eq!(log.detector.findings_open(), 0, "both stories ended");
    log.act(12 * 24 * 60, "a", "trail:Stop");
    let ids: std::collections::BTreeSet<_> = log.told().iter().map(|finding| finding.finding_id.clone()).collect();
    assert_eq!(ids.len(), 2, "and the next act is told");
}
