//! One finding per cause: what an analyst reads when several rules fire on one event, when evidence grows, and when it ends.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::sync::Arc;

use keytrail_detect::{Config, Detector, FoldConfig, LedgerConfig, Rules};
use keytrail_schemas::{Activity, CredentialKind, CredentialState, Event, EventId, Finding, IdentityKind, LogRecord, Micros, Outcome, Severity};

const START: Micros = Micros(1_767_571_200_000_000);

struct Log {
    detector: Detector,
    offset: i64,
    out: Vec<Finding>,
}

impl Log {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self { detector: Detector::new(0, config, Arc::new(Rules::embedded().unwrap())), offset: 0, out: Vec::new() }
    }

    fn event(&mut self, minutes: i64, change: impl FnOnce(&mut Event)) -> &mut Self {
        let mut event = Event {
            event_id: EventId::of_provider("t", "", "", u32::try_from(self.offset).unwrap()),
            time: Micros(START.0 + minutes * Micros::MINUTE),
            activity: Activity::Use,
            outcome: Outcome::Success,
            identity: "aws:1:user/deploy".into(),
            identity_kind: IdentityKind::Service,
            identity_provider: "aws".into(),
            identity_account: "1".into(),
            credential: Some("KEY".into()),
            credential_kind: CredentialKind::AccessKey,
            action: Some("s3:GetObject".into()),
            destination: Some("aws:s3/it's a bucket".into()),
            source: "t".into(),
            format: "keytrail".into(),
            ..Event::default()
        };
        change(&mut event);
        self.detector.observe(self.offset, &LogRecord::Event(Box::new(event)), &mut self.out);
        self.offset += 1;
        self
    }

    fn tick(&mut self, minutes: i64) -> &mut Self {
        self.detector.observe(self.offset, &LogRecord::Tick { time: Micros(START.0 + minutes * Micros::MINUTE) }, &mut self.out);
        self.offset += 1;
        self
    }

    fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = Vec::new();
        for finding in &self.out {
            if !ids.contains(&finding.finding_id.as_str()) {
                ids.push(&finding.finding_id);
            }
        }
        ids
    }
}

fn old_and_revoked(event: &mut Event) {
    event.credential_issued_at = Some(Micros(START.0 - 400 * Micros::DAY));
}

#[test]
fn several_rules_on_one_event_are_one_finding_led_by_the_most_severe() {
    let mut log = Log::new();
    log.event(0, |e| e.activity = Activity::Revoke).event(90, |e| {
        old_and_revoked(e);
        e.user_agent = Some("Mozilla/5.0".into());
    });
    assert_eq!(log.ids().len(), 1, "{:#?}", log.out);
    let finding = &log.out[0];
    assert_eq!((finding.rule.as_str(), finding.severity), ("used-after-revoke", Severity::Critical));
    assert_eq!(finding.reasons.len(), 3, "{:?}", finding.reasons);
    assert!(finding.reasons[0].contains("90 minutes after"), "{:?}", finding.reasons);
    for tag in ["nhi.1", "nhi.7", "nhi.10"] {
        assert!(finding.tags.iter().any(|known| known == tag), "{tag} in {:?}", finding.tags);
    }
    assert_eq!(finding.credential_state, CredentialState::Revoked);
    assert_eq!((finding.credential_age_days.map(f64::round), finding.credential_age_is_exact), (Some(400.0), true));
    assert!(finding.explanation.contains("400 days old, and had been revoked 90 minutes before"), "{}", finding.explanation);
    assert!(finding.next_questions.contains(&format!("keytrail explain {}", finding.finding_id).into()));
    assert!(
        finding.next_questions.iter().any(|q| q == r"keytrail who-touched 'aws:s3/it'\''s a bucket' --since 2026-01-05T00:30:00Z --until 2026-01-05T02:30:00Z"),
        "{:#?}",
        finding.next_questions
    );
    assert!(finding.features.contains("\"credential.revoked_minutes\":90"), "{}", finding.features);
}

#[test]
fn a_lasting_condition_is_a_reason_of_what_is_acute_and_nobody_reads_it_alone() {
    let mut log = Log::new();
    for minute in 0..5_000 {
        log.event(minute * 10, old_and_revoked);
    }
    assert!(log.out.iter().all(|record| record.below_line), "not an alarm a day");
    let posture = &log.out[0].detections[0];
    assert_eq!((posture.rule.as_str(), posture.finding_id.as_deref()), ("over-age-credential-used", None));
    log.event(50_000, |e| {
        old_and_revoked(e);
        e.user_agent = Some("Mozilla/5.0".into());
    });
    let acute = log.out.last().unwrap();
    assert_eq!((acute.rule.as_str(), acute.reasons.len(), acute.below_line), ("human-use-of-machine-identity", 2, false));
    assert_eq!((acute.revision, acute.time, acute.first_event_time), (0, Micros(START.0 + 50_000 * Micros::MINUTE), acute.time), "{acute:#?}");
    assert!(acute.detections.iter().all(|detection| detection.finding_id.as_ref() == Some(&acute.finding_id)));
}

