//! What is written comes back: through Arrow, JSON and the log's encoding.

use proptest::prelude::*;

use crate::{
    Activity, CredentialKind, DecodeError, Event, EventColumns, EventId, EventRow, Finding, Hash32, IdentityKind, LogRecord, Micros, Outcome, RecordRow, Table,
    Text,
};

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
        agree(&bytes);
    }

    #[test]
    fn rows_that_own_nothing_are_read_as_those_that_do(event in event(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in prop::option::of(any::<prop::sample::Index>())) {
        let mut bytes = LogRecord::encode_event(&event);
        agree(&bytes);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            agree(&bytes);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
            agree(&bytes);
        }
    }

    #[test]
    fn rows_that_own_nothing_make_the_same_columns(events in prop::collection::vec(event(), 0..40), room in 0_usize..50) {
        let mut columns = EventColumns::new(room);
        for event in &events {
            columns.push(&EventRow::from(event));
        }
        prop_assert_eq!(columns.rows(), events.len());
        let batch = columns.finish().unwrap();
        prop_assert_eq!(EventColumns::offsets(&batch), events.iter().map(|event| event.log_offset).collect::<Vec<_>>());
        prop_assert_eq!(batch.schema(), EventColumns::schema());
        prop_assert_eq!(Event::from_batch(&batch).unwrap(), events);
    }
}

/// Both ways of reading a record say the same of any bytes.
fn agree(bytes: &[u8]) {
    match (LogRecord::decode(bytes), RecordRow::decode(bytes)) {
        (Ok(LogRecord::Event(event)), Ok(RecordRow::Event(row))) => assert_eq!(EventRow::from(&*event), row),
        (Ok(LogRecord::Tick { time }), Ok(RecordRow::Tick { time: other })) => assert_eq!(time, other),
        (Ok(LogRecord::Rules { rules }), Ok(RecordRow::Rules { rules: other })) => assert_eq!(rules, other),
        (Err(error), Err(other)) => assert_eq!(error.to_string(), other.to_string()),
        (owned, lent) => panic!("{owned:?} and {lent:?}"),
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
    for bytes in [&[][..], &[9, 1, 2], &LogRecord::encode_tick(Micros(7)), &LogRecord::encode_rules(crate::Hash32::of(b"rules")), &[1], &[2, 3], &[1, 200]] {
        agree(bytes);
    }
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
