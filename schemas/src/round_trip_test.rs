//! What is written comes back: through Arrow, JSON and the log's encoding.

use proptest::prelude::*;

use crate::{Activity, CredentialKind, DecodeError, Event, EventId, Finding, Hash32, IdentityKind, LogRecord, Micros, Outcome, Table, Text};

fn text() -> impl Strategy<Value = Text> {
    ".{0,40}".prop_map(Text::from)
}

fn time() -> impl Strategy<Value = Micros> {
    (0..=Micros::MAX.0).prop_map(Micros)
}

prop_compose! {
    fn event()(
        ids in (any::<[u8; 16]>(), any::<[u8; 32]>()),
        times in (time(), time(), prop::option::of(time()), prop::option::of(time())),
        words in (prop::sample::select(Activity::ALL), prop::sample::select(Outcome::ALL), prop::sample::select(IdentityKind::ALL), prop::sample::select(CredentialKind::ALL)),
        texts in prop::collection::vec(text(), 5),
        optional in prop::collection::vec(prop::option::of(text()), 12),
        raw in prop::option::of(".{0,200}"),
        asn in prop::option::of(0_i64..=4_294_967_295),
        coordinates in (0_i32.., 0_i64..),
    ) -> Event {
        Event {
            event_id: EventId(ids.0), raw_hash: Hash32(ids.1),
            time: times.0, ingested_at: times.1, credential_issued_at: times.2, credential_expires_at: times.3,
            activity: words.0, outcome: words.1, identity_kind: words.2, credential_kind: words.3,
            identity: texts[0].clone(), identity_provider: texts[1].clone(), identity_account: texts[2].clone(), source: texts[3].clone(), format: texts[4].clone(),
            reason: optional[0].clone(), credential: optional[1].clone(), credential_parent: optional[2].clone(), issuer: optional[3].clone(),
            source_ip: optional[4].clone(), user_agent: optional[5].clone(), destination: optional[6].clone(), destination_kind: optional[7].clone(),
            protocol: optional[8].clone(), auth_method: optional[9].clone(), action: optional[10].clone(), session: optional[11].clone(),
            raw, source_asn: asn, log_partition: coordinates.0, log_offset: coordinates.1,
            ..Event::default()
        }
    }
}

proptest! {
    #[test]
    fn events_survive_arrow(events in prop::collection::vec(event(), 0..8)) {
        let batch = Event::to_batch(&events).unwrap();
        prop_assert_eq!(batch.schema(), Event::arrow_schema());
        prop_assert_eq!(Event::from_batch(&batch).unwrap(), events);
    }

    #[test]
    fn events_survive_the_log(event in event()) {
        let bytes = LogRecord::encode_event(&event);
        prop_assert_eq!(LogRecord::decode(&bytes).unwrap(), LogRecord::Event(Box::new(event)));
    }

    #[test]
    fn events_survive_json_and_have_the_columns_of_the_schema(event in event()) {
        let json = serde_json::to_value(&event).unwrap();
        let names: Vec<_> = Event::COLUMNS.iter().map(|c| c.name).collect();
        let mut keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        keys.sort_unstable();
        prop_assert_eq!(keys, sorted);
        prop_assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = LogRecord::decode(&bytes);
    }
}

#[test]
fn findings_survive_arrow() {
    let finding = Finding {
        finding_id: "f".into(),
        tags: vec!["nhi.1".into(), "attack.t1078".into()],
        score: Some(2.5),
        features: "{}".to_owned(),
        ..Finding::default()
    };
    let batch = Finding::to_batch([&finding, &Finding::default()]).unwrap();
    assert_eq!(Finding::from_batch(&batch).unwrap(), [finding, Finding::default()]);
}

#[test]
fn records_that_cannot_be_read_say_why() {
    assert!(matches!(LogRecord::decode(&[]), Err(DecodeError::Empty)));
    assert!(matches!(LogRecord::decode(&[9, 1, 2]), Err(DecodeError::Version(9))));
    let whole = LogRecord::encode_event(&Event::default());
    assert!(matches!(LogRecord::decode(&whole[..whole.len() - 1]), Err(DecodeError::Damaged(_))));
    assert_eq!(LogRecord::decode(&LogRecord::encode_tick(Micros(7))).unwrap(), LogRecord::Tick { time: Micros(7) });
    let rules = crate::Hash32::of(b"rules");
    assert_eq!(LogRecord::decode(&LogRecord::encode_rules(rules)).unwrap(), LogRecord::Rules { rules });
}

#[test]
fn a_batch_that_lacks_a_column_says_which() {
    let batch = Event::to_batch([&Event::default()]).unwrap();
    let fewer = batch.project(&[0, 1]).unwrap();
    let message = Event::from_batch(&fewer).unwrap_err().to_string();
    assert!(message.contains("ingested_at"), "{message}");
}
