//! The same log gives the same findings, whatever the restarts; and the prefilter never changes what rules say.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::sync::Arc;

use keytrail_detect::{
    Config, Detector, IdentityIx, Rules, baseline,
    inventory::{self, Inventory},
    ledger::{self, Ledger, Limits, Observed},
    rule::{Evaluator, Groups, observation::Observation},
};
use keytrail_schemas::{
    Activity, CredentialKind, CredentialRecord, CredentialState, Event, EventId, Finding, IdentityKind, IdentityRecord, LogRecord, Micros, Outcome,
};
use proptest::prelude::*;

const START: Micros = Micros(1_767_571_200_000_000);

fn rules() -> Arc<Rules> {
    static RULES: std::sync::OnceLock<Arc<Rules>> = std::sync::OnceLock::new();
    RULES.get_or_init(|| Arc::new(Rules::embedded().unwrap())).clone()
}

/// Small pools, so that events collide in identities, credentials and places.
fn event() -> impl Strategy<Value = Event> {
    let words = (
        prop::sample::select(Activity::ALL),
        prop::sample::select(Outcome::ALL),
        prop::sample::select(&[IdentityKind::Service, IdentityKind::Device, IdentityKind::Workload, IdentityKind::Human][..]),
        prop::sample::select(CredentialKind::ALL),
    );
    let names =
        (0..6_u32, prop::option::weighted(0.9, 0..8_u32), prop::option::weighted(0.3, 0..8_u32), prop::option::of(0..6_u32), prop::option::of(0..12_u32));
    let texts = (
        prop::option::of(prop::sample::select(&["https", "http", "mqtt", "mqtts", "modbus", "kerberos", "ntlm"][..])),
        prop::option::of(prop::sample::select(
            &["s3:GetObject", "cloudtrail:StopLogging", "iam:UpdateSAMLProvider", "signin:ConsoleLogin", "read_coils", "iam:AttachRolePolicy", "ÄÖ.DeleteSink"]
                [..],
        )),
        prop::option::of(prop::sample::select(&["secret", "bucket", "key"][..])),
        prop::option::of(prop::sample::select(&["Mozilla/5.0", "aws-cli/2", "Boto3"][..])),
        prop::option::of(prop::sample::select(&["dev", "prod"][..])),
        prop::option::of(prop::sample::select(&["x509", "password", "sigv4"][..])),
    );
    (words, names, texts, prop::option::weighted(0.2, -400_i64..30), prop::option::weighted(0.2, -2_i64..800), prop::bool::weighted(0.02)).prop_map(
        |(words, names, texts, issued, expires, late)| {
            let numbered = |prefix: &str, n: Option<u32>| n.map(|n| format!("{prefix}{n}").into());
            let raw = (words.0 == Activity::Declare)
                .then(|| format!(r#"{{"owner":"team","binding":{{"destinations":["d{}*"],"networks":["10.0.0.0/9"]}}}}"#, names.0));
            Event {
                // Relative times are turned into absolute ones by `log`.
                time: Micros(if late { -30 * Micros::MINUTE } else { 0 }),
                activity: words.0,
                outcome: words.1,
                identity: format!("id{}", names.0).into(),
                identity_kind: words.2,
                identity_provider: "aws".into(),
                identity_account: "1".into(),
                credential: numbered("cred", names.1),
                credential_kind: words.3,
                credential_parent: numbered("cred", names.2),
                credential_issued_at: issued.map(|days| Micros(START.0 + days * Micros::DAY)),
                credential_expires_at: expires.map(|days| Micros(START.0 + days * Micros::DAY)),
                source_ip: names.3.map(|n| format!("10.{}.0.1", n * 50).into()),
                destination: numbered("d", names.4),
                protocol: texts.0.map(Into::into),
                action: texts.1.map(Into::into),
                destination_kind: texts.2.map(Into::into),
                user_agent: texts.3.map(Into::into),
                environment: texts.4.map(Into::into),
                auth_method: texts.5.map(Into::into),
                source: "s".into(),
                format: "keytrail".into(),
                raw,
                ..Event::default()
            }
        },
    )
}

fn log(max: usize) -> impl Strategy<Value = Vec<LogRecord>> {
    prop::collection::vec((event(), prop_oneof![4 => 0..5_i64, 3 => 0..120_i64, 1 => 0..60_000_i64], prop::bool::weighted(0.03)), 1..max).prop_map(|records| {
        let mut now = START;
        records
            .into_iter()
            .enumerate()
            .map(|(offset, (mut event, minutes, tick))| {
                now = Micros(now.0 + minutes * Micros::MINUTE);
                event.time = Micros(now.0 + event.time.0);
                event.event_id = EventId::of_provider("t", "", "", u32::try_from(offset).unwrap());
                if tick { LogRecord::Tick { time: now } } else { LogRecord::Event(Box::new(event)) }
            })
            .collect()
    })
}

fn run(detector: &mut Detector, records: &[LogRecord], from: usize, out: &mut Vec<Finding>) {
    for (offset, record) in records.iter().enumerate().skip(from) {
        detector.observe(i64::try_from(offset).unwrap(), record, out);
    }
}

fn bytes(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{}\n", serde_json::to_string(finding).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_restart_at_any_point_changes_nothing(records in log(400), cuts in prop::collection::vec(0..400_usize, 1..4)) {
        let mut undisturbed = Vec::new();
        let mut detector = Detector::new(3, Config::default(), rules());
        run(&mut detector, &records, 0, &mut undisturbed);

        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (records.len() + 1)).collect();
        cuts.sort_unstable();
        let mut disturbed = Vec::new();
        let mut restarted = Detector::new(3, Config::default(), rules());
        for cut in cuts {
            let from = usize::try_from(restarted.next_offset()).unwrap();
            // Many at once is one after the other.
            restarted.observe_all(i64::try_from(from).unwrap(), &records[from..cut.max(from)], &mut disturbed);
            let snapshot = restarted.snapshot();
            restarted = Detector::restore(&snapshot, Config::default(), rules()).unwrap();
            prop_assert_eq!(&restarted.snapshot(), &snapshot, "a snapshot of a restored detector is the snapshot");
            // What was taken before is not taken again.
            run(&mut restarted, &records[..cut.max(from)], 0, &mut disturbed);
        }
        let from = usize::try_from(restarted.next_offset()).unwrap();
        run(&mut restarted, &records, from, &mut disturbed);
        prop_assert_eq!(bytes(&undisturbed), bytes(&disturbed));
        prop_assert_eq!(detector.snapshot(), restarted.snapshot());
        prop_assert_eq!(detector.credentials(), restarted.credentials());
        prop_assert_eq!(detector.identities(), restarted.identities());
    }

    /// Who lays what changed over what was there has what is there: but for what passing time alone changes (age, state, windows learned).
    #[test]
    fn what_changed_is_told(records in log(300), steps in prop::collection::vec(1..40_usize, 1..30)) {
        let mut detector = Detector::new(0, Config::default(), rules());
        let (mut credentials, mut identities) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
        let (_, nothing) = detector.take_changed();
        prop_assert!(nothing.is_empty());
        let mut from = 0;
        for step in steps.into_iter().chain([records.len()]) {
            let to = (from + step).min(records.len());
            run(&mut detector, &records[..to], from, &mut Vec::new());
            from = to;
            let (changed_credentials, changed_identities) = detector.take_changed();
            credentials.extend(changed_credentials.into_iter().map(|row| (row.credential.clone(), row)));
            identities.extend(changed_identities.into_iter().map(|row| (row.identity.clone(), row)));
        }
        let credential = |mut row: CredentialRecord| { row.as_of = Micros(0); row.age_days = None; row.state = CredentialState::Unknown; row };
        let identity = |mut row: IdentityRecord| { row.as_of = Micros(0); row.windows = 0; row };
        prop_assert_eq!(credentials.into_values().map(credential).collect::<Vec<_>>(), detector.credentials().into_iter().map(credential).collect::<Vec<_>>());
        prop_assert_eq!(identities.into_values().map(identity).collect::<Vec<_>>(), detector.identities().into_iter().map(identity).collect::<Vec<_>>());
    }

    #[test]
    fn coordinates_rise_and_revisions_count(records in log(300)) {
        let mut out = Vec::new();
        run(&mut Detector::new(0, Config::default(), rules()), &records, 0, &mut out);
        prop_assert!(out.windows(2).all(|pair| pair[0].coordinates() < pair[1].coordinates()));
        let mut revisions = std::collections::HashMap::new();
        for finding in &out {
            let next = revisions.entry((finding.finding_id.clone(), finding.below_line)).or_insert(0);
            prop_assert_eq!(finding.revision, *next);
            *next += 1;
            prop_assert!(finding.event_ids.len() <= 64 && finding.count >= 1);
            prop_assert!(finding.below_line || !finding.explanation.is_empty() && finding.score.is_some() && finding.rank_parts.is_some());
            prop_assert!(!finding.detections.is_empty() && finding.detections.iter().all(|detection| detection.event_ids.len() <= 16 && detection.count >= 1));
            prop_assert!(finding.detections.iter().all(|detection| detection.finding_id.is_some() != finding.below_line));
        }
    }

    /// Facts of the ledger do not depend on the order of events.
    #[test]
    fn facts_do_not_depend_on_order(records in log(60), seed in any::<u64>()) {
        let events: Vec<Box<Event>> = records.into_iter().filter_map(|record| match record { LogRecord::Event(event) => Some(event), LogRecord::Tick { .. } | LogRecord::Rules { .. } | LogRecord::Gap => None }).collect();
        let mut shuffled = events.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(i, usize::try_from(state >> 33).unwrap() % (i + 1));
        }
        let facts = |events: &[Box<Event>]| {
            let mut ledger = Ledger::new(ledger_config());
            for event in events {
                let who = ledger.identify(event, ledger::Likely::default(), &mut Vec::new());
                ledger.observe(who, event, ledger::Likely::default(), Limits::default(), event.time);
            }
            ledger
                .credentials(Micros(START.0 + 4000 * Micros::DAY), 0)
                .into_iter()
                .map(|row| (row.credential, row.expires_at, row.first_used, row.last_used, row.last_success, row.uses, row.failures))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(facts(&events), facts(&shuffled));
    }
}