#[test]
fn a_finding_is_written_at_first_additions_at_doublings_and_at_its_end() {
    let mut log = Log::new();
    log.event(0, |e| e.activity = Activity::Revoke);
    for minute in 0..50 {
        log.event(10 + minute, |_| {});
    }
    let counts: Vec<i64> = log.out.iter().map(|finding| finding.count).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32]);
    log.tick(59 + 24 * 60 - 1);
    assert_eq!(log.out.len(), 11, "it goes on");
    log.tick(59 + 24 * 60);
    let last = log.out.last().unwrap();
    assert_eq!((last.count, last.revision, last.event_ids.len(), log.ids().len()), (50, 11, 16, 1), "the first 8 events and the latest 8");
    assert_eq!((last.log_offset, last.rule_index), (log.offset - 1, 0), "the tick caused it");
    assert_eq!(last.last_event_time, Micros(START.0 + 59 * Micros::MINUTE));
    log.event(59 + 24 * 60 + 1, |_| {});
    assert_eq!(log.ids().len(), 2, "what comes after a day of quiet is another finding");
}

#[test]
fn a_more_severe_rule_takes_the_lead_of_an_open_finding() {
    let mut log = Log::new();
    log.event(0, |e| e.activity = Activity::Revoke).event(60, |e| e.outcome = Outcome::Denied).event(61, |_| {});
    assert_eq!(log.ids().len(), 1);
    let written: Vec<_> = log.out.iter().map(|f| (f.rule.as_str(), f.revision, f.below_line)).collect();
    assert_eq!(written, [("revoked-credential-tried", 0, true), ("used-after-revoke", 0, false)], "a refused try alone is kept; a use is told");
}

#[test]
fn the_bound_on_open_findings_closes_the_oldest() {
    let mut log = Log::with(Config { fold: FoldConfig { open_max: 3, ..FoldConfig::default() }, ..Config::default() });
    for n in 0..10 {
        log.event(n, |e| {
            e.identity = format!("id{n}").into();
            e.user_agent = Some("Mozilla/5.0".into());
        });
    }
    assert_eq!((log.ids().len(), log.detector.findings_open()), (10, 3));
}

#[test]
fn the_bounds_of_the_ledger_forget_what_matters_least() {
    let ledger = LedgerConfig { credentials_max: 64, identities_max: 32, ..LedgerConfig::default() };
    let mut log = Log::with(Config { ledger, ..Config::default() });
    log.event(0, |e| e.identity = "keeper".into());
    for n in 1..500_i64 {
        log.event(n, |e| {
            e.identity = format!("id{}", n % 20).into();
            e.credential = Some(format!("S{n}").into());
            e.credential_kind = CredentialKind::Session;
            e.credential_expires_at = Some(Micros(e.time.0 + Micros::HOUR));
        });
    }
    let credentials = log.detector.credentials();
    assert!(credentials.len() <= 64, "{}", credentials.len());
    assert!(credentials.iter().any(|row| row.credential == "KEY"), "the long-lived key outlives hundreds of sessions");
    for n in 0..500_i64 {
        log.event(500 + n, |e| e.identity = format!("new{n}").into());
    }
    assert!(log.detector.identities().len() <= 32);
    let restored = Detector::restore(&log.detector.snapshot(), Config::default(), Arc::new(Rules::embedded().unwrap())).unwrap();
    assert_eq!(restored.identities(), log.detector.identities());
}

#[test]
fn one_wrong_clock_does_not_make_everything_late() {
    let mut log = Log::new();
    log.event(0, |_| {}).event(60 * 24 * 365 * 20, |_| {}).event(1, |_| {});
    assert_eq!(log.detector.watermark(), Micros(START.0 + Micros::MINUTE));
    for n in 0..4 {
        log.event(60 * 24 * 100 + n, |_| {});
    }
    assert!(log.detector.watermark() >= Micros(START.0 + 100 * Micros::DAY), "several agree");
}

#[test]
fn records_say_what_the_log_said() {
    let mut log = Log::new();
    log.event(0, |e| e.activity = Activity::Issue)
        .event(10, |e| e.source_ip = Some("10.0.0.1".into()))
        .event(20, |e| {
            e.identity = "aws:1:role/r".into();
            e.activity = Activity::Issue;
            e.credential = Some("SESSION".into());
            e.credential_kind = CredentialKind::Session;
            e.credential_parent = Some("KEY".into());
            e.credential_expires_at = Some(Micros(START.0 + 80 * Micros::MINUTE));
        })
        .event(60 * 24 * 30, |e| {
            e.activity = Activity::Issue;
            e.credential = Some("KEY2".into());
        })
        .tick(60 * 24 * 30);
    let rows = log.detector.credentials();
    let [key, key2, session] = rows.as_slice() else { panic!("{rows:#?}") };
    assert_eq!((key.state, key.successor.as_deref(), key.issued_is_exact, key.uses), (CredentialState::Active, Some("KEY2"), true, 1));
    assert_eq!(key.age_days, Some(30.0));
    assert_eq!((key2.uses, key2.state), (0, CredentialState::Active));
    assert_eq!(
        (session.state, session.parent.as_deref(), session.age_days.map(|days| (days * 1440.0).round())),
        (CredentialState::Expired, Some("KEY"), Some(60.0))
    );
    let identities = log.detector.identities();
    assert_eq!(
        identities.iter().map(|row| (row.identity.as_str(), row.credentials, row.events)).collect::<Vec<_>>(),
        [("aws:1:role/r", 1, 1), ("aws:1:user/deploy", 2, 3)]
    );
}
