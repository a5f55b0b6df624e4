//! Input that is meant to wear the detector out, or to teach it wrong: somebody who tries identities by the ten thousand, and somebody who
//! begins slowly. What comes late, twice, or from a wrong clock has its tests beside what it concerns (`folding.rs`, `stories.rs`).

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::sync::Arc;

use keytrail_detect::{Config, Detector, Rules};
use keytrail_schemas::{Activity, Event, EventId, Finding, IdentityKind, LogRecord, Micros, Outcome, Text};

const START: Micros = Micros(1_767_571_200_000_000);

struct Log {
    detector: Detector,
    offset: i64,
    out: Vec<Finding>,
}

impl Log {
    fn new(config: Config) -> Self {
        Self { detector: Detector::new(0, config, Arc::new(Rules::embedded().unwrap())), offset: 0, out: Vec::new() }
    }

    fn act(&mut self, seconds: i64, identity: &str, destination: &str, outcome: Outcome) {
        let time = Micros(START.0 + seconds * Micros::SECOND);
        let event = Event {
            event_id: EventId::of_provider("t", "", "", u32::try_from(self.offset).unwrap()),
            time,
            activity: Activity::Use,
            outcome,
            identity: identity.into(),
            identity_kind: IdentityKind::Service,
            identity_provider: "vault".into(),
            identity_account: "v".into(),
            source_ip: Some("10.0.0.1".into()),
            action: Some("secret.read".into()),
            destination: Some(Text::from(format!("vault:secret/data/{destination}"))),
            destination_kind: Some("secret".into()),
            destination_service: Some("vault".into()),
            source: "t".into(),
            format: "vault_audit".into(),
            ..Event::default()
        };
        self.detector.observe(self.offset, &LogRecord::Event(Box::new(event)), &mut self.out);
        self.offset += 1;
    }

    fn told(&self, rule: &str) -> usize {
        let told = self.out.iter().filter(|finding| !finding.below_line && finding.detections.iter().any(|detection| detection.rule == rule));
        told.map(|finding| finding.finding_id.as_str()).collect::<std::collections::BTreeSet<_>>().len()
    }
}

#[test]
fn who_tries_identities_by_the_ten_thousand_is_one_finding_and_takes_no_more_room() {
    let mut config = Config::default();
    config.ledger.identities_max = 2_000;
    let mut log = Log::new(config);
    for minute in 0..3 * 24 * 60 {
        log.act(minute * 60, "vault:v:approle/billing", "billing/db", Outcome::Success);
    }
    let before = log.detector.snapshot().len();
    for n in 0..30_000 {
        log.act(3 * 86_400 + n / 10, &format!("vault:v:approle/guess-{n}"), "billing/db", Outcome::Denied);
    }
    assert!(log.detector.identities().len() <= 2_000, "{}", log.detector.identities().len());
    let after = log.detector.snapshot().len();
    assert!(after < before + 4_000_000, "{before} {after}");
    assert_eq!(log.told("source-sweeps-identities"), 1, "one address, one story");
    let findings: std::collections::BTreeSet<&str> = log.out.iter().filter(|f| !f.below_line).map(|f| f.finding_id.as_str()).collect();
    assert!(findings.len() <= 8, "{} findings", findings.len());
}

#[test]
fn who_begins_slowly_teaches_that_something_new_is_usual_and_not_that_a_harvest_is() {
    let mut log = Log::new(Config::default());
    for minute in 0..40 * 24 * 4 {
        log.act(minute * 900, "vault:v:approle/billing", "billing/db", Outcome::Success);
        // One new secret a day, for weeks.
        if minute % 96 == 40 {
            log.act(minute * 900 + 7, "vault:v:approle/billing", &format!("other/{}", word(minute / 96)), Outcome::Success);
        }
    }
    assert_eq!(log.told("secret-harvest"), 0, "one a day is below every line");
    for n in 0..20 {
        log.act(40 * 86_400 + n * 20, "vault:v:approle/billing", &format!("loot/{}", word(n + 100)), Outcome::Success);
    }
    assert_eq!(log.told("secret-harvest"), 1);
}

/// A name without a number, which might be taken for one of many alike.
fn word(n: i64) -> String {
    (0..3).map(|place| char::from(b'a' + u8::try_from(n / 26_i64.pow(place) % 26).unwrap())).collect()
}