fn ledger_config() -> keytrail_detect::LedgerConfig {
    keytrail_detect::LedgerConfig::default()
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(0.2), Just(1.0), Just(2.0), Just(3.0), Just(24.0), Just(30.0), Just(60.0), -10.0..500.0]
}

fn some_number() -> impl Strategy<Value = Option<f64>> {
    prop::option::of(number())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn credential() -> impl Strategy<Value = ledger::Features> {
    let numbers = prop::collection::vec(some_number(), 10);
    (numbers, prop::collection::vec(any::<bool>(), 6), prop::sample::select(CredentialState::ALL), prop::collection::vec(number(), 8)).prop_map(
        |(n, b, state, counts)| {
            let count = |at: usize| counts[at].max(0.0) as u32;
            ledger::Features {
                slot: b[0].then_some(0),
                age_days: n[0],
                age_is_exact: b[1],
                lifetime_days: n[1],
                lifetime_over_policy: b[2],
                remaining_days: n[2],
                idle_days: n[3],
                idle_vs_longest: n[4],
                state,
                overlap_hours: n[5],
                successor_used: b[3],
                age_over_policy: b[4],
                age_vs_cadence: n[6],
                rotations: count(0),
                distinct_sources_24h: count(1),
                concurrent_sources: count(2),
                concurrent_countries: count(3),
                issued_then_used_minutes: n[7],
                first_use: b[5],
                revoked_minutes: n[8],
                expired_hours: n[9],
                chain_depth: count(4),
                parent_is_new: b[0],
                parents_seen: count(5),
                identities: count(6),
                uses: u64::from(count(7)),
            }
        },
    )
}

fn features() -> impl Strategy<Value = baseline::Features> {
    use baseline::{Aspect, Features, Novelty, Score};
    let novelty = prop::sample::select(&[Novelty::Known, Novelty::NewToIdentity, Novelty::NewToEveryone, Novelty::Learning, Novelty::NotAssessable][..]);
    (prop::collection::vec((number(), novelty), Aspect::COUNT), any::<bool>(), any::<bool>()).prop_map(|(given, exceeds_budget, learning)| {
        let mut features = Features { exceeds_budget, learning, p_value: 1.0, ..Features::default() };
        for (score, (evidence, novelty)) in features.scores.iter_mut().zip(given) {
            #[expect(clippy::cast_possible_truncation)]
            {
                *score = Score { evidence: evidence as f32, novelty };
            }
        }
        features
    })
}

fn flag() -> impl Strategy<Value = Option<bool>> {
    any::<Option<bool>>()
}

/// Rules that use what the embedded ones do not: negations, lists, nulls, wildcards, regular expressions, references, keywords.
const ODD: &[(&str, &str)] = &[
    ("a", "s: {activity: [use, issue], action|contains: ['Get', 'Delete']}\n  n: {protocol: [http, null]}\n  condition: s and not n"),
    ("b", "s: {credential.age_days|gt: 60, credential.idle_days: [1, 2, 3]}\n  t: {credential.state: [revoked, expired]}\n  condition: not (s or t)"),
    ("c", "s: {action|re: '^s3:.*', user_agent: null}\n  condition: s"),
    ("d", "s: {destination|startswith: d1}\n  t: {outcome|neq: success}\n  condition: s and t"),
    ("e", "s: {environment|fieldref: protocol}\n  t: {protocol|exists: false}\n  condition: s or t"),
    ("f", "s: {action: '*Object', protocol: 'h?tps'}\n  condition: s"),
    ("g", "sel_a: {declared.known: true}\n  sel_b: {declared.network_allowed: false}\n  sel_c: {late: false}\n  condition: 2 of sel_*"),
    ("h", "sel_a: {credential.age_days|exists: true}\n  sel_b: {declared.hours_allowed|exists: false}\n  condition: all of sel_*"),
    ("i", "k: ['s3:GetObject', 'modbus']\n  condition: k"),
    ("j", "s: [{activity: use, outcome: success}, {activity: issue}]\n  condition: not s"),
    ("k", "s: {action|cased: 'S3:getobject'}\n  t: {action: 'S3:getobject'}\n  condition: s or t"),
    ("l", "s: {identity.events|lt: 5, identity.is_new: [true, false]}\n  condition: s"),
    ("m", "s: {action: 'äö.deletesink', credential_kind: 'ACCESS_KEY'}\n  condition: s"),
    ("n", "s: {credential.age_days: null}\n  condition: s"),
    ("o", "s: {time|hour: 3}\n  condition: s"),
];

fn odd_and_embedded() -> Arc<Rules> {
    static RULES: std::sync::OnceLock<Arc<Rules>> = std::sync::OnceLock::new();
    RULES
        .get_or_init(|| {
            let head = "title: t\nlogsource: {category: machine_identity}\nkeytrail: {humans: true}\ndetection:\n  ";
            let odd = ODD.iter().map(|(name, body)| (format!("odd/odd-{name}.yml"), format!("{head}{body}\n")));
            Arc::new(Rules::from_sources(odd.chain(embedded())).unwrap())
        })
        .clone()
}

fn embedded() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for theme in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules")).unwrap() {
        for file in std::fs::read_dir(theme.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            files.push((path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()));
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_prefilter_changes_nothing(
        event in event(),
        credential in credential(),
        baseline in prop::option::of(features()),
        declared in (any::<[bool; 3]>(), [flag(), flag(), flag(), flag(), flag()]),
        identity in (any::<[bool; 3]>(), prop::collection::vec(number(), 6)),
    ) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let identity = ledger::identity::Features {
            active_days: 3,
            newcomers_per_week: None,
            is_new: identity.0[0],
            protocol_weaker: identity.0[1],
            method_weaker: identity.0[2],
            age_days: identity.1[0],
            idle_days: Some(identity.1[1]),
            idle_vs_longest: Some(identity.1[2]),
            events: identity.1[3].max(0.0) as u64,
            failure_streak: identity.1[4].max(0.0) as u32,
            environment_age_days: Some(identity.1[5]),
            environments: 2,
        };
        let observed = Observed { who: IdentityIx(0), credential, identity, account_age_days: 8.0, watched_days: 8 };
        let declared = inventory::Features {
            known: declared.0[0],
            owner_missing: declared.0[1],
            retired: declared.0[2],
            destination_allowed: declared.1[0],
            protocol_allowed: declared.1[1],
            environment_allowed: declared.1[2],
            network_allowed: declared.1[3],
            hours_allowed: declared.1[4],
        };
        let rules = odd_and_embedded();
        let request = std::cell::OnceCell::from(None);
        let shape = keytrail_detect::shape::Shapes::default().of(&event);
        let o = Observation { event: &event, shape, classed: keytrail_detect::action::classify(event.action.as_deref().unwrap_or_default()), request: &request, observed: &observed, baseline: baseline.as_ref(), floor: None, machine_new: None, declared, windows: None, ledger: None, late: baseline.is_none(), absence: None };
        let mut evaluator = Evaluator::new(rules.clone(), 10, 10);
        for _ in 0..2 {
            prop_assert_eq!(evaluator.detections(&o, &mut Groups::default()), rules.matches_plainly(&o));
        }
    }
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let snapshot = Detector::new(0, Config::default(), rules()).snapshot();
    let restore = |bytes: &[u8]| Detector::restore(bytes, Config::default(), rules()).err().map(|error| error.to_string());
    assert_eq!(restore(&snapshot), None);
    for at in 0..snapshot.len() {
        let mut damaged = snapshot.clone();
        damaged[at] ^= 0x40;
        assert!(restore(&damaged).is_some(), "byte {at}");
    }
    for length in 0..snapshot.len() {
        assert!(restore(&snapshot[..length]).is_some(), "length {length}");
    }
    let _ = Inventory::default();
}
